//! Changing a built library in place: variations that no compiler at hand would make.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use liveswap_state::manifest::{HEADER_LENGTH, SECTION};
use object::elf::FileHeader64;
use object::endian::LittleEndian;
use object::read::elf::ElfFile;
use object::{Object, ObjectSection};
use xxhash_rust::xxh3::xxh3_64;

/// Where the ELF header states the machine.
const MACHINE: Range<usize> = 18..20;

/// A library's bytes, to be changed.
#[derive(Clone, Debug)]
pub struct Patched {
    bytes: Vec<u8>,
}

impl Patched {
    /// The bytes of the library at `path`.
    pub fn of(path: impl AsRef<Path>) -> Self {
        Self { bytes: fs::read(path).expect("a fixture can be read") }
    }

    /// The bytes as they are now.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes `logic.vVERSION.so` into a folder.
    pub fn write(&self, folder: &Path, version: &str) -> PathBuf {
        let path = folder.join(format!("logic.v{version}.so"));
        fs::write(&path, &self.bytes).expect("a temporary folder can be written");
        path
    }

    /// As another version of the module, and otherwise the same.
    pub fn version(self, version: &str) -> Self {
        let stated = self.member("version");
        self.replace(&stated, &format!("\"version\":\"{version}\""))
    }

    /// As a version of another module, whose name isn't longer.
    pub fn module(self, module: &str) -> Self {
        let stated = self.member("module");
        self.replace(&stated, &format!("\"module\":\"{module}\""))
    }

    /// Built by another compiler.
    pub fn compiler(self, compiler: &str) -> Self {
        let stated = self.member("compiler");
        self.replace(&stated, &format!("\"compiler\":\"{compiler}\""))
    }

    /// Replaces a part of the manifest's text by one that isn't longer. The text keeps its length by spaces
    /// at its end, and its checksum is made right again.
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        let manifest = self.manifest();
        let bytes = &mut self.bytes[manifest];
        let (header, text) = bytes.split_at_mut(HEADER_LENGTH);
        let before = str::from_utf8(text).expect("a manifest is UTF-8");
        assert!(before.contains(from), "the manifest has no {from}: {before}");
        let after = before.replacen(from, to, 1);
        assert!(after.len() <= text.len(), "{to} is longer than {from}");
        text.fill(b' ');
        text[..after.len()].copy_from_slice(after.as_bytes());
        header[16..24].copy_from_slice(&xxh3_64(text).to_le_bytes());
        self
    }

    /// With one bit of the manifest's text flipped, and its checksum as it was.
    pub fn damaged(mut self) -> Self {
        let section = self.section(SECTION);
        self.bytes[section][HEADER_LENGTH + 20] ^= 1;
        self
    }

    /// With a manifest of another format.
    pub fn format(mut self, format: u32) -> Self {
        let section = self.section(SECTION);
        self.bytes[section][8..12].copy_from_slice(&format.to_le_bytes());
        self
    }

    /// For another machine, by its number in an ELF header.
    pub fn machine(mut self, machine: u16) -> Self {
        self.bytes[MACHINE].copy_from_slice(&machine.to_le_bytes());
        self
    }

    /// Cut short.
    pub fn cut(mut self, length: usize) -> Self {
        self.bytes.truncate(length);
        self
    }

    /// Says where a library with the feature `constructor` leaves its mark.
    pub fn mark(mut self, path: &Path) -> Self {
        let section = self.section(".mark");
        let path = path.as_os_str().as_encoded_bytes();
        let place = &mut self.bytes[section];
        assert!(path.len() < place.len(), "the path is too long for its place");
        place.fill(0);
        place[..path.len()].copy_from_slice(path);
        self
    }

    /// `"name":"value"`, as the manifest has it.
    fn member(&self, name: &str) -> String {
        let text = &self.bytes[self.manifest()][HEADER_LENGTH..];
        let manifest: serde_json::Value = serde_json::from_slice(text).expect("a manifest is JSON");
        format!("\"{name}\":{}", manifest[name])
    }

    /// Where the manifest stands. A sanitizer puts padding behind it, into the same section.
    fn manifest(&self) -> Range<usize> {
        let section = self.section(SECTION);
        let length = self.bytes[section.clone()][12..16].try_into().expect("four bytes");
        section.start..section.start + HEADER_LENGTH + u32::from_le_bytes(length) as usize
    }

    fn section(&self, name: &str) -> Range<usize> {
        let file: ElfFile<'_, FileHeader64<LittleEndian>> =
            ElfFile::parse(&*self.bytes).expect("a fixture is ELF");
        let section = file.section_by_name(name).unwrap_or_else(|| panic!("no section {name}"));
        let (from, length) = section.file_range().expect("the section has bytes in the file");
        from as usize..(from + length) as usize
    }
}
