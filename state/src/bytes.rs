//! [`Bytes`]: the interface of logic that isn't written in Rust, bytes in and bytes out.
//!
//! Logic in C or C++ can't offer an interface of the host's own: it has neither its types nor its compiler. So all of it
//! offers this one, and method names and arguments are what host and logic have agreed on. Logic in Rust may offer it
//! too, as any other interface.

use crate::interface;

/// What a host calls of logic that isn't written in Rust.
#[interface]
pub trait Bytes {
    /// Calls a method that may change the state; it has the state alone. An error is the method's own answer, which says
    /// no.
    fn call(&mut self, method: &str, input: &[u8]) -> Result<Vec<u8>, String>;

    /// Calls a method that only looks at the state; it shares the state with others of this kind. An error is the
    /// method's own answer, which says no.
    fn ask(&self, method: &str, input: &[u8]) -> Result<Vec<u8>, String>;
}
