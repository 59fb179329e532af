//! The way in for the fuzz targets, which need what nobody else may use.
//!
//! It's there in this crate's own tests and with `--cfg liveswap_fuzzing`, so it gets into no host. The functions
//! panic if something is wrong; whatever the input is, nothing may be. The tests here run all seeds through them:
//! so what was found once is found again without a fuzzer.

/// Has everything that looks at a candidate before it's loaded look at this one.
pub fn candidate(input: &[u8]) {
    crate::candidate::fuzzing::candidate(input);
}

/// Has everything that reads snapshots read this one, down to the state.
pub fn snapshot(input: &[u8]) {
    for file in crate::snapshot::fuzzing::files(input) {
        if let Some(mut intact) = crate::snapshot::fuzzing::opened(&file) {
            crate::control::restored(&mut intact, crate::snapshot::fuzzing::written);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    fn run_seeds(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds").join(target);
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Shown if it fails.
            println!("{}", path.display());
            run(&fs::read(path).unwrap());
            count += 1;
        }
        assert!(count > 0, "there are no seeds");
    }

    #[test]
    fn nothing_is_found_by_the_seeds_for_candidates() {
        run_seeds("candidate", super::candidate);
    }

    #[test]
    fn nothing_is_found_by_the_seeds_for_snapshots() {
        run_seeds("snapshot", super::snapshot);
    }
}
