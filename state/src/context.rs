//! The context: what each call of logic is told about itself.

/// Handed to each method of logic beside its state: who it is, for as long as the call lasts.
///
/// The host owns it and keeps it as long as the version is loaded. Later it's also the way to the
/// module's configuration and to other modules.
#[derive(Debug)]
pub struct Context {
    module: String,
    version: String,
    serial: usize,
}

impl Context {
    /// A context for tests that call logic directly, without a host.
    pub fn new(module: impl Into<String>, version: impl Into<String>) -> Self {
        Self::of_load(module, version, 0)
    }

    /// The context of one load of a version. For the engine: `serial` is how the host finds what it knows of
    /// this load, and is never 0 and never used twice in a process.
    #[doc(hidden)]
    pub fn of_load(module: impl Into<String>, version: impl Into<String>, serial: usize) -> Self {
        Self { module: module.into(), version: version.into(), serial }
    }

    /// The name of the module this version belongs to.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// This version, as its manifest states it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Which load of the version this is; 0 without a host.
    #[doc(hidden)]
    pub fn serial(&self) -> usize {
        self.serial
    }
}
