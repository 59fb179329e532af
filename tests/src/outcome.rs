//! What a push is expected to come to.

use std::fmt::Debug;

use liveswap::error::SetPushError;
use liveswap::{Published, PushError, PushOutcome};

/// An error with a word for programs.
pub trait Coded: Debug {
    /// The word.
    fn code(&self) -> &'static str;
}

impl Coded for PushError {
    fn code(&self) -> &'static str {
        self.code()
    }
}

impl Coded for SetPushError {
    fn code(&self) -> &'static str {
        self.code()
    }
}

/// The push has led to a publish.
#[track_caller]
pub fn published(outcome: Result<PushOutcome, PushError>) -> Published {
    match outcome {
        Ok(PushOutcome::Published(published)) => published,
        other => panic!("expected a publish, got {other:?}"),
    }
}

/// The push was refused with this code.
#[track_caller]
pub fn refused<T: Debug, E: Coded>(code: &str, outcome: Result<T, E>) -> E {
    match outcome {
        Err(error) if error.code() == code => error,
        other => panic!("expected `{code}`, got {other:?}"),
    }
}
