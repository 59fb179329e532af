//! The gate before the routes: who asks, may they, and not too often.
//!
//! In this order, so that the cheapest look turns away the most: an address that has failed too often is shut out for a
//! while, whatever it shows; a token that isn't known counts as a failed attempt; a known one may ask so often, and for
//! what its role allows. Nothing of a request's body is read before.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};

use super::super::routes::Failure;
use super::log::BoundedLog;
use super::origin;
use super::pace::{Pace, Paces};
use super::tokens::{self, Role, Token};
use crate::control::Asker;
use crate::lock::lock;

/// How often an address may fail to show a token that is known.
const ATTEMPTS: Pace = Pace { burst: 10, step: Duration::from_secs(6) };

/// How many addresses are remembered for that.
const ADDRESSES_MAX: usize = 1024;

/// How often a token may ask. `liveswap` asks for the status five times a second while it follows a migration.
const REQUESTS: Pace = Pace { burst: 100, step: Duration::from_millis(50) };

/// How many tokens are remembered for that; more than the file can hold.
const TOKENS_MAX: usize = 1024;

/// The most bytes that may come with a request that isn't a push. They aren't read.
const BODY_MAX: u64 = 4096;

pub(super) struct Gate {
    tokens: PathBuf,
    attempts: Mutex<Paces<IpAddr>>,
    requests: Mutex<Paces<[u8; 32]>>,
    log: Arc<BoundedLog>,
}

impl Gate {
    pub(super) fn new(tokens: PathBuf, log: Arc<BoundedLog>) -> Self {
        let attempts = Mutex::new(Paces::new(ATTEMPTS, ADDRESSES_MAX));
        Self { tokens, attempts, requests: Mutex::new(Paces::new(REQUESTS, TOKENS_MAX)), log }
    }

    /// The routes, and what answers where there is none, behind this gate.
    pub(super) fn guard(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(Arc::new(self), pass))
    }

    /// Who asks, if they may.
    fn admit(&self, address: SocketAddr, request: &Request) -> Result<Token, Refusal> {
        let (from, now) = (origin(address), Instant::now());
        if let Some(wait) = lock(&self.attempts).wait(from, now) {
            return Err(Refusal::TooMany { wait, of: "failed attempts from this address" });
        }
        // It's small, so reading it holds nobody up; and what was taken out of it must count for nothing at once.
        let known = tokens::read(&self.tokens).map_err(|error| Refusal::NoTokens(error.to_string()))?;
        let shown = bearer(request.headers());
        let Some(token) = shown.and_then(|shown| tokens::find(&known, shown)) else {
            lock(&self.attempts).count(from, now);
            return Err(Refusal::Unknown);
        };
        let asked = lock(&self.requests).take(token.hash, now);
        asked.map_err(|wait| Refusal::TooMany { wait, of: "requests with this token" })?;
        let looks =
            request.method() == Method::GET && matches!(request.uri().path(), "/status" | "/registry");
        if token.role == Role::Read && !looks {
            return Err(Refusal::Forbidden(token.name.clone()));
        }
        let path = request.uri().path();
        let pushes = path == "/push" || path.starts_with("/push/");
        if !pushes && request.body().size_hint().lower() > BODY_MAX {
            return Err(Refusal::TooLarge);
        }
        Ok(token.clone())
    }
}

async fn pass(
    State(gate): State<Arc<Gate>>,
    Extension(address): Extension<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    match gate.admit(address, &request) {
        Ok(token) => {
            request.extensions_mut().insert(Asker::Network { token: token.name, address });
            next.run(request).await
        }
        Err(refusal) => {
            let target = request.uri().path();
            gate.log.say(|left_out| {
                let (code, reason) = (refusal.code(), refusal.log());
                tracing::warn!(%address, code, target, left_out, "refused a request over the network: {reason}");
            });
            refusal.into_response()
        }
    }
}

/// The token that a request shows.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut found = headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (found.next(), found.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Why a request doesn't get to the routes.
enum Refusal {
    /// It came too soon.
    TooMany {
        wait: Duration,
        of: &'static str,
    },
    /// The file of tokens can't be used, and so nobody is known. Why is nobody's business but the host's.
    NoTokens(String),
    Unknown,
    /// The token with this name may only look.
    Forbidden(String),
    TooLarge,
}

impl Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::TooMany { .. } => "too-many-requests",
            Self::NoTokens(_) => "no-tokens",
            Self::Unknown => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::TooLarge => "too-large",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NoTokens(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// For whoever asks.
    fn message(&self) -> String {
        match self {
            Self::TooMany { wait, of } => format!("too many {of}: ask again in {} s", seconds(*wait)),
            Self::NoTokens(_) => "the host can't read its tokens: its log says why".to_owned(),
            Self::Unknown => "found no token that the host knows, expected `Authorization: Bearer TOKEN`: \
                              ask whoever runs the host for one"
                .to_owned(),
            Self::Forbidden(name) => format!(
                "token {name} may `GET /status` and `GET /registry`, and nothing else: use one whose role is `push`, or ask for one"
            ),
            Self::TooLarge => {
                format!("only a push has more than {BODY_MAX} bytes: send the request without them")
            }
        }
    }

    /// For the host's log.
    fn log(&self) -> String {
        match self {
            Self::NoTokens(reason) => reason.clone(),
            _ => self.message(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = (self.status(), self.code(), self.message());
        let mut response = Failure { status, code, message }.into_response();
        match self {
            Self::TooMany { wait, .. } => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds(wait)));
            }
            Self::Unknown => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::NoTokens(_) | Self::Forbidden(_) | Self::TooLarge => {}
        }
        response
    }
}

/// Whole seconds, one at least.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_once_and_as_a_bearer_token() {
        let shown = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(shown(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(shown(&["bearer  abc "]).as_deref(), Some("abc"));
        for wrong in [&[][..], &["abc"], &["Basic abc"], &["Bearer abc", "Bearer abc"], &["Bearer\u{e9} abc"]]
        {
            assert_eq!(shown(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds() {
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_secs(2)), 2);
        assert_eq!(seconds(Duration::from_millis(2001)), 3);
    }
}
