//! A backtrace through host and logic, made by the host.
//!
//! The standard library's symbolizer lists the libraries of the process once, at the first backtrace. A
//! version that comes later has no names in it, or, at the place where an earlier one lay, that one's names.
//! So the frames are looked up here: in what is loaded now, by readers that are dropped with the backtrace.
//! Nothing of a version is kept, so nothing grows with the number of swaps, and none of its files stays mapped.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::ffi::{CStr, OsStr, c_int, c_void};
use std::fmt::Write;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Mutex;

use addr2line::{Loader, demangle_auto};

use crate::lock::lock;

/// This thread's backtrace, if `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` asks for it: innermost first, from
/// where the panic began to where the thread did.
pub(super) fn capture() -> Option<String> {
    // Made, and not looked up, only to learn whether it is asked for.
    if Backtrace::capture().status() != BacktraceStatus::Captured {
        return None;
    }
    let mut addresses = Vec::new();
    backtrace::trace(|frame| {
        // A frame returns to behind its call, which may be another function's line or none at all.
        addresses.push(frame.ip().addr().saturating_sub(1));
        true
    });
    let mut objects = objects();
    let mut program = lock(&PROGRAM);
    objects[0].symbols = program.take().map_or_else(OnceCell::new, |symbols| OnceCell::from(Some(symbols)));
    let text = show(&relevant(addresses.into_iter().flat_map(|address| calls(&objects, address))));
    *program = objects.swap_remove(0).symbols.into_inner().flatten();
    Some(text)
}

/// What the program's file says. It is the one reader that is kept: a host's debug information may take long
/// to read, and there is only ever one program.
static PROGRAM: Mutex<Option<Loader>> = Mutex::new(None);

/// A function that was being called, as its debug information or the symbol table names it.
struct Call {
    function: String,
    /// `file:line:column`
    place: Option<String>,
}

/// The calls between the two marks that the standard library leaves on the stack for this: where that of a
/// panic begins, and where a thread's own code does. What comes after the second isn't looked up.
fn relevant(calls: impl Iterator<Item = Call>) -> Vec<Call> {
    let mut relevant = Vec::new();
    // A panic while another one unwinds has the mark of that one further out: only the first one counts.
    let mut has_begun = false;
    for call in calls {
        if !has_begun && call.function.contains("__rust_end_short_backtrace") {
            has_begun = true;
            relevant.clear();
        } else if call.function.contains("__rust_begin_short_backtrace") {
            break;
        } else {
            relevant.push(call);
        }
    }
    relevant
}

fn show(calls: &[Call]) -> String {
    let mut text = String::new();
    for (number, Call { function, place }) in calls.iter().enumerate() {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{number:4}: {function}");
        if let Some(place) = place {
            let _ = writeln!(text, "             at {place}");
        }
    }
    text
}

/// The program or a library, as it is loaded now.
struct Object {
    path: PathBuf,
    /// What is added to an address in the file to make it one in memory.
    bias: usize,
    segments: Vec<Range<usize>>,
    /// What its file says about addresses, once it was asked. It isn't there if the file can't be read.
    symbols: OnceCell<Option<Loader>>,
}

/// The calls that stand at an address: one, or more where the compiler has put one function into another.
fn calls(objects: &[Object], address: usize) -> Vec<Call> {
    let holds = |object: &&Object| object.segments.iter().any(|segment| segment.contains(&address));
    let Some(object) = objects.iter().find(holds) else {
        return vec![Call { function: format!("{address:#x}"), place: None }];
    };
    let in_file = address.wrapping_sub(object.bias);
    // Without symbols, a file and an address in it: who has the symbols can look it up.
    let unnamed = || format!("{}+{in_file:#x}", object.path.display());
    let symbols = object.symbols.get_or_init(|| Loader::new(&object.path).ok()).as_ref();
    let symbol = || {
        let name = symbols?.find_symbol(in_file as u64)?;
        Some(demangle_auto(Cow::from(name), None).into_owned())
    };

    let mut calls = Vec::new();
    if let Some(mut frames) = symbols.and_then(|symbols| symbols.find_frames(in_file as u64).ok()) {
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|name| Some(name.demangle().ok()?.into_owned()));
            let place = frame.location.and_then(|location| {
                Some(format!("{}:{}:{}", location.file?, location.line?, location.column.unwrap_or(0)))
            });
            calls.push(Call { function: name.or_else(symbol).unwrap_or_else(unnamed), place });
        }
    }
    if calls.is_empty() {
        calls.push(Call { function: symbol().unwrap_or_else(unnamed), place: None });
    }
    calls
}

/// What is loaded now: the program first, then its libraries.
fn objects() -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    // SAFETY: `note` takes the pointer for what it is, and isn't called any more once this returns.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut objects).cast()) };
    objects
}

/// Notes one object.
///
/// # Safety
///
/// `info` is the loader's, and `objects` points to a vector that nobody else uses.
unsafe extern "C" fn note(info: *mut libc::dl_phdr_info, _: usize, objects: *mut c_void) -> c_int {
    // SAFETY: as the caller vouches. The loader gives headers and a name with each object, and holds its lock
    // during the call: they stay as they are.
    let (info, headers, name, objects) = unsafe {
        let info = &*info;
        let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into());
        let name = CStr::from_ptr(info.dlpi_name).to_bytes();
        (info, headers, name, &mut *objects.cast::<Vec<Object>>())
    };
    let bias = info.dlpi_addr as usize;
    let segments = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).map(|header| {
        let start = bias.wrapping_add(header.p_vaddr as usize);
        start..start.wrapping_add(header.p_memsz as usize)
    });
    // The program comes first. Its file may have been replaced meanwhile; the kernel knows it still.
    let path = if objects.is_empty() { OsStr::new("/proc/self/exe") } else { OsStr::from_bytes(name) };
    objects.push(Object { path: path.into(), bias, segments: segments.collect(), symbols: OnceCell::new() });
    0
}
