//! The manifest of a library in C: what a preprocessor can write, made into a [`Manifest`] like any other.
//!
//! It names module, version, compiler and the numbers of its state's schemas. The interface is
//! [`Bytes`](liveswap_state::Bytes), because there is no other that such a library could have; so its methods aren't in
//! the text, and their fingerprints are the host's own: they say nothing of the library.

use liveswap_state::manifest::HEADER_LENGTH;
use liveswap_state::{Bytes, Interface};
use serde::Deserialize;

use super::manifest::{Abi, Manifest, ManifestError, MethodManifest};
use super::state::{FormerState, StateManifest, TypeManifest};
use super::verify::access;
use crate::foreign::schema::{SCHEMAS_MAX, STATE_NAME, fingerprint};

/// The text.
#[derive(Deserialize)]
struct Text {
    abi: Abi,
    contract: u32,
    module: String,
    version: String,
    compiler: String,
    state: Schemas,
}

/// The numbers of a state's schemas.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Schemas {
    /// That of the state itself.
    #[serde(rename = "schema")]
    pub(crate) newest: u32,
    /// The oldest that it can be made of.
    pub(crate) oldest: u32,
    pub(crate) one_way: bool,
}

impl Schemas {
    /// Those in a manifest that was read before.
    pub(crate) fn of_section(section: &[u8]) -> Option<Self> {
        Some(read(section.get(HEADER_LENGTH..)?).ok()?.state)
    }
}

/// The manifest of this text.
pub(super) fn manifest(text: &[u8]) -> Result<Manifest, ManifestError> {
    let Text { abi, contract, module, version, compiler, state } = read(text)?;
    let methods = <dyn Bytes>::METHODS.iter().map(|method| MethodManifest {
        name: method.name.to_owned(),
        access: access(method.access).to_owned(),
        fingerprint: method.fingerprint.to_string(),
    });
    Ok(Manifest {
        abi,
        contract,
        module,
        version,
        compiler,
        panic: "none".to_owned(),
        interface: <dyn Bytes>::NAME.to_owned(),
        methods: methods.collect(),
        // Nothing says which answers differ, so any may.
        differences: vec!["*".to_owned()],
        constants: Vec::new(),
        state: describe(state),
    })
}

fn read(text: &[u8]) -> Result<Text, ManifestError> {
    let damaged = |what: String| ManifestError::Damaged(what);
    let text: Text = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
    if text.abi != Abi::C {
        return Err(damaged("found abi `rust` in a manifest without a checksum, expected `c`".to_owned()));
    }
    let Schemas { newest, oldest, .. } = text.state;
    if newest > SCHEMAS_MAX || oldest < 1 || oldest > newest {
        return Err(damaged(format!(
            "found schemas {oldest} to {newest}, expected numbers from 1 to {SCHEMAS_MAX}, the oldest first"
        )));
    }
    Ok(text)
}

fn describe(Schemas { newest, oldest, one_way }: Schemas) -> StateManifest {
    let (type_name, spelled) = (STATE_NAME.to_owned(), |schema| fingerprint(schema).to_string());
    let former =
        |schema| FormerState { type_name: type_name.clone(), schema, fingerprint: spelled(schema), one_way };
    let known = TypeManifest {
        name: type_name.clone(),
        schema: newest,
        fingerprint: spelled(newest),
        parameters: Vec::new(),
        fields: Vec::new(),
    };
    StateManifest {
        schema: newest,
        fingerprint: spelled(newest),
        from: (oldest..newest).rev().map(former).collect(),
        types: vec![known],
        type_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(schema: u32, oldest: u32) -> String {
        format!(
            r#"{{"abi":"c","contract":1,"module":"m","version":"1","compiler":"gcc 12",
                "state":{{"schema":{schema},"oldest":{oldest},"one_way":false}}}}"#
        )
    }

    #[test]
    fn the_former_states_are_listed_the_latest_first() {
        let found = manifest(text(4, 2).as_bytes()).unwrap();
        let from: Vec<_> = found.state.from.iter().map(|former| former.schema).collect();
        assert_eq!((found.abi, found.state.schema, from), (Abi::C, 4, vec![3, 2]));
        let names: Vec<_> = found.methods.iter().map(|method| method.name.as_str()).collect();
        assert_eq!((found.interface.as_str(), names), ("Bytes", vec!["call", "ask"]));
    }

    #[test]
    fn schemas_are_numbers_within_bounds() {
        assert!(manifest(text(SCHEMAS_MAX, 1).as_bytes()).is_ok());
        for (schema, oldest) in [(SCHEMAS_MAX + 1, 1), (1, 0), (0, 0), (1, 2)] {
            let error = manifest(text(schema, oldest).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(&format!("found schemas {oldest} to {schema}")), "{error}");
        }
    }

    #[test]
    fn a_manifest_without_a_checksum_is_of_a_library_in_c() {
        let of_rust = text(1, 1).replace(r#""abi":"c""#, r#""abi":"rust""#);
        assert!(matches!(manifest(of_rust.as_bytes()), Err(ManifestError::Damaged(_))));
    }
}
