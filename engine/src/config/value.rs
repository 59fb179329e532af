//! TOML's values as options, and back.

use liveswap_state::{OptionValue, Options};
use toml::{Table, Value};

pub(crate) fn options(table: Table) -> Options {
    table.into_iter().map(|(name, inner)| (name, value(inner))).collect()
}

pub(super) fn value(value: Value) -> OptionValue {
    match value {
        Value::String(text) => OptionValue::Text(text),
        Value::Integer(whole) => OptionValue::Integer(whole),
        Value::Float(number) => OptionValue::Float(number),
        Value::Boolean(truth) => OptionValue::Truth(truth),
        // Logic has no type for it that it could be sure of.
        Value::Datetime(time) => OptionValue::Text(time.to_string()),
        Value::Array(values) => OptionValue::List(values.into_iter().map(self::value).collect()),
        Value::Table(table) => OptionValue::Table(options(table)),
    }
}

/// The table that [`options`] makes these of.
pub(crate) fn table(options: &Options) -> Table {
    options.iter().map(|(name, value)| (name.to_owned(), written(value))).collect()
}

fn written(value: &OptionValue) -> Value {
    match value {
        OptionValue::Truth(truth) => Value::Boolean(*truth),
        OptionValue::Integer(whole) => Value::Integer(*whole),
        OptionValue::Float(number) => Value::Float(*number),
        OptionValue::Text(text) => Value::String(text.clone()),
        OptionValue::List(values) => Value::Array(values.iter().map(written).collect()),
        OptionValue::Table(options) => Value::Table(table(options)),
        other => unreachable!("there is no other kind of value: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_toml_and_the_same_options_again() {
        let text = "a = 1\nb = 0.5\nc = true\nd = 'x'\ne = [1, 'y', [inf]]\n[f]\ng = { h = 2 }";
        let there = options(text.parse().unwrap());
        assert_eq!(options(table(&there).to_string().parse().unwrap()), there);
        let time = options("at = 2020-01-02T03:04:05Z".parse().unwrap());
        assert_eq!(time.text("at"), Ok("2020-01-02T03:04:05Z"));
    }
}
