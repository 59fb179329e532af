//! Migrations, by the functions that the engine has: nothing is lost, whatever happens between one shape and another.

mod worlds;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use liveswap_state::sharded::Flips;
use liveswap_state::{Migrate, MigrateError, Sharded, State};
use worlds::{Held, World, alive, expected, migrated, settle, sweep, v1, v2, v3, world};

/// Enough for some shards more than a collection begins with.
const MANY: u64 = 8000;

fn panic_of(work: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(work)).expect_err("it panics");
    liveswap_state::fence::message(&*payload).to_owned()
}

#[test]
fn a_flip_migrates_no_entry_and_a_call_migrates_the_shard_that_it_uses() {
    let mut held = Held::new(world(MANY));
    held.upgrade::<v2::World>().unwrap();
    assert_eq!(migrated(), 0);
    let world = held.get::<v2::World>();
    assert_eq!((world.day, world.weather.as_str()), (5, "sunny"));
    let mut uses = 0;
    let mut used = |what: &str| {
        let count = migrated();
        assert!(count < 400, "{what} has migrated {count}");
        uses += count;
    };
    assert_eq!(world.players.read(&7, |player| player.health), Some(70.0));
    used("read");
    assert_eq!(world.players.read(&7, |player| player.health), Some(70.0));
    assert_eq!(migrated(), 0, "once is enough");
    world.players.update(&1000, |player| player.health += 0.5);
    used("update");
    world.players.insert(MANY, v2::Player::new("late", 1.0));
    used("insert");
    assert_eq!(world.players.remove(&2000).unwrap().health, 20_000.0);
    used("remove");
    world.players.update_or_insert(3000, || panic!("it's there"), |player| player.health = -1.0);
    used("update_or_insert");
    assert!(uses < 5 * 400);

    let mut players = expected(MANY);
    players.get_mut(&1000).unwrap().1 += 0.5;
    players.insert(MANY, ("late".to_owned(), 1.0));
    players.remove(&2000);
    players.get_mut(&3000).unwrap().1 = -1.0;
    assert_eq!(world.players(), players, "an iteration migrates all the others");
    assert_eq!(uses + migrated(), MANY as usize, "each once");
    assert_eq!(alive(), [0, MANY as i64, 0]);
}

#[test]
fn a_shard_that_is_divided_is_migrated_first() {
    let mut held = Held::new(world(3000));
    let collections = held.upgrade::<v2::World>().unwrap();
    let (world, before) = (held.get::<v2::World>(), collections[0].count());
    let mut players = expected(3000);
    for key in 3000..12_000 {
        world.players.insert(key, v2::Player::new("new", 0.0));
        players.insert(key, ("new".to_owned(), 0.0));
    }
    assert!(collections[0].count() > before + 10);
    sweep(&collections);
    assert_eq!(world.players(), players);
    assert_eq!((migrated(), alive()), (3000, [0, 12_000, 0]));
}

#[test]
fn the_sweep_migrates_what_no_call_has_and_ends_once_all_is() {
    let mut held = Held::new(world(MANY));
    let collections = held.upgrade::<v2::World>().unwrap();
    assert_eq!(collections.len(), 1, "the other collection isn't migrated");
    let (players, shards) = (&collections[0], collections[0].count());
    let epoch = players.epoch();
    assert!(!players.finish(epoch), "nothing is swept yet");
    held.get::<v2::World>().players.read(&7, |_| ());
    assert_eq!(settle(players, 0..shards), shards - 1);
    assert_eq!(settle(players, 0..shards), 0);
    assert_eq!((migrated(), alive()), (MANY as usize, [0, MANY as i64, 0]));
    assert!(players.finish(epoch));
    assert_eq!(held.get::<v2::World>().players(), expected(MANY));
    assert_eq!(held.get::<v2::World>().scores.get("7"), Some(7));
}

#[test]
fn taken_back_in_the_middle_of_the_sweep_every_write_is_kept() {
    let mut held = Held::new(world(MANY));
    let collections = held.upgrade::<v2::World>().unwrap();
    let shards = collections[0].count();
    settle(&collections[0], 0..shards / 2);
    let world = held.get::<v2::World>();
    for key in (0..MANY).step_by(7) {
        world.players.update(&key, |player| player.health += 1.0);
    }
    (MANY..MANY + 500).for_each(|key| drop(world.players.insert(key, v2::Player::new("new", 3.0))));
    (0..100).for_each(|key| drop(world.players.remove(&key)));
    let mut players = expected(MANY);
    players.iter_mut().filter(|(key, _)| *key % 7 == 0).for_each(|(_, player)| player.1 += 1.0);
    players.extend((MANY..MANY + 500).map(|key| (key, ("new".to_owned(), 3.0))));
    players.retain(|key, _| *key >= 100);

    let back = held.downgrade::<v1::World>().unwrap();
    assert!(back[0].is(&collections[0]));
    let epoch = back[0].epoch();
    held.get::<v1::World>().players.update(&200, |player| player.health = 1);
    players.get_mut(&200).unwrap().1 = 1.0;
    settle(&back[0], 0..back[0].count());
    assert!(back[0].finish(epoch));
    assert_eq!(alive(), [players.len() as i64, 0, 0]);
    assert_eq!(held.get::<v1::World>().players(), players);
    // And on again.
    sweep(&held.upgrade::<v2::World>().unwrap());
    assert_eq!(held.get::<v2::World>().players(), players);
}

#[test]
fn a_shard_that_was_not_migrated_yet_stays_as_it_is_when_that_is_taken_back() {
    let mut held = Held::new(world(MANY));
    let collections = held.upgrade::<v2::World>().unwrap();
    settle(&collections[0], 0..3);
    let forward = migrated();
    sweep(&held.downgrade::<v1::World>().unwrap());
    assert_eq!(migrated(), forward, "as many went back");
    assert_eq!(held.get::<v1::World>().players(), expected(MANY));
}

#[test]
fn a_trial_finds_the_entry_that_can_not_be_migrated_and_changes_nothing() {
    for name in ["cursed", "explosive"] {
        let held = Held::new(world(MANY));
        let (steps, to) = held.upgrades::<v2::World>();
        assert_eq!(held.check(&steps, to), Ok(()));
        held.get::<v1::World>().players.update(&4321, |player| player.name = name.to_owned());
        let why = held.check(&steps, to).unwrap_err();
        assert!(why.contains(if name == "cursed" { "a curse is on it" } else { "it has exploded" }), "{why}");
        let mut players = expected(MANY);
        players.get_mut(&4321).unwrap().0 = name.to_owned();
        assert_eq!((held.get::<v1::World>().players(), alive()), (players, [MANY as i64, 0, 0]));
    }
}

#[test]
fn a_trial_of_several_steps_finds_what_only_the_last_refuses() {
    #[derive(State)]
    #[state(version = 3, from = v2::World)]
    struct Strict {
        players: Sharded<u64, StrictPlayer>,
    }

    #[derive(State)]
    struct StrictPlayer {
        name: String,
    }

    impl Migrate<v2::World> for Strict {
        fn migrate(old: v2::World) -> Result<Self, MigrateError> {
            Ok(Self { players: Migrate::migrate(old.players)? })
        }
    }

    impl Migrate<Strict> for v2::World {
        fn migrate(_: Strict) -> Result<Self, MigrateError> {
            Err("not in this test".into())
        }
    }

    impl Migrate<v2::Player> for StrictPlayer {
        fn migrate(old: v2::Player) -> Result<Self, MigrateError> {
            if old.health < 0.5 { Err("it has no health".into()) } else { Ok(Self { name: old.name }) }
        }
    }

    impl Migrate<StrictPlayer> for v2::Player {
        fn migrate(new: StrictPlayer) -> Result<Self, MigrateError> {
            Ok(Self::new(&new.name, 1.0))
        }
    }

    let held = Held::new(world(MANY));
    let (steps, to) = held.upgrades::<Strict>();
    assert_eq!(held.check(&steps, to).unwrap_err(), "it has no health");
    held.get::<v1::World>().players.update(&0, |player| player.health = 1);
    assert_eq!(held.check(&steps, to), Ok(()));
}

#[test]
fn an_entry_that_fails_after_the_flip_panics_with_the_reason_and_costs_nobody() {
    for name in ["cursed", "explosive"] {
        let mut held = Held::new(world(MANY));
        held.get::<v1::World>().players.update(&4321, |player| player.name = name.to_owned());
        let collections = held.upgrade::<v2::World>().unwrap();
        let world = held.get::<v2::World>();
        let reason = if name == "cursed" { "a curse is on it" } else { "it has exploded" };
        for _ in 0..2 {
            let why = panic_of(|| assert!(world.players.contains_key(&4321)));
            assert!(why.contains(reason), "{why}");
            let why = panic_of(|| drop(world.players.remove(&4321)));
            assert!(why.contains(reason), "{why}");
        }
        let shards = collections[0].count();
        let failed = (0..shards).filter(|index| collections[0].settle(*index).is_err()).count();
        assert_eq!(failed, 1, "the others are migrated");
        assert!(!collections[0].finish(collections[0].epoch()));
        let reachable =
            |key| catch_unwind(AssertUnwindSafe(|| world.players.contains_key(&key))).unwrap_or(false);
        assert!((0..MANY).filter(|key| reachable(*key)).count() > MANY as usize * 9 / 10);

        held.get::<v2::World>().players.update(&1, |player| player.health = 2.0);
        sweep(&held.downgrade::<v1::World>().unwrap());
        let mut players = expected(MANY);
        players.get_mut(&4321).unwrap().0 = name.to_owned();
        players.get_mut(&1).unwrap().1 = 2.0;
        assert_eq!((held.get::<v1::World>().players(), alive()), (players, [MANY as i64, 0, 0]));
        // Once it is mended, there is a way.
        held.get::<v1::World>().players.update(&4321, |player| player.name = "mended".to_owned());
        sweep(&held.upgrade::<v2::World>().unwrap());
        drop((held, collections));
        assert_eq!(alive(), [0; 3]);
    }
}

/// A root whose migration ends otherwise, as its day says.
#[derive(State)]
#[state(version = 2, from = v1::World, one_way)]
struct Doomed {
    players: Sharded<u64, v2::Player>,
}

impl Migrate<v1::World> for Doomed {
    fn migrate(old: v1::World) -> Result<Self, MigrateError> {
        let players = Sharded::migrate(old.players)?;
        match old.day {
            1 => Err("the root refuses".into()),
            2 => panic!("the root panics"),
            3 => Err(format!("there were {}", Sharded::len(&players)).into()),
            4 => {
                players.insert(0, v2::Player::new("new", 0.0));
                Err("it can't get here".into())
            }
            _ => Ok(Self { players }),
        }
    }
}

#[test]
fn a_root_that_fails_after_the_flips_is_as_it_was_before() {
    let reasons = [
        (1, "the root refuses"),
        (2, "the root panics"),
        (3, "can't use what is in a `Sharded`"),
        (4, "can't use what is in a `Sharded`"),
    ];
    for (day, reason) in reasons {
        let mut held = Held::new(v1::World { day, ..world(MANY) });
        let (steps, to) = held.upgrades::<Doomed>();
        let why = held.check(&steps, to).unwrap_err();
        assert!(why.contains(reason), "{why}");
        migrated();
        let why = held.upgrade::<Doomed>().unwrap_err();
        assert!(why.contains(reason), "{why}");
        let world = held.get::<v1::World>();
        assert_eq!((world.day, migrated(), alive()), (day, 0, [MANY as i64, 0, 0]));
        world.players.insert(MANY, v1::Player::new("later", 9));
        assert_eq!((world.players.len() as u64, world.scores.len()), (MANY + 1, 100));
        drop(world.players.remove(&MANY));
        assert_eq!(world.players(), expected(MANY));
        sweep(&held.upgrade::<v2::World>().unwrap());
        assert_eq!(held.get::<v2::World>().players(), expected(MANY));
        drop(held);
        assert_eq!(alive(), [0; 3]);
    }
}

#[test]
fn what_a_root_leaves_out_goes_with_its_last_owner() {
    let mut held = Held::new(world(100));
    let leftovers = held.capture();
    sweep(&held.upgrade::<Doomed>().unwrap());
    assert_eq!(
        leftovers.collections[1].count(),
        16,
        "the scores are there for as long as they may be wanted"
    );
    drop(leftovers);
    drop(held);
    assert_eq!(alive(), [0; 3]);
}

#[test]
fn several_steps_are_taken_in_one_go_in_both_directions() {
    let mut held = Held::new(world(MANY));
    let up = held.upgrade::<v3::World>().unwrap();
    assert_eq!(up.len(), 1, "each collection once");
    assert_eq!(migrated(), 0);
    let world = held.get::<v3::World>();
    let level = |player: &v3::Player| {
        assert!(std::ptr::from_ref(player).is_aligned());
        player.level
    };
    assert_eq!(world.players.read(&7, level), Some(1));
    world.players.update(&8, |player| player.health = 1.0);
    settle(&up[0], 0..up[0].count() / 2);
    let back = held.downgrade::<v1::World>().unwrap();
    assert_eq!(back.len(), 1);
    let mut players = expected(MANY);
    players.get_mut(&8).unwrap().1 = 1.0;
    sweep(&back);
    assert_eq!((held.get::<v1::World>().players(), alive()), (players.clone(), [MANY as i64, 0, 0]));
    // And from one that is swept to its end.
    sweep(&held.upgrade::<v3::World>().unwrap());
    sweep(&held.downgrade::<v1::World>().unwrap());
    assert_eq!(held.get::<v1::World>().players(), players);
}

#[test]
fn one_step_back_of_two_that_are_under_way_leads_to_the_one_between() {
    let mut held = Held::new(world(MANY));
    let first = held.upgrade::<v2::World>().unwrap();
    settle(&first[0], 0..10);
    let second = held.upgrade::<v3::World>().unwrap();
    settle(&second[0], 5..15);
    let back = held.downgrade::<v2::World>().unwrap();
    settle(&back[0], 0..8);
    assert_eq!(held.get::<v2::World>().players(), expected(MANY));
    sweep(&back);
    assert_eq!(alive(), [0, MANY as i64, 0]);
    let none = Flips::new().into_handles();
    assert!(none.is_empty());
}

#[test]
fn callers_that_write_during_the_sweep_lose_nothing() {
    const CALLERS: u64 = 2;
    let mut held = Held::new(world(MANY));
    for round in 0..3 {
        let collections = held.upgrade::<v2::World>().unwrap();
        let (world, is_swept) = (held.get::<v2::World>(), AtomicBool::new(false));
        let counts: Vec<u64> = thread::scope(|scope| {
            let call = |caller: u64| {
                let is_swept = &is_swept;
                move || {
                    let mut rounds = 0;
                    while !is_swept.load(Ordering::Relaxed) || rounds == 0 {
                        for key in (caller..MANY).step_by(CALLERS as usize) {
                            let add = |player: &mut v2::Player| player.health += 1.0;
                            assert!(world.players.update(&key, add).is_some(), "{key} is there");
                        }
                        rounds += 1;
                        // One that comes and goes.
                        let own = 1_000_000 + caller;
                        assert!(world.players.insert(own, v2::Player::new("own", 0.0)).is_none());
                        assert_eq!(world.players.remove(&own).unwrap().name, "own");
                    }
                    rounds
                }
            };
            let callers: Vec<_> = (0..CALLERS).map(|caller| scope.spawn(call(caller))).collect();
            sweep(&collections);
            is_swept.store(true, Ordering::Relaxed);
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        let mut before = world.players();
        sweep(&held.downgrade::<v1::World>().unwrap());
        let world = held.get::<v1::World>();
        assert_eq!(world.players(), before, "round {round}");
        for (key, (_, health)) in &mut before {
            *health -= counts[(key % CALLERS) as usize] as f64;
            world.players.update(key, |player| player.health = *health as u32);
        }
        assert_eq!(before, expected(MANY), "each update counts once");
    }
}
