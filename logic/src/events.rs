//! The tracing forwarder: events of logic reach the host's subscriber.
//!
//! Each cdylib has its own copy of `tracing` with its own dispatcher; an event that isn't forwarded is
//! lost. So binding installs a subscriber of its own, which copies each event into plain data and hands
//! it to the host. Spans stay inside the library for now; they cost nothing and are not forwarded.

use std::fmt;

use liveswap_state::{Level, Place, Value};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, Metadata, Subscriber, dispatcher};

use crate::binding::binding;

pub(crate) fn install() {
    // Fails only if logic set a subscriber of its own before it was bound; then that one is what it wants.
    let _ = dispatcher::set_global_default(Dispatch::new(Forwarder));
}

struct Forwarder;

impl Subscriber for Forwarder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The host's filter may change at any time, so nothing about it is cached here.
        if metadata.is_event() { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let Some(binding) = binding() else { return false };
        metadata.is_event()
            && with_place(metadata, |place| (binding.host.events.enabled)(binding.context, place))
    }

    fn event(&self, event: &Event<'_>) {
        let Some(binding) = binding() else { return };
        let mut values = Values::default();
        event.record(&mut values);
        let values: Vec<_> = values.0.iter().map(|(name, value)| (*name, value.borrow())).collect();
        with_place(event.metadata(), |place| (binding.host.events.record)(binding.context, place, &values));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn with_place<R>(metadata: &Metadata<'_>, body: impl FnOnce(&Place<'_>) -> R) -> R {
    let fields: Vec<&str> = metadata.fields().iter().map(|field| field.name()).collect();
    body(&Place {
        target: metadata.target(),
        level: match *metadata.level() {
            tracing_core::Level::ERROR => Level::Error,
            tracing_core::Level::WARN => Level::Warn,
            tracing_core::Level::INFO => Level::Info,
            tracing_core::Level::DEBUG => Level::Debug,
            tracing_core::Level::TRACE => Level::Trace,
        },
        file: metadata.file(),
        line: metadata.line(),
        fields: &fields,
    })
}

enum Owned {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Truth(bool),
    Text(String),
    Formatted(String),
}

impl Owned {
    fn borrow(&self) -> Value<'_> {
        match self {
            Self::Signed(value) => Value::Signed(*value),
            Self::Unsigned(value) => Value::Unsigned(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Truth(value) => Value::Truth(*value),
            Self::Text(value) => Value::Text(value),
            Self::Formatted(value) => Value::Formatted(value),
        }
    }
}

#[derive(Default)]
struct Values(Vec<(&'static str, Owned)>);

impl Visit for Values {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), Owned::Signed(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), Owned::Unsigned(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), Owned::Float(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), Owned::Truth(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), Owned::Text(value.to_owned())));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), Owned::Formatted(format!("{value:?}"))));
    }
}
