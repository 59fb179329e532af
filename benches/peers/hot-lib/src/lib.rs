//! The library that hot-lib-reloader loads in the benchmarks: the same function as liveswap's, by Rust's calling
//! convention, which that crate expects.

/// One more.
// SAFETY: no other library exports this name.
#[unsafe(no_mangle)]
pub fn hot_next(number: u64) -> u64 {
    number.checked_add(1).expect("nobody counts that far")
}

/// Which build it is.
// SAFETY: no other library exports this name.
#[unsafe(no_mangle)]
pub fn hot_version() -> u64 {
    VERSION.len() as u64
}

/// Set by whoever builds it for a measurement; its length tells the builds apart.
const VERSION: &str = match option_env!("LIVESWAP_FIXTURE_VERSION") {
    Some(version) => version,
    None => "",
};
