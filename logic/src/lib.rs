//! What a logic library links.
//!
//! A logic library is a `cdylib` with one implementation of an interface:
//!
//! ```
//! use liveswap_logic::{Context, Logic};
//! # mod api {
//! #     #[liveswap_state::interface]
//! #     pub trait Game { fn hit(&mut self, points: u64) -> u64; }
//! # }
//! use api::GameLogic;
//!
//! #[derive(liveswap_state::State)]
//! pub struct World { total: u64 }
//!
//! struct GameV1;
//!
//! impl Logic for GameV1 {
//!     type State = World;
//!
//!     fn create(_: &Context) -> World {
//!         World { total: 0 }
//!     }
//! }
//!
//! impl GameLogic for GameV1 {
//!     fn hit(world: &mut World, context: &Context, points: u64) -> u64 {
//!         tracing::info!(points, "hit");
//!         world.total += points;
//!         world.total
//!     }
//! }
//!
//! liveswap_logic::export! {
//!     module: "logic",
//!     version: "1001",
//!     logic: GameV1 as GameLogic,
//! }
//! # fn main() {}
//! ```
//!
//! [`export!`] gives the library its manifest, its one exported symbol, the host's allocator, and thread
//! functions that the host counts. Events of `tracing` and panics reach the host by themselves: a panic is logged
//! there, with a backtrace where `RUST_BACKTRACE` asks for one. If logic replaces the panic hook, it's told of its
//! panics and the host isn't.
//!
//! [`built_in!`] makes logic that is linked into the host itself, which a module may begin with.

pub mod allocator;
mod binding;
mod built_in;
mod entry;
mod events;
mod panics;
#[doc(hidden)]
pub mod threads;

#[doc(hidden)]
pub use built_in::built_in_entry;
#[doc(hidden)]
pub use entry::entry;
/// For `export!`.
#[doc(hidden)]
pub use liveswap_state as state;
pub use liveswap_state::{
    BuiltIn, Constant, Context, Dependency, DependencyError, Lane, Logic, OptionError, OptionValue, Options,
    SpawnError, TimerId,
};

/// Puts out text as `println!` does, but so that the host knows whose it is.
///
/// The first argument is the call's [`Context`], the rest are those of `format!`. Where it goes, the host says
/// (`Builder::on_output`): to its standard output, unless set otherwise, with the module's name before each line. What
/// one `output!` puts out stays together, whatever other threads and modules put out at the time.
///
/// ```
/// use liveswap_logic::{Context, output};
///
/// fn welcome(context: &Context, player: &str) {
///     output!(context, "{player} has joined");
/// }
/// # welcome(&Context::new("game", "1001"), "ada");
/// ```
#[macro_export]
macro_rules! output {
    ($context:expr, $($text:tt)+) => {
        $crate::Context::output($context, ::core::format_args!($($text)+))
    };
}

/// Exports this library's logic. Once per library.
///
/// - `module`: the name of the module this is a version of;
/// - `version`: numbers with dots between them, `1002` or `1.4.0`; an expression known while compiling,
///   such as `env!("CARGO_PKG_VERSION")`;
/// - `logic`: the type that implements the interface, `as` the interface's logic trait.
#[macro_export]
macro_rules! export {
    (module: $module:expr, version: $version:expr, logic: $logic:ty as $interface:path $(,)?) => {
        #[global_allocator]
        static LIVESWAP_ALLOCATOR: $crate::allocator::HostAllocator = $crate::allocator::HostAllocator;

        $crate::define_thread_functions!();

        // What the library passes may name its own items, so these are called as none of those is.
        // To spell a large state out takes the compiler longer than it expects of a constant.
        #[allow(long_running_const_eval)]
        const _: () = {
            const __LIVESWAP_SPEC: $crate::state::manifest::ManifestSpec =
                $crate::state::manifest::ManifestSpec::new(
                    $module,
                    $version,
                    <$logic as $interface>::__LIVESWAP_EXPORT,
                );

            // `used`, because nothing in the library refers to the section by its name.
            #[used]
            #[unsafe(link_section = ".liveswap")]
            static __LIVESWAP_MANIFEST: [::core::primitive::u8; __LIVESWAP_SPEC.encoded_length()] =
                $crate::state::manifest::encode(&__LIVESWAP_SPEC);

            // SAFETY: the name is the contract's own; no other item of a logic library has it.
            #[unsafe(export_name = "liveswap_entry")]
            static __LIVESWAP_ENTRY: $crate::state::Entry =
                $crate::entry(&__LIVESWAP_MANIFEST, <$logic as $interface>::__LIVESWAP_EXPORT);
        };
    };
}
