//! Spawning: calls that logic asks for and the host makes, later and on a thread of its own.
//!
//! A thread that logic starts runs the code of its version, and holds that version until it ends. So what may
//! wait can't be code. It is the name of a method of the interface, with owned arguments, as in Erlang's
//! `spawn(Module, Function, Arguments)`; which version runs it is decided when it starts.
//!
//! **How it crosses.** [`hand_over`], on the logic's side, boxes the arguments as a tuple and gives the
//! [`Spawner`] its address and the method's [`MethodSpec`]. The host looks for the method among its own. If
//! it has one that is equal, fingerprint and all, both sides mean the same tuple: how it is laid out follows
//! from the types of the arguments and from the compiler, which the fingerprint holds. Then the host turns
//! the address into a [`Job`], a closure that is its own code. From there on nothing of the version that
//! spawned is needed, neither for the call nor for freeing the arguments.

use std::time::Duration;

use thiserror::Error;

use crate::{CallError, Context, Gate, Interface, Lane, MethodSpec, TimerId, When};

/// Why a call can't be spawned. Its arguments are gone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The context was made by [`Context::new`], for a test.
    #[error(
        "`{method}` can't be spawned without a host, and the context is one made for tests: call the method \
         itself"
    )]
    NoHost {
        /// The method.
        method: String,
    },
    /// The host's interface has no such method: it is older or newer than the one that logic was built with.
    #[error(
        "the host's interface of module `{module}` has no method `{method}` with these arguments: spawn only \
         what the host was built with, or build the host with this interface"
    )]
    UnknownMethod {
        /// The module that spawned.
        module: String,
        /// The method that was asked for.
        method: String,
    },
    /// As many spawned calls run, and as many wait in this lane, as the host allows.
    #[error(
        "{running} spawned calls are running and {waiting} are waiting in lane `{lane}`, which is the bound: spawn \
         again when some are done, or give the module a larger pool with the host's `Builder::pool`, or raise \
         `spawned_running_max` or `spawned_waiting_max` if it has none"
    )]
    Full {
        /// How many may run at once.
        running: usize,
        /// How many may wait in the lane.
        waiting: usize,
        /// The lane.
        lane: Lane,
    },
    /// The module has set as many timers as the host allows.
    #[error(
        "module `{module}` has {timers} timers, which is the bound: set it when some are over, call one off, or raise \
         the host's `timers_max`"
    )]
    TooManyTimers {
        /// The module.
        module: String,
        /// How many it may have.
        timers: usize,
    },
    /// The system gave the host no thread.
    #[error("the system gives the host no thread: {reason}: raise its limits, or spawn less at once")]
    NoThread {
        /// The system's own words.
        reason: String,
    },
    /// The engine is ending, or the module has stopped.
    #[error("the engine or the module has stopped, so nothing is begun any more")]
    Stopped,
}

impl SpawnError {
    /// The error's code, for programs. It doesn't change.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHost { .. } => "no-host",
            Self::UnknownMethod { .. } => "unknown-method",
            Self::Full { .. } => "full",
            Self::TooManyTimers { .. } => "too-many-timers",
            Self::NoThread { .. } => "no-thread",
            Self::Stopped => "stopped",
        }
    }
}

/// A spawned call, as the host keeps it: calling it makes the call, dropping it frees the arguments.
#[doc(hidden)]
pub type Job = Box<dyn FnOnce() -> Result<(), CallError> + Send>;

/// The host's side of a context: takes over what the versions of one module spawn.
///
/// # Safety
///
/// If [`spawn`](Spawner::spawn) or [`spawn_after`](Spawner::spawn_after) returns an error, it has left the arguments
/// alone. None of this unwinds.
#[doc(hidden)]
pub unsafe trait Spawner: Send + Sync {
    /// Takes over a call, to make it when its lane has room for it.
    ///
    /// # Errors
    ///
    /// If it won't be made. The arguments are the caller's still.
    ///
    /// # Safety
    ///
    /// `arguments` comes from `Box::into_raw` of the tuple of the arguments that the fingerprint of `method`
    /// states. All of them are owned and `Send`. If it's taken over, the caller doesn't use it any more.
    unsafe fn spawn(&self, lane: Lane, method: &MethodSpec, arguments: *mut ()) -> Result<(), SpawnError>;

    /// Takes over a call, to make it after a time.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Safety
    ///
    /// As [`spawn`](Self::spawn).
    unsafe fn spawn_after(
        &self,
        delay: Duration,
        method: &MethodSpec,
        arguments: *mut (),
    ) -> Result<TimerId, SpawnError>;

    /// Calls a timer off. False if there is none that hasn't begun.
    fn cancel_timer(&self, timer: TimerId) -> bool;
}

/// What a [`Job`] enters its module through, once it runs: the host's handle of a module with the interface
/// `I`.
#[doc(hidden)]
pub trait Enter<I: Interface + ?Sized>: Send + 'static {
    type Gate<'entered>: Gate;

    /// Enters the version that is active now.
    ///
    /// # Errors
    ///
    /// If there is none.
    fn enter(&self) -> Result<I::Proxy<Self::Gate<'_>>, CallError>;
}

/// Hands a call over to the host of `context`. Used by `#[interface]`.
///
/// # Errors
///
/// If it won't be made. The arguments are dropped then.
///
/// # Safety
///
/// `Arguments` is the tuple of the arguments of `method`, in their order, and all of them are owned.
#[doc(hidden)]
pub unsafe fn hand_over<Arguments: Send + 'static, W: When>(
    context: &Context,
    when: W,
    method: &MethodSpec,
    arguments: Arguments,
) -> Result<W::Receipt, SpawnError> {
    let Some(spawner) = context.spawner() else {
        return Err(SpawnError::NoHost { method: method.name.to_owned() });
    };
    let arguments = Box::into_raw(Box::new(arguments));
    // SAFETY: from a box of the arguments, as the caller vouches; used below only if the host left it alone.
    let handed_over = unsafe { when.hand_over(spawner, method, arguments.cast()) };
    if handed_over.is_err() {
        // SAFETY: from the box above, and on an error it's still ours.
        drop(unsafe { Box::from_raw(arguments) });
    }
    handed_over
}

/// Takes nothing over: for a context whose host runs nothing later.
#[doc(hidden)]
#[derive(Debug)]
pub struct Nowhere;

// SAFETY: it leaves the arguments alone, and doesn't unwind.
unsafe impl Spawner for Nowhere {
    unsafe fn spawn(&self, _: Lane, _: &MethodSpec, _: *mut ()) -> Result<(), SpawnError> {
        Err(SpawnError::Stopped)
    }

    unsafe fn spawn_after(&self, _: Duration, _: &MethodSpec, _: *mut ()) -> Result<TimerId, SpawnError> {
        Err(SpawnError::Stopped)
    }

    fn cancel_timer(&self, _: TimerId) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{Access, CodePointer, Fenced, State, interface};

    #[interface]
    #[expect(dead_code, reason = "an interface's trait is never implemented: it names the methods")]
    trait Notes {
        fn read(text: &str);
        fn keep(text: Arc<String>, times: u64);
        fn forget();
    }

    /// A module without an active version.
    struct Closed;

    impl Enter<dyn Notes> for Closed {
        type Gate<'entered> = NoWay;

        fn enter(&self) -> Result<NotesProxy<NoWay>, CallError> {
            Err(CallError::NoActiveVersion { module: "notes".to_owned() })
        }
    }

    struct NoWay;

    // SAFETY: it calls nothing.
    unsafe impl Gate for NoWay {
        unsafe fn pass<R: State>(
            &self,
            _: usize,
            _: Access,
            _: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
        ) -> Result<R, CallError> {
            unreachable!("nobody gets in")
        }
    }

    /// Keeps the jobs, up to a number of them.
    struct Keeper {
        jobs: Mutex<Vec<Job>>,
        limit: usize,
    }

    // SAFETY: on an error the arguments haven't been looked at.
    unsafe impl Spawner for Keeper {
        unsafe fn spawn(
            &self,
            lane: Lane,
            method: &MethodSpec,
            arguments: *mut (),
        ) -> Result<(), SpawnError> {
            let mut jobs = self.jobs.lock().unwrap();
            if jobs.len() == self.limit {
                return Err(SpawnError::Full { running: 0, waiting: self.limit, lane });
            }
            let number = <dyn Notes>::METHODS.iter().position(|known| known == method).unwrap();
            // SAFETY: the arguments are those of the method, which was just found to be this one.
            jobs.push(unsafe { <dyn Notes>::job(number, arguments, Closed) });
            Ok(())
        }

        unsafe fn spawn_after(
            &self,
            delay: Duration,
            method: &MethodSpec,
            arguments: *mut (),
        ) -> Result<TimerId, SpawnError> {
            // SAFETY: the same promise.
            unsafe { self.spawn(Lane::Normal, method, arguments) }?;
            Ok(TimerId::of(delay.as_secs()))
        }

        fn cancel_timer(&self, timer: TimerId) -> bool {
            timer.number() == 3
        }
    }

    fn host(limit: usize) -> (Context, Arc<Keeper>) {
        let keeper = Arc::new(Keeper { jobs: Mutex::default(), limit });
        (Context::of_load("notes", "1", 1, keeper.clone()), keeper)
    }

    #[test]
    fn without_a_host_nothing_is_spawned() {
        let text = Arc::new("text".to_owned());
        let spawned = Context::new("notes", "1").spawn::<dyn Notes>().keep(text.clone(), 1);
        assert_eq!(spawned, Err(SpawnError::NoHost { method: "keep".to_owned() }));
        assert_eq!(Arc::strong_count(&text), 1);
    }

    #[test]
    fn what_the_host_refuses_is_freed() {
        let (context, _) = host(0);
        let text = Arc::new("text".to_owned());
        let spawned = context.spawn::<dyn Notes>().keep(text.clone(), 1);
        assert_eq!(spawned, Err(SpawnError::Full { running: 0, waiting: 0, lane: Lane::Normal }));
        let spawned = context.spawn_in::<dyn Notes>(Lane::Low).keep(text.clone(), 1);
        assert_eq!(spawned, Err(SpawnError::Full { running: 0, waiting: 0, lane: Lane::Low }));
        assert_eq!(Arc::strong_count(&text), 1);
    }

    #[test]
    fn a_timer_is_set_through_the_same_methods_and_is_called_off_by_what_they_give() {
        let (context, keeper) = host(1);
        let after = |seconds| context.after::<dyn Notes>(Duration::from_secs(seconds));
        assert_eq!(after(3).keep(Arc::default(), 1), Ok(TimerId::of(3)));
        assert!(context.cancel_timer(TimerId::of(3)) && !context.cancel_timer(TimerId::of(4)));
        assert_eq!(keeper.jobs.lock().unwrap().len(), 1);
        assert_eq!(after(3).forget().map_err(|error| error.code()), Err("full"));

        let alone = Context::new("notes", "1");
        let refused = alone.after::<dyn Notes>(Duration::ZERO).forget();
        assert_eq!(refused, Err(SpawnError::NoHost { method: "forget".to_owned() }));
        assert!(!alone.cancel_timer(TimerId::of(3)));
    }

    #[test]
    fn a_job_frees_its_arguments_whether_it_is_dropped_or_called_in_vain() {
        let (context, keeper) = host(3);
        let text = Arc::new("text".to_owned());
        let spawn = context.spawn::<dyn Notes>();
        assert_eq!(spawn.keep(text.clone(), 1), Ok(()));
        assert_eq!(spawn.keep(text.clone(), 2), Ok(()));
        assert_eq!(spawn.forget(), Ok(()));
        assert_eq!(Arc::strong_count(&text), 3);

        let mut jobs = keeper.jobs.lock().unwrap().drain(..).collect::<Vec<_>>().into_iter();
        drop(jobs.next());
        assert_eq!(Arc::strong_count(&text), 2);
        let no_version = CallError::NoActiveVersion { module: "notes".to_owned() };
        assert_eq!(jobs.next().unwrap()(), Err(no_version.clone()));
        assert_eq!(Arc::strong_count(&text), 1);
        assert_eq!(jobs.next().unwrap()(), Err(no_version));
    }
}
