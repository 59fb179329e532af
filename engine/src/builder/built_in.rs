//! Implementations that are linked into the host.

use liveswap_state::BuiltIn;

use super::Builder;
use crate::candidate::{Manifest, VerifyError, manifest, verify};
use crate::error::BuildError;

impl Builder {
    /// Gives a module a version that is linked into the host, made by `liveswap_logic::built_in!`: the one that it begins
    /// with. The module must be declared, and can have one.
    ///
    /// It's looked up as every version is: by the module's name, and the highest version number wins. A plugged-in one that
    /// is newer replaces it, and a rollback returns to it; one that is older is refused as every older one is; one of the
    /// same number is refused with `conflicting-version`. It's never unmapped, and the status calls it `built-in`.
    pub fn built_in(mut self, built_in: BuiltIn) -> Self {
        self.built_ins.push(built_in);
        self
    }

    /// Whether each is of a module that there is, and offers what the host calls.
    pub(super) fn check_built_ins(&self) -> Result<(), BuildError> {
        for (index, built_in) in self.built_ins.iter().enumerate() {
            let Manifest { module, .. } = read(built_in)?;
            let Some(declared) = self.modules.iter().find(|declared| declared.name == module) else {
                let known: Vec<_> = self.modules.iter().map(|known| format!("`{}`", known.name)).collect();
                return Err(VerifyError::UnknownModule { found: module, known: known.join(", ") }.into());
            };
            let is_same = |earlier: &BuiltIn| read(earlier).is_ok_and(|earlier| earlier.module == module);
            if self.built_ins[..index].iter().any(is_same) {
                return Err(BuildError::BuiltInTwice { name: module });
            }
            let readable = verify::readable(read(built_in)?, None)?;
            verify::interface(&readable.manifest, declared.interface, declared.methods)?;
        }
        Ok(())
    }
}

/// The implementation for a module, if there is one.
pub(super) fn of(built_ins: &[BuiltIn], module: &str) -> Option<BuiltIn> {
    built_ins.iter().find(|built_in| read(built_in).is_ok_and(|manifest| manifest.module == module)).copied()
}

fn read(built_in: &BuiltIn) -> Result<Manifest, BuildError> {
    let (manifest, _) = manifest::parse(built_in.entry().manifest).map_err(VerifyError::from)?;
    Ok(manifest)
}
