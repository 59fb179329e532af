use super::super::format::ROOT;
use super::super::format::tests::{BlockList, LABEL, blocks, fill, small};
use super::*;

pub(super) fn open(path: &Path, keep: usize) -> SnapshotFolder {
    SnapshotFolder::open(path, "logic", NonZeroUsize::new(keep).unwrap()).unwrap()
}

pub(super) fn take(folder: &mut SnapshotFolder, blocks: &BlockList) -> Result<Taken, DraftError> {
    let mut draft = folder.begin()?;
    fill(draft.writer(), blocks)?;
    draft.finish(LABEL)
}

pub(super) fn take_small(folder: &mut SnapshotFolder) -> PathBuf {
    let taken = take(folder, &small()).unwrap();
    assert!(taken.not_removed.is_empty());
    assert_eq!(taken.length, fs::metadata(&taken.path).unwrap().len());
    taken.path
}

/// The names of all files but the locks.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The path of the newest, and how many were refused before it.
pub(super) fn newest(folder: &mut SnapshotFolder) -> (Option<PathBuf>, usize) {
    let Newest { intact, refused, .. } = folder.newest().unwrap();
    (intact.map(|snapshot| snapshot.path().to_owned()), refused.len())
}

fn damage(path: &Path) {
    let mut content = fs::read(path).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(path, content).unwrap();
}

#[test]
fn a_snapshot_is_private_and_found_by_the_next_engine() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("above/snapshots");
    let mut folder = open(&path, 2);
    assert_eq!(newest(&mut folder), (None, 0));
    let first = take_small(&mut folder);
    let second = take_small(&mut folder);
    assert_eq!(names(&path), ["logic.000000000001.snapshot", "logic.000000000002.snapshot"]);
    assert_eq!(
        [&path, &first, &second, &path.join("logic.lock")].map(|path| mode(path)),
        [0o700, 0o600, 0o600, 0o600]
    );
    drop(folder);
    let mut folder = open(&path, 2);
    let Newest { intact, refused, .. } = folder.newest().unwrap();
    let mut snapshot = intact.unwrap();
    assert_eq!((snapshot.path(), refused.len()), (second.as_path(), 0));
    assert_eq!(blocks(&mut snapshot).unwrap(), small());
    assert!(take_small(&mut folder) > second);
}

#[test]
fn one_engine_at_a_time_and_left_overs_go() {
    let place = tempfile::tempdir().unwrap();
    let others =
        ["chat.000000000001.partial", "logic.1.partial", "logic.partial", "logic.x.000000000001.partial"];
    for name in others.iter().chain(&["logic.000000000009.partial"]) {
        fs::write(place.path().join(name), "left over").unwrap();
    }
    let folder = open(place.path(), 1);
    assert_eq!(names(place.path()), others);
    let again = SnapshotFolder::open(place.path(), "logic", NonZeroUsize::MIN);
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(folder);
    open(place.path(), 1);
}

#[test]
fn modules_can_share_a_folder() {
    let place = tempfile::tempdir().unwrap();
    let mut logic = open(place.path(), 1);
    let mut other = SnapshotFolder::open(place.path(), "logic-2", NonZeroUsize::MIN).unwrap();
    let path = take_small(&mut logic);
    assert_eq!(newest(&mut other), (None, 0));
    for _ in 0..3 {
        take_small(&mut other);
    }
    assert_eq!(newest(&mut logic), (Some(path), 0));
    assert_eq!(names(place.path()), ["logic-2.000000000003.snapshot", "logic.000000000001.snapshot"]);
}

#[test]
fn foreign_files_are_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let others = [
        "logic",
        "logic.+00000000005.snapshot",
        "logic.0000000000005.snapshot",
        "logic.000000000005.snapshot.gz",
        "logic.5.snapshot",
        "old.logic.000000000005.snapshot",
    ];
    for name in others {
        fs::write(place.path().join(name), "somebody's").unwrap();
    }
    // Their names are the module's, but they are folders: nothing to remove, and nothing to start from.
    fs::create_dir(place.path().join("logic.000000000003.partial")).unwrap();
    fs::create_dir(place.path().join("logic.000000000004.snapshot")).unwrap();
    let mut folder = open(place.path(), 1);
    assert_eq!(newest(&mut folder), (None, 1));
    take_small(&mut folder);
    let last = take_small(&mut folder);
    assert_eq!(last.file_name().unwrap(), "logic.000000000006.snapshot");
    assert_eq!(names(place.path()).len(), others.len() + 3);
}

#[test]
fn a_folder_that_everybody_may_write_to_is_refused() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = SnapshotFolder::open(place.path(), "logic", NonZeroUsize::MIN).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("mode 0777"), "{error}");
}

#[test]
fn a_draft_that_is_not_finished_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = open(place.path(), 1);
    let mut draft = folder.begin().unwrap();
    draft.writer().block(ROOT, b"root").unwrap();
    assert_eq!(names(place.path()), ["logic.000000000001.partial"]);
    drop(draft);
    assert!(names(place.path()).is_empty());
    assert_eq!(folder.begin().unwrap().finish(LABEL).unwrap_err().code(), "no-root");
    assert!(names(place.path()).is_empty());
}

#[test]
fn the_newest_are_kept() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = open(place.path(), 3);
    for taken in 1..=7 {
        let path = take_small(&mut folder);
        assert_eq!(names(place.path()).len(), taken.min(3));
        assert_eq!(newest(&mut folder), (Some(path), 0));
    }
    assert_eq!(names(place.path())[0], "logic.000000000005.snapshot");
}

#[test]
fn what_is_damaged_or_was_never_looked_at_stays() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = open(place.path(), 9);
    let paths: Vec<PathBuf> = (0..5).map(|_| take_small(&mut folder)).collect();
    damage(&paths[1]);
    damage(&paths[4]);
    drop(folder);
    let mut folder = open(place.path(), 1);
    assert_eq!(newest(&mut folder), (Some(paths[3].clone()), 1));
    let last = take_small(&mut folder);
    let left = |folder: &[&PathBuf]| folder.iter().filter(|path| path.exists()).count();
    assert_eq!(
        left(&[&paths[0], &paths[1], &paths[2], &paths[4], &last]),
        5,
        "none that isn't known to be intact"
    );
    assert!(!paths[3].exists());

    let refused = folder.verify_older().unwrap();
    assert_eq!(refused.iter().map(SnapshotError::path).collect::<Vec<_>>(), [&paths[1], &paths[4]]);
    assert!(paths[0].exists() && paths[2].exists(), "looking removes nothing");
    take_small(&mut folder);
    assert!(![&paths[0], &paths[2], &last].iter().any(|path| path.exists()));
    assert!(paths[1].exists() && paths[4].exists());
}

#[test]
fn what_became_damaged_is_no_longer_one_of_those_kept() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = open(place.path(), 2);
    let first = take_small(&mut folder);
    let second = take_small(&mut folder);
    damage(&second);
    assert_eq!(newest(&mut folder), (Some(first.clone()), 1));
    take_small(&mut folder);
    assert!(first.exists() && second.exists());
}

#[test]
fn files_put_in_or_taken_away_by_hand_are_reckoned_with() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = open(place.path(), 2);
    let first = take_small(&mut folder);
    let second = take_small(&mut folder);
    let put_in = place.path().join("logic.000000000005.snapshot");
    fs::rename(&second, &put_in).unwrap();
    let third = take_small(&mut folder);
    assert_eq!(third.file_name().unwrap(), "logic.000000000006.snapshot");
    assert!(first.exists(), "the second doesn't count as kept");
    assert!(put_in.exists());

    let last = place.path().join("logic.999999999999.snapshot");
    fs::rename(&put_in, &last).unwrap();
    let error = folder.begin().unwrap_err();
    assert_eq!(error.code(), "no-number-left");
    assert!(error.to_string().contains("logic.999999999999.snapshot"), "{error}");
    fs::remove_file(&last).unwrap();
    take_small(&mut folder);
}

#[test]
fn without_its_folder_an_attempt_fails_and_says_so() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("snapshots");
    let mut folder = open(&path, 1);
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(folder.begin().unwrap_err().code(), "unwritable-snapshot");
    assert_eq!(folder.newest().unwrap_err().code(), "unreadable-snapshot");
}

#[test]
fn whatever_happened_to_the_newest_the_one_before_it_is_used() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = open(place.path(), 2);
    let older = take_small(&mut folder);
    let newer = take_small(&mut folder);
    let whole = fs::read(&newer).unwrap();
    let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
    let flipped = (0..whole.len()).map(|index| {
        let mut content = whole.clone();
        content[index] ^= 0xff;
        content
    });
    let longer = [[&whole[..], b"!"].concat(), [&whole[..], &whole].concat()];
    for content in cut.chain(flipped).chain(longer) {
        fs::write(&newer, content).unwrap();
        assert_eq!(newest(&mut folder), (Some(older.clone()), 1));
    }
    fs::write(&newer, &whole).unwrap();
    assert_eq!(newest(&mut folder), (Some(newer), 0));
}
