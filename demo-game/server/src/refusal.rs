//! Every way in which a request can fail, and how the client is told.

use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use liveswap::PushError;
use liveswap::error::AcceptError;
use liveswap_state::CallError;
use thiserror::Error;
use tokio::task::JoinError;

use crate::candidate_name::NotAPlainName;
use crate::player_name::NotAPlayerName;

/// Why a request wasn't fulfilled.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    /// Logic wasn't reached, or panicked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The engine refused a candidate.
    #[error(transparent)]
    Push(#[from] PushError),
    /// A parameter is missing, or isn't of its kind.
    #[error(transparent)]
    Parameters(#[from] QueryRejection),
    /// A candidate was asked for by something that isn't a name.
    #[error(transparent)]
    Name(#[from] NotAPlainName),
    /// Somebody wants to join by something that isn't a name.
    #[error(transparent)]
    Player(#[from] NotAPlayerName),
    /// Nobody, or more than anybody needs, are to join at once.
    #[error("found n={asked}: let between 1 and {most} join at once")]
    TooMany { asked: u64, most: u64 },
    /// Nobody has that number.
    #[error("there is no player {0}: `/players` lists those who have joined")]
    NoSuchPlayer(u64),
    /// A call was asked to take longer than anybody should wait.
    #[error("{asked} milliseconds are too many: ask for at most {most}")]
    TooLong { asked: u64, most: u64 },
    /// The server itself failed, or is ending.
    #[error("the request was given up: {0}")]
    GivenUp(#[from] JoinError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Call(CallError::NoActiveVersion { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Push(error) => push_status(error),
            Self::Parameters(_) | Self::Name(_) | Self::Player(_) => StatusCode::BAD_REQUEST,
            Self::TooLong { .. } | Self::TooMany { .. } => StatusCode::BAD_REQUEST,
            Self::NoSuchPlayer(_) => StatusCode::NOT_FOUND,
            Self::Call(_) | Self::GivenUp(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A short word for programs; the message is for people.
    fn code(&self) -> &'static str {
        match self {
            Self::Call(CallError::Panicked { .. }) => "panicked",
            Self::Call(_) => "call-failed",
            Self::Push(error) => error.code(),
            Self::Parameters(_) => "bad-parameters",
            Self::Name(_) | Self::Player(_) => "bad-name",
            Self::TooMany { .. } => "too-many",
            Self::NoSuchPlayer(_) => "no-such-player",
            Self::TooLong { .. } => "too-long",
            Self::GivenUp(_) => "given-up",
        }
    }
}

fn push_status(error: &PushError) -> StatusCode {
    match error {
        PushError::Accept(AcceptError::Unreadable { .. } | AcceptError::NotAFile { .. }) => {
            StatusCode::NOT_FOUND
        }
        PushError::Accept(AcceptError::Unwritable { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
        PushError::Busy { .. } | PushError::TooManyRetained { .. } | PushError::Stopped => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        // Whatever else there is to say is about the candidate.
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = match &self {
            // These words, and no others, are what clients of this service look for.
            Self::Call(CallError::NoActiveVersion { .. }) => "no active version".to_owned(),
            _ => format!("error[{}]: {self}", self.code()),
        };
        (self.status(), body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(refusal: impl Into<Refusal>) -> (u16, String) {
        let response = refusal.into().into_response();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn without_an_active_version_the_service_is_unavailable() {
        let error = CallError::NoActiveVersion { module: "logic".into() };
        assert_eq!(told(error).await, (503, "no active version".into()));
    }

    #[tokio::test]
    async fn a_panic_is_told_with_its_message() {
        let (status, body) = told(CallError::Panicked {
            module: "logic".into(),
            version: "1001".into(),
            method: "hit".into(),
            message: "the sky fell".into(),
            location: "src/lib.rs:1:1".into(),
        })
        .await;
        assert_eq!(status, 500);
        assert!(body.starts_with("error[panicked]: ") && body.ends_with(": the sky fell"), "{body}");
    }

    #[tokio::test]
    async fn a_refused_push_is_told_with_its_code() {
        let (status, body) = told(PushError::Busy { waits_for: "a swap".into() }).await;
        assert_eq!(status, 503);
        assert!(body.starts_with("error[busy]: "), "{body}");
    }
}
