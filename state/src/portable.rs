//! [`State`]: the types that may outlive the version that made them.
//!
//! State is written by one version and read by the next, while the library of the first leaves memory.
//! The same goes for what crosses an interface: a host keeps an answer longer than the code that gave
//! it. So a type is welcome only if no value of it holds a pointer into a library's code or statics, and
//! if its behaviour doesn't hang on a static that each library has a copy of. The trait is a whitelist:
//! a type nobody has thought about is refused.

use std::marker::PhantomData;

use crate::{CodecError, Decoder, Encoder, Fingerprint, Origin, Shape};

/// A type whose values may outlive the version that made them: state, arguments and results.
///
/// Derive it: `#[derive(State)]` checks every field, computes the fingerprint, and makes bytes of a value and a
/// value of bytes. How a type says what it was before is told at [`Migrate`](crate::Migrate).
///
/// `#[state(version = 2)]` on the type names its schema version; without it, it's 1. `#[state(skip)]` on a field
/// keeps it out of the bytes: a value that is made of bytes has the field's `Default`.
///
/// # Safety
///
/// Whoever writes the implementation by hand vouches for every value of the type:
///
/// - it holds no pointer into the code or the statics of the library that made it: no `fn`, `dyn`,
///   `&'static`, nor a collection that represents "empty" by the address of a static;
/// - nothing it does depends on a static or thread-local of that library (a lock that parks its waiters
///   in a global table would lose their wake-ups: each library has its own table);
/// - [`FINGERPRINT`](State::FINGERPRINT) differs whenever the layout or the meaning of the bytes differs, and is
///   made with the fingerprints of all that the type holds: no memory that belongs to a value is aligned further
///   than the fingerprint's [alignment](Fingerprint::alignment), or than 16 bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't outlive the version that made it",
    label = "may point into a library that will be unmapped",
    note = "state and messages may hold: numbers, bool, char, String, Vec, VecDeque, BTreeMap, BTreeSet, Box, Arc, Option, Result, tuples, arrays, std's Mutex, RwLock and atomics, liveswap_state::{{HashMap, HashSet}}, and types that `#[derive(State)]`",
    note = "if `{Self}` is a type of yours, put `#[derive(liveswap_state::State)]` before it",
    note = "instead of a reference or Cow, own the value: `String` for `&str`, `Vec<T>` for `&[T]`",
    note = "instead of std's HashMap or HashSet, use liveswap_state::{{HashMap, HashSet}}: an empty one of std's points into the library that made it",
    note = "instead of Rc, Cell or RefCell, use Arc, an atomic or a Mutex: several threads reach the state",
    note = "instead of `dyn Trait` or `fn`, store an enum and match on it in logic: code changes with each version, data stays",
    note = "instead of locks and maps of parking_lot, dashmap, tokio or crossbeam, use std's: each library has its own copy of their statics"
)]
pub unsafe trait State: 'static {
    /// The hash of this type's whole layout, including all that it contains.
    const FINGERPRINT: Fingerprint;

    /// The type's own name, without its path: the same type keeps it when it moves to `mod v1`.
    const NAME: &'static str;

    /// The version of this type's schema, set by `#[state(version = N)]`.
    const SCHEMA: u32 = 1;

    /// What the type consists of, for people to read.
    const SHAPE: &'static Shape = &Shape::opaque(Self::NAME, Self::SCHEMA, Self::FINGERPRINT);

    /// The type that this one came from, set by `#[state(from = …)]`.
    #[doc(hidden)]
    const ORIGIN: Option<&'static Origin> = None;

    /// Writes the value's bytes. A type whose fingerprint isn't [memory-only](Fingerprint::memory_only) has some.
    fn encode(&self, encoder: &mut Encoder) {
        encoder.refuse(Self::NAME);
    }

    /// Writes the bytes of several values, one after the other.
    #[doc(hidden)]
    fn encode_all(values: &[Self], encoder: &mut Encoder)
    where
        Self: Sized,
    {
        values.iter().for_each(|value| value.encode(encoder));
    }

    /// Whether it's a [`Result`] that is an error. Versions on probation are judged by how many of their results are.
    #[doc(hidden)]
    fn is_error(&self) -> bool {
        false
    }

    /// Makes a value of what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// If the bytes aren't those of a value of this type.
    fn decode(_: &mut Decoder<'_>) -> Result<Self, CodecError>
    where
        Self: Sized,
    {
        Err(CodecError::MemoryOnly { name: Self::NAME })
    }

    /// Makes so many values of what [`encode_all`](Self::encode_all) wrote.
    #[doc(hidden)]
    fn decode_all(count: usize, decoder: &mut Decoder<'_>) -> Result<Vec<Self>, CodecError>
    where
        Self: Sized,
    {
        /// What bytes that lie make us allocate before they end.
        const AHEAD_MAX: usize = 4096;
        let mut values = Vec::with_capacity(count.min(AHEAD_MAX / size_of::<Self>().max(1) + 16));
        for _ in 0..count {
            values.push(Self::decode(decoder)?);
        }
        Ok(values)
    }
}

/// A type that contains itself, as a tree does. Written by `#[derive(State)]`.
#[doc(hidden)]
pub trait Recursive: 'static {
    /// What stands for the type within its own fingerprint, which is still being computed: its name and the
    /// fingerprints of its parameters.
    ///
    /// The type's fingerprint begins with it, so it means the nearest type around it that begins so. That is
    /// always the right one: where a type is a parameter of another within itself (`struct A { b: B<A> }`),
    /// the placeholder of the inner holds that of the outer and can't be equal to it.
    const PLACEHOLDER: Fingerprint;
}

/// Stands for `Owner` in the types of its own fields. There is no way to make one.
#[doc(hidden)]
pub struct Recursion<Owner: Recursive> {
    _owner: PhantomData<fn() -> Owner>,
}

// SAFETY: `Recursion` has no values; it occurs in fingerprints only.
unsafe impl<Owner: Recursive> State for Recursion<Owner> {
    const FINGERPRINT: Fingerprint = Owner::PLACEHOLDER;
    const NAME: &'static str = "Self";
}

/// Asserts while compiling that `T` is on the whitelist. Used by `#[derive(State)]`.
#[doc(hidden)]
pub const fn assert_state<T: State + ?Sized>() {}
