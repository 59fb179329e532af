//! What crosses to a library in C, as `logic/include/liveswap.h` has it, structure by structure.
//!
//! Structures only grow at their end. Each says how large it is where it was made, and whoever reads it takes no more of
//! it than that.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

use liveswap_state::{BeforeBind, Context, ThreadDestructor, ThreadStart};

use super::call::Call;

/// The version of the interface: `LIVESWAP_ABI`.
pub(crate) const ABI: u32 = 1;

/// The name of a library's entry, a constant of type [`Entry`].
pub(crate) const ENTRY_SYMBOL: &str = "liveswap_c_entry";

/// `LIVESWAP_OK`
pub(super) const OK: c_int = 0;
/// `LIVESWAP_THREW`
pub(super) const THREW: c_int = 2;

/// `liveswap_bytes`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes {
    pub(super) data: *const c_void,
    pub(super) size: usize,
}

impl Bytes {
    pub(super) const NONE: Self = Self { data: std::ptr::null(), size: 0 };

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr().cast(), size: bytes.len() }
    }

    /// # Safety
    ///
    /// They must be there as long as what is returned is used, or have no data.
    pub(super) unsafe fn get<'bytes>(self) -> &'bytes [u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: as the caller vouches.
        unsafe { std::slice::from_raw_parts(self.data.cast(), self.size) }
    }
}

// Each may unwind by an exception that nobody has caught. Then the process ends, in an orderly way.

/// `liveswap_hook`
pub(super) type Hook = unsafe extern "C-unwind" fn(*mut Call<'_>) -> c_int;
/// `liveswap_method`
pub(super) type Method = unsafe extern "C-unwind" fn(*mut Call<'_>, Bytes, Bytes) -> c_int;
/// `liveswap_step`
pub(super) type Step = unsafe extern "C-unwind" fn(*mut Call<'_>, u32) -> c_int;

/// `liveswap_logic`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Logic {
    pub(super) size: u32,
    pub(super) create: Option<Hook>,
    pub(super) call: Option<Method>,
    pub(super) ask: Option<Method>,
    pub(super) migrate: Option<Step>,
    pub(super) migrate_back: Option<Step>,
    pub(super) prepare: Option<Hook>,
    pub(super) self_test: Option<Hook>,
    pub(super) prepare_to_yield: Option<Hook>,
    pub(super) yielded: Option<Hook>,
    pub(super) resume: Option<Hook>,
    pub(super) health: Option<Hook>,
    pub(super) teardown: Option<Hook>,
    pub(super) unload: Option<Hook>,
    pub(super) initialize: Option<Hook>,
    pub(super) start: Option<Hook>,
    pub(super) stop: Option<Hook>,
    pub(super) took_over: Option<Hook>,
    pub(super) configure: Option<Method>,
}

/// `liveswap_before`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    destructors: usize,
    keys: usize,
    threads: usize,
}

impl From<Before> for BeforeBind {
    fn from(Before { destructors, keys, threads }: Before) -> Self {
        Self { destructors, keys, threads }
    }
}

/// `liveswap_entry`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(super) abi: u32,
    pub(super) size: u32,
    pub(super) manifest: Bytes,
    pub(super) begin: unsafe extern "C" fn(*const Host, *const Context, *mut Before) -> c_int,
    pub(super) logic: *const Logic,
}

/// `liveswap_host`
#[repr(C)]
#[derive(Debug)]
pub(super) struct Host {
    pub(super) abi: u32,
    pub(super) size: u32,
    pub(super) log: unsafe extern "C" fn(&Context, c_int, Bytes, *const c_char, u32),
    pub(super) output: unsafe extern "C" fn(&Context, Bytes),
    pub(super) answer: unsafe extern "C" fn(&mut Call<'_>, Bytes) -> c_int,
    pub(super) get: unsafe extern "C" fn(&Call<'_>, Bytes, *mut usize) -> *const c_void,
    pub(super) edit: unsafe extern "C" fn(&mut Call<'_>, Bytes, *mut usize) -> *mut c_void,
    pub(super) allocate: unsafe extern "C" fn(&mut Call<'_>, Bytes, usize) -> *mut c_void,
    pub(super) remove: unsafe extern "C" fn(&mut Call<'_>, Bytes) -> c_int,
    pub(super) next: unsafe extern "C" fn(&Call<'_>, Bytes) -> Bytes,
    pub(super) at_exit: unsafe extern "C" fn(&Context, ThreadDestructor, *mut c_void) -> c_int,
    pub(super) create_key: unsafe extern "C" fn(&Context, *mut c_uint, Option<ThreadDestructor>) -> c_int,
    pub(super) delete_key: unsafe extern "C" fn(&Context, c_uint) -> c_int,
    pub(super) set_key: unsafe extern "C" fn(&Context, c_uint, *const c_void) -> c_int,
    pub(super) start:
        unsafe extern "C" fn(&Context, *mut c_ulong, *const c_void, ThreadStart, *mut c_void) -> c_int,
}
