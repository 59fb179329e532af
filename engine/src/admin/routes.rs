//! The routes: from a request to the engine's command, and from its outcome to an answer.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::set::{self, LINE_MAX, Unread};
use super::signature;
use crate::candidate::VersionNumber;
use crate::control::{Asker, Recovery};
use crate::engine::{Core, Published, Push, PushOutcome};
use crate::error::{
    AcceptError, CommitError, PushError, RecoverError, RollbackError, SetPushError, TakeError,
};
use crate::registry::Registry;
use crate::sets::SetPushed;
use crate::status::{SnapshotTaken, Status};

/// How many commands may be under way: all but the status, from their first byte on. It bounds the threads
/// that wait for the engine, and the memory for candidates.
pub(super) const COMMANDS_MAX: usize = 4;

/// How long a candidate's bytes may take to arrive. Without a bound, a client that stalls would keep its
/// place among the commands for ever.
const UPLOAD_MAX: Duration = Duration::from_secs(60);

/// What the routes share.
#[derive(Clone)]
struct Admin {
    core: Arc<Core>,
    candidate_size_max: u64,
    commands: Arc<Semaphore>,
}

/// The routes to `core`. Whoever serves them says with each request who asks: an [`Asker`] among its extensions.
pub(super) fn router(core: Arc<Core>, candidate_size_max: u64) -> Router {
    let commands = Arc::new(Semaphore::new(COMMANDS_MAX));
    Router::new()
        .route("/status", get(status))
        .route("/registry", get(registry))
        .route("/push", post(push))
        .route("/push/{set}", post(push_set))
        .route("/rollback/{module}", post(rollback))
        .route("/commit/{module}", post(commit))
        .route("/snapshot/{module}", post(snapshot))
        .route("/restore/{module}", post(restore))
        .route("/trust/{module}", post(trust))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Admin { core, candidate_size_max, commands })
}

/// It doesn't wait for the engine, so it is always answered.
async fn status(State(admin): State<Admin>) -> Json<Status> {
    Json(admin.core.status())
}

/// Nor does this.
async fn registry(State(admin): State<Admin>) -> Json<Registry> {
    Json(Registry::of(&admin.core.modules))
}

#[derive(Deserialize)]
struct PushQuery {
    name: String,
    #[serde(default)]
    allow_older: bool,
    #[serde(default)]
    allow_one_way: bool,
    #[serde(default)]
    force: bool,
    rehearse: Option<bool>,
}

/// The module that a path names.
type Named = Result<Path<String>, PathRejection>;

async fn push(
    State(admin): State<Admin>,
    Extension(asker): Extension<Asker>,
    query: Result<Query<PushQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PushOutcome>, Failure> {
    let Query(PushQuery { name, allow_older, allow_one_way, force, rehearse }) = query?;
    let signature = signature::of_request(&headers)?;
    let permit = admin.permit()?;
    let content = receive(&name, body, admin.candidate_size_max).await?;
    let push = Push::content(name, content).asked_by(asker);
    let push = match signature {
        Some(signature) => push.signed(signature),
        None => push,
    };
    let push = allowing(push, allow_older, allow_one_way, force, rehearse);
    admin.command(permit, move |core| core.push(push)).await.map(Json)
}

fn allowing(push: Push, older: bool, one_way: bool, force: bool, rehearse: Option<bool>) -> Push {
    let push = if older { push.allow_older() } else { push };
    let push = if one_way { push.allow_one_way() } else { push };
    let push = if force { push.force() } else { push };
    if let Some(rehearse) = rehearse { push.rehearse(rehearse) } else { push }
}

/// What is allowed to each candidate of a set.
#[derive(Deserialize)]
struct SetQuery {
    #[serde(default)]
    allow_older: bool,
    #[serde(default)]
    allow_one_way: bool,
    #[serde(default)]
    force: bool,
    rehearse: Option<bool>,
}

/// All candidates of a set together may be as large as one.
async fn push_set(
    State(admin): State<Admin>,
    Extension(asker): Extension<Asker>,
    set: Named,
    query: Result<Query<SetQuery>, QueryRejection>,
    body: Body,
) -> Result<Json<SetPushed>, Failure> {
    let (Path(set), Query(SetQuery { allow_older, allow_one_way, force, rehearse })) = (set?, query?);
    let permit = admin.permit()?;
    let body = receive(&set, body, admin.candidate_size_max.saturating_add(LINE_MAX as u64)).await?;
    let candidates = set::candidates(&body)?.into_iter();
    let candidates = candidates
        .map(|push| allowing(push.asked_by(asker.clone()), allow_older, allow_one_way, force, rehearse));
    let candidates = candidates.collect();
    admin.command(permit, move |core| core.push_set(&set, candidates)).await.map(Json)
}

async fn rollback(
    State(admin): State<Admin>,
    Extension(asker): Extension<Asker>,
    module: Named,
) -> Result<Json<Published>, Failure> {
    let Path(module) = module?;
    admin.command(admin.permit()?, move |core| core.mailbox.rollback(module, asker)).await.map(Json)
}

#[derive(Serialize)]
struct Committed {
    module: String,
    version: VersionNumber,
}

async fn commit(
    State(admin): State<Admin>,
    Extension(asker): Extension<Asker>,
    module: Named,
) -> Result<Json<Committed>, Failure> {
    let Path(module) = module?;
    let name = module.clone();
    let version = admin.command(admin.permit()?, move |core| core.mailbox.commit(name, asker)).await?;
    Ok(Json(Committed { module, version }))
}

async fn snapshot(
    State(admin): State<Admin>,
    Extension(asker): Extension<Asker>,
    module: Named,
) -> Result<Json<SnapshotTaken>, Failure> {
    let Path(module) = module?;
    admin.command(admin.permit()?, move |core| core.mailbox.snapshot(module, asker)).await.map(Json)
}

#[derive(Serialize)]
struct Restored {
    module: String,
    /// The snapshot.
    path: Option<PathBuf>,
}

async fn restore(
    State(admin): State<Admin>,
    Extension(asker): Extension<Asker>,
    module: Named,
) -> Result<Json<Restored>, Failure> {
    let Path(module) = module?;
    let name = module.clone();
    let command = move |core: &Core| {
        core.mailbox.recover(name.clone(), Recovery::Restore, asker)?;
        let restored = core.status().modules.into_iter().find(|known| known.name == name);
        Ok::<_, RecoverError>(restored.and_then(|known| known.snapshots?.restored_from))
    };
    let path = admin.command(admin.permit()?, command).await?;
    Ok(Json(Restored { module, path }))
}

#[derive(Serialize)]
struct Trusted {
    module: String,
}

async fn trust(
    State(admin): State<Admin>,
    Extension(asker): Extension<Asker>,
    module: Named,
) -> Result<Json<Trusted>, Failure> {
    let Path(module) = module?;
    let name = module.clone();
    admin.command(admin.permit()?, move |core| core.mailbox.recover(name, Recovery::Trust, asker)).await?;
    Ok(Json(Trusted { module }))
}

async fn unknown_route() -> Failure {
    let routes = "expected /status, /registry, /push?name=FILE, /push/SET, or one of /rollback, /commit, /snapshot, \
                  /restore and /trust \
                  with /MODULE behind it";
    Failure { status: StatusCode::NOT_FOUND, code: "unknown-route", message: routes.to_owned() }
}

async fn wrong_method() -> Failure {
    let methods = "expected GET for /status and /registry, and POST for all else".to_owned();
    Failure { status: StatusCode::METHOD_NOT_ALLOWED, code: "wrong-method", message: methods }
}

impl Admin {
    fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let waits_for = || format!("{COMMANDS_MAX} commands are under way");
        self.commands
            .clone()
            .try_acquire_owned()
            .map_err(|_| PushError::Busy { waits_for: waits_for() }.into())
    }

    /// Carries out a command of the engine, where it may block.
    async fn command<T, E>(
        &self,
        permit: OwnedSemaphorePermit,
        command: impl FnOnce(&Core) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        E: Into<Failure> + Send + 'static,
    {
        let core = self.core.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            // In here, because the command goes on if the client leaves.
            let _permit = permit;
            command(&core)
        });
        match outcome.await {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(error) => Err(Failure {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                code: "internal",
                message: error.to_string(),
            }),
        }
    }
}

/// A candidate's bytes. What says that it is too large, or turns out to be, isn't read to its end.
async fn receive(name: &str, mut body: Body, limit: u64) -> Result<Vec<u8>, Failure> {
    let too_large = || PushError::from(AcceptError::TooLarge { name: name.to_owned(), limit }).into();
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    let bytes = async {
        // Not made as large as the client says: that is only what it says.
        let mut content = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Failure::bad_request(format!("the body ended early: {error}")))?;
            if let Ok(data) = frame.into_data() {
                if (content.len() + data.len()) as u64 > limit {
                    return Err(too_large());
                }
                content.extend_from_slice(&data);
            }
        }
        Ok(content)
    };
    tokio::time::timeout(UPLOAD_MAX, bytes).await.unwrap_or_else(|_| {
        let message = format!("the body didn't arrive within {} s: push again", UPLOAD_MAX.as_secs());
        Err(Failure { status: StatusCode::REQUEST_TIMEOUT, code: "too-slow", message })
    })
}

/// Why a request wasn't carried out.
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Failure {
    /// Who asks is known, and may not.
    pub(super) fn forbidden(message: String) -> Self {
        Self { status: StatusCode::FORBIDDEN, code: "forbidden", message }
    }

    fn bad_request(message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "bad-request", message }
    }

    /// An error of the engine's. Most say that a candidate isn't acceptable; the others are listed here.
    fn engine(code: &'static str, error: &impl Display) -> Self {
        let status = match code {
            "busy" | "withheld" | "vetoed" | "too-many-retained" | "too-many-modules" | "no-predecessor"
            | "nothing-to-commit" => StatusCode::CONFLICT,
            "pause-missed" | "cancelled" | "no-state" | "nothing-suspect" | "suspect" => StatusCode::CONFLICT,
            "no-snapshots" | "no-snapshot" => StatusCode::CONFLICT,
            "unknown-module" | "unknown-set" => StatusCode::NOT_FOUND,
            "unsigned" | "no-trusted-keys" | "unknown-key" | "bad-signature" => StatusCode::FORBIDDEN,
            "too-large" | "signature-too-large" => StatusCode::PAYLOAD_TOO_LARGE,
            "unwritable" | "unwritable-snapshot" | "unwritable-record" => StatusCode::INSUFFICIENT_STORAGE,
            "incomplete-snapshot" | "no-number-left" => StatusCode::INSUFFICIENT_STORAGE,
            "exposed-keys" | "unreadable-keys" | "too-many-keys" => StatusCode::INTERNAL_SERVER_ERROR,
            "unreadable-snapshot" | "no-root" | "unencodable" => StatusCode::INTERNAL_SERVER_ERROR,
            "damaged-snapshot" | "truncated-snapshot" | "not-a-snapshot" => StatusCode::INTERNAL_SERVER_ERROR,
            "unreadable-record" | "damaged-record" | "state-lost" | "no-memory-map" => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            "stopped" | "no-thread" | "no-rehearsal" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self { status, code, message: error.to_string() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "code": self.code, "message": self.message });
        (self.status, Json(body)).into_response()
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        Self::engine(error.code(), &error)
    }
}

impl From<SetPushError> for Failure {
    fn from(error: SetPushError) -> Self {
        Self::engine(error.code(), &error)
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Malformed(what) => Self::bad_request(what),
            Unread::Refused(error) => error.into(),
        }
    }
}

impl From<RollbackError> for Failure {
    fn from(error: RollbackError) -> Self {
        Self::engine(error.code(), &error)
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        Self::engine(error.code(), &error)
    }
}

impl From<TakeError> for Failure {
    fn from(error: TakeError) -> Self {
        Self::engine(error.code(), &error)
    }
}

impl From<RecoverError> for Failure {
    fn from(error: RecoverError) -> Self {
        Self::engine(error.code(), &error)
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}
