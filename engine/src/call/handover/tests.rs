use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use liveswap_state::{
    Access, CallError, CodePointer, Context, Fingerprint, Gate as _, MethodSpec, fence::Panic,
};

use super::super::participants::Hold;
use super::super::suspicion::SuspectPolicy;
use super::super::{Bell, FIRST_GENERATION, Guard, Lease, StatePointer};
use super::*;

const LOOK: usize = 0;
const READ: usize = 1;
const WRITE: usize = 2;

const METHODS: &[MethodSpec] =
    &[method("look", Access::Stateless), method("read", Access::Shared), method("write", Access::Exclusive)];

const fn method(name: &'static str, access: Access) -> MethodSpec {
    MethodSpec { name, access, fingerprint: Fingerprint::of(name) }
}

fn path(policy: SuspectPolicy) -> Arc<CallPath> {
    Arc::new(CallPath::new("logic".into(), METHODS, Arc::new(Bell::new()), policy))
}

/// A version whose code isn't called; its number is that of its generation.
fn version(generation: usize) -> Arc<Version> {
    Arc::new(Version {
        serial: 100 + generation,
        code: vec![CodePointer(std::ptr::null()); METHODS.len()].into(),
        state: StatePointer(std::ptr::null_mut()),
        generation,
        context: Arc::new(Context::new("logic", generation.to_string())),
        meter: None,
        recorder: None,
    })
}

/// A module whose first version is published, and that.
fn serving(policy: SuspectPolicy) -> (Arc<CallPath>, Arc<Version>) {
    let (path, first) = (path(policy), version(FIRST_GENERATION));
    path.publish(first.clone());
    (path, first)
}

/// One call by who is inside. Gives the version that it runs on.
fn call(guard: &Guard<'_>, method: usize) -> Result<String, CallError> {
    call_with(guard, method, || {})
}

fn call_with(guard: &Guard<'_>, method: usize, work: impl FnOnce()) -> Result<String, CallError> {
    let call = |_: CodePointer, _: *mut (), context: &Context| {
        work();
        Ok(context.version().to_owned())
    };
    // SAFETY: the interface is `METHODS`, and nothing here is code of logic.
    unsafe { guard.pass(method, METHODS[method].access, call) }
}

fn call_once(path: &Arc<CallPath>, method: usize) -> Result<String, CallError> {
    call(&Guard::enter(path).map_err(|error| *error)?, method)
}

fn panic_in(path: &Arc<CallPath>, method: usize) -> CallError {
    let panic = || Box::new(Panic { message: "half".into(), location: "here".into() });
    let guard = Guard::enter(path).unwrap();
    let call = |_: CodePointer, _: *mut (), _: &Context| Err::<(), _>(panic());
    // SAFETY: as in `call_with`.
    unsafe { guard.pass(method, METHODS[method].access, call) }.unwrap_err()
}

fn begin(path: &Arc<CallPath>, from: &Arc<Version>) -> HandOver {
    let deadline = Instant::now() + Duration::from_secs(20);
    HandOver::begin(path, from, deadline).unwrap_or_else(|holders| panic!("{holders:?} are in the way"))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(10)
}

/// A thread that is in a call until it is told to go on.
struct Inside {
    go_on: Sender<()>,
    thread: JoinHandle<Result<String, CallError>>,
}

impl Inside {
    /// In a call of this method; `then` is what it does afterwards, by the same guard.
    fn call(
        path: &Arc<CallPath>,
        method: usize,
        then: impl FnOnce(&Guard<'_>) -> Result<String, CallError> + Send + 'static,
    ) -> Self {
        Self::run(path, move |guard, stay| {
            call_with(guard, method, stay)?;
            then(guard)
        })
    }

    fn run(
        path: &Arc<CallPath>,
        work: impl FnOnce(&Guard<'_>, &mut dyn FnMut()) -> Result<String, CallError> + Send + 'static,
    ) -> Self {
        let (path, (go_on, stay), (here, is_here)) = (path.clone(), mpsc::channel(), mpsc::channel());
        let run = move || {
            let guard = Guard::enter(&path).map_err(|error| *error)?;
            work(&guard, &mut || wait_inside(&here, &stay))
        };
        let thread = thread::Builder::new().name("inside".into()).spawn(run).unwrap();
        is_here.recv().unwrap();
        Self { go_on, thread }
    }

    fn go_on(self) -> Result<String, CallError> {
        self.go_on.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

fn wait_inside(here: &Sender<()>, stay: &Receiver<()>) {
    here.send(()).unwrap();
    stay.recv().unwrap();
}

fn is_superseded(outcome: &Result<String, CallError>) -> bool {
    matches!(outcome, Err(CallError::Superseded { module, version, .. }) if (&**module, &**version) == ("logic", "1"))
}

/// Calls `method` through the lease on another thread; what is returned tells when that's in.
fn call_leased(lease: Lease, method: usize) -> (Receiver<()>, JoinHandle<Result<String, CallError>>) {
    let (here, is_here) = mpsc::channel();
    let run = move || {
        let guard = lease.enter().map_err(|error| *error)?;
        here.send(()).unwrap();
        call(&guard, method)
    };
    (is_here, thread::spawn(run))
}

#[test]
fn a_call_through_a_lease_is_held_at_the_door_as_all_others_are() {
    let (path, first) = serving(SuspectPolicy::Continue);
    let lease = || Lease::take(&path, "lease".into()).unwrap();
    let (reading, looking) = (lease(), lease());
    let moment = begin(&path, &first);
    let ((is_in, reading), (other_is_in, looking)) = (call_leased(reading, READ), call_leased(looking, LOOK));
    // If they came in, they'd have time to.
    assert!(is_in.recv_timeout(Duration::from_millis(100)).is_err());
    assert!(other_is_in.try_recv().is_err());
    moment.publish(version(2));
    assert!(is_superseded(&reading.join().unwrap()));
    assert_eq!(looking.join().unwrap().unwrap(), "1");
}

#[test]
fn the_thread_that_has_the_moment_does_not_wait_for_itself_through_a_lease() {
    let (path, first) = serving(SuspectPolicy::Continue);
    let lease = Lease::take(&path, "lease".into()).unwrap();
    let moment = begin(&path, &first);
    let guard = lease.enter().unwrap();
    assert_eq!(call(&guard, LOOK).unwrap(), "1");
    assert!(matches!(call(&guard, READ), Err(CallError::Reentrant { .. })));
    drop(guard);
    moment.publish(version(2));
    assert!(is_superseded(&call(&lease.enter().unwrap(), READ)));
}

#[test]
fn a_lease_lets_in_where_the_module_has_stopped() {
    let (path, _) = serving(SuspectPolicy::Continue);
    let lease = Lease::take(&path, "lease".into()).unwrap();
    path.stop();
    assert_eq!(call(&lease.enter().unwrap(), READ).unwrap(), "1");
}

#[test]
fn calls_run_on_the_next_version_when_the_state_was_handed_over() {
    let (path, first) = serving(SuspectPolicy::Continue);
    assert_eq!(call_once(&path, READ).unwrap(), "1");
    begin(&path, &first).publish(version(2));
    for method in [LOOK, READ, WRITE] {
        assert_eq!(call_once(&path, method).unwrap(), "2");
    }
}

#[test]
fn who_is_in_the_way_is_named_and_all_is_as_before() {
    let (path, first) = serving(SuspectPolicy::Continue);
    for method in [READ, WRITE] {
        let inside = Inside::call(&path, method, |_| Ok(String::new()));
        let holders = HandOver::begin(&path, &first, soon()).err().expect("somebody is in the way");
        let named: Vec<_> = holders.iter().map(|holder| (&*holder.thread, holder.hold)).collect();
        assert_eq!(named, [("inside", Hold::Call(Some(method)))]);
        assert_eq!(call_once(&path, LOOK).unwrap(), "1");
        inside.go_on().unwrap();
        assert_eq!(call_once(&path, READ).unwrap(), "1");
    }
    begin(&path, &first).publish(version(2));
}

#[test]
fn a_guard_between_two_calls_is_in_the_way() {
    let (path, first) = serving(SuspectPolicy::Continue);
    let inside = Inside::run(&path, |guard, stay| {
        call(guard, READ)?;
        stay();
        call(guard, READ)
    });
    let holders = HandOver::begin(&path, &first, soon()).err().expect("somebody is in the way");
    assert_eq!(holders[0].hold, Hold::Call(None));
    assert_eq!(inside.go_on().unwrap(), "1");
    begin(&path, &first).publish(version(2));
}

#[test]
fn a_call_that_comes_meanwhile_goes_on_with_the_version_that_is_published_then() {
    let (path, first) = serving(SuspectPolicy::Continue);
    for (to, expected) in [(first.clone(), "1"), (version(2), "2")] {
        let hand_over = begin(&path, &first);
        let (done, is_done) = mpsc::channel();
        let threads = [LOOK, READ, WRITE].map(|method| {
            let (path, done) = (path.clone(), done.clone());
            thread::spawn(move || {
                let version = call_once(&path, method);
                done.send(()).unwrap();
                version
            })
        });
        assert!(is_done.recv_timeout(Duration::from_millis(20)).is_err(), "it waits at the door");
        hand_over.publish(to);
        for thread in threads {
            assert_eq!(thread.join().unwrap().unwrap(), expected);
        }
    }
}

#[test]
fn who_was_in_a_call_without_state_comes_too_late_for_it() {
    let (path, first) = serving(SuspectPolicy::Continue);
    for method in [READ, WRITE] {
        let inside = Inside::call(&path, LOOK, move |guard| {
            assert_eq!(call(guard, LOOK).unwrap(), "1", "its code is still there");
            call(guard, method)
        });
        begin(&path, &first).publish(version(2));
        assert!(is_superseded(&inside.go_on()));
        assert_eq!(call_once(&path, method).unwrap(), "2");
        begin(&path, &version(2)).publish(first.clone());
    }
}

#[test]
fn who_comes_back_to_the_state_while_it_is_turned_over_waits_at_the_gate() {
    let (path, first) = serving(SuspectPolicy::Continue);
    let inside = [READ, WRITE].map(|method| Inside::call(&path, LOOK, move |guard| call(guard, method)));
    let hand_over = begin(&path, &first);
    inside.iter().for_each(|it| it.go_on.send(()).unwrap());
    thread::sleep(Duration::from_millis(20));
    assert!(inside.iter().all(|it| !it.thread.is_finished()));
    hand_over.publish(version(2));
    for it in inside {
        assert!(is_superseded(&it.thread.join().unwrap()));
    }
}

/// What announces that a call has the state alone: the method that is noted is the inner one.
#[test]
fn an_exclusive_call_is_in_the_way_and_named_while_one_without_state_is_within_it() {
    let (path, first) = serving(SuspectPolicy::Continue);
    let inner = path.clone();
    let inside = Inside::run(&path, move |guard, stay| {
        call_with(guard, WRITE, || {
            call_with(&Guard::enter(&inner).unwrap(), LOOK, stay).unwrap();
        })
    });
    let holders = HandOver::begin(&path, &first, soon()).err().expect("somebody is in the way");
    assert_eq!(holders.len(), 1);
    assert!(path.alone_by(soon(), || ()).is_none());
    assert_eq!(path.in_the_state().len(), 1);
    inside.go_on().unwrap();
    assert_eq!(path.in_the_state().len(), 0);
}

#[test]
fn nobody_waits_for_a_state_that_is_lost_and_the_next_one_is_let_to() {
    let (path, first) = serving(SuspectPolicy::Stop);
    panic_in(&path, WRITE);
    let inside = [READ, WRITE].map(|method| Inside::call(&path, LOOK, move |guard| call(guard, method)));
    let next = begin(&path, &first).give_up();
    assert!(matches!(call_once(&path, LOOK), Err(CallError::NoActiveVersion { .. })));
    for it in inside {
        assert!(is_superseded(&it.go_on()));
    }
    path.publish(version(next));
    for method in [READ, WRITE] {
        assert_eq!(call_once(&path, method).unwrap(), next.to_string());
    }
}

/// The engine's own thread has gone down in the middle of it.
#[test]
fn a_hand_over_that_is_dropped_never_brings_the_old_version_back() {
    let (path, first) = serving(SuspectPolicy::Continue);
    let inside = Inside::call(&path, LOOK, |guard| call(guard, READ));
    drop(begin(&path, &first));
    assert!(matches!(call_once(&path, READ), Err(CallError::NoActiveVersion { .. })));
    assert!(is_superseded(&inside.go_on()));
}

#[test]
fn calls_stay_away_from_a_suspect_state_until_it_is_trusted() {
    let (path, first) = serving(SuspectPolicy::Stop);
    let inside = Inside::call(&path, LOOK, |guard| call(guard, READ));
    assert!(matches!(panic_in(&path, READ), CallError::Panicked { .. }));
    assert_eq!(call_once(&path, WRITE).unwrap(), "1", "a shared call has changed nothing");
    assert!(matches!(panic_in(&path, WRITE), CallError::Panicked { .. }));

    let is_suspect = |outcome| matches!(outcome, Err(CallError::Suspect { by, .. }) if by == "write");
    assert!(is_suspect(inside.go_on()));
    assert!(is_suspect(call_once(&path, READ)));
    assert!(is_suspect(call_once(&path, WRITE)));
    assert_eq!(call_once(&path, LOOK).unwrap(), "1");

    begin(&path, &first).publish(version(2));
    assert!(is_suspect(call_once(&path, READ)), "turning it over doesn't mend it");
    assert_eq!(call_once(&path, LOOK).unwrap(), "2");
    assert!(path.trust(2, soon()));
    assert_eq!(call_once(&path, READ).unwrap(), "2");
    assert_eq!(call_once(&path, WRITE).unwrap(), "2");
    assert_eq!(path.suspicions.current(), None);
}

#[test]
fn a_state_that_another_one_has_taken_the_place_of_is_not_suspect() {
    let (path, first) = serving(SuspectPolicy::Restore);
    panic_in(&path, WRITE);
    let mut hand_over = begin(&path, &first);
    hand_over.trust();
    hand_over.publish(version(2));
    assert_eq!(call_once(&path, READ).unwrap(), "2");
}

#[test]
fn calls_go_on_if_the_host_wants_that() {
    let (path, _) = serving(SuspectPolicy::Continue);
    panic_in(&path, WRITE);
    assert_eq!(call_once(&path, READ).unwrap(), "1");
    assert_eq!(path.suspicions.current().unwrap().method, "write");
}

/// The host's subscriber may call a module on the thread that is telling it something.
#[test]
fn a_call_by_the_thread_that_has_the_state_alone_is_refused_and_waits_for_nobody() {
    let (path, first) = serving(SuspectPolicy::Continue);
    let outcomes =
        path.alone_by(soon(), || [LOOK, READ, WRITE].map(|method| call_once(&path, method))).unwrap();
    let [look, read, write] = outcomes;
    assert_eq!(look.unwrap(), "1");
    assert!(matches!(read, Err(CallError::Reentrant { .. })));
    assert!(matches!(write, Err(CallError::Reentrant { .. })));

    let hand_over = begin(&path, &first);
    assert!(matches!(call_once(&path, LOOK), Err(CallError::NoActiveVersion { .. })));
    hand_over.publish(version(2));
    for method in [LOOK, READ, WRITE] {
        assert_eq!(call_once(&path, method).unwrap(), "2");
    }
}
