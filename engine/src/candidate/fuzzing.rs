//! What a fuzzer asks of all that looks at a candidate before it's loaded.
//!
//! An input is a library, or else the text of a manifest, around which a library is put. A checksum that a fuzzer would
//! never guess is made right, so that what is behind it is reached: each input is looked at both ways. Of each, the
//! same is expected whatever it is: an answer and no panic, no more text than it brings itself, nothing left in the
//! folder, and what was read is what would be read again.

use std::borrow::Cow;
use std::fs;
use std::rc::Rc;
use std::sync::Arc;

use liveswap_state::manifest::{FORMAT, HEADER_LENGTH, MAGIC, SECTION};
use liveswap_state::{Access, COMPILER, CONTRACT, Fingerprint, MethodSpec};
use object::elf as raw;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use super::accept::{Source, accept};
use super::manifest::{self, Abi, Manifest};
use super::name::CandidateName;
use super::obstacles::Obstacles;
use super::private::PrivateFolder;
use super::state::{StateManifest, Way, way};
use super::{elf, nodelete, verify};

/// More than any message needs beside what it quotes of the candidate.
const MESSAGE_MAX: usize = 16 * 1024;

/// What the host calls. A seed's manifest has it.
const METHODS: &[MethodSpec] =
    &[MethodSpec { name: "hit", access: Access::Exclusive, fingerprint: Fingerprint::of("hit") }];

/// Has all of it look at an input.
pub(crate) fn candidate(input: &[u8]) {
    if input.starts_with(&raw::ELFMAG) {
        library(input);
        if let Some(mended) = mended(input) {
            library(&mended);
        }
    } else {
        library(&around(input));
    }
}

fn library(bytes: &[u8]) {
    let place = folder();
    let (folder, path) = (&place.folder, place.path.path());
    let accepted = accept(folder, Source::Memory { name: "candidate", content: bytes }, u64::MAX);
    let accepted = accepted.expect("there is room");
    assert!(fs::read(&accepted.copy.path).unwrap() == *accepted.content, "the copy is another");
    flags(bytes, &accepted.content);
    let Obstacles { may_stay, must_stay } = &accepted.copy.obstacles;
    for reason in may_stay.iter().chain(must_stay) {
        assert!(is_printable(reason), "{reason:?}");
        assert!(reason.len() <= MESSAGE_MAX, "a reason has {} bytes", reason.len());
    }
    match manifest::read(&accepted.content) {
        Ok((found, section)) => {
            assert!(section.len() <= bytes.len());
            read(&found, section.len());
        }
        Err(error) => assert!(error.to_string().len() <= MESSAGE_MAX + bytes.len()),
    }
    drop(accepted);
    let left: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"], "something was left behind");
}

/// Clearing the flag changes that one, and once.
fn flags(before: &[u8], after: &[u8]) {
    assert_eq!(before.len(), after.len());
    let changed = before.iter().zip(after).filter(|(before, after)| before != after);
    assert!(changed.clone().all(|(before, after)| before ^ after == raw::DF_1_NODELETE.0 as u8));
    assert!(changed.count() <= 1);
    let mut again = Cow::Borrowed(after);
    nodelete::clear(&mut again);
    assert!(matches!(again, Cow::Borrowed(_)), "the flag is still there");
}

/// A manifest that was read. `length` is how many bytes it takes.
fn read(found: &Manifest, length: usize) {
    // What it's compared with quotes it too, several times over: at most each of its bytes as six of an escape.
    let text_max = MESSAGE_MAX + 64 * length;
    let shown = found.to_string();
    assert!(shown.lines().all(is_printable) && shown.len() <= text_max);
    let text = serde_json::to_vec(found).expect("a manifest is JSON");
    let (again, section) = manifest::read(&around(&text)).expect("what was read is a manifest");
    assert_eq!(again, Manifest { abi: Abi::Rust, ..found.clone() });
    assert_eq!(section.len(), HEADER_LENGTH + text.len());

    verified(found.clone(), text_max);
    // As this host's own compiler would have made it, to get behind that comparison.
    let (compiler, panic) = (COMPILER.to_owned(), "unwind".to_owned());
    verified(Manifest { contract: CONTRACT, compiler, panic, ..found.clone() }, text_max);

    compared(&found.state, text_max);
}

fn verified(found: Manifest, text_max: usize) {
    let interface = verify::interface(&found, &found.interface, METHODS);
    match &interface {
        Ok(places) => assert!(places.iter().zip(METHODS).all(|(place, method)| {
            let found = &found.methods[*place];
            (found.name.as_str(), &found.fingerprint) == (method.name, &method.fingerprint.to_string())
        })),
        Err(error) => assert!(error.to_string().len() <= text_max),
    }
    let name = CandidateName::parse(&format!("{}.v{}.so", found.module, found.version));
    match verify::readable(found.clone(), None) {
        Ok(readable) => {
            assert_eq!(readable.manifest, found);
            assert_eq!(readable.version.to_string(), found.version);
            let named = name.as_ref().is_none_or(|name| verify::readable(found, Some(name)).is_ok());
            assert!(named, "it isn't what its own name says: {name:?}");
        }
        Err(error) => assert!(error.to_string().len() <= text_max),
    }
}

/// The state, with itself and with others that it might meet.
fn compared(found: &StateManifest, text_max: usize) {
    assert_eq!(way(found, found).ok(), Some(Way::InPlace));
    let mut other = found.clone();
    // Of another layout all through, so that the search for the first difference goes as deep as it can.
    other.fingerprint.push('!');
    other.types.iter_mut().for_each(|known| known.fingerprint.push('!'));
    let mut former = other.clone();
    former.from.clear();
    if let Some(last) = found.from.last() {
        former.fingerprint.clone_from(&last.fingerprint);
    }
    let mut renamed = other.clone();
    renamed.types.iter_mut().rev().take(1).for_each(|known| known.name.push('!'));
    for other in [&other, &former, &renamed] {
        for (candidate, running) in [(found, other), (other, found)] {
            match way(candidate, running) {
                Ok(Way::InPlace) => assert_eq!(candidate.fingerprint, running.fingerprint),
                Ok(Way::Upgrade { steps, .. }) => assert!((1..=candidate.from.len()).contains(&steps)),
                Ok(Way::Downgrade { steps }) => assert!((1..=running.from.len()).contains(&steps)),
                Err(error) => {
                    let length = error.to_string().len();
                    assert!(length <= text_max, "a message has {length} bytes, more than {text_max}");
                }
            }
        }
    }
}

fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// A private folder. It's removed with the thread that uses it.
struct Place {
    folder: Arc<PrivateFolder>,
    path: TempDir,
}

fn folder() -> Rc<Place> {
    thread_local! {
        static PLACE: Rc<Place> = {
            let path = tempfile::tempdir().unwrap();
            Rc::new(Place { folder: Arc::new(PrivateFolder::open(path.path()).unwrap()), path })
        };
    }
    PLACE.with(Rc::clone)
}

/// The same library with the right checksum over its manifest; none if there is no place for one.
fn mended(library: &[u8]) -> Option<Vec<u8>> {
    let section = elf::section(library, SECTION).ok()??;
    let (header, text) = section.split_at_checked(HEADER_LENGTH)?;
    let stated = u32::from_le_bytes(header[12..16].try_into().expect("four bytes")) as usize;
    let text = text.get(..stated).unwrap_or(text);
    let place = section.as_ptr().addr() - library.as_ptr().addr();
    let mut mended = library.to_vec();
    mended[place..][..HEADER_LENGTH].copy_from_slice(&header_of(text));
    Some(mended)
}

fn header_of(text: &[u8]) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    [&MAGIC[..], &FORMAT.to_le_bytes(), &length, &xxh3_64(text).to_le_bytes()].concat()
}

/// The smallest library with a manifest of this text: a header, the manifest, the names of sections, and these.
fn around(text: &[u8]) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.liveswap\0.shstrtab\0";
    const PROGRAM_BITS: u32 = 1;
    const STRING_TABLE: u32 = 3;
    let manifest = [header_of(text), text.to_vec()].concat();
    let names_from = ELF_HEADER_LENGTH + manifest.len();
    let sections_from = (names_from + NAMES.len()).next_multiple_of(8);
    let mut bytes = [&elf_header(sections_from)[..], &manifest, NAMES].concat();
    bytes.resize(sections_from, 0);
    bytes.extend([0; SECTION_HEADER_LENGTH]);
    bytes.extend(section_header(1, PROGRAM_BITS, ELF_HEADER_LENGTH, manifest.len()));
    bytes.extend(section_header(11, STRING_TABLE, names_from, NAMES.len()));
    bytes
}

const ELF_HEADER_LENGTH: usize = 64;
const SECTION_HEADER_LENGTH: usize = 64;

/// With three sections, the last of which has their names.
fn elf_header(sections_from: usize) -> [u8; ELF_HEADER_LENGTH] {
    let mut header = [0; ELF_HEADER_LENGTH];
    header[..4].copy_from_slice(&raw::ELFMAG);
    header[4..7].copy_from_slice(&[raw::ELFCLASS64.0, raw::ELFDATA2LSB.0, 1]);
    header[16..18].copy_from_slice(&raw::ET_DYN.0.to_le_bytes());
    header[18..20].copy_from_slice(&elf::MACHINE.0.to_le_bytes());
    header[40..48].copy_from_slice(&sections_from.to_le_bytes());
    header[58..60].copy_from_slice(&(SECTION_HEADER_LENGTH as u16).to_le_bytes());
    header[60..64].copy_from_slice(&[3, 0, 2, 0]);
    header
}

fn section_header(name: u32, kind: u32, from: usize, length: usize) -> [u8; SECTION_HEADER_LENGTH] {
    let mut header = [0; SECTION_HEADER_LENGTH];
    header[..4].copy_from_slice(&name.to_le_bytes());
    header[4..8].copy_from_slice(&kind.to_le_bytes());
    header[24..32].copy_from_slice(&from.to_le_bytes());
    header[32..40].copy_from_slice(&length.to_le_bytes());
    header
}
