//! Handles that the engine uses out of turn: too early, too late, or for another collection. Whatever is done with them,
//! no value is taken for one of another type.

mod worlds;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use liveswap_state::sharded::{Blocks, Flips, Handle};
use liveswap_state::table::StateTable;
use liveswap_state::{CodecError, Encoder, Fenced, Migrate, MigrateError, Sharded, State};
use worlds::{Held, World, alive, expected, settle, sweep, unfence, v1, v2, v3, world};

const MANY: u64 = 8000;

fn encoded(value: &impl State) -> Vec<u8> {
    let mut encoder = Encoder::new();
    value.encode(&mut encoder);
    encoder.finish().unwrap()
}

/// The bytes of a shard with one entry.
fn block<V: State>(key: u64, value: V) -> Vec<u8> {
    [vec![1], encoded(&key), encoded(&value)].concat()
}

#[test]
fn a_sweep_is_not_finished_as_long_as_a_shard_is_on_its_way() {
    let mut held = Held::new(world(MANY));
    let swept = held.upgrade::<v2::World>().unwrap();
    settle(&swept[0], 1..swept[0].count());
    assert!(!swept[0].finish(swept[0].epoch()));
    assert_eq!(held.get::<v2::World>().players(), expected(MANY));
    assert!(swept[0].finish(swept[0].epoch()));
}

/// The epoch is then what it was, but not the shards.
#[test]
fn a_sweep_is_not_finished_if_it_was_turned_twice_meanwhile() {
    let mut held = Held::new(world(MANY));
    let swept = held.upgrade::<v2::World>().unwrap();
    let epoch = swept[0].epoch();
    settle(&swept[0], 0..swept[0].count());
    sweep(&held.downgrade::<v1::World>().unwrap());
    held.upgrade::<v2::World>().unwrap();
    assert!(!swept[0].finish(epoch));
    assert_eq!(held.get::<v2::World>().players(), expected(MANY));
    assert!(!swept[0].finish(epoch), "whoever read that has not seen the shards since");
    assert!(swept[0].finish(swept[0].epoch()));
}

#[test]
fn a_collection_that_is_still_on_its_way_back_is_not_turned_again() {
    let mut held = Held::new(world(MANY));
    let swept = held.upgrade::<v2::World>().unwrap();
    settle(&swept[0], 0..5);
    let back = held.downgrade::<v1::World>().unwrap();
    let why = held.upgrade::<v2::World>().unwrap_err();
    assert!(why.contains("on their way back"), "{why}");
    assert_eq!(held.get::<v1::World>().players(), expected(MANY), "and it's as it was");
    sweep(&back);
    sweep(&held.upgrade::<v2::World>().unwrap());
    assert_eq!(held.get::<v2::World>().players(), expected(MANY));
}

/// Shards are then on both sides of where another way begins.
#[test]
fn a_collection_in_the_middle_of_its_way_back_is_not_turned_aside() {
    #[derive(State)]
    #[state(version = 3, from = v2::World, one_way)]
    struct Aside {
        players: Sharded<u64, Named>,
    }

    #[derive(State)]
    struct Named {
        name: String,
    }

    impl Migrate<v2::Player> for Named {
        fn migrate(old: v2::Player) -> Result<Self, MigrateError> {
            Ok(Self { name: old.name })
        }
    }

    impl Migrate<v2::World> for Aside {
        fn migrate(old: v2::World) -> Result<Self, MigrateError> {
            Ok(Self { players: Migrate::migrate(old.players)? })
        }
    }

    let mut held = Held::new(world(MANY));
    held.upgrade::<v2::World>().unwrap();
    settle(&held.upgrade::<v3::World>().unwrap()[0], 0..5);
    let back = held.downgrade::<v2::World>().unwrap();
    let why = held.upgrade::<Aside>().unwrap_err();
    assert!(why.contains("on their way back"), "{why}");
    assert_eq!(held.get::<v2::World>().players(), expected(MANY), "and it's as it was");
    sweep(&back);
    sweep(&held.upgrade::<Aside>().unwrap());
    assert_eq!(held.get::<Aside>().players.len() as u64, MANY);
}

/// The first of its steps is finished then, and the second isn't.
#[test]
fn two_steps_back_may_begin_in_the_middle_of_the_second() {
    let mut held = Held::new(world(MANY));
    sweep(&held.upgrade::<v2::World>().unwrap());
    settle(&held.upgrade::<v3::World>().unwrap()[0], 0..20);
    let back = held.downgrade::<v1::World>().unwrap();
    settle(&back[0], 5..25);
    assert!(alive().iter().all(|count| *count > 0), "there are values of all three types");
    assert_eq!(held.get::<v1::World>().players(), expected(MANY));
    sweep(&back);
    assert_eq!(alive(), [MANY as i64, 0, 0]);
}

/// Whichever of the steps fails, after whichever flips.
#[test]
fn a_way_back_that_fails_is_taken_back_itself() {
    let mut held = Held::new(world(MANY));
    sweep(&held.upgrade::<v2::World>().unwrap());
    settle(&held.upgrade::<v3::World>().unwrap()[0], 0..20);
    let mut steps = held.downgrades::<v1::World>();
    // To the same type, and no further.
    steps.push(refuse);
    for _ in 0..2 {
        assert_eq!(held.migrate(&steps, held.table).unwrap_err(), "no further");
        assert_eq!(held.get::<v3::World>().players.read(&7, |player| player.level), Some(1));
    }
    let back = held.downgrade::<v1::World>().unwrap();
    assert_eq!(held.get::<v1::World>().players(), expected(MANY));
    sweep(&back);
    drop((held, back));
    assert_eq!(alive(), [0; 3]);
}

/// # Safety
///
/// As `Step`, for the first version.
unsafe fn refuse(state: *mut (), _: &Flips) -> Fenced<Result<*mut (), MigrateError>> {
    // SAFETY: as the caller vouches.
    drop(unsafe { Box::from_raw(state.cast::<v1::World>()) });
    Ok(Err("no further".into()))
}

#[test]
fn a_shard_that_is_not_there_has_nothing_to_do() {
    let mut held = Held::new(world(10));
    sweep(&held.upgrade::<v2::World>().unwrap());
    let players = held.players();
    for index in [players.count(), players.count() + 1, usize::MAX] {
        assert_eq!(players.settle(index), Ok(false));
        assert_eq!(players.check(index, &players), Ok(()));
        players.capture(index);
    }
}

#[test]
fn the_last_handle_may_be_older_than_the_last_flip() {
    let mut held = Held::new(world(MANY));
    let old = held.players();
    let swept = held.upgrade::<v2::World>().unwrap();
    settle(&swept[0], 0..swept[0].count() / 2);
    drop((held, swept));
    assert!(alive()[0] > 0 && alive()[1] > 0);
    drop(old);
    assert_eq!(alive(), [0; 3]);
}

/// By then it isn't known any more how; not even that it should be.
#[test]
fn what_nobody_knows_how_to_drop_is_left() {
    let mut held = Held::new(world(100));
    let old = held.players();
    sweep(&held.upgrade::<v2::World>().unwrap());
    drop(held);
    assert_eq!(alive(), [0, 100, 0]);
    drop(old);
    assert_eq!(alive(), [0, 100, 0]);
}

#[test]
fn a_handle_older_than_a_flip_takes_no_entries_and_fits_again_when_that_is_taken_back() {
    let mut held = Held::new(world(10));
    let old = held.players();
    let (first, second) = (block(50, v1::Player::new("x", 1)), block(51, v2::Player::new("x", 1.0)));
    sweep(&held.upgrade::<v2::World>().unwrap());
    assert!(matches!(unfence(old.fill(&first)).unwrap(), Err(CodecError::Bad { .. })));
    assert_eq!(unfence(held.players().fill(&second)).unwrap(), Ok(()));
    assert_eq!(held.get::<v2::World>().players().len(), 11);
    sweep(&held.downgrade::<v1::World>().unwrap());
    assert_eq!(unfence(old.fill(&first)).unwrap(), Ok(()));
    assert_eq!(held.get::<v1::World>().players().len(), 12);
}

#[test]
fn a_state_is_not_revived_beside_collections_of_another_type() {
    let mut held = Held::new(world(10));
    let (before, table) = (held.capture(), held.table);
    let revive = |table: &StateTable, known: &[Handle]| {
        unfence((table.revive)(&before.bytes, Some(known))).unwrap().map(|revived| revived.state)
    };
    sweep(&held.upgrade::<v2::World>().unwrap());
    let bad = Some(CodecError::Bad { expected: "collection" });
    assert_eq!(revive(&table, &before.collections).err(), bad);
    assert_eq!(revive(&table, &before.collections[1..]).err(), bad);
    assert_eq!(revive(&table, &[]).err(), bad);
}

#[test]
fn a_trial_of_another_collection_tries_nothing() {
    let held = Held::new(world(10));
    let trial = Held::new(world(10));
    let other = trial.capture().collections.swap_remove(1);
    let mut trial = trial;
    let swept = trial.upgrade::<v2::World>().unwrap();
    let scores = held.capture().collections.swap_remove(1);
    for index in 0..16 {
        assert_eq!(scores.check(index, &swept[0]), Ok(()));
        assert_eq!(held.players().check(index, &other), Ok(()));
    }
    assert_eq!(held.get::<v1::World>().players(), expected(10));
}

/// Otherwise a shard would follow a flip that is taken back then.
#[test]
fn a_sweeper_waits_for_a_migration_that_has_not_ended() {
    #[derive(State)]
    #[state(version = 3, from = v2::World, one_way)]
    struct Waits {
        players: Sharded<u64, Named>,
    }

    #[derive(State)]
    struct Named {
        name: String,
    }

    impl Migrate<v2::Player> for Named {
        fn migrate(old: v2::Player) -> Result<Self, MigrateError> {
            Ok(Self { name: old.name })
        }
    }

    static IS_FLIPPED: AtomicBool = AtomicBool::new(false);
    static IS_SWEPT: AtomicBool = AtomicBool::new(false);

    impl Migrate<v2::World> for Waits {
        fn migrate(old: v2::World) -> Result<Self, MigrateError> {
            let _players: Sharded<u64, Named> = Migrate::migrate(old.players)?;
            IS_FLIPPED.store(true, Ordering::SeqCst);
            while !IS_SWEPT.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            Err("after all".into())
        }
    }

    let mut held = Held::new(world(MANY));
    let swept = held.upgrade::<v2::World>().unwrap();
    let epoch = swept[0].epoch();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !IS_FLIPPED.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            let settled = (0..swept[0].count()).map(|index| swept[0].settle(index)).collect::<Vec<_>>();
            IS_SWEPT.store(true, Ordering::SeqCst);
            assert_eq!(settled, vec![Ok(false); settled.len()]);
        });
        assert_eq!(held.upgrade::<Waits>().unwrap_err(), "after all");
    });
    assert!(!swept[0].finish(epoch), "it was flipped since");
    assert_eq!(held.get::<v2::World>().players(), expected(MANY));
    drop((held, swept));
}

#[test]
fn flips_that_nobody_takes_back_hold_nothing_up() {
    let old = world(100);
    let table = StateTable::of::<v2::World>();
    let state = Box::into_raw(Box::new(old)).cast();
    let flips = Flips::new();
    // SAFETY: the state is of the type that the step is for.
    let state = unfence(unsafe { (table.origin.unwrap().upgrade)(state, &flips) }).unwrap().unwrap();
    drop(flips);
    // SAFETY: the step has made it, of this type.
    let new = unsafe { Box::from_raw(state.cast::<v2::World>()) };
    assert_eq!(new.players(), expected(100));
}

/// A migration outside of the engine's: in a test of the user's, for instance.
#[test]
fn without_the_engine_a_collection_is_migrated_at_once() {
    let new = v2::World::migrate(world(MANY)).unwrap();
    assert_eq!(alive(), [0, MANY as i64, 0]);
    assert_eq!(new.players(), expected(MANY));
    let again = v1::World::migrate(new).unwrap();
    assert_eq!((again.players(), alive()), (expected(MANY), [MANY as i64, 0, 0]));
    again.players.update(&4321, |player| player.name = "cursed".to_owned());
    assert_eq!(v2::World::migrate(again).err().unwrap().to_string(), "`players`: a curse is on it");
    assert_eq!(alive(), [0; 3]);
}

#[test]
fn a_trial_tells_of_a_value_that_has_no_bytes() {
    #[derive(State)]
    struct Old {
        born: Sharded<u64, Birth>,
    }

    #[derive(State)]
    struct Birth(std::time::SystemTime);

    #[derive(State)]
    #[state(version = 2, from = Old, additive, one_way)]
    struct New {
        #[state(migrate)]
        born: Sharded<u64, Year>,
    }

    #[derive(State)]
    struct Year(u64);

    impl Migrate<Birth> for Year {
        fn migrate(old: Birth) -> Result<Self, MigrateError> {
            let since = old.0.duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
            Ok(Self(1970 + since.as_secs() / 31_557_600))
        }
    }

    let held = Held::new(Old { born: Sharded::from_iter([(1, Birth(UNIX_EPOCH))]) });
    let (steps, to) = held.upgrades::<New>();
    assert_eq!(held.check(&steps, to), Ok(()));
    held.get::<Old>().born.insert(2, Birth(UNIX_EPOCH - Duration::from_secs(1)));
    let why = held.check(&steps, to).unwrap_err();
    assert!(why.contains("before 1970"), "{why}");
}

#[test]
fn a_snapshot_fails_if_its_collection_is_flipped_before_its_end() {
    let mut held = Held::new(world(MANY));
    let (players, blocks) = (held.players(), Arc::new(Blocks::default()));
    // SAFETY: its code stays.
    unsafe { players.begin_capture(0, blocks.clone()) };
    players.capture(0);
    assert!(blocks.take().is_ok());
    let swept = held.upgrade::<v2::World>().unwrap();
    held.get::<v2::World>().players.update(&1, |player| player.health = 1.0);
    (0..players.count()).for_each(|index| players.capture(index));
    let why = blocks.take().unwrap_err();
    assert!(why.contains("is being migrated"), "{why}");
    players.end_capture();
    sweep(&swept);
}

#[test]
fn a_snapshot_in_the_middle_of_a_sweep_has_values_of_the_new_type() {
    let mut held = Held::new(world(MANY));
    let swept = held.upgrade::<v2::World>().unwrap();
    settle(&swept[0], 0..5);
    let (players, blocks) = (held.players(), Arc::new(Blocks::default()));
    // SAFETY: its code stays.
    unsafe { players.begin_capture(0, blocks.clone()) };
    (0..players.count()).for_each(|index| players.capture(index));
    players.end_capture();
    let again = Held::new(v2::World::migrate(world(0)).unwrap());
    for (_, block) in blocks.take().unwrap() {
        assert_eq!(unfence(again.players().fill(&block)).unwrap(), Ok(()));
    }
    assert_eq!(again.get::<v2::World>().players(), expected(MANY));
    sweep(&swept);
}
