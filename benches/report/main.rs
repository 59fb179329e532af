//! `cargo bench -p liveswap-benches`: measures liveswap beside what one would pick instead, and writes
//! `target/liveswap-bench/report.html` and `report.json`.
//!
//! The machine may be shared and noisy. So nothing is compared with a number of another run: all contenders of one
//! figure take turns in this process, round by round, on pinned threads; a ratio is the median of the rounds' ratios;
//! and beside every latency stands the same without a swap. A peer that isn't installed is shown as not run.
//!
//! | module | what it holds |
//! |---|---|
//! | [`chapters`] | what is measured, a chapter each |
//! | [`peers`] | what one would pick instead |
//! | [`measure`] | taking turns, pinning, percentiles |
//! | [`figure`] | a figure with its target, and what a chapter is made of |
//! | [`live`] | an engine that serves, and versions to push |
//! | [`machine`] | what it was measured on |
//! | [`output`] | the two files |

mod chapters;
mod figure;
mod live;
mod machine;
mod measure;
mod options;
mod output;
mod peers;

use std::error::Error;

use clap::Parser;

use figure::Report;
use machine::Machine;
use options::Options;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(served) = &options.served {
        peers::restart::serve(served);
        return Ok(());
    }
    let mut report = Report { machine: Machine::look(), quick: options.quick, chapters: Vec::new() };
    for (name, measure) in chapters::ALL {
        if options.wants(name) {
            eprintln!("measuring: {name}");
            let chapter = measure(&options);
            print!("{chapter}");
            report.chapters.push(chapter);
        }
    }
    let folder = output::write(&report)?;
    println!("{}", folder.join("report.html").display());
    Ok(())
}
