//! What is set for a module, for a library in C: names and values as text, one by one.

use liveswap_state::{OptionValue, Options};

/// All values, in the order of their names. What is in a table or a list is named after it: `listen.port`, `peers.0`.
pub(super) fn settings(options: &Options) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for (name, value) in options.iter() {
        add(&mut settings, name.to_owned(), value);
    }
    settings
}

fn add(settings: &mut Vec<(String, String)>, name: String, value: &OptionValue) {
    let text = match value {
        OptionValue::Truth(value) => value.to_string(),
        OptionValue::Integer(value) => value.to_string(),
        OptionValue::Float(value) => format!("{value:?}"),
        OptionValue::Text(value) => value.clone(),
        OptionValue::List(values) => {
            let named = values.iter().enumerate();
            return named.for_each(|(place, value)| add(settings, format!("{name}.{place}"), value));
        }
        OptionValue::Table(table) => {
            return table.iter().for_each(|(inner, value)| add(settings, format!("{name}.{inner}"), value));
        }
        // A kind that a later release adds is passed as people read it.
        other => other.to_string(),
    };
    settings.push((name, text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_is_named_after_what_it_is_in() {
        let listen = Options::from([("port", OptionValue::from(80_i64)), ("tls", OptionValue::from(true))]);
        let options = Options::from([
            ("ratio", OptionValue::from(1.0)),
            ("listen", OptionValue::Table(listen)),
            ("peers", OptionValue::from(vec!["ada", "bob"])),
        ]);
        let found = settings(&options);
        let found: Vec<_> = found.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let expected =
            ["listen.port = 80", "listen.tls = true", "peers.0 = ada", "peers.1 = bob", "ratio = 1.0"];
        assert_eq!(found, expected);
    }
}
