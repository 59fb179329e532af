//! A state in three versions, and what the engine does with one.

#![allow(dead_code, unreachable_pub, reason = "each test file needs another part of it")]

use std::cell::Cell;
use std::collections::BTreeMap;

use liveswap_state::sharded::{Flips, Handle};
use liveswap_state::table::{Captured, StateTable, Step};
use liveswap_state::{Fenced, Migrate, MigrateError, State};

thread_local! {
    /// How many guards of each number there are that this thread has made.
    static ALIVE: Cell<[i64; 4]> = const { Cell::new([0; 4]) };
    /// How many players this thread has migrated.
    static MIGRATED: Cell<usize> = const { Cell::new(0) };
}

fn count_alive<const N: usize>(change: i64) {
    let mut alive = ALIVE.get();
    alive[N] += change;
    ALIVE.set(alive);
}

/// How many players of each version there are.
pub fn alive() -> [i64; 3] {
    let [_, alive @ ..] = ALIVE.get();
    alive
}

/// How many players were migrated since this was last asked.
pub fn migrated() -> usize {
    MIGRATED.replace(0)
}

/// Counts itself.
#[derive(State)]
pub struct Guard<const N: usize> {
    #[state(skip)]
    _only_by_default: (),
}

impl<const N: usize> Default for Guard<N> {
    fn default() -> Self {
        count_alive::<N>(1);
        Self { _only_by_default: () }
    }
}

impl<const N: usize> Drop for Guard<N> {
    fn drop(&mut self) {
        count_alive::<N>(-1);
    }
}

pub mod v1 {
    use super::*;
    use liveswap_state::Sharded;

    #[derive(State, Default)]
    pub struct World {
        pub day: u32,
        pub players: Sharded<u64, Player>,
        pub scores: Sharded<String, u32>,
    }

    #[derive(State)]
    pub struct Player {
        pub name: String,
        pub health: u32,
        #[state(skip)]
        pub guard: Guard<1>,
    }

    impl Player {
        pub fn new(name: &str, health: u32) -> Self {
            Self { name: name.to_owned(), health, guard: Guard::default() }
        }
    }
}

pub mod v2 {
    use super::*;
    use liveswap_state::Sharded;

    #[derive(State)]
    #[state(version = 2, from = v1::World, additive)]
    pub struct World {
        pub day: u32,
        #[state(migrate)]
        pub players: Sharded<u64, Player>,
        pub scores: Sharded<String, u32>,
        #[state(new = "sunny".to_owned())]
        pub weather: String,
    }

    #[derive(State)]
    #[state(version = 2)]
    pub struct Player {
        pub name: String,
        pub health: f64,
        #[state(skip)]
        pub guard: Guard<2>,
    }

    impl Player {
        pub fn new(name: &str, health: f64) -> Self {
            Self { name: name.to_owned(), health, guard: Guard::default() }
        }
    }
}

pub mod v3 {
    use super::*;
    use liveswap_state::Sharded;

    #[derive(State)]
    #[state(version = 3, from = v2::World, additive, removed(weather = "foggy".to_owned()))]
    pub struct World {
        #[state(migrate)]
        pub players: Sharded<u64, Player>,
        pub scores: Sharded<String, u32>,
        pub day: u32,
    }

    /// Aligned further than the ones before.
    #[derive(State)]
    #[state(version = 3)]
    #[repr(align(64))]
    pub struct Player {
        pub health: f64,
        pub level: u16,
        pub name: String,
        #[state(skip)]
        pub guard: Guard<3>,
    }
}

fn refuse(name: &str) -> Result<(), MigrateError> {
    MIGRATED.set(MIGRATED.get() + 1);
    match name {
        "cursed" => Err("a curse is on it".into()),
        "explosive" => panic!("it has exploded"),
        _ => Ok(()),
    }
}

impl Migrate<v1::Player> for v2::Player {
    fn migrate(old: v1::Player) -> Result<Self, MigrateError> {
        refuse(&old.name)?;
        Ok(Self::new(&old.name, old.health.into()))
    }
}

impl Migrate<v2::Player> for v1::Player {
    fn migrate(new: v2::Player) -> Result<Self, MigrateError> {
        refuse(&new.name)?;
        Ok(Self::new(&new.name, new.health as u32))
    }
}

impl Migrate<v2::Player> for v3::Player {
    fn migrate(old: v2::Player) -> Result<Self, MigrateError> {
        refuse(&old.name)?;
        Ok(Self { name: old.name, health: old.health, level: 1, guard: Guard::default() })
    }
}

impl Migrate<v3::Player> for v2::Player {
    fn migrate(new: v3::Player) -> Result<Self, MigrateError> {
        refuse(&new.name)?;
        Ok(Self::new(&new.name, new.health))
    }
}

/// What all versions hold of their players.
pub trait World: State {
    fn players(&self) -> BTreeMap<u64, (String, f64)>;
}

macro_rules! worlds {
    ($($version:ident)*) => {$(
        impl World for $version::World {
            fn players(&self) -> BTreeMap<u64, (String, f64)> {
                let mut players = BTreeMap::new();
                self.players.for_each(|&key, player| {
                    let before = players.insert(key, (player.name.clone(), player.health.into()));
                    assert_eq!(before, None, "{key} was seen twice");
                });
                players
            }
        }
    )*};
}

worlds!(v1 v2 v3);

/// Players from 0 on, whose health is ten times their key.
pub fn expected(count: u64) -> BTreeMap<u64, (String, f64)> {
    (0..count).map(|key| (key, (format!("player {key}"), (key * 10) as f64))).collect()
}

pub fn world(count: u64) -> v1::World {
    let player = |key: u64| v1::Player::new(&format!("player {key}"), key as u32 * 10);
    v1::World {
        day: 5,
        players: (0..count).map(|key| (key, player(key))).collect(),
        scores: (0..100).map(|key| (key.to_string(), key)).collect(),
    }
}

pub fn unfence<R>(fenced: Fenced<R>) -> Result<R, String> {
    fenced.map_err(|panic| format!("panicked: {}", panic.message))
}

/// A state as the engine has it.
pub struct Held {
    pub table: StateTable,
    state: *mut (),
}

impl Held {
    pub fn new<T: State + Send + Sync>(state: T) -> Self {
        Self { table: StateTable::of::<T>(), state: Box::into_raw(Box::new(state)).cast() }
    }

    /// The state, as calls see it.
    pub fn get<T: State>(&self) -> &T {
        assert_eq!(self.table.fingerprint, T::FINGERPRINT, "it is a {} of another version", self.table.name);
        // SAFETY: its type has this fingerprint.
        unsafe { &*self.state.cast() }
    }

    pub fn capture(&self) -> Captured {
        // SAFETY: it's of the table's type, and is borrowed.
        unfence(unsafe { (self.table.capture)(self.state) }).unwrap().unwrap()
    }

    /// The collection of the players.
    pub fn players(&self) -> Handle {
        self.capture().collections.swap_remove(0)
    }

    /// Whether it could be migrated, found out on copies. The engine does this while calls go on.
    pub fn check(&self, steps: &[Step], to: StateTable) -> Result<(), String> {
        let captured = self.capture();
        let trial =
            unfence((self.table.revive)(&captured.bytes, None))?.map_err(|error| error.to_string())?;
        let flips = Flips::new();
        // SAFETY: it was made for this, of this type.
        let mut trial_state = Self { table: to, state: unsafe { walk(trial.state, steps, &flips) }? };
        trial_state.table = to;
        for (collection, trial) in captured.collections.iter().zip(&trial.collections) {
            let mut index = 0;
            while index < collection.count() {
                collection.check(index, trial).map_err(|error| error.to_string())?;
                index += 1;
            }
        }
        Ok(())
    }

    /// Migrates it; gives the collections that are to be swept. On an error it's as it was.
    pub fn migrate(&mut self, steps: &[Step], to: StateTable) -> Result<Vec<Handle>, String> {
        let captured = self.capture();
        let flips = Flips::new();
        // SAFETY: it's of this type, and nobody else has it.
        match unsafe { walk(self.state, steps, &flips) } {
            Ok(state) => {
                (self.state, self.table) = (state, to);
                Ok(flips.into_handles())
            }
            Err(why) => {
                flips.undo();
                let again = (self.table.revive)(&captured.bytes, Some(&captured.collections));
                self.state = unfence(again).unwrap().unwrap().state;
                Err(why)
            }
        }
    }

    /// To a type that came from this one, one step or more.
    pub fn upgrade<T: State + Send + Sync>(&mut self) -> Result<Vec<Handle>, String> {
        let (steps, to) = self.upgrades::<T>();
        self.migrate(&steps, to)
    }

    pub fn upgrades<T: State + Send + Sync>(&self) -> (Vec<Step>, StateTable) {
        let to = StateTable::of::<T>();
        let mut steps = Vec::new();
        let mut table = to;
        while table.fingerprint != self.table.fingerprint {
            let origin = table.origin.expect("it came from the present type");
            steps.insert(0, origin.upgrade);
            table = origin.table;
        }
        (steps, to)
    }

    /// To a type that this one came from, one step or more.
    pub fn downgrade<T: State + Send + Sync>(&mut self) -> Result<Vec<Handle>, String> {
        self.migrate(&self.downgrades::<T>(), StateTable::of::<T>())
    }

    pub fn downgrades<T: State>(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut table = self.table;
        while table.fingerprint != T::FINGERPRINT {
            let origin = table.origin.expect("it came from that type");
            steps.push(origin.downgrade.expect("there is a way back"));
            table = origin.table;
        }
        steps
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: it's of the table's type, and nobody else has it.
        unfence(unsafe { (self.table.destroy)(self.state) }).unwrap();
    }
}

/// # Safety
///
/// As [`Step`], for the first of the steps; each gets what the one before has made.
unsafe fn walk(mut state: *mut (), steps: &[Step], flips: &Flips) -> Result<*mut (), String> {
    for step in steps {
        // SAFETY: as the caller vouches.
        let next = unfence(unsafe { step(state, flips) })?;
        state = next.map_err(|error| error.to_string())?;
    }
    Ok(state)
}

/// Migrates the shards from one number on to another; gives how many of them had to be.
pub fn settle(collection: &Handle, range: std::ops::Range<usize>) -> usize {
    range.filter(|index| collection.settle(*index).expect("it can be migrated")).count()
}

/// Migrates all that is left, as the engine's sweeper does.
pub fn sweep(collections: &[Handle]) {
    for collection in collections {
        let epoch = collection.epoch();
        let mut index = 0;
        while index < collection.count() {
            collection.settle(index).expect("it can be migrated");
            index += 1;
        }
        assert!(collection.finish(epoch));
    }
}
