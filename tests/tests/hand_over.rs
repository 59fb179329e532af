//! A hand-over in two phases: the candidate prepares and tests itself, the version that serves agrees or vetoes, and
//! whoever has agreed hears what has become of it. A hook that doesn't return holds up its own version and nobody else.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fixture_api::Game;
use liveswap::{Module, Moment, Probation, Push, SwapStep};
use liveswap_tests::fixture::logic;
use liveswap_tests::log::Log;
use liveswap_tests::patch::Patched;
use liveswap_tests::{Fixture, Host, alone, wait_until};

/// Long for a hook that does its work, on a busy machine too: one that hangs is given up after it.
const DEADLINE: Duration = Duration::from_secs(2);

fn version(number: &str, feature: &'static str) -> PathBuf {
    Fixture::new(number).feature(feature).build()
}

/// A host that serves a version, with short deadlines.
fn serving(candidate: PathBuf) -> Host {
    let host = Host::with(|builder, _| {
        let vetoes = NonZeroU32::new(3).unwrap();
        builder.hook_deadline(DEADLINE).vetoes_max(vetoes, Duration::from_millis(5))
    });
    host.push(candidate);
    host
}

/// What the hooks of two versions have said. The log is that of all tests, so each takes versions of its own.
fn words(versions: [&str; 2]) -> Vec<String> {
    let said = Log::of_this_process().records().into_iter();
    let said = said.map(|record| (record.text("message").to_owned(), record.text("version").to_owned()));
    let hooks = said.filter(|(word, version)| {
        ["agreed", "yielded", "resumed", "tested"].contains(&&**word) && versions.contains(&&**version)
    });
    hooks.map(|(word, version)| format!("{version} {word}")).collect()
}

#[test]
fn p0_08_a_version_that_has_agreed_hears_what_has_become_of_it() {
    let words = || words(["2001", "2002"]);
    Log::of_this_process();
    let host = serving(logic("2001"));
    assert_eq!(words(), ["2001 tested"], "there was nobody to ask");

    host.push(logic("2002"));
    wait_until("it's told", || words().last().is_some_and(|word| word == "2001 yielded"));
    assert_eq!(words()[1..], ["2002 tested", "2001 agreed", "2001 yielded"]);

    host.rollback();
    wait_until("it's told", || words().last().is_some_and(|word| word == "2001 resumed"));
    assert_eq!(words().len(), 5, "a version that is rolled back isn't asked");
}

#[test]
fn p0_09_a_version_that_has_agreed_still_answers_and_its_callers_are_routed_on() {
    let module: Arc<Mutex<Option<Module<dyn Game>>>> = Arc::default();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let host = Host::with(|builder, _| {
        let (module, answers) = (module.clone(), answers.clone());
        builder.on_step(move |moment: &Moment| {
            let has_agreed = matches!(moment.step, SwapStep::HandOver | SwapStep::Publish);
            if let Some(module) = module.lock().unwrap().as_ref().filter(|_| has_agreed) {
                answers.lock().unwrap().push(module.call(|game| game.version()).unwrap());
            }
            Ok(())
        })
    });
    host.push(logic("1001"));
    *module.lock().unwrap() = Some(host.game());
    let (before, old) = (host.game(), host.game());
    let guard = old.enter().unwrap();
    host.push(logic("1002"));

    assert_eq!(*answers.lock().unwrap(), ["1001", "1001", "1002"], "before, after, and once it's published");
    assert_eq!(before.call(|game| game.version()).unwrap(), "1001", "within the guard's unit of work");
    assert_eq!(guard.version().unwrap(), "1001");
    host.commit();
    assert_eq!(guard.version().unwrap(), "1001", "what it's in stays mapped");
    drop(guard);
    assert_eq!(before.call(|game| game.version()).unwrap(), "1002");
    host.wait_until_unmapped("1001");
    assert_eq!(before.call(|game| game.version()).unwrap(), "1002");
}

#[test]
fn who_has_agreed_is_told_when_it_is_called_off_afterwards() {
    let words = || words(["3001", "3002"]);
    Log::of_this_process();
    let is_friday = Arc::new(AtomicBool::new(false));
    let host = Host::with(|builder, _| {
        let is_friday = is_friday.clone();
        builder.on_step(move |moment: &Moment| {
            let is_meant = moment.step == SwapStep::HandOver && !moment.is_done;
            let is_refused = is_meant && is_friday.load(Ordering::SeqCst);
            if is_refused { Err("not on a Friday".to_owned()) } else { Ok(()) }
        })
    });
    host.push(logic("3001"));
    is_friday.store(true, Ordering::SeqCst);
    let error = host.refused("withheld", logic("3002")).to_string();
    assert_eq!(error, "the host doesn't allow the step `hand over`: not on a Friday");
    assert_eq!(host.version(), "3001");
    wait_until("it's told", || words().last().is_some_and(|word| word == "3001 resumed"));
    assert_eq!(words(), ["3001 tested", "3002 tested", "3001 agreed", "3001 resumed"]);
    host.wait_until_mapped(1);
}

#[test]
fn a_host_sees_each_step_before_and_after_it_and_its_own_panic_is_a_no() {
    let (seen, is_first) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
    let host = Host::with(|builder, _| {
        let (seen, is_first) = (seen.clone(), is_first.clone());
        builder.on_step(move |moment: &Moment| {
            seen.lock().unwrap().push((moment.step, moment.is_done));
            let is_second = !is_first.load(Ordering::SeqCst);
            assert!(!(is_second && moment.step == SwapStep::Load), "the host's own fault");
            Ok(())
        })
    });
    host.push(logic("1001"));
    let both = |step| [(step, false), (step, true)];
    let steps =
        SwapStep::ALL.into_iter().filter(|step| !matches!(step, SwapStep::Publish | SwapStep::Commit));
    let expected: Vec<_> = steps.flat_map(both).chain([(SwapStep::Publish, true)]).collect();
    assert_eq!(*seen.lock().unwrap(), expected);

    is_first.store(false, Ordering::SeqCst);
    let error = host.refused("withheld", logic("1002")).to_string();
    assert!(error.contains("its function panicked"), "{error}");
    assert_eq!(host.version(), "1001");
}

#[test]
fn p0_08_a_veto_is_asked_about_again_until_it_is_lifted() {
    let host = serving(version("1001", "vetoes-twice"));
    let published = host.push(logic("1002"));
    assert_eq!(published.swap.forced, None);
    assert!(published.swap.stages_us.yielding.unwrap() >= 15_000, "it waited 5 and 10 ms in between");
    assert_eq!(host.version(), "1002");
}

#[test]
fn a_lasting_veto_refuses_the_push_and_force_overrides_it_on_record() {
    let host = serving(version("1001", "vetoes"));
    let candidate = logic("1002");
    let error = host.refused("vetoed", &*candidate).to_string();
    assert!(
        error.contains("version 1001 doesn't hand over: a match is being played (asked 3 times)"),
        "{error}"
    );
    assert_eq!((host.version(), host.status().phase), ("1001".to_owned(), "serving"));
    host.wait_until_mapped(1);

    let forced = host.push(Push::file(candidate).force()).swap.forced.expect("it was overridden");
    assert!(forced.contains("a match is being played"), "{forced}");
    assert_eq!(host.status().last_swap.unwrap().forced, Some(forced));
    // A version that vetoes everything can be rolled back from, and to.
    assert_eq!(host.rollback().swap.forced, None, "nobody was asked");
    assert_eq!(host.version(), "1001");
}

#[test]
fn a_version_that_panics_when_it_is_asked_is_as_good_as_a_veto() {
    let host = serving(version("1001", "yield-panics"));
    let error = host.refused("yield-panicked", logic("1002")).to_string();
    assert!(error.contains("asked too often") && error.contains("--force"), "{error}");
    host.push(Push::file(logic("1002")).force());
}

#[test]
fn a_version_that_gives_no_answer_holds_itself_and_can_be_replaced() {
    let host = serving(version("1001", "yield-hangs"));
    let error = host.refused("hook-hung", logic("1002")).to_string();
    assert!(error.contains("`prepare_to_yield` hasn't returned within 2000 ms"), "{error}");
    let active = host.status().active.unwrap();
    let holder = active.holders.first().expect("its thread is named");
    assert_eq!(
        (&*holder.thread, holder.holds_by, holder.method),
        ("liveswap-hook", "hook", Some("prepare_to_yield"))
    );
    assert_eq!(host.version(), "1001", "the service runs on");

    host.push(Push::file(logic("1002")).force());
    host.commit();
    // Its `teardown` lets the hook return.
    host.wait_until_unmapped("1001");
}

#[test]
fn a_version_that_agrees_too_late_is_told_to_resume() {
    let words = || words(["4001", "4002"]);
    Log::of_this_process();
    let host = serving(version("4001", "yields-late"));
    host.refused("hook-hung", logic("4002"));
    wait_until("it's told", || words().last().is_some_and(|word| word == "4001 resumed"));
    assert_eq!(words(), ["4001 tested", "4002 tested", "4001 agreed", "4001 resumed"]);
}

#[test]
fn a_version_that_takes_over_by_itself_again_is_told_to_resume() {
    let words = || words(["4101", "4102"]);
    Log::of_this_process();
    let host = Host::with(|builder, _| builder.probation(Probation::default()));
    host.push(logic("4101"));
    host.push(logic("4102"));
    for _ in 0..200 {
        host.game().call(|game| game.panics("again")).unwrap_err();
    }
    wait_until("it's told", || words().last().is_some_and(|word| word == "4101 resumed"));
    assert_eq!(host.version(), "4101");
    assert_eq!(words()[1..], ["4102 tested", "4101 agreed", "4101 yielded", "4101 resumed"]);
}

#[test]
fn a_candidate_whose_hook_fails_or_hangs_is_refused_and_leaves() {
    let host = serving(logic("1001"));
    for (feature, code, found) in [
        ("self-test-fails", "self-test-failed", "has failed its self-test: two and two are five"),
        ("self-test-panics", "prepare-panicked", "panicked in `self_test`"),
        ("self-test-hangs", "hook-hung", "`prepare` hasn't returned within 2000 ms"),
        ("prepare-hangs", "hook-hung", "`prepare` hasn't returned within 2000 ms"),
    ] {
        let error = host.refused(code, version("1002", feature)).to_string();
        assert!(error.contains(found), "{feature}: {error}");
        assert_eq!(host.version(), "1001");
        // Its `teardown` has been called, which lets go.
        host.wait_until_mapped(1);
        wait_until("its file is gone", || host.copies().len() == 1);
    }
}

#[test]
fn a_first_version_whose_create_hangs_leaves_the_module_empty() {
    let host = Host::with(|builder, _| builder.hook_deadline(DEADLINE));
    let error = host.refused("hook-hung", version("1001", "create-hangs")).to_string();
    assert!(error.contains("`create`"), "{error}");
    assert_eq!(host.status().phase, "empty");
    host.wait_until_mapped(0);
    host.push(logic("1001"));
}

/// The loader calls constructors under its lock, which a thread needs for its first thread-local with a destructor. So
/// meanwhile threads that are new wait, and those that have called before go on. In a process of its own, because other
/// tests' threads would wait too.
#[test]
fn a_constructor_that_hangs_holds_up_its_own_push_and_no_thread_that_has_called_before() {
    alone::check(|| {
        let host = serving(logic("1001"));
        assert_eq!(host.version(), "1001");
        let release = host.folder().join("release");
        let hanging = Patched::of(version("1002", "constructor-hangs")).mark(&release);
        let error = host.refused("hook-hung", hanging.write(host.folder(), "1002")).to_string();
        assert!(error.contains("`load` hasn't returned within 2000 ms"), "{error}");
        assert_eq!(host.version(), "1001", "the service runs on");
        let retained = host.retired("1002").expect("it's listed");
        assert_eq!((retained.state, &*retained.holders[0].thread), ("retained", "liveswap-hook"));
        // The loader is free again.
        std::fs::write(&release, "").unwrap();
        wait_until("its thread lets go", || host.retired("1002").unwrap().holders.is_empty());
        host.push(logic("1003"));
        let reason = host.retired("1002").unwrap().reason;
        assert_eq!(reason.as_deref(), Some("its constructors didn't return in time"));
    });
}
