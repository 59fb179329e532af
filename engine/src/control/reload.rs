//! Reading the configuration again, and telling the modules whose options are others now.
//!
//! Whoever sees to it that it's read again (the watched file, SIGHUP, the host) needn't know what has changed: options
//! are compared, and a module whose options are the same hears nothing.

use super::Asker;
use super::thread::Worker;
use crate::config::error::ReloadError;
use crate::tell::tell;

impl Worker {
    /// Reads the configuration, as somebody asks. The modules whose options are others now.
    pub(super) fn reload(&mut self, asker: &Asker) -> Result<Vec<String>, ReloadError> {
        let outcome = self.reconfigure();
        self.settings.audit.reloaded(asker, &outcome);
        outcome
    }

    /// Reads it because it may have changed.
    pub(super) fn reload_by_itself(&mut self) {
        let outcome = self.reconfigure();
        // Nothing has happened, or what has is on its way to who looks at the file.
        if !matches!(&outcome, Ok(changed) if changed.is_empty()) {
            let reason = Some("the configuration may have changed".to_owned());
            self.settings.audit.reloaded(&Asker::Engine { reason }, &outcome);
        }
    }

    fn reconfigure(&mut self) -> Result<Vec<String>, ReloadError> {
        let config = &self.settings.config;
        let names: Vec<_> = self.modules.iter().map(|module| module.name()).collect();
        let read = config.read(&names, std::env::vars_os());
        config.note(read.as_ref().err());
        let mut options = match read {
            Ok(options) => options,
            Err(error) => {
                tell(|| tracing::error!(code = error.code(), "the options before stay in force: {error}"));
                self.modules.iter_mut().for_each(|module| module.tell_again(&self.settings));
                return Err(error.into());
            }
        };
        let (mut changed, mut refused, mut is_one_empty) = (Vec::new(), Vec::new(), false);
        for module in &mut self.modules {
            let name = module.name().to_owned();
            match module.configure(options.remove(&name).unwrap_or_default(), &self.settings) {
                Ok(false) => {}
                Ok(true) => {
                    is_one_empty |= module.is_empty();
                    changed.push(name);
                }
                Err(error) => refused.push((name, error)),
            }
        }
        if is_one_empty {
            // With the options before, a first version may have been refused.
            self.forget_refused();
            self.rescan();
        }
        if refused.is_empty() { Ok(changed) } else { Err(ReloadError::Refused { refused }) }
    }
}
