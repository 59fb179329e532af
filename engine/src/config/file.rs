//! The configuration's file: TOML, with a table `[modules.NAME]` for each module. What else it holds is the host's own.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use liveswap_state::{OptionValue, Options};

use super::error::ConfigError;
use super::value::options;

/// The most bytes that are read.
pub(super) const SIZE_MAX: u64 = 1 << 20;

/// The tables of the modules.
pub(super) fn read(path: &Path) -> Result<Tables, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(SIZE_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > SIZE_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: SIZE_MAX });
    }
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Malformed {
        path: path.to_owned(),
        reason: error.to_string().trim_end().to_owned(),
    })?;
    let not_a_table = |key: String, found: &OptionValue| ConfigError::NotATable {
        path: path.to_owned(),
        key,
        found: found.to_string(),
    };
    let modules = match options(table).get("modules") {
        None => return Ok(Vec::new()),
        Some(OptionValue::Table(modules)) => modules.clone(),
        Some(other) => return Err(not_a_table("modules".to_owned(), other)),
    };
    let table = |(name, value)| match value {
        OptionValue::Table(table) => Ok((name, table)),
        other => Err(not_a_table(format!("modules.{name}"), &other)),
    };
    modules.into_iter().map(table).collect()
}

/// Each module's name, with its options.
type Tables = Vec<(String, Options)>;
