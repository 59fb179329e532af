//! What a fuzzer asks of all that reads snapshots' files.
//!
//! An input is a file, or else what a file is put together from: of each block the ordinal in a byte, the length in
//! two, and the bytes. Of a file, the checksums and lengths that a fuzzer would never guess are made right as well.
//! Whatever it is, it's refused or taken; the folder's newest is this one or the one before, and its files are what they
//! were; and what is read from a file that is intact would be written as the very same file again.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use tempfile::TempDir;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::disk::{Disk, RealDisk};
use super::folder::{Newest, SnapshotFolder};
use super::format::{FORMAT, HEADER_LENGTH, Header, Label, MAGIC, ROOT, Writer};
use super::intact::Intact;

/// Blocks, with their ordinals.
pub(crate) type BlockList = Vec<(u32, Vec<u8>)>;

const LABEL: Label = Label { schema: 1, fingerprint: [7; 16], taken_at: 1_700_000_000_000 };

/// A folder with one snapshot, beside which inputs are put.
struct Place {
    folder: SnapshotFolder,
    /// Removed with the thread that uses it.
    path: TempDir,
}

impl Place {
    fn new() -> Self {
        let path = tempfile::tempdir().unwrap();
        let keep = NonZeroUsize::new(2).expect("it isn't 0");
        let mut folder = SnapshotFolder::open(path.path(), "logic", keep).unwrap();
        let mut draft = folder.begin().unwrap();
        draft.writer().block(ROOT, b"the one before").unwrap();
        draft.finish(LABEL).unwrap();
        Self { folder, path }
    }

    fn of_this_thread() -> Rc<RefCell<Self>> {
        thread_local! {
            static PLACE: Rc<RefCell<Place>> = Rc::new(RefCell::new(Place::new()));
        }
        PLACE.with(Rc::clone)
    }

    fn name(&self, number: u64) -> PathBuf {
        self.path.path().join(format!("logic.{number:012}.snapshot"))
    }

    fn names(&self) -> BTreeSet<PathBuf> {
        fs::read_dir(self.path.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

/// The files that an input stands for.
pub(crate) fn files(input: &[u8]) -> Vec<Vec<u8>> {
    if !input.starts_with(&MAGIC) {
        return vec![file_of(&composed(input))];
    }
    let files = [Some(input.to_vec()), with_header_checksum(input), mended(input)];
    files.into_iter().flatten().collect()
}

/// Puts a file into the folder, and looks for the newest snapshot. That file, if it's that.
pub(crate) fn opened(file: &[u8]) -> Option<Intact> {
    let place = Place::of_this_thread();
    let mut place = place.borrow_mut();
    let (before, path) = (place.name(1), place.name(2));
    fs::write(&path, file).unwrap();
    let names = place.names();

    let Newest { intact, refused, .. } = place.folder.newest().unwrap();
    let newest = intact.expect("there is one that is intact");
    let direct = Intact::open(&path);
    let intact = match direct {
        Ok(mut intact) => {
            assert_eq!((newest.path(), refused.len()), (path.as_path(), 0));
            assert_eq!(newest.header(), intact.header());
            written_again(&mut intact, file);
            Some(intact)
        }
        Err(error) => {
            assert_eq!(newest.path(), before);
            assert_eq!(refused.iter().map(|it| it.to_string()).collect::<Vec<_>>(), [error.to_string()]);
            assert_eq!(error.path(), path);
            assert!(error.to_string().len() < 4096);
            None
        }
    };
    assert_eq!(place.folder.verify_older().unwrap().len(), usize::from(intact.is_none()));
    // One that is begun and given up leaves no trace either.
    drop(place.folder.begin().unwrap());
    assert_eq!(place.names(), names);
    assert!(fs::read(&path).unwrap() == file, "the file is another");
    intact
}

/// What was read is written, and gives the same file.
fn written_again(intact: &mut Intact, file: &[u8]) {
    let label = intact.header().label;
    let blocks = block_list(intact);
    assert_eq!(block_list(intact), blocks, "another reading gives something else");
    let again = scratch(&blocks, label);
    assert!(fs::read(&again).unwrap() == file, "it would be written as another file");
    fs::remove_file(again).unwrap();
}

fn block_list(intact: &mut Intact) -> BlockList {
    let mut list = Vec::new();
    let mut blocks = intact.blocks().expect("it can be read");
    while let Some(block) = blocks.next().expect("it's intact") {
        list.push((block.ordinal, block.bytes.to_vec()));
    }
    list
}

/// A snapshot of these blocks.
pub(crate) fn written(blocks: &BlockList) -> Intact {
    let path = scratch(blocks, LABEL);
    let intact = Intact::open(&path).expect("it was just written");
    // The open file stays.
    fs::remove_file(path).unwrap();
    intact
}

/// Writes a snapshot of these blocks into a file of its own.
fn scratch(blocks: &BlockList, label: Label) -> PathBuf {
    let (file, path) = tempfile::NamedTempFile::new().unwrap().keep().unwrap();
    let mut writer = Writer::new(Arc::new(RealDisk) as Arc<dyn Disk>, file, path.clone());
    for (ordinal, bytes) in blocks {
        writer.block(*ordinal, bytes).expect("there is room");
    }
    writer.finish(label).expect("there is room");
    assert_eq!(writer.file_length(), fs::metadata(&path).unwrap().len());
    path
}

fn file_of(blocks: &BlockList) -> Vec<u8> {
    let path = scratch(blocks, LABEL);
    let file = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    file
}

/// Blocks that an input stands for. The first is the root, whatever it says.
fn composed(mut input: &[u8]) -> BlockList {
    let mut blocks = BlockList::new();
    while let [ordinal, low, high, rest @ ..] = input {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let ordinal = if blocks.is_empty() { ROOT } else { u32::from(*ordinal) };
        blocks.push((ordinal, rest[..length].to_vec()));
        input = &rest[length..];
    }
    if blocks.is_empty() {
        blocks.push((ROOT, input.to_vec()));
    }
    blocks
}

/// The same with the right checksum of its header, whatever else that says.
fn with_header_checksum(file: &[u8]) -> Option<Vec<u8>> {
    let mut file = file.to_vec();
    let header = file.get_mut(..HEADER_LENGTH)?;
    let checksum = xxh3_64(&header[..64]);
    header[64..].copy_from_slice(&checksum.to_le_bytes());
    Some(file)
}

/// The same with the right lengths and checksums: a block that would end behind the file's end, ends there.
fn mended(file: &[u8]) -> Option<Vec<u8>> {
    const BLOCK_HEADER_LENGTH: usize = super::format::BLOCK_HEADER_LENGTH;
    let mut file = file.to_vec();
    let payload = file.get_mut(HEADER_LENGTH..)?;
    let mut place = 0;
    while let Some(left) = (payload.len() - place).checked_sub(BLOCK_HEADER_LENGTH) {
        let stated = &mut payload[place + 4..place + BLOCK_HEADER_LENGTH];
        let length = u64::from_le_bytes((&*stated).try_into().expect("eight bytes")).min(left as u64);
        stated.copy_from_slice(&length.to_le_bytes());
        place += BLOCK_HEADER_LENGTH + length as usize;
    }
    payload.get_mut(..4)?.copy_from_slice(&ROOT.to_le_bytes());
    payload[place..].fill(0);
    file.truncate(HEADER_LENGTH + place);
    let payload = &file[HEADER_LENGTH..];
    let (length, checksum) = (payload.len() as u64, xxh3_128(payload));
    file[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    file[32..40].copy_from_slice(&length.to_le_bytes());
    file[40..56].copy_from_slice(&checksum.to_le_bytes());
    let file = with_header_checksum(&file)?;
    assert!(Header::decode(&file[..HEADER_LENGTH], "mended".as_ref()).is_ok());
    Some(file)
}
