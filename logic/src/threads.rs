//! The thread functions: what logic leaves on a thread, the host gets to know.
//!
//! Three functions of the C library tie a thread to the library that called them: `__cxa_thread_atexit_impl`
//! and `pthread_key_create` make the thread run a destructor when it ends, `pthread_create` makes it run code
//! from the start. glibc keeps a library mapped for the first until the thread ends, which a pool's thread
//! never does; for the other two it does nothing, and unmapping the library crashes the process later
//! (rust-lang/rust#59629, #91979).
//!
//! So [`define_thread_functions!`](crate::define_thread_functions) defines them in the logic library itself.
//! The standard library that is linked into it, and every other part, then binds to these when the library is
//! linked, because a hidden symbol can't be taken from anywhere else. They forward to the host, which
//! remembers what was left on which thread, and sees to it that each thread runs its own destructors before
//! the library is unmapped.
//!
//! Hidden and in assembly, because an ordinary `#[no_mangle]` function is a global symbol: the dynamic loader
//! would find the C library's first. Each is a jump to a Rust function that keeps the C signature.
//!
//! Without a host there is nobody to forward to: in a constructor, and in the tests of a logic crate, which
//! are programs. Then the C library's own function is asked, found by its name, and counted.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_uint, c_ulong, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use liveswap_state::{BeforeBind, ThreadDestructor, ThreadStart};

use crate::binding::binding;

/// Relaxed, all three: constructors run on the thread that loads, which then binds.
static DESTRUCTORS_BEFORE_BIND: AtomicUsize = AtomicUsize::new(0);
static KEYS_BEFORE_BIND: AtomicUsize = AtomicUsize::new(0);
static THREADS_BEFORE_BIND: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Tells nothing. The host looks where the loader has put it.
    static TOUCHED: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn before_bind() -> BeforeBind {
    // Nobody reads it, so the compiler would leave a mere store out.
    TOUCHED.with(|touched| std::hint::black_box(touched).set(true));
    BeforeBind {
        destructors: DESTRUCTORS_BEFORE_BIND.load(Ordering::Relaxed),
        keys: KEYS_BEFORE_BIND.load(Ordering::Relaxed),
        threads: THREADS_BEFORE_BIND.load(Ordering::Relaxed),
    }
}

/// The C library's own function of this name.
///
/// # Safety
///
/// `F` must be the type of a pointer to that function.
unsafe fn real<F: Copy>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: the name ends in 0. A hidden symbol isn't found, so this isn't the function below.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: a pointer to a function, as the caller vouches; both have the same size.
    (!found.is_null()).then(|| unsafe { std::mem::transmute_copy(&found) })
}

type AtExit = unsafe extern "C" fn(ThreadDestructor, *mut c_void, *mut c_void) -> c_int;
type CreateKey = unsafe extern "C" fn(*mut c_uint, Option<ThreadDestructor>) -> c_int;
type DeleteKey = unsafe extern "C" fn(c_uint) -> c_int;
type SetKey = unsafe extern "C" fn(c_uint, *const c_void) -> c_int;
type Start = unsafe extern "C" fn(*mut c_ulong, *const c_void, ThreadStart, *mut c_void) -> c_int;

/// `__cxa_thread_atexit_impl`
///
/// # Safety
///
/// `destructor` may be called with `object` once, on this thread. `library` is of this library.
pub unsafe extern "C" fn at_exit(
    destructor: ThreadDestructor,
    object: *mut c_void,
    library: *mut c_void,
) -> c_int {
    // SAFETY: as the caller vouches; the type is the function's.
    unsafe {
        if let Some(binding) = binding() {
            return (binding.host.threads.at_exit)(binding.context, destructor, object);
        }
        DESTRUCTORS_BEFORE_BIND.fetch_add(1, Ordering::Relaxed);
        real::<AtExit>(c"__cxa_thread_atexit_impl").map_or(libc::ENOSYS, |f| f(destructor, object, library))
    }
}

/// `pthread_key_create`
///
/// # Safety
///
/// As that function.
pub unsafe extern "C" fn create_key(key: *mut c_uint, destructor: Option<ThreadDestructor>) -> c_int {
    // SAFETY: as the caller vouches; the type is the function's.
    unsafe {
        if let Some(binding) = binding() {
            return (binding.host.threads.create_key)(binding.context, key, destructor);
        }
        KEYS_BEFORE_BIND.fetch_add(1, Ordering::Relaxed);
        real::<CreateKey>(c"pthread_key_create").map_or(libc::ENOSYS, |f| f(key, destructor))
    }
}

/// `pthread_key_delete`
///
/// # Safety
///
/// As that function.
pub unsafe extern "C" fn delete_key(key: c_uint) -> c_int {
    // SAFETY: as the caller vouches; the type is the function's.
    unsafe {
        if let Some(binding) = binding() {
            return (binding.host.threads.delete_key)(binding.context, key);
        }
        KEYS_BEFORE_BIND.fetch_sub(1, Ordering::Relaxed);
        real::<DeleteKey>(c"pthread_key_delete").map_or(libc::ENOSYS, |f| f(key))
    }
}

/// `pthread_setspecific`
///
/// # Safety
///
/// As that function.
pub unsafe extern "C" fn set_key(key: c_uint, value: *const c_void) -> c_int {
    // SAFETY: as the caller vouches; the type is the function's.
    unsafe {
        if let Some(binding) = binding() {
            return (binding.host.threads.set_key)(binding.context, key, value);
        }
        real::<SetKey>(c"pthread_setspecific").map_or(libc::ENOSYS, |f| f(key, value))
    }
}

/// `pthread_create`
///
/// # Safety
///
/// As that function.
pub unsafe extern "C" fn start(
    thread: *mut c_ulong,
    attributes: *const c_void,
    start: ThreadStart,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: as the caller vouches; the type is the function's.
    unsafe {
        if let Some(binding) = binding() {
            return (binding.host.threads.start)(binding.context, thread, attributes, start, argument);
        }
        THREADS_BEFORE_BIND.fetch_add(1, Ordering::Relaxed);
        real::<Start>(c"pthread_create").map_or(libc::ENOSYS, |f| f(thread, attributes, start, argument))
    }
}

/// Defines the thread functions in the library that is being compiled. Used by `export!`.
///
/// Only for the GNU C library: elsewhere a library keeps the platform's own functions, and the host says
/// `retained` of it when it stays.
#[doc(hidden)]
#[macro_export]
macro_rules! define_thread_functions {
    () => {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        ::core::arch::global_asm!(
            ".pushsection .text.liveswap_threads, \"ax\", %progbits",
            $crate::define_hidden_function!(weak "__cxa_thread_atexit_impl", "at_exit"),
            $crate::define_hidden_function!(globl "pthread_key_create", "create_key"),
            $crate::define_hidden_function!(globl "pthread_key_delete", "delete_key"),
            $crate::define_hidden_function!(globl "pthread_setspecific", "set_key"),
            $crate::define_hidden_function!(globl "pthread_create", "start"),
            ".popsection",
            at_exit = sym $crate::threads::at_exit,
            create_key = sym $crate::threads::create_key,
            delete_key = sym $crate::threads::delete_key,
            set_key = sym $crate::threads::set_key,
            start = sym $crate::threads::start,
        );
    };
}

/// The assembly for a hidden function that jumps to another. With `size`, so that tools know where it ends. It's
/// weak where the standard library refers to it weakly: with `lto = "fat"` both are in one module, and have to
/// agree.
#[doc(hidden)]
#[macro_export]
macro_rules! define_hidden_function {
    ($binding:ident $name:literal, $target:literal) => {
        ::core::concat!(
            ".",
            ::core::stringify!($binding),
            " ",
            $name,
            "\n",
            ".hidden ",
            $name,
            "\n",
            ".type ",
            $name,
            ", %function\n",
            $name,
            ":\n",
            $crate::jump!(),
            " {",
            $target,
            "}\n",
            ".size ",
            $name,
            ", . - ",
            $name,
            "\n",
        )
    };
}

/// The instruction that jumps to a symbol and leaves the arguments as they are.
#[cfg(target_arch = "x86_64")]
#[doc(hidden)]
#[macro_export]
macro_rules! jump {
    () => {
        "jmp"
    };
}

#[cfg(target_arch = "aarch64")]
#[doc(hidden)]
#[macro_export]
macro_rules! jump {
    () => {
        "b"
    };
}

#[cfg(target_arch = "riscv64")]
#[doc(hidden)]
#[macro_export]
macro_rules! jump {
    () => {
        "tail"
    };
}
