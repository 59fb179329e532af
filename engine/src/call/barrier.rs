//! The asymmetric barrier: callers pay nothing, whoever waits for them pays for both.
//!
//! The protocol needs the store-then-load order that only a full fence gives, on both sides: a caller
//! stores its announcement and then loads what is published; a swapper stores what is published and then
//! loads the announcements. Without the fences both could read the old value of the other.
//!
//! A full fence costs a caller some 6 ns. On Linux, `membarrier(2)` in its private expedited form makes
//! every running thread of the process pass a full barrier, so the caller's fence can shrink to one for
//! the compiler alone ([`light`]) and the swapper pays with a system call ([`heavy`]). Where the kernel
//! doesn't offer it, both sides use a SeqCst fence: callers pass [`full`] instead. Which of the two, a caller's
//! announcement remembers from its beginning.

#[cfg(not(liveswap_loom))]
pub(crate) use real::{full, heavy, is_asymmetric, light, prepare};

#[cfg(not(liveswap_loom))]
mod real {
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};

    use rustix::thread::{MembarrierCommand, membarrier};

    /// Whether callers may rely on [`heavy`] to fence them. Goes from false to true once, in [`prepare`].
    /// Relaxed: a caller that has read a stale false only fences more than it must; and `heavy` always
    /// includes a fence of its own for such callers.
    static ASYMMETRIC: AtomicBool = AtomicBool::new(false);

    /// Registers the process with the kernel, the first time that it's called. Before the first caller.
    pub(crate) fn prepare() {
        static PREPARED: Once = Once::new();
        PREPARED.call_once(|| {
            let registered = membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok();
            if registered && membarrier(MembarrierCommand::PrivateExpedited).is_ok() {
                ASYMMETRIC.store(true, Ordering::Relaxed);
            }
        });
    }

    /// Whether [`light`] suffices for callers; if not, they must pass [`full`].
    pub(crate) fn is_asymmetric() -> bool {
        ASYMMETRIC.load(Ordering::Relaxed)
    }

    /// The caller's side: what is before it is visible to whoever runs [`heavy`] afterwards, or the other
    /// way round.
    #[inline(always)]
    pub(crate) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// The caller's side where the kernel doesn't help.
    pub(crate) fn full() {
        fence(Ordering::SeqCst);
    }

    /// The waiting side. Pairs with every [`light`] and every [`full`] of every thread.
    pub(crate) fn heavy() {
        fence(Ordering::SeqCst);
        if ASYMMETRIC.load(Ordering::Relaxed) {
            // It worked when it was tried in `prepare`, and the kernel documents no way for it to stop
            // working in the life of a process. Going on without it could unmap code that runs.
            if let Err(error) = membarrier(MembarrierCommand::PrivateExpedited) {
                eprintln!("liveswap: membarrier(2) was registered and now fails: {error}");
                std::process::abort();
            }
        }
    }
}

/// In the model both sides are the fence that the fallback uses; loom has no `membarrier`. That the two
/// forms are equivalent is what the kernel documents of the call.
#[cfg(liveswap_loom)]
mod model {
    use loom::sync::atomic::{Ordering, fence};

    pub(crate) fn prepare() {}

    pub(crate) fn is_asymmetric() -> bool {
        true
    }

    pub(crate) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn full() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() {
        fence(Ordering::SeqCst);
    }
}

#[cfg(liveswap_loom)]
pub(crate) use model::{full, heavy, is_asymmetric, light, prepare};
