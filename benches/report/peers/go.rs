//! Go's plugins: loading one, a call through a value that another plugin's function may take the place of, and the memory
//! that stays, as Go never unloads. `benches/peers/go` measures it, in Go.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Measured, Peer, program};
use crate::figure::{Figure, NotRun};
use crate::machine::said_by;
use crate::options::Options;

const NAME: &str = "Go's plugin";

pub(crate) static PEER: Peer = Peer::new(measure);

/// How many builds of the plugin there are; each takes about a second to make.
const PLUGINS: usize = 21;

fn measure(_: &Options) -> Result<Measured, NotRun> {
    let not_run = |reason| NotRun { name: NAME, reason };
    let Some(version) = said_by("go", &["version"]) else {
        return Err(not_run("there is no `go`; Debian's package golang-go has it".to_owned()));
    };
    let compiler = said_by("go", &["env", "CC"]).unwrap_or_default();
    if said_by(&compiler, &["--version"]).is_none() {
        return Err(not_run("Go needs a C compiler for plugins; Debian's package gcc is one".to_owned()));
    }
    measure_as(version).map_err(not_run)
}

fn measure_as(version: String) -> Result<Measured, String> {
    let (program, plugins) = build(&version)?;
    let printed = program::run(Command::new(program).args(&plugins))?;
    let mut figures = Vec::new();
    for (threads, at) in [(1, "at 1 thread"), (2, "at 2 threads")] {
        let direct = format!("{NAME}, its function by itself, {at}");
        let [floor, stored] = ["direct", "stored"].map(|way| printed.figure(&format!("{way}_{threads}_ns")));
        let (floor, stored) = (floor?, stored?);
        figures.push(Figure::new(&direct, floor, "ns"));
        let figure = Figure::new(format!("{NAME}, its function in an atomic.Value, {at}"), stored, "ns");
        figures.push(figure.compared(direct, stored / floor));
    }
    let took = printed.figure("open_ns")? / 1000.0;
    figures.push(Figure::new(format!("{NAME}, open, look up and first call"), took, "µs"));
    let (bytes, swaps) = (printed.figure("swap_bytes")?, PLUGINS - 1);
    figures.push(Figure::new(format!("{NAME}, memory a swap, over {swaps}"), bytes / 1024.0, "KiB"));
    Ok(Measured { version, figures, pauses: Vec::new() })
}

/// The program and the plugins, built unless an earlier run has done so from the same sources with the same compiler.
fn build(version: &str) -> Result<(PathBuf, Vec<PathBuf>), String> {
    let (source, built) = (program::source("go"), program::built("go")?);
    let read = |name: &str| fs::read_to_string(source.join(name)).map_err(|error| format!("{name}: {error}"));
    let made_of = format!("{version}\n{}\n{}", read("measure.go")?, read("plugin.go")?);
    let (program, stamp) = (built.join("measure"), built.join("made-of"));
    let plugins: Vec<PathBuf> =
        (0..PLUGINS).map(|number| built.join(format!("v{}.so", 1000 + number))).collect();
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_of) {
        return Ok((program, plugins));
    }
    go(&source, &program, &["measure.go"])?;
    for (number, plugin) in plugins.iter().enumerate() {
        let version = 1000 + number;
        // The compiler must give the package the path that the linker is told of.
        let path = format!("liveswap-bench/v{version}");
        let compiler = format!("-gcflags=-p={path}");
        let linker = format!("-ldflags=-pluginpath={path} -X {path}.Version={version}");
        go(&source, plugin, &["-buildmode=plugin", &compiler, &linker, "plugin.go"])?;
    }
    // Last, so that it's there only if all the rest is.
    fs::write(&stamp, made_of).map_err(|error| format!("`{}`: {error}", stamp.display()))?;
    Ok((program, plugins))
}

/// Nothing of it comes from a module, so nothing is ever fetched.
fn go(source: &Path, output: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("go");
    command.current_dir(source).env("GO111MODULE", "off").env("CGO_ENABLED", "1");
    program::finished(command.args(["build", "-o"]).arg(output).args(arguments)).map(drop)
}
