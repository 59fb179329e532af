//! The context: what each call of logic is told about itself.

/// Handed to each method of logic beside its state: who it is, for as long as the call lasts.
///
/// The host owns it and keeps it as long as the version is loaded. Later it's also the way to the
/// module's configuration and to other modules.
#[derive(Debug)]
pub struct Context {
    module: String,
    version: String,
}

impl Context {
    /// The context of one loaded version. For the engine, and for tests that call logic directly.
    pub fn new(module: impl Into<String>, version: impl Into<String>) -> Self {
        Self { module: module.into(), version: version.into() }
    }

    /// The name of the module this version belongs to.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// This version, as its manifest states it.
    pub fn version(&self) -> &str {
        &self.version
    }
}
