//! What outlives a version, and what a host and its logic agree on.
//!
//! liveswap upgrades a running server: a host process owns the state, versioned shared libraries hold
//! the logic that works on it. The two are compiled apart and never name each other. Both name this
//! crate:
//!
//! - [`State`] and its derive: the types that may outlive the version that made them;
//! - [`interface`](macro@interface): one trait that gives the host a typed proxy and the logic a checked
//!   export;
//! - [`Bytes`]: the interface of logic that is written in C or C++;
//! - [`Migrate`]: how state of one shape becomes state of another, and [`Sharded`]: large collections that are
//!   migrated a part at a time;
//! - [`Fingerprint`]: how the two sides find out, without running anything, that they mean the same;
//! - [`manifest`], [`Entry`], [`HostTable`], [`Context`]: the contract between a library and its host.
//!
//! Nothing here loads a library or opens a socket.
//!
//! ```
//! use liveswap_state::{State, interface};
//!
//! #[derive(State)]
//! pub struct Score { player: String, points: u64 }
//!
//! #[interface]
//! pub trait Game {
//!     fn best(&self) -> Option<Score>;
//!     fn hit(&mut self, player: &str, points: u64) -> u64;
//!     fn version() -> String;
//! }
//! ```

// What the macros write names this crate from outside.
extern crate self as liveswap_state;

mod built_in;
mod bytes;
mod codec;
mod collections;
mod constant;
mod context;
mod dependency;
mod entry;
mod error;
pub mod fence;
mod fingerprint;
mod host;
mod interface;
#[doc(hidden)]
pub mod lock;
mod logic;
pub mod manifest;
mod migrate;
mod options;
mod output;
mod portable;
mod shape;
pub mod sharded;
mod spawn;
pub mod table;
mod when;
mod whitelist;

pub use built_in::BuiltIn;
pub use bytes::{Bytes, BytesLogic, BytesProxy, BytesSpawn};
pub use codec::{CodecError, Decoder, Encoder};
pub use collections::{HashMap, HashSet};
pub use constant::Constant;
pub use context::Context;
#[doc(hidden)]
pub use dependency::{Crossing, Entered, Modules};
pub use dependency::{Dependency, DependencyError, Through};
pub use entry::{BeforeBind, BindError, ENTRY_SYMBOL, Entry};
pub use error::CallError;
pub use fence::Fenced;
pub use fingerprint::{COMPILER, Fingerprint, PANIC_STRATEGY};
pub use host::{
    CONTRACT, EventTable, HostTable, Level, MemoryTable, PanicReport, Place, ThreadDestructor, ThreadStart,
    ThreadTable, Value,
};
pub use interface::{Access, CodePointer, Gate, Interface, MethodSpec, Passage, Passing, Replay};
#[doc(hidden)]
pub use interface::{Export, OfferedBy, Replayed, Signature};
pub use liveswap_state_macros::{State, interface};
pub use logic::Logic;
#[doc(hidden)]
pub use migrate::Unchanged;
pub use migrate::{Migrate, MigrateError};
#[doc(hidden)]
pub use options::SharedOptions;
pub use options::{OptionError, OptionValue, Options};
pub use output::OutputSink;
pub use portable::State;
#[doc(hidden)]
pub use portable::{Recursion, Recursive, assert_state};
pub use shape::{FieldShape, Shape};
pub use sharded::Sharded;
pub use spawn::SpawnError;
#[doc(hidden)]
pub use spawn::{Enter, Job, Nowhere, Spawner, hand_over};
#[doc(hidden)]
pub use table::Origin;
#[doc(hidden)]
pub use when::{After, When};
pub use when::{Lane, TimerId};
