//! Fingerprints: is what the other side means by this type or method what we mean by it?
//!
//! A host and its logic are compiled apart and then share memory. Before they do, each states a hash of
//! the real layout of every type and of the signature of every method that crosses between them. Two
//! sides with the same compiler and the same fingerprint agree on every byte.
//!
//! All of it is computed while compiling, because the manifest that carries the fingerprints has to be
//! readable without running the library. The hash is XXH3 with 128 bits: collisions by accident are out
//! of reach. It isn't a defence against somebody who builds a collision; signatures are for that.

use std::fmt;
use std::hash::{Hash, Hasher};

use xxhash_rust::const_xxh3::xxh3_128;

/// The compiler this crate was built with: release, commit and target.
///
/// Rust promises no stable layout or calling convention between two compilers, so both sides must have
/// been built by the same one.
pub const COMPILER: &str = env!("LIVESWAP_COMPILER");

/// What a panic does in this build: `unwind` or `abort`.
///
/// Logic must unwind: the fence that turns a panic into an error works by catching the unwinding.
pub const PANIC_STRATEGY: &str = if cfg!(panic = "unwind") { "unwind" } else { "abort" };

/// A hash of a type's layout or of a method's signature; and what else is known of all that it stands for.
///
/// Two are equal if their hashes are.
#[derive(Clone, Copy)]
pub struct Fingerprint {
    hash: u128,
    alignment: usize,
    durable: bool,
    sharded: bool,
    open: bool,
}

impl Fingerprint {
    /// The fingerprint of a name.
    pub const fn of(name: &str) -> Self {
        Self::of_bytes(name.as_bytes())
    }

    const fn of_bytes(bytes: &[u8]) -> Self {
        Self { hash: xxh3_128(bytes), alignment: 1, durable: true, sharded: false, open: false }
    }

    /// This fingerprint followed by `next`. Order matters: `a.with(b)` isn't `b.with(a)`.
    pub const fn with(self, next: Self) -> Self {
        let (left, right) = (self.hash.to_le_bytes(), next.hash.to_le_bytes());
        let mut both = [0; 32];
        let mut index = 0;
        while index < 16 {
            both[index] = left[index];
            both[16 + index] = right[index];
            index += 1;
        }
        let alignment = if next.alignment > self.alignment { next.alignment } else { self.alignment };
        let (durable, sharded) = (self.durable && next.durable, self.sharded || next.sharded);
        let open = self.open || next.open;
        Self { alignment, durable, sharded, open, ..Self::of_bytes(&both) }
    }

    /// This fingerprint followed by a name.
    pub const fn with_name(self, name: &str) -> Self {
        self.with(Self::of(name))
    }

    /// This fingerprint followed by a number.
    pub const fn with_number(self, number: usize) -> Self {
        self.with(Self::of_bytes(&(number as u64).to_le_bytes()))
    }

    /// This fingerprint followed by a value, of whatever integer type it is.
    pub const fn with_value(self, value: u128) -> Self {
        self.with(Self::of_bytes(&value.to_le_bytes()))
    }

    /// This fingerprint followed by the size and the alignment of `T`, in bytes.
    pub const fn with_layout<T>(self) -> Self {
        let hashed = self.with_number(size_of::<T>()).with_number(align_of::<T>());
        let alignment = if align_of::<T>() > hashed.alignment { align_of::<T>() } else { hashed.alignment };
        Self { alignment, ..hashed }
    }

    /// Whether the two are equal, told while compiling.
    pub(crate) const fn is(self, other: Self) -> bool {
        self.hash == other.hash
    }

    /// How far the type is aligned, or the furthest of all that it consists of or holds, in bytes.
    pub const fn alignment(self) -> usize {
        self.alignment
    }

    /// Marks a type that means nothing outside of its process, such as a moment of a monotonic clock.
    pub const fn memory_only(self) -> Self {
        Self { durable: false, ..self }
    }

    /// Marks a part that isn't kept as bytes: whatever it holds, the whole can be.
    #[doc(hidden)]
    pub const fn skipped(self) -> Self {
        Self { durable: true, ..self.with_name("skipped") }
    }

    /// Marks a large collection, which is kept beside the bytes of the state that it is in.
    pub(crate) const fn sharded(self) -> Self {
        Self { sharded: true, ..self }
    }

    /// Marks a type whose values can be changed by others that refer to them: a lock, an atomic.
    pub(crate) const fn open_to_others(self) -> Self {
        Self { open: true, ..self }
    }

    /// Whether bytes say all that there is to say of a value that is passed to a call. Not of one that others may
    /// change meanwhile, or wait for: a copy of it is nobody's but the call's.
    pub const fn is_replayable(self) -> bool {
        self.durable && !self.sharded && !self.open
    }

    /// Whether all that the type holds can be kept as bytes.
    pub const fn is_durable(self) -> bool {
        self.durable
    }

    /// Whether the type holds a large collection.
    pub(crate) const fn holds_sharded(self) -> bool {
        self.sharded
    }

    /// The hash, as it stands in a snapshot.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.hash.to_le_bytes()
    }

    /// The 32 hexadecimal digits of this fingerprint.
    pub const fn to_hexadecimal(self) -> [u8; 32] {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut text = [0; 32];
        let mut index = 0;
        while index < 32 {
            text[index] = DIGITS[(self.hash >> (124 - 4 * index)) as usize & 15];
            index += 1;
        }
        text
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Fingerprint {}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.hash.hash(hasher);
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.hash)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_matter() {
        let (a, b) = (Fingerprint::of("a"), Fingerprint::of("b"));
        assert_ne!(a.with(b), b.with(a));
        assert_ne!(a.with(a), a);
        assert_ne!(a.with_number(1), a.with_number(2));
    }

    #[test]
    fn the_alignment_is_that_of_the_part_that_is_aligned_furthest() {
        #[repr(align(64))]
        struct Padded;
        let padded = Fingerprint::of("Padded").with_layout::<Padded>();
        assert_eq!((Fingerprint::of("name").alignment(), padded.alignment()), (1, 64));
        let holder = Fingerprint::of("Vec").with_layout::<Vec<Padded>>();
        assert_eq!((holder.alignment(), holder.with(padded).alignment()), (align_of::<Vec<u8>>(), 64));
        assert_eq!(padded.with(holder).with_name("name").with_number(1).alignment(), 64);
    }

    #[test]
    fn what_others_may_change_or_has_no_bytes_is_not_replayed() {
        let plain = Fingerprint::of("u64").with_layout::<u64>();
        assert!(plain.is_replayable());
        assert!(!plain.with(Fingerprint::of("Mutex").open_to_others()).is_replayable());
        assert!(!Fingerprint::of("Instant").memory_only().with_name("name").is_replayable());
        assert!(!Fingerprint::of("Sharded").sharded().with(plain).is_replayable());
    }

    #[test]
    fn both_spellings_agree() {
        let fingerprint = Fingerprint::of("World").with_layout::<u64>();
        assert_eq!(fingerprint.to_string().as_bytes(), fingerprint.to_hexadecimal());
    }
}
