//! Calls within calls, and a subscriber that turns back to the engine that is telling it something.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use fixture_api::{Latch, Task};
use liveswap::{Engine, PushError, PushOutcome};
use liveswap_state::CallError;
use liveswap_tests::host::MODULE;
use liveswap_tests::{Host, Patched, logic, wait_until};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[test]
fn calls_within_a_guard_stay_on_its_version_whatever_their_kind() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    game.call(|outer| {
        assert_eq!(outer.hit(1)?, 1);
        host.push(logic("1002"));
        game.call(|inner| {
            assert_eq!(inner.record(2)?, 2, "an exclusive call within a guard");
            assert_eq!(inner.hit(1)?, 2);
            assert_eq!(inner.version()?, "1001");
            Ok::<_, CallError>(())
        })?;
        assert_eq!(outer.record(2)?, 4);
        assert_eq!(outer.version()?, "1001");
        Ok::<_, CallError>(())
    })
    .unwrap();
    assert_eq!(host.version(), "1002");
}

#[test]
fn an_upgrade_by_the_thread_that_is_inside_a_guard_doesn_t_wait_for_itself() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let guard = game.enter().unwrap();
    host.push(logic("1002"));
    host.push(logic("1003"));
    host.rollback();
    assert_eq!(guard.version(), Ok("1001".to_owned()));
    drop(guard);
    assert_eq!(host.version(), "1002");
    host.wait_until_mapped(1);
}

/// What a subscriber does when something happens on a thread that it cares about.
type Reaction = Box<dyn Fn(&str) + Send + Sync>;

/// A subscriber for all threads of this process. It reacts to events whose field `version` is of interest
/// to one of the tests, each of which has numbers of its own.
struct Reacting {
    reactions: Mutex<Vec<(&'static str, Arc<Reaction>)>>,
}

impl Reacting {
    fn of_this_process() -> &'static Arc<Self> {
        static REACTING: OnceLock<Arc<Reacting>> = OnceLock::new();
        REACTING.get_or_init(|| {
            let reacting = Arc::new(Self { reactions: Mutex::new(Vec::new()) });
            tracing::subscriber::set_global_default(reacting.clone()).expect("nobody else sets it");
            reacting
        })
    }

    fn add(&self, version: &'static str, reaction: impl Fn(&str) + Send + Sync + 'static) {
        let mut reactions = self.reactions.lock().unwrap_or_else(PoisonError::into_inner);
        reactions.push((version, Arc::new(Box::new(reaction))));
    }
}

impl Subscriber for Reacting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        let mut told = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            told += &format!("{field}={value:?} ");
        });
        let reactions = self.reactions.lock().unwrap_or_else(PoisonError::into_inner);
        let concerned: Vec<_> = reactions
            .iter()
            .filter(|(version, _)| told.contains(version))
            .map(|(_, reaction)| reaction.clone())
            .collect();
        drop(reactions);
        for reaction in concerned {
            reaction(&told);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A host whose engine subscribers can be given, without keeping it alive by that.
struct Reached {
    host: Arc<Host>,
}

impl Reached {
    fn new() -> Self {
        Self { host: Arc::new(Host::with(|builder, folder| builder.watch(folder.join("modules")))) }
    }

    fn push(&self, version: &str) -> PushOutcome {
        let candidate = Patched::of(logic("1001")).version(version).write(self.host.folder(), version);
        self.host.engine.push(candidate).unwrap()
    }

    /// Whenever an event speaks of the version, `react` gets hold of the engine. Counts how often.
    fn react(
        &self,
        version: &'static str,
        react: impl Fn(&Engine, &str) + Send + Sync + 'static,
    ) -> Arc<AtomicUsize> {
        let (times, host): (Arc<AtomicUsize>, Weak<Host>) = (Arc::default(), Arc::downgrade(&self.host));
        let counted = times.clone();
        Reacting::of_this_process().add(version, move |told| {
            if let Some(host) = host.upgrade() {
                react(&host.engine, told);
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        times
    }
}

/// The whole life of a version is told about: its preparation, its publish, its retirement, its unmapping.
#[test]
fn p0_12_a_subscriber_that_asks_for_the_status_waits_for_nobody() {
    let reached = Reached::new();
    let times = reached.react("6001", |engine, _| assert_eq!(engine.status().modules.len(), 1));
    reached.push("6001");
    assert!(times.load(Ordering::SeqCst) > 0, "nobody was told about it");
    reached.host.game().call(|game| game.panics("told")).unwrap_err();
    reached.push("6002");
    reached.host.commit();
    reached.host.wait_until_unmapped("6001");
}

#[test]
fn p0_12_a_subscriber_on_the_control_thread_that_pushes_is_told_that_it_is_busy() {
    let reached = Reached::new();
    let answers: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let candidate = Patched::of(logic("1001")).version("6105").write(reached.host.folder(), "6105");
    let told = answers.clone();
    let times = reached.react("6101", move |engine, _| {
        let mut answers = told.lock().unwrap();
        let push = engine.push(&*candidate);
        assert!(matches!(push, Err(PushError::Busy { .. })), "{push:?}");
        answers.push(push.unwrap_err().code());
        answers.push(engine.commit(MODULE).unwrap_err().code());
        answers.push(engine.rollback(MODULE).unwrap_err().code());
    });
    reached.push("6101");
    assert!(times.load(Ordering::SeqCst) > 0);
    assert!(answers.lock().unwrap().iter().all(|code| *code == "busy"), "{answers:?}");
    assert_eq!(reached.host.version(), "6101");
}

#[test]
fn p0_12_a_subscriber_on_the_control_thread_that_rescans_doesn_t_wait_for_itself() {
    let reached = Reached::new();
    let times = reached.react("6201", |engine, _| drop(engine.rescan()));
    reached.push("6201");
    assert!(times.load(Ordering::SeqCst) > 0);
    assert_eq!(reached.host.version(), "6201");
}

/// Nothing is being swapped any more, but the control thread waits for the hook all the same.
#[test]
fn p0_12_a_subscriber_in_a_hook_that_tells_of_a_hand_over_is_told_that_the_engine_is_busy() {
    let reached = Reached::new();
    let answers: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let told = answers.clone();
    reached.push("6501");
    reached.react("6501", move |engine, event| {
        if event.contains("yielded") {
            told.lock().unwrap().push(engine.commit(MODULE).unwrap_err().code());
        }
    });
    reached.push("6502");
    wait_until("it has heard of it", || !answers.lock().unwrap().is_empty());
    assert_eq!(*answers.lock().unwrap(), ["busy"]);
    assert_eq!(reached.host.commit(), "6502");
}

#[test]
fn p0_12_a_subscriber_that_calls_logic_back_gets_an_answer() {
    let reached = Reached::new();
    let game = reached.host.game();
    let answers: Arc<Mutex<Vec<_>>> = Arc::default();
    let told = answers.clone();
    reached.push("6301");
    reached.react("6301", move |_, event| {
        if event.contains("text=\"outer\"") {
            let answer = game.call(|game| {
                game.hit(1)?;
                game.record(1)
            });
            told.lock().unwrap().push(answer);
        }
    });
    // The call that logs shares the state, so the one within may share it too, but not have it alone.
    reached.host.game().call(|game| game.logs("outer")).unwrap();
    let reentrant = Err(CallError::Reentrant { module: MODULE.to_owned(), method: "record".to_owned() });
    assert_eq!(*answers.lock().unwrap(), [reentrant]);
    let totals = reached.host.game().call(|game| game.totals()).unwrap();
    assert_eq!((totals.hits, totals.recorded), (1, 0));
    assert_eq!(reached.host.game().call(|game| game.record(1)), Ok(1));
}

#[test]
fn p0_12_the_status_is_there_while_a_drain_is_reported() {
    let host = Host::with(|builder, _| builder.drain_deadline(std::time::Duration::from_millis(20)));
    let reached = Reached { host: Arc::new(host) };
    let times = reached.react("6401", |engine, event| {
        if event.contains("holders") {
            assert_eq!(engine.status().modules[0].retired[0].state, "draining");
        }
    });
    reached.push("6401");
    let latch = Arc::new(Latch::default());
    let (game, held) = (reached.host.game(), latch.clone());
    let call = std::thread::spawn(move || game.call(|game| game.hold(&held)));
    wait_until("the call is inside", || latch.is_entered());
    reached.push("6402");
    let before = times.load(Ordering::SeqCst);
    reached.host.commit();
    wait_until("the drain is reported", || times.load(Ordering::SeqCst) > before);
    latch.release();
    assert_eq!(call.join().unwrap(), Ok("6401".to_owned()));
    reached.host.wait_until_unmapped("6401");
}

#[test]
fn p0_12_a_subscriber_that_panics_takes_nothing_along() {
    let reached = Reached::new();
    let times: Arc<AtomicUsize> = Arc::default();
    for version in ["6501", "6502"] {
        let counted = times.clone();
        Reacting::of_this_process().add(version, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("a subscriber's own fault");
        });
    }
    // On the control thread (published), on a caller's within the library, and on the reaper's (unmapped).
    reached.push("6501");
    reached.host.game().call(|game| game.logs("within the library")).unwrap();
    reached.push("6502");
    reached.host.commit();
    reached.host.wait_until_unmapped("6501");
    assert!(times.load(Ordering::SeqCst) >= 4, "{times:?}");
    assert_eq!(reached.host.version(), "6502");
    reached.push("6503");
    assert_eq!(reached.host.version(), "6503");
}

#[test]
fn p0_12_a_subscriber_may_be_the_one_that_ends_the_engine() {
    let reached = Reached::new();
    reached.push("6601");
    let game = reached.host.game();
    let last = Mutex::new(Some(reached.host.clone()));
    // `push` below holds the engine until it has its answer, which comes after this event.
    let candidate = Patched::of(logic("1001")).version("6602").write(reached.host.folder(), "6602");
    Reacting::of_this_process().add("6602", move |_| drop(last.lock().unwrap().take()));
    std::fs::rename(candidate, reached.host.folder().join("modules/logic.v6602.so")).unwrap();
    drop(reached);
    wait_until("the engine has ended", || game.call(|game| game.version()).is_err());
}

/// The engine's end waits for what was spawned, but the thread of a spawned call can't wait for that: with
/// this deadline it would do so for ever.
#[test]
fn p0_12_a_subscriber_may_end_the_engine_on_the_thread_of_a_spawned_call() {
    let host = Host::with(|builder, _| builder.drain_deadline(std::time::Duration::MAX));
    let reached = Reached { host: Arc::new(host) };
    reached.push("6701");
    let game = reached.host.game();
    let (last, ended) = (Mutex::new(Some(reached.host.clone())), Arc::new(AtomicUsize::new(0)));
    let counted = ended.clone();
    Reacting::of_this_process().add("6701", move |told| {
        if told.contains("a spawned call failed") {
            drop(last.lock().unwrap().take());
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    drop(reached);
    assert_eq!(game.call(|game| game.spawn(Task::Panic)), Ok(Ok(())));
    wait_until("the subscriber has ended the engine", || ended.load(Ordering::SeqCst) == 1);
    // Which goes on on the engine's own thread: this one can't wait for it.
    wait_until("nobody enters any more", || game.call(|game| game.version()).is_err());
}
