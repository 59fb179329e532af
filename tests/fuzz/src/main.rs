//! The fuzzer: one target, which the variable `LIVESWAP_TARGET` names. `ci/fuzz` builds and runs it.
#![cfg_attr(liveswap_fuzzing, no_main)]

#[cfg(liveswap_fuzzing)]
mod fuzzer {
    use std::sync::LazyLock;

    use liveswap_fuzz::{admin, mutation};

    type Target = fn(&[u8]);

    static TARGET: LazyLock<Target> = LazyLock::new(|| {
        let name = std::env::var("LIVESWAP_TARGET");
        match name.as_deref() {
            Ok("candidate") => liveswap::fuzzing::candidate,
            Ok("snapshot") => liveswap::fuzzing::snapshot,
            Ok("admin") => {
                // Builds libraries, which takes longer than an input may.
                admin::begin();
                admin::connection
            }
            other => panic!("found LIVESWAP_TARGET={other:?}, expected candidate, snapshot or admin"),
        }
    });

    libfuzzer_sys::fuzz_target!(
        init: {
            LazyLock::force(&TARGET);
        },
        |input: &[u8]| TARGET(input)
    );

    libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
        mutation::mutate(data, size, max_size, seed)
            .unwrap_or_else(|| libfuzzer_sys::fuzzer_mutate(data, size, max_size))
    });
}

#[cfg(not(liveswap_fuzzing))]
fn main() {
    eprintln!("this was built without a fuzzer: run `ci/fuzz`");
    std::process::exit(2);
}
