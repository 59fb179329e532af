//! What a version's code has allocated and nobody has freed, on a host that counts mimalloc.

mod live_bytes;

use liveswap::CountingAllocator;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: CountingAllocator<MiMalloc> = CountingAllocator::new(MiMalloc);
