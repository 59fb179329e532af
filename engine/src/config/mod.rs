//! The configuration: what whoever runs the host sets for its modules.
//!
//! There are three sources, each on top of the one before, key by key through tables:
//!
//! 1. what the host itself sets ([`Builder::option`](crate::Builder::option));
//! 2. a TOML file with a table `[modules.NAME]` for each module ([`Builder::config`](crate::Builder::config));
//! 3. the environment: `LIVESWAP_NAME__KEY__SUB=value`.
//!
//! They are read as one, at the start and each time that they may have changed, and either all of it can be meant or
//! none of it is. Which modules are told of a change is decided by comparing: `control/reload.rs`.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | the sources, read as one |
//! | [`file`] | the file |
//! | [`environment`] | the environment |
//! | [`value`] | TOML's values as options, and back |
//! | [`error`] | why they can't be read |

mod environment;
pub(crate) mod error;
mod file;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use liveswap_state::{OptionValue, Options};
use serde::Serialize;

use crate::lock::lock;
use crate::tell::tell;
use error::ConfigError;

/// The options of each module, by its name.
pub(crate) type ByModule = BTreeMap<String, Options>;

/// Where the modules' options come from.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) file: Option<PathBuf>,
    /// What the host itself sets: module, key, value; the last one wins.
    pub(crate) set: Vec<(String, String, OptionValue)>,
    /// Whether modules may come while the engine runs. Then what is set for one that isn't there is kept for it.
    pub(crate) grows: bool,
    /// What the host sets for instances while the engine runs, by module.
    of_instances: Mutex<BTreeMap<String, Vec<(String, OptionValue)>>>,
    failure: Mutex<Option<ConfigFailure>>,
}

/// Why the configuration was not taken over the last time that it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigFailure {
    /// A short word for programs.
    pub code: &'static str,
    /// For people to read.
    pub message: String,
}

impl Config {
    /// Whether anything but the environment can set an option, and so whether there is something to watch or to report.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads all sources. Each of `modules` has its options then, if need be none.
    pub(crate) fn read(
        &self,
        modules: &[&str],
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<ByModule, ConfigError> {
        let mut options: ByModule =
            modules.iter().map(|name| ((*name).to_owned(), Options::default())).collect();
        for (module, key, value) in &self.set {
            let options = match options.get_mut(module) {
                Some(options) => options,
                None if self.grows => continue,
                None => return Err(ConfigError::UnknownModule { module: module.clone() }),
            };
            set(options, key.split('.'), value.clone());
        }
        for (module, all) in &*lock(&self.of_instances) {
            let Some(options) = options.get_mut(module) else { continue };
            all.iter().for_each(|(key, value)| set(options, key.split('.'), value.clone()));
        }
        let tables = self.file().map(file::read).transpose()?;
        for (module, table) in tables.into_iter().flatten() {
            let options = match options.get_mut(&module) {
                Some(options) => options,
                None if self.grows => continue,
                None => return Err(ConfigError::UnknownModule { module }),
            };
            merge(options, table);
        }
        let unknown = environment::overlay(&mut options, environment)?;
        if !self.grows {
            // Another program's, perhaps, or a slip.
            for (variable, module) in unknown {
                tell(|| {
                    tracing::warn!(variable, "unable to find plugin: {module}: the variable sets nothing")
                });
            }
        }
        Ok(options)
    }

    /// An instance is to be made, with these options of the host's.
    pub(crate) fn set_of_instance(&self, module: &str, options: Vec<(String, OptionValue)>) {
        lock(&self.of_instances).insert(module.to_owned(), options);
    }

    /// It's gone.
    pub(crate) fn forget_instance(&self, module: &str) {
        lock(&self.of_instances).remove(module);
    }

    /// Notes what became of reading it; the status shows that.
    pub(crate) fn note(&self, failure: Option<&ConfigError>) {
        let failure = failure.map(|error| ConfigFailure { code: error.code(), message: error.to_string() });
        *lock(&self.failure) = failure;
    }

    pub(crate) fn failure(&self) -> Option<ConfigFailure> {
        lock(&self.failure).clone()
    }
}

/// Sets a value in a table of tables. What is in the way is replaced.
fn set<'key>(options: &mut Options, mut key: impl Iterator<Item = &'key str>, value: OptionValue) {
    let Some(mut name) = key.next() else { return };
    let mut table = options;
    for deeper in key {
        if !matches!(table.get(name), Some(OptionValue::Table(_))) {
            table.set(name, Options::default());
        }
        let Some(OptionValue::Table(inner)) = table.get_mut(name) else {
            unreachable!("it was made just now")
        };
        (table, name) = (inner, deeper);
    }
    table.set(name, value);
}

/// Puts a table on top of another one.
fn merge(below: &mut Options, above: Options) {
    for (name, value) in above {
        match (below.get_mut(&name), value) {
            (Some(OptionValue::Table(below)), OptionValue::Table(above)) => merge(below, above),
            (_, value) => below.set(name, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &str, set: &[(&str, &str, OptionValue)]) -> (Config, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        let set = set.iter().map(|(module, key, value)| ((*module).into(), (*key).into(), value.clone()));
        (Config { file: Some(path), set: set.collect(), ..Config::default() }, folder)
    }

    fn variables(list: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
        list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn the_file_goes_over_the_host_and_the_environment_over_the_file_key_by_key() {
        let text = "[modules.net]\nport = 2\nname = 'file'\nlimits = { in = 2 }\n[modules.net.deep]\nkey = 2";
        let set =
            [("net", "port", 1.into()), ("net", "only.host", 1.into()), ("net", "limits.out", 1.into())];
        let (config, _folder) = config(text, &set);
        let environment = variables(&[("LIVESWAP_NET__PORT", "3"), ("LIVESWAP_NET__LIMITS__IN", "3")]);
        let read = config.read(&["net", "chain"], environment).unwrap();
        let limits = Options::from([("in", 3), ("out", 1)]);
        let expected = Options::from([
            ("port", OptionValue::Integer(3)),
            ("name", "file".into()),
            ("only", Options::from([("host", 1)]).into()),
            ("limits", limits.into()),
            ("deep", Options::from([("key", 2)]).into()),
        ]);
        assert_eq!(read["net"], expected);
        assert!(read["chain"].is_empty());
    }

    #[test]
    fn p4_05_an_unknown_name_is_refused_whoever_sets_it() {
        let refused = |config: Config| config.read(&["net"], variables(&[])).unwrap_err();
        let (in_file, _folder) = config("[modules.cellar]", &[]);
        let (by_host, _other) = config("", &[("cellar", "key", 1.into())]);
        for error in [refused(in_file), refused(by_host)] {
            assert_eq!(
                (error.code(), error.to_string().as_str()),
                ("unknown-module", "unable to find plugin: cellar")
            );
        }
    }

    #[test]
    fn what_is_set_for_a_module_that_may_come_is_kept_for_it() {
        let (config, _folder) = config("[modules.cellar]\ndepth = 2", &[("cellar", "key", 1.into())]);
        let config = Config { grows: true, ..config };
        assert!(config.read(&["net"], variables(&[])).unwrap()["net"].is_empty());
        let read = config.read(&["cellar"], variables(&[("LIVESWAP_CELLAR__KEY", "3")])).unwrap();
        assert_eq!(read["cellar"], Options::from([("key", 3), ("depth", 2)]));
    }

    #[test]
    fn what_is_set_for_an_instance_is_below_the_file_and_goes_with_it() {
        let (config, _folder) = config("[modules.lobby]\nseats = 2", &[("lobby", "deep.seats", 1.into())]);
        let config = Config { grows: true, ..config };
        let options = [("seats", 3), ("deep.doors", 3)].map(|(key, value)| (key.to_owned(), value.into()));
        config.set_of_instance("lobby", options.into());
        let deep =
            |table: &[(&str, i64)]| Options::from_iter(table.iter().map(|(key, value)| (*key, *value)));
        let read = || config.read(&["lobby"], variables(&[])).unwrap().remove("lobby").unwrap();
        let both = deep(&[("seats", 1), ("doors", 3)]);
        assert_eq!(read(), Options::from([("seats", OptionValue::Integer(2)), ("deep", both.into())]));
        config.forget_instance("lobby");
        let one = deep(&[("seats", 1)]);
        assert_eq!(read(), Options::from([("seats", OptionValue::Integer(2)), ("deep", one.into())]));
    }

    #[test]
    fn a_file_that_cant_be_meant_says_where_and_what_was_expected() {
        let refused = |text: &str| config(text, &[]).0.read(&["net"], variables(&[])).unwrap_err();
        let malformed = refused("[modules.net]\nport = ");
        assert_eq!(malformed.code(), "malformed-config");
        let (no_table, no_modules) = (refused("[modules]\nnet = 7"), refused("modules = true"));
        assert!(
            no_table.to_string().contains("`modules.net`: found the integer 7, expected a table"),
            "{no_table}"
        );
        assert!(no_modules.to_string().contains("`modules`: found `true`, expected a table"), "{no_modules}");
        // What isn't the modules' is the host's own.
        assert!(config("[server]\nport = 1", &[]).0.read(&["net"], variables(&[])).is_ok());
    }

    #[test]
    fn a_file_that_isnt_there_or_is_too_large_is_refused() {
        let missing = Config { file: Some("/no/such/config.toml".into()), ..Config::default() };
        assert_eq!(missing.read(&["net"], variables(&[])).unwrap_err().code(), "unreadable-config");
        let large = config(&" ".repeat(file::SIZE_MAX as usize + 1), &[]);
        assert_eq!(large.0.read(&["net"], variables(&[])).unwrap_err().code(), "config-too-large");
    }
}
