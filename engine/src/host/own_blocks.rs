//! Blocks of memory that are a load's own: those that nothing outside of it can refer to.
//!
//! What the statics of a library hold is lost when the library goes, because statics have no destructors. The
//! host can't free it in their stead: a block of a version's may as well be part of the state, or of an answer
//! that somebody keeps, and nothing about the block says so.
//!
//! Except for its alignment. All that crosses between a version and the outside is made of types that are
//! [`State`](liveswap_state::State), and their fingerprints tell how far any of these is aligned
//! ([`Fingerprint::alignment`](liveswap_state::Fingerprint::alignment)). No container of theirs asks for more.
//! So a block that is aligned further belongs to the version alone, and once nothing of the version runs any
//! more, nobody is left to use or to free it. Mostly these are padded to a cache line against false sharing:
//! the table of `parking_lot`, the lists of `arc-swap`, the queues of `crossbeam`.
//!
//! That no container asks for more is seen to by `state/tests/containers.rs`.
//!
//! Of other blocks the library itself knows that they are its own: those that it allocates while it's being bound.
//!
//! They are few, so they are kept in a map under a lock; blocks of a usual alignment don't come here.

use std::alloc::Layout;
use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, Mutex};

use crate::lock::lock;

/// Blocks that are aligned no further than this are never a load's own: containers align their blocks as far
/// by themselves.
const USUAL: usize = 16;

static BLOCKS: LazyLock<Mutex<Blocks>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Blocks {
    /// For each load that is mapped: how far what crosses is aligned at most.
    crossing: BTreeMap<usize, usize>,
    /// Address, owner and layout.
    own: HashMap<usize, (usize, Layout)>,
}

/// Whether blocks of this layout may be a load's own.
pub(super) fn may_be_own(layout: Layout) -> bool {
    layout.align() > USUAL
}

/// A load begins, before it first allocates. What crosses is aligned as far as `alignment`, at most.
pub(crate) fn begin(serial: usize, alignment: usize) {
    lock(&BLOCKS).crossing.insert(serial, alignment);
}

/// From here on the load also hands over what is aligned as far as this, by calling another module.
pub(crate) fn crosses(serial: usize, alignment: usize) {
    // Others are never noted by their alignment, so mostly there is nothing to do, and no lock to take.
    if alignment <= USUAL {
        return;
    }
    let mut blocks = lock(&BLOCKS);
    let Blocks { crossing, own } = &mut *blocks;
    let Some(crossing) = crossing.get_mut(&serial).filter(|crossing| **crossing < alignment) else { return };
    *crossing = alignment;
    // What it has already may be about to be handed over. Blocks that are so from the library's own account are of a usual
    // alignment, as far as anybody knows; one that isn't is lost with the library.
    own.retain(|_, (owner, layout)| *owner != serial || !may_be_own(*layout) || layout.align() > alignment);
}

/// The load with this serial has allocated a block.
///
/// # Safety
///
/// The block must have this layout. It must be [forgotten](forget) before it's freed.
pub(super) unsafe fn note(serial: usize, memory: *mut u8, layout: Layout) {
    let blocks = lock(&BLOCKS);
    let is_own = blocks.crossing.get(&serial).is_some_and(|&crossing| layout.align() > crossing);
    drop(blocks);
    if is_own && !memory.is_null() {
        // SAFETY: as the caller vouches; and nothing outside refers to it, by its alignment.
        unsafe { keep(serial, memory, layout) };
    }
}

/// The load with this serial has allocated a block and knows that it is its own.
///
/// # Safety
///
/// As [`note`], and nothing outside of the load may refer to it.
pub(super) unsafe fn keep(serial: usize, memory: *mut u8, layout: Layout) {
    lock(&BLOCKS).own.insert(memory.expose_provenance(), (serial, layout));
}

/// A block is about to be freed. True if it was known to be a load's own.
pub(super) fn forget(memory: *mut u8) -> bool {
    lock(&BLOCKS).own.remove(&memory.addr()).is_some()
}

/// The load has left memory: frees all blocks that are its own.
///
/// # Safety
///
/// No code of the load may run any more.
pub(crate) unsafe fn free(serial: usize) {
    let mut blocks = lock(&BLOCKS);
    blocks.crossing.remove(&serial);
    let left: Vec<_> = blocks.own.extract_if(|_, (owner, _)| *owner == serial).collect();
    drop(blocks);
    for (address, (_, layout)) in left {
        // SAFETY: allocated with this layout and not freed, or else it would have been forgotten. Only the load
        // could refer to it, as the module says, and that's gone.
        unsafe { std::alloc::dealloc(std::ptr::with_exposed_provenance_mut(address), layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIAL: usize = usize::MAX - 1;

    fn layout(alignment: usize) -> Layout {
        Layout::from_size_align(64, alignment).unwrap()
    }

    fn is_known(memory: *mut u8) -> bool {
        lock(&BLOCKS).own.contains_key(&memory.addr())
    }

    #[test]
    fn what_a_load_hands_over_to_another_module_isnt_its_own_any_more() {
        const SERIAL: usize = usize::MAX - 2;
        begin(SERIAL, 16);
        // SAFETY: both have a size.
        let [handed_over, kept] = [64, 128].map(|alignment| unsafe { std::alloc::alloc(layout(alignment)) });
        // SAFETY: just allocated, with these layouts.
        unsafe {
            note(SERIAL, handed_over, layout(64));
            note(SERIAL, kept, layout(128));
        }
        assert!(is_known(handed_over));
        crosses(SERIAL, 64);
        assert!(!is_known(handed_over) && is_known(kept));
        crosses(SERIAL, 32);
        // SAFETY: no code of a load of this number runs; the first block is nobody's but this test's.
        unsafe {
            note(SERIAL, handed_over, layout(64));
            assert!(!is_known(handed_over), "it hands over no less than before");
            free(SERIAL);
            std::alloc::dealloc(handed_over, layout(64));
        }
    }

    #[test]
    fn only_what_is_aligned_further_than_what_crosses_is_a_load_s_own() {
        assert!(!may_be_own(layout(16)) && may_be_own(layout(32)));
        begin(SERIAL, 64);
        let noted = |alignment| {
            // SAFETY: it has a size.
            let memory = unsafe { std::alloc::alloc(layout(alignment)) };
            // SAFETY: just allocated; forgotten below or freed as the load's own.
            unsafe { note(SERIAL, memory, layout(alignment)) };
            (memory, is_known(memory))
        };
        let (crossing, is_own) = noted(64);
        assert!(!is_own);
        let (freed, is_own) = noted(128);
        assert!(is_own);
        let (left, is_own) = noted(128);
        assert!(is_own);
        forget(freed);
        assert!(!is_known(freed));
        // SAFETY: allocated above with these layouts; the third is freed as the load's own.
        unsafe {
            std::alloc::dealloc(crossing, layout(64));
            std::alloc::dealloc(freed, layout(128));
            free(SERIAL);
        }
        assert!(!is_known(left));
        // SAFETY: nothing is noted, for there is no such load.
        unsafe { note(SERIAL, left, layout(128)) };
        assert!(!is_known(left), "a load that is gone has nothing");
    }
}
