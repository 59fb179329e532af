//! Logic that is linked into the host itself: [`built_in!`](crate::built_in).
//!
//! It has the manifest and the entry of a library, but for two functions: there is nothing to look for before it's bound,
//! and nothing to bind. Its memory comes from the host's allocator, its events go to the host's subscriber and its panics to
//! the host's hook, without any of them crossing anything; and its thread-locals are the program's own.

use liveswap_state::{BeforeBind, BindError, Context, Entry, Export, HostTable, Interface, Logic};

use crate::entry::entry;

/// The entry of logic `L` that offers the interface `I` and is linked into the host. Used by `built_in!`.
#[doc(hidden)]
pub const fn built_in_entry<L: Logic, I: Interface + ?Sized>(
    manifest: &'static [u8],
    export: Export<L, I>,
) -> Entry {
    Entry { before_bind, bind, ..entry(manifest, export) }
}

fn before_bind() -> BeforeBind {
    BeforeBind::default()
}

/// # Safety
///
/// None: nothing is kept.
unsafe fn bind(_: &'static HostTable, _: &'static Context) -> Result<(), BindError> {
    Ok(())
}

/// Makes an implementation of an interface known to the engine that it's linked with: an expression of type
/// [`BuiltIn`](liveswap_state::BuiltIn), for `Builder::built_in`. The arguments are those of [`export!`](crate::export),
/// which does the same for a library.
///
/// - `module`: the name of the module this is a version of;
/// - `version`: numbers with dots between them;
/// - `logic`: the type that implements the interface, `as` the interface's logic trait.
///
/// ```
/// # mod api {
/// #     #[liveswap_state::interface]
/// #     pub trait Game { fn hit(&mut self, points: u64) -> u64; }
/// # }
/// # use liveswap_logic::{Context, Logic};
/// # use api::GameLogic;
/// # struct GameV1;
/// # impl Logic for GameV1 {
/// #     type State = u64;
/// #     fn create(_: &Context) -> u64 { 0 }
/// # }
/// # impl GameLogic for GameV1 {
/// #     fn hit(total: &mut u64, _: &Context, points: u64) -> u64 { *total += points; *total }
/// # }
/// let built_in = liveswap_logic::built_in! {
///     module: "logic",
///     version: "1",
///     logic: GameV1 as GameLogic,
/// };
/// # let _ = built_in;
/// ```
#[macro_export]
macro_rules! built_in {
    (module: $module:expr, version: $version:expr, logic: $logic:ty as $interface:path $(,)?) => {{
        // What the host passes may name its own items, so these are called as none of those is.
        // To spell a large state out takes the compiler longer than it expects of a constant.
        #[allow(long_running_const_eval)]
        const __LIVESWAP_SPEC: $crate::state::manifest::ManifestSpec =
            $crate::state::manifest::ManifestSpec::new(
                $module,
                $version,
                <$logic as $interface>::__LIVESWAP_EXPORT,
            );
        #[allow(long_running_const_eval)]
        static __LIVESWAP_MANIFEST: [::core::primitive::u8; __LIVESWAP_SPEC.encoded_length()] =
            $crate::state::manifest::encode(&__LIVESWAP_SPEC);
        static __LIVESWAP_ENTRY: $crate::state::Entry =
            $crate::built_in_entry(&__LIVESWAP_MANIFEST, <$logic as $interface>::__LIVESWAP_EXPORT);
        // SAFETY: all of the entry is made of one implementation, as the manifest is, and they are of this program.
        unsafe { $crate::state::BuiltIn::new(&__LIVESWAP_ENTRY) }
    }};
}
