//! The map of one shard, its types erased; and the functions that know them.
//!
//! A shard may hold values of an older type than its collection, or of a newer one after a rollback. So it keeps the
//! address of a map, and how to treat it is known from the collection's type or from a [step](super::steps).

use std::hash::Hash;
use std::ptr::NonNull;

use super::Sharded;
use super::entries::Entries;
use super::steps::Step;
use crate::fence::{self, Fenced};
use crate::{CodecError, Encoder, Migrate, MigrateError, State};

/// The address of a `Box<Entries<K, V>>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Map(NonNull<()>);

// SAFETY: an address. Whoever follows it holds the lock of the shard, whose collection is `Send` and `Sync` only if
// keys and values are. A handle always is: it's made only of states that are.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    pub(super) fn new<K: Eq + Hash, V>(map: Entries<K, V>) -> Self {
        Self(NonNull::from(Box::leak(Box::new(map))).cast())
    }

    /// # Safety
    ///
    /// The map is of these types, and nobody changes it for as long as it's borrowed.
    pub(super) unsafe fn get<'map, K: Eq + Hash, V>(self) -> &'map Entries<K, V> {
        // SAFETY: as the caller vouches.
        unsafe { self.0.cast().as_ref() }
    }

    /// # Safety
    ///
    /// The map is of these types, and nobody else uses it for as long as it's borrowed.
    pub(super) unsafe fn get_mut<'map, K: Eq + Hash, V>(self) -> &'map mut Entries<K, V> {
        // SAFETY: as the caller vouches.
        unsafe { self.0.cast().as_mut() }
    }

    /// # Safety
    ///
    /// The map is of these types, and nobody uses it any more.
    pub(super) unsafe fn take<K: Eq + Hash, V>(self) -> Entries<K, V> {
        // SAFETY: as the caller vouches; it was made by `new`.
        *unsafe { Box::from_raw(self.0.cast().as_ptr()) }
    }
}

/// Drops the map.
///
/// # Safety
///
/// As [`Map::take`].
pub(super) unsafe fn discard<K: Eq + Hash, V>(map: Map) {
    // A destructor that panics was reported when it did; what it left is lost.
    // SAFETY: as the caller vouches.
    let _ = fence::fence(|| drop(unsafe { map.take::<K, V>() }));
}

/// Writes the entries of a map.
///
/// # Safety
///
/// As [`Map::get`].
pub(super) unsafe fn encode<K: State + Eq + Hash, V: State>(map: Map, encoder: &mut Encoder) -> Fenced<()> {
    // SAFETY: as the caller vouches.
    fence::fence(|| unsafe { map.get::<K, V>() }.encode(encoder))
}

/// Makes a map of what [`encode`] wrote.
pub(super) fn decode<K: State + Eq + Hash, V: State>(bytes: &[u8]) -> Fenced<Result<Map, CodecError>> {
    fence::fence(|| Entries::<K, V>::decode(bytes).map(Map::new))
}

/// The step from `Old` to `New`. Two types that can't be told from each other are refused:
///
/// ```compile_fail,E0080
/// use liveswap_state::{Migrate, MigrateError, Sharded, State};
///
/// mod v1 {
///     #[derive(liveswap_state::State)]
///     pub struct Health(pub u32);
/// }
///
/// // Without `#[state(version = 2)]`.
/// #[derive(State)]
/// pub struct Health(u32);
///
/// impl Migrate<v1::Health> for Health {
///     fn migrate(old: v1::Health) -> Result<Self, MigrateError> {
///         Ok(Self(10 * old.0))
///     }
/// }
///
/// let players: Sharded<u64, Health> = Migrate::migrate(Sharded::<u64, v1::Health>::new()).unwrap();
/// ```
pub(super) const fn step<K: State + Eq + Hash, Old: State, New: State + Migrate<Old>>() -> Step {
    let (from, to) = (Sharded::<K, Old>::FINGERPRINT, Sharded::<K, New>::FINGERPRINT);
    assert!(
        !from.is(to),
        "the values of a `Sharded` that is migrated can't be told from those before: put a higher \
         `#[state(version = N)]` before their type"
    );
    Step {
        from,
        to,
        convert: Some(convert::<K, Old, New>),
        back: None,
        discard_from: discard::<K, Old>,
        discard_to: discard::<K, New>,
    }
}

/// Migrates each value of a map, or none.
///
/// By move: a value's own migration may use all that is in it. What it was before is kept as bytes until all are
/// done, which takes less than a copy, and for a shard at a time.
///
/// # Safety
///
/// As [`Map::take`], for `Old`.
unsafe fn convert<K: State + Eq + Hash, Old: State, New: Migrate<Old>>(
    map: Map,
) -> Result<Map, (Map, MigrateError)> {
    let mut before = Encoder::new();
    // SAFETY: as the caller vouches.
    let encoded = unsafe { encode::<K, Old>(map, &mut before) };
    let bytes = match encoded {
        Ok(()) => before.finish().map_err(|error| error.to_string().into()),
        Err(panic) => Err(panicked(&panic)),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return Err((map, error)),
    };
    // SAFETY: as the caller vouches.
    let (places, old) = unsafe { map.take::<K, Old>() }.apart();
    let migrated = fence::fence(|| old.convert(|(key, value)| Ok((key, New::migrate(value)?))));
    let error = match migrated {
        Ok(Ok(new)) => return Ok(Map::new(places.of(new))),
        Ok(Err(error)) => error,
        Err(panic) => panicked(&panic),
    };
    match fence::fence(|| Entries::<K, Old>::decode_pages(&bytes)) {
        Ok(Ok(restored)) => Err((Map::new(places.of(restored)), error)),
        // Only of a hand-written codec that can't read what it has written. The trial before would have told.
        _ => Err((Map::new(Entries::<K, Old>::new()), format!("{error}; and its entries are lost").into())),
    }
}

pub(super) fn panicked(panic: &fence::Panic) -> MigrateError {
    format!("a migration panicked at {}: {}", panic.location, panic.message).into()
}
