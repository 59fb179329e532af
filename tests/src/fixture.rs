//! Building the fixture libraries, by cargo, the first time that a test asks for one.
//!
//! They have a target folder of their own, because cargo holds the lock of the usual one while the tests
//! run. The artifact's path is the same for all variations of a package, so each is copied away under a key
//! of its own, and one build at a time is made: within a process under a mutex, among processes under a
//! locked file.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::host::MODULE;

/// A variation of a fixture package.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fixture {
    package: &'static str,
    module: &'static str,
    version: String,
    features: BTreeSet<&'static str>,
    optimized: bool,
    nodelete: bool,
    symbols: bool,
}

/// A version of the fixture logic without any peculiarity.
pub fn logic(version: &str) -> PathBuf {
    Fixture::new(version).build()
}

impl Fixture {
    /// The fixture logic, as the given version.
    pub fn new(version: &str) -> Self {
        Self::package("fixture-logic", version)
    }

    /// Another package that is built as the given version.
    pub fn package(package: &'static str, version: &str) -> Self {
        Self {
            package,
            module: MODULE,
            version: version.to_owned(),
            features: BTreeSet::new(),
            optimized: false,
            nodelete: false,
            symbols: false,
        }
    }

    /// Logic that leaves things on threads, as the given version.
    pub fn threads(version: &str) -> Self {
        Self::package("fixture-threads", version)
    }

    /// Logic with a large state, in schema 1 unless a feature says otherwise, as the given version.
    pub fn world(version: &str) -> Self {
        Self::package("fixture-world", version)
    }

    /// Logic for probation, as the given version.
    pub fn trial(version: &str) -> Self {
        Self::package("fixture-trial", version)
    }

    /// A version of a module of that name, whose hooks keep a diary.
    pub fn life(module: &'static str, version: &str) -> Self {
        Self::package("fixture-life", version).module(module)
    }

    /// Logic that calls other modules, as a version of the given one.
    pub fn link(module: &'static str, version: &str) -> Self {
        Self::package("fixture-link", version).module(module)
    }

    /// A shared library that is no version of anything.
    pub fn plain() -> Self {
        Self::package("fixture-plain", "1")
    }

    /// The version that it's built as.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A version of that module.
    pub fn module(mut self, name: &'static str) -> Self {
        self.module = name;
        self
    }

    /// With a cargo feature of the package.
    pub fn feature(mut self, feature: &'static str) -> Self {
        self.features.insert(feature);
        self
    }

    /// Built as for production.
    pub fn optimized(mut self) -> Self {
        self.optimized = true;
        self
    }

    /// Linked with the flag that tells the loader never to unmap it.
    pub fn nodelete(mut self) -> Self {
        self.nodelete = true;
        self
    }

    /// With what a backtrace needs to name functions and lines.
    pub fn with_symbols(mut self) -> Self {
        self.symbols = true;
        self
    }

    /// Builds it, unless this process has done so already. The file is named like a candidate. It is shared
    /// with other tests, so don't write to it.
    pub fn build(&self) -> PathBuf {
        static BUILT: Mutex<Option<HashMap<Fixture, PathBuf>>> = Mutex::new(None);

        // A test that failed while it held the lock has left no half of an entry.
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let built = built.get_or_insert_default();
        if let Some(path) = built.get(self) {
            return path.clone();
        }
        let path = self.build_now();
        built.insert(self.clone(), path.clone());
        path
    }

    fn build_now(&self) -> PathBuf {
        // Where all is built with other flags, so are these.
        let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(usual, PathBuf::from).join("fixtures");
        let folder = target.join("built").join(self.key());
        fs::create_dir_all(&folder).expect("the target folder can be written");
        let lock = File::create(target.join("built/lock")).expect("the target folder can be written");
        lock.lock().expect("a file can be locked");

        let artifact = self.cargo(&target);
        let path = folder.join(format!("{}.v{}.so", self.module, self.version));
        // Another process may be reading an earlier copy.
        let fresh = folder.join("fresh");
        fs::copy(&artifact, &fresh).expect("an artifact can be copied");
        fs::rename(&fresh, &path).expect("a copy can be renamed");
        path
    }

    /// One folder for each variation.
    fn key(&self) -> String {
        let features = self.features.iter().flat_map(|feature| ["+", feature]);
        let optimized = if self.optimized { "-optimized" } else { "" };
        let nodelete = if self.nodelete { "-nodelete" } else { "" };
        let symbols = if self.symbols { "-symbols" } else { "" };
        let module = if self.module == MODULE { "" } else { self.module };
        [self.package, module, "-", &self.version, optimized, nodelete, symbols]
            .into_iter()
            .chain(features)
            .collect()
    }

    /// Runs cargo and returns the path of what it built.
    fn cargo(&self, target: &Path) -> PathBuf {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let features: Vec<&str> = self.features.iter().copied().collect();
        let output = Command::new(cargo)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["rustc", "--lib", "--quiet", "--message-format=json", "--package", self.package])
            .args(["--features", &features.join(",")])
            .args(self.optimized.then_some("--release"))
            .arg("--target-dir")
            .arg(target)
            // For this library alone: a change of `RUSTFLAGS` would build all that it depends on anew.
            .args(self.nodelete.then_some(["--", "-Clink-arg=-Wl,-z,nodelete"]).into_iter().flatten())
            .env("LIVESWAP_FIXTURE_VERSION", &self.version)
            .env("LIVESWAP_FIXTURE_MODULE", self.module)
            // What a debugger would want is nine tenths of such a library, and each push copies it all.
            .env("CARGO_PROFILE_DEV_STRIP", if self.symbols { "none" } else { "symbols" })
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo can be run");
        assert!(output.status.success(), "cargo can't build {self:?}");
        let lines = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
        lines
            .lines()
            .filter_map(|line| self.artifact(line))
            .next_back()
            .expect("cargo names the library that it built")
    }

    /// The library that a line of cargo's names, if it is this package's.
    fn artifact(&self, line: &str) -> Option<PathBuf> {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        if message["reason"] != "compiler-artifact" || message["target"]["crate_types"][0] != "cdylib" {
            return None;
        }
        let name = self.package.replace('-', "_");
        (message["target"]["name"] == name.as_str()).then_some(())?;
        message["filenames"][0].as_str().map(PathBuf::from)
    }
}
