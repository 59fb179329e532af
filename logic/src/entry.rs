//! The entry's functions, for one implementation of an interface.

use liveswap_state::table::StateTable;
use liveswap_state::{Context, Entry, Export, Fenced, Interface, Logic, Options, fence};

use crate::{binding, threads};

/// The entry of a library whose logic `L` offers the interface `I`. Used by `export!`.
#[doc(hidden)]
pub const fn entry<L: Logic, I: Interface + ?Sized>(manifest: &'static [u8], export: Export<L, I>) -> Entry {
    Entry {
        manifest,
        before_bind: threads::before_bind,
        bind: binding::bind,
        prepare: prepare::<L>,
        self_test: self_test::<L>,
        prepare_to_yield: prepare_to_yield::<L>,
        yielded: yielded::<L>,
        resume: resume::<L>,
        health: health::<L>,
        create: create::<L>,
        configure: configure::<L>,
        initialize: initialize::<L>,
        start: start::<L>,
        stop: stop::<L>,
        took_over: took_over::<L>,
        state: StateTable::of::<L::State>(),
        teardown: teardown::<L>,
        unload: unload::<L>,
        alignment: crossing_alignment::<L, I>(),
        code: export.code(),
        replay: export.replay(),
    }
}

const fn crossing_alignment<L: Logic, I: Interface + ?Sized>() -> usize {
    let mut alignment = StateTable::of::<L::State>().alignment();
    let mut index = 0;
    while index < I::METHODS.len() {
        let method = I::METHODS[index].fingerprint.alignment();
        if method > alignment {
            alignment = method;
        }
        index += 1;
    }
    alignment
}

fn prepare<L: Logic>(context: &Context) -> Fenced<Result<(), String>> {
    fence::fence(|| L::prepare(context))
}

fn self_test<L: Logic>(context: &Context) -> Fenced<Result<(), String>> {
    fence::fence(|| L::self_test(context))
}

fn prepare_to_yield<L: Logic>(context: &Context) -> Fenced<Result<(), String>> {
    fence::fence(|| L::prepare_to_yield(context))
}

fn yielded<L: Logic>(context: &Context) -> Fenced<()> {
    fence::fence(|| L::yielded(context))
}

fn resume<L: Logic>(context: &Context) -> Fenced<()> {
    fence::fence(|| L::resume(context))
}

/// # Safety
///
/// `state` is the address of a state of `L`'s, which nobody has alone until this returns.
unsafe fn health<L: Logic>(state: *const (), context: &Context) -> Fenced<Result<(), String>> {
    // SAFETY: the caller vouches for the address, and that it may be shared.
    fence::fence(|| L::health(unsafe { &*state.cast::<L::State>() }, context))
}

fn create<L: Logic>(context: &Context) -> Fenced<*mut ()> {
    fence::fence(|| Box::into_raw(Box::new(L::create(context))).cast())
}

/// # Safety
///
/// `state` is the address of a state of `L`'s, which nobody else has until this returns.
unsafe fn initialize<L: Logic>(state: *mut (), context: &Context) -> Fenced<Result<(), String>> {
    // SAFETY: the caller vouches for the address, and that nobody else has the state.
    fence::fence(|| L::initialize(unsafe { &mut *state.cast::<L::State>() }, context))
}

/// # Safety
///
/// As [`initialize`].
unsafe fn start<L: Logic>(state: *mut (), context: &Context) -> Fenced<Result<(), String>> {
    // SAFETY: as in `initialize`.
    fence::fence(|| L::start(unsafe { &mut *state.cast::<L::State>() }, context))
}

/// # Safety
///
/// As [`initialize`].
unsafe fn stop<L: Logic>(state: *mut (), context: &Context) -> Fenced<()> {
    // SAFETY: as in `initialize`.
    fence::fence(|| L::stop(unsafe { &mut *state.cast::<L::State>() }, context))
}

fn took_over<L: Logic>(context: &Context) -> Fenced<()> {
    fence::fence(|| L::took_over(context))
}

/// # Safety
///
/// `state` is the address of a state of `L`'s, which nobody else uses until this returns.
unsafe fn configure<L: Logic>(
    state: *mut (),
    options: &Options,
    context: &Context,
) -> Fenced<Result<(), String>> {
    // SAFETY: the caller vouches for the address, and that nobody else uses it.
    fence::fence(|| L::configure(unsafe { &mut *state.cast::<L::State>() }, options, context))
}

fn teardown<L: Logic>(context: &Context) -> Fenced<()> {
    fence::fence(|| L::teardown(context))
}

fn unload<L: Logic>(context: &Context) -> Fenced<()> {
    fence::fence(|| L::unload(context))
}
