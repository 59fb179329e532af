//! The same table in a host that has another allocator than the system's.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "leaving.rs"]
mod leaving;
