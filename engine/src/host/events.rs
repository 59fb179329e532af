//! Events of logic, given to the host's `tracing` subscriber as if they had happened here.
//!
//! A subscriber wants each event to come from a callsite that lives for ever, with names that do too. So
//! the first event of each place in the logic's source makes such a callsite here, out of copied text. It
//! is kept by content: the next version's same line is the same callsite, and what is kept doesn't grow
//! with the number of swaps. It is bounded too; places beyond the bound share one callsite per level.
//!
//! Every event carries the fields `module` and `version` before its own.

use std::collections::HashMap;
use std::sync::{OnceLock, RwLock};

use liveswap_state::{Context, Level, Place, Value};
use tracing_core::field::{FieldSet, Value as TracingValue, display};
use tracing_core::metadata::Kind;
use tracing_core::{Callsite, Event, Interest, Metadata, callsite, dispatcher, identify_callsite};

use crate::lock::{read, write};
use crate::tell::tell;

/// How many places of source are told apart.
const PLACES_MAX: usize = 4096;

/// The fields that the host adds, before the event's own.
const ADDED: [&str; 2] = ["module", "version"];

// The host's subscriber may panic. A panic must not unwind into the library, which has its own copy of the
// runtime and would abort the process.

pub(super) fn enabled(_: &Context, place: &Place<'_>) -> bool {
    tell(|| {
        let metadata = metadata(place);
        dispatcher::get_default(|dispatch| dispatch.enabled(metadata))
    })
    .unwrap_or(false)
}

pub(super) fn record(context: &Context, place: &Place<'_>, values: &[(&str, Value<'_>)]) {
    tell(|| {
        let added = [("module", Value::Text(context.module())), ("version", Value::Text(context.version()))];
        let values: Vec<(&str, Box<dyn TracingValue + '_>)> = added
            .into_iter()
            .chain(values.iter().copied())
            .map(|(name, value)| (name, tracing_value(value)))
            .collect();
        let metadata = metadata(place);
        // In the order of the callsite's fields; a field that the event leaves out stays out.
        let in_order: Vec<Option<&dyn TracingValue>> = metadata
            .fields()
            .iter()
            .map(|field| values.iter().find(|(name, _)| *name == field.name()).map(|(_, value)| &**value))
            .collect();
        let set = metadata.fields().value_set_all(&in_order);
        dispatcher::get_default(|dispatch| {
            if dispatch.enabled(metadata) {
                dispatch.event(&Event::new(metadata, &set));
            }
        });
    });
}

fn tracing_value<'call>(value: Value<'call>) -> Box<dyn TracingValue + 'call> {
    match value {
        Value::Signed(value) => Box::new(value),
        Value::Unsigned(value) => Box::new(value),
        Value::Float(value) => Box::new(value),
        Value::Truth(value) => Box::new(value),
        Value::Text(value) => Box::new(value),
        Value::Formatted(value) => Box::new(display(value)),
    }
}

/// A callsite made at run time. Its metadata names the callsite in turn, so it is set once the callsite has
/// its address.
struct LogicCallsite(OnceLock<Metadata<'static>>);

impl LogicCallsite {
    fn known(&self) -> &Metadata<'static> {
        self.0.get().expect("`make` sets the metadata before anybody sees the callsite")
    }
}

impl Callsite for LogicCallsite {
    fn set_interest(&self, _: Interest) {
        // Each event asks the subscriber afresh, as the logic's side does.
    }

    fn metadata(&self) -> &Metadata<'_> {
        self.known()
    }
}

/// A place, owned.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    target: String,
    level: Level,
    file: Option<String>,
    line: Option<u32>,
    fields: Vec<String>,
}

impl Key {
    fn new(place: &Place<'_>) -> Self {
        Self {
            target: place.target.to_owned(),
            level: place.level,
            file: place.file.map(str::to_owned),
            line: place.line,
            fields: place.fields.iter().map(|&field| field.to_owned()).collect(),
        }
    }
}

fn metadata(place: &Place<'_>) -> &'static Metadata<'static> {
    static PLACES: RwLock<Option<HashMap<Key, &'static LogicCallsite>>> = RwLock::new(None);

    let key = Key::new(place);
    let known = read(&PLACES);
    if let Some(callsite) = known.as_ref().and_then(|places| places.get(&key)) {
        return callsite.known();
    }
    let full = known.as_ref().is_some_and(|places| places.len() >= PLACES_MAX);
    drop(known);
    let shared = Place { target: "liveswap::logic", file: None, line: None, fields: &["message"], ..*place };
    if full && *place != shared {
        return metadata(&shared);
    }
    let mut places = write(&PLACES);
    let callsite = *places.get_or_insert_default().entry(key).or_insert_with(|| make(place));
    drop(places);
    // Outside of the lock: the subscriber is asked about the new callsite, and may log itself.
    callsite::register(callsite);
    callsite.known()
}

/// Makes a callsite that lives for ever.
fn make(place: &Place<'_>) -> &'static LogicCallsite {
    fn keep(text: &str) -> &'static str {
        String::leak(text.to_owned())
    }
    let level = match place.level {
        Level::Error => tracing_core::Level::ERROR,
        Level::Warn => tracing_core::Level::WARN,
        Level::Info => tracing_core::Level::INFO,
        Level::Debug => tracing_core::Level::DEBUG,
        Level::Trace => tracing_core::Level::TRACE,
    };
    let own = place.fields.iter().filter(|field| !ADDED.contains(field)).map(|field| keep(field));
    let names = Vec::leak(ADDED.into_iter().chain(own).collect());
    let (target, file) = (keep(place.target), place.file.map(keep));
    let callsite: &'static LogicCallsite = Box::leak(Box::new(LogicCallsite(OnceLock::new())));
    let fields = FieldSet::new(names, identify_callsite!(callsite));
    let metadata =
        Metadata::new("event of logic", target, level, file, place.line, None, fields, Kind::EVENT);
    callsite.0.get_or_init(|| metadata);
    callsite
}
