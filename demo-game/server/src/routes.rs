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
use demo_api::{Game, Players};
use liveswap::{Engine, Module, Push, PushOutcome};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use crate::candidate_name::CandidateName;
use crate::player_name::PlayerName;
use crate::refusal::Refusal;

/// The longest call that `/slow` may ask for.
const SLOW_MAX_MILLISECONDS: u64 = 60_000;

/// How many may join at once: enough for a migration that one can watch.
const JOINING_MAX: u64 = 100_000;

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
        .route("/join", post(join))
        .route("/score", post(score))
        .route("/players", get(players))
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
struct Joining {
    /// Left out, it is refused as an empty one is.
    #[serde(default)]
    name: String,
    /// How many of that name.
    #[serde(default = "one")]
    n: u64,
}

fn one() -> u64 {
    1
}

/// Answers with the number of the last who joined.
async fn join(State(service): State<Arc<Service>>, parameters: Parameters<Joining>) -> Answer {
    let Query(Joining { name, n }) = parameters?;
    let name: PlayerName = name.parse()?;
    if n == 0 || n > JOINING_MAX {
        return Err(Refusal::TooMany { asked: n, most: JOINING_MAX });
    }
    let game = service.game.clone();
    let last = spawn_blocking(move || game.call(|game| game.join(name.as_str(), n))).await??;
    Ok(last.to_string())
}

#[derive(Deserialize)]
struct Scored {
    player: u64,
    n: u32,
}

async fn score(State(service): State<Arc<Service>>, parameters: Parameters<Scored>) -> Answer {
    let Query(Scored { player, n }) = parameters?;
    service.game.call(|game| game.score(player, n))?.ok_or(Refusal::NoSuchPlayer(player))
}

/// A line for each of the first players.
async fn players(State(service): State<Arc<Service>>) -> Answer {
    let game = service.game.clone();
    let Players { mut first, count } = spawn_blocking(move || game.call(|game| game.players())).await??;
    let more = count - first.len() as u64;
    if more > 0 {
        first.push(format!("and {more} more"));
    }
    Ok(first.join("\n"))
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
