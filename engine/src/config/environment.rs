//! The environment: `LIVESWAP_NAME__KEY__SUB=value` sets `key.sub` of the module `name`.
//!
//! Names of variables are upper case and have no `-`. So a module is meant by any of its spellings, and a key that is
//! set already, too: `LIVESWAP_NET__LISTEN_PORT` is `listen-port` if there is such a key, else `listen_port`.
//!
//! What kind of value is meant, the one that is there already says. Without one, it's what TOML would take it for, and
//! text otherwise.

use std::collections::BTreeMap;
use std::ffi::OsString;

use liveswap_state::{OptionValue, Options};

use super::error::ConfigError;
use super::value::value;

const PREFIX: &str = "LIVESWAP_";
const SEPARATOR: &str = "__";

/// Puts what the variables say on top. Gives the variables that are for none of these modules, with the module's name.
pub(super) fn overlay(
    modules: &mut BTreeMap<String, Options>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, ConfigError> {
    // In an order that doesn't depend on the system.
    let mut variables: Vec<_> =
        variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    variables.sort();
    let mut unknown = Vec::new();
    for (variable, text) in variables {
        let Some((module, key)) = variable.strip_prefix(PREFIX).and_then(|name| name.split_once(SEPARATOR))
        else {
            continue;
        };
        let (module, mut is_known) = (module.to_owned(), false);
        for (_, options) in modules.iter_mut().filter(|(name, _)| spelt(name) == spelt(&module)) {
            is_known = true;
            let Some(text) = text.to_str() else {
                return Err(ConfigError::Variable {
                    variable,
                    found: format!("{text:?}"),
                    expected: "text in UTF-8".to_owned(),
                });
            };
            set(options, &variable, &key.split(SEPARATOR).collect::<Vec<_>>(), text)?;
        }
        if !is_known {
            unknown.push((variable, module));
        }
    }
    Ok(unknown)
}

/// A name as all of its spellings have it.
fn spelt(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

fn set(table: &mut Options, variable: &str, key: &[&str], text: &str) -> Result<(), ConfigError> {
    let [name, deeper @ ..] = key else { return Ok(()) };
    let known = table.iter().map(|(known, _)| known).find(|known| spelt(known) == spelt(name));
    let name = known.map_or_else(|| name.to_ascii_lowercase(), str::to_owned);
    if deeper.is_empty() {
        let value = read(variable, table.get(&name), text)?;
        table.set(name, value);
        return Ok(());
    }
    if !matches!(table.get(&name), Some(OptionValue::Table(_))) {
        table.set(name.as_str(), Options::default());
    }
    match table.get_mut(&name) {
        Some(OptionValue::Table(inner)) => set(inner, variable, deeper, text),
        _ => unreachable!("it was made just now"),
    }
}

/// The value that a text stands for, in the place of another one.
fn read(variable: &str, before: Option<&OptionValue>, text: &str) -> Result<OptionValue, ConfigError> {
    let guess = || {
        // More than a value on one line is text: a comment, or another key behind it.
        let is_one = !text.contains(['\n', '#']);
        let mut table = is_one.then(|| format!("value = {text}").parse::<toml::Table>().ok())??;
        table.remove("value").map(value)
    };
    let fits = |guess: &OptionValue| match before {
        Some(before) => std::mem::discriminant(guess) == std::mem::discriminant(before),
        None => true,
    };
    let wrong = |expected: &str| ConfigError::Variable {
        variable: variable.to_owned(),
        found: format!("{text:?}"),
        expected: format!("{expected}, as it's set elsewhere"),
    };
    match (before, guess()) {
        (Some(OptionValue::Text(_)), _) => Ok(text.into()),
        (Some(OptionValue::Float(_)), Some(OptionValue::Integer(whole))) =>
        {
            #[expect(
                clippy::cast_precision_loss,
                reason = "what a float can't hold, nobody writes where one belongs"
            )]
            Ok(OptionValue::Float(whole as f64))
        }
        (_, Some(guess)) if fits(&guess) => Ok(guess),
        (None, _) => Ok(text.into()),
        (Some(OptionValue::Truth(_)), _) => Err(wrong("`true` or `false`")),
        (Some(OptionValue::Integer(_)), _) => Err(wrong("an integer")),
        (Some(OptionValue::Float(_)), _) => Err(wrong("a number")),
        (Some(OptionValue::List(_)), _) => Err(wrong("a list")),
        (Some(_), _) => Err(wrong("a table")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaid(options: Options, variables: &[(&str, &str)]) -> Result<Options, ConfigError> {
        let mut modules = BTreeMap::from([("my-net".to_owned(), options)]);
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        overlay(&mut modules, variables)?;
        Ok(modules.remove("my-net").unwrap())
    }

    #[test]
    fn names_are_found_by_any_spelling_and_new_ones_are_lower_case() {
        let options = Options::from([("listen-port", 1)]);
        let variables = [("LIVESWAP_MY_NET__LISTEN_PORT", "2"), ("LIVESWAP_MY_NET__DEEP__NEW_KEY", "x")];
        let options = overlaid(options, &variables).unwrap();
        assert_eq!(options.integer("listen-port"), Ok(2));
        assert_eq!(options.text("deep.new_key"), Ok("x"));
    }

    #[test]
    fn a_value_is_of_the_kind_that_was_there_or_else_what_toml_takes_it_for() {
        let before = Options::from([
            ("text", OptionValue::from("a")),
            ("float", 0.5.into()),
            ("list", vec![1].into()),
            ("truth", true.into()),
        ]);
        let variables = [
            ("LIVESWAP_MY_NET__TEXT", "7"),
            ("LIVESWAP_MY_NET__FLOAT", "7"),
            ("LIVESWAP_MY_NET__LIST", "[1, 2]"),
            ("LIVESWAP_MY_NET__TRUTH", "false"),
            ("LIVESWAP_MY_NET__NUMBER", "7"),
            ("LIVESWAP_MY_NET__WORDS", "several words"),
            ("LIVESWAP_MY_NET__TWO_LINES", "1\nother = 2"),
            ("LIVESWAP_MY_NET__REMARK", "5 # five"),
        ];
        let options = overlaid(before, &variables).unwrap();
        assert_eq!((options.text("text"), options.float("float")), (Ok("7"), Ok(7.0)));
        assert_eq!(options.list("list").map(<[_]>::len), Ok(2));
        assert_eq!((options.truth("truth"), options.integer("number")), (Ok(false), Ok(7)));
        assert_eq!(options.text("words"), Ok("several words"));
        assert_eq!((options.text("two_lines"), options.get("other")), (Ok("1\nother = 2"), None));
        assert_eq!(options.text("remark"), Ok("5 # five"));
    }

    #[test]
    fn a_value_of_another_kind_than_the_one_that_is_there_is_refused() {
        let error = overlaid(Options::from([("port", 1)]), &[("LIVESWAP_MY_NET__PORT", "http")]).unwrap_err();
        assert_eq!(error.code(), "bad-variable");
        let text = error.to_string();
        assert!(text.contains("LIVESWAP_MY_NET__PORT: found \"http\", expected an integer"), "{text}");
    }

    #[test]
    fn what_sets_no_option_is_left_alone() {
        let others =
            [("LIVESWAP_ADMIN", "a"), ("LIVESWAP_OTHER__KEY", "a"), ("PATH", "a"), ("MY_NET__KEY", "a")];
        assert_eq!(overlaid(Options::default(), &others).unwrap(), Options::default());
    }
}
