//! Watched folders that others may write to: what is loaded from them must be signed.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use liveswap_tests::log::Log;
use liveswap_tests::signing::{self, Signer, beside, set_mode, trusting};
use liveswap_tests::{Host, logic, wait_until};

/// A user that nobody is.
const SOMEBODY: u32 = 4711;

fn modules(folder: &Path) -> PathBuf {
    folder.join("modules")
}

/// A host with a watched folder, which trusts these.
fn watching(signers: &[&Signer]) -> Host {
    trusting(signers, |builder, folder| {
        let modules = modules(folder);
        fs::create_dir(&modules).unwrap();
        set_mode(&modules, 0o755);
        builder.watch(modules)
    })
}

/// Puts a version into the folder in one step, so that it is noticed once. Every user may write to the file, unlike to
/// its folder.
fn put(host: &Host, version: &str) -> PathBuf {
    let outside = host.folder().join("outside");
    fs::copy(logic(version), &outside).unwrap();
    set_mode(&outside, 0o646);
    let path = modules(host.folder()).join(format!("logic.v{version}.so"));
    fs::rename(outside, &path).unwrap();
    path
}

/// Signs it, with the signature put there in one step.
fn put_signature(host: &Host, signer: &Signer, candidate: &Path) {
    let outside = host.folder().join("outside");
    fs::write(&outside, signer.sign(&fs::read(candidate).unwrap())).unwrap();
    fs::rename(outside, beside(candidate)).unwrap();
}

fn refused(host: &Host) -> u64 {
    host.status().swaps.refused
}

#[track_caller]
fn wait_until_refused(host: &Host, times: u64) {
    wait_until(&format!("{times} were refused"), || refused(host) == times);
    // Its turn comes when the refusal is done with.
    host.engine.rescan();
}

#[track_caller]
fn wait_until_active(host: &Host, version: &str) {
    wait_until(&format!("{version} is active"), || host.slots().0.as_deref() == Some(version));
    host.engine.rescan();
}

#[test]
fn a_signature_that_comes_after_its_library_is_what_it_waited_for() {
    let signer = Signer::new();
    let host = watching(&[&signer]);
    let path = put(&host, "1001");
    wait_until_refused(&host, 1);
    for _ in 0..3 {
        host.engine.rescan();
    }
    assert_eq!((refused(&host), host.status().phase), (1, "empty"), "each content is tried once");
    // One by another key is news, and no good news.
    put_signature(&host, &Signer::new(), &path);
    wait_until_refused(&host, 2);
    host.engine.rescan();
    assert_eq!((refused(&host), host.status().phase), (2, "empty"), "and once with each signature");
    put_signature(&host, &signer, &path);
    wait_until_active(&host, "1001");
    assert_eq!((refused(&host), host.copies().len()), (2, 1));
}

#[test]
fn a_signature_that_comes_first_waits_for_its_library() {
    let signer = Signer::new();
    let host = watching(&[&signer]);
    let path = modules(host.folder()).join("logic.v1001.so");
    let signature = signer.sign(&fs::read(logic("1001")).unwrap());
    fs::write(beside(&path), signature).unwrap();
    host.engine.rescan();
    put(&host, "1001");
    wait_until_active(&host, "1001");
    assert_eq!(refused(&host), 0);
}

#[test]
fn a_key_that_is_added_later_makes_the_content_welcome() {
    let (old, new) = (Signer::new(), Signer::new());
    let host = watching(&[&old]);
    let path = modules(host.folder()).join("logic.v1001.so");
    fs::write(beside(&path), new.sign(&fs::read(logic("1001")).unwrap())).unwrap();
    put(&host, "1001");
    wait_until_refused(&host, 1);
    host.engine.rescan();
    assert_eq!(refused(&host), 1);
    new.trust(&signing::keys(host.folder()));
    host.engine.rescan();
    assert_eq!((host.version(), refused(&host)), ("1001".to_owned(), 1));
}

#[test]
fn a_file_that_nobody_else_may_write_to_neednt_be_signed() {
    let host = watching(&[&Signer::new()]);
    let path = put(&host, "1001");
    wait_until_refused(&host, 1);
    // With the same content and the same keys, but it's the owner's own now.
    set_mode(&path, 0o644);
    host.engine.rescan();
    assert_eq!((host.version(), refused(&host)), ("1001".to_owned(), 1));
}

#[test]
fn where_nobody_is_trusted_nothing_is_loaded_from_what_others_may_write_to() {
    let host = Host::with(|builder, folder| {
        set_mode(folder, 0o700);
        builder.watch(modules(folder))
    });
    set_mode(&modules(host.folder()), 0o755);
    let path = put(&host, "1001");
    wait_until_refused(&host, 1);
    put_signature(&host, &Signer::new(), &path);
    host.engine.rescan();
    assert_eq!((refused(&host), host.status().phase), (1, "empty"), "a signature says nothing here");
    set_mode(&path, 0o644);
    host.engine.rescan();
    assert_eq!(host.version(), "1001");
}

/// Whoever has signed what is in it: such a folder is a mistake.
#[test]
fn from_a_folder_that_every_user_may_write_to_not_even_what_is_signed_is_loaded() {
    let signer = Signer::new();
    let host = watching(&[&signer]);
    set_mode(&modules(host.folder()), 0o1777);
    let path = modules(host.folder()).join("logic.v1001.so");
    fs::write(beside(&path), signer.sign(&fs::read(logic("1001")).unwrap())).unwrap();
    put(&host, "1001");
    // Its signature may be noticed when it lies there already, and is then looked at once more.
    wait_until("it is refused", || refused(&host) >= 1);
    assert_eq!(host.status().phase, "empty");
    set_mode(&modules(host.folder()), 0o755);
    host.engine.rescan();
    assert_eq!(host.version(), "1001");
}

/// Only root can give things away. Everybody else's own group may be nobody else's, and then it is no fault.
#[test]
fn a_folder_of_a_group_or_of_another_user_needs_signatures() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a folder to others");
        return;
    }
    let gifts: [fn(&Path); 2] =
        [|folder| set_mode(folder, 0o775), |folder| chown(folder, Some(SOMEBODY), None).unwrap()];
    for give in gifts {
        let signer = Signer::new();
        let host = watching(&[&signer]);
        give(&modules(host.folder()));
        let path = modules(host.folder()).join("logic.v1001.so");
        fs::copy(logic("1001"), &path).unwrap();
        set_mode(&path, 0o644);
        wait_until_refused(&host, 1);
        assert_eq!(host.status().phase, "empty");
        put_signature(&host, &signer, &path);
        wait_until_active(&host, "1001");
        assert_eq!(refused(&host), 1);
    }
}

/// Whoever may rename the folder itself may put another in its place.
#[test]
fn a_folder_below_one_that_others_may_write_to_needs_signatures() {
    let signer = Signer::new();
    let host = trusting(&[&signer], |builder, folder| {
        let above = folder.join("above");
        fs::create_dir_all(modules(&above)).unwrap();
        set_mode(&modules(&above), 0o755);
        set_mode(&above, 0o757);
        builder.watch(modules(&above))
    });
    let above = host.folder().join("above");
    let path = modules(&above).join("logic.v1001.so");
    fs::copy(logic("1001"), &path).unwrap();
    set_mode(&path, 0o644);
    wait_until_refused(&host, 1);
    assert_eq!(host.status().phase, "empty");
    // As `/tmp` is: they may add, and rename nothing.
    set_mode(&above, 0o1777);
    host.engine.rescan();
    assert_eq!((host.version(), refused(&host)), ("1001".to_owned(), 1));
    set_mode(&above, 0o757);
    let path = modules(&above).join("logic.v1002.so");
    fs::write(beside(&path), signer.sign(&fs::read(logic("1002")).unwrap())).unwrap();
    fs::copy(logic("1002"), &path).unwrap();
    wait_until_active(&host, "1002");
    assert_eq!(refused(&host), 1);
}

#[test]
fn a_folder_with_more_files_than_anybody_looks_at_isnt_looked_through() {
    const FILES_MAX: usize = 16 * 1024;
    let log = Log::of_this_process();
    let host = Host::with(|builder, folder| {
        set_mode(folder, 0o700);
        let modules = modules(folder);
        fs::create_dir(&modules).unwrap();
        set_mode(&modules, 0o755);
        for number in 0..FILES_MAX {
            fs::write(modules.join(number.to_string()), "").unwrap();
        }
        let path = modules.join("logic.v1001.so");
        fs::copy(logic("1001"), &path).unwrap();
        set_mode(&path, 0o644);
        builder.watch(modules)
    });
    assert_eq!(host.status().phase, "empty");
    let folder = modules(host.folder()).display().to_string();
    let told: Vec<_> = log.records().into_iter().filter(|record| record.text("folder") == folder).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].text("code"), "too-many-files");
    assert!(told[0].text("error").contains(&FILES_MAX.to_string()), "{told:?}");
    fs::remove_file(modules(host.folder()).join("0")).unwrap();
    host.engine.rescan();
    assert_eq!(host.version(), "1001");
}
