//! Upgrades, rollbacks and commits, as a host sees them.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Barrier};
use std::thread;

use fixture_api::{Chat, Game, Player, Totals};
use liveswap::{ModuleError, Push, PushError, PushOutcome, RollbackError};
use liveswap_state::CallError;
use liveswap_tests::host::MODULE;
use liveswap_tests::{Fixture, Host, Patched, logic};

fn versions(active: &str, standby: Option<&str>) -> (Option<String>, Option<String>) {
    (Some(active.to_owned()), standby.map(str::to_owned))
}

#[test]
fn p1_10_before_the_first_load_a_call_says_that_there_is_no_active_version() {
    let host = Host::new();
    let error = host.game().call(|game| game.version()).unwrap_err();
    assert_eq!(error, CallError::NoActiveVersion { module: MODULE.to_owned() });
    assert!(error.to_string().contains("no active version"), "{error}");
    assert_eq!((host.status().phase, host.slots()), ("empty", (None, None)));
}

#[test]
fn the_first_load_makes_the_state_and_serves() {
    let host = Host::new();
    let published = host.push(logic("1001"));
    assert_eq!((published.swap.from, published.swap.to.to_string()), (None, "1001".to_owned()));
    assert_eq!(host.version(), "1001");
    assert_eq!((host.status().phase, host.slots()), ("serving", versions("1001", None)));
    assert_eq!(host.game().call(|game| game.totals()), Ok(Totals { hits: 0, recorded: 0 }));
}

#[test]
fn p1_01_an_upgrade_keeps_the_state_where_it_is() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let player = |name: &str, items: &[&str]| Player {
        name: name.to_owned(),
        items: items.iter().map(|&item| item.to_owned()).collect(),
        nickname: None,
    };
    game.call(|game| {
        game.hit(3)?;
        game.record(4)?;
        game.join(player("ada", &["lamp"]))
    })
    .unwrap();
    let address = game.call(|game| game.address()).unwrap();

    let published = host.push(logic("1002"));
    assert_eq!(published.swap.from.unwrap().to_string(), "1001");
    assert_eq!((host.status().phase, host.slots()), ("probation", versions("1002", Some("1001"))));
    assert_eq!(host.version(), "1002");
    assert_eq!(game.call(|game| game.address()), Ok(address), "the state was moved");
    assert_eq!(game.call(|game| game.totals()), Ok(Totals { hits: 3, recorded: 4 }));
    // What the first version allocated is changed and freed by the second.
    let before = game.call(|game| game.join(player("ada", &["lamp", "rope"]))).unwrap();
    assert_eq!(before, Some(player("ada", &["lamp"])));
    assert_eq!(game.call(|game| game.names()), Ok(vec!["ada".to_owned()]));
}

#[test]
fn values_of_every_kind_cross_the_interface() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let mut buffer = b"before ".to_vec();
    assert_eq!(game.call(|game| game.append(&mut buffer, "after")), Ok(12));
    assert_eq!(buffer, b"before after");
    game.call(|game| game.set_score("ada", 7)).unwrap();
    let mut scores = game.call(|game| game.scores()).unwrap();
    // Made by logic, changed and freed by the host; and also when the library is gone.
    drop(host);
    scores.insert("alan".to_owned(), 8);
    assert_eq!((scores["ada"], scores["alan"], scores.len()), (7, 8, 2));
}

#[test]
fn p3_04_rollback_works_with_the_candidates_file_deleted() {
    let host = Host::new();
    for version in ["1001", "1002"] {
        let candidate = Patched::of(logic(version)).write(host.folder(), version);
        host.push(&*candidate);
        fs::remove_file(candidate).unwrap();
    }
    host.game().call(|game| game.record(5)).unwrap();
    let published = host.rollback();
    assert_eq!(published.swap.to.to_string(), "1001");
    assert_eq!((host.version(), host.slots()), ("1001".to_owned(), versions("1001", None)));
    assert_eq!(host.game().call(|game| game.totals()).unwrap().recorded, 5, "what was written is kept");
    host.wait_until_mapped(1);
    assert_eq!(host.status().swaps.rolled_back, 1);
}

#[test]
fn p3_04_rollback_after_commit_loads_the_kept_file_again() {
    let host = Host::new();
    for version in ["1001", "1002"] {
        let candidate = Patched::of(logic(version)).write(host.folder(), version);
        host.push(&*candidate);
        fs::remove_file(candidate).unwrap();
    }
    host.game().call(|game| game.record(5)).unwrap();
    assert_eq!(host.commit(), "1002");
    assert_eq!((host.status().phase, host.slots()), ("serving", versions("1002", None)));
    host.wait_until_mapped(1);
    assert_eq!(host.copies().len(), 2, "the predecessor's file is kept");

    host.rollback();
    assert_eq!((host.version(), host.slots()), ("1001".to_owned(), versions("1001", None)));
    assert_eq!(host.game().call(|game| game.totals()).unwrap().recorded, 5);
    host.wait_until_mapped(1);
}

#[test]
fn a_second_rollback_goes_one_version_further_back_and_a_third_has_nowhere_to_go() {
    let host = Host::new();
    for version in ["1001", "1002", "1003"] {
        host.push(logic(version));
    }
    host.rollback();
    assert_eq!(host.version(), "1002");
    host.rollback();
    assert_eq!(host.version(), "1001");
    let error = host.engine.rollback(MODULE).unwrap_err();
    assert!(matches!(error, RollbackError::NoPredecessor { .. }), "{error}");
    assert_eq!(host.version(), "1001");
    host.wait_until_mapped(1);
}

#[test]
fn a_push_during_probation_commits_early_and_says_so() {
    let host = Host::serving(logic("1001"));
    assert_eq!(host.push(logic("1002")).committed, None);
    let published = host.push(logic("1003"));
    assert_eq!(published.committed.unwrap().to_string(), "1002");
    assert_eq!(host.slots(), versions("1003", Some("1002")));
    assert_eq!(host.status().swaps.committed, 1);
    host.wait_until_mapped(2);
}

#[test]
fn commit_leaves_the_active_version_only() {
    let host = Host::serving(logic("1001"));
    assert!(host.engine.commit(MODULE).is_err(), "there is nothing to commit yet");
    host.push(logic("1002"));
    assert_eq!(host.mapped().len(), 2);
    assert_eq!(host.commit(), "1002");
    host.wait_until_unmapped("1001");
    assert_eq!(host.mapped().len(), 1, "`unmapped` is said only of what is");
    assert!(host.engine.commit(MODULE).is_err(), "it was committed already");
    assert_eq!(host.status().swaps.committed, 1);
}

#[test]
fn p1_04_an_older_version_is_refused_unless_it_is_allowed() {
    let host = Host::serving(logic("1001"));
    host.push(logic("1002"));
    host.refused("older-version", logic("1001"));
    assert_eq!(host.version(), "1002");
    host.push(Push::file(logic("1001")).allow_older());
    assert_eq!((host.version(), host.slots()), ("1001".to_owned(), versions("1001", Some("1002"))));
}

#[test]
fn p1_05_the_same_bytes_again_change_nothing_and_it_says_so() {
    let host = Host::serving(logic("1001"));
    let (mapped, status) = (host.mapped(), host.status());
    let outcome = host.engine.push(logic("1001")).unwrap();
    let PushOutcome::Unchanged { module, version } = outcome else { panic!("{outcome:?}") };
    assert_eq!((module.as_str(), version.to_string().as_str()), (MODULE, "1001"));
    assert_eq!((host.mapped(), host.status().swaps), (mapped, status.swaps));
    assert_eq!(host.copies().len(), 1);
}

#[test]
fn p1_05_the_same_version_with_other_bytes_is_refused() {
    let host = Host::serving(logic("1001"));
    let other = Patched::of(logic("1002")).version("1001").write(host.folder(), "1001");
    host.refused("conflicting-version", &*other);
    // Also while it is the active version no more.
    host.push(logic("1002"));
    host.refused("conflicting-version", Push::file(other).allow_older());
    assert_eq!(host.version(), "1002");
}

#[test]
fn a_version_may_offer_more_than_the_host_knows() {
    let host = Host::serving(logic("1001"));
    host.game().call(|game| game.record(3)).unwrap();
    host.push(Fixture::new("1002").feature("extra-method").build());
    // The method that is new stands first, so all others have moved.
    assert_eq!(host.game().call(|game| game.round(7)), Ok(7));
    assert_eq!(host.game().call(|game| game.record(4)), Ok(7));
    assert_eq!(host.game().call(|game| game.built()), Ok("1002".to_owned()));
}

#[test]
fn p0_11_two_resident_versions_with_the_same_symbols_give_different_answers() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let old = game.enter().unwrap();
    host.push(logic("1002"));
    assert_eq!(host.mapped().len(), 2);
    let new = thread::scope(|scope| scope.spawn(|| game.call(|game| game.built())).join().unwrap());
    assert_eq!((old.built(), new), (Ok("1001".to_owned()), Ok("1002".to_owned())));
}

#[test]
fn p3_06_the_same_path_never_gives_the_old_code_back() {
    let host = Host::new();
    let path = host.folder().join("logic.so");
    for version in ["1001", "1002", "1003"] {
        fs::copy(logic(version), &path).unwrap();
        host.push(&*path);
        assert_eq!(host.game().call(|game| game.built()), Ok(version.to_owned()));
    }
}

#[test]
fn p1_09_the_globals_of_a_version_start_fresh_with_each_load() {
    let host = Host::serving(logic("1001"));
    let calls = || host.game().call(|game| game.calls_of_this_load()).unwrap();
    assert_eq!((calls(), calls()), (1, 2));
    host.push(logic("1002"));
    assert_eq!(calls(), 1);
    host.rollback();
    assert_eq!(calls(), 3, "the standby was never unloaded");
}

#[test]
fn p0_12_a_handle_that_outlives_the_engine_says_that_there_is_no_active_version() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    game.call(|game| game.hit(1)).unwrap();
    drop(host);
    let none = Err(CallError::NoActiveVersion { module: MODULE.to_owned() });
    assert_eq!(game.call(|game| game.hit(1)), none);
    assert_eq!(thread::spawn(move || game.call(|game| game.hit(1))).join().unwrap(), none);
}

#[test]
fn when_the_engine_ends_nothing_stays_mapped() {
    let host = Host::serving(logic("1001"));
    host.push(logic("1002"));
    let mapped = host.mapped();
    assert_eq!(mapped.len(), 2);
    let private = mapped.first().unwrap().parent().unwrap().to_owned();
    drop(host);
    assert_eq!(liveswap_tests::maps::mapped(&private), BTreeSet::new());
}

#[test]
fn p1_06_32_threads_push_one_version_and_it_is_loaded_once() {
    const THREADS: usize = 32;
    let host = Host::new();
    let mark = host.folder().join("mark");
    let library = Fixture::new("1001").feature("constructor").build();
    let candidate = Patched::of(library).mark(&mark).write(host.folder(), "1001");
    let start = Arc::new(Barrier::new(THREADS));
    let push = || {
        start.wait();
        loop {
            match host.engine.push(&*candidate) {
                Err(PushError::Busy { .. }) => thread::yield_now(),
                outcome => break outcome.unwrap(),
            }
        }
    };
    let outcomes: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(push)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let published = outcomes.iter().filter(|outcome| matches!(outcome, PushOutcome::Published(_))).count();
    assert_eq!(published, 1);
    assert_eq!(fs::read(mark).unwrap(), b"x", "one load, one run of its constructor");
    assert_eq!((host.mapped().len(), host.copies().len()), (1, 1));
}

#[test]
fn p0_04_an_unknown_module_is_an_error_that_names_the_known_ones() {
    let host = Host::new();
    let error = host.engine.module::<dyn Game>("chat").unwrap_err();
    assert!(matches!(error, ModuleError::Unknown { .. }));
    assert_eq!(error.to_string(), "unable to find plugin: chat");
    assert!(matches!(host.engine.rollback("chat"), Err(RollbackError::UnknownModule { .. })));
    assert_eq!(host.engine.commit("chat").unwrap_err().code(), "unknown-module");
}

#[test]
fn a_module_asked_for_with_another_interface_is_an_error() {
    let host = Host::serving(logic("1001"));
    let error = host.engine.module::<dyn Chat>(MODULE).unwrap_err();
    assert!(matches!(error, ModuleError::OtherInterface { .. }), "{error}");
    // The name alone isn't enough.
    assert!(host.engine.module::<dyn fixture_api::other_interface::Game>(MODULE).is_err());
}
