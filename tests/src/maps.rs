//! What the kernel says is mapped into this process.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a folder that are mapped, deleted or not.
pub fn mapped(folder: &Path) -> BTreeSet<PathBuf> {
    files(folder, |_| true)
}

/// Those of which code is mapped. A mapping without code may be somebody's look into the file: the symbolizer of
/// backtraces keeps the last few that it read.
pub fn mapped_code(folder: &Path) -> BTreeSet<PathBuf> {
    files(folder, |mapping| mapping.is_code)
}

/// The file that an address belongs to.
pub fn file_at(address: usize) -> Option<PathBuf> {
    mappings().find(|mapping| (mapping.from..mapping.to).contains(&address))?.file
}

/// The memory that this process has in use, in bytes. Counted page by page: the number in `/proc/self/status`
/// may be off by some hundred pages.
pub fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux shows a process its own memory");
    let line = status.lines().find_map(|line| line.strip_prefix("Rss:")).expect("it states the memory");
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().expect("the memory is a number of kB");
    kilobytes * 1024
}

struct Mapping {
    from: usize,
    to: usize,
    is_code: bool,
    file: Option<PathBuf>,
}

fn files(folder: &Path, is_meant: impl Fn(&Mapping) -> bool) -> BTreeSet<PathBuf> {
    let meant = mappings().filter(is_meant).filter_map(|mapping| mapping.file);
    meant.filter(|file| file.starts_with(folder)).collect()
}

fn mappings() -> impl Iterator<Item = Mapping> {
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux shows a process its own map");
    let mappings: Vec<_> = maps.lines().map(mapping).collect();
    mappings.into_iter()
}

/// Reads `from-to permissions offset device inode path`.
fn mapping(line: &str) -> Mapping {
    let (from, rest) = line.split_once('-').expect("a mapping has a range");
    let (to, rest) = rest.split_once(' ').expect("a range ends with a space");
    let (permissions, _) = rest.split_once(' ').expect("permissions end with a space");
    let address = |text| usize::from_str_radix(text, 16).expect("an address is hexadecimal");
    let file = line.find('/').map(|start| {
        let path = &line[start..];
        PathBuf::from(path.strip_suffix(" (deleted)").unwrap_or(path))
    });
    Mapping { from: address(from), to: address(to), is_code: permissions.contains('x'), file }
}
