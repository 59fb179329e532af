//! What one would pick instead of liveswap.

pub(crate) mod cell;
