//! Migrations: how state of one shape becomes state of another.
//!
//! A new version may keep other data than the one that is running. Then it says how the old becomes the new, and
//! best also how the new becomes the old again. The old types stay in the source, under the same names, in a module
//! of their own:
//!
//! ```
//! use liveswap_state::{Migrate, MigrateError, Sharded, State};
//!
//! mod v1 {
//!     #[derive(liveswap_state::State)]
//!     pub struct World { pub players: liveswap_state::Sharded<u64, Player>, pub day: u32 }
//!     #[derive(liveswap_state::State)]
//!     pub struct Player { pub name: String, pub health: u32 }
//! }
//!
//! #[derive(State)]
//! #[state(version = 2, from = v1::World, additive)]
//! pub struct World { #[state(migrate)] players: Sharded<u64, Player>, day: u32, #[state(new)] weather: String }
//!
//! #[derive(State)]
//! #[state(version = 2)]
//! pub struct Player { name: String, health: f64 }
//!
//! impl Migrate<v1::Player> for Player {
//!     fn migrate(old: v1::Player) -> Result<Self, MigrateError> {
//!         Ok(Self { name: old.name, health: old.health.into() })
//!     }
//! }
//!
//! impl Migrate<Player> for v1::Player {
//!     fn migrate(new: Player) -> Result<Self, MigrateError> {
//!         Ok(Self { name: new.name, health: new.health.round() as u32 })
//!     }
//! }
//! ```
//!
//! `from` names the type that was there before. The type must then have a [`Migrate`] from it, and it one back; or
//! `one_way` beside it says that there is no way back. The former type may have a `from` of its own: a state that is
//! several versions behind goes through all of them.
//!
//! What the values of a `Sharded` *mean* must show in their type: between two collections of plain numbers, the engine
//! can't tell a migration from its way back. Put numbers that change their meaning into a type with a version.
//!
//! `additive` writes both implementations, for a struct of which fields were added or taken away, or an enum to
//! which variants were added at the end:
//!
//! - a field marked `#[state(new)]` is new, and begins as its `Default`; `#[state(new = 100)]` as that value;
//! - `removed(mana = 0)`, beside `additive`, names a field that is gone, and what it is when one goes back;
//! - a field marked `#[state(migrate)]` has another type than before, with a `Migrate` of its own;
//! - a variant marked `#[state(new)]` is new. A value of it can't go back; `#[state(new = v1::Kind::Other)]` says
//!   what it then becomes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError, RwLock};

use crate::HashMap;

/// Makes a value of what it was in another version.
///
/// A migration takes the old value apart and uses what is in it; what can't be used is dropped with it. It is called
/// for each value of a [`Sharded`](crate::Sharded) collection by itself, by whichever thread first touches it. It
/// must not depend on anything but the value, and it may be called for a copy, to find out whether it will do.
///
/// What is in a `Sharded` can't be used any more by the migration that has migrated it: its values are still old ones.
///
/// If a value of a shard fails after all, those that were migrated before it are made of their bytes again. Then fields
/// that are skipped begin anew, and what they shared by an `Arc` is theirs alone.
#[diagnostic::on_unimplemented(
    message = "nothing says how a `{Old}` becomes a `{Self}`",
    note = "write `impl Migrate<{Old}> for {Self}`; or, if that is the way back and there is none, `one_way` beside `from`"
)]
pub trait Migrate<Old>: Sized {
    /// The new value.
    ///
    /// # Errors
    ///
    /// If the old value can't become a new one: the reason, for people to read. Then the state stays as it is, and
    /// so does the running version.
    fn migrate(old: Old) -> Result<Self, MigrateError>;
}

/// Why a value can't be migrated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrateError {
    message: String,
}

impl MigrateError {
    /// The same, within a field of this name.
    #[must_use]
    pub fn within(self, field: &str) -> Self {
        // If it begins with a field already, that one is within this one.
        match self.message.strip_prefix('`') {
            Some(rest) => Self { message: format!("`{field}.{rest}") },
            None => Self { message: format!("`{field}`: {}", self.message) },
        }
    }
}

impl fmt::Display for MigrateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for MigrateError {}

impl From<String> for MigrateError {
    fn from(message: String) -> Self {
        Self { message }
    }
}

impl From<&str> for MigrateError {
    fn from(message: &str) -> Self {
        Self { message: message.to_owned() }
    }
}

/// What `additive` does with a field that isn't marked.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the field was a `{Old}` before, and is a `{Self}` now",
    label = "it has another type than before",
    note = "if `{Self}` has a `Migrate` from `{Old}`, mark the field with `#[state(migrate)]`; or write the migration of the whole type by hand, without `additive`"
)]
pub trait Unchanged<Old> {
    fn there(old: Old) -> Self;
    fn back(self) -> Old;
}

impl<T> Unchanged<T> for T {
    fn there(old: T) -> T {
        old
    }

    fn back(self) -> T {
        self
    }
}

/// With a second implementation the compiler doesn't guess what a field was, and so finds out that it's another.
#[doc(hidden)]
pub struct Other<T>(std::convert::Infallible, T);

#[diagnostic::do_not_recommend]
impl<T> Unchanged<Other<T>> for T {
    fn there(old: Other<T>) -> T {
        match old.0 {}
    }

    fn back(self) -> Other<T> {
        unreachable!("nothing was ever of this type")
    }
}

/// What is the same for each container: it goes over as a whole, and what is in it by its own migration.
macro_rules! containers {
    ($($name:ident<$([$key:ident: $first:ident $(+ $more:ident)*],)? Old>, |$old:ident| $new:expr;)*) => {$(
        impl<$($key: $first $(+ $more)*,)? Old, New: Migrate<Old>> Migrate<$name<$($key,)? Old>> for $name<$($key,)? New> {
            fn migrate($old: $name<$($key,)? Old>) -> Result<Self, MigrateError> {
                $new
            }
        }
    )*};
}

containers! {
    Vec<Old>, |old| old.into_iter().map(New::migrate).collect();
    VecDeque<Old>, |old| old.into_iter().map(New::migrate).collect();
    Option<Old>, |old| old.map(New::migrate).transpose();
    Box<Old>, |old| New::migrate(*old).map(Box::new);
    Mutex<Old>, |old| New::migrate(old.into_inner().unwrap_or_else(PoisonError::into_inner)).map(Mutex::new);
    RwLock<Old>, |old| New::migrate(old.into_inner().unwrap_or_else(PoisonError::into_inner)).map(RwLock::new);
    HashMap<[Key: Eq + Hash], Old>,
        |old| old.into_iter().map(|(key, value)| Ok((key, New::migrate(value)?))).collect();
    BTreeMap<[Key: Ord], Old>,
        |old| old.into_iter().map(|(key, value)| Ok((key, New::migrate(value)?))).collect();
}

impl<Old, New: Migrate<Old>, const N: usize> Migrate<[Old; N]> for [New; N] {
    fn migrate(old: [Old; N]) -> Result<Self, MigrateError> {
        let new: Vec<New> = old.into_iter().map(New::migrate).collect::<Result<_, _>>()?;
        Ok(new.try_into().unwrap_or_else(|_| unreachable!("there are as many as before")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Long(u64);

    impl Migrate<u8> for Long {
        fn migrate(old: u8) -> Result<Self, MigrateError> {
            if old == 0 { Err("there is no zero".into()) } else { Ok(Self(old.into())) }
        }
    }

    #[test]
    fn what_is_in_a_container_is_migrated() {
        assert_eq!(Vec::migrate(vec![1_u8, 2]), Ok(vec![Long(1), Long(2)]));
        assert_eq!(<[Long; 2]>::migrate([1_u8, 2]), Ok([Long(1), Long(2)]));
        let map = BTreeMap::<_, Long>::migrate(BTreeMap::from([("a", 1_u8)]));
        assert_eq!(map, Ok(BTreeMap::from([("a", Long(1))])));
        assert!(Option::<Long>::migrate(Some(0_u8)).is_err());
    }

    #[test]
    fn an_error_names_its_place() {
        let error = MigrateError::from("too large").within("health").within("players");
        assert_eq!(error.to_string(), "`players.health`: too large");
    }
}
