//! Erlang/OTP: a call to a server, loading and purging a module, and changing the code of a server with many entities.
//! `benches/peers/erlang` measures it, in Erlang.

use std::process::Command;

use super::{Measured, Peer, program};
use crate::figure::{Figure, NotRun};
use crate::machine::said_by;
use crate::options::Options;

pub(crate) const NAME: &str = "Erlang/OTP";

pub(crate) static PEER: Peer = Peer::new(measure);

/// Of the swaps after which memory is looked at.
const SWAPS: u64 = 1000;

/// How many entities the server has, and how often their code is changed: quickly, and thoroughly.
const WORLDS: [(u64, u64, u64); 3] = [(10_000, 10, 30), (100_000, 4, 10), (1_000_000, 2, 6)];

/// What tells the version: the release's number, and that of the emulator.
const VERSION: &str = "io:format(\"OTP ~s, ERTS ~s\", [erlang:system_info(otp_release), erlang:system_info(version)]), \
                       halt().";

fn measure(options: &Options) -> Result<Measured, NotRun> {
    let not_run = |reason| NotRun { name: NAME, reason };
    let version = said_by("erl", &["-noshell", "-eval", VERSION]);
    let Some(version) = version else {
        return Err(not_run("there is no `erl`; Debian's package erlang-base has it".to_owned()));
    };
    measure_as(version, options).map_err(not_run)
}

fn measure_as(version: String, options: &Options) -> Result<Measured, String> {
    let (source, built) = (program::source("erlang"), program::built("erlang")?);
    let worlds: Vec<String> = WORLDS
        .iter()
        .map(|&(entities, quick, full)| format!("{{{entities},{}}}", options.either(quick, full)))
        .collect();
    let expression = format!(
        "{{ok, _}} = compile:file({:?}, [{{outdir, {:?}}}]), measure:main({:?}, {}, {SWAPS}, [{}]).",
        source.join("measure.erl"),
        built,
        source.join("world.erl"),
        options.either(100_000, 1_000_000),
        worlds.join(","),
    );
    let printed = program::run(
        Command::new("erl").args(["-noshell", "-noinput", "-pa"]).arg(&built).args(["-eval", &expression]),
    )?;

    let microseconds = |name: &str| Ok::<_, String>(printed.figure(name)? / 1000.0);
    let mut figures = vec![
        Figure::new(format!("{NAME}, gen_server:call, p50"), microseconds("call_p50_ns")?, "µs"),
        Figure::new(format!("{NAME}, gen_server:call, p99.99"), microseconds("call_p99_99_ns")?, "µs"),
        Figure::new(format!("{NAME}, load and purge a module"), microseconds("load_and_purge_ns")?, "µs"),
    ];
    let mut pauses = Vec::new();
    for (entities, ..) in WORLDS {
        let pause = microseconds(&format!("change_{entities}_ns"))?;
        pauses.push((entities as f64, pause));
        figures.push(Figure::new(
            format!("{NAME}, change_code of {entities} entities"),
            pause / 1000.0,
            "ms",
        ));
    }
    let bytes = printed.figure("swap_bytes")?;
    figures.push(Figure::new(format!("{NAME}, memory a swap, over {SWAPS}"), bytes / 1024.0, "KiB"));
    Ok(Measured { version, figures, pauses })
}
