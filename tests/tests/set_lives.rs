//! Sets whose members begin with one push: initialized and started in their order, or by hand; and what a host is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fixture_api::life::Life;
use fixture_api::world::Realm;
use liveswap::{Builder, Engine, Event, LifecyclePhase, Moment, Push, PushOutcome, Registration, SwapStep};
use liveswap_tests::log::Log;
use liveswap_tests::outcome::refused;
use liveswap_tests::sets::{MEMBERS, SET, SetHost, candidate, first, second};
use liveswap_tests::{Fixture, Patched, world};
use tempfile::TempDir;

/// A first version of a module, whose hooks keep a diary. Tests have modules of their own: the log is the process's.
fn life(module: &str) -> Push {
    candidate(module, &Fixture::life("chain", "1"))
}

/// An engine with a set of two modules, of which the second requires the first.
fn engine(
    first: fn() -> Registration,
    names: [&'static str; 2],
    change: impl FnOnce(Builder) -> Builder,
) -> (Engine, TempDir) {
    Log::of_this_process();
    let folder = tempfile::tempdir().unwrap();
    let second = Registration::of::<dyn Life>(names[1]).requires(first);
    let builder = Engine::builder().register(second).set(SET, names).private_folder(folder.path());
    (change(builder).build().unwrap(), folder)
}

/// What these modules' hooks have told.
fn told(modules: [&str; 2]) -> Vec<String> {
    let records = Log::of_this_process().records().into_iter();
    let told = records.filter(|record| record.target == "fixture_life");
    let told = told.map(|record| record.text("message").to_owned());
    told.filter(|told| modules.contains(&told.split(' ').next().unwrap())).collect()
}

fn diary(engine: &Engine, module: &str) -> Vec<String> {
    engine.module::<dyn Life>(module).unwrap().call(|life| life.diary()).unwrap()
}

/// A host's function that refuses the hand-over of a module once.
fn refuses_once(module: &'static str) -> impl Fn(&Moment) -> Result<(), String> + Send + Sync + 'static {
    let refuses = AtomicBool::new(true);
    move |moment| {
        let is_it = moment.step == SwapStep::HandOver && moment.module.as_deref() == Some(module);
        if is_it && refuses.swap(false, Ordering::SeqCst) { Err("not now".to_owned()) } else { Ok(()) }
    }
}

#[test]
fn p4_07_first_versions_of_a_set_are_initialized_and_then_started_in_their_order() {
    let (engine, _folder) = engine(|| Registration::of::<dyn Life>("a1"), ["a1", "a2"], |builder| builder);
    engine.push_set(SET, [life("a2"), life("a1")]).unwrap();
    let hooks =
        ["initialize", "start"].into_iter().flat_map(|hook| ["a1", "a2"].map(|m| format!("{m} {hook}")));
    let told: Vec<_> = told(["a1", "a2"]).into_iter().filter(|told| !told.ends_with("create")).collect();
    assert_eq!(told, hooks.collect::<Vec<_>>());
    for module in ["a1", "a2"] {
        assert_eq!(diary(&engine, module), ["initialize", "start"]);
        assert_eq!(engine.lifecycle(module).unwrap(), LifecyclePhase::Started);
    }
}

#[test]
fn p4_07_no_first_version_is_initialized_before_all_have_handed_over() {
    let first = || Registration::of::<dyn Life>("b1");
    let (engine, _folder) = engine(first, ["b1", "b2"], |builder| builder.on_step(refuses_once("b2")));
    let push = || engine.push_set(SET, [life("b1"), life("b2")]);
    refused("withheld", push());
    let initialized = || {
        let told = told(["b1", "b2"]).into_iter();
        told.filter(|told| told.ends_with("initialize")).collect::<Vec<_>>()
    };
    assert_eq!(initialized(), [""; 0]);
    push().unwrap();
    assert_eq!(initialized(), ["b1 initialize", "b2 initialize"]);
}

/// The first member's state, a large one, is the next version's already when the second's hook fails.
#[test]
fn p4_07_a_first_version_that_cant_be_initialized_calls_all_off() {
    const ENTITIES: u64 = 1000;
    let folder = tempfile::tempdir().unwrap();
    let builder = Engine::builder().module::<dyn Realm>("chain").module::<dyn Life>("net");
    let engine = builder.set(SET, ["chain", "net"]).private_folder(folder.path()).build().unwrap();
    engine.push(candidate("chain", &world::fixture(1))).unwrap();
    let chain = engine.module::<dyn Realm>("chain").unwrap();
    chain.call(|realm| realm.fill(0, ENTITIES)).unwrap();
    let before = chain.call(|realm| realm.figures()).unwrap();

    let upgrade = |net| engine.push_set(SET, [candidate("chain", &world::fixture(2)), net]);
    let fails = candidate("net", &Fixture::life("chain", "1").feature("initialize-fails"));
    refused("lifecycle-failed", upgrade(fails));
    assert_eq!(chain.call(|realm| realm.schema()).unwrap(), 1);
    assert_eq!(chain.call(|realm| realm.figures()).unwrap(), before);
    let net = engine.status().modules.remove(1);
    assert_eq!((net.active.is_none(), net.lifecycle), (true, LifecyclePhase::Registered));

    upgrade(candidate("net", &Fixture::life("chain", "2"))).unwrap();
    assert_eq!(chain.call(|realm| realm.schema()).unwrap(), 2);
    assert_eq!(diary(&engine, "net"), ["initialize", "start"]);
}

#[test]
fn p4_07_by_hand_first_versions_that_come_as_one_wait_as_single_ones_do() {
    let first = || Registration::of::<dyn Life>("d1");
    let (engine, _folder) = engine(first, ["d1", "d2"], Builder::start_by_hand);
    let waits = |outcome: &PushOutcome, expected: &str| match outcome {
        PushOutcome::Waiting { module, version } => {
            assert_eq!((module.as_str(), version.to_string().as_str()), (expected, "1"));
        }
        other => panic!("{other:?}"),
    };
    // One that is refused keeps the others from waiting.
    let other = Patched::of(Fixture::life("chain", "1").build()).module("d2").compiler("no compiler");
    let other = Push::content("d2.v1.so", other.bytes().to_vec());
    refused("wrong-compiler", engine.push_set(SET, [life("d1"), other]));
    assert_eq!(engine.initialize_modules().unwrap_err().code(), "no-version");

    let pushed = engine.push_set(SET, [life("d2"), life("d1")]).unwrap();
    waits(&pushed.members[0], "d2");
    waits(&pushed.members[1], "d1");
    assert_eq!(told(["d1", "d2"]), [""; 0]);
    assert!(engine.status().modules.iter().all(|module| module.active.is_none()));

    engine.initialize_modules().unwrap();
    engine.start_modules().unwrap();
    let told: Vec<_> = told(["d1", "d2"]).into_iter().filter(|told| !told.ends_with("create")).collect();
    assert_eq!(told, ["d1 initialize", "d2 initialize", "d1 start", "d2 start"]);
}

#[test]
fn p4_07_by_hand_what_serves_is_swapped_beside_a_first_version_that_waits() {
    let first = || Registration::of::<dyn Life>("e1");
    let (engine, _folder) = engine(first, ["e1", "e2"], Builder::start_by_hand);
    engine.push(life("e1")).unwrap();
    engine.initialize_module("e1").unwrap();
    let pushed = engine.push_set(SET, [life("e2"), candidate("e1", &Fixture::life("chain", "2"))]).unwrap();
    let [PushOutcome::Waiting { .. }, PushOutcome::Published(published)] = &pushed.members[..] else {
        panic!("{pushed:?}")
    };
    assert_eq!((published.module.as_str(), published.swap.to.to_string().as_str()), ("e1", "2"));
    engine.initialize_modules().unwrap();
    assert_eq!(diary(&engine, "e2"), ["initialize"]);
}

#[test]
fn p4_07_a_host_is_told_of_each_candidate_of_a_set() {
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let noted = events.clone();
    let host =
        SetHost::with(|builder| builder.on_event(move |event| noted.lock().unwrap().push(event.clone())));
    let take = || std::mem::take(&mut *events.lock().unwrap());
    let reloaded = |from: Option<&str>, to: &str| {
        let number = |text: &str| text.parse().unwrap();
        let events = MEMBERS.map(|module| Event::Reloaded {
            module: module.to_owned(),
            from: from.map(number),
            to: number(to),
        });
        events.to_vec()
    };
    host.push(MEMBERS.map(first));
    assert_eq!(take(), reloaded(None, "1001"));
    host.push(MEMBERS.map(second));
    assert_eq!(take(), reloaded(Some("1001"), "1002"));
    // What serves already is no news.
    host.push(MEMBERS.map(second));
    assert_eq!(take(), []);

    host.refused("module-twice", [first("net"), second("pool"), first("net")]);
    let failed = take().into_iter().map(|event| match event {
        Event::Failed { candidate, code, message } => {
            assert!(message.contains("two candidates for module `net`"), "{message}");
            (candidate, code)
        }
        other => panic!("{other:?}"),
    });
    let names = ["net.v1001.so", "pool.v1002.so", "net.v1001.so"];
    assert_eq!(failed.collect::<Vec<_>>(), names.map(|name| (name.to_owned(), "module-twice")));
}
