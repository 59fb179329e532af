//! What the engine can do with a state whose type it doesn't know: a table of functions for each type.
//!
//! A library has one table for the state that its logic works on, and behind that, by [`Origin`], one for each state
//! that it can be migrated from. All of their functions are the library's own.

use std::fmt;

use crate::fence::{self, Fenced};
use crate::sharded::{Flips, Handle};
use crate::{CodecError, Decoder, Encoder, Fingerprint, Migrate, MigrateError, State};

/// The functions of one type of state.
#[derive(Clone, Copy)]
pub struct StateTable {
    /// The type's name.
    pub name: &'static str,
    /// The version of its schema.
    pub schema: u32,
    /// The hash of its layout.
    pub fingerprint: Fingerprint,
    /// The type that it came from.
    pub origin: Option<&'static Origin>,
    /// The state's bytes, without its large collections.
    ///
    /// # Safety
    ///
    /// The address is of a `Box` of this type, which nobody has alone for as long as this takes.
    pub capture: unsafe fn(*const ()) -> Fenced<Result<Captured, CodecError>>,
    /// The same bytes for equal states, large collections and all; nothing reads them.
    ///
    /// # Safety
    ///
    /// As for [`capture`](Self::capture).
    pub picture: Picture,
    /// A state of these bytes, as the address of a `Box`; its collections are the given ones, or made anew, empty.
    /// The given ones are in no other state then: that one is gone.
    pub revive: Revive,
    /// Drops a state.
    ///
    /// # Safety
    ///
    /// The address is of a `Box` of this type, and nobody uses it any more.
    pub destroy: unsafe fn(*mut ()) -> Fenced<()>,
}

/// A state as bytes, without its large collections, which are beside them.
#[derive(Debug)]
pub struct Captured {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The collections, in the order of their numbers in the bytes.
    pub collections: Vec<Handle>,
}

/// A state that was made of bytes.
#[derive(Debug)]
pub struct Revived {
    /// The address of a `Box` of it.
    pub state: *mut (),
    /// The collections that were made for it, in the order of their numbers in the bytes.
    pub collections: Vec<Handle>,
}

/// Makes bytes that are the same for equal states.
pub type Picture = unsafe fn(*const ()) -> Fenced<Result<Vec<u8>, CodecError>>;

/// A state of these bytes, with these collections.
pub type Revive = fn(&[u8], Option<&[Handle]>) -> Fenced<Result<Revived, CodecError>>;

/// Takes a state apart and makes the next one, as the address of a `Box` each. On an error there is none any more.
///
/// # Safety
///
/// The address is of a `Box` of the type that the function is for, and nobody else uses it. Its collections are in no
/// other state. The flips are [undone](Flips::undo) only if this has failed.
pub type Step = unsafe fn(*mut (), &Flips) -> Fenced<Result<*mut (), MigrateError>>;

/// Where a type of state came from, and the ways between the two.
#[derive(Clone, Copy)]
pub struct Origin {
    /// The type that was there before.
    pub table: StateTable,
    /// From that one to this one.
    pub upgrade: Step,
    /// Back again; none if the upgrade is one-way.
    pub downgrade: Option<Step>,
    /// How far the former type is aligned, or the furthest of all that it holds, in bytes.
    pub alignment: usize,
}

impl Origin {
    /// `New` came from `Old`, and can become that again.
    pub const fn two_way<Old: State + Send + Sync + Migrate<New>, New: State + Send + Sync + Migrate<Old>>()
    -> Self {
        Self { downgrade: Some(step::<New, Old>), ..Self::one_way::<Old, New>() }
    }

    /// `New` came from `Old`, and can't go back.
    pub const fn one_way<Old: State + Send + Sync, New: State + Send + Sync + Migrate<Old>>() -> Self {
        assert!(
            New::SCHEMA > Old::SCHEMA,
            "the version of a state must be higher than that of the type it came from"
        );
        Self {
            table: StateTable::of::<Old>(),
            upgrade: step::<Old, New>,
            downgrade: None,
            alignment: Old::FINGERPRINT.alignment(),
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Origin")
            .field("table", &self.table)
            .field("two_way", &self.downgrade.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StateTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StateTable")
            .field("name", &self.name)
            .field("schema", &self.schema)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl StateTable {
    /// The table of `T`, which threads share.
    pub const fn of<T: State + Send + Sync>() -> Self {
        assert!(
            T::FINGERPRINT.is_durable(),
            "a state must be able to go into a snapshot, and an `Instant` or a `Weak` can't: mark such a field with \
             `#[state(skip)]`, or keep a `SystemTime`, or a key"
        );
        Self {
            name: T::NAME,
            schema: T::SCHEMA,
            fingerprint: T::FINGERPRINT,
            origin: T::ORIGIN,
            capture: capture::<T>,
            picture: picture::<T>,
            revive: revive::<T>,
            destroy: destroy::<T>,
        }
    }

    /// The furthest that this type or one that it came from is aligned, in bytes.
    pub const fn alignment(&self) -> usize {
        let mut furthest = self.fingerprint.alignment();
        let mut origin = self.origin;
        while let Some(former) = origin {
            if former.alignment > furthest {
                furthest = former.alignment;
            }
            origin = former.table.origin;
        }
        furthest
    }
}

/// # Safety
///
/// As [`StateTable::capture`].
unsafe fn capture<T: State>(state: *const ()) -> Fenced<Result<Captured, CodecError>> {
    fence::fence(|| {
        let mut encoder = Encoder::new();
        // SAFETY: as the caller vouches.
        unsafe { &*state.cast::<T>() }.encode(&mut encoder);
        let (bytes, collections) = encoder.into_parts()?;
        Ok(Captured { bytes, collections })
    })
}

/// # Safety
///
/// As [`StateTable::picture`].
unsafe fn picture<T: State>(state: *const ()) -> Fenced<Result<Vec<u8>, CodecError>> {
    fence::fence(|| {
        let mut encoder = Encoder::canonical();
        // SAFETY: as the caller vouches.
        unsafe { &*state.cast::<T>() }.encode(&mut encoder);
        encoder.finish()
    })
}

fn revive<T: State>(bytes: &[u8], collections: Option<&[Handle]>) -> Fenced<Result<Revived, CodecError>> {
    fence::fence(|| {
        let mut decoder = match collections {
            Some(known) => Decoder::beside(bytes, known),
            None => Decoder::new(bytes),
        };
        let state = T::decode(&mut decoder)?;
        let collections = decoder.into_made()?;
        Ok(Revived { state: Box::into_raw(Box::new(state)).cast(), collections })
    })
}

/// # Safety
///
/// As [`StateTable::destroy`].
unsafe fn destroy<T>(state: *mut ()) -> Fenced<()> {
    // SAFETY: the address is of a `Box` that was made here or in another version, whose type had the same fingerprint
    // and so the same layout; its memory is the host's either way.
    fence::fence(|| drop(unsafe { Box::from_raw(state.cast::<T>()) }))
}

/// # Safety
///
/// As [`Step`].
unsafe fn step<Old, New: Migrate<Old>>(
    state: *mut (),
    flips: &Flips,
) -> Fenced<Result<*mut (), MigrateError>> {
    fence::fence(|| {
        // SAFETY: as the caller vouches.
        let old = *unsafe { Box::from_raw(state.cast::<Old>()) };
        let new = flips.during(|| New::migrate(old))?;
        Ok(Box::into_raw(Box::new(new)).cast())
    })
}
