//! The admin API's seeds, through the very function that the fuzzer calls. Those of the other targets are gone through
//! by the engine's own tests.

use std::fs;
use std::path::Path;

#[test]
fn nothing_is_found_by_the_seeds_for_the_admin_api() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/admin");
    let mut paths: Vec<_> = fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        // Shown if it fails.
        println!("{}", path.display());
        liveswap_fuzz::admin::connection(&fs::read(path).unwrap());
    }
}
