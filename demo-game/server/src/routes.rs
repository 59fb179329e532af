//! What the server answers.
//!
//! Quick calls into logic run right where the request is handled. Those that may take their time go to the
//! threads that may be blocked, so that the others keep answering.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use demo_api::Game;
use liveswap::{Engine, Module, Push, PushOutcome};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use crate::candidate_name::CandidateName;
use crate::refusal::Refusal;

/// The longest call that `/slow` may ask for.
const SLOW_MAX_MILLISECONDS: u64 = 60_000;

/// What the routes work with.
pub(crate) struct Service {
    pub(crate) engine: Arc<Engine>,
    pub(crate) game: Module<dyn Game>,
    pub(crate) candidates: PathBuf,
}

/// The way from a request to its answer.
pub(crate) fn router(service: Service) -> Router {
    Router::new()
        .route("/hello", get(hello))
        .route("/hit", post(hit))
        .route("/total", get(total))
        .route("/slow", get(slow))
        .route("/load", get(load))
        .with_state(Arc::new(service))
}

type Answer = Result<String, Refusal>;

/// What stands behind the `?`. Taken as a result, so that a wrong one is answered as any other refusal is.
type Parameters<T> = Result<Query<T>, QueryRejection>;

/// Exclusive, so it waits for every call that is looking at the world.
async fn hello(State(service): State<Arc<Service>>) -> Answer {
    let game = service.game.clone();
    Ok(spawn_blocking(move || game.call(|game| game.hello("test"))).await??)
}

#[derive(Deserialize)]
struct Hits {
    n: u64,
}

async fn hit(State(service): State<Arc<Service>>, parameters: Parameters<Hits>) -> Answer {
    let Query(Hits { n }) = parameters?;
    let total = service.game.call(|game| game.hit(n))?;
    Ok(total.to_string())
}

async fn total(State(service): State<Arc<Service>>) -> Answer {
    let total = service.game.call(|game| game.total())?;
    Ok(total.to_string())
}

#[derive(Deserialize)]
struct Slowness {
    ms: u64,
}

async fn slow(State(service): State<Arc<Service>>, parameters: Parameters<Slowness>) -> Answer {
    let Query(Slowness { ms }) = parameters?;
    if ms > SLOW_MAX_MILLISECONDS {
        return Err(Refusal::TooLong { asked: ms, most: SLOW_MAX_MILLISECONDS });
    }
    // The handle alone: a call that the server gives up must not keep the engine from ending.
    let game = service.game.clone();
    Ok(spawn_blocking(move || game.call(|game| game.slow(ms))).await??)
}

#[derive(Deserialize)]
struct Load {
    /// Left out, it is refused as an empty one is.
    #[serde(default)]
    name: String,
    /// 1 allows a version that is older than the active one.
    #[serde(default)]
    allow_older: u8,
}

/// Pushes a candidate, and answers once it serves.
async fn load(State(service): State<Arc<Service>>, parameters: Parameters<Load>) -> Answer {
    let Query(Load { name, allow_older }) = parameters?;
    let push = Push::file(name.parse::<CandidateName>()?.within(&service.candidates));
    let push = if allow_older == 1 { push.allow_older() } else { push };
    match spawn_blocking(move || service.engine.push(push)).await?? {
        PushOutcome::Unchanged { module, version } => Ok(format!(
            "unchanged: version {version} of module `{module}` has these very bytes and is active"
        )),
        _ => Ok("done".to_owned()),
    }
}
