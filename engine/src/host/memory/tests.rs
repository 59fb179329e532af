use std::alloc::System;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{slice, thread};

use proptest::prelude::*;

use super::*;

/// The system's allocator, which insists on getting its own blocks back with their own layouts.
#[derive(Default)]
struct Strict {
    blocks: Mutex<HashMap<usize, Layout>>,
}

impl Strict {
    fn enter(&self, block: *mut u8, layout: Layout) -> *mut u8 {
        self.blocks.lock().unwrap().insert(block.addr(), layout);
        block
    }

    fn leave(&self, block: *mut u8, layout: Layout) {
        assert_eq!(self.blocks.lock().unwrap().remove(&block.addr()), Some(layout));
    }

    fn is_empty(&self) -> bool {
        self.blocks.lock().unwrap().is_empty()
    }
}

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Strict {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract.
        self.enter(unsafe { System.alloc(layout) }, layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        self.enter(unsafe { System.alloc_zeroed(layout) }, layout)
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        self.leave(block, layout);
        let new_layout = Layout::from_size_align(new_size, layout.align()).unwrap();
        // SAFETY: as above.
        self.enter(unsafe { System.realloc(block, layout, new_size) }, new_layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.leave(block, layout);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Has no memory. Whoever resizes or frees a block of its was given none.
struct Exhausted;

// SAFETY: it never gives out a block.
unsafe impl GlobalAlloc for Exhausted {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {
        unreachable!("nothing was given out");
    }
}

/// Gives out memory, and then no more of it.
struct Stingy;

// SAFETY: the system's allocator does it all, except that nothing can be resized.
unsafe impl GlobalAlloc for Stingy {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, _: *mut u8, _: Layout, _: usize) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// The ledger is the process's, so each test has serials of its own.
fn fresh_serial() -> usize {
    static SERIALS: AtomicUsize = AtomicUsize::new(1);
    SERIALS.fetch_add(1, Ordering::Relaxed)
}

fn balance(serial: usize) -> usize {
    LEDGER.balance(serial).unwrap_or(0)
}

/// A block of an allocator's, filled with a byte.
struct Block<'allocator, A: GlobalAlloc> {
    allocator: &'allocator CountingAllocator<A>,
    memory: *mut u8,
    layout: Layout,
    fill: u8,
}

// SAFETY: whoever has a block has it alone.
unsafe impl<A: GlobalAlloc + Sync> Send for Block<'_, A> {}

impl<'allocator, A: GlobalAlloc> Block<'allocator, A> {
    /// None if there is no memory for it.
    fn new(
        allocator: &'allocator CountingAllocator<A>,
        owner: usize,
        layout: Layout,
        zeroed: bool,
    ) -> Option<Self> {
        // SAFETY: no test wants an empty block.
        let allocate =
            || unsafe { if zeroed { allocator.alloc_zeroed(layout) } else { allocator.alloc(layout) } };
        let memory = in_name_of(owner, allocate);
        if memory.is_null() {
            return None;
        }
        let mut block = Self { allocator, memory, layout, fill: 0 };
        assert!(memory.addr().is_multiple_of(layout.align()));
        if zeroed {
            block.assert_filled(layout.size());
        }
        block.fill_up(owner as u8 ^ layout.size() as u8);
        Some(block)
    }

    /// Whether there was memory for it.
    fn resize(&mut self, owner: usize, size: usize) -> bool {
        // SAFETY: its own block and layout.
        let memory = in_name_of(owner, || unsafe { self.allocator.realloc(self.memory, self.layout, size) });
        if memory.is_null() {
            return false;
        }
        let kept = self.layout.size().min(size);
        self.memory = memory;
        self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
        assert!(memory.addr().is_multiple_of(self.layout.align()));
        self.assert_filled(kept);
        self.fill_up(self.fill.wrapping_add(1));
        true
    }

    fn fill_up(&mut self, byte: u8) {
        self.fill = byte;
        // SAFETY: its own block.
        unsafe { self.memory.write_bytes(byte, self.layout.size()) }
    }

    #[track_caller]
    fn assert_filled(&self, length: usize) {
        // SAFETY: its own block, which was filled so far.
        let bytes = unsafe { slice::from_raw_parts(self.memory, length) };
        assert!(bytes.iter().all(|byte| *byte == self.fill));
    }
}

impl<A: GlobalAlloc> Drop for Block<'_, A> {
    fn drop(&mut self) {
        self.assert_filled(self.layout.size());
        // SAFETY: its own block and layout.
        unsafe { self.allocator.dealloc(self.memory, self.layout) }
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn blocks_of_every_alignment_are_given_out_resized_and_taken_back() {
    let allocator = CountingAllocator::new(Strict::default());
    for owner in [HOST, fresh_serial()] {
        for align in (0..=12).map(|exponent| 1 << exponent) {
            for size in [1, 7, 8, 9, 100, 5000] {
                for zeroed in [false, true] {
                    let mut block = Block::new(&allocator, owner, layout(size, align), zeroed).unwrap();
                    for size in [size * 3, size + 1, 1, 70_000] {
                        assert!(block.resize(owner, size));
                        assert_eq!(balance(owner), if owner == HOST { 0 } else { size });
                    }
                }
            }
        }
        assert_eq!(balance(owner), 0);
    }
    assert!(allocator.allocator.is_empty());
}

#[test]
fn a_block_that_is_too_large_with_its_header_is_refused() {
    let allocator = CountingAllocator::new(Strict::default());
    let owner = fresh_serial();
    for align in [1, 8, 16, 4096] {
        let largest = layout(isize::MAX as usize - (align - 1), align);
        for zeroed in [false, true] {
            assert!(Block::new(&allocator, owner, largest, zeroed).is_none());
        }
        assert!(allocator.allocator.is_empty());
        let mut block = Block::new(&allocator, owner, layout(10, align), false).unwrap();
        assert!(!block.resize(owner, largest.size()));
        assert_eq!(balance(owner), 10);
    }
}

#[test]
fn what_was_not_allocated_is_not_counted() {
    let owner = fresh_serial();
    let exhausted = CountingAllocator::new(Exhausted);
    assert!(Block::new(&exhausted, owner, layout(10, 8), false).is_none());
    assert_eq!(balance(owner), 0);

    let stingy = CountingAllocator::new(Stingy);
    let mut block = Block::new(&stingy, owner, layout(10, 8), false).unwrap();
    assert!(!block.resize(fresh_serial(), 20));
    assert_eq!(balance(owner), 10);
    drop(block);
    assert_eq!(balance(owner), 0);
}

#[test]
fn each_owner_has_its_own_count_and_a_resized_block_is_the_last_ones() {
    let allocator = CountingAllocator::new(System);
    let (one, other) = (fresh_serial(), fresh_serial());
    let first = Block::new(&allocator, one, layout(10, 1), false).unwrap();
    let mut second = Block::new(&allocator, other, layout(200, 64), true).unwrap();
    assert_eq!((balance(one), balance(other)), (10, 200));
    assert!(second.resize(one, 3000));
    assert_eq!((balance(one), balance(other)), (3010, 0));
    drop(first);
    assert!(second.resize(HOST, 100));
    assert_eq!((balance(one), balance(other)), (0, 0));
}

#[test]
fn a_block_freed_on_another_thread_is_its_owners() {
    let allocator = CountingAllocator::new(System);
    let owner = fresh_serial();
    let block = Block::new(&allocator, owner, layout(10, 8), false).unwrap();
    thread::scope(|scope| {
        let block = block;
        scope.spawn(move || drop(block));
    });
    assert_eq!(LEDGER.balance(owner), Some(0));
}

#[test]
fn the_host_asks_in_its_own_name_again_after_logic_has_asked() {
    let allocator = CountingAllocator::new(System);
    let owner = fresh_serial();
    let _logics = Block::new(&allocator, owner, layout(10, 8), false).unwrap();
    // SAFETY: allocated and freed with the same layout.
    unsafe {
        let memory = allocator.alloc(layout(100, 8));
        assert_eq!(balance(owner), 10);
        allocator.dealloc(memory, layout(100, 8));
    }
    assert_eq!(balance(owner), 10);
}

/// This test binary hasn't installed it.
#[test]
fn without_the_wrapper_nothing_is_known() {
    let owner = fresh_serial();
    // SAFETY: allocated and freed with the same layout.
    unsafe {
        let memory = black_box(allocate(owner, layout(10, 8)));
        assert_eq!(live_bytes(owner), None);
        std::alloc::dealloc(memory, layout(10, 8));
    }
}

#[derive(Clone, Debug)]
enum Request {
    Allocate { owner: usize, size: usize, exponent: u32, zeroed: bool },
    Resize { block: prop::sample::Index, owner: usize, size: usize },
    Free { block: prop::sample::Index },
}

const OWNERS: usize = 3;

fn request() -> impl Strategy<Value = Request> {
    let size = || prop_oneof![1..40_usize, 1..10_000_usize];
    prop_oneof![
        (0..OWNERS, size(), 0..13_u32, any::<bool>())
            .prop_map(|(owner, size, exponent, zeroed)| Request::Allocate { owner, size, exponent, zeroed }),
        (any::<prop::sample::Index>(), 0..OWNERS, size()).prop_map(|(block, owner, size)| Request::Resize {
            block,
            owner,
            size
        }),
        any::<prop::sample::Index>().prop_map(|block| Request::Free { block }),
    ]
}

proptest! {
    #[test]
    fn each_owner_has_as_many_bytes_as_its_blocks(requests in prop::collection::vec(request(), 1..100)) {
        let allocator = CountingAllocator::new(Strict::default());
        let serials: [usize; OWNERS] = [HOST, fresh_serial(), fresh_serial()];
        let mut blocks = Vec::new();
        for request in requests {
            match request {
                Request::Allocate { owner, size, exponent, zeroed } => {
                    let layout = layout(size, 1 << exponent);
                    let block = Block::new(&allocator, serials[owner], layout, zeroed).unwrap();
                    blocks.push((owner, block));
                }
                Request::Resize { block, owner, size } if !blocks.is_empty() => {
                    let (now, block) = block.get_mut(&mut blocks);
                    prop_assert!(block.resize(serials[owner], size));
                    *now = owner;
                }
                Request::Free { block } if !blocks.is_empty() => {
                    blocks.swap_remove(block.index(blocks.len()));
                }
                Request::Resize { .. } | Request::Free { .. } => {}
            }
            for (owner, serial) in serials.into_iter().enumerate().skip(1) {
                let its_own = blocks.iter().filter(|(other, _)| *other == owner);
                let expected: usize = its_own.map(|(_, block)| block.layout.size()).sum();
                prop_assert_eq!(balance(serial), expected);
            }
        }
        drop(blocks);
        prop_assert!(serials.into_iter().all(|serial| balance(serial) == 0));
        prop_assert!(allocator.allocator.is_empty());
    }
}
