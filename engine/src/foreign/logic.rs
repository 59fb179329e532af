//! The entry of a library in C, and the logic behind it: the engine's own, which asks the library.

use std::collections::BTreeMap;
use std::panic;
use std::ptr;
use std::sync::{Arc, RwLock, Weak};

use liveswap_state::table::StateTable;
use liveswap_state::{
    BeforeBind, BindError, Bytes, BytesLogic, Context, Entry, Export, Fenced, Logic, Options, PanicReport,
    fence,
};

use super::abi::{self, Before, Hook, Method};
use super::blocks::Blocks;
use super::call::{self, Access, Loaded};
use super::host::HOST;
use super::options::settings;
use super::schema;
use crate::call::owed;
use crate::candidate::foreign::Schemas;
use crate::control::LoadError;
use crate::host::panicked;
use crate::lock::{read, write};
use crate::tell::tell;

/// The contexts of the libraries in C that are mapped, by the serials of their loads. Calls don't come here.
static CONTEXTS: RwLock<BTreeMap<usize, Weak<Context>>> = RwLock::new(BTreeMap::new());

/// The context of the library whose hook this thread is in.
pub(super) fn in_hook() -> Option<Arc<Context>> {
    read(&CONTEXTS).get(&owed::in_hook_of()?)?.upgrade()
}

/// Binds a library in C to this host. Gives its entry, and what its constructors did.
///
/// # Safety
///
/// `entry` is what the library has under [`ENTRY_SYMBOL`](abi::ENTRY_SYMBOL), and `manifest` the one that was read from its
/// file, which has shown this host's [`ABI`](abi::ABI). The library stays mapped as long as the context is kept.
pub(crate) unsafe fn connect(
    entry: *const abi::Entry,
    manifest: &[u8],
    context: &Arc<Context>,
) -> Result<(Entry, BeforeBind), LoadError> {
    // SAFETY: the manifest vouches for the symbol's type. Both numbers are in each version of the ABI, at the start, so
    // they are read before all else.
    let is_known = unsafe { (*entry).abi == abi::ABI && (*entry).size as usize >= size_of::<abi::Entry>() };
    if !is_known {
        return Err(LoadError::OtherManifest);
    }
    // SAFETY: as just seen; the functions and what it points to are the library's own.
    let (found, begin, logic) = unsafe {
        let abi::Entry { manifest, begin, logic, .. } = *entry;
        (manifest.get::<'static>(), begin, functions(logic))
    };
    let schemas = Schemas::of_section(manifest).filter(|_| found == manifest);
    let Some(Schemas { newest, .. }) = schemas else { return Err(LoadError::OtherManifest) };

    let mut before = Before::default();
    // The library's thread functions may ask for it as soon as it's bound.
    write(&CONTEXTS).retain(|_, context| context.strong_count() > 0);
    write(&CONTEXTS).insert(context.serial(), Arc::downgrade(context));
    let loaded: Box<Loaded> = Box::new(Loaded { logic, schema: newest });
    context.foreign().set(loaded).map_err(|_| BindError::AlreadyBound)?;
    // SAFETY: the first call into the library. The host's table is a static, and the context lives until the library has
    // left memory.
    let status = unsafe { begin(&raw const HOST, Arc::as_ptr(context), &raw mut before) };
    if status != abi::OK {
        return Err(BindError::AlreadyBound.into());
    }
    Ok((entry_of(found, newest), before.into()))
}

/// The library's functions, as many as it knows of.
///
/// # Safety
///
/// The address is of a `liveswap_logic` that is as large as it says.
unsafe fn functions(logic: *const abi::Logic) -> abi::Logic {
    let mut known = abi::Logic::default();
    // SAFETY: as the caller vouches; a function that isn't there is null, as it is in the default.
    unsafe {
        let size = (&raw const (*logic).size).read() as usize;
        let size = size.min(size_of::<abi::Logic>());
        ptr::copy_nonoverlapping(logic.cast::<u8>(), (&raw mut known).cast::<u8>(), size);
    }
    known
}

/// All of its functions are the engine's. They find the library by its context, or by the hook that they run in.
fn entry_of(manifest: &'static [u8], schema: u32) -> Entry {
    const EXPORT: Export<Foreign, dyn Bytes> = Foreign::__LIVESWAP_EXPORT;
    Entry {
        manifest,
        // `connect` has done both.
        before_bind: BeforeBind::default,
        bind: |_, _| Ok(()),
        prepare: |context| fence::fence(|| Foreign::prepare(context)),
        self_test: |context| fence::fence(|| Foreign::self_test(context)),
        prepare_to_yield: |context| fence::fence(|| Foreign::prepare_to_yield(context)),
        yielded: |context| fence::fence(|| Foreign::yielded(context)),
        resume: |context| fence::fence(|| Foreign::resume(context)),
        health,
        create: |context| fence::fence(|| Box::into_raw(Box::new(Foreign::create(context))).cast()),
        configure,
        initialize,
        start,
        stop,
        took_over: |context| fence::fence(|| Foreign::took_over(context)),
        state: schema::table(schema),
        teardown: |context| fence::fence(|| Foreign::teardown(context)),
        unload: |context| fence::fence(|| Foreign::unload(context)),
        alignment: StateTable::of::<Blocks>().alignment(),
        code: EXPORT.code(),
        replay: EXPORT.replay(),
    }
}

/// # Safety
///
/// The address is of blocks, which nobody has alone until this returns.
unsafe fn health(state: *const (), context: &Context) -> Fenced<Result<(), String>> {
    // SAFETY: as the caller vouches.
    fence::fence(|| Foreign::health(unsafe { &*state.cast::<Blocks>() }, context))
}

/// # Safety
///
/// The address is of blocks, which nobody else uses until this returns.
unsafe fn configure(state: *mut (), options: &Options, context: &Context) -> Fenced<Result<(), String>> {
    // SAFETY: as the caller vouches.
    fence::fence(|| Foreign::configure(unsafe { &mut *state.cast::<Blocks>() }, options, context))
}

/// # Safety
///
/// As for [`configure`].
unsafe fn initialize(state: *mut (), context: &Context) -> Fenced<Result<(), String>> {
    // SAFETY: as the caller vouches.
    fence::fence(|| Foreign::initialize(unsafe { &mut *state.cast::<Blocks>() }, context))
}

/// # Safety
///
/// As for [`configure`].
unsafe fn start(state: *mut (), context: &Context) -> Fenced<Result<(), String>> {
    // SAFETY: as the caller vouches.
    fence::fence(|| Foreign::start(unsafe { &mut *state.cast::<Blocks>() }, context))
}

/// # Safety
///
/// As for [`configure`].
unsafe fn stop(state: *mut (), context: &Context) -> Fenced<()> {
    // SAFETY: as the caller vouches.
    fence::fence(|| Foreign::stop(unsafe { &mut *state.cast::<Blocks>() }, context))
}

/// The logic of every library in C.
struct Foreign;

impl Foreign {
    /// Asks a hook, if the library has it.
    fn ask_hook(
        context: &Context,
        access: Access<'_>,
        hook: impl FnOnce(&abi::Logic) -> Option<Hook>,
    ) -> Result<(), String> {
        let Some(hook) = hook(&Loaded::of(context).logic) else { return Ok(()) };
        // SAFETY: the library is mapped, for its context is in use.
        call::make(context, access, |call| unsafe { hook(call) }).map(drop)
    }

    /// Tells a hook something, to which it can't say no.
    fn tell_hook(
        context: &Context,
        access: Access<'_>,
        name: &str,
        hook: impl FnOnce(&abi::Logic) -> Option<Hook>,
    ) {
        if let Err(reason) = Self::ask_hook(context, access, hook) {
            let (module, version) = (context.module(), context.version());
            tell(|| tracing::warn!(module, version, "`{name}` has failed: {reason}"));
        }
    }

    fn call_method(
        context: &Context,
        access: Access<'_>,
        function: Option<Method>,
        method: &str,
        input: &[u8],
    ) -> Result<Vec<u8>, String> {
        let function = function.ok_or_else(|| format!("there is no method `{method}` of this kind"))?;
        let (method, input) = (abi::Bytes::of(method.as_bytes()), abi::Bytes::of(input));
        // SAFETY: the library is mapped, for a call is in it; both are there until it returns.
        call::make(context, access, |call| unsafe { function(call, method, input) })
    }
}

impl Logic for Foreign {
    type State = Blocks;

    fn create(context: &Context) -> Blocks {
        let mut blocks = Blocks { schema: Loaded::of(context).schema, blocks: BTreeMap::new() };
        let created = Self::ask_hook(context, Access::Alone(&mut blocks), |logic| logic.create);
        if let Err(message) = created {
            // There is no other way to say that there is no state.
            panicked(context, &PanicReport { message: &message, location: None });
            panic::resume_unwind(Box::new(message));
        }
        blocks
    }

    /// If the library refuses one of them, the state is as it was before the first.
    fn configure(blocks: &mut Blocks, options: &Options, context: &Context) -> Result<(), String> {
        let Some(configure) = Loaded::of(context).logic.configure else { return Ok(()) };
        let before = blocks.clone();
        for (name, value) in settings(options) {
            let (name, value) = (abi::Bytes::of(name.as_bytes()), abi::Bytes::of(value.as_bytes()));
            // SAFETY: the library is mapped, for its context is in use; both are there until it returns.
            let set =
                call::make(context, Access::Alone(blocks), |call| unsafe { configure(call, name, value) });
            if let Err(reason) = set {
                *blocks = before;
                return Err(reason);
            }
        }
        Ok(())
    }

    fn initialize(blocks: &mut Blocks, context: &Context) -> Result<(), String> {
        Self::ask_hook(context, Access::Alone(blocks), |logic| logic.initialize)
    }

    fn start(blocks: &mut Blocks, context: &Context) -> Result<(), String> {
        Self::ask_hook(context, Access::Alone(blocks), |logic| logic.start)
    }

    fn stop(blocks: &mut Blocks, context: &Context) {
        Self::tell_hook(context, Access::Alone(blocks), "stop", |logic| logic.stop);
    }

    fn took_over(context: &Context) {
        Self::tell_hook(context, Access::Without, "took_over", |logic| logic.took_over);
    }

    fn prepare(context: &Context) -> Result<(), String> {
        Self::ask_hook(context, Access::Without, |logic| logic.prepare)
    }

    fn self_test(context: &Context) -> Result<(), String> {
        Self::ask_hook(context, Access::Without, |logic| logic.self_test)
    }

    fn prepare_to_yield(context: &Context) -> Result<(), String> {
        Self::ask_hook(context, Access::Without, |logic| logic.prepare_to_yield)
    }

    fn yielded(context: &Context) {
        Self::tell_hook(context, Access::Without, "yielded", |logic| logic.yielded);
    }

    fn resume(context: &Context) {
        Self::tell_hook(context, Access::Without, "resume", |logic| logic.resume);
    }

    fn health(state: &Blocks, context: &Context) -> Result<(), String> {
        Self::ask_hook(context, Access::Shared(state), |logic| logic.health)
    }

    fn teardown(context: &Context) {
        Self::tell_hook(context, Access::Without, "teardown", |logic| logic.teardown);
    }

    fn unload(context: &Context) {
        Self::tell_hook(context, Access::Without, "unload", |logic| logic.unload);
    }
}

impl BytesLogic for Foreign {
    fn call(blocks: &mut Blocks, context: &Context, method: &str, input: &[u8]) -> Result<Vec<u8>, String> {
        let function = Loaded::of(context).logic.call;
        Self::call_method(context, Access::Alone(blocks), function, method, input)
    }

    fn ask(blocks: &Blocks, context: &Context, method: &str, input: &[u8]) -> Result<Vec<u8>, String> {
        let function = Loaded::of(context).logic.ask;
        Self::call_method(context, Access::Shared(blocks), function, method, input)
    }
}
