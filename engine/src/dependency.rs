//! Calls between modules: the host's end of [`Context::dependency`](liveswap_state::Context::dependency).
//!
//! Each engine has one list of the modules that its logic can reach, which the contexts of all versions lead to. So
//! nothing is resolved by name but here, and two engines in a process don't meet.
//!
//! A call from another module is a call like any other: it enters by a [`Guard`], and is counted, fenced, recorded and
//! waited for as such. What would wait for itself through several threads, `call/deadlock.rs` refuses.

use liveswap_state::{Access, CallError, Crossing, DependencyError, Encoder, Entered, Gate, MethodSpec};

use crate::call::Guard;
use crate::host::own_blocks;
use crate::modules::Modules;

// SAFETY: what is given is the number of a module whose methods are the ones that were asked for, one by one; a version of
// it is accepted only if it has exactly these, and no other module ever gets its number. `work` is called once this thread
// is inside, with a guard of the module's own, which keeps it on one version. Nothing else here calls code of anybody's,
// and nothing panics.
unsafe impl liveswap_state::Modules for Modules {
    fn find(
        &self,
        caller: usize,
        module: &str,
        interface: &str,
        methods: &[MethodSpec],
    ) -> Result<usize, DependencyError> {
        let list = self.list();
        let Some((number, declared)) = list.named(module) else {
            return Err(DependencyError::Unknown { module: module.to_owned(), known: list.known() });
        };
        let expected = declared.path.methods;
        if let Some((found, expected)) = difference((interface, methods), (declared.interface, expected)) {
            return Err(DependencyError::OtherInterface { module: module.to_owned(), found, expected });
        }
        // What the caller hands over isn't its own any more, and outlives it.
        let alignments = expected.iter().map(|method| method.fingerprint.alignment());
        own_blocks::crosses(caller, alignments.max().unwrap_or(1));
        Ok(number)
    }

    fn enter(&self, module: usize, work: &mut dyn FnMut(&dyn Entered)) -> Result<bool, CallError> {
        let list = self.list();
        let Some(declared) = list.numbered(module) else { return Ok(false) };
        let guard = Guard::enter(&declared.path).map_err(|error| *error)?;
        work(&guard);
        Ok(true)
    }
}

// SAFETY: as `Gate` of the same guard, which makes the call once.
unsafe impl Entered for Guard<'_> {
    unsafe fn pass(&self, method: usize, access: Access, call: &mut Crossing<'_>) -> Result<(), CallError> {
        let call = |code, state, context: &_| {
            // What counts for the meter is whether it's an error.
            call(code, state, context).map(|is_error| if is_error { Err(()) } else { Ok(()) })
        };
        // SAFETY: as the caller vouches.
        let passed: Result<Result<(), ()>, _> = unsafe { Gate::pass(self, method, access, call) };
        passed.map(drop)
    }

    fn is_recording(&self) -> bool {
        Gate::is_recording(self)
    }

    fn record(&self, method: usize, encode: &mut dyn FnMut(&mut Encoder)) {
        Gate::record(self, method, encode);
    }
}

/// In what the interface of a caller differs from the declared one: what was found, and what was expected. None if they
/// are the same.
fn difference(
    (found, found_methods): (&str, &[MethodSpec]),
    (expected, expected_methods): (&str, &[MethodSpec]),
) -> Option<(String, String)> {
    if found != expected {
        return Some((format!("`{found}`"), format!("`{expected}`")));
    }
    if found_methods == expected_methods {
        return None;
    }
    let place =
        found_methods.iter().zip(expected_methods).take_while(|(found, expected)| found == expected).count();
    let describe = |method: Option<&MethodSpec>| match method {
        Some(method) => format!("`{}` with signature {} at place {place}", method.name, method.fingerprint),
        None => format!("no method at place {place}"),
    };
    let of = |methods: &[MethodSpec]| format!("`{expected}` with {}", describe(methods.get(place)));
    Some((of(found_methods), of(expected_methods)))
}

#[cfg(test)]
mod tests {
    use liveswap_state::Fingerprint;

    use super::*;

    fn method(name: &'static str, signature: &str) -> MethodSpec {
        MethodSpec { name, access: Access::Shared, fingerprint: Fingerprint::of(signature) }
    }

    #[test]
    fn an_interface_is_compared_by_its_name_and_method_by_method_in_order() {
        let (head, add) = (method("head", "a"), method("add", "b"));
        let expected = ("Chain", &[head, add][..]);
        assert_eq!(difference(expected, expected), None);
        let (found, wanted) = difference(("Net", &[head, add]), expected).unwrap();
        assert_eq!((found.as_str(), wanted.as_str()), ("`Net`", "`Chain`"));

        let differs = |methods: &[MethodSpec]| difference(("Chain", methods), expected).unwrap();
        assert_eq!(differs(&[head]).0, "`Chain` with no method at place 1");
        assert!(differs(&[add, head]).0.starts_with("`Chain` with `add` with signature"));
        let (found, wanted) = differs(&[head, method("add", "c")]);
        assert!(found.ends_with(" at place 1") && wanted.ends_with(" at place 1") && found != wanted);
        assert!(differs(&[head, add, add]).1.ends_with("no method at place 2"));
    }
}
