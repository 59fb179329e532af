//! What a fuzzer asks of how a state is made of a snapshot's blocks.
//!
//! Whatever they are, there is a state or an error, and not a panic; and a state that was made, written down and made
//! again is the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use liveswap_state::sharded::Blocks;
use liveswap_state::table::StateTable;
use liveswap_state::{HashMap, HashSet, Sharded, State};

use super::{Failed, Partial};
use crate::control::migration::MigrationError;
use crate::snapshot::format::ROOT;
use crate::snapshot::intact::Intact;

const TABLE: StateTable = StateTable::of::<World>();

/// A type of each kind.
#[derive(State)]
struct World {
    entities: Sharded<u64, Entity>,
    names: Sharded<String, u32>,
    plain: Plain,
}

#[derive(Debug, PartialEq, State)]
struct Plain {
    scores: HashMap<String, i64>,
    seen: HashSet<(u8, char)>,
    ordered: BTreeMap<u16, Vec<String>>,
    queue: VecDeque<Option<Box<u128>>>,
    mood: Mood,
    tree: Tree,
    since: SystemTime,
    pause: Duration,
    fixed: [bool; 3],
    shared: Arc<Vec<i16>>,
    nothings: Vec<()>,
}

#[derive(Clone, Debug, PartialEq, State)]
struct Entity {
    name: String,
    place: [i32; 2],
    items: Vec<u32>,
    mood: Mood,
}

#[derive(Clone, Debug, PartialEq, State)]
enum Mood {
    Calm,
    Angry(u8, i128),
    Waiting { until: u64, for_what: Option<String> },
}

#[derive(Debug, PartialEq, State)]
struct Tree {
    value: u8,
    branches: Vec<Tree>,
}

impl World {
    fn all_entities(&self) -> BTreeMap<u64, Entity> {
        let mut all = BTreeMap::new();
        self.entities.for_each(|key, entity| assert!(all.insert(*key, entity.clone()).is_none()));
        assert_eq!(all.len(), self.entities.len());
        all
    }

    fn all_names(&self) -> BTreeMap<String, u32> {
        let mut all = BTreeMap::new();
        self.names.for_each(|key, number| assert!(all.insert(key.clone(), *number).is_none()));
        assert_eq!(all.len(), self.names.len());
        all
    }

    fn assert_same(&self, other: &Self) {
        assert_eq!(self.plain, other.plain);
        assert_eq!(self.all_entities(), other.all_entities());
        assert_eq!(self.all_names(), other.all_names());
    }
}

/// Makes a state of a snapshot, if one can be made of it, and writes it down with `write` to make it once more.
pub(crate) fn restored(intact: &mut Intact, write: impl FnOnce(&Vec<(u32, Vec<u8>)>) -> Intact) {
    let Some(made) = read(intact) else { return };
    let blocks = written_down(&made);
    let again = read(&mut write(&blocks)).expect("what was written down can be read");
    world(&made).assert_same(world(&again));
}

fn read(intact: &mut Intact) -> Option<Partial> {
    match Partial::read(&TABLE, intact.blocks().expect("it can be read"), &|| {}) {
        Ok(partial) => Some(partial),
        Err(Failed::File(error)) => panic!("it was intact: {error}"),
        Err(Failed::Content(MigrationError::Failed { reason })) => {
            assert!(!reason.contains("panicked"), "{reason}");
            assert!(reason.len() < 4096, "the reason has {} bytes", reason.len());
            None
        }
        Err(Failed::Content(error)) => {
            assert!(error.to_string().len() < 4096);
            None
        }
    }
}

fn world(partial: &Partial) -> &World {
    // SAFETY: it was made by the functions of the table, which are of this type, and lives as long as it's borrowed.
    unsafe { &*partial.state.cast::<World>() }
}

/// The state's blocks, as a snapshot takes them.
fn written_down(partial: &Partial) -> Vec<(u32, Vec<u8>)> {
    // SAFETY: as in `world`; nobody has it alone.
    let captured =
        unsafe { (TABLE.capture)(partial.state) }.expect("it doesn't panic").expect("it has bytes");
    let blocks = Arc::new(Blocks::default());
    let mut all = vec![(ROOT, captured.bytes)];
    for (ordinal, collection) in (1..).zip(&captured.collections) {
        // SAFETY: the code is this program's own.
        unsafe { collection.begin_capture(ordinal, blocks.clone()) };
        let mut index = 0;
        while index < collection.count() {
            collection.capture(index);
            index += 1;
        }
        collection.end_capture();
    }
    all.extend(blocks.take().expect("each shard can be written down"));
    all
}
