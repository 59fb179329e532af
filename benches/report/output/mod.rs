//! The two files that a run leaves: `report.html` for people and `report.json` for programs.

pub(crate) mod bars;
pub(crate) mod chart;
mod html;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::figure::Report;

/// Writes both, and gives their folder.
pub(crate) fn write(report: &Report) -> io::Result<PathBuf> {
    let folder = folder();
    fs::create_dir_all(&folder)?;
    serde_json::to_writer_pretty(File::create(folder.join("report.json"))?, report)?;
    fs::write(folder.join("report.html"), html::page(report))?;
    Ok(folder)
}

/// Where they lie, and what the peers have built.
pub(crate) fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let target = target.canonicalize().unwrap_or(target);
    target.join("liveswap-bench")
}
