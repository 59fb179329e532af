//! Verifying a candidate against its host, by its manifest alone: none of its code has run.

use liveswap_state::{Access, COMPILER, CONTRACT, MethodSpec};
use thiserror::Error;

use super::digest::Digest;
use super::manifest::{Abi, Manifest, ManifestError};
use super::name::{CandidateName, VersionNumber};
use crate::foreign;

/// Why a candidate doesn't fit the host or what is running.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Its manifest can't be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It was made for another contract between host and logic.
    #[error(
        "found contract {found}, expected {CONTRACT}: build host and logic with the same release of liveswap"
    )]
    WrongContract {
        /// The candidate's contract.
        found: u32,
    },
    /// It is a library in C, and was built with another version of `liveswap.h`.
    #[error(
        "found a library for `LIVESWAP_ABI` {found}, expected {}: build it with the `liveswap.h` of the host's release",
        foreign::ABI
    )]
    WrongAbi {
        /// The candidate's `LIVESWAP_ABI`.
        found: u32,
    },
    /// It was built by another compiler.
    #[error("found `{found}`, expected `{COMPILER}`: build the logic with the host's compiler")]
    WrongCompiler {
        /// The candidate's compiler.
        found: String,
    },
    /// A panic in it would abort the process.
    #[error(
        "found panic strategy `{found}`, expected `unwind`: remove `panic = \"{found}\"` from the logic's profile, or a panic in it would end the host"
    )]
    PanicAbort {
        /// The candidate's panic strategy.
        found: String,
    },
    /// It is a version of a module that the host doesn't have.
    #[error("unable to find module: {found}: the host has {known}")]
    UnknownModule {
        /// The candidate's module.
        found: String,
        /// The host's modules.
        known: String,
    },
    /// Its version isn't one.
    #[error("found version `{found}`, expected numbers with dots between them, such as `1002` or `1.4.0`")]
    BadVersion {
        /// What stands in the manifest.
        found: String,
    },
    /// Its file's name says something else than its manifest.
    #[error("the file is named for {named}, its manifest says {found}: a build was copied to a wrong name")]
    NameMismatch {
        /// What the name says.
        named: String,
        /// What the manifest says.
        found: String,
    },
    /// It offers another interface than the host calls, or a method is missing, or is of another type.
    #[error(
        "{found}, expected {expected} for interface `{interface}`: build the logic against the host's version of it"
    )]
    WrongInterface {
        /// The host's interface.
        interface: String,
        /// What was found.
        found: String,
        /// What the host calls.
        expected: String,
    },
    /// The running state has another shape than the candidate works on, and neither version knows a way.
    #[error(
        "found a version for state {found}, expected {expected}, which is what is running: {difference}: {advice}"
    )]
    WrongState {
        /// The state that the candidate works on.
        found: String,
        /// The state that is running.
        expected: String,
        /// The first place in which the two differ.
        difference: String,
        /// What to write.
        advice: String,
    },
    /// The running state came from that of the candidate, and there is no way back.
    #[error(
        "found a version for state {found}, expected {expected}, which is what is running and came from it one-way: \
         push a version for the running state"
    )]
    NoWayBack {
        /// The state that the candidate works on.
        found: String,
        /// The state that is running.
        expected: String,
    },
    /// The candidate can take the running state over, but it couldn't be given back.
    #[error(
        "the upgrade to version {version} is one-way: it turns the state into schema {schema}, and nothing turns it \
         back: if that is meant, allow it (`--allow-one-way`)"
    )]
    OneWay {
        /// The candidate's version.
        version: VersionNumber,
        /// The version of its state's schema.
        schema: u32,
    },
    /// A version of this number is known, with other bytes.
    #[error(
        "version {version} is known with other bytes (found {found}, expected {expected}): give every build its own version"
    )]
    ConflictingVersion {
        /// The version.
        version: VersionNumber,
        /// The candidate's content.
        found: Digest,
        /// The known content.
        expected: Digest,
    },
    /// It is older than what is running.
    #[error(
        "found version {found}, which is older than {active}, the active one: if that is meant, allow older versions (`--allow-older`)"
    )]
    OlderVersion {
        /// The candidate's version.
        found: VersionNumber,
        /// The active version.
        active: VersionNumber,
    },
}

/// What a manifest says, once the parts that don't depend on any module are known to fit.
pub(crate) struct Readable {
    pub(crate) manifest: Manifest,
    pub(crate) version: VersionNumber,
}

/// Contract, compiler, panic strategy and name: may this file be looked at any further?
pub(crate) fn readable(manifest: Manifest, name: Option<&CandidateName>) -> Result<Readable, VerifyError> {
    match manifest.abi {
        Abi::Rust => of_rust(&manifest)?,
        Abi::C if manifest.contract != foreign::ABI => {
            return Err(VerifyError::WrongAbi { found: manifest.contract });
        }
        // Neither its compiler nor its exceptions can be judged by a host in Rust.
        Abi::C => {}
    }
    let version: VersionNumber =
        manifest.version.parse().map_err(|_| VerifyError::BadVersion { found: manifest.version.clone() })?;
    if let Some(name) = name
        && (name.module != manifest.module || name.version != version)
    {
        return Err(VerifyError::NameMismatch {
            named: format!("{} {}", name.module, name.version),
            found: format!("{} {version}", manifest.module),
        });
    }
    Ok(Readable { manifest, version })
}

/// Contract, compiler and panic strategy.
fn of_rust(manifest: &Manifest) -> Result<(), VerifyError> {
    if manifest.contract != CONTRACT {
        return Err(VerifyError::WrongContract { found: manifest.contract });
    }
    if manifest.compiler != COMPILER {
        return Err(VerifyError::WrongCompiler { found: manifest.compiler.clone() });
    }
    if manifest.panic != "unwind" {
        return Err(VerifyError::PanicAbort { found: manifest.panic.clone() });
    }
    Ok(())
}

/// Whether the candidate offers every method that the host calls, as the host calls it. Gives, for each of
/// the host's methods, its place in the candidate's code table. More methods than these are welcome.
pub(crate) fn interface(
    manifest: &Manifest,
    interface: &str,
    methods: &[MethodSpec],
) -> Result<Box<[usize]>, VerifyError> {
    let wrong = |found: String, expected: String| VerifyError::WrongInterface {
        interface: interface.to_owned(),
        found,
        expected,
    };
    if manifest.interface != interface {
        return Err(wrong(format!("found interface `{}`", manifest.interface), format!("`{interface}`")));
    }
    methods
        .iter()
        .map(|expected| {
            let name = expected.name;
            let Some(place) = manifest.methods.iter().position(|method| method.name == name) else {
                return Err(wrong(format!("found no method `{name}`"), format!("`{name}`")));
            };
            let found = &manifest.methods[place];
            let (access, fingerprint) = (access(expected.access), expected.fingerprint.to_string());
            if found.access != access || found.fingerprint != fingerprint {
                return Err(wrong(
                    format!("found method `{name}` {} with signature {}", found.access, found.fingerprint),
                    format!("{access} with signature {fingerprint}"),
                ));
            }
            Ok(place)
        })
        .collect()
}

pub(super) fn access(access: Access) -> &'static str {
    match access {
        Access::Stateless => "stateless",
        Access::Shared => "shared",
        Access::Exclusive => "exclusive",
    }
}

#[cfg(test)]
mod tests {
    use liveswap_state::Fingerprint;

    use super::*;
    use crate::candidate::manifest::MethodManifest;
    use crate::candidate::state::StateManifest;

    fn manifest() -> Manifest {
        Manifest {
            abi: Abi::Rust,
            contract: CONTRACT,
            module: "logic".into(),
            version: "1002".into(),
            compiler: COMPILER.into(),
            panic: "unwind".into(),
            interface: "Game".into(),
            methods: ["extra", "hit"].map(|name| method(name, "exclusive")).into(),
            differences: Vec::new(),
            constants: Vec::new(),
            state: StateManifest {
                type_name: "World".into(),
                schema: 1,
                fingerprint: "f".into(),
                from: Vec::new(),
                types: Vec::new(),
            },
        }
    }

    fn method(name: &str, access: &str) -> MethodManifest {
        let fingerprint = Fingerprint::of(name).to_string();
        MethodManifest { name: name.into(), access: access.into(), fingerprint }
    }

    fn hit() -> MethodSpec {
        MethodSpec { name: "hit", access: Access::Exclusive, fingerprint: Fingerprint::of("hit") }
    }

    #[test]
    fn what_fits_is_read() {
        let name = CandidateName::parse("logic.v1002.so");
        assert_eq!(readable(manifest(), name.as_ref()).ok().unwrap().version.to_string(), "1002");
        assert!(readable(manifest(), None).is_ok());
    }

    #[test]
    fn each_mismatch_has_its_own_error() {
        let refused = |change: fn(&mut Manifest)| {
            let mut manifest = manifest();
            change(&mut manifest);
            readable(manifest, CandidateName::parse("logic.v1002.so").as_ref()).err().unwrap()
        };
        let other = refused(|m| m.contract += 1);
        assert!(matches!(other, VerifyError::WrongContract { found } if found == CONTRACT + 1));
        assert!(matches!(refused(|m| m.compiler.push('!')), VerifyError::WrongCompiler { .. }));
        assert!(matches!(refused(|m| m.panic = "abort".into()), VerifyError::PanicAbort { .. }));
        assert!(matches!(refused(|m| m.version = "x".into()), VerifyError::BadVersion { .. }));
        assert!(matches!(refused(|m| m.version = "1001".into()), VerifyError::NameMismatch { .. }));
        assert!(matches!(refused(|m| m.module = "chat".into()), VerifyError::NameMismatch { .. }));
    }

    #[test]
    fn methods_are_found_by_name_and_extra_ones_are_welcome() {
        assert_eq!(*interface(&manifest(), "Game", &[hit()]).unwrap(), [1]);
        assert!(interface(&manifest(), "Chat", &[]).is_err());
        let mut other = hit();
        other.access = Access::Shared;
        assert!(interface(&manifest(), "Game", &[other]).is_err());
        other = hit();
        other.fingerprint = Fingerprint::of("another signature");
        assert!(interface(&manifest(), "Game", &[other]).is_err());
        other.name = "missing";
        let error = interface(&manifest(), "Game", &[other]).unwrap_err().to_string();
        assert!(error.contains("found no method `missing`"), "{error}");
    }
}
