//! The command line.

use clap::Parser;

use crate::peers::restart::Served;

/// Measures liveswap beside what one would pick instead.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Fewer and shorter rounds: under three minutes, and noisier.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Only the chapters with these names.
    #[arg(value_name = "CHAPTER", value_parser = known)]
    only: Vec<String>,

    #[command(flatten)]
    pub(crate) served: Option<Served>,

    /// Cargo passes this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub(crate) fn wants(&self, chapter: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == chapter)
    }

    /// `quick` in the quick form, else `full`.
    pub(crate) fn either<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

fn known(name: &str) -> Result<String, String> {
    let names = crate::chapters::ALL.map(|(name, _)| name);
    if names.contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(format!("expected one of {}", names.join(", ")))
    }
}
