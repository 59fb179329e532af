//! A `tracing` subscriber that does something within an event, as a host's may.

use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::log::{Log, Record};

/// From now on, `react` is called within each event of this process that says one of `messages`. Gives the log, in which
/// such an event stands before what it leads to. For a test that has its process for itself.
pub fn react_to(messages: &'static [&'static str], react: impl Fn() + Send + Sync + 'static) -> Log {
    let log = Log::new(Level::INFO);
    let reaction = Reaction { messages, react, log: log.clone() };
    tracing::subscriber::set_global_default(reaction).expect("nobody else sets it");
    log
}

struct Reaction<R> {
    messages: &'static [&'static str],
    react: R,
    log: Log,
}

impl<R: Fn() + Send + Sync + 'static> Subscriber for Reaction<R> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.log.enabled(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        self.log.event(event);
        if self.messages.contains(&Record::of(event).text("message")) {
            (self.react)();
        }
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.log.new_span(attributes)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
