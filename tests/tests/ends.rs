//! The end of an engine, and of one that never began: nothing is left behind that isn't still in use.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fixture_api::{Game, Latch};
use liveswap::{BuildError, Engine};
use liveswap_state::CallError;
use liveswap_tests::{Host, logic, wait_until};

#[test]
fn with_a_call_inside_the_code_stays_and_the_folder_is_free_again() {
    let place = tempfile::tempdir().unwrap();
    let build = || {
        let builder = Engine::builder().module::<dyn Game>("logic").private_folder(place.path());
        builder.drain_deadline(Duration::from_millis(50)).build()
    };
    let engine = build().unwrap();
    engine.push(logic("1001")).unwrap();
    let game = engine.module::<dyn Game>("logic").unwrap();
    let latch = Arc::new(Latch::default());
    let call = thread::spawn({
        let (game, latch) = (game.clone(), latch.clone());
        move || game.call(|game| game.hold_shared(&latch))
    });
    wait_until("the call is inside", || latch.is_entered());
    drop(engine);

    let no_version = Err(CallError::NoActiveVersion { module: "logic".to_owned() });
    assert_eq!(game.call(|game| game.version()), no_version);
    let left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"], "no private copy is left");
    build().unwrap();
    latch.release();
    assert_eq!(call.join().unwrap(), Ok("1001".to_owned()), "its code and its state were left alone");
}

#[test]
fn a_deadline_beyond_all_time_is_no_deadline() {
    let host = Host::with(|builder, _| builder.drain_deadline(Duration::MAX));
    host.push(logic("1001"));
    host.push(logic("1002"));
    host.commit();
    host.wait_until_unmapped("1001");
    drop(host);
}

/// Alone among the tests here in counting threads by a name that no other test's engine leaves behind: those
/// of engines that have ended.
#[test]
fn an_engine_that_can_t_be_built_leaves_no_thread() {
    let host = Host::new();
    let taken = host.folder().join("private");
    let threads = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.filter(|name| name.starts_with("liveswap-")).count()
    };
    const FAILURES: usize = 64;
    for _ in 0..FAILURES {
        let built = Engine::builder().module::<dyn Game>("logic").private_folder(&taken).build();
        assert!(matches!(built, Err(BuildError::System { .. })), "{built:?}");
    }
    // The other tests' engines come and go, but they are few.
    wait_until("their threads have ended", || threads() < FAILURES / 2);
}
