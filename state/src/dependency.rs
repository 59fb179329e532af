//! Dependencies: calls from one module into another, through the host.
//!
//! A library never links another library's code: it names an interface, and the host finds the module. So nothing is
//! resolved by a linker, and either side may be swapped while the other goes on.
//!
//! **How it's found.** [`Context::dependency`] gives the host the interface as the caller was compiled with it: its name and
//! its methods. The host compares them with those that the module was declared with, in their order. If they are equal,
//! fingerprints and all, both sides mean the same functions, for the host accepts no version that offers others.
//!
//! **How it crosses.** [`Dependency::call`] asks the host to enter the module, and runs its work inside: a unit of work
//! like a host's own, on one version from its first call to its last. Each call goes through the host's gate, which
//! borrows the state as the method's receiver says. Nothing is boxed for it: what the caller lends to the host is on its
//! stack.
//!
//! **Panics.** Unwinding must not cross the host's frames, so a panic of the callee comes back as a [`CallError`], and
//! one of the caller's own work is caught before it gets to the host, and goes on behind it.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use thiserror::Error;

use crate::{
    Access, CallError, CodePointer, Context, Encoder, Fenced, Gate, Interface, MethodSpec, Passage, State,
};

/// Why a module can't be had by another one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DependencyError {
    /// The context was made by [`Context::new`], for a test.
    #[error("module `{module}` can't be reached without a host, and the context is one made for tests")]
    NoHost {
        /// What was asked for.
        module: String,
    },
    /// The version is being rehearsed, in a process that has no other modules.
    #[error("module `{module}` can't be reached in a rehearsal: have logic answer an error without it")]
    Rehearsal {
        /// What was asked for.
        module: String,
    },
    /// The host has no such module.
    #[error("unable to find module: {module}: the host has {known}")]
    Unknown {
        /// What was asked for.
        module: String,
        /// The host's modules.
        known: String,
    },
    /// The module was declared with another interface than the caller was built with.
    #[error(
        "module `{module}` has another interface: found {found}, expected {expected}: build the caller and the host with \
         the same one"
    )]
    OtherInterface {
        /// The module.
        module: String,
        /// What the caller was built with, as far as it differs.
        found: String,
        /// What the host declares.
        expected: String,
    },
}

impl DependencyError {
    /// A short word for programs. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHost { .. } => "no-host",
            Self::Rehearsal { .. } => "rehearsal",
            Self::Unknown { .. } => "unknown-module",
            Self::OtherInterface { .. } => "other-interface",
        }
    }
}

/// The host's side of a context: the modules that logic can reach.
///
/// # Safety
///
/// What [`find`](Modules::find) returns is the number of a module whose interface has exactly these methods, and is no
/// other module's, whatever becomes of that one. [`enter`](Modules::enter) calls `work` once, or returns an error. What it
/// lends leads to the code of one version of that module, until `work` returns. Neither unwinds, as long as `work`
/// doesn't.
#[doc(hidden)]
pub unsafe trait Modules: Send + Sync {
    /// The number of the module with this name. `caller` is the [serial number](Context::serial) of the load that asks.
    ///
    /// # Errors
    ///
    /// If there is none, or its interface isn't this one.
    fn find(
        &self,
        caller: usize,
        module: &str,
        interface: &str,
        methods: &[MethodSpec],
    ) -> Result<usize, DependencyError>;

    /// Runs `work` inside the active version of the module that was found; within a unit of work of the same module on this
    /// thread, inside that one's version. False if the module isn't there any more.
    ///
    /// # Errors
    ///
    /// If there is no active version.
    fn enter(&self, module: usize, work: &mut dyn FnMut(&dyn Entered)) -> Result<bool, CallError>;
}

/// Makes one call; true if its result is an error.
#[doc(hidden)]
pub type Crossing<'call> = dyn FnMut(CodePointer, *mut (), &Context) -> Fenced<bool> + 'call;

/// A version that this thread is inside of: a [`Gate`] that can cross from one library into another.
///
/// # Safety
///
/// As [`Gate`]. `call` is called once, unless there is an error.
#[doc(hidden)]
pub unsafe trait Entered {
    /// As [`Gate::pass`].
    ///
    /// # Errors
    ///
    /// As [`Gate::pass`].
    ///
    /// # Safety
    ///
    /// As [`Gate::pass`].
    unsafe fn pass(&self, method: usize, access: Access, call: &mut Crossing<'_>) -> Result<(), CallError>;

    /// As [`Gate::is_recording`].
    fn is_recording(&self) -> bool;

    /// As [`Gate::record`].
    fn record(&self, method: usize, encode: &mut dyn FnMut(&mut Encoder));
}

/// Another module of the host's, by its interface; from [`Context::dependency`]. It's there as long as the call or the hook
/// is that asked for it.
pub struct Dependency<'context, I: Interface + ?Sized> {
    modules: &'context dyn Modules,
    module: usize,
    name: Box<str>,
    interface: PhantomData<fn(&I)>,
}

impl<'context, I: Interface + ?Sized> Dependency<'context, I> {
    /// Looks for a module through the host of `context`.
    ///
    /// # Errors
    ///
    /// If there is none, or its interface isn't `I`.
    pub(crate) fn find(context: &'context Context, module: &str) -> Result<Self, DependencyError> {
        let Some(modules) = context.modules() else {
            return Err(DependencyError::NoHost { module: module.to_owned() });
        };
        let number = modules.find(context.serial(), module, I::NAME, I::METHODS)?;
        Ok(Self { modules, module: number, name: module.into(), interface: PhantomData })
    }

    /// One unit of work: everything that `work` calls runs on one version of the other module, whatever is pushed
    /// meanwhile. The caller stays on its own version, too.
    ///
    /// A call within a call of the same module follows the rules of any nested call, through however many modules it
    /// has come: shared calls run beside each other, and what would wait for itself is refused
    /// ([`CallError::Reentrant`]).
    ///
    /// # Errors
    ///
    /// If there is no active version; and whatever `work` returns. A panic of the other module is an error here.
    pub fn call<R>(
        &self,
        work: impl FnOnce(&I::Proxy<Through<'_>>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let mut work = Some(work);
        let mut outcome: Option<Result<Result<R, CallError>, Box<dyn Any + Send>>> = None;
        let is_there = self.modules.enter(self.module, &mut |entered| {
            let Some(work) = work.take() else { return };
            // SAFETY: it leads to the code of `I`, since the module was found by that.
            let proxy = I::proxy(unsafe { Passage::new(Through(entered)) });
            // It goes on below, so asserting unwind safety hides nothing from anybody.
            outcome = Some(catch_unwind(AssertUnwindSafe(|| work(&proxy))));
        })?;
        if !is_there {
            return Err(CallError::NoActiveVersion { module: self.name.to_string() });
        }
        match outcome.expect("the host has entered, so it has called this") {
            Ok(result) => result,
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl<I: Interface + ?Sized> fmt::Debug for Dependency<'_, I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dependency").field("interface", &I::NAME).finish_non_exhaustive()
    }
}

/// The way into another module, as its proxy has it.
pub struct Through<'entered>(&'entered dyn Entered);

impl fmt::Debug for Through<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Through").finish_non_exhaustive()
    }
}

// SAFETY: it hands on what an `Entered` gives, which promises the same.
unsafe impl Gate for Through<'_> {
    unsafe fn pass<R: State>(
        &self,
        method: usize,
        access: Access,
        call: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
    ) -> Result<R, CallError> {
        let mut call = Some(call);
        let mut result = None;
        let mut once = |code, state: *mut (), context: &Context| {
            let Some(call) = call.take() else { return Ok(false) };
            let answer = call(code, state, context)?;
            let is_error = answer.is_error();
            result = Some(answer);
            Ok(is_error)
        };
        // SAFETY: as the caller vouches. `once` unwinds no more than `call` does.
        unsafe { self.0.pass(method, access, &mut once) }?;
        Ok(result.expect("the host has made the call"))
    }

    fn is_recording(&self) -> bool {
        self.0.is_recording()
    }

    fn record(&self, method: usize, encode: impl FnOnce(&mut Encoder)) {
        let mut encode = Some(encode);
        self.0.record(method, &mut |encoder| {
            if let Some(encode) = encode.take() {
                encode(encoder);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;
    use crate::{Logic, interface};

    #[interface]
    #[expect(dead_code, reason = "an interface's trait is never implemented: it names the methods")]
    trait Notes {
        fn length(text: &str) -> u64;
        fn fails() -> Result<u64, String>;
        fn breaks();
    }

    struct NotesV1;

    impl Logic for NotesV1 {
        type State = u64;

        fn create(_: &Context) -> u64 {
            0
        }
    }

    impl NotesLogic for NotesV1 {
        fn length(_: &Context, text: &str) -> u64 {
            text.len() as u64
        }

        fn fails(_: &Context) -> Result<u64, String> {
            Err("on purpose".to_owned())
        }

        fn breaks(_: &Context) {
            panic!("on purpose")
        }
    }

    /// A host with one module, whose logic is linked in.
    struct Host;

    const NOTES: usize = 3;

    // SAFETY: it's asked for no interface but the one whose code it has, and lends itself.
    unsafe impl Modules for Host {
        fn find(
            &self,
            caller: usize,
            module: &str,
            interface: &str,
            methods: &[MethodSpec],
        ) -> Result<usize, DependencyError> {
            assert_eq!((caller, interface, methods.len()), (7, "Notes", 3));
            let unknown =
                || DependencyError::Unknown { module: module.to_owned(), known: "`notes`".to_owned() };
            match module {
                "notes" => Ok(NOTES),
                "gone" => Ok(NOTES + 1),
                _ => Err(unknown()),
            }
        }

        fn enter(&self, module: usize, work: &mut dyn FnMut(&dyn Entered)) -> Result<bool, CallError> {
            if module == NOTES {
                work(self);
            }
            Ok(module == NOTES)
        }
    }

    // SAFETY: the code is the interface's; no method touches the state.
    unsafe impl Entered for Host {
        unsafe fn pass(&self, method: usize, _: Access, call: &mut Crossing<'_>) -> Result<(), CallError> {
            let code = NotesV1::__LIVESWAP_EXPORT.code()[method];
            let outcome = call(code, std::ptr::null_mut(), &Context::new("notes", "1"));
            let is_error = outcome.map_err(|panic| CallError::Panicked {
                module: "notes".to_owned(),
                version: "1".to_owned(),
                method: <dyn Notes>::METHODS[method].name.to_owned(),
                message: panic.message,
                location: panic.location,
            })?;
            assert_eq!(is_error, <dyn Notes>::METHODS[method].name == "fails");
            Ok(())
        }

        fn is_recording(&self) -> bool {
            false
        }

        fn record(&self, _: usize, _: &mut dyn FnMut(&mut Encoder)) {}
    }

    fn context() -> Context {
        Context::of_load("caller", "1", 7, std::sync::Arc::new(crate::spawn::Nowhere))
            .with_modules(std::sync::Arc::new(Host))
    }

    #[test]
    fn a_call_crosses_with_its_arguments_and_its_result() {
        let context = context();
        let notes = context.dependency::<dyn Notes>("notes").unwrap();
        let both = notes.call(|notes| Ok((notes.length("four")?, notes.fails()?)));
        assert_eq!(both, Ok((4, Err("on purpose".to_owned()))));
    }

    #[test]
    fn a_panic_of_the_callee_is_an_error_and_one_of_the_caller_goes_on() {
        let context = context();
        let notes = context.dependency::<dyn Notes>("notes").unwrap();
        let broken = notes.call(|notes| notes.breaks());
        assert!(matches!(broken, Err(CallError::Panicked { method, .. }) if method == "breaks"));
        let unwound =
            panic::catch_unwind(AssertUnwindSafe(|| notes.call(|_| -> Result<(), _> { panic!("mine") })));
        assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"mine"));
    }

    #[test]
    fn a_module_that_has_gone_since_it_was_found_has_no_version() {
        let context = context();
        let gone = context.dependency::<dyn Notes>("gone").unwrap();
        let answer = gone.call(|notes| notes.length("four"));
        assert_eq!(answer, Err(CallError::NoActiveVersion { module: "gone".to_owned() }));
    }

    #[test]
    fn what_isnt_there_is_an_error_of_its_own() {
        let context = context();
        let unknown = context.dependency::<dyn Notes>("chain").unwrap_err();
        assert_eq!(unknown.code(), "unknown-module");
        assert_eq!(unknown.to_string(), "unable to find module: chain: the host has `notes`");
        let alone = Context::new("caller", "1").dependency::<dyn Notes>("notes").unwrap_err();
        assert_eq!(alone, DependencyError::NoHost { module: "notes".to_owned() });
    }
}
