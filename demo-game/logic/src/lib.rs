//! The demo's logic: what the server's upgrade replaces.
//!
//! One source is built twice, as version 1001 and, with the feature `v1002`, as version 1002, which keeps the players
//! in another shape. In a project of yours the two would be two commits.
//!
//! Nothing here lasts: what must outlive this version is in [`World`].

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use demo_api::{GameLogic, Players};
use demo_state::{Player, World};
use liveswap_logic::{Context, Logic};

const VERSION: &str = if cfg!(feature = "v1002") { "1002" } else { "1001" };
const NAME: &str = if cfg!(feature = "v1002") { "game2" } else { "game1" };

/// How many players are listed.
const LISTED_MAX: usize = 100;

struct DemoGame;

impl Logic for DemoGame {
    type State = World;

    fn create(_: &Context) -> World {
        tracing::info!("making a new world");
        World::new()
    }
}

impl GameLogic for DemoGame {
    fn hello(world: &mut World, context: &Context, who: &str) -> String {
        let version = context.version();
        if world.last_version != version {
            // Once for each change, not once for each hello.
            tracing::info!(previous = world.last_version, "first hello since the version changed");
        }
        let greeting = format!(
            "hello {who}, this is golang plugin test!, version={version}, name={NAME}, oldversion={}, oldName={}",
            world.last_version, world.last_name,
        );
        version.clone_into(&mut world.last_version);
        NAME.clone_into(&mut world.last_name);
        greeting
    }

    fn hit(world: &World, _: &Context, count: u64) -> u64 {
        // Relaxed: the total is exact by itself and orders nothing else.
        let added =
            world.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |total| total.checked_add(count));
        match added {
            Ok(before) => before + count,
            // The server is told so and goes on; the total stays as it was.
            Err(total) => panic!("{count} more hits don't fit on top of {total}"),
        }
    }

    fn total(world: &World, _: &Context) -> u64 {
        world.total.load(Ordering::Relaxed)
    }

    fn join(world: &World, _: &Context, name: &str, times: u64) -> u64 {
        // Relaxed: all that counts is that no number is given out twice.
        let before = world.joined.fetch_add(times, Ordering::Relaxed);
        for id in before + 1..=before + times {
            world.players.insert(id, Player::new(id, name));
        }
        before + times
    }

    fn score(world: &World, _: &Context, player: u64, points: u32) -> Option<String> {
        world.players.update(&player, |player| {
            player.add(points);
            describe(player)
        })
    }

    fn players(world: &World, _: &Context) -> Players {
        let mut all: Vec<u64> = Vec::new();
        world.players.for_each(|id, _| all.push(*id));
        all.sort_unstable();
        let first = all.iter().take(LISTED_MAX);
        let first = first.filter_map(|id| world.players.read(id, describe)).collect();
        Players { first, count: all.len() as u64 }
    }

    fn slow(context: &Context, milliseconds: u64) -> String {
        thread::sleep(Duration::from_millis(milliseconds));
        context.version().to_owned()
    }
}

#[cfg(not(feature = "v1002"))]
fn describe(Player { id, name, score }: &Player) -> String {
    format!("{id} {name}: score {score}")
}

#[cfg(feature = "v1002")]
fn describe(Player { id, name, score, level }: &Player) -> String {
    format!("{id} {name}: score {score:.1}, level {level}")
}

liveswap_logic::export! {
    module: "logic",
    version: VERSION,
    logic: DemoGame as GameLogic,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hello_names_the_version_of_the_one_before() {
        let mut world = World::new();
        let mut hello = |version| DemoGame::hello(&mut world, &Context::new("logic", version), "test");
        let greeting = "hello test, this is golang plugin test!";
        assert_eq!(hello("1001"), format!("{greeting}, version=1001, name={NAME}, oldversion=0, oldName="));
        assert_eq!(
            hello("1002"),
            format!("{greeting}, version=1002, name={NAME}, oldversion=1001, oldName={NAME}")
        );
    }

    #[test]
    fn a_hit_returns_the_total_after_it() {
        let (world, context) = (World::new(), Context::new("logic", VERSION));
        assert_eq!(DemoGame::hit(&world, &context, 3), 3);
        assert_eq!(DemoGame::hit(&world, &context, 4), 7);
        assert_eq!(DemoGame::total(&world, &context), 7);
    }

    #[test]
    fn who_has_joined_is_listed_and_scores() {
        let (world, context) = (World::new(), Context::new("logic", VERSION));
        assert_eq!(DemoGame::players(&world, &context), Players { first: vec![], count: 0 });
        assert_eq!(DemoGame::join(&world, &context, "ada", 1), 1);
        assert_eq!(DemoGame::join(&world, &context, "bot", 200), 201);
        let ada = if cfg!(feature = "v1002") { "1 ada: score 7.0, level 1" } else { "1 ada: score 7" };
        assert_eq!(DemoGame::score(&world, &context, 1, 7).as_deref(), Some(ada));
        assert_eq!(DemoGame::score(&world, &context, 202, 7), None);
        let Players { first, count } = DemoGame::players(&world, &context);
        assert_eq!((first.len(), first[0].as_str(), count), (LISTED_MAX, ada, 201));
    }

    #[test]
    #[should_panic(expected = "1 more hits don't fit on top of 18446744073709551615")]
    fn a_total_that_would_overflow_panics() {
        let (world, context) = (World::new(), Context::new("logic", VERSION));
        DemoGame::hit(&world, &context, u64::MAX);
        DemoGame::hit(&world, &context, 1);
    }
}
