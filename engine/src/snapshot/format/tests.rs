use std::fs;

use proptest::prelude::*;

use super::super::disk::RealDisk;
use super::super::intact::Intact;
use super::*;

pub(in super::super) type BlockList = Vec<(u32, Vec<u8>)>;

pub(in super::super) const LABEL: Label =
    Label { schema: 3, fingerprint: *b"the fingerprint!", taken_at: 1_700_000_000_123 };

pub(in super::super) fn small() -> BlockList {
    vec![(ROOT, b"root".to_vec()), (1, b"one".to_vec()), (1, Vec::new()), (2, vec![0; 20])]
}

pub(in super::super) fn fill(writer: &mut Writer, blocks: &BlockList) -> Result<(), DraftError> {
    blocks.iter().try_for_each(|(ordinal, bytes)| writer.block(*ordinal, bytes))
}

pub(in super::super) fn blocks(snapshot: &mut Intact) -> Result<BlockList, SnapshotError> {
    let mut all = Vec::new();
    let mut blocks = snapshot.blocks()?;
    while let Some(block) = blocks.next()? {
        all.push((block.ordinal, block.bytes.to_vec()));
    }
    Ok(all)
}

/// A place for one file.
struct Place {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("snapshot"), _folder: folder }
    }

    fn writer(&self) -> Writer {
        let _ = fs::remove_file(&self.path);
        let disk = Arc::new(RealDisk);
        let file = disk.create(&self.path).unwrap();
        Writer::new(disk, file, self.path.clone())
    }

    /// What is in a snapshot of these blocks.
    fn written(&self, blocks: &BlockList) -> Vec<u8> {
        let mut writer = self.writer();
        fill(&mut writer, blocks).unwrap();
        writer.finish(LABEL).unwrap();
        let content = fs::read(&self.path).unwrap();
        assert_eq!(writer.file_length(), content.len() as u64);
        content
    }

    /// Opens a file of this content, and reads it to its end.
    fn read(&self, content: &[u8]) -> Result<BlockList, SnapshotError> {
        fs::write(&self.path, content).unwrap();
        blocks(&mut Intact::open(&self.path)?)
    }

    fn refused(&self, content: &[u8]) -> SnapshotError {
        let error = self.read(content).unwrap_err();
        assert_eq!(error.path(), self.path);
        error
    }
}

/// A file whose checksums are right, whatever its payload is.
fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut checksum = Checksum::default();
    checksum.add(payload);
    let header = Header { label: LABEL, length: checksum.length, checksum: checksum.hash.digest128() };
    [&header.encode(), payload].concat()
}

fn block(ordinal: u32, length: u64, bytes: &[u8]) -> Vec<u8> {
    [&ordinal.to_le_bytes()[..], &length.to_le_bytes(), bytes].concat()
}

/// The bytes are a promise to hosts of later releases.
#[test]
fn the_bytes_are_those_of_the_format() {
    let place = Place::new();
    let payload = [block(0, 4, b"root"), block(7, 2, b"it")].concat();
    let written = place.written(&vec![(ROOT, b"root".to_vec()), (7, b"it".to_vec())]);
    let header = [
        &b"LIVESNAP"[..],
        &[1, 0, 0, 0],
        &[3, 0, 0, 0],
        b"the fingerprint!",
        &[30, 0, 0, 0, 0, 0, 0, 0],
        &0xdfd946011b9d50f1aa4a1b79dee88646_u128.to_le_bytes(),
        &[0x7b, 0x68, 0xe5, 0xcf, 0x8b, 1, 0, 0],
        &0x914264a322e6a9e9_u64.to_le_bytes(),
    ]
    .concat();
    assert_eq!(written, [header, payload].concat());
}

#[test]
fn what_was_written_is_read_whatever_its_size() {
    let place = Place::new();
    let mut sizes = vec![0, 1, 3 * BUFFER_LENGTH];
    // Around the point where the first block fills the buffer, with and without both headers.
    sizes.extend(BUFFER_LENGTH - HEADER_LENGTH - BLOCK_HEADER_LENGTH - 2..BUFFER_LENGTH + 2);
    for size in sizes.into_iter().step_by(7) {
        let blocks = vec![(ROOT, vec![7; size]), (1, b"one".to_vec()), (1, vec![9; size])];
        let content = place.written(&blocks);
        assert!(place.read(&content).unwrap() == blocks, "{size}");
    }
    place.written(&small());
    let snapshot = Intact::open(&place.path).unwrap();
    assert_eq!((snapshot.header().label, snapshot.path()), (LABEL, place.path.as_path()));
}

#[test]
fn blocks_can_be_read_again() {
    let place = Place::new();
    place.written(&small());
    let mut snapshot = Intact::open(&place.path).unwrap();
    snapshot.blocks().unwrap().next().unwrap();
    assert_eq!(blocks(&mut snapshot).unwrap(), small());
    assert_eq!(blocks(&mut snapshot).unwrap(), small());
}

#[test]
fn cut_short_anywhere_it_is_truncated() {
    let place = Place::new();
    let whole = place.written(&small());
    for length in 0..whole.len() {
        let error = place.refused(&whole[..length]);
        assert!(
            matches!(error, SnapshotError::Truncated { found, .. } if found == length as u64),
            "{length}"
        );
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let place = Place::new();
    let whole = place.written(&small());
    for index in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[index] ^= 1 << bit;
            let error = place.refused(&flipped);
            let expected: &[&str] = match index {
                0..8 => &["not-a-snapshot"],
                8..12 => &["future-snapshot", "damaged-snapshot"],
                _ => &["damaged-snapshot"],
            };
            assert!(expected.contains(&error.code()), "byte {index}, bit {bit}: {error}");
        }
    }
}

#[test]
fn what_is_longer_than_its_header_says_is_damaged() {
    let place = Place::new();
    let mut content = place.written(&small());
    for _ in 0..100 {
        content.push(0);
        assert_eq!(place.refused(&content).code(), "damaged-snapshot");
    }
}

#[test]
fn a_later_format_says_so_whatever_follows() {
    let place = Place::new();
    let start = [&MAGIC[..], &2_u32.to_le_bytes()].concat();
    assert!(matches!(place.refused(&start), SnapshotError::Future { found: 2, .. }));
    let content = [&start[..], &[0xff; 200]].concat();
    let error = place.refused(&content);
    assert_eq!(error.code(), "future-snapshot");
    assert!(error.to_string().contains("format 2, expected 1"), "{error}");
}

#[test]
fn another_file_is_no_snapshot() {
    let place = Place::new();
    assert_eq!(place.refused(b"LIVESWAP and more").code(), "not-a-snapshot");
    assert_eq!(place.refused(b"x").code(), "not-a-snapshot");
    let refused = |path: &Path| Intact::open(path).unwrap_err().code();
    assert_eq!(refused(Path::new("/dev/null")), "not-a-snapshot");
    assert_eq!(refused(place.path.parent().unwrap()), "not-a-snapshot");
    fs::remove_file(&place.path).unwrap();
    assert_eq!(refused(&place.path), "unreadable-snapshot");
}

/// A checksum shows that bytes are what somebody wrote, and not that they make sense.
#[test]
fn lengths_are_not_believed_even_under_a_right_checksum() {
    let place = Place::new();
    let damaged = |payload: &[u8], what: &str| {
        let error = place.refused(&sealed(payload));
        assert_eq!(error.code(), "damaged-snapshot");
        assert!(error.to_string().contains(what), "{error}");
    };
    damaged(&[], "has no block");
    damaged(&[0; 11], "last 11 bytes");
    damaged(&block(1, 0, b""), "ordinal 1, expected 0");
    damaged(&block(0, 5, b"root"), "states 5 bytes, 4 follow");
    damaged(&block(0, u64::MAX, b"root"), "4 follow");
    damaged(&[block(0, 4, b"root"), block(1, 1 << 40, b"")].concat(), "0 follow");
    damaged(&[block(0, 4, b"root"), vec![0; 3]].concat(), "last 3 bytes");
    for length in [u64::MAX, u64::MAX - HEADER_LENGTH as u64, 1 << 40] {
        let header = Header { label: LABEL, length, checksum: 0 };
        assert_eq!(place.refused(&header.encode()).code(), "truncated-snapshot");
    }
}

#[test]
fn what_changes_after_it_was_verified_is_found() {
    let place = Place::new();
    let mut content = place.written(&small());
    let mut snapshot = Intact::open(&place.path).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(&place.path, &content).unwrap();
    assert_eq!(blocks(&mut snapshot).unwrap_err().code(), "damaged-snapshot");
    content.pop();
    fs::write(&place.path, &content).unwrap();
    assert_eq!(blocks(&mut snapshot).unwrap_err().code(), "damaged-snapshot");
}

#[test]
fn nothing_is_written_that_could_not_be_read() {
    let mut writer = Place::new().writer();
    assert_eq!(writer.finish(LABEL).unwrap_err().code(), "no-root");
    assert_eq!(writer.block(1, b"one").unwrap_err().code(), "no-root");
    writer.block(ROOT, b"").unwrap();
    writer.block(1, b"one").unwrap();
    writer.finish(LABEL).unwrap();
}

/// A length, mostly a small one, and now and then one that the buffer doesn't hold.
fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => prop::collection::vec(any::<u8>(), 0..100),
        1 => (any::<u8>(), 0..3 * BUFFER_LENGTH).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

proptest! {
    #[test]
    fn any_blocks_come_back(
        root in some_bytes(),
        others in prop::collection::vec((any::<u32>(), some_bytes()), 0..20),
    ) {
        let place = Place::new();
        let blocks = [vec![(ROOT, root)], others].concat();
        let content = place.written(&blocks);
        prop_assert!(place.read(&content).unwrap() == blocks);
    }

    #[test]
    fn garbage_is_refused(garbage in prop::collection::vec(any::<u8>(), 0..200), is_like in any::<bool>()) {
        let place = Place::new();
        let start: &[u8] = if is_like { b"LIVESNAP\x01\0\0\0" } else { b"" };
        prop_assert!(place.read(&[start, &garbage].concat()).is_err());
    }

    #[test]
    fn a_garbled_payload_under_a_right_checksum_never_panics(
        pieces in prop::collection::vec((0..3_u32, prop_oneof![0..50_u64, any::<u64>()], some_bytes()), 0..5),
    ) {
        let payload: Vec<u8> = pieces.iter().flat_map(|(ordinal, length, bytes)| block(*ordinal, *length, bytes)).collect();
        if let Err(error) = Place::new().read(&sealed(&payload)) {
            prop_assert_eq!(error.code(), "damaged-snapshot");
        }
    }
}
