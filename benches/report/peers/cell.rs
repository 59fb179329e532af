//! Calls through a function pointer that another thread may replace: what the crates one would take for it cost. The
//! function is the same for all, and lies in a library. None of them knows when that may be unmapped, or has a fence
//! against panics.

use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Cache};
use seize::Guard as _;

use crate::measure::contest::Contender;

/// The function that all contenders call.
pub(crate) type Method = extern "C" fn(u64) -> u64;

/// The floor: no version, no state, no fence.
pub(crate) const POINTER: &str = "raw function pointer";

/// The same function, within the program.
#[inline(never)]
extern "C" fn near(number: u64) -> u64 {
    number.checked_add(1).expect("nobody counts that far")
}

/// Each call's argument is the result of the one before, so that calls can't overlap.
#[inline]
pub(crate) fn time(count: u64, mut call: impl FnMut(u64) -> u64) -> Duration {
    let mut number = 0;
    let started = Instant::now();
    for _ in 0..count {
        number = call(number);
    }
    let took = started.elapsed();
    black_box(number);
    took
}

/// The first one is [`POINTER`].
pub(crate) fn contenders(method: Method) -> Vec<Contender<'static>> {
    let raw = Contender::new(POINTER, move |count| {
        let method = black_box(method);
        time(count, |number| method(number))
    });
    let near = Contender::new("raw function pointer, within the program", |count| {
        let method: Method = black_box(near);
        time(count, |number| method(number))
    });
    let cache = {
        let cell = Arc::new(ArcSwap::from_pointee(method));
        Contender::new("arc-swap, Cache", move |count| {
            let mut cache = Cache::new(cell.clone());
            time(count, |number| cache.load()(number))
        })
    };
    let load = {
        let cell = ArcSwap::from_pointee(method);
        Contender::new("arc-swap, load", move |count| time(count, |number| cell.load()(number)))
    };
    let load_full = {
        let cell = ArcSwap::from_pointee(method);
        Contender::new("arc-swap, load_full", move |count| time(count, |number| cell.load_full()(number)))
    };
    let epoch = {
        let cell = crossbeam_epoch::Atomic::new(method);
        Contender::new("crossbeam-epoch, pin", move |count| {
            time(count, |number| {
                let guard = crossbeam_epoch::pin();
                let method = cell.load(Ordering::Acquire, &guard);
                // SAFETY: nobody ever replaces it.
                let method = unsafe { method.deref() };
                method(number)
            })
        })
    };
    let seize = {
        let (collector, cell) = (seize::Collector::new(), AtomicPtr::new(Box::into_raw(Box::new(method))));
        Contender::new("seize, enter", move |count| {
            time(count, |number| {
                let guard = collector.enter();
                let method = guard.protect(&cell, Ordering::Acquire);
                // SAFETY: nobody ever replaces it.
                let method = unsafe { *method };
                method(number)
            })
        })
    };
    let lock = {
        let cell = RwLock::new(method);
        Contender::new("RwLock, read", move |count| {
            time(count, |number| cell.read().expect("no call panics")(number))
        })
    };
    vec![raw, near, cache, load, load_full, epoch, seize, lock]
}
