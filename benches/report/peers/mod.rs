//! What one would pick instead of liveswap.
//!
//! | module | what it measures |
//! |---|---|
//! | [`cell`] | crates that publish a pointer |
//! | [`dlopen`] | the loader by itself |
//! | [`hot_lib_reloader`] | the crate of that name |
//! | [`wasmtime`] | the crate of that name |
//! | [`erlang`] | Erlang/OTP |
//! | [`go`] | Go's plugins |
//! | [`restart`] | ending the process, and starting it again |
//!
//! Those of other languages are programs (`benches/peers`), which [`program`] runs.

pub(crate) mod cell;
pub(crate) mod dlopen;
pub(crate) mod erlang;
pub(crate) mod go;
pub(crate) mod hot_lib_reloader;
mod program;
pub(crate) mod restart;
pub(crate) mod wasmtime;

use std::sync::OnceLock;

use crate::figure::{Figure, NotRun};
use crate::options::Options;

/// What a peer came to.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) version: String,
    pub(crate) figures: Vec<Figure>,
    /// For how long it answered nobody while so many entities got another shape: the number of entities, and
    /// microseconds. Of most peers there is nothing of the kind.
    pub(crate) pauses: Vec<(f64, f64)>,
}

/// Something that is measured once in a run, however many chapters show it.
pub(crate) struct Peer {
    measure: fn(&Options) -> Result<Measured, NotRun>,
    measured: OnceLock<Result<Measured, NotRun>>,
}

impl Peer {
    pub(crate) const fn new(measure: fn(&Options) -> Result<Measured, NotRun>) -> Self {
        Self { measure, measured: OnceLock::new() }
    }

    pub(crate) fn measure(&self, options: &Options) -> Result<Measured, NotRun> {
        self.measured.get_or_init(|| (self.measure)(options)).clone()
    }
}

/// Which version of a crate takes part.
pub(crate) fn locked(package: &str) -> String {
    let mut lines = include_str!("../../../Cargo.lock").lines();
    let name = format!("name = \"{package}\"");
    lines.find(|line| *line == name).expect("it takes part");
    let version = lines.next().and_then(|line| line.split('"').nth(1)).expect("a version comes after a name");
    version.to_owned()
}
