//! What a logic library shows to the outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use liveswap_state::ENTRY_SYMBOL;
use liveswap_tests::{Fixture, logic};
use object::elf::FileHeader64;
use object::endian::LittleEndian;
use object::read::elf::ElfFile;
use object::{Object, ObjectSymbol};

/// The names that other libraries could be linked to.
fn defined(library: &Path) -> BTreeSet<String> {
    let bytes = fs::read(library).unwrap();
    let file: ElfFile<'_, FileHeader64<LittleEndian>> = ElfFile::parse(&*bytes).unwrap();
    file.dynamic_symbols()
        .filter(ObjectSymbol::is_definition)
        .map(|symbol| symbol.name().unwrap().to_owned())
        .collect()
}

#[test]
fn p0_01_a_library_exports_its_entry_and_nothing_else() {
    let entry = BTreeSet::from([ENTRY_SYMBOL.to_owned()]);
    assert_eq!(defined(&logic("1001")), entry);
    assert_eq!(defined(&Fixture::new("1001").feature("extra-method").build()), entry);
    assert_eq!(defined(&Fixture::plain().build()), BTreeSet::new());
}
