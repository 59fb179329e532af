//! The codec: state as bytes, for snapshots and for a copy to fall back on.
//!
//! The format is bincode's standard one: numbers of 16 bits and more take as few bytes as they need, signed ones
//! folded first; a text or a collection begins with its length; an enum with the number of its variant; fields
//! follow each other in order, without names. What the bytes are of is said by the fingerprint beside them.
//!
//! This is the one place that knows which crate writes the format ([docs/adr/0011]). [`State`](crate::State) walks
//! a value, the [`Encoder`] and the [`Decoder`] take its leaves. Bytes that come from outside can't make a decoder
//! panic or allocate more than they could stand for.
//!
//! Large collections don't go into the bytes of the state that they are in: see [`Sharded`](crate::Sharded). There
//! stands only their number, and they themselves are put aside in the encoder.
//!
//! [docs/adr/0011]: https://docs.rs/liveswap-state

use thiserror::Error;
use wincode::config::{Configuration, PREALLOCATION_SIZE_LIMIT_DISABLED};
use wincode::int_encoding::{LittleEndian, VarInt};
use wincode::len::BincodeLen;
use wincode::{ReadError, SchemaRead, SchemaWrite};

use crate::sharded::Handle;

/// What bincode calls its standard configuration.
type Format = Configuration<true, PREALLOCATION_SIZE_LIMIT_DISABLED, BincodeLen, LittleEndian, VarInt, u32>;

/// How deep values of a type that contains itself may be nested. Each takes its part of the stack, which is two
/// megabytes on most threads.
const DEPTH_MAX: usize = 256;

/// Why bytes aren't those of a value, or a value has none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes end within a value.
    #[error("the bytes end within a value: they were cut short, or are those of another type")]
    End,
    /// The bytes go on behind the value.
    #[error("found {found} bytes behind the value: they are those of another type")]
    Trailing {
        /// How many.
        found: usize,
    },
    /// No value of the type has these bytes.
    #[error("found what is no {expected}: the bytes are damaged, or those of another type")]
    Bad {
        /// What was expected.
        expected: &'static str,
    },
    /// The value would take too much of the stack.
    #[error(
        "found values that contain each other more than {DEPTH_MAX} deep: keep them in a `Vec`, with keys to each other"
    )]
    TooDeep,
    /// The type means nothing outside of its process.
    #[error(
        "`{name}` can't be kept as bytes: mark the field with `#[state(skip)]`, or keep something else in it"
    )]
    MemoryOnly {
        /// The type.
        name: &'static str,
    },
}

/// Takes the leaves of a value and makes bytes of them.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    collections: Vec<Handle>,
    depth: usize,
    error: Option<CodecError>,
    /// Entries that are in no order, if they are to be brought into one: the bytes of each.
    entries: Option<Vec<Vec<u8>>>,
}

impl Encoder {
    /// An encoder without bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that makes the same bytes of equal values, to compare them: the entries of a hash map are brought into the
    /// order of their bytes, and large collections are among the bytes and not put aside.
    pub fn canonical() -> Self {
        Self { entries: Some(Vec::new()), ..Self::default() }
    }

    #[inline]
    pub(crate) fn leaf<T: Copy + SchemaWrite<Format, Src = T>>(&mut self, leaf: T) {
        // The bytes are memory: there is always room, and leaves have no way to fail.
        let _ = T::write(&mut self.bytes, &leaf);
    }

    /// The length of what follows: of a text, of a collection.
    #[inline]
    pub fn length(&mut self, length: usize) {
        self.leaf(length as u64);
    }

    /// The number of an enum's variant, counted from 0 in the order of the source.
    #[inline]
    pub fn variant(&mut self, number: u32) {
        self.leaf(number);
    }

    /// Bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Notes that a value can't be kept as bytes; [`finish`](Self::finish) tells.
    pub fn refuse(&mut self, name: &'static str) {
        self.error.get_or_insert(CodecError::MemoryOnly { name });
    }

    /// The number of entries that are in no order, and each of them.
    pub(crate) fn unordered<T>(
        &mut self,
        count: usize,
        entries: impl Iterator<Item = T>,
        encode: impl Fn(T, &mut Self),
    ) {
        if self.entries.is_some() {
            return self.in_order(|encoder| encoder.parts(entries, encode));
        }
        self.length(count);
        entries.for_each(|entry| encode(entry, self));
    }

    /// The same for one shard of a collection. If the collection is to be brought into an order, that is done with all
    /// of its shards.
    pub(crate) fn part<T>(
        &mut self,
        count: usize,
        entries: impl Iterator<Item = T>,
        encode: impl Fn(T, &mut Self),
    ) {
        if self.entries.is_some() {
            self.parts(entries, encode);
        } else {
            self.unordered(count, entries, encode);
        }
    }

    fn parts<T>(&mut self, entries: impl Iterator<Item = T>, encode: impl Fn(T, &mut Self)) {
        for entry in entries {
            let start = self.bytes.len();
            encode(entry, self);
            let bytes = self.bytes.split_off(start);
            self.entries.get_or_insert_default().push(bytes);
        }
    }

    /// Writes the parts that `add` adds, in the order of their bytes.
    fn in_order(&mut self, add: impl FnOnce(&mut Self)) {
        let outer = self.entries.replace(Vec::new());
        add(self);
        let mut entries = std::mem::replace(&mut self.entries, outer).unwrap_or_default();
        entries.sort_unstable();
        self.length(entries.len());
        entries.iter().for_each(|entry| self.raw(entry));
    }

    /// Puts a collection aside, and writes down its number.
    pub(crate) fn put_aside(&mut self, collection: Handle) {
        if self.entries.is_some() {
            return self.in_order(|encoder| collection.add_entries(encoder));
        }
        if self.collections.iter().any(|other| other.is(&collection)) {
            return self.refuse("a Sharded that two hold by an Arc");
        }
        self.length(self.collections.len());
        self.collections.push(collection);
    }

    /// Writes down a value of a type that contains itself.
    #[doc(hidden)]
    pub fn nested(&mut self, encode: impl FnOnce(&mut Self)) {
        if self.depth == DEPTH_MAX {
            self.error.get_or_insert(CodecError::TooDeep);
            return;
        }
        self.depth += 1;
        encode(self);
        self.depth -= 1;
    }

    /// The bytes of all that was encoded, without the large collections.
    ///
    /// # Errors
    ///
    /// If something of it can't be kept as bytes.
    pub fn finish(self) -> Result<Vec<u8>, CodecError> {
        self.into_parts().map(|(bytes, _)| bytes)
    }

    /// The bytes, and what was put aside on the way. Of a value that threads may share: a handle goes to others.
    pub(crate) fn into_parts(self) -> Result<(Vec<u8>, Vec<Handle>), CodecError> {
        match self.error {
            None => Ok((self.bytes, self.collections)),
            Some(error) => Err(error),
        }
    }
}

/// Gives the leaves of a value, from its bytes.
#[derive(Debug)]
pub struct Decoder<'bytes> {
    bytes: &'bytes [u8],
    collections: Collections<'bytes>,
    depth: usize,
}

/// Where the collections come from whose numbers stand in the bytes.
#[derive(Debug)]
enum Collections<'bytes> {
    /// They are made, empty.
    Made(Vec<Handle>),
    /// They are these; so many of them have been found.
    Known(&'bytes [Handle], usize),
}

impl<'bytes> Decoder<'bytes> {
    /// Reads these bytes. Collections that were put aside are made anew, empty.
    pub fn new(bytes: &'bytes [u8]) -> Self {
        Self { bytes, collections: Collections::Made(Vec::new()), depth: 0 }
    }

    /// Reads bytes of which the collections that were put aside are still there, and in no other value: two that have
    /// the same one could give it different types.
    pub(crate) fn beside(bytes: &'bytes [u8], collections: &'bytes [Handle]) -> Self {
        Self { bytes, collections: Collections::Known(collections, 0), depth: 0 }
    }

    /// Reads a value of a type that contains itself.
    #[doc(hidden)]
    pub fn nested<T>(
        &mut self,
        decode: impl FnOnce(&mut Self) -> Result<T, CodecError>,
    ) -> Result<T, CodecError> {
        if self.depth == DEPTH_MAX {
            return Err(CodecError::TooDeep);
        }
        self.depth += 1;
        let value = decode(self);
        self.depth -= 1;
        value
    }

    /// `Copy` keeps collections out: for those, the crate would allocate by their length before it looks for them.
    #[inline]
    pub(crate) fn leaf<T>(&mut self, expected: &'static str) -> Result<T, CodecError>
    where
        T: Copy + for<'any> SchemaRead<'any, Format, Dst = T>,
    {
        T::get(&mut self.bytes).map_err(|error| match error {
            ReadError::Io(_) => CodecError::End,
            _ => CodecError::Bad { expected },
        })
    }

    /// The length of what follows. No more than can be in the bytes, if each element takes one at least.
    ///
    /// # Errors
    ///
    /// If there is none, or if it is more than the bytes that are left.
    #[inline]
    pub fn length(&mut self) -> Result<usize, CodecError> {
        let length: u64 = self.leaf("length")?;
        match usize::try_from(length) {
            Ok(length) if length <= self.bytes.len() => Ok(length),
            _ => Err(CodecError::End),
        }
    }

    /// The length of a collection. Elements without bytes, such as `()`, may be more than the bytes that are left, up
    /// to a bound. So it says nothing of how much to allocate.
    ///
    /// # Errors
    ///
    /// If there is none, or if it is more than can follow.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<usize, CodecError> {
        /// Nobody keeps a million of what has no bytes.
        const BYTELESS_MAX: usize = 1 << 20;
        let length: u64 = self.leaf("length")?;
        match usize::try_from(length) {
            Ok(length) if length <= self.bytes.len().max(BYTELESS_MAX) => Ok(length),
            _ => Err(CodecError::End),
        }
    }

    /// The number of an enum's variant.
    ///
    /// # Errors
    ///
    /// If there is none.
    #[inline]
    pub fn variant(&mut self) -> Result<u32, CodecError> {
        self.leaf("variant")
    }

    /// So many bytes, as they are.
    ///
    /// # Errors
    ///
    /// If there are fewer.
    #[inline]
    pub fn raw(&mut self, length: usize) -> Result<&'bytes [u8], CodecError> {
        let (read, rest) = self.bytes.split_at_checked(length).ok_or(CodecError::End)?;
        self.bytes = rest;
        Ok(read)
    }

    /// The collection whose number follows. `make` makes one of the type that is expected.
    pub(crate) fn collection(&mut self, make: impl Fn() -> Handle) -> Result<Handle, CodecError> {
        let bad = CodecError::Bad { expected: "collection" };
        let number: u64 = self.leaf("collection")?;
        match &mut self.collections {
            Collections::Made(made) => {
                // Each stands once in the bytes, in the order of their numbers.
                if number != made.len() as u64 {
                    return Err(bad);
                }
                made.push(make());
                Ok(made[number as usize].clone())
            }
            Collections::Known(known, count) => {
                let found =
                    known.get(*count).filter(|found| number == *count as u64 && found.is_like(&make()));
                *count += 1;
                found.cloned().ok_or(bad)
            }
        }
    }

    /// The bytes were read to their end.
    ///
    /// # Errors
    ///
    /// If there are bytes left.
    pub fn finish(self) -> Result<(), CodecError> {
        self.into_made().map(drop)
    }

    /// The bytes were read to their end: gives the collections that were made. As for [`Encoder::into_parts`].
    pub(crate) fn into_made(self) -> Result<Vec<Handle>, CodecError> {
        match (self.bytes.len(), self.collections) {
            (0, Collections::Made(made)) => Ok(made),
            (0, Collections::Known(..)) => Ok(Vec::new()),
            (found, _) => Err(CodecError::Trailing { found }),
        }
    }
}
