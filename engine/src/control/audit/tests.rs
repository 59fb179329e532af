use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::control::{Allowed, Asker};

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    (folder, path)
}

fn committed(module: &str) -> Entry<'_> {
    Entry::new(&Asker::Host, Action::Commit, Some(module), Outcome::Committed)
}

fn modules(path: &Path) -> Vec<String> {
    let lines = fs::read_to_string(path).unwrap();
    assert!(lines.is_empty() || lines.ends_with('\n'), "{lines}");
    let module = |line: &str| {
        let line: Result<Value, _> = serde_json::from_str(line);
        line.map_or_else(|_| "torn".to_owned(), |line| line["module"].as_str().unwrap().to_owned())
    };
    lines.lines().map(module).collect()
}

#[test]
fn a_line_says_who_what_and_what_became_of_it() {
    let asker = Asker::Network { token: "ci".to_owned(), address: "192.0.2.1:4711".parse().unwrap() };
    let refused = Outcome::refused("older-version", &"too old\n{}");
    let entry = Entry {
        candidate: Some("logic\n.v1.so"),
        version: Some("1".to_owned()),
        sha256: Some("00ff"),
        allowed: Allowed { one_way: true, ..Allowed::default() },
        ..Entry::new(&asker, Action::Push, Some("logic"), refused)
    };
    let line = entry.line(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_042));
    assert_eq!(
        line,
        r#"{"time":"2023-11-14T22:13:20.042Z","asker":{"address":"192.0.2.1:4711","road":"network","token":"ci"},"#
            .to_owned()
            + r#""action":"push","module":"logic","candidate":"logic\n.v1.so","version":"1","sha256":"00ff","#
            + r#""allowed":["one-way"],"outcome":"refused","code":"older-version","message":"too old\n{}"}"#
    );
}

#[test]
fn a_long_text_is_cut_between_two_letters() {
    let name = "ä".repeat(2000);
    let entry = Entry::new(&Asker::Host, Action::Commit, Some(&name), Outcome::refused("busy", &name));
    let line: Value = serde_json::from_str(&entry.line(SystemTime::now())).unwrap();
    assert_eq!(line["module"].as_str().unwrap(), "ä".repeat(512));
    assert_eq!(line["message"].as_str().unwrap(), "ä".repeat(512));
}

#[test]
fn what_is_there_stays_and_only_its_owner_reads_it() {
    let (_folder, path) = place();
    Audit::open(Some(&path)).unwrap().note(&committed("one"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    let audit = Audit::open(Some(&path)).unwrap();
    audit.note(&committed("two"));
    assert!(fs::read(&path).unwrap().starts_with(&before));
    assert_eq!(modules(&path), ["one", "two"]);
    let status = audit.status().unwrap();
    assert_eq!((status.lines, status.failures), (1, 0));
    assert!(Audit::default().status().is_none());
}

#[test]
fn a_log_that_was_moved_away_is_begun_anew() {
    let (folder, path) = place();
    let audit = Audit::open(Some(&path)).unwrap();
    audit.note(&committed("one"));
    let moved = folder.path().join("audit.log.1");
    fs::rename(&path, &moved).unwrap();
    audit.note(&committed("two"));
    assert_eq!((modules(&moved), modules(&path)), (vec!["one".to_owned()], vec!["two".to_owned()]));
    fs::remove_file(&path).unwrap();
    audit.note(&committed("three"));
    assert_eq!(modules(&path), ["three"]);
}

#[test]
fn a_torn_line_spoils_no_other() {
    let (_folder, path) = place();
    fs::write(&path, "{\"time\":").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let audit = Audit::open(Some(&path)).unwrap();
    audit.note(&committed("one"));
    audit.note(&committed("two"));
    assert_eq!(modules(&path), ["torn", "one", "two"]);
}

#[test]
fn what_others_could_change_or_isnt_a_file_is_refused() {
    let (folder, path) = place();
    let code = |path: &Path| Audit::open(Some(path)).err().unwrap().code();
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
    assert_eq!(code(&path), "open-audit");
    assert_eq!(code(folder.path()), "audit-not-a-file");
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(code(&link), "audit-not-a-file");
    assert_eq!(code(&folder.path().join("nowhere/audit.log")), "unwritable-audit");
}

#[test]
fn another_users_file_is_refused_at_the_start_and_later() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only root can give a file away");
    }
    let (folder, path) = place();
    let audit = Audit::open(Some(&path)).unwrap();
    audit.note(&committed("one"));
    fs::rename(&path, folder.path().join("audit.log.1")).unwrap();
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&path, Some(4711), None).unwrap();
    let error = Audit::open(Some(&path)).err().unwrap();
    assert_eq!(error.code(), "audit-of-another");
    assert!(error.to_string().contains("4711"), "{error}");
    audit.note(&committed("two"));
    let status = audit.status().unwrap();
    assert_eq!((status.lines, status.failures), (1, 1));
    assert_eq!(fs::read(&path).unwrap(), b"");
    chown(&path, Some(0), None).unwrap();
    audit.note(&committed("three"));
    assert_eq!(modules(&path), ["three"]);
}

#[test]
fn a_line_that_cant_be_written_is_counted_and_the_next_one_is_tried() {
    let (folder, path) = place();
    let gone = folder.path().join("gone");
    fs::create_dir(&gone).unwrap();
    let audit = Audit::open(Some(&gone.join("audit.log"))).unwrap();
    fs::rename(&gone, folder.path().join("elsewhere")).unwrap();
    audit.note(&committed("one"));
    audit.note(&committed("two"));
    let status = audit.status().unwrap();
    assert_eq!((status.lines, status.failures), (0, 2));
    assert!(status.last_failure.unwrap().contains("gone/audit.log"));
    fs::create_dir(&gone).unwrap();
    audit.note(&committed("three"));
    assert_eq!(
        (audit.status().unwrap().lines, modules(&gone.join("audit.log"))),
        (1, vec!["three".to_owned()])
    );
    drop(path);
}
