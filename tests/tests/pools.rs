//! Pools and lanes: how much of what logic has the host call later runs at once, and in which order.

use std::sync::Arc;

use fixture_api::Errand;
use fixture_api::work::{Journal, Priority, Work};
use liveswap::status::LaneStatus;
use liveswap::{BuildError, Engine, Lane, Module, Pool};
use liveswap_state::SpawnError;
use liveswap_tests::host::MODULE;
use liveswap_tests::wait_until;
use liveswap_tests::work::{
    SECOND, candidate, occupy, release, second_work, serving, serving_two, status, work,
};

/// Has a note made in the background.
#[track_caller]
fn spawn_note(work: &Module<dyn Work>, priority: Priority, journal: &Arc<Journal>, note: &str) {
    let spawned = work.call(|work| work.spawn_note(priority, journal.clone(), note.to_owned()));
    assert_eq!(spawned, Ok(Ok(())));
}

/// Waits until so many notes are made, and nothing is left of what makes them.
#[track_caller]
fn notes(journal: &Arc<Journal>, count: usize) -> Vec<String> {
    wait_until("all notes are made", || Arc::strong_count(journal) == 1);
    let notes = journal.notes();
    assert_eq!(notes.len(), count, "{notes:?}");
    notes
}

#[test]
fn p2_07_work_runs_in_a_bounded_pool_with_priorities() {
    let host = serving(|builder| builder.pool(MODULE, Pool { threads: 1, waiting_max: 10 }));
    let work = work(&host);
    let errand = occupy(&work);
    let journal = Arc::new(Journal::default());
    for (priority, note) in [
        (Priority::Low, "low 1"),
        (Priority::Normal, "normal"),
        (Priority::High, "high 1"),
        (Priority::Low, "low 2"),
        (Priority::High, "high 2"),
    ] {
        spawn_note(&work, priority, &journal, note);
    }
    // The one thread is in the errand, so all of them wait.
    let found = status(&host);
    assert!(found.has_own_pool);
    assert_eq!((found.running_max, found.waiting_max, found.refused), (1, 10, 0));
    let lanes = found.lanes;
    let counts = [lanes.high, lanes.normal, lanes.low].map(|lane: LaneStatus| (lane.running, lane.waiting));
    assert_eq!(counts, [(0, 2), (1, 1), (0, 2)]);

    release(&errand);
    assert_eq!(notes(&journal, 5), ["high 1", "high 2", "normal", "low 1", "low 2"]);
    wait_until("nothing runs", || {
        let lanes = status(&host).lanes;
        lanes == Default::default()
    });
}

#[test]
fn p2_07_what_can_wait_is_overtaken_by_eight_others_at_most() {
    let host = serving(|builder| builder.pool(MODULE, Pool { threads: 1, waiting_max: 30 }));
    let work = work(&host);
    let errand = occupy(&work);
    let journal = Arc::new(Journal::default());
    spawn_note(&work, Priority::Low, &journal, "low");
    (0..20).for_each(|_| spawn_note(&work, Priority::High, &journal, "high"));
    release(&errand);
    assert_eq!(notes(&journal, 21).iter().position(|note| note == "low"), Some(8));
}

#[test]
fn p2_07_a_full_lane_refuses_what_is_beyond_it_and_the_others_have_room() {
    let host = serving(|builder| builder.pool(MODULE, Pool { threads: 1, waiting_max: 1 }));
    let work = work(&host);
    let errand = occupy(&work);
    let journal = Arc::new(Journal::default());
    spawn_note(&work, Priority::Low, &journal, "low");
    let refused = Arc::new(Errand::default());
    let spawned = work.call(|work| work.spawn_errand(Priority::Low, refused.clone()));
    let error = SpawnError::Full { running: 1, waiting: 1, lane: Lane::Low };
    assert_eq!(spawned, Ok(Err(("full".to_owned(), error.to_string()))));
    assert_eq!((Arc::strong_count(&refused), status(&host).refused), (1, 1));

    spawn_note(&work, Priority::High, &journal, "high");
    spawn_note(&work, Priority::Normal, &journal, "normal");
    release(&errand);
    assert_eq!(notes(&journal, 3), ["high", "normal", "low"]);
    assert_eq!(status(&host).refused, 1);
}

#[test]
fn p2_07_a_module_with_a_pool_of_its_own_is_not_held_up_by_others_nor_holds_them_up() {
    let host = serving_two(|builder| {
        builder.pool(MODULE, Pool { threads: 1, waiting_max: 1 }).spawned_running_max(1)
    });
    let (first, second) = (work(&host), second_work(&host));
    // Each has the one thread that it may have, at once.
    let errands = [occupy(&first), occupy(&second)];
    let modules = host.engine.status().modules;
    let own: Vec<_> = modules.iter().map(|module| module.work.has_own_pool).collect();
    let running: Vec<_> = modules.iter().map(|module| module.work.lanes.normal.running).collect();
    assert_eq!((own, running), (vec![true, false], vec![1, 1]));
    let holders = modules.iter().map(|module| module.active.as_ref().unwrap().holders[0].thread.as_str());
    assert_eq!(holders.collect::<Vec<_>>(), ["logic.run", "second.run"]);
    errands.iter().for_each(|errand| assert_eq!(release(errand), "1001"));
}

#[test]
fn p4_07_work_that_is_queued_outlives_the_version_that_queued_it() {
    let host = serving(|builder| builder.pool(MODULE, Pool { threads: 1, waiting_max: 10 }));
    let work = work(&host);
    let first = occupy(&work);
    let queued: Vec<_> = [Priority::Low, Priority::High, Priority::Normal]
        .map(|priority| {
            let errand = Arc::new(Errand::default());
            errand.latch.release();
            let spawned = work.call(|work| work.spawn_errand(priority, errand.clone()));
            assert_eq!(spawned, Ok(Ok(())));
            errand
        })
        .into();
    host.push(candidate("1002"));
    host.push(candidate("1003"));
    assert_eq!(release(&first), "1001");
    for errand in &queued {
        assert_eq!(release(errand), "1003");
    }
    host.commit();
    host.wait_until_unmapped("1001");
    host.wait_until_unmapped("1002");
}

#[test]
fn a_pool_of_no_module_or_without_threads_is_an_error_that_says_so() {
    let build = |name, threads| {
        let builder = Engine::builder().module::<dyn Work>(MODULE).module::<dyn Work>(SECOND);
        builder.pool(name, Pool { threads, waiting_max: 1 }).build().map(drop)
    };
    let error = build("third", 1).unwrap_err();
    assert!(matches!(error, BuildError::PoolOfNone { .. }));
    let expected = "found a pool for module `third`, expected one of `logic`, `second`: declare it with \
                    `Builder::module`";
    assert_eq!(error.to_string(), expected);
    assert!(matches!(build(SECOND, 0), Err(BuildError::EmptyPool { name }) if name == SECOND));
}
