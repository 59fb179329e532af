//! What a library in C may ask of the host: the functions of `liveswap_host`.
//!
//! None of them unwinds: a panic in one ends the process, for there is nobody in C who could catch it. The host's
//! subscriber may panic all the same, and is fenced.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong, c_void};
use std::ops::Bound;
use std::ptr;

use liveswap_state::{Context, Level, Place, ThreadDestructor, ThreadStart, Value};

use super::abi::{self, Bytes, Host};
use super::blocks::Block;
use super::call::Call;
use crate::host;

/// What every library in C is bound to.
pub(super) static HOST: Host = Host {
    abi: abi::ABI,
    size: size_of::<Host>() as u32,
    log,
    output,
    answer,
    get,
    edit,
    allocate,
    remove,
    next,
    at_exit,
    create_key,
    delete_key,
    set_key,
    start,
};

/// # Safety
///
/// The text is there until this returns; the file's name is null or ends in 0.
unsafe extern "C" fn log(context: &Context, level: c_int, text: Bytes, file: *const c_char, line: u32) {
    // SAFETY: as the caller vouches.
    let (text, file) =
        unsafe { (text.get(), (!file.is_null()).then(|| CStr::from_ptr(file).to_string_lossy())) };
    let level = match level {
        1 => Level::Error,
        2 => Level::Warn,
        3 => Level::Info,
        4 => Level::Debug,
        _ => Level::Trace,
    };
    let place = Place {
        target: "liveswap::logic",
        level,
        file: file.as_deref(),
        line: (line > 0).then_some(line),
        fields: &["message"],
    };
    let text = String::from_utf8_lossy(text);
    (host::TABLE.events.record)(context, &place, &[("message", Value::Formatted(&text))]);
}

/// # Safety
///
/// The text is there until this returns.
unsafe extern "C" fn output(context: &Context, text: Bytes) {
    // SAFETY: as the caller vouches.
    let text = String::from_utf8_lossy(unsafe { text.get() });
    context.output(format_args!("{text}"));
}

/// # Safety
///
/// The call is this thread's and hasn't returned; the part is there until this returns.
unsafe extern "C" fn answer(call: &mut Call<'_>, part: Bytes) -> c_int {
    // SAFETY: as the caller vouches.
    call.answer.extend_from_slice(unsafe { part.get() });
    abi::OK
}

/// # Safety
///
/// As for [`answer`]; `size` can be written to.
unsafe extern "C" fn get(call: &Call<'_>, name: Bytes, size: *mut usize) -> *const c_void {
    // SAFETY: as the caller vouches.
    let (name, size) = unsafe { (name.get(), &mut *size) };
    let name = str::from_utf8(name).unwrap_or_default();
    let Some(block) = call.blocks().and_then(|blocks| blocks.blocks.get(name)) else { return ptr::null() };
    *size = block.length();
    block.address()
}

/// # Safety
///
/// As for [`get`].
unsafe extern "C" fn edit(call: &mut Call<'_>, name: Bytes, size: *mut usize) -> *mut c_void {
    // SAFETY: as the caller vouches.
    let (name, size) = unsafe { (name.get(), &mut *size) };
    let name = str::from_utf8(name).unwrap_or_default();
    let Some(block) = call.blocks_mut().and_then(|blocks| blocks.blocks.get_mut(name)) else {
        return ptr::null_mut();
    };
    *size = block.length();
    block.address_mut()
}

/// # Safety
///
/// As for [`answer`].
unsafe extern "C" fn allocate(call: &mut Call<'_>, name: Bytes, size: usize) -> *mut c_void {
    // SAFETY: as the caller vouches.
    let name = str::from_utf8(unsafe { name.get() }).unwrap_or_default();
    let Some(blocks) = call.blocks_mut().filter(|_| !name.is_empty()) else { return ptr::null_mut() };
    if let Some(block) = blocks.blocks.get_mut(name) {
        return block.resize(size).map_or(ptr::null_mut(), |()| block.address_mut());
    }
    let mut block = Block::new();
    if block.resize(size).is_err() {
        return ptr::null_mut();
    }
    let block = blocks.blocks.entry(name.to_owned()).or_insert(block);
    block.address_mut()
}

/// # Safety
///
/// As for [`answer`].
unsafe extern "C" fn remove(call: &mut Call<'_>, name: Bytes) -> c_int {
    // SAFETY: as the caller vouches.
    let name = str::from_utf8(unsafe { name.get() }).unwrap_or_default();
    // A copy, because it may be the block's own, as `next` gives it.
    let name = name.to_owned();
    let removed = call.blocks_mut().and_then(|blocks| blocks.blocks.remove(&*name));
    c_int::from(removed.is_some())
}

/// # Safety
///
/// As for [`answer`].
unsafe extern "C" fn next(call: &Call<'_>, after: Bytes) -> Bytes {
    let Some(blocks) = call.blocks() else { return Bytes::NONE };
    // SAFETY: as the caller vouches. No block has an empty name, so all come after one without data.
    let after = str::from_utf8(unsafe { after.get() }).unwrap_or_default();
    let mut later = blocks.blocks.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
    later.next().map_or(Bytes::NONE, |(name, _)| Bytes::of(name.as_bytes()))
}

/// # Safety
///
/// As `__cxa_thread_atexit_impl`.
unsafe extern "C" fn at_exit(context: &Context, destructor: ThreadDestructor, object: *mut c_void) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { (host::TABLE.threads.at_exit)(context, destructor, object) }
}

/// # Safety
///
/// As `pthread_key_create`.
unsafe extern "C" fn create_key(
    context: &Context,
    key: *mut c_uint,
    destructor: Option<ThreadDestructor>,
) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { (host::TABLE.threads.create_key)(context, key, destructor) }
}

/// # Safety
///
/// As `pthread_key_delete`.
unsafe extern "C" fn delete_key(context: &Context, key: c_uint) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { (host::TABLE.threads.delete_key)(context, key) }
}

/// # Safety
///
/// As `pthread_setspecific`.
unsafe extern "C" fn set_key(context: &Context, key: c_uint, value: *const c_void) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { (host::TABLE.threads.set_key)(context, key, value) }
}

/// # Safety
///
/// As `pthread_create`.
unsafe extern "C" fn start(
    context: &Context,
    thread: *mut c_ulong,
    attributes: *const c_void,
    start: ThreadStart,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { (host::TABLE.threads.start)(context, thread, attributes, start, argument) }
}
