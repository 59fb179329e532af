//! Calls beside the executor, one at a time: what they block, what becomes of those that are given up, and their errors.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use fixture_api::{Game, Latch};
use liveswap::CallError;
use liveswap_tests::{Host, logic, wait_until};
use liveswap_tokio::{AsyncCallError, AsyncModule, Place};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// An executor with one thread.
fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().on_thread_park(liveswap::on_thread_park);
    builder.build().unwrap()
}

fn module(host: &Host, running_max: usize) -> AsyncModule<dyn Game> {
    AsyncModule::new(host.game(), Place::new(running_max))
}

type Holding = JoinHandle<Result<String, AsyncCallError>>;

/// Releases the call at its end: a test that fails must not wait for it.
struct Release(Arc<Latch>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A call that stays inside until it's released. Returns when it's inside.
fn hold(runtime: &Runtime, module: &AsyncModule<dyn Game>, name: &str) -> (Release, Holding) {
    let latch = Arc::new(Latch::default());
    let held = latch.clone();
    let call = runtime.spawn(module.call(name, move |game| game.hold(&held)));
    wait_until("the call is inside", || latch.is_entered());
    (Release(latch), call)
}

/// What becomes of it without anybody who would wake it.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn p3_06_a_long_call_blocks_no_thread_of_the_executor_and_is_named() {
    let (host, runtime) = (Host::serving(logic("1001")), runtime());
    let module = module(&host, 1);
    let (latch, call) = hold(&runtime, &module, "GET /slow");
    // The executor's only thread is free.
    let brief = module.clone();
    let brief = runtime.spawn(async move { brief.module().call(|game| game.hit(1)) });
    assert_eq!(runtime.block_on(brief).unwrap(), Ok(1));

    host.push(logic("1002"));
    host.commit();
    let retired = host.retired("1001").unwrap();
    let [holder] = &retired.holders[..] else { panic!("{:?}", retired.holders) };
    assert_eq!(holder.label.as_deref(), Some("GET /slow"));
    assert_eq!((holder.holds_by, holder.method), ("call", Some("hold")));
    drop(latch);
    assert_eq!(runtime.block_on(call).unwrap(), Ok("1001".to_owned()));
    host.wait_until_unmapped("1001");
}

#[test]
fn a_place_that_is_full_lets_no_more_in() {
    let (host, runtime) = (Host::serving(logic("1001")), runtime());
    let module = module(&host, 2);
    let held = ["one", "other"].map(|name| hold(&runtime, &module, name));
    let waiting = runtime.spawn(module.call("waits", |game| game.version()));
    assert_eq!(host.status().active.unwrap().in_flight, 2);
    // It takes the version that is active when it begins.
    host.push(logic("1002"));
    assert!(!waiting.is_finished());
    let [(one, first), (other, second)] = held;
    drop(one);
    assert_eq!(runtime.block_on(waiting).unwrap(), Ok("1002".to_owned()));
    assert_eq!(host.status().standby.unwrap().in_flight, 1, "the other one is still there");
    drop(other);
    for call in [first, second] {
        assert_eq!(runtime.block_on(call).unwrap(), Ok("1001".to_owned()));
    }
}

#[test]
fn a_call_that_is_given_up_before_it_begins_is_never_made_and_lets_its_work_go() {
    let (host, runtime) = (Host::serving(logic("1001")), runtime());
    let place = Place::new(1);
    let module = AsyncModule::new(host.game(), place.clone());
    let (latch, call) = hold(&runtime, &module, "holds");
    let belongings = Arc::new(());
    let owned = belongings.clone();
    let mut waiting = Box::pin(module.call("waits", move |game| {
        drop(owned);
        game.hit(1)
    }));
    let is_waiting = runtime.block_on(async { poll_once(&mut waiting).is_pending() });
    assert!(is_waiting);
    drop(waiting);
    assert_eq!(Arc::strong_count(&belongings), 1);
    drop(latch);
    runtime.block_on(call).unwrap().unwrap();
    assert_eq!((place.room(), host.game().call(|game| game.totals()).unwrap().hits), (1, 0));
}

#[test]
fn a_call_that_is_given_up_while_it_runs_goes_on_to_its_end_by_its_name() {
    let (host, runtime) = (Host::serving(logic("1001")), runtime());
    let place = Place::new(1);
    let module = AsyncModule::new(host.game(), place.clone());
    let (latch, call) = hold(&runtime, &module, "GET /slow");
    call.abort();
    assert!(runtime.block_on(call).unwrap_err().is_cancelled());
    let holders = host.status().active.unwrap().holders;
    assert_eq!(holders[0].label.as_deref(), Some("GET /slow"));
    assert_eq!(place.room(), 0);
    drop(latch);
    wait_until("there is room again", || place.room() == 1);
    assert_eq!(host.status().active.unwrap().in_flight, 0);
}

#[test]
fn p3_05_a_lease_goes_from_task_to_task_and_its_last_call_holds_the_version() {
    let (host, runtime) = (Host::serving(logic("1001")), runtime());
    let module = module(&host, 4);
    let lease = runtime.block_on(module.lease("GET /feed")).unwrap();
    host.push(logic("1002"));
    host.commit();
    let lease = runtime.spawn(async move {
        assert_eq!(lease.lease().call(|game| game.version()), Ok("1001".to_owned()));
        tokio::task::yield_now().await;
        assert_eq!(lease.call(|game| game.version()).await, Ok("1001".to_owned()));
        lease
    });
    let lease = runtime.block_on(lease).unwrap();
    let latch = Arc::new(Latch::default());
    let (held, release) = (latch.clone(), Release(latch.clone()));
    let call = runtime.spawn(lease.call(move |game| game.hold(&held)));
    wait_until("the call is inside", || latch.is_entered());
    drop(lease);
    let retired = host.retired("1001").unwrap();
    let how: Vec<_> = retired.holders.iter().map(|it| (it.holds_by, it.label.as_deref())).collect();
    assert_eq!(how, [("call", Some("GET /feed")), ("lease", Some("GET /feed"))]);
    drop(release);
    assert_eq!(runtime.block_on(call).unwrap(), Ok("1001".to_owned()));
    host.wait_until_unmapped("1001");
}

#[test]
fn what_goes_wrong_is_told_to_whoever_awaits() {
    let (host, runtime) = (Host::new(), runtime());
    let module = module(&host, 1);
    let none = AsyncCallError::Call(CallError::NoActiveVersion { module: "logic".into() });
    assert_eq!(runtime.block_on(module.call("GET /", |game| game.version())), Err(none.clone()));
    assert_eq!(runtime.block_on(module.lease("GET /")).unwrap_err(), none);

    host.push(logic("1001"));
    let panicked = runtime.block_on(module.call("GET /", |game| game.panics("oh"))).unwrap_err();
    assert!(
        matches!(&panicked, AsyncCallError::Call(CallError::Panicked { message, .. }) if message == "oh")
    );
    assert_eq!(panicked.code(), "call");

    // The host's own panic is the host's.
    let work = runtime.spawn(module.call("GET /", |_| -> Result<(), CallError> { panic!("my own") }));
    assert!(runtime.block_on(work).unwrap_err().is_panic());
    assert_eq!(runtime.block_on(module.call("GET /", |game| game.version())), Ok("1001".to_owned()));
}

#[test]
fn a_call_without_a_runtime_or_with_one_that_ends_is_an_error() {
    let host = Host::serving(logic("1001"));
    let module = module(&host, 1);
    let call = || module.call("GET /", |game| game.version());
    let Poll::Ready(Err(error)) = poll_once(call()) else { panic!("there is nothing to wait for") };
    assert_eq!((error.code(), error), ("no-runtime", AsyncCallError::NoRuntime { name: "GET /".into() }));

    let runtime = runtime();
    let handle = runtime.handle().clone();
    drop(runtime);
    let entered = handle.enter();
    let Poll::Ready(Err(error)) = poll_once(call()) else { panic!("it's told at once") };
    assert_eq!(
        (error.code(), error),
        ("runtime-ending", AsyncCallError::RuntimeEnding { name: "GET /".into() })
    );
    drop(entered);
}
