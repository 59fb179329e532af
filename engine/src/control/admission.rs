//! Admission: a candidate of a module that the engine doesn't have makes that module, where the host allows it.
//!
//! The host names a folder and an interface ([`Opening`]). A candidate from there that offers the interface is compared
//! with it first; then the module is made, and the candidate takes the road of every push. Only when it serves does the
//! module join the others. So a candidate that is refused leaves no module behind.

use std::path::PathBuf;

use liveswap_state::MethodSpec;
use liveswap_state::manifest::is_name;
use thiserror::Error;

use super::mailbox::{Candidate, PushRequest};
use super::staged::Staged;
use super::thread::{Worker, listen};
use crate::builder::{Declaration, Maker};
use crate::candidate::{VerifyError, verify};
use crate::engine::Published;
use crate::error::{BuildError, PushError};
use crate::status::Stages;
use crate::tell::tell;

/// A folder whose candidates become modules by themselves, if they offer its interface.
pub(crate) struct Opening {
    pub(crate) folder: PathBuf,
    pub(crate) interface: &'static str,
    pub(crate) methods: &'static [MethodSpec],
    /// Declares a module of this name and the opening's interface.
    pub(crate) declare: fn(String) -> Declaration,
}

/// Where modules may come from while the engine runs, and what it takes to make one.
pub(crate) struct Openings {
    pub(crate) list: Vec<Opening>,
    pub(crate) modules_max: usize,
    pub(crate) maker: Maker,
}

/// Why a candidate can't make a module of its own.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// The engine has as many modules as it may.
    #[error(
        "module `{module}` would be one more than the {limit} that the engine may have: take modules away and start the \
         host again, or raise `modules_max`"
    )]
    TooMany {
        /// The candidate's module.
        module: String,
        /// The bound.
        limit: usize,
    },
    /// The module can't be made.
    #[error("module `{module}` can't be made: {source}")]
    Unmade {
        /// The candidate's module.
        module: String,
        /// Why.
        source: Box<BuildError>,
    },
    /// Its name is that of an instance, whose candidates are its factory's.
    #[error(
        "module `{module}` is an instance of `{factory}`: push a candidate of `{factory}` for all of its instances"
    )]
    Instance {
        /// The candidate's module.
        module: String,
        /// The factory.
        factory: String,
    },
}

impl AdmissionError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooMany { .. } => "too-many-modules",
            Self::Unmade { .. } => "module-unmade",
            Self::Instance { .. } => "is-an-instance",
        }
    }
}

impl Openings {
    /// Whether any folder makes modules.
    pub(super) fn has_any(&self) -> bool {
        !self.list.is_empty()
    }

    /// Whether a file of this folder may make a module.
    pub(super) fn covers(&self, file: &std::path::Path) -> bool {
        self.list.iter().any(|opening| file.starts_with(&opening.folder))
    }

    /// The opening for what is asked for, if there is one: that of the candidate's interface, or any of its folder.
    fn of(&self, request: &PushRequest, interface: &str) -> Option<&Opening> {
        let (Candidate::File(path), super::Asker::Folder(_)) = (&request.candidate, &request.asker) else {
            return None;
        };
        let covering = || self.list.iter().filter(|opening| path.starts_with(&opening.folder));
        covering().find(|opening| opening.interface == interface).or_else(|| covering().next())
    }
}

impl Worker {
    /// Makes a module of the candidate's name and pushes the candidate to it. `None`: the module was made, and its record
    /// says that this content was rolled back.
    pub(super) fn push_new(
        &mut self,
        staged: Staged,
        stages: Stages,
        request: &PushRequest,
    ) -> Result<Option<Published>, PushError> {
        let openings = &self.settings.openings;
        let (found, manifest) = (staged.module().to_owned(), &staged.readable.manifest);
        let opening = openings.of(request, &manifest.interface).filter(|_| is_name(&found));
        let Some(opening) = opening else {
            return Err(VerifyError::UnknownModule { found, known: self.known() }.into());
        };
        verify::interface(manifest, opening.interface, opening.methods)?;
        let limit = openings.modules_max;
        if self.modules.len() >= limit {
            return Err(AdmissionError::TooMany { module: found, limit }.into());
        }
        let unmade = |source| AdmissionError::Unmade { module: found.clone(), source: Box::new(source) };
        let options = self.settings.config.read(&[&found], std::env::vars_os());
        let options = options.map_err(|error| unmade(error.into()))?.remove(&found).unwrap_or_default();
        let made = openings.maker.make(&(opening.declare)(found.clone()), options, true);
        let (declared, mut module) = made.map_err(unmade)?;
        listen(&module, &self.settings);
        module.return_to_recorded(&self.settings);
        let withdrawn = module.take_withdrawn();
        let is_withdrawn = withdrawn.contains(&staged.digest());
        withdrawn.into_iter().for_each(|digest| self.withdraw(digest));
        let outcome = match is_withdrawn {
            true => Ok(None),
            false => module.push(staged, stages, &self.settings).map(Some),
        };
        if module.active_number().is_none() {
            // Hooks of the candidate may have spawned calls, which now find nobody.
            module.close();
            return outcome;
        }
        tell(|| tracing::info!(module = found, interface = declared.interface, "a new module"));
        self.modules.push(module);
        self.note_joined(Vec::new());
        self.settings.openings.maker.modules.add(declared);
        outcome
    }
}
