//! Libraries that the loader would keep in memory: one is unmapped all the same, and of the others the status
//! says why they stay.

use std::fs;
use std::path::Path;

use liveswap::PushOutcome;
use liveswap_tests::{Fixture, Host, logic};
use object::elf::{DF_1_NODELETE, DT_FLAGS_1, FileHeader64};
use object::endian::LittleEndian;
use object::read::elf::ElfFile;

/// Whether the file tells the loader never to unmap it.
fn is_undeletable(library: &Path) -> bool {
    let bytes = fs::read(library).unwrap();
    let file: ElfFile<'_, FileHeader64<LittleEndian>> = ElfFile::parse(&*bytes).unwrap();
    let entries = file.elf_dynamic_table().unwrap();
    entries.iter().any(|entry| entry.tag == DT_FLAGS_1 && entry.val & DF_1_NODELETE.0 != 0)
}

#[test]
fn a_library_linked_as_undeletable_is_unmapped_like_any_other() {
    let candidate = Fixture::new("1001").nodelete().build();
    assert!(is_undeletable(&candidate));
    let host = Host::serving(&candidate);
    let copy = host.mapped().pop_first().unwrap();
    assert!(!is_undeletable(&copy));
    let again = host.engine.push(&*candidate).unwrap();
    assert!(matches!(again, PushOutcome::Unchanged { .. }), "it is known by the bytes that were pushed");

    host.push(logic("1002"));
    host.commit();
    host.wait_until_unmapped("1001");
    assert!(!host.mapped().contains(&copy));
    assert_eq!(host.mapped().len(), 1);
    assert!(is_undeletable(&candidate), "the user's file is left alone");

    // Its kept copy differs from what was pushed, and is the same version.
    host.rollback();
    assert_eq!(host.version(), "1001");
    assert!(matches!(host.engine.push(&*candidate).unwrap(), PushOutcome::Unchanged { .. }));
}
