//! The entries of one shard: keys and values in [`Pages`], and an index that finds a key's place.
//!
//! The index is hashbrown's table of places. It knows nothing of the values, so a migration leaves it as it is. Like
//! [`HashMap`](crate::HashMap)'s, its table is always allocated: an empty one would be the address of a static.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;

use super::pages::Pages;
use crate::{CodecError, Decoder, Encoder, State};

/// Enough to have the index allocated.
const ALLOCATED: usize = 4;

pub(super) struct Entries<K, V> {
    index: HashTable<u32>,
    pages: Pages<(K, V)>,
}

/// The hash that the index goes by. The lowest bits have led to the shard, and are the same for all of its keys.
fn within(hash: u64) -> u64 {
    hash.rotate_left(32)
}

impl<K: Eq + Hash, V> Entries<K, V> {
    pub(super) fn new() -> Self {
        Self { index: HashTable::with_capacity(ALLOCATED), pages: Pages::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }

    fn place<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        let is_key = |place: &u32| self.pages.get(*place as usize).0.borrow() == key;
        self.index.find(within(hash), is_key).map(|place| *place as usize)
    }

    pub(super) fn get<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.place(hash, key).map(|place| &self.pages.get(place).1)
    }

    pub(super) fn get_mut<Q: Eq + ?Sized>(&mut self, hash: u64, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.place(hash, key).map(|place| &mut self.pages.get_mut(place).1)
    }

    /// The value for a key, which is made if there is none.
    pub(super) fn get_or_insert_with(
        &mut self,
        hasher: &RandomState,
        hash: u64,
        key: K,
        make: impl FnOnce() -> V,
    ) -> &mut V {
        let place = self.place(hash, &key).unwrap_or_else(|| {
            self.add(hasher, hash, (key, make()));
            self.len() - 1
        });
        &mut self.pages.get_mut(place).1
    }

    pub(super) fn insert(&mut self, hasher: &RandomState, hash: u64, key: K, value: V) -> Option<V> {
        match self.place(hash, &key) {
            Some(place) => Some(std::mem::replace(&mut self.pages.get_mut(place).1, value)),
            None => {
                self.add(hasher, hash, (key, value));
                None
            }
        }
    }

    /// Adds an entry whose key isn't there yet.
    fn add(&mut self, hasher: &RandomState, hash: u64, entry: (K, V)) {
        let place = u32::try_from(self.pages.len()).expect("a shard has fewer than four milliard entries");
        let Self { index, pages } = self;
        let rehash = |place: &u32| within(hasher.hash_one(&pages.get(*place as usize).0));
        // First: a key whose hash panics must leave all as it is.
        index.reserve(1, rehash);
        pages.push(entry);
        index.insert_unique(within(hash), place, |_| unreachable!("there is room"));
    }

    pub(super) fn remove<Q: Eq + ?Sized>(&mut self, hasher: &RandomState, hash: u64, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(hash, key)?;
        let last = hasher.hash_one(&self.pages.get(self.len() - 1).0);
        Some(self.remove_at(hash, place, last).1)
    }

    /// Takes the entry with this hash at this place out. The last one, which has the other hash, takes the place.
    fn remove_at(&mut self, hash: u64, place: usize, hash_of_last: u64) -> (K, V) {
        let last = self.len() - 1;
        if let Ok(found) = self.index.find_entry(within(hash), |known| *known as usize == place) {
            found.remove();
        }
        if let Some(moved) = self.index.find_mut(within(hash_of_last), |known| *known as usize == last) {
            *moved = place as u32;
        }
        self.pages.swap_remove(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.pages.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.pages.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub(super) fn retain(&mut self, hasher: &RandomState, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let mut place = 0;
        while place < self.pages.len() {
            let (key, value) = self.pages.get_mut(place);
            if keep(key, value) {
                place += 1;
            } else {
                let hash = hasher.hash_one(&*key);
                let last = hasher.hash_one(&self.pages.get(self.len() - 1).0);
                drop(self.remove_at(hash, place, last));
            }
        }
    }

    /// Takes those entries out whose hash `goes`.
    pub(super) fn split(&mut self, hasher: &RandomState, goes: impl Fn(u64) -> bool) -> Self {
        // Of all before any is taken out: a key whose hash panics must leave all as it is.
        let mut hashes: Vec<u64> = self.iter().map(|(key, _)| hasher.hash_one(key)).collect();
        let count = hashes.iter().filter(|hash| goes(**hash)).count();
        let mut gone = Self { index: HashTable::with_capacity(count.max(ALLOCATED)), pages: Pages::new() };
        let mut place = 0;
        while place < hashes.len() {
            if goes(hashes[place]) {
                let last = hashes[hashes.len() - 1];
                let hash = hashes.swap_remove(place);
                let entry = self.remove_at(hash, place, last);
                gone.add(hasher, hash, entry);
            } else {
                place += 1;
            }
        }
        gone
    }

    /// The entries, and where they are found.
    pub(super) fn apart(self) -> (Places, Pages<(K, V)>) {
        (Places(self.index), self.pages)
    }
}

/// Where the entries of a shard are found, whatever their values are.
pub(super) struct Places(HashTable<u32>);

impl Places {
    /// The entries have the keys that they had, in the same order.
    pub(super) fn of<K, V>(self, pages: Pages<(K, V)>) -> Entries<K, V> {
        Entries { index: self.0, pages }
    }
}

impl<K: State + Eq + Hash, V: State> Entries<K, V> {
    /// Writes the entries in their order.
    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.part(self.len(), self.iter(), |(key, value), encoder| {
            key.encode(encoder);
            value.encode(encoder);
        });
    }

    /// What [`encode`](Self::encode) wrote, in the same order.
    pub(super) fn decode_pages(bytes: &[u8]) -> Result<Pages<(K, V)>, CodecError> {
        let (mut decoder, mut pages) = (Decoder::new(bytes), Pages::new());
        for _ in 0..decoder.count()? {
            pages.push((K::decode(&mut decoder)?, V::decode(&mut decoder)?));
        }
        decoder.finish()?;
        Ok(pages)
    }

    /// The same without places, for whoever goes through all of them.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(Self { pages: Self::decode_pages(bytes)?, ..Self::new() })
    }
}
