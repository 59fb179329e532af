//! [`Sharded`]: a large collection that is migrated, and written into snapshots, a few hundred entries at a time.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | the collection, with its types |
//! | [`shards`] | where an entry is, locks, growing, and what a shard that is locked has to catch up on |
//! | [`steps`] | the migrations under way |
//! | [`entries`] | one shard's entries |
//! | [`pages`] | the memory that they are in |
//! | [`map`] | one shard's entries, their types erased |
//! | [`capture`] | a snapshot under way |
//! | [`flips`] | which collections a migration has flipped |
//! | [`handle`] | a collection as the engine has it |
//!
//! **Which type a shard's map has** is what all of the `unsafe` code here hangs on. A shard at its collection's epoch
//! holds values of the collection's own type; one at another epoch holds those that the steps say. A collection
//! changes its type only by [`migrate`](crate::Migrate::migrate), which takes it by value and moves the epoch in the
//! same moment.

mod capture;
mod entries;
mod flips;
mod handle;
mod map;
mod pages;
mod shards;
mod steps;

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Arc;

pub use capture::Blocks;
use entries::Entries;
pub use flips::Flips;
pub use handle::Handle;
use handle::Table;
use map::Map;
use shards::{FULL, Shard, Shards};

use crate::fence::{self, Fenced};
use crate::{CodecError, Decoder, Encoder, Fingerprint, Migrate, MigrateError, Shape, State};

/// A hash map for large collections in the state: many threads use it at once through `&self`, and its size doesn't
/// show in how long an upgrade, a snapshot or an insertion makes anybody wait.
///
/// - **An upgrade** that changes the type of its values turns the collection over as a whole, and migrates its
///   values a shard at a time: each shard when it's next used, and all others one after the other in the background.
///   Whoever uses the collection sees migrated values only.
/// - **A snapshot** has the collection as it was at one moment. Whoever changes a shard meanwhile writes it down first.
/// - **Growing** divides one shard at a time.
///
/// A shard has some two hundred entries at most, and a lock. What is passed to a method runs with the lock held: it
/// must be short, and **must not use the same collection**, or it may wait for itself. (Others may be used, by all
/// threads in the same order.) If it panics, the entry stays as it is then.
///
/// The same goes for what the library calls by itself: the keys' `Hash` and `Eq`, destructors, a value's migration.
/// And a value's bytes are made with the lock held, for a snapshot or a migration, at any time. So whoever holds a lock
/// *in* a value, by an `Arc` for instance, must let go of it before the collection is used.
///
/// Values that change through a shared reference, such as atomics, are written into a snapshot as they are when
/// their shard is, not as they were when it began.
///
/// ```
/// use liveswap_state::Sharded;
///
/// let players: Sharded<u64, String> = Sharded::new();
/// players.insert(1, "ada".to_owned());
/// players.update(&1, |name| name.push('!'));
/// assert_eq!(players.read(&1, |name| name.len()), Some(4));
/// ```
pub struct Sharded<K: State + Eq + Hash, V: State> {
    shards: ManuallyDrop<Arc<Shards>>,
    types: PhantomData<(K, V)>,
}

// SAFETY: entries are reached by `&self` from all threads, and are dropped on any.
unsafe impl<K: State + Eq + Hash + Send, V: State + Send> Send for Sharded<K, V> {}
// SAFETY: as above; those who share a lock share its entries.
unsafe impl<K: State + Eq + Hash + Send + Sync, V: State + Send + Sync> Sync for Sharded<K, V> {}

// SAFETY: all of it is on the host's heap, in std's locks, numbers, and maps that hold no pointer into a library. The
// functions that steps and captures hold are of a version that the engine keeps mapped until they are gone.
unsafe impl<K: State + Eq + Hash, V: State> State for Sharded<K, V> {
    const FINGERPRINT: Fingerprint = {
        assert!(
            !K::FINGERPRINT.holds_sharded() && !V::FINGERPRINT.holds_sharded(),
            "a `Sharded` can't be in another one: make one of them, with both keys in its key"
        );
        Fingerprint::of("Sharded").with_layout::<Shards>().with(K::FINGERPRINT).with(V::FINGERPRINT).sharded()
    };
    const NAME: &'static str = "Sharded";
    const SHAPE: &'static Shape = &Shape::container(Self::NAME, Self::FINGERPRINT, &[K::SHAPE, V::SHAPE]);

    fn encode(&self, encoder: &mut Encoder) {
        encoder.put_aside(self.handle());
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, CodecError> {
        let handle = decoder.collection(|| Self::new().handle())?;
        Ok(Self::of(handle.shards().clone()))
    }
}

impl<K: State + Eq + Hash, V: State> Sharded<K, V> {
    const TABLE: &'static Table = &Table {
        fingerprint: Self::FINGERPRINT,
        release: Self::release,
        encode: map::encode::<K, V>,
        decode: map::decode::<K, V>,
        discard: map::discard::<K, V>,
        fill: Self::fill,
    };

    /// An empty collection.
    pub fn new() -> Self {
        Self::of(Arc::new(Shards::new(Self::FINGERPRINT)))
    }

    /// The collection must be of this type.
    fn of(shards: Arc<Shards>) -> Self {
        Self { shards: ManuallyDrop::new(shards), types: PhantomData }
    }

    /// Gives the type up.
    fn into_shards(self) -> Arc<Shards> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once, since `self` isn't dropped.
        unsafe { ManuallyDrop::take(&mut this.shards) }
    }

    fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.shards), Self::TABLE)
    }

    /// The collection may be of another type by now.
    fn release(shards: Arc<Shards>) {
        if let Some(shards) = Arc::into_inner(shards) {
            // SAFETY: the function is of this type, and so is the fingerprint.
            unsafe { shards.discard_all(Self::FINGERPRINT, map::discard::<K, V>) };
        }
    }

    /// # Safety
    ///
    /// The collection is of this type.
    unsafe fn fill(shards: &Arc<Shards>, bytes: &[u8]) -> Fenced<Result<(), CodecError>> {
        fence::fence(|| {
            let this = Self::of(shards.clone());
            // All of them or none.
            for (key, value) in Entries::decode_pages(bytes)? {
                this.insert(key, value);
            }
            Ok(())
        })
    }

    /// The entries of a locked shard.
    fn entries(shard: &Shard) -> Option<&Entries<K, V>> {
        // SAFETY: the shard is settled, so its map is of the collection's own types, and is locked.
        shard.map.map(|map| unsafe { map.get() })
    }

    /// The entries of a shard that is locked for changes.
    fn entries_mut(shard: &mut Shard) -> &mut Entries<K, V> {
        let map = *shard.map.get_or_insert_with(|| Map::new::<K, V>(Entries::new()));
        // SAFETY: as above; the lock is this thread's alone.
        unsafe { map.get_mut() }
    }

    /// How many entries there are. Looks at each shard.
    pub fn len(&self) -> usize {
        let mut count = 0;
        self.shards.each(|shard| count += Self::entries(shard).map_or(0, Entries::len));
        count
    }

    /// Whether there is no entry. Looks at each shard.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is an entry for `key`.
    pub fn contains_key<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.read(key, |_| ()).is_some()
    }

    /// Looks at the value for `key`.
    pub fn read<Q: Eq + Hash + ?Sized, R>(&self, key: &Q, look: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
    {
        let hash = self.shards.hash(key);
        let shard = self.shards.read_at(hash);
        Self::entries(&shard)?.get(hash, key).map(look)
    }

    /// A copy of the value for `key`.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        self.read(key, V::clone)
    }

    /// Changes the value for `key`.
    pub fn update<Q: Eq + Hash + ?Sized, R>(&self, key: &Q, change: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
    {
        let hash = self.shards.hash(key);
        let mut shard = self.shards.write_at(hash);
        shard.map?;
        Self::entries_mut(&mut shard).get_mut(hash, key).map(change)
    }

    /// Changes the value for `key`, which is made first if there is none.
    pub fn update_or_insert<R>(
        &self,
        key: K,
        make: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> R {
        let hash = self.shards.hash(&key);
        let mut shard = self.shards.write_at(hash);
        let entries = Self::entries_mut(&mut shard);
        let result = change(entries.get_or_insert_with(self.shards.hasher(), hash, key, make));
        let is_full = entries.len() > FULL;
        drop(shard);
        self.grow_if(is_full);
        result
    }

    /// Sets the value for `key` and returns the one it replaced.
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        let hash = self.shards.hash(&key);
        let mut shard = self.shards.write_at(hash);
        let entries = Self::entries_mut(&mut shard);
        let before = entries.insert(self.shards.hasher(), hash, key, value);
        let is_full = entries.len() > FULL;
        drop(shard);
        self.grow_if(is_full);
        before
    }

    /// Removes the entry for `key` and returns its value.
    pub fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let hash = self.shards.hash(key);
        let mut shard = self.shards.write_at(hash);
        shard.map?;
        Self::entries_mut(&mut shard).remove(self.shards.hasher(), hash, key)
    }

    /// Looks at each entry, in no order. Entries that are there all the while are seen once each; of those that come
    /// or go meanwhile, some may be.
    pub fn for_each(&self, mut look: impl FnMut(&K, &V)) {
        self.shards.each(|shard| {
            Self::entries(shard)
                .into_iter()
                .flat_map(Entries::iter)
                .for_each(|(key, value)| look(key, value));
        });
    }

    /// Changes each value, in no order; as [`for_each`](Self::for_each) otherwise.
    pub fn for_each_mut(&self, mut change: impl FnMut(&K, &mut V)) {
        self.shards.each_mut(|shard| {
            if shard.map.is_some() {
                Self::entries_mut(shard).iter_mut().for_each(|(key, value)| change(key, value));
            }
        });
    }

    /// Keeps the entries for which `keep` is true; as [`for_each`](Self::for_each) otherwise.
    pub fn retain(&self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.shards.each_mut(|shard| {
            if shard.map.is_some() {
                Self::entries_mut(shard).retain(self.shards.hasher(), &mut keep);
            }
        });
    }

    /// Removes every entry.
    pub fn clear(&self) {
        self.retain(|_, _| false);
    }

    fn grow_if(&self, is_full: bool) {
        if is_full {
            self.shards.grow_with(|map, goes| {
                // SAFETY: the shard is settled and locked, so its map is of the collection's types.
                let entries = unsafe { map.get_mut::<K, V>() };
                Map::new(entries.split(self.shards.hasher(), goes))
            });
        }
    }
}

impl<K: State + Eq + Hash, V: State> Drop for Sharded<K, V> {
    fn drop(&mut self) {
        // SAFETY: taken once.
        Self::release(unsafe { ManuallyDrop::take(&mut self.shards) });
    }
}

impl<K: State + Eq + Hash, Old: State, New: State + Migrate<Old>> Migrate<Sharded<K, Old>>
    for Sharded<K, New>
{
    fn migrate(old: Sharded<K, Old>) -> Result<Self, MigrateError> {
        let flipped = old.shards.steps.flip(const { map::step::<K, Old, New>() }, Flips::are_noted())?;
        // From here on it's of the new type.
        let new = Self::of(old.into_shards());
        if let Err(_not_noted) = Flips::note(new.handle(), flipped) {
            for index in 0..new.shards.count() {
                new.shards.settle_shard(index)?;
            }
            new.shards.finish(new.shards.steps.moves());
        }
        Ok(new)
    }
}

impl<K: State + Eq + Hash, V: State> Default for Sharded<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: State + Eq + Hash, V: State> fmt::Debug for Sharded<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sharded").field("shards", &self.shards.count()).finish_non_exhaustive()
    }
}

impl<K: State + Eq + Hash, V: State> Extend<(K, V)> for Sharded<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        entries.into_iter().for_each(|(key, value)| drop(self.insert(key, value)));
    }
}

impl<K: State + Eq + Hash, V: State> FromIterator<(K, V)> for Sharded<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut collection = Self::new();
        collection.extend(entries);
        collection
    }
}
