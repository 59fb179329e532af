//! A `tracing` subscriber that keeps what it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// How grave it is.
    pub level: Level,
    /// Whose it is.
    pub target: String,
    /// The name of the thread it happened on; empty if it has none.
    pub thread: String,
    /// What it says, the message under the name `message`.
    pub fields: BTreeMap<String, Value>,
}

impl Record {
    /// An event that happens on this thread now.
    pub fn of(event: &Event<'_>) -> Self {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        Self {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            thread: thread::current().name().unwrap_or_default().to_owned(),
            fields: fields.0,
        }
    }

    /// The text of a field; empty if there is no such field.
    pub fn text(&self, field: &str) -> &str {
        match self.fields.get(field) {
            Some(Value::Text(text) | Value::Formatted(text)) => text,
            _ => "",
        }
    }
}

/// The value of a field, with the type in which it came.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Truth(bool),
    Text(String),
    Formatted(String),
}

/// Keeps all events up to a level. A clone keeps them in the same place.
#[derive(Clone, Debug)]
pub struct Log {
    level: Level,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Log {
    /// An empty log.
    pub fn new(level: Level) -> Self {
        Self { level, records: Arc::default() }
    }

    /// The log of this process: events of all threads, so of all its tests.
    pub fn of_this_process() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::new(Level::INFO);
            tracing::subscriber::set_global_default(log.clone()).expect("nobody else sets it");
            log
        })
    }

    /// What was told so far.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.level
    }

    fn event(&self, event: &Event<'_>) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(Record::of(event));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Truth(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Value::Formatted(format!("{value:?}")));
    }
}
