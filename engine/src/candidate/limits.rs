//! How much a manifest may say. It is anybody's text until it's verified, and what is read of it is compared, kept and
//! shown; so each part has a bound, far above what logic has and far below what would hurt.

use super::manifest::{Manifest, ManifestError};

/// The most bytes that a manifest's text may have: that of some five thousand methods.
pub(super) const LENGTH_MAX: usize = 1024 * 1024;

const METHODS_MAX: usize = 4096;
const CONSTANTS_MAX: usize = 4096;
/// Of the state and all that it consists of.
const TYPES_MAX: usize = 4096;
/// Of all types together.
const FIELDS_MAX: usize = 16 * 1024;
/// What all containers together hold.
const PARAMETERS_MAX: usize = 16 * 1024;
/// The states that a state came from, one after the other.
const FORMER_STATES_MAX: usize = 256;
/// Bytes in a name, of whatever it is one, or in a fingerprint.
const NAME_MAX: usize = 1024;
/// Bytes in a version: more than ten of the largest numbers take.
pub(super) const VERSION_MAX: usize = 256;

/// Whether every part of the manifest is within its bounds.
pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    let Manifest {
        module, version, compiler, panic, interface, methods, differences, constants, state, ..
    } = manifest;
    at_most(METHODS_MAX, "methods", methods.len())?;
    at_most(METHODS_MAX, "methods that differ", differences.len())?;
    at_most(CONSTANTS_MAX, "constants", constants.len())?;
    at_most(TYPES_MAX, "types", state.types.len())?;
    at_most(FORMER_STATES_MAX, "former states", state.from.len())?;
    at_most(FIELDS_MAX, "fields", state.types.iter().map(|known| known.fields.len()).sum())?;
    at_most(PARAMETERS_MAX, "parameters", state.types.iter().map(|known| known.parameters.len()).sum())?;
    at_most(VERSION_MAX, "bytes in its version", version.len())?;
    let own = [module, compiler, panic, interface, &state.type_name, &state.fingerprint];
    let methods = methods.iter().flat_map(|method| [&method.name, &method.access, &method.fingerprint]);
    let former = state.from.iter().flat_map(|former| [&former.type_name, &former.fingerprint]);
    let types = state.types.iter().flat_map(|known| [&known.name, &known.fingerprint]);
    let fields = state.types.iter().flat_map(|known| &known.fields).map(|field| &field.name);
    let constants = constants.iter().flat_map(|known| [&known.name, &known.type_name, &known.value]);
    let names = own
        .into_iter()
        .chain(differences)
        .chain(methods)
        .chain(constants)
        .chain(former)
        .chain(types)
        .chain(fields);
    at_most(NAME_MAX, "bytes in a name", names.map(String::len).max().unwrap_or(0))
}

pub(super) fn at_most(limit: usize, what: &'static str, found: usize) -> Result<(), ManifestError> {
    if found > limit { Err(ManifestError::TooMuch { what, found, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::manifest::{Abi, ConstantManifest, MethodManifest};
    use crate::candidate::state::{FieldManifest, FormerState, StateManifest, TypeManifest};

    fn manifest() -> Manifest {
        let text = |text: &str| text.to_owned();
        let (type_name, fingerprint) = (text("S"), text("f"));
        let state =
            StateManifest { type_name, schema: 1, fingerprint, from: Vec::new(), types: vec![a_type(); 2] };
        Manifest {
            abi: Abi::Rust,
            contract: 1,
            module: text("m"),
            version: text("1"),
            compiler: text("c"),
            panic: text("unwind"),
            interface: text("I"),
            methods: Vec::new(),
            differences: Vec::new(),
            constants: Vec::new(),
            state,
        }
    }

    fn a_type() -> TypeManifest {
        let (name, fingerprint) = ("T".to_owned(), "f".to_owned());
        TypeManifest { name, schema: 1, fingerprint, parameters: Vec::new(), fields: Vec::new() }
    }

    fn former() -> FormerState {
        FormerState { type_name: "S".to_owned(), schema: 1, fingerprint: "f".to_owned(), one_way: false }
    }

    fn method() -> MethodManifest {
        let [name, access, fingerprint] = ["m", "shared", "f"].map(str::to_owned);
        MethodManifest { name, access, fingerprint }
    }

    fn constant() -> ConstantManifest {
        let [name, type_name, value] = ["C", "str", "v"].map(str::to_owned);
        ConstantManifest { name, type_name, value }
    }

    fn field() -> FieldManifest {
        FieldManifest { name: "f".to_owned(), type_place: None }
    }

    /// Up to the limit it's welcome; beyond, the refusal names both.
    #[track_caller]
    fn bounded(what: &'static str, limit: usize, make: impl Fn(&mut Manifest, usize)) {
        let of = |count| {
            let mut manifest = manifest();
            make(&mut manifest, count);
            check(&manifest)
        };
        assert!(of(limit).is_ok(), "{what}");
        let error = of(limit + 1).unwrap_err();
        assert!(
            matches!(error, ManifestError::TooMuch { what: w, found, limit: l }
                if w == what && found == limit + 1 && l == limit),
            "{error}"
        );
        assert!(error.to_string().contains(&limit.to_string()), "{error}");
    }

    #[test]
    fn every_list_is_bounded() {
        bounded("methods", METHODS_MAX, |m, count| m.methods = vec![method(); count]);
        bounded("constants", CONSTANTS_MAX, |m, count| m.constants = vec![constant(); count]);
        bounded("types", TYPES_MAX, |m, count| m.state.types = vec![a_type(); count]);
        bounded("former states", FORMER_STATES_MAX, |m, count| m.state.from = vec![former(); count]);
        // Counted over all types.
        bounded("fields", FIELDS_MAX, |m, count| {
            m.state.types[0].fields = vec![field(); count - 1];
            m.state.types[1].fields = vec![field()];
        });
        bounded("parameters", PARAMETERS_MAX, |m, count| {
            m.state.types[0].parameters = vec![None; count - 1];
            m.state.types[1].parameters = vec![None];
        });
    }

    #[test]
    fn every_name_is_bounded() {
        bounded("bytes in its version", VERSION_MAX, |m, length| m.version = "1".repeat(length));
        let places: [fn(&mut Manifest) -> &mut String; 15] = [
            |m| &mut m.module,
            |m| &mut m.compiler,
            |m| &mut m.panic,
            |m| &mut m.interface,
            |m| &mut m.state.type_name,
            |m| &mut m.state.fingerprint,
            |m| &mut m.state.types[1].name,
            |m| &mut m.state.types[1].fingerprint,
            |m| added(&mut m.state.types[1].fields, field(), |field| &mut field.name),
            |m| added(&mut m.state.from, former(), |former| &mut former.type_name),
            |m| added(&mut m.state.from, former(), |former| &mut former.fingerprint),
            |m| added(&mut m.constants, constant(), |constant| &mut constant.name),
            |m| added(&mut m.constants, constant(), |constant| &mut constant.value),
            |m| added(&mut m.methods, method(), |method| &mut method.name),
            |m| added(&mut m.methods, method(), |method| &mut method.fingerprint),
        ];
        for place in places {
            bounded("bytes in a name", NAME_MAX, |m, length| *place(m) = "x".repeat(length));
        }
    }

    fn added<T>(list: &mut Vec<T>, item: T, name: fn(&mut T) -> &mut String) -> &mut String {
        list.push(item);
        name(list.last_mut().expect("it was just added"))
    }
}
