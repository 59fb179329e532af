//! [`HashMap`] and [`HashSet`] that outlive the version that made them.
//!
//! The standard library's represent "empty, nothing allocated" by the address of a static group of
//! control bytes, and each cdylib has its own copy of that static. A map made empty by one version and
//! looked up by the next reads unmapped memory. These wrappers keep one rule: **the table is always
//! allocated**. They start with a capacity of one, and offer no operation that can end in the
//! unallocated table: no `shrink_to_fit`, no `drain` (a leaked `Drain` leaves it behind), no access to
//! the map inside. Everything else is the standard library's.

use std::borrow::Borrow;
use std::collections::hash_map::{self, Entry};
use std::collections::hash_set;
use std::fmt;
use std::hash::Hash;
use std::ops::Index;

use crate::{CodecError, Decoder, Encoder, Fingerprint, Shape, State};

type StdMap<K, V> = std::collections::HashMap<K, V>;
type StdSet<T> = std::collections::HashSet<T>;

/// Enough to make the standard library allocate.
const ALLOCATED: usize = 1;

/// A hash map for state: the standard library's, always allocated (16 to 64 bytes more when empty).
#[derive(Clone, PartialEq, Eq)]
pub struct HashMap<K: Eq + Hash, V> {
    inner: StdMap<K, V>,
}

// SAFETY: the table is always allocated on the host's heap (see the module's documentation), and the
// hasher is two plain numbers.
unsafe impl<K: State + Eq + Hash, V: State> State for HashMap<K, V> {
    const FINGERPRINT: Fingerprint =
        Fingerprint::of("HashMap").with_layout::<Self>().with(K::FINGERPRINT).with(V::FINGERPRINT);
    const NAME: &'static str = "HashMap";
    const SHAPE: &'static Shape = &Shape::container(Self::NAME, Self::FINGERPRINT, &[K::SHAPE, V::SHAPE]);

    fn encode(&self, encoder: &mut Encoder) {
        encoder.unordered(self.len(), self.iter(), |(key, value), encoder| {
            key.encode(encoder);
            value.encode(encoder);
        });
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, CodecError> {
        let entries = (0..decoder.count()?).map(|_| Ok((K::decode(decoder)?, V::decode(decoder)?)));
        entries.collect()
    }
}

impl<K: Eq + Hash, V> HashMap<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self::with_capacity(ALLOCATED)
    }

    /// An empty map with room for `capacity` entries.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { inner: StdMap::with_capacity(capacity.max(ALLOCATED)) }
    }

    /// How many entries the map holds.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether the map holds nothing.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// How many entries the map can hold before it allocates again. Never 0.
    pub fn capacity(&self) -> usize {
        self.inner.capacity()
    }

    /// Makes room for `additional` more entries.
    pub fn reserve(&mut self, additional: usize) {
        self.inner.reserve(additional);
    }

    /// Whether there is an entry for `key`.
    pub fn contains_key<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.inner.contains_key(key)
    }

    /// The value for `key`.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.inner.get(key)
    }

    /// The value for `key`, to be changed in place.
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.inner.get_mut(key)
    }

    /// Sets the value for `key` and returns the one it replaced.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.inner.insert(key, value)
    }

    /// Removes the entry for `key` and returns its value.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.inner.remove(key)
    }

    /// The place of `key` in the map, occupied or vacant.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        self.inner.entry(key)
    }

    /// Removes every entry; the memory is kept.
    pub fn clear(&mut self) {
        self.inner.clear();
    }

    /// Keeps the entries for which `keep` is true.
    pub fn retain(&mut self, keep: impl FnMut(&K, &mut V) -> bool) {
        self.inner.retain(keep);
    }

    /// The entries, in no order.
    pub fn iter(&self) -> hash_map::Iter<'_, K, V> {
        self.inner.iter()
    }

    /// The entries, in no order, with values that can be changed.
    pub fn iter_mut(&mut self) -> hash_map::IterMut<'_, K, V> {
        self.inner.iter_mut()
    }

    /// The keys, in no order.
    pub fn keys(&self) -> hash_map::Keys<'_, K, V> {
        self.inner.keys()
    }

    /// The values, in no order.
    pub fn values(&self) -> hash_map::Values<'_, K, V> {
        self.inner.values()
    }

    /// The values, in no order, to be changed in place.
    pub fn values_mut(&mut self) -> hash_map::ValuesMut<'_, K, V> {
        self.inner.values_mut()
    }
}

impl<K: Eq + Hash, V> Default for HashMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash + fmt::Debug, V: fmt::Debug> fmt::Debug for HashMap<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

impl<K: Eq + Hash, V> Extend<(K, V)> for HashMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        self.inner.extend(entries);
    }
}

impl<K: Eq + Hash, V> FromIterator<(K, V)> for HashMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Eq + Hash, V> IntoIterator for HashMap<K, V> {
    type Item = (K, V);
    type IntoIter = hash_map::IntoIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.inner.into_iter()
    }
}

impl<'map, K: Eq + Hash, V> IntoIterator for &'map HashMap<K, V> {
    type Item = (&'map K, &'map V);
    type IntoIter = hash_map::Iter<'map, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Eq + Hash + Borrow<Q>, V, Q: Eq + Hash + ?Sized> Index<&Q> for HashMap<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        &self.inner[key]
    }
}

/// A hash set for state: the standard library's, always allocated.
#[derive(Clone, PartialEq, Eq)]
pub struct HashSet<T: Eq + Hash> {
    inner: StdSet<T>,
}

// SAFETY: as `HashMap`.
unsafe impl<T: State + Eq + Hash> State for HashSet<T> {
    const FINGERPRINT: Fingerprint = Fingerprint::of("HashSet").with_layout::<Self>().with(T::FINGERPRINT);
    const NAME: &'static str = "HashSet";
    const SHAPE: &'static Shape = &Shape::container(Self::NAME, Self::FINGERPRINT, &[T::SHAPE]);

    fn encode(&self, encoder: &mut Encoder) {
        encoder.unordered(self.len(), self.iter(), T::encode);
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, CodecError> {
        (0..decoder.count()?).map(|_| T::decode(decoder)).collect()
    }
}

impl<T: Eq + Hash> HashSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self { inner: StdSet::with_capacity(ALLOCATED) }
    }

    /// How many values the set holds.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether the set holds nothing.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// How many values the set can hold before it allocates again. Never 0.
    pub fn capacity(&self) -> usize {
        self.inner.capacity()
    }

    /// Whether the set holds `value`.
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, value: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.inner.contains(value)
    }

    /// Adds `value`; false if it was there already.
    pub fn insert(&mut self, value: T) -> bool {
        self.inner.insert(value)
    }

    /// Removes `value`; false if it wasn't there.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, value: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.inner.remove(value)
    }

    /// Removes every value; the memory is kept.
    pub fn clear(&mut self) {
        self.inner.clear();
    }

    /// Keeps the values for which `keep` is true.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.inner.retain(keep);
    }

    /// The values, in no order.
    pub fn iter(&self) -> hash_set::Iter<'_, T> {
        self.inner.iter()
    }
}

impl<T: Eq + Hash> Default for HashSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Eq + Hash + fmt::Debug> fmt::Debug for HashSet<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

impl<T: Eq + Hash> Extend<T> for HashSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        self.inner.extend(values);
    }
}

impl<T: Eq + Hash> FromIterator<T> for HashSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut set = Self::new();
        set.extend(values);
        set
    }
}

impl<T: Eq + Hash> IntoIterator for HashSet<T> {
    type Item = T;
    type IntoIter = hash_set::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.inner.into_iter()
    }
}

impl<'set, T: Eq + Hash> IntoIterator for &'set HashSet<T> {
    type Item = &'set T;
    type IntoIter = hash_set::Iter<'set, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A capacity of 0 is how the standard library's unallocated table shows itself.
    #[test]
    fn the_table_stays_allocated_through_every_operation() {
        let mut map: HashMap<String, u32> = HashMap::new();
        assert_ne!(map.capacity(), 0);
        map.insert("a".into(), 1);
        map.remove("a");
        map.retain(|_, _| false);
        map.clear();
        assert_ne!(map.capacity(), 0);
        assert_ne!(map.clone().capacity(), 0);
        assert_ne!(std::mem::take(&mut map).capacity(), 0);
        assert_ne!(map.capacity(), 0);
        assert_ne!(HashMap::<u8, u8>::from_iter([]).capacity(), 0);
        assert_ne!(HashMap::<(), ()>::new().capacity(), 0);

        let mut set: HashSet<u32> = HashSet::from_iter([1]);
        set.remove(&1);
        set.clear();
        assert_ne!(set.clone().capacity(), 0);
        assert_ne!(HashSet::<()>::default().capacity(), 0);
    }

    /// The fact this module stands on. If it stops holding, std's own maps may join the whitelist.
    #[test]
    fn std_does_not_allocate_an_empty_map() {
        assert_eq!(StdMap::<u8, u8>::new().capacity(), 0);
    }
}
