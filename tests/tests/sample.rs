//! The sample module, in Rust and in C++: it says the same lines.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use liveswap::Output;
use liveswap_state::Bytes;
use liveswap_tests::foreign::{has_compilers, sample};
use liveswap_tests::{Fixture, Host, Patched};

/// Has two versions serve, one after the other, and compares all that they say.
fn says_its_lines(candidate: impl Fn(&str, &Path) -> PathBuf) {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = lines.clone();
    let host = Host::of::<dyn Bytes>(|builder, _| {
        let keep = move |output: &Output<'_>| {
            kept.lock().unwrap().push(format!("{} {}", output.version, output.text));
        };
        builder.option("logic", "k", "v").on_output(keep)
    });
    let text = |answer: Result<Vec<u8>, String>| String::from_utf8(answer.unwrap()).unwrap();
    let module = host.module::<dyn Bytes>();
    let infer = |what: &str| text(module.call(|bytes| bytes.call("inference", what.as_bytes())).unwrap());
    let ask =
        |method: &str, input: &str| text(module.call(|bytes| bytes.ask(method, input.as_bytes())).unwrap());

    host.push(candidate("1", host.folder()));
    assert_eq!(infer("X"), "done by 1");
    host.push(candidate("2", host.folder()));
    host.commit();
    host.wait_until_unmapped("1");
    assert_eq!(infer("Y"), "done by 2");
    assert_eq!((ask("inferences", ""), ask("config", "k")), ("2".to_owned(), "v".to_owned()));
    let other = module.call(|bytes| bytes.call("conference", b"")).unwrap();
    assert!(other.unwrap_err().contains("conference"));
    assert_eq!(host.end().mapped, 0);

    let lines = lines.lock().unwrap();
    let of = |version: &str| -> Vec<_> {
        lines.iter().filter_map(|line| line.strip_prefix(version)?.strip_prefix(' ')).collect()
    };
    let first = [
        "SamplePlugin constructed",
        "Set config: k = v",
        "SamplePlugin opened",
        "inference: X done.",
        "SamplePlugin closed",
        "SamplePlugin destroyed",
    ];
    let second = [
        "SamplePlugin constructed",
        "SamplePlugin reopened after reload",
        "inference: Y done.",
        "SamplePlugin closed",
        "SamplePlugin destroyed",
    ];
    assert_eq!((of("1"), of("2")), (first.to_vec(), second.to_vec()));
    assert_eq!(lines.len(), first.len() + second.len(), "nobody else says anything: {lines:?}");
}

#[test]
fn p0_10_the_sample_in_rust_says_its_lines() {
    says_its_lines(|version, folder| {
        Patched::of(Fixture::package("sample", "1").build()).version(version).write(folder, version)
    });
}

#[test]
fn p0_10_the_sample_in_cxx_says_its_lines() {
    if has_compilers() {
        says_its_lines(|version, folder| sample(version).build(folder));
    }
}
