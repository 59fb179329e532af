//! Options: what whoever runs a host sets for a module, as a tree of plain data.
//!
//! The host owns the tree and shares it: logic only reads. A change makes a new tree and leaves the one before as it
//! was, so whoever has got hold of one reads the same to the end. The types hold no pointer into any library.
//!
//! A getter says what it expects, and its error what it has found instead, by the key from the module's top
//! (`listen.port`), so that it can be shown to whoever wrote the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use thiserror::Error;

use crate::lock::lock;

/// A module's options, or a table of them: values by name.
///
/// ```
/// use liveswap_state::{OptionError, Options};
///
/// fn port(options: &Options) -> Result<u16, OptionError> {
///     let port = options.integer_or("listen.port", 8080)?;
///     u16::try_from(port).map_err(|_| OptionError::unfit("listen.port", port, "a port, 0 to 65535"))
/// }
///
/// let options = Options::from([("listen", Options::from([("port", 9000)]))]);
/// assert_eq!(port(&options), Ok(9000));
/// assert_eq!(port(&Options::default()), Ok(8080));
///
/// let wrong = port(&Options::from([("listen", Options::from([("port", "http")]))]));
/// assert_eq!(
///     wrong.unwrap_err().to_string(),
///     "option `listen.port`: found the text \"http\", expected an integer"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    values: BTreeMap<String, OptionValue>,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OptionValue {
    /// True or false.
    Truth(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text; what the configuration has of dates and times is text as well.
    Text(String),
    /// Several values.
    List(Vec<OptionValue>),
    /// Several values by name.
    Table(Options),
}

/// Why an option can't be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionError {
    /// It isn't set.
    #[error("option `{key}`: found nothing, expected {expected}")]
    Missing {
        /// The option, from the module's top.
        key: String,
        /// What was expected.
        expected: &'static str,
    },
    /// Its value is something else.
    #[error("option `{key}`: found {found}, expected {expected}")]
    Unfit {
        /// The option, from the module's top.
        key: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
}

impl OptionError {
    /// For logic that finds a value unfit for a reason of its own.
    pub fn unfit(key: impl Into<String>, found: impl Into<OptionValue>, expected: impl Into<String>) -> Self {
        Self::Unfit { key: key.into(), found: found.into().to_string(), expected: expected.into() }
    }

    /// The option, from the module's top.
    pub fn key(&self) -> &str {
        match self {
            Self::Missing { key, .. } | Self::Unfit { key, .. } => key,
        }
    }
}

impl Options {
    /// The option with this key, which must be `true` or `false`. Dots lead into tables.
    ///
    /// # Errors
    ///
    /// If it isn't set, or is something else.
    pub fn truth(&self, key: &str) -> Result<bool, OptionError> {
        self.read(key, "`true` or `false`", |value| match value {
            OptionValue::Truth(value) => Some(*value),
            _ => None,
        })
    }

    /// The same, or `default` if it isn't set.
    ///
    /// # Errors
    ///
    /// If it is set and is something else.
    pub fn truth_or(&self, key: &str, default: bool) -> Result<bool, OptionError> {
        or(self.truth(key), default)
    }

    /// The option with this key, which must be an integer. Dots lead into tables.
    ///
    /// # Errors
    ///
    /// If it isn't set, or is something else.
    pub fn integer(&self, key: &str) -> Result<i64, OptionError> {
        self.read(key, "an integer", |value| match value {
            OptionValue::Integer(value) => Some(*value),
            _ => None,
        })
    }

    /// The same, or `default` if it isn't set.
    ///
    /// # Errors
    ///
    /// If it is set and is something else.
    pub fn integer_or(&self, key: &str, default: i64) -> Result<i64, OptionError> {
        or(self.integer(key), default)
    }

    /// The option with this key, which must be a number; an integer is one, too. Dots lead into tables.
    ///
    /// # Errors
    ///
    /// If it isn't set, or is something else.
    pub fn float(&self, key: &str) -> Result<f64, OptionError> {
        self.read(key, "a number", |value| match value {
            OptionValue::Float(value) => Some(*value),
            #[expect(
                clippy::cast_precision_loss,
                reason = "what a float can't hold, nobody writes where one belongs"
            )]
            OptionValue::Integer(value) => Some(*value as f64),
            _ => None,
        })
    }

    /// The same, or `default` if it isn't set.
    ///
    /// # Errors
    ///
    /// If it is set and is something else.
    pub fn float_or(&self, key: &str, default: f64) -> Result<f64, OptionError> {
        or(self.float(key), default)
    }

    /// The option with this key, which must be a text. Dots lead into tables.
    ///
    /// # Errors
    ///
    /// If it isn't set, or is something else.
    pub fn text(&self, key: &str) -> Result<&str, OptionError> {
        self.read(key, "a text", |value| match value {
            OptionValue::Text(value) => Some(value.as_str()),
            _ => None,
        })
    }

    /// The same, or `default` if it isn't set.
    ///
    /// # Errors
    ///
    /// If it is set and is something else.
    pub fn text_or<'options>(
        &'options self,
        key: &str,
        default: &'options str,
    ) -> Result<&'options str, OptionError> {
        or(self.text(key), default)
    }

    /// The option with this key, which must be a list. Dots lead into tables.
    ///
    /// # Errors
    ///
    /// If it isn't set, or is something else.
    pub fn list(&self, key: &str) -> Result<&[OptionValue], OptionError> {
        self.read(key, "a list", |value| match value {
            OptionValue::List(value) => Some(value.as_slice()),
            _ => None,
        })
    }

    /// The option with this key, which must be a table. Dots lead into tables.
    ///
    /// # Errors
    ///
    /// If it isn't set, or is something else.
    pub fn table(&self, key: &str) -> Result<&Self, OptionError> {
        self.read(key, "a table", |value| match value {
            OptionValue::Table(value) => Some(value),
            _ => None,
        })
    }

    /// The value with this name in this very table, whatever it is. Dots are part of the name here.
    pub fn get(&self, name: &str) -> Option<&OptionValue> {
        self.values.get(name)
    }

    /// All values of this table, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &OptionValue)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many values this table has.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether nothing is set in this table.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Sets a value in this table. For the host, and for tests of logic.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<OptionValue>) {
        self.values.insert(name.into(), value.into());
    }

    /// For the host: the value with this name, to be changed.
    #[doc(hidden)]
    pub fn get_mut(&mut self, name: &str) -> Option<&mut OptionValue> {
        self.values.get_mut(name)
    }

    fn read<'options, T>(
        &'options self,
        key: &str,
        expected: &'static str,
        read: impl FnOnce(&'options OptionValue) -> Option<T>,
    ) -> Result<T, OptionError> {
        let missing = || OptionError::Missing { key: key.to_owned(), expected };
        let value = self.find(key, expected)?.ok_or_else(missing)?;
        read(value).ok_or_else(|| OptionError::unfit(key, value.clone(), expected))
    }

    fn find(&self, key: &str, expected: &str) -> Result<Option<&OptionValue>, OptionError> {
        let mut table = self;
        let mut rest = key;
        loop {
            let Some((name, deeper)) = rest.split_once('.') else { return Ok(table.values.get(rest)) };
            table = match table.values.get(name) {
                None => return Ok(None),
                Some(OptionValue::Table(inner)) => inner,
                Some(other) => {
                    let outer = &key[..key.len() - deeper.len() - 1];
                    let expected = format!("a table with {expected} for `{deeper}`");
                    return Err(OptionError::unfit(outer, other.clone(), expected));
                }
            };
            rest = deeper;
        }
    }
}

fn or<T>(found: Result<T, OptionError>, default: T) -> Result<T, OptionError> {
    match found {
        Err(OptionError::Missing { .. }) => Ok(default),
        other => other,
    }
}

impl<N: Into<String>, V: Into<OptionValue>> FromIterator<(N, V)> for Options {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(values: T) -> Self {
        Self { values: values.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

impl IntoIterator for Options {
    type Item = (String, OptionValue);
    type IntoIter = std::collections::btree_map::IntoIter<String, OptionValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.into_iter()
    }
}

impl<N: Into<String>, V: Into<OptionValue>, const COUNT: usize> From<[(N, V); COUNT]> for Options {
    fn from(values: [(N, V); COUNT]) -> Self {
        values.into_iter().collect()
    }
}

macro_rules! values {
    ($($type:ty: $value:ident => $made:expr;)*) => {$(
        impl From<$type> for OptionValue {
            fn from($value: $type) -> Self {
                $made
            }
        }
    )*};
}

values! {
    bool: value => Self::Truth(value);
    i64: value => Self::Integer(value);
    i32: value => Self::Integer(value.into());
    u32: value => Self::Integer(value.into());
    u16: value => Self::Integer(value.into());
    f64: value => Self::Float(value);
    String: value => Self::Text(value);
    &str: value => Self::Text(value.to_owned());
    Options: value => Self::Table(value);
}

impl<V: Into<OptionValue>> From<Vec<V>> for OptionValue {
    fn from(values: Vec<V>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

/// With its kind, for people to read: `the integer 7`, `a list of 3`.
impl fmt::Display for OptionValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth(value) => write!(formatter, "`{value}`"),
            Self::Integer(value) => write!(formatter, "the integer {value}"),
            Self::Float(value) => write!(formatter, "the number {value:?}"),
            Self::Text(value) => write!(formatter, "the text {value:?}"),
            Self::List(values) => write!(formatter, "a list of {}", values.len()),
            Self::Table(table) => write!(formatter, "a table of {}", table.len()),
        }
    }
}

/// The options of a module as they are now, which the host and all of the module's versions share.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct SharedOptions {
    current: Mutex<Arc<Options>>,
}

impl SharedOptions {
    pub fn new(options: Options) -> Self {
        Self { current: Mutex::new(Arc::new(options)) }
    }

    pub fn current(&self) -> Arc<Options> {
        lock(&self.current).clone()
    }

    /// From here on these are the current ones.
    pub fn replace(&self, options: Arc<Options>) {
        let before = std::mem::replace(&mut *lock(&self.current), options);
        // Not under the lock.
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let listen = Options::from([("address", OptionValue::from("::1")), ("port", 9000.into())]);
        Options::from([
            ("listen", OptionValue::from(listen)),
            ("ratio", 0.5.into()),
            ("debug", true.into()),
            ("peers", vec!["a", "b"].into()),
        ])
    }

    #[test]
    fn each_getter_finds_its_kind_through_tables() {
        let options = options();
        assert_eq!(options.text("listen.address"), Ok("::1"));
        assert_eq!(options.integer("listen.port"), Ok(9000));
        assert_eq!((options.float("ratio"), options.float("listen.port")), (Ok(0.5), Ok(9000.0)));
        assert_eq!(options.truth("debug"), Ok(true));
        assert_eq!(options.list("peers").map(<[_]>::len), Ok(2));
        assert_eq!(options.table("listen").map(Options::len), Ok(2));
    }

    #[test]
    fn what_isnt_set_is_the_default_and_what_is_something_else_is_an_error_all_the_same() {
        let options = options();
        assert_eq!(options.text_or("listen.name", "none"), Ok("none"));
        assert_eq!(options.text_or("nowhere.at.all", "none"), Ok("none"));
        assert_eq!(options.float_or("depth", 1.0), Ok(1.0));
        assert!(options.integer_or("listen.address", 1).is_err());
        assert!(options.float_or("debug", 1.0).is_err());
    }

    #[test]
    fn errors_name_the_key_what_was_found_and_what_was_expected() {
        let options = options();
        let error = |result: Result<i64, OptionError>| result.unwrap_err().to_string();
        assert_eq!(error(options.integer("depth")), "option `depth`: found nothing, expected an integer");
        assert_eq!(
            error(options.integer("listen")),
            "option `listen`: found a table of 2, expected an integer"
        );
        assert_eq!(
            error(options.integer("ratio.of.what")),
            "option `ratio`: found the number 0.5, expected a table with an integer for `of.what`"
        );
        assert_eq!(options.integer("depth").unwrap_err().key(), "depth");
    }

    #[test]
    fn who_has_got_hold_of_options_keeps_them_through_a_change() {
        let shared = SharedOptions::new(options());
        let before = shared.current();
        shared.replace(Arc::default());
        assert!(shared.current().is_empty());
        assert_eq!(*before, options());
    }
}
