//! Reading ELF: is this a whole library for this machine, where is its manifest, and what are its symbols?
//!
//! `dlopen` trusts the file: it maps segments that lie beyond the end (touching them kills the process)
//! and runs constructors. So it's checked first that the file is whole, by all that its headers say.
//!
//! Whether the bytes are the ones that the linker wrote, ELF can't tell: a file of the right length with a
//! damaged page inside passes here and may end the process. So a file that is found in a folder, and of which
//! nobody has said that it's complete, isn't taken while somebody has it open for writing.

use object::SectionIndex;
use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use thiserror::Error;

type Header = elf::FileHeader64<LittleEndian>;

/// What this host's machine is called in an ELF header.
pub(super) const MACHINE: elf::Machine = if cfg!(target_arch = "x86_64") {
    elf::EM_X86_64
} else if cfg!(target_arch = "aarch64") {
    elf::EM_AARCH64
} else if cfg!(target_arch = "riscv64") {
    elf::EM_RISCV
} else {
    panic!("liveswap doesn't know this machine's number in an ELF header")
};

/// Why a file isn't a library that this host could load.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ElfError {
    /// It doesn't begin as an ELF file does.
    #[error(
        "found {found}, expected an ELF shared library: push the `.so` that cargo built for the logic crate"
    )]
    NotElf {
        /// What its first bytes look like.
        found: String,
    },
    /// It is shorter than its own headers say.
    #[error("the file is incomplete: {what} reaches beyond its {length} bytes: copy it again, whole")]
    Truncated {
        /// What is missing.
        what: String,
        /// The file's length, in bytes.
        length: usize,
    },
    /// It was built for another machine.
    #[error(
        "found a library for {found}, expected {}: build it for the host's target",
        describe_machine(MACHINE)
    )]
    WrongMachine {
        /// What it was built for.
        found: String,
    },
    /// It is ELF, but not a shared library.
    #[error("found an ELF file of type {found}, expected a shared library: set `crate-type = [\"cdylib\"]`")]
    NotALibrary {
        /// The type in its header.
        found: u16,
    },
}

/// The content of a section of a library, which is checked to be whole and for this machine.
pub(super) fn section<'file>(file: &'file [u8], name: &str) -> Result<Option<&'file [u8]>, ElfError> {
    let header = header(file)?;
    let truncated = |what: &str| ElfError::Truncated { what: what.to_owned(), length: file.len() };
    let endian = LittleEndian;

    let segments = header.program_headers(endian, file).map_err(|_| truncated("the program header table"))?;
    for (number, segment) in segments.iter().enumerate() {
        if segment.data(endian, file).is_err() {
            return Err(truncated(&format!("segment {number}")));
        }
    }
    // The section headers come last in the file, so a file that was cut anywhere has lost them.
    let sections = header.sections(endian, file).map_err(|_| truncated("the section header table"))?;
    let names = header
        .shstrndx(endian, file)
        .and_then(|index| sections.section(SectionIndex(index as usize))?.data(endian, file))
        .map_err(|_| truncated("the table of section names"))?;
    let mut found = None;
    for (index, section) in sections.enumerate() {
        let data = section.data(endian, file).map_err(|_| truncated(&format!("section {}", index.0)))?;
        if found.is_none() && is_string(names, section.sh_name(endian), name) {
            found = Some(data);
        }
    }
    Ok(found)
}

/// The symbols that a library shows to the loader, and the table of their names. None if it has none, or they
/// can't be read.
pub(super) fn dynamic_symbols(file: &[u8]) -> Option<(&[elf::Sym64<LittleEndian>], &[u8])> {
    let endian = LittleEndian;
    let sections = header(file).ok()?.sections(endian, file).ok()?;
    let section = sections.iter().find(|section| section.sh_type(endian) == elf::SHT_DYNSYM)?;
    let symbols = section.data_as_array(endian, file).ok()?;
    let names = sections.section(section.link(endian)).ok()?.data(endian, file).ok()?;
    Some((symbols, names))
}

/// Whether this string stands at a place of a table. It's compared from its start: looking for the end of each
/// string would take a crafted file hours.
pub(super) fn is_string(table: &[u8], place: u32, string: &str) -> bool {
    let rest = table.get(place as usize..).and_then(|rest| rest.strip_prefix(string.as_bytes()));
    rest.is_some_and(|rest| rest.first() == Some(&0))
}

/// The header of a library for this machine.
pub(super) fn header(file: &[u8]) -> Result<&Header, ElfError> {
    if !file.starts_with(&elf::ELFMAG) {
        let start = &file[..file.len().min(4)];
        let found = match start {
            [] => "an empty file".to_owned(),
            _ => format!("a file that begins with \"{}\"", start.escape_ascii()),
        };
        return Err(ElfError::NotElf { found });
    }
    let truncated = || ElfError::Truncated { what: "the ELF header".to_owned(), length: file.len() };
    let &class = file.get(4).ok_or_else(truncated)?;
    let &encoding = file.get(5).ok_or_else(truncated)?;
    let wrong = |found: String| ElfError::WrongMachine { found };
    if elf::FileClass(class) != elf::ELFCLASS64 {
        return Err(wrong("a 32-bit machine".to_owned()));
    }
    if elf::DataEncoding(encoding) != elf::ELFDATA2LSB {
        return Err(wrong("a big-endian machine".to_owned()));
    }
    let header = Header::parse(file).map_err(|_| truncated())?;
    let machine = header.e_machine(LittleEndian);
    if machine != MACHINE {
        return Err(wrong(describe_machine(machine)));
    }
    match header.e_type(LittleEndian) {
        elf::ET_DYN => Ok(header),
        other => Err(ElfError::NotALibrary { found: other.0 }),
    }
}

fn describe_machine(machine: elf::Machine) -> String {
    match machine {
        elf::EM_X86_64 => "x86-64".to_owned(),
        elf::EM_AARCH64 => "AArch64".to_owned(),
        elf::EM_RISCV => "RISC-V".to_owned(),
        other => format!("machine number {}", other.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_elf_says_what_it_found() {
        assert_eq!(
            section(b"hello, world", ".liveswap"),
            Err(ElfError::NotElf { found: "a file that begins with \"hell\"".to_owned() })
        );
        assert_eq!(section(b"", ".x"), Err(ElfError::NotElf { found: "an empty file".to_owned() }));
    }

    /// The test's own executable is position-independent, so it passes for a library here.
    #[test]
    fn a_whole_file_is_read_and_cut_short_it_is_refused() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!section(&file, ".text").unwrap().unwrap().is_empty());
        assert_eq!(section(&file, ".no such section"), Ok(None));
        for length in [4, 5, 17, 63, 64, 100, file.len() / 2, file.len() - 1] {
            let error = section(&file[..length], ".text").unwrap_err();
            assert!(matches!(error, ElfError::Truncated { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn other_machines_are_named() {
        let mut file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        file[18] = 183;
        if MACHINE != elf::EM_AARCH64 {
            assert_eq!(section(&file, ".x"), Err(ElfError::WrongMachine { found: "AArch64".to_owned() }));
        }
        file[4] = 1;
        assert!(matches!(section(&file, ".x"), Err(ElfError::WrongMachine { .. })));
    }
}
