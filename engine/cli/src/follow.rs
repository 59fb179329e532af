//! Following what a push has begun: what the engine's status says of its migration, while a command is under way and
//! afterwards, and of its probation.
//!
//! The status comes over a connection of its own. It's asked for a few times per second; what goes wrong with that
//! while the command is under way, the command itself will tell.

use std::collections::HashMap;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{self, Client};
use crate::failure::Failure;
use crate::meter::Meter;
use crate::report::{Migrated, Migration, Published, Stage, Status};

/// How long between two looks at the status.
const BETWEEN: Duration = Duration::from_millis(200);

/// How long a sweep that is stuck is given to be rolled back by the engine. It begins to at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shows how far the migration is that a command is about, until it is answered.
pub(crate) fn while_under_way<T>(
    client: &Client<'_>,
    meter: &mut Meter,
    command: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    if meter.is_quiet() {
        return command();
    }
    thread::scope(|scope| {
        let (running, answered) = channel::<()>();
        scope.spawn(move || {
            // Until the sender is dropped: nothing is ever sent.
            while answered.recv_timeout(BETWEEN) == Err(RecvTimeoutError::Timeout) {
                if let Ok(status) = look(client)
                    && let Some(migration) = under_way(&status)
                {
                    meter.show(migration);
                }
            }
            meter.clear();
        });
        let outcome = command();
        drop(running);
        outcome
    })
}

fn look(client: &Client<'_>) -> Result<Status, Failure> {
    client::parse(&client.status()?)
}

/// The migration of the swap that is under way. There is one at most.
fn under_way(status: &Status) -> Option<&Migration> {
    let swapping = |phase: &str| matches!(phase, "checking" | "handing-over");
    let migrations = status.modules.iter().filter(|module| swapping(&module.phase));
    migrations
        .filter_map(|module| module.migration.as_ref())
        // The one before it may still stand there.
        .find(|migration| matches!(migration.stage, Stage::Checking | Stage::HandingOver))
}

/// Waits until the state has been migrated to its end. Gives what there is to say of it.
pub(crate) fn sweep(
    client: &Client<'_>,
    meter: &mut Meter,
    published: &Published,
    migrated: &Migrated,
) -> Result<String, Failure> {
    let mut stuck = None;
    loop {
        let status = look(client)?;
        let module = status.modules.iter().find(|module| module.name == published.module);
        let migration = module.and_then(|module| module.migration.as_ref());
        let (Some(module), Some(migration)) = (module, migration) else {
            return Err(Failure::bad_answer(&"it has nothing to say of the migration"));
        };
        let stuck_for = |stuck: &Option<Stuck>| stuck.as_ref().map(|stuck| stuck.since.elapsed());
        match (direction(migration, migrated), migration.stage) {
            (Direction::Ours, Stage::Done) => {
                meter.clear();
                return Ok("migrated: all of the state is in its new shape".to_owned());
            }
            (Direction::Ours, Stage::Stuck) => {
                let reason = migration.reason.clone().unwrap_or_default();
                stuck.get_or_insert_with(|| Stuck { reason, since: Instant::now() });
                if module.is_at_rest() && stuck_for(&stuck) > Some(PATIENCE) {
                    meter.clear();
                    return Err(Failure::stuck(
                        &reason_of(stuck),
                        "it stays so: calls that need that part fail",
                    ));
                }
            }
            (Direction::Ours, Stage::Sweeping) => meter.show(migration),
            (Direction::Back, Stage::Sweeping | Stage::Stuck | Stage::Done) => {
                meter.clear();
                let (active, schema) = (module.active().unwrap_or("none"), migration.to_schema);
                let what = format!("rolled back: {} {active} is active, on schema {schema}", module.name);
                return Err(Failure::stuck(&reason_of(stuck), &what));
            }
            (Direction::Back, Stage::Failed) if module.is_at_rest() => {
                meter.clear();
                let why = migration.reason.as_deref().unwrap_or_default();
                return Err(Failure::stuck(&reason_of(stuck), &format!("it can't be rolled back: {why}")));
            }
            (Direction::Back, _) => meter.show(migration),
            // It waits for the end of ours, or ours had ended.
            _ => {
                meter.clear();
                return Ok(
                    "another migration of the state has begun: `status` shows how far it is".to_owned()
                );
            }
        }
        thread::sleep(BETWEEN);
    }
}

/// How many verdicts each module has had: what comes later is about a later push.
pub(crate) fn verdicts(client: &Client<'_>) -> Result<HashMap<String, u64>, Failure> {
    let modules = look(client)?.modules.into_iter();
    Ok(modules.filter_map(|module| Some((module.name, module.last_verdict?.number))).collect())
}

/// Waits until the version that was published is committed. If it's rolled back instead, that is a failure.
pub(crate) fn probation(
    client: &Client<'_>,
    published: &Published,
    before: &HashMap<String, u64>,
) -> Result<String, Failure> {
    let (name, version) = (&published.module, published.version());
    let before = before.get(name).copied().unwrap_or(0);
    loop {
        let status = look(client)?;
        let module = status.modules.iter().find(|module| module.name == *name);
        let verdict = module.and_then(|module| module.last_verdict.as_ref());
        let verdict = verdict.filter(|verdict| verdict.number > before && verdict.version == version);
        match verdict {
            Some(verdict) if verdict.is_rollback() => {
                let (code, reason) = verdict.reason();
                return Err(Failure::rolled_back(version, code, reason));
            }
            Some(_) => return Ok(format!("{name} {version} is committed")),
            None => {}
        }
        let probation = module.and_then(|module| module.probation.as_ref());
        if probation.is_none_or(|probation| probation.version != version) {
            return Err(Failure::no_verdict(name, version));
        }
        thread::sleep(BETWEEN);
    }
}

/// A part of the state can't be migrated.
struct Stuck {
    reason: String,
    since: Instant,
}

fn reason_of(stuck: Option<Stuck>) -> String {
    stuck.map_or_else(|| "the host's log says why".to_owned(), |stuck| stuck.reason)
}

/// Where a migration leads, as seen from the one that is followed.
#[derive(PartialEq, Eq)]
enum Direction {
    Ours,
    Back,
    Elsewhere,
}

fn direction(migration: &Migration, followed: &Migrated) -> Direction {
    let shown = (migration.from_schema, migration.to_schema);
    if shown == (followed.from_schema, followed.to_schema) {
        Direction::Ours
    } else if shown == (followed.to_schema, followed.from_schema) {
        Direction::Back
    } else {
        Direction::Elsewhere
    }
}
