//! Several instances of one factory: each a module of its own, and all with one version.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fixture_api::links::Link;
use fixture_api::trial::Trial;
use fixture_api::{Game, Latch};
use liveswap::{
    BuildError, CallError, Engine, InstanceError, LifecyclePhase, Push, PushOutcome, Registration, SwapStep,
};
use liveswap_tests::log::Log;
use liveswap_tests::rooms::{FACTORY, Rooms, instance, room, trial};
use liveswap_tests::sets::candidate;
use liveswap_tests::{Fixture, comes_true, maps, trial as probation, wait_until};

fn no_version<T: std::fmt::Debug>(answer: Result<T, CallError>) {
    assert!(matches!(answer, Err(CallError::NoActiveVersion { .. })), "{answer:?}");
}

#[test]
fn p0_04_several_instances_of_one_module_each_with_its_own_options_and_dependencies() {
    let link = |module: &'static str| Fixture::link(module, "1001").build();
    let host = Rooms::of::<dyn Link>(|builder, _| {
        let builder = builder.module::<dyn Link>("chain").module::<dyn Link>("net");
        builder.option("hall", "greeting", "as declared")
    });
    host.push(link("chain"));
    host.push(link("net"));
    host.push(link(FACTORY));
    host.create(instance("lobby").option("greeting", "hello").requires("chain"));
    host.create(instance("hall").option("greeting", "good day").requires("net"));
    let [lobby, hall] = ["lobby", "hall"].map(|name| host.module::<dyn Link>(name));
    let greeting = |room: &liveswap::Module<dyn Link>| room.call(|room| room.option("greeting")).unwrap();
    assert_eq!(greeting(&lobby), Ok("hello".to_owned()));
    assert_eq!(greeting(&hall), Ok("good day".to_owned()));
    assert_eq!(lobby.call(|room| room.notes()).unwrap(), ["1001: hello -> hello"]);
    // Each has a state of its own.
    lobby.call(|room| room.count(5)).unwrap();
    let count = |room: &liveswap::Module<dyn Link>| room.call(|room| room.counted()).unwrap().count;
    assert_eq!((count(&lobby), count(&hall)), (5, 0));
    // They reach other modules, each other, and are reached, by their names.
    assert_eq!(lobby.call(|room| room.count_elsewhere("chain", 2)).unwrap().unwrap().count, 2);
    assert_eq!(lobby.call(|room| room.count_elsewhere("hall", 3)).unwrap().unwrap().count, 3);
    let chain = host.module::<dyn Link>("chain");
    assert_eq!(chain.call(|chain| chain.count_elsewhere("lobby", 1)).unwrap().unwrap().count, 6);
    let way = |name: &str| vec![liveswap_tests::links::to(name, fixture_api::links::How::Stateless)];
    let passed = lobby.call(|room| room.pass(way("hall"))).unwrap().unwrap();
    assert_eq!(passed, ["lobby 1001", "hall 1001"], "each knows its own name");
    // What it requires can't go before it.
    assert!(host.engine.module::<dyn Link>(FACTORY).is_err(), "a factory isn't called itself");
    let status = host.status("lobby");
    assert_eq!((status.factory.as_deref(), status.lifecycle), (Some(FACTORY), LifecyclePhase::Started));
    let registry = host.engine.registry();
    assert_eq!(registry.module("hall").unwrap().factory.as_deref(), Some(FACTORY));
    assert_eq!(registry.module("chain").unwrap().factory, None);
}

#[test]
fn p0_04_instances_dont_share_statics() {
    let host = Rooms::of::<dyn Game>(|builder, _| builder);
    host.push(room(&Fixture::new("1001")));
    host.create(instance("lobby"));
    host.create(instance("hall"));
    let calls = |name| host.module::<dyn Game>(name).call(|game| game.calls_of_this_load()).unwrap();
    assert_eq!([calls("lobby"), calls("lobby"), calls("hall")], [1, 2, 1]);
    assert_eq!(maps::mapped(&host.private()).len(), 2);
}

#[test]
fn p0_05_a_destroyed_instance_is_stopped_and_torn_down_once_by_the_version_that_serves_it() {
    let log = Log::of_this_process();
    let host = Rooms::of::<dyn fixture_api::life::Life>(|builder, _| builder);
    let life = |version: &'static str| Fixture::life(FACTORY, version).build();
    host.push(life("1"));
    host.create(instance("cellar"));
    host.create(instance("attic"));
    let cellar = host.module::<dyn fixture_api::life::Life>("cellar");
    host.push_all(life("2"));
    host.engine.commit(FACTORY).unwrap();
    let told = || {
        let told = log.records().into_iter().filter(|it| it.text("message").starts_with("cellar "));
        let of = |field: &str, record: &liveswap_tests::log::Record| record.text(field).to_owned();
        told.map(|it| format!("{} {}", of("version", &it), of("message", &it))).collect::<Vec<_>>()
    };
    wait_until("1 is torn down", || told().iter().any(|told| told == "1 cellar teardown"));
    host.destroy("cellar");
    no_version(cellar.call(|cellar| cellar.version()));
    assert!(host.engine.module::<dyn fixture_api::life::Life>("cellar").is_err());
    wait_until("2 is torn down", || told().iter().any(|told| told == "2 cellar teardown"));
    let told = told();
    let expected = [
        "1 cellar create",
        "1 cellar initialize",
        "1 cellar start",
        "2 cellar took over",
        "1 cellar yielded",
        "1 cellar teardown",
        "2 cellar stop",
        "2 cellar teardown",
    ];
    let (mut found, mut wanted) = (told.clone(), expected.map(str::to_owned).to_vec());
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted, "each once: {told:?}");
    assert!(told.ends_with(&wanted_end()), "{told:?}");
    // Its sibling serves on.
    let attic = host.module::<dyn fixture_api::life::Life>("attic");
    assert_eq!(attic.call(|attic| attic.version()).unwrap(), "2");
    assert!(!attic.call(|attic| attic.diary()).unwrap().contains(&"stop".to_owned()));
}

fn wanted_end() -> [String; 2] {
    ["2 cellar stop".to_owned(), "2 cellar teardown".to_owned()]
}

#[test]
fn p0_08_an_instance_that_vetoes_has_its_siblings_called_off_and_they_still_answer() {
    let log = Log::of_this_process();
    let vetoes = std::num::NonZeroU32::new(2).unwrap();
    let host = Rooms::of::<dyn Link>(|builder, _| builder.vetoes_max(vetoes, Duration::from_millis(1)));
    host.push(room(&Fixture::link("logic", "1001")));
    // The one that vetoes is asked last.
    host.create(instance("agrees"));
    host.create(instance("vetoes").option("vetoes", true));
    let [agrees, says_no] = ["agrees", "vetoes"].map(|name| host.module::<dyn Link>(name));
    agrees.call(|room| room.count(4)).unwrap();
    let error = host.refused("vetoed", room(&Fixture::link("logic", "1002")));
    assert!(error.to_string().starts_with("no instance of `room` gets it, because of `vetoes`: "), "{error}");
    for (handle, count) in [(&agrees, 4), (&says_no, 0)] {
        assert_eq!(handle.call(|room| room.version()).unwrap(), "1001");
        assert_eq!(handle.call(|room| room.counted()).unwrap().count, count);
    }
    let resumed = |name: &str| {
        let told = format!("{name} resumes");
        log.records().iter().filter(|it| it.text("message") == told).count()
    };
    wait_until("it hears that it was called off", || resumed("agrees") == 1);
    assert_eq!(resumed("vetoes"), 0, "it hadn't agreed");
    host.wait_until_mapped(2);
    host.push_all(room(&Fixture::link("logic", "1002")).force());
    for handle in [&agrees, &says_no] {
        assert_eq!(handle.call(|room| room.version()).unwrap(), "1002");
    }
}

#[test]
fn p0_09_a_live_instance_survives_a_swap_with_its_state() {
    let host = Rooms::serving(&["lobby", "hall"], |builder| builder);
    let [lobby, hall] = ["lobby", "hall"].map(|name| host.trial(name));
    for _ in 0..3 {
        lobby.call(|room| room.count()).unwrap();
    }
    hall.call(|room| room.count()).unwrap();
    let held = lobby.enter().unwrap();
    let pushed = host.push_all(trial("1002"));
    let modules = pushed.members.iter().map(|member| match member {
        PushOutcome::Published(published) => (published.module.as_str(), published.set.as_deref()),
        other => panic!("{other:?}"),
    });
    assert_eq!(modules.collect::<Vec<_>>(), [("lobby", Some(FACTORY)), ("hall", Some(FACTORY))]);
    host.engine.commit("hall").unwrap();
    // Who is inside stays on the old one, in its siblings as well; and it's mapped for as long.
    assert_eq!(held.version().unwrap(), "1001");
    assert_eq!(hall.call(|room| room.version()).unwrap(), "1001");
    assert_eq!(held.counted().unwrap(), 3);
    assert_eq!(host.status("lobby").retired[0].state, "draining");
    drop(held);
    assert_eq!(host.versions(["lobby", "hall"]), ["1002", "1002"]);
    assert_eq!(lobby.call(|room| room.counted()).unwrap(), 3);
    assert_eq!(hall.call(|room| room.counted()).unwrap(), 1);
    host.wait_until_mapped(2);
}

#[test]
fn a_migration_or_a_configure_that_fails_in_one_calls_all_off() {
    let refused_for = Arc::new(Mutex::new("nobody"));
    let whom = refused_for.clone();
    let host = Rooms::serving(&["lobby", "hall"], move |builder| {
        builder.on_step(move |moment| {
            let is_it = moment.step == SwapStep::HandOver && !moment.is_done;
            if is_it && moment.module.as_deref() == Some(*whom.lock().unwrap()) {
                return Err("not now".into());
            }
            Ok(())
        })
    });
    let counted = |name| host.trial(name).call(|room| room.counted()).unwrap();
    host.trial("lobby").call(|room| room.count()).unwrap();
    let reshaped = || room(&Fixture::trial("1002").feature("schema-2"));
    *refused_for.lock().unwrap() = "hall";
    // The first one's state was handed over by then.
    let error = host.refused("withheld", reshaped());
    assert!(error.to_string().contains("because of `hall`"), "{error}");
    assert_eq!(host.versions(["lobby", "hall"]), ["1001", "1001"]);
    assert_eq!([counted("lobby"), counted("hall")], [1, 0]);
    assert_eq!(host.status("lobby").active.unwrap().state_schema, 1);
    host.wait_until_mapped(2);

    *refused_for.lock().unwrap() = "nobody";
    host.push_all(reshaped());
    assert_eq!(host.versions(["lobby", "hall"]), ["1002", "1002"]);
    assert_eq!(host.status("hall").active.unwrap().state_schema, 2);
    host.engine.rollback("lobby").unwrap();
    assert_eq!(host.versions(["lobby", "hall"]), ["1001", "1001"]);
    assert_eq!([counted("lobby"), counted("hall")], [1, 0]);
}

#[test]
fn a_configure_that_fails_in_one_leaves_none_with_a_first_version() {
    let room_of = |name: &str| Registration::of::<dyn Link>(name).instance_of(FACTORY);
    let host = Rooms::of::<dyn Link>(|builder, _| {
        let builder = builder.register(room_of("lobby")).register(room_of("hall"));
        builder.option("hall", "greeting", "panic")
    });
    let error = host.refused("configure-panicked", room(&Fixture::link("logic", "1001")));
    assert!(error.to_string().contains("because of `hall`"), "{error}");
    for name in ["lobby", "hall"] {
        assert_eq!(host.status(name).lifecycle, LifecyclePhase::Registered);
        no_version(host.module::<dyn Link>(name).call(|room| room.version()));
    }
    host.wait_until_mapped(0);
    let message = host.not_created("no-version", instance("cellar"));
    assert!(message.contains("factory `room` has no version"), "{message}");
}

#[test]
fn one_that_is_created_while_its_siblings_are_on_probation_goes_back_with_them() {
    let host = Rooms::serving(&["lobby"], |builder| builder);
    host.push_all(room(&Fixture::trial("1002").feature("schema-2")));
    host.create(instance("late"));
    assert_eq!(host.versions(["lobby", "late"]), ["1002", "1002"]);
    let late = host.status("late");
    assert_eq!(late.standby.unwrap().version.to_string(), "1001");
    assert_eq!(late.active.unwrap().state_schema, 2);
    host.trial("late").call(|room| room.count()).unwrap();
    let rolled_back = host.engine.rollback(FACTORY).unwrap();
    assert_eq!(rolled_back.set.as_deref(), Some(FACTORY));
    assert_eq!(host.versions(["lobby", "late"]), ["1001", "1001"]);
    assert_eq!(host.trial("late").call(|room| room.counted()).unwrap(), 1);

    // One that comes after the end of it can go back as well.
    host.push_all(room(&Fixture::trial("1003")));
    host.engine.commit(FACTORY).unwrap();
    host.create(instance("later"));
    assert!(host.status("later").standby.is_none());
    host.engine.rollback("lobby").unwrap();
    assert_eq!(host.versions(["lobby", "late", "later"]), ["1001", "1001", "1001"]);
}

#[test]
fn the_end_of_a_probation_doesnt_wait_for_one_that_came_late() {
    let policy = probation::policy().window(Duration::from_secs(3));
    let host = Rooms::serving(&["lobby", "hall"], |builder| builder.probation_of(FACTORY, policy));
    host.push_all(trial("1002"));
    assert!(comes_true(|| host.status("lobby").probation.is_some()));
    host.create(instance("late"));
    let window_of = |name: &str| host.status(name).probation.map(|probation| probation.ends_ms);
    assert!(window_of("late") >= window_of("lobby"));
    assert!(comes_true(|| host.engine.status().sets[0].swaps.committed == 1), "{:?}", host.engine.status());
    for name in ["lobby", "hall", "late"] {
        assert!(host.status(name).standby.is_none(), "{name} was committed");
    }
}

#[test]
fn a_verdict_against_one_that_came_late_takes_all_back() {
    let host =
        Rooms::serving(&["lobby", "hall"], |builder| builder.probation_of(FACTORY, probation::policy()));
    host.push_all(room(&Fixture::trial("1002").feature("panics")));
    host.create(instance("late"));
    let late = host.trial("late");
    let is_back = || {
        for number in 0..20 {
            // One of twenty panics.
            let _ = late.call(|room| room.work(number));
        }
        host.versions(["lobby", "hall", "late"]).iter().all(|version| version == "1001")
    };
    assert!(comes_true(is_back), "{:?}", host.engine.status());
    assert!(comes_true(|| host.engine.status().sets[0].swaps.rolled_back == 1));
}

#[test]
fn the_same_bytes_are_unchanged_and_what_a_factory_refuses_it_refuses_without_instances() {
    let host = Rooms::serving(&[], |builder| builder);
    let is_unchanged = |outcome: PushOutcome| match outcome {
        PushOutcome::Unchanged { module, version } => module == FACTORY && version.to_string() == "1001",
        _ => false,
    };
    assert!(is_unchanged(host.push(trial("1001"))));
    host.refused("wrong-interface", room(&Fixture::new("1002")));
    host.refused("older-version", trial("1000"));
    assert!(matches!(host.push(trial("1000").allow_older()), PushOutcome::Waiting { .. }));
    host.push(trial("1001"));
    host.create(instance("lobby"));
    assert!(is_unchanged(host.push(trial("1001"))));
    let error = host.refused("is-an-instance", candidate("lobby", &Fixture::trial("1002")));
    assert!(error.to_string().contains("push a candidate of `room`"), "{error}");
    let status = host.engine.status();
    let set = &status.sets[0];
    assert_eq!((set.name.as_str(), &*set.members), (FACTORY, &["lobby".to_owned()][..]));
    assert_eq!(set.candidate.as_ref().map(ToString::to_string).as_deref(), Some("1001"));
    assert_eq!(set.swaps.refused, 2);
    assert_eq!(host.engine.rollback(FACTORY).unwrap_err().code(), "no-predecessor");
}

#[test]
fn what_cant_be_created_or_destroyed_says_why() {
    let host = Rooms::serving(&["lobby"], |builder| {
        builder.module::<dyn Trial>("chain").module::<dyn Trial>("net").modules_max(4)
    });
    let unknown = host.engine.create(liveswap::Instance::of("hut", "one")).unwrap_err();
    assert_eq!(unknown.to_string(), "unable to find factory: hut: the host has `room`");
    host.not_created("bad-name", instance("a/b"));
    for taken in ["lobby", "chain", FACTORY] {
        host.not_created("name-taken", instance(taken));
    }
    host.not_created("unknown-module", instance("hall").requires("moat"));
    let message = host.not_created("missing-dependencies", instance("hall").requires("chain"));
    assert!(message.contains("requires `chain`, which is registered, expected started"), "{message}");
    host.engine.push(candidate("chain", &Fixture::trial("1001"))).unwrap();
    host.create(instance("hall").requires("chain").requires("lobby"));
    host.not_created("too-many-modules", instance("cellar"));

    let destroyed = |name: &str| host.engine.destroy(name).unwrap_err();
    assert_eq!(destroyed("moat").to_string(), "unable to find plugin: moat");
    assert_eq!(destroyed("chain").code(), "not-an-instance");
    assert_eq!(destroyed(FACTORY).code(), "unknown-module");
    assert_eq!(destroyed("lobby").to_string(), "instance `lobby` is required by `hall`: destroy those first");
    host.destroy("hall");
    host.destroy("lobby");
    host.create(instance("cellar"));
    assert_eq!(host.versions(["cellar"]), ["1001"]);
}

#[test]
fn one_is_destroyed_once_the_calls_inside_have_left() {
    let deadline = Duration::from_secs(2);
    let host = Rooms::serving(&["lobby", "hall"], |builder| builder.drain_deadline(deadline));
    let (lobby, latch) = (host.trial("lobby"), Arc::new(Latch::default()));
    let inside = {
        let (lobby, latch) = (lobby.clone(), latch.clone());
        thread::Builder::new()
            .name("guest".into())
            .spawn(move || lobby.call(|room| room.hold(&latch)))
            .unwrap()
    };
    wait_until("the call is inside", || latch.is_entered());
    let error = host.engine.destroy("lobby").unwrap_err();
    assert!(matches!(&error, InstanceError::Occupied { holders, .. } if holders == "guest"), "{error}");
    no_version(lobby.call(|room| room.version()));
    // It gets no other version, and is in nobody's way.
    host.push_all(trial("1002"));
    no_version(lobby.call(|room| room.version()));
    assert_eq!(host.versions(["hall"]), ["1002"]);
    latch.release();
    assert_eq!(inside.join().unwrap().unwrap(), "1001");
    host.destroy("lobby");
    host.create(instance("lobby"));
    assert_eq!(host.versions(["lobby", "hall"]), ["1002", "1002"]);
    no_version(lobby.call(|room| room.version()));
}

#[test]
fn a_factory_that_cant_be_meant_is_no_engine() {
    let of = |name: &str| Registration::of::<dyn Trial>(name).instance_of(FACTORY);
    let refused = |builder: liveswap::Builder| builder.build().unwrap_err();
    let other = Engine::builder().factory::<dyn Game>(FACTORY).register(of("lobby"));
    assert!(
        matches!(refused(other), BuildError::InstanceOfOtherInterface { instance, .. } if instance == "lobby")
    );
    let same = Engine::builder().module::<dyn Trial>(FACTORY).register(of("lobby"));
    assert!(matches!(refused(same), BuildError::FactoryIsModule { name } if name == FACTORY));
    let twice = Engine::builder().factory::<dyn Trial>(FACTORY).factory::<dyn Trial>(FACTORY);
    assert!(matches!(refused(twice), BuildError::DeclaredTwice { .. }));
    let bad = Engine::builder().factory::<dyn Trial>("a/b");
    assert!(matches!(refused(bad), BuildError::BadName { .. }));
    let in_a_set =
        Engine::builder().register(of("lobby")).register(of("hall")).set("node", ["lobby", "hall"]);
    assert!(matches!(refused(in_a_set), BuildError::Set(liveswap::error::SetError::MemberTwice { .. })));
}

#[test]
fn instances_that_come_and_go_under_load_leave_nothing_behind() {
    const ROUNDS: usize = 300;
    let host = Rooms::serving(&["stays"], |builder| builder.retained_max(64));
    let (is_over, calls) = (AtomicBool::new(false), Mutex::new(0_u64));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let stays = host.trial("stays");
                while !is_over.load(Ordering::Relaxed) {
                    let guard = stays.enter().unwrap();
                    guard.worked().unwrap();
                    for name in ["comes-0", "comes-1"] {
                        // It may be gone, or not be there for this thread yet.
                        let found = host.engine.module::<dyn Trial>(name);
                        if let Ok(Ok(_)) = found.map(|module| module.call(|room| room.count())) {
                            *calls.lock().unwrap() += 1;
                        }
                    }
                }
            });
        }
        for round in 0..ROUNDS {
            let names = ["comes-0", "comes-1"];
            names.iter().for_each(|name| host.create(instance(name)));
            let before = *calls.lock().unwrap();
            if round % 50 == 7 {
                assert!(comes_true(|| *calls.lock().unwrap() > before));
                host.push_all(Push::content(
                    format!("{FACTORY}.v{}.so", 2000 + round),
                    liveswap_tests::Patched::of(Fixture::trial("1001").build())
                        .module(FACTORY)
                        .version(&(2000 + round).to_string())
                        .bytes()
                        .to_vec(),
                ));
            }
            names.iter().rev().for_each(|name| host.destroy(name));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(*calls.lock().unwrap() > 0);
    host.engine.commit(FACTORY).unwrap();
    host.wait_until_mapped(1);
    let status = host.engine.status();
    let names: Vec<_> = status.modules.iter().map(|module| module.name.as_str()).collect();
    assert_eq!(names, ["stays"]);
    assert_eq!(status.sets[0].members, ["stays"]);
    assert_eq!(host.engine.registry().modules.len(), 1);
    assert_eq!(host.engine.modules::<dyn Trial>().len(), 1);
}
