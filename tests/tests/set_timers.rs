//! Timers that are due at once, in a module whose first version comes with a set.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fixture_api::work::Work;
use liveswap::{Engine, Push};
use liveswap_tests::host::MODULE;
use liveswap_tests::log::Record;
use liveswap_tests::work::{SECOND, second};
use liveswap_tests::{Fixture, wait_until};
use tracing::span::{Attributes, Id};
use tracing::subscriber::set_global_default;
use tracing::{Event, Level, Metadata, Subscriber};

/// The moment between the publish of the first member and that of the set lasts as long as this, or until a spawned call
/// has failed.
const MOMENT: Duration = Duration::from_millis(300);

/// Makes that moment long: the engine says in it that the other member is initialized.
#[derive(Default)]
struct Slow {
    has_failed: AtomicBool,
}

impl Subscriber for Slow {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let record = Record::of(event);
        let message = record.text("message");
        if message.starts_with("a spawned call failed") {
            self.has_failed.store(true, Ordering::SeqCst);
        }
        if message == "initialized" && record.text("module") == SECOND {
            let began = Instant::now();
            while began.elapsed() < MOMENT && !self.has_failed.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn timers_of_a_sets_members_wait_until_the_set_is_published() {
    set_global_default(Slow::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let builder = Engine::builder().module::<dyn Work>(MODULE).module::<dyn Work>(SECOND);
    let builder = builder.set("both", [MODULE, SECOND]).private_folder(folder.path().join("private"));
    let engine = builder.build().unwrap();
    let beating = Fixture::package("fixture-work", "1001").feature("beats-at-create").build();
    let candidates = [Push::from(beating), Push::from(second(folder.path(), "1001"))];
    engine.push_set("both", candidates).unwrap();
    let beats = || engine.module::<dyn Work>(MODULE).unwrap().call(|work| work.beats()).unwrap();
    wait_until("the timer has run", || beats() == 1);
}
