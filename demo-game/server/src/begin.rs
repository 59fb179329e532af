//! Which version a start begins with.

use std::fs;
use std::path::PathBuf;

use liveswap::{CandidateName, Engine};

use crate::folders::Folders;

/// Has a candidate serve, if what lies in the watched folder can't begin with the snapshot that is there.
///
/// A snapshot may be of version 1002, which somebody pushed without copying it into the watched folder. Version 1001,
/// which lies there, knows nothing of that world, and is refused; so the one that made it is what can go on.
pub(crate) fn with_what_is_there(engine: &Engine, module: &str, folders: &Folders) {
    let status = engine.status();
    let Some(status) = status.modules.iter().find(|known| known.name == module) else { return };
    // Nothing was refused if nothing lies there: then the server begins without a version.
    if status.active.is_some() || status.swaps.refused == 0 || !folders.has_snapshot() {
        return;
    }
    for candidate in candidates(module, folders) {
        match engine.push(&candidate) {
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(candidate = %candidate.display(), code = error.code(), "passed over");
            }
        }
    }
}

/// The module's candidates, the newest first.
fn candidates(module: &str, folders: &Folders) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folders.candidates()) else { return Vec::new() };
    let named = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = CandidateName::parse(path.file_name()?.to_str()?)?;
        (name.module == module).then_some((name.version, path))
    });
    let mut named: Vec<_> = named.collect();
    named.sort_by(|(one, _), (other, _)| other.cmp(one));
    named.into_iter().map(|(_, path)| path).collect()
}
