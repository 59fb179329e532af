//! The derive and the attribute of `liveswap-state`. Use them from there.

mod derive;
mod interface;
mod refused;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Implements `State` for a struct or an enum: every field must be `State`, and the fingerprint is the
/// hash of the type's name, schema version, size, alignment, and of each field's name, offset and own
/// fingerprint, all the way down.
///
/// `#[state(version = N)]` on the type sets its schema version (1 without it).
///
/// A type may contain itself (`struct Node { children: Vec<Node> }`). Two types that contain each other
/// are refused by the compiler as a cycle of constants: put the link into one of them as a key.
#[proc_macro_derive(State, attributes(state))]
pub fn derive_state(input: TokenStream) -> TokenStream {
    derive::expand(parse_macro_input!(input)).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a trait the interface between a host and its logic.
///
/// For `trait Game` it leaves the trait as it is and adds `GameLogic`, which logic implements,
/// `GameProxy`, which the host calls, `GameSpawn`, through which logic has the host call a method later, and
/// `impl Interface for dyn Game`.
///
/// A method takes `&self` (shares the state with other calls), `&mut self` (has the state alone) or no
/// receiver (doesn't touch the state). Its arguments are owned `State` types, or `&T` and `&mut T` of
/// them for the length of the call; its result is owned. Whatever could dangle after an unmap is refused.
///
/// A method whose arguments are all owned can also be spawned: `context.spawn::<dyn Game>().hit(3)` has the
/// host make the call on a thread of its own, on the version that is active then. So such arguments are
/// `Send`.
#[proc_macro_attribute]
pub fn interface(attributes: TokenStream, input: TokenStream) -> TokenStream {
    interface::expand(attributes.into(), parse_macro_input!(input))
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
