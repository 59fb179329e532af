//! Versions on probation, under load: what becomes of those that aren't as they should be, and of those that are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use fixture_api::Latch;
use fixture_api::world::Realm;
use liveswap::{BuildError, Engine, Probation, Reason, SuspectPolicy};
use liveswap_tests::trial::{
    Answers, WINDOW, bad, good, judge, policy, serving, trial, under_load, verdict, version, wait_until_usual,
};
use liveswap_tests::world::{self, realm};
use liveswap_tests::{Fixture, Host, host::MODULE, wait_until};

/// Rolled back within the window, for this reason, with every call answered; and it stays so.
#[track_caller]
fn is_rolled_back(host: &Host, feature: &'static str) -> (Reason, Answers) {
    let (verdict, took, answers) = judge(host, &bad(feature));
    assert_eq!(verdict.verdict, "rolled-back", "{verdict:?}");
    assert!(took < WINDOW, "after {took:?}");
    println!("{feature}: rolled back after {took:?}: {}; {} calls", verdict.message.unwrap(), answers.all());
    assert_eq!(version(host), "1001");
    let status = host.status();
    assert_eq!((status.swaps.rolled_back, status.swaps.rolled_back_by_health), (1, 1));
    assert_eq!((status.phase, status.probation), ("serving", None));
    (verdict.reason.unwrap(), answers)
}

fn host() -> Host {
    serving(policy(), |builder, _| builder)
}

#[test]
fn one_that_panics_in_a_twentieth_of_its_calls_is_rolled_back_within_the_window() {
    let (reason, answers) = is_rolled_back(&host(), "panics");
    let Reason::Panics { calls, panics, allowed: 10 } = reason else { panic!("{reason:?}") };
    assert!(panics * 1000 > 10 * calls.max(100), "{panics} of {calls}");
    // What was noted is what callers got, and some that were still on the way.
    assert!(answers.panics.load(Ordering::Relaxed) >= panics);
}

#[test]
fn one_that_answers_errors_is_rolled_back_within_the_window() {
    let (reason, answers) = is_rolled_back(&host(), "errors");
    assert!(matches!(reason, Reason::Errors { usual: 0.0, allowed: 50.0, .. }), "{reason:?}");
    assert!(answers.errors.load(Ordering::Relaxed) > 0);
}

#[test]
fn one_that_is_three_times_slower_is_rolled_back_within_the_window() {
    let (reason, answers) = is_rolled_back(&host(), "slow");
    let Reason::Slower { method, found_us, allowed_us, usual_us } = reason else { panic!("{reason:?}") };
    assert_eq!((method.as_str(), answers.panics.load(Ordering::Relaxed)), ("work", 0));
    assert!(usual_us > 900.0 && allowed_us >= 2.0 * usual_us - 1.0 && found_us > allowed_us);
}

#[test]
fn one_that_is_not_well_by_its_own_word_is_rolled_back() {
    let (reason, _) = is_rolled_back(&host(), "unwell");
    assert_eq!(reason, Reason::Unhealthy { reason: "a tap drips".to_owned() });
}

#[test]
fn one_whose_health_hook_panics_is_rolled_back() {
    let (reason, _) = is_rolled_back(&host(), "health-panics");
    assert!(
        matches!(&reason, Reason::Unhealthy { reason } if reason.contains("it has fainted")),
        "{reason:?}"
    );
}

/// The thread of the hook holds the version until it returns, and is named.
#[test]
fn one_whose_health_hook_hangs_is_rolled_back_and_unmapped_once_it_returns() {
    let deadline = Duration::from_millis(500);
    let host = serving(policy(), |builder, _| builder.hook_deadline(deadline));
    let (reason, _) = is_rolled_back(&host, "health-hangs");
    assert!(matches!(reason, Reason::HealthHookHung { waited_ms: 500.. }), "{reason:?}");
    wait_until("the hook's thread is named", || {
        let holders = host.retired("1002").map(|retired| retired.holders).unwrap_or_default();
        holders.iter().any(|holder| holder.holds_by == "hook" && holder.method == Some("health"))
    });
    assert_eq!(host.mapped().len(), 2);
    trial(&host).call(|trial| trial.release()).unwrap();
    host.wait_until_unmapped("1002");
}

#[test]
fn one_in_which_a_call_is_stuck_is_rolled_back_and_the_call_ends_as_it_would_have() {
    let host = serving(policy().stuck_after(Duration::from_millis(300)), |builder, _| builder);
    let latch = Arc::new(Latch::default());
    let ((held, verdict), answers) = under_load(&host, || {
        host.push(Fixture::trial("1002").build());
        thread::scope(|scope| {
            let holding = thread::Builder::new().name("holds".into());
            let held = holding.spawn_scoped(scope, || trial(&host).call(|trial| trial.hold(&latch))).unwrap();
            let verdict = verdict(&host);
            latch.release();
            (held.join().unwrap(), verdict)
        })
    });
    let Some(Reason::Stuck { thread, method, age_ms: 300.., .. }) = verdict.reason else {
        panic!("{verdict:?}")
    };
    assert_eq!((thread.as_str(), method.as_str()), ("holds", "hold"));
    assert_eq!((held.as_deref(), version(&host).as_str()), (Ok("1002"), "1001"));
    assert!(answers.all() > 0);
}

/// A unit of work may be long; what counts is that its calls get on.
#[test]
fn a_long_unit_of_work_is_not_stuck() {
    let short = policy().window(Duration::from_secs(2)).stuck_after(Duration::from_millis(300));
    let host = serving(short, |builder, _| builder);
    host.push(Fixture::trial("1002").build());
    let handle = trial(&host);
    let guard = handle.enter().unwrap();
    let mut calls = 0;
    while host.status().last_verdict.is_none() {
        guard.work(calls).unwrap().unwrap();
        calls += 1;
    }
    assert_eq!(host.status().last_verdict.unwrap().verdict, "committed");
}

#[test]
fn one_that_merely_answers_something_else_is_committed_when_the_window_ends() {
    let window = Duration::from_secs(3);
    let host = serving(policy().window(window), |builder, _| builder);
    let (verdict, took, answers) = judge(&host, &bad("other-answer"));
    assert_eq!((verdict.verdict, verdict.reason), ("committed", None));
    assert!(took >= window, "after {took:?}");
    println!("committed after {took:?}, {} calls", answers.all());
    assert_eq!((version(&host).as_str(), host.status().phase), ("1002", "serving"));
    host.wait_until_unmapped("1001");
    assert_eq!(host.status().swaps.committed, 1);
}

#[test]
fn the_status_shows_what_is_known_so_far() {
    let host = host();
    assert_eq!(host.status().probation, None, "the first has no predecessor");
    let (status, _) = under_load(&host, || {
        wait_until_usual(&host, 200);
        host.push(Fixture::trial("1002").build());
        assert!(host.status().probation.is_some(), "from the first moment on");
        wait_until("it has had calls, and was asked", || {
            host.status().probation.is_some_and(|it| it.calls > 100 && it.health == "good")
        });
        host.status()
    });
    let probation = status.probation.unwrap();
    assert_eq!((status.phase, probation.version.to_string().as_str()), ("probation", "1002"));
    assert_eq!(probation.ends_ms - probation.since_ms, WINDOW.as_millis() as u64);
    assert_eq!((probation.panics, probation.errors, &probation.condemned), (0, 0, &None));
    let work = probation.methods.iter().find(|method| method.method == "work").unwrap();
    assert!(work.median_us > Some(900.0) && work.usual_us > Some(900.0), "{work:?}");
}

#[test]
fn a_commit_and_a_rollback_by_hand_end_it() {
    let host = host();
    host.push(Fixture::trial("1002").build());
    assert_eq!(host.commit(), "1002");
    let status = host.status();
    assert_eq!((status.phase, status.probation), ("serving", None));
    assert_eq!(status.last_verdict.unwrap().verdict, "committed");
    host.push(Fixture::trial("1003").build());
    host.rollback();
    let status = host.status();
    assert_eq!((status.phase, status.probation), ("serving", None));
    let verdict = status.last_verdict.unwrap();
    assert_eq!((verdict.number, verdict.version.to_string().as_str()), (2, "1003"));
    assert_eq!((verdict.verdict, verdict.reason), ("rolled-back", Some(Reason::ByHand)));
    assert_eq!((status.swaps.rolled_back, status.swaps.rolled_back_by_health), (1, 0));
    assert_eq!(version(&host), "1002");
}

#[test]
fn a_push_commits_a_healthy_one_early_and_says_so() {
    let host = host();
    host.push(Fixture::trial("1002").build());
    let published = host.push(Fixture::trial("1003").build());
    assert_eq!(published.committed.unwrap().to_string(), "1002");
    let status = host.status();
    assert_eq!(status.last_verdict.unwrap().version.to_string(), "1002");
    assert_eq!(status.probation.unwrap().version.to_string(), "1003");
    assert_eq!((version(&host).as_str(), host.slots().1.as_deref()), ("1003", Some("1002")));
}

/// It isn't what the next one should fall back to.
#[test]
fn a_push_beside_an_unhealthy_one_replaces_its_predecessor() {
    // It would be looked at next after a second or so.
    let host = serving(policy().window(Duration::from_secs(600)), |builder, _| builder);
    host.push(bad("panics"));
    wait_until("it was looked at", || {
        host.status().probation.is_some_and(|probation| probation.health == "good")
    });
    let calls: Vec<_> = (0..4).map(|_| trial(&host).call(|trial| trial.work(7))).collect();
    assert!(calls.iter().any(Result::is_err));
    let published = host.push(Fixture::trial("1003").build());
    assert_eq!((published.swap.from.unwrap().to_string().as_str(), published.committed), ("1001", None));
    let verdict = host.status().last_verdict.unwrap();
    assert_eq!((verdict.version.to_string().as_str(), verdict.reason.unwrap().code()), ("1002", "panics"));
    assert_eq!(host.slots(), (Some("1003".to_owned()), Some("1001".to_owned())));
}

/// Whoever pushes what was refused hears of it, and the one on probation stays there.
#[test]
fn a_push_that_is_refused_changes_nothing_for_the_one_on_probation() {
    let host = host();
    host.push(Fixture::trial("1002").build());
    let before = host.status().probation.unwrap();
    host.refused("not-elf", liveswap::Push::content("logic.v1003.so", b"nothing".to_vec()));
    let after = host.status().probation.unwrap();
    assert_eq!((after.version, after.since_ms), (before.version, before.since_ms));
    host.rollback();
    assert_eq!(version(&host), "1001");
}

/// The one that mends it isn't rolled back to the one that did it.
#[test]
fn what_its_predecessor_did_to_the_state_is_not_held_against_it() {
    let host =
        Host::of::<dyn Realm>(|builder, _| builder.probation(policy()).on_suspect(SuspectPolicy::Stop));
    host.push(world::version(1));
    realm(&host).call(|realm| realm.tick_and_panic()).unwrap_err();
    host.push(Fixture::world("1002").build());
    // It's judged before the next takes its place.
    let published = host.push(Fixture::world("1003").build());
    assert_eq!(published.committed.map(|version| version.to_string()).as_deref(), Some("1002"));
    host.engine.trust(MODULE).unwrap();
    realm(&host).call(|realm| realm.tick_and_panic()).unwrap_err();
    wait_until("its own panic is", || {
        let verdict = host.status().last_verdict.unwrap();
        verdict.version.to_string() == "1003" && verdict.reason.is_some_and(|it| it.code() == "suspect")
    });
}

#[test]
fn a_rollback_across_a_change_of_the_states_shape_keeps_what_was_written() {
    let host = host();
    let ((reason, counted), answers) = under_load(&host, || {
        wait_until_usual(&host, 300);
        host.push(Fixture::trial("1002").feature("schema-2").feature("panics").build());
        assert_eq!(host.status().active.unwrap().state_schema, 2);
        let mut counted = 0;
        while host.status().last_verdict.is_none() {
            counted = trial(&host).call(|trial| trial.count()).unwrap();
            // As often as others work: very many calls that go well would make up for those that panic.
            thread::sleep(Duration::from_millis(1));
        }
        (verdict(&host).reason.unwrap(), counted)
    });
    assert_eq!(reason.code(), "panics");
    assert_eq!((version(&host).as_str(), host.status().active.unwrap().state_schema), ("1001", 1));
    assert_eq!(trial(&host).call(|trial| trial.counted()), Ok(counted));
    assert_eq!(trial(&host).call(|trial| trial.worked()), Ok(answers.all()));
}

#[test]
fn it_is_for_whichever_module_the_host_says() {
    let host = Host::of::<dyn fixture_api::trial::Trial>(|builder, _| {
        builder.probation(policy()).probation_of(MODULE, None)
    });
    host.push(good());
    host.push(bad("unwell"));
    assert_eq!((host.status().phase, host.status().probation), ("probation", None));
    let build = |builder: liveswap::Builder| builder.module::<dyn fixture_api::trial::Trial>(MODULE).build();
    let refused = build(Engine::builder().probation_of("chat", policy())).unwrap_err();
    assert!(matches!(&refused, BuildError::PolicyOfNone { name, .. } if name == "chat"), "{refused}");
    let refused = build(Engine::builder().probation(Probation::default().slower_max(0.5))).unwrap_err();
    assert!(refused.to_string().contains("slower_max"), "{refused}");
}

/// Both are one store and one barrier; what comes before differs, since a rollback has nothing to load.
#[test]
fn a_rollback_takes_no_longer_than_a_publish() {
    const ROUNDS: usize = 15;
    let host = serving(policy(), |builder, _| builder);
    let candidate = Fixture::trial("1002").build();
    let ((mut published, mut returned), answers) = under_load(&host, || {
        let (mut published, mut returned) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            published.push(host.push(&candidate).swap.stages_us.publish.unwrap());
            let started = Instant::now();
            let stages = host.rollback().swap.stages_us;
            assert_eq!((stages.accept, stages.load), (None, None), "nothing is loaded");
            returned.push((stages.publish.unwrap(), started.elapsed()));
        }
        (published, returned)
    });
    published.sort_unstable();
    returned.sort_unstable();
    let middle = ROUNDS / 2;
    println!("published in {} µs, returned in {} µs (medians)", published[middle], returned[middle].0);
    assert!(answers.all() > 0);
}
