//! Programs in other languages, which print a line `name value` for each figure.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::output;

/// The figures by their names.
pub(crate) struct Printed(HashMap<String, f64>);

impl Printed {
    /// Fails if the program hasn't printed it, as then nobody has measured it.
    pub(crate) fn figure(&self, name: &str) -> Result<f64, String> {
        self.0.get(name).copied().ok_or_else(|| format!("its program has not printed `{name}`"))
    }
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Result<Printed, String> {
    let output = finished(command)?;
    let figure = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    Ok(Printed(output.lines().filter_map(figure).collect()))
}

/// Runs a program to its end, and gives what it has printed.
pub(crate) fn finished(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("`{name}`: {error}"))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return Err(format!("`{name}` failed ({}): {} {}", output.status, err.trim(), out.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a peer's sources lie.
pub(crate) fn source(peer: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(peer)
}

/// Where what is built of them goes.
pub(crate) fn built(peer: &str) -> Result<PathBuf, String> {
    let folder = output::folder().join("peers").join(peer);
    std::fs::create_dir_all(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    Ok(folder)
}
