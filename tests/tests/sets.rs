//! Sets: modules that are swapped as one. Nobody ever sees old ones beside new ones.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fixture_api::trial::Trial;
use fixture_api::world::Realm;
use liveswap::error::SetError;
use liveswap::{BuildError, CallError, Engine, Module, Push, PushOutcome, SwapStep};
use liveswap_tests::demo::command;
use liveswap_tests::sets::{MEMBERS, SET, SetHost, candidate, first, next, second, swaps};
use liveswap_tests::{Fixture, Patched, comes_true, maps, trial, world};

const CALLERS: u64 = 3;

/// Version 1002 with a state of another shape.
fn reshaped(module: &str) -> Push {
    candidate(module, &Fixture::trial("1002").feature("schema-2"))
}

/// One request, which goes through the members in an order of its own: nested guards, which are dropped in any order, and
/// closures within closures. Gives the version that it has seen.
fn request(members: &[Module<dyn Trial>], seed: u64) -> Result<String, CallError> {
    let pick = |shift: u64| &members[(seed >> shift) as usize % members.len()];
    let outer = pick(0).enter()?;
    let version = outer.version()?;
    let seen = |found: String| assert_eq!(found, version, "a request sees old and new ones");
    let mut guards = vec![pick(2).enter()?, pick(4).enter()?, pick(6).enter()?];
    guards.push(outer);
    for guard in &guards {
        seen(guard.version()?);
        guard.worked()?;
    }
    guards.swap_remove((seed >> 8) as usize % guards.len());
    thread::yield_now();
    pick(10).call(|one| {
        seen(one.version()?);
        pick(12).call(|other| {
            seen(other.version()?);
            pick(14).call(|third| third.version().map(seen))
        })
    })?;
    while !guards.is_empty() {
        seen(pick(16).call(|part| part.version())?);
        guards.swap_remove((seed >> 18) as usize % guards.len());
    }
    // An exclusive call, in a request of its own: it must not wait for this thread's shared ones.
    pick(20).call(|part| part.count())?;
    Ok(version)
}

/// P4.7, with states in two of the modules that take another shape each time.
#[test]
fn p4_07_a_set_swapped_as_one_under_load_is_never_seen_mixed() {
    let swaps = swaps();
    let host = SetHost::serving(|builder| builder.pause_max(Duration::from_millis(20)).retained_max(64));
    let is_over = AtomicBool::new(false);
    let requests = AtomicUsize::new(0);
    let seen = Mutex::new([0; 2]);
    thread::scope(|scope| {
        for seed in 1..=CALLERS {
            let members = MEMBERS.map(|name| host.module(name));
            let (is_over, requests, seen) = (&is_over, &requests, &seen);
            scope.spawn(move || {
                let mut seed = seed * 0x9E37_79B9;
                while !is_over.load(Ordering::Relaxed) {
                    let version = request(&members, next(&mut seed)).expect("no request fails");
                    seen.lock().unwrap()[usize::from(version == "1002")] += 1;
                    requests.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for swap in 0..swaps {
            // One request at least sees each generation of the set.
            let before = requests.load(Ordering::Relaxed);
            assert!(comes_true(|| requests.load(Ordering::Relaxed) > before));
            match swap % 4 {
                0 => drop(host.push([reshaped("chain"), second("net"), reshaped("pool")])),
                1 => drop(host.push(MEMBERS.map(|module| first(module).allow_older()))),
                2 => drop(host.push([reshaped("pool"), reshaped("chain"), second("net")])),
                _ => drop(host.engine.rollback(MEMBERS[swap % 3]).expect("all are rolled back")),
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let seen = *seen.lock().unwrap();
    assert!(seen.iter().all(|count| *count > 0), "requests were made on both: {seen:?}");
    let status = host.status();
    assert_eq!(status.swaps.published + status.swaps.rolled_back, swaps as u64 + 1);
    let active_and_standby = 2 * MEMBERS.len();
    let are_gone = || maps::mapped(host.folder.path()).len() <= active_and_standby;
    assert!(comes_true(are_gone), "{:?}", maps::mapped(host.folder.path()));
}

#[test]
fn p4_07_what_a_pinned_thread_may_enter_stays_mapped_until_it_has_left_the_last_member() {
    let host = SetHost::serving(|builder| builder);
    let [chain, net, pool] = MEMBERS.map(|name| host.module(name));
    let outer = chain.enter().unwrap();
    host.push(MEMBERS.map(second));
    // The predecessors leave their slots.
    host.engine.commit("net").unwrap();
    let hopped = net.enter().unwrap();
    drop(outer);
    assert_eq!(chain.call(|part| part.version()).unwrap(), "1001");
    assert_eq!(pool.call(|part| part.count()).unwrap(), 1);
    let retired: Vec<_> = host.engine.status().modules.into_iter().map(|module| module.retired).collect();
    for retired in &retired {
        assert_eq!(retired[0].state, "draining", "{retired:?}");
        assert_eq!(retired[0].holders.len(), 1, "it's held by name: {retired:?}");
    }
    drop(hopped);
    assert_eq!(host.versions(), ["1002"; 3]);
    assert!(comes_true(|| maps::mapped(host.folder.path()).len() == MEMBERS.len()));
}

#[test]
fn p4_07_a_refused_candidate_calls_all_off() {
    let host = SetHost::serving(|builder| builder);
    let other = Patched::of(Fixture::trial("1002").build()).module("pool").compiler("no compiler");
    let other = Push::content("pool.v1002.so", other.bytes().to_vec());
    host.refused("wrong-compiler", [second("chain"), second("net"), other]);
    assert_eq!(host.versions(), ["1001"; 3]);
    assert_eq!(host.status().swaps.refused, 1);
    assert!(comes_true(|| maps::mapped(host.folder.path()).len() == MEMBERS.len()));
    host.push(MEMBERS.map(second));
    assert_eq!(host.versions(), ["1002"; 3]);
}

#[test]
fn p4_07_what_was_pushed_as_one_is_rolled_back_and_committed_as_one() {
    let host = SetHost::serving(|builder| builder);
    let pushed = host.push(MEMBERS.map(second));
    let names = pushed.members.iter().map(|outcome| match outcome {
        PushOutcome::Published(published) => (published.module.as_str(), published.set.as_deref()),
        other => panic!("{other:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), MEMBERS.map(|name| (name, Some(SET))));
    let rolled_back = host.engine.rollback("net").unwrap();
    assert_eq!((rolled_back.module.as_str(), rolled_back.set.as_deref()), ("net", Some(SET)));
    assert_eq!(host.versions(), ["1001"; 3]);
    host.push(MEMBERS.map(second));
    assert_eq!(host.engine.commit("pool").unwrap().to_string(), "1002");
    let standbys = host.engine.status().modules.into_iter().filter_map(|module| module.standby);
    assert_eq!(standbys.count(), 0);
    // Their files are kept.
    host.engine.rollback("chain").unwrap();
    assert_eq!(host.versions(), ["1001"; 3]);
    let swaps = host.status().swaps;
    assert_eq!((swaps.published, swaps.rolled_back, swaps.committed), (3, 2, 1));
}

#[test]
fn p4_07_a_member_pushed_alone_is_on_its_own_and_commits_the_others() {
    let host = SetHost::serving(|builder| builder);
    host.push(MEMBERS.map(second));
    host.engine.push(candidate("net", &Fixture::trial("1003"))).unwrap();
    assert_eq!(host.versions(), ["1002", "1003", "1002"]);
    let standby = |index: usize| host.engine.status().modules[index].standby.is_some();
    assert_eq!([0, 1, 2].map(standby), [false, true, false]);
    assert!(comes_true(|| host.status().together.is_empty()));
    host.engine.rollback("net").unwrap();
    assert_eq!(host.versions(), ["1002"; 3]);
    // What it was part of is one again.
    host.engine.rollback("net").unwrap();
    assert_eq!(host.versions(), ["1001"; 3]);
}

#[test]
fn p4_07_the_first_verdict_against_one_takes_all_back() {
    let policy = trial::policy();
    let host = SetHost::serving(|builder| builder.probation(policy));
    let bad = candidate("net", &Fixture::trial("1002").feature("panics"));
    host.push([second("chain"), bad, second("pool")]);
    let net = host.module("net");
    let is_back = || {
        for number in 0..20 {
            // One of twenty panics.
            let _ = net.call(|part| part.work(number));
        }
        host.versions() == ["1001"; 3]
    };
    assert!(comes_true(is_back), "{:?}", host.engine.status());
    assert!(comes_true(|| host.status().swaps.rolled_back == 1));
    for module in host.engine.status().modules {
        let verdict = module.last_verdict.expect("there is a verdict");
        assert_eq!(
            (verdict.verdict, verdict.reason.map(|reason| reason.code())),
            ("rolled-back", Some("panics"))
        );
    }
}

#[test]
fn p4_07_what_is_well_is_committed_as_one_when_the_window_ends() {
    let policy = trial::policy().window(Duration::from_secs(1));
    let host = SetHost::serving(|builder| builder.probation(policy));
    host.push(MEMBERS.map(second));
    assert!(comes_true(|| host.status().swaps.committed == 1), "{:?}", host.engine.status());
    assert!(host.engine.status().modules.iter().all(|module| module.standby.is_none()));
    assert_eq!(host.versions(), ["1002"; 3]);
}

/// The first member's state, a large one, is the next version's already when the host refuses the second's step.
#[test]
fn p4_07_a_state_that_was_handed_over_is_taken_back_with_the_others() {
    const ENTITIES: u64 = 1000;
    let is_refused = Arc::new(AtomicBool::new(true));
    let refuses = is_refused.clone();
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::builder()
        .module::<dyn Realm>("chain")
        .module::<dyn Trial>("net")
        .set(SET, ["chain", "net"])
        .private_folder(folder.path())
        .on_step(move |moment| {
            let is_it = moment.step == SwapStep::HandOver && moment.module.as_deref() == Some("net");
            if is_it && !moment.is_done && refuses.load(Ordering::SeqCst) {
                Err("not now".into())
            } else {
                Ok(())
            }
        })
        .build()
        .unwrap();
    let chain = engine.module::<dyn Realm>("chain").unwrap();
    let version = || engine.module::<dyn Trial>("net").unwrap().call(|part| part.version()).unwrap();
    is_refused.store(false, Ordering::SeqCst);
    engine.push_set(SET, [candidate("chain", &world::fixture(1)), first("net")]).unwrap();
    chain.call(|realm| realm.fill(0, ENTITIES)).unwrap();
    let before = chain.call(|realm| realm.figures()).unwrap();

    is_refused.store(true, Ordering::SeqCst);
    let upgrade = || engine.push_set(SET, [candidate("chain", &world::fixture(2)), second("net")]);
    assert_eq!(upgrade().unwrap_err().code(), "withheld");
    assert_eq!((chain.call(|realm| realm.schema()).unwrap(), version()), (1, "1001".to_owned()));
    assert_eq!(chain.call(|realm| realm.figures()).unwrap(), before);

    is_refused.store(false, Ordering::SeqCst);
    upgrade().unwrap();
    assert_eq!((chain.call(|realm| realm.schema()).unwrap(), version()), (2, "1002".to_owned()));
    engine.rollback("net").unwrap();
    assert_eq!((chain.call(|realm| realm.schema()).unwrap(), version()), (1, "1001".to_owned()));
    assert_eq!(chain.call(|realm| realm.figures()).unwrap(), before);
}

/// Over the admin socket, by the command.
#[test]
fn p4_07_the_command_pushes_a_set_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    let host = SetHost::serving(|builder| builder.admin(&socket));
    let file = |module: &str| {
        let path = folder.path().join(format!("{module}.v1002.so"));
        let content = Patched::of(Fixture::trial("1002").build()).module(module);
        fs::write(&path, content.bytes()).unwrap();
        path
    };
    let run = |arguments: &[&str], modules: &[&str]| {
        let mut command = Command::new(command());
        command.arg("--admin").arg(&socket).args(arguments).args(modules.iter().map(|module| file(module)));
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    };
    let refused = run(&["push", "--set", "nodes"], &["net"]).unwrap_err();
    assert_eq!(refused, "error[unknown-set]: unable to find set: nodes: the host has `node`\n");
    let refused = run(&["push"], &["net", "pool"]).unwrap_err();
    assert!(refused.starts_with("error[no-set]: found 2 files and no set"), "{refused}");
    let pushed = run(&["push", "--set", SET], &MEMBERS).unwrap();
    let lines: Vec<_> = pushed.lines().collect();
    assert_eq!(lines.len(), MEMBERS.len(), "{pushed}");
    for (line, module) in lines.iter().zip(MEMBERS) {
        assert!(line.starts_with(&format!("{module} 1001 -> 1002 in ")), "{line}");
        assert!(line.contains("as one with set node"), "{line}");
    }
    assert_eq!(host.versions(), ["1002"; 3]);
    let status = run(&["status"], &[]).unwrap();
    let set = "set node: chain, net, pool; as one: chain, net, pool\n  2 published, 0 committed, 0 rolled back, 0 refused";
    assert!(status.contains(set), "{status}");
}

#[test]
fn p4_07_what_cant_be_a_push_of_a_set_is_refused_by_name() {
    let host = SetHost::with(|builder| builder.module::<dyn Trial>("alone"));
    let error = host.engine.push_set("nodes", [first("net")]).unwrap_err();
    assert_eq!(error.to_string(), "unable to find set: nodes: the host has `node`");
    assert_eq!(error.code(), "unknown-set");
    host.refused("no-candidate", []);
    host.refused("not-a-member", [first("chain"), first("alone")]);
    host.refused("module-twice", [first("net"), first("net")]);
    host.refused("too-many-candidates", (0..9).map(|_| first("net")));
    host.refused("unknown-module", [first("chain"), first("other")]);
    assert!(host.engine.status().modules.iter().all(|module| module.active.is_none()));
    host.push([first("net")]);
    let pushed = host.push(MEMBERS.map(first));
    assert!(matches!(pushed.members[1], PushOutcome::Unchanged { .. }), "{pushed:?}");
}

#[test]
fn p4_07_what_serves_already_needs_no_room_for_versions_that_retire() {
    let host = SetHost::serving(|builder| builder.retained_max(MEMBERS.len()));
    let net = host.module("net");
    let guard = net.enter().unwrap();
    host.push(MEMBERS.map(second));
    host.engine.commit("net").unwrap();
    host.refused("too-many-retained", MEMBERS.map(first));
    let pushed = host.push(MEMBERS.map(second));
    assert!(pushed.members.iter().all(|outcome| matches!(outcome, PushOutcome::Unchanged { .. })));
    drop(guard);
}

#[test]
fn a_set_that_cant_be_meant_is_no_engine() {
    let builder = || Engine::builder().module::<dyn Trial>("net").module::<dyn Trial>("pool");
    let refused = |builder: liveswap::Builder| match builder.build() {
        Err(BuildError::Set(error)) => error,
        other => panic!("expected an error, got {other:?}"),
    };
    assert!(matches!(refused(builder().set(SET, ["net"])), SetError::TooFew { found: 1, .. }));
    assert!(matches!(refused(builder().set("", ["net", "pool"])), SetError::BadName { .. }));
    let unknown = refused(builder().set(SET, ["net", "chain"]));
    assert_eq!(
        unknown.to_string(),
        "found member `chain` of set `node`, expected one of `net`, `pool`: declare it with `Builder::module`"
    );
    assert!(matches!(refused(builder().set(SET, ["net", "net"])), SetError::MemberTwice { .. }));
    let twice = builder().set(SET, ["net", "pool"]).set("other", ["pool", "net"]);
    assert!(matches!(refused(twice), SetError::MemberTwice { .. }));
}
