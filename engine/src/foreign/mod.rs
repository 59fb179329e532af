//! Logic that isn't written in Rust: the host's end of `liveswap.h`.
//!
//! A library in C or C++ has none of Rust's types and none of its compiler's conventions. So it offers one interface,
//! [`Bytes`](liveswap_state::Bytes), and what crosses is bytes, through functions of the C ABI whose layout never changes
//! within one [`ABI`](abi::ABI). The rest of the engine doesn't know of it: here such a library gets an
//! [`Entry`](liveswap_state::Entry) like any other's, whose functions are the engine's own and ask the library's.
//!
//! - [`abi`]: what crosses, as `logic/include/liveswap.h` has it;
//! - [`blocks`]: the state, which the host owns without the library's help;
//! - [`schema`]: which state can be made of which;
//! - [`call`](mod@call): one call of one function of the library's;
//! - [`host`]: what the library may ask of the host meanwhile;
//! - [`options`]: what is set for the module, as text;
//! - [`logic`]: the entry, and the logic behind it.

mod abi;
mod blocks;
mod call;
mod host;
mod logic;
mod options;
pub(crate) mod schema;

pub(crate) use abi::{ABI, ENTRY_SYMBOL, Entry as CEntry};
pub(crate) use logic::connect;
