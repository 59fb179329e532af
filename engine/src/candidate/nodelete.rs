//! Clearing the flag in a file that tells the loader never to unmap the library.
//!
//! A library linked with `-z nodelete` carries it, and rust-lang/rust#158402 would set it for every Rust library,
//! because unloading one isn't safe for a host that doesn't know how. This engine's purpose is to know how. It
//! loads a copy of its own, so what the copy says of unloading is its own affair; the user's file stays as it is.

use std::borrow::Cow;
use std::mem::offset_of;

use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use super::elf::header;

type Entry = elf::Dyn64<LittleEndian>;

/// Clears `DF_1_NODELETE` in a library's bytes. What can't be read stays as it is: verifying refuses it later.
pub(super) fn clear(library: &mut Cow<'_, [u8]>) {
    if let Some((place, flags)) = find(library) {
        let cleared = flags & !elf::DF_1_NODELETE.0;
        library.to_mut()[place..][..size_of_val(&cleared)].copy_from_slice(&cleared.to_le_bytes());
    }
}

/// The library's flags, if this one is among them, and where in the file they stand.
fn find(library: &[u8]) -> Option<(usize, u64)> {
    let endian = LittleEndian;
    let segments = header(library).ok()?.program_headers(endian, library).ok()?;
    // Of several segments and entries of a kind, the loader goes by the last.
    let segment = segments.iter().rfind(|segment| segment.p_type(endian) == elf::PT_DYNAMIC)?;
    let entries = segment.dynamic(endian, library).ok()??;
    let entries = entries.split(|entry| entry.tag(endian) == elf::DT_NULL).next()?;
    let index = entries.iter().rposition(|entry| entry.tag(endian) == elf::DT_FLAGS_1)?;
    let flags = entries[index].val(endian);
    let entry = usize::try_from(segment.p_offset(endian)).ok()? + index * size_of::<Entry>();
    (flags & elf::DF_1_NODELETE.0 != 0).then_some((entry + offset_of!(Entry, d_val), flags))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The test's own executable: it has flags, as everything has that is bound when it's loaded.
    fn library() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    /// The same library, linked with `-z nodelete`.
    pub(in crate::candidate) fn undeletable(library: &[u8]) -> Vec<u8> {
        let endian = LittleEndian;
        let segments = header(library).unwrap().program_headers(endian, library).unwrap();
        let segment = segments.iter().find(|segment| segment.p_type(endian) == elf::PT_DYNAMIC).unwrap();
        let entries = segment.dynamic(endian, library).unwrap().unwrap();
        let index = entries.iter().position(|entry| entry.tag(endian) == elf::DT_FLAGS_1).unwrap();
        let mut flagged = library.to_vec();
        flagged[segment.p_offset(endian) as usize + 16 * index + 8] |= 8;
        flagged
    }

    #[test]
    fn the_flag_is_cleared_and_nothing_else_is_changed() {
        let library = library();
        let mut content = Cow::Owned(undeletable(&library));
        assert!(*content != library);
        clear(&mut content);
        assert!(*content == library);
    }

    #[test]
    fn a_library_without_the_flag_is_not_even_copied() {
        let library = library();
        let mut content = Cow::Borrowed(&*library);
        clear(&mut content);
        assert!(matches!(content, Cow::Borrowed(_)));
    }

    #[test]
    fn a_file_cut_short_stays_as_it_is() {
        let flagged = undeletable(&library());
        for length in [0, 4, 63, 64, 100, 1000, 10_000] {
            let mut content = Cow::Borrowed(&flagged[..length]);
            clear(&mut content);
            assert!(*content == flagged[..length], "cut to {length}");
        }
    }

    /// Whatever the header and the table of segments say, a byte at a time: found is only what is there.
    #[test]
    fn damaged_headers_lead_to_no_other_place() {
        let mut damaged = undeletable(&library());
        for place in 0..1024 {
            let before = damaged[place];
            for byte in [0, 1, 0x7f, 0xff] {
                damaged[place] = byte;
                if let Some((found, flags)) = find(&damaged) {
                    assert_eq!(damaged[found..found + 8], flags.to_le_bytes(), "{byte} at {place}");
                    assert_eq!(damaged[found - 8..found], elf::DT_FLAGS_1.0.to_le_bytes());
                }
            }
            damaged[place] = before;
        }
    }
}
