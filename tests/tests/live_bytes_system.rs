//! What a version's code has allocated and nobody has freed, on a host that counts the system's allocator.

mod live_bytes;

use std::alloc::System;

use liveswap::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator<System> = CountingAllocator::new(System);
