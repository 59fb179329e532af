//! Bad input, row by row: what design.md lists, each with and without a probation.

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use liveswap::{Probation, Push};
use liveswap_state::CONTRACT;
use liveswap_state::manifest::FORMAT;
use liveswap_tests::fixture::logic;
use liveswap_tests::{Fixture, Host, Patched};

use liveswap_tests::signing::{Signer, set_mode};

use crate::fault::{fill_disk, free_disk};

/// Whose signatures are trusted.
static OWNER: LazyLock<Signer> = LazyLock::new(Signer::new);

/// A kind of bad input: what it's called, what is pushed, and the code that it's refused with.
struct Row {
    name: &'static str,
    push: fn(&Host) -> Push,
    code: &'static str,
    /// The version that runs meanwhile.
    running: fn() -> PathBuf,
    /// What is done to the world before, and undone after.
    around: Option<[fn(&Host); 2]>,
}

const fn row(name: &'static str, code: &'static str, push: fn(&Host) -> Push) -> Row {
    Row { name, push, code, running: || logic("1001"), around: None }
}

/// Version 1002 with a feature.
fn feature(host: &Host, feature: &'static str) -> PathBuf {
    let library = Patched::of(Fixture::new("1002").feature(feature).build());
    library.write(host.folder(), "1002")
}

/// Version 1002, changed.
fn changed(host: &Host, change: impl FnOnce(Patched) -> Patched) -> Push {
    change(Patched::of(logic("1002"))).write(host.folder(), "1002").into()
}

fn content(bytes: Vec<u8>) -> Push {
    Push::content("logic.v1002.so", bytes)
}

fn rows() -> Vec<Row> {
    vec![
        row("empty", "not-elf", |_| content(Vec::new())),
        row("not ELF", "not-elf", |_| content(b"#!/bin/sh\n".to_vec())),
        row("cut in its header", "truncated", |_| content(fs::read(logic("1002")).unwrap()[..40].to_vec())),
        row("cut in the middle", "truncated", |_| {
            let bytes = fs::read(logic("1002")).unwrap();
            content(bytes[..bytes.len() / 2].to_vec())
        }),
        row("cut by a byte", "truncated", |_| {
            let bytes = fs::read(logic("1002")).unwrap();
            content(bytes[..bytes.len() - 1].to_vec())
        }),
        row("another machine", "wrong-machine", |host| changed(host, |library| library.machine(8))),
        row("no manifest", "no-manifest", |host| {
            let path = host.folder().join("logic.v1002.so");
            fs::copy(Fixture::plain().build(), &path).unwrap();
            path.into()
        }),
        row("a manifest from the future", "future-manifest", |host| {
            changed(host, |library| library.format(FORMAT + 1))
        }),
        row("another contract", "wrong-contract", |host| {
            let (from, to) = (format!("\"contract\":{CONTRACT}"), "\"contract\":9");
            changed(host, |library| library.replace(&from, to))
        }),
        row("another compiler", "wrong-compiler", |host| {
            changed(host, |library| library.compiler("rustc 1.0.0"))
        }),
        row("panics abort", "panic-abort", |host| {
            changed(host, |library| library.replace("\"panic\":\"unwind\"", "\"panic\":\"abort\""))
        }),
        row("another interface", "wrong-interface", |host| feature(host, "other-interface").into()),
        row("a missing method", "wrong-interface", |host| feature(host, "missing-method").into()),
        row("another state without a migration", "wrong-state", |host| feature(host, "other-state").into()),
        row("the same version with other bytes", "conflicting-version", |host| {
            let library = Patched::of(Fixture::new("1001").feature("unique").build());
            library.write(host.folder(), "1001").into()
        }),
        row("an older version", "older-version", |host| {
            Patched::of(logic("1001")).version("1000").write(host.folder(), "1000").into()
        }),
        row("a constructor that keeps memory", "bind-failed", |host| feature(host, "holds-memory").into()),
        row("a hook that refuses", "prepare-refused", |host| feature(host, "prepare-refuses").into()),
        row("a hook that panics", "prepare-panicked", |host| feature(host, "prepare-panics").into()),
        row("a hook that hangs", "hook-hung", |host| feature(host, "prepare-hangs").into()),
        row("a self-test that fails", "self-test-failed", |host| feature(host, "self-test-fails").into()),
        row("a self-test that panics", "prepare-panicked", |host| feature(host, "self-test-panics").into()),
        row("a self-test that hangs", "hook-hung", |host| feature(host, "self-test-hangs").into()),
        Row {
            running: || Fixture::new("1001").feature("vetoes").build(),
            ..row("a veto", "vetoed", |_| logic("1002").into())
        },
        Row {
            running: || Fixture::new("1001").feature("yield-panics").build(),
            ..row("a panic instead of a vote", "yield-panicked", |_| logic("1002").into())
        },
        row("unsigned", "unsigned", |_| logic("1002").into()),
        row("signed by somebody else", "unknown-key", |_| {
            let bytes = fs::read(logic("1002")).unwrap();
            let signature = Signer::new().sign(&bytes);
            content(bytes).signed(signature)
        }),
        row("badly signed", "bad-signature", |_| {
            let bytes = fs::read(logic("1002")).unwrap();
            let signature = OWNER.sign(&bytes[1..]);
            content(bytes).signed(signature)
        }),
        Row {
            around: Some([|_| fill_disk(), |_| free_disk()]),
            ..row("a full disk", "unwritable", |_| logic("1002").into())
        },
        row("a file that isn't there", "unreadable", |host| host.folder().join("logic.v1002.so").into()),
        Row {
            around: Some([|host| read_only(host, true), |host| read_only(host, false)]),
            ..row("a read-only folder", "unwritable", |_| logic("1002").into())
        },
        row("a folder that has vanished", "unreadable", |host| {
            host.folder().join("vanished/logic.v1002.so").into()
        }),
        row("a folder", "not-a-file", |host| {
            let path = host.folder().join("logic.v1002.so");
            fs::create_dir(&path).unwrap();
            path.into()
        }),
    ]
}

/// Takes the right to write into the private folder, or gives it back. Root has it anyway, so for root the disk's limit
/// stands in.
fn read_only(host: &Host, is_taken: bool) {
    set_mode(host.private(), if is_taken { 0o500 } else { 0o700 });
    if rustix::process::geteuid().is_root() {
        if is_taken { fill_disk() } else { free_disk() }
    }
}

/// Tries each row, with and without a probation. How many cells there are.
pub(crate) fn check() -> usize {
    let mut count = 0;
    for row in rows() {
        for probation in [false, true] {
            row.check(probation);
            count += 1;
        }
    }
    count + check_watched_folders()
}

impl Row {
    fn check(&self, probation: bool) {
        let demands = ["unsigned", "signed by somebody else", "badly signed"].contains(&self.name);
        let host = Host::with(|builder, folder| {
            let keys = folder.join("keys");
            fs::create_dir(&keys).unwrap();
            set_mode(&keys, 0o700);
            OWNER.trust(&keys);
            let builder = builder.trusted_keys(keys).require_signatures(demands);
            let builder = builder.hook_deadline(Duration::from_secs(2));
            let vetoes = NonZeroU32::new(2).expect("it isn't zero");
            let builder = builder.vetoes_max(vetoes, Duration::from_millis(5));
            if probation { builder.probation(Probation::default()) } else { builder }
        });
        let running = (self.running)();
        let signature = OWNER.sign(&fs::read(&running).unwrap());
        host.push(Push::file(running).signed(signature));
        host.game().call(|game| game.record(5)).unwrap();
        let push = (self.push)(&host);
        if let Some([before, _]) = self.around {
            before(&host);
        }
        let outcome = host.engine.push(push);
        if let Some([_, after]) = self.around {
            after(&host);
        }
        let when = format!("{} (probation: {probation})", self.name);
        let error = outcome.expect_err(&when);
        assert_eq!(error.code(), self.code, "{when}: {error}");
        assert!(error.to_string().len() > 20, "{when}: it says too little: {error}");
        let status = host.status();
        assert_eq!((host.version().as_str(), status.phase), ("1001", "serving"), "{when}");
        assert_eq!((status.swaps.refused, status.swaps.committed), (1, 0), "{when}");
        assert_eq!(host.game().call(|game| game.totals()).unwrap().recorded, 5, "{when}");
        // What hung lets go once it is told to.
        host.wait_until_mapped(1);
        let left = host.end();
        assert_eq!((left.mapped, left.copies), (0, 0), "{when}");
    }
}

/// A watched folder that every user may write to, one that can't be read, and one that vanishes.
fn check_watched_folders() -> usize {
    let watching = |folder: &PathBuf| Host::with(|builder, _| builder.watch(folder));
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("modules");
    fs::create_dir(&folder).unwrap();
    fs::copy(logic("1001"), folder.join("logic.v1001.so")).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let open = watching(&folder);
    assert_eq!(
        (open.status().phase, open.status().swaps.refused),
        ("empty", 1),
        "every user may write to it"
    );
    drop(open);

    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let host = watching(&folder);
    assert_eq!(host.version(), "1001");
    fs::remove_dir_all(&folder).unwrap();
    host.engine.rescan();
    assert_eq!(host.version(), "1001", "the folder has vanished");
    host.push(logic("1002"));
    2
}
