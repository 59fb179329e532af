//! Calls through a function pointer that another thread may replace: what the crates one would take for it cost. None of
//! them knows when a library may be unmapped, or has a fence against panics.

use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Cache};
use seize::Guard as _;

use crate::measure::contest::Contender;

/// The method that all contenders call.
type Method = fn(u64) -> u64;

#[inline(never)]
fn next(number: u64) -> u64 {
    number.checked_add(1).expect("nobody counts that far")
}

fn method() -> Method {
    black_box(next)
}

/// The floor: no library, no version, no state.
pub(crate) const POINTER: &str = "raw function pointer within the program";

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

pub(crate) fn contenders() -> Vec<Contender<'static>> {
    let raw = Contender::new(POINTER, |count| {
        let method = method();
        time(count, method)
    });
    let cache = {
        let cell = Arc::new(ArcSwap::from_pointee(method()));
        Contender::new("arc-swap, Cache", move |count| {
            let mut cache = Cache::new(cell.clone());
            time(count, |number| cache.load()(number))
        })
    };
    let load = {
        let cell = ArcSwap::from_pointee(method());
        Contender::new("arc-swap, load", move |count| time(count, |number| cell.load()(number)))
    };
    let load_full = {
        let cell = ArcSwap::from_pointee(method());
        Contender::new("arc-swap, load_full", move |count| time(count, |number| cell.load_full()(number)))
    };
    let epoch = {
        let cell = crossbeam_epoch::Atomic::new(method());
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
        let (collector, cell) = (seize::Collector::new(), AtomicPtr::new(Box::into_raw(Box::new(method()))));
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
        let cell = RwLock::new(method());
        Contender::new("RwLock, read", move |count| {
            time(count, |number| cell.read().expect("no call panics")(number))
        })
    };
    vec![raw, cache, load, load_full, epoch, seize, lock]
}
