//! What stands in the way of unmapping a library, as far as its file shows that before it's loaded.
//!
//! There are two kinds. Some libraries can be closed without harm, and stay mapped all the same: then the user
//! wants to know why. Others may leave something behind with the C library that runs their code later, a thread
//! or the destructor of a key: closed, they would crash the process. A library asks for all of these by symbols
//! of fixed names or of one binding, so a look at its dynamic symbols finds them. It finds only what the library
//! asks for itself: another library may ask on its behalf, and `dlsym` finds functions that no table shows.

use object::elf::{STB_GNU_UNIQUE, Sym64};
use object::endian::LittleEndian;
use object::read::elf::Sym;

use super::elf::{dynamic_symbols, is_string};

/// The most bytes of a symbol's name that are shown.
const NAME_MAX: usize = 200;

/// They start a thread. The third is what `std::thread` of C++ calls in a `libstdc++` that isn't linked statically.
const THREADS: [&str; 3] = [
    "pthread_create",
    "thrd_create",
    "_ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE",
];

/// They make a key for thread-local data. Its destructor runs when a thread ends, wherever the library is then.
const KEYS: [&str; 2] = ["pthread_key_create", "tss_create"];

/// They register a destructor of a thread-local. Until that has run, the C library keeps the library mapped.
const DESTRUCTORS: [&str; 2] = ["__cxa_thread_atexit_impl", "__cxa_thread_atexit"];

/// What stands in the way of unmapping a library: reasons for people, that say something about "it".
#[derive(Clone, Debug, Default)]
pub(crate) struct Obstacles {
    /// Why it may stay mapped although it was closed. To close it does no harm.
    pub(crate) may_stay: Vec<String>,
    /// Why it must not be closed.
    pub(crate) must_stay: Vec<String>,
}

impl Obstacles {
    /// Looks for them in a library's bytes. In a file that can't be read there are none: verifying refuses it.
    pub(super) fn of(library: &[u8]) -> Self {
        let Some((symbols, names)) = dynamic_symbols(library) else { return Self::default() };
        // Weak ones too: they are bound to the C library's functions like any other.
        let imported = |name: &&str| {
            let mut undefined = symbols.iter().filter(|symbol| symbol.is_undefined(LittleEndian));
            undefined.any(|symbol| is_string(names, symbol.st_name(LittleEndian), name))
        };
        let destructors = DESTRUCTORS.into_iter().filter(imported).map(|name| {
            format!(
                "it registers thread-local destructors with the C library (`{name}`), which keeps it until their threads have ended"
            )
        });
        let threads = THREADS.into_iter().filter(imported).map(|name| {
            format!(
                "it starts threads without the engine's knowledge (`{name}`), which would go on in code that is gone: let it call `pthread_create` as `liveswap_logic::export!` of the host's release defines it"
            )
        });
        let keys = KEYS.into_iter().filter(imported).map(|name| {
            format!(
                "it makes thread-local keys without the engine's knowledge (`{name}`), whose destructors would run in code that is gone: let it call `pthread_key_create` as `liveswap_logic::export!` of the host's release defines it"
            )
        });
        Self {
            may_stay: unique(symbols, names).into_iter().chain(destructors).collect(),
            must_stay: threads.chain(keys).collect(),
        }
    }
}

/// C++ compilers make some definitions unique in the whole process: static members of templates, statics in
/// inline functions. The library whose definition is taken is never unmapped, since others may use it.
fn unique(symbols: &[Sym64<LittleEndian>], names: &[u8]) -> Option<String> {
    let mut found = symbols
        .iter()
        .filter(|symbol| symbol.st_bind() == STB_GNU_UNIQUE && !symbol.is_undefined(LittleEndian));
    let first = found.next()?.st_name(LittleEndian) as usize;
    let name = names.get(first..)?.split(|byte| *byte == 0).next()?;
    let name = name[..name.len().min(NAME_MAX)].escape_ascii();
    let count = 1 + found.count();
    Some(format!(
        "it defines unique symbols ({count}, `{name}` for one), and the loader keeps a library for ever once one of them is in use: compile its C++ parts with `-fno-gnu-unique`"
    ))
}

#[cfg(test)]
mod tests {
    use object::elf::{STB_GLOBAL, STB_WEAK, SymbolBind};

    use super::*;

    /// The test's own executable, which imports what the standard library does.
    fn library() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    /// Gives a dynamic symbol another name, which isn't longer.
    fn rename(library: &mut [u8], from: &str, to: &str) {
        let from = [&b"\0"[..], from.as_bytes(), b"\0"].concat();
        let place = library.windows(from.len()).position(|bytes| bytes == from).unwrap();
        library[place + 1..][..from.len() - 1].fill(0);
        library[place + 1..][..to.len()].copy_from_slice(to.as_bytes());
    }

    const UNDEFINED: u16 = 0;
    const DEFINED: u16 = 1;

    /// Changes the binding of a dynamic symbol, and the section that defines it.
    fn bind(library: &mut [u8], name: &str, binding: SymbolBind, section: u16) {
        let (symbols, names) = dynamic_symbols(library).unwrap();
        let index = symbols.iter().position(|symbol| is_string(names, symbol.st_name(LittleEndian), name));
        let symbol = &raw const symbols[index.unwrap()];
        let place = symbol.addr() - library.as_ptr().addr();
        library[place + 4] = binding.0 << 4 | library[place + 4] & 0xf;
        library[place + 6..place + 8].copy_from_slice(&section.to_le_bytes());
    }

    #[track_caller]
    fn assert_one_contains(reasons: &[String], expected: &str) {
        let found = reasons.iter().filter(|reason| reason.contains(expected)).count();
        assert_eq!(found, 1, "{expected}: {reasons:?}");
    }

    #[test]
    fn what_starts_threads_or_makes_keys_must_stay() {
        let [pthread_create, thrd_create, _] = THREADS;
        let [pthread_key_create, tss_create] = KEYS;
        let mut library = library();
        let found = Obstacles::of(&library).must_stay;
        assert_one_contains(&found, "starts threads without the engine's knowledge (`pthread_create`)");
        assert_one_contains(
            &found,
            "makes thread-local keys without the engine's knowledge (`pthread_key_create`)",
        );

        rename(&mut library, pthread_create, thrd_create);
        rename(&mut library, pthread_key_create, tss_create);
        let found = Obstacles::of(&library).must_stay;
        assert_one_contains(&found, "(`thrd_create`)");
        assert_one_contains(&found, "(`tss_create`)");
        assert_eq!(found.len(), 2);

        bind(&mut library, thrd_create, STB_WEAK, UNDEFINED);
        assert_one_contains(&Obstacles::of(&library).must_stay, "(`thrd_create`)");

        // Definitions of its own lead elsewhere, and other functions may begin with these names.
        bind(&mut library, thrd_create, STB_GLOBAL, DEFINED);
        rename(&mut library, tss_create, "tss_creat");
        assert!(Obstacles::of(&library).must_stay.is_empty());
        rename(&mut library, "pthread_key_delete", "tss_create_again");
        assert!(Obstacles::of(&library).must_stay.is_empty());
    }

    #[test]
    fn what_registers_thread_local_destructors_may_stay() {
        let [of_glibc, of_cxx] = DESTRUCTORS;
        let mut library = library();
        assert_one_contains(&Obstacles::of(&library).may_stay, "(`__cxa_thread_atexit_impl`)");
        rename(&mut library, of_glibc, of_cxx);
        assert_one_contains(&Obstacles::of(&library).may_stay, "(`__cxa_thread_atexit`)");
        bind(&mut library, of_cxx, STB_WEAK, DEFINED);
        assert!(Obstacles::of(&library).may_stay.is_empty());
    }

    #[test]
    fn unique_symbols_are_counted_and_the_first_is_named() {
        let mut library = library();
        let unique = |library: &[u8]| {
            Obstacles::of(library).may_stay.into_iter().find(|reason| reason.contains("unique symbols"))
        };
        assert_eq!(unique(&library), None);
        bind(&mut library, "pthread_create", STB_GNU_UNIQUE, UNDEFINED);
        assert_eq!(unique(&library), None, "it's the definition that stays");
        bind(&mut library, "pthread_create", STB_GNU_UNIQUE, DEFINED);
        assert!(unique(&library).unwrap().contains("(1, `pthread_create` for one)"));
        bind(&mut library, "pthread_key_create", STB_GNU_UNIQUE, DEFINED);
        // Which of the two is the first, the linker has chosen.
        assert!(unique(&library).unwrap().contains("(2, `pthread_"));
        bind(&mut library, "pthread_key_create", STB_WEAK, UNDEFINED);
        rename(&mut library, "pthread_create", "\x1b[2J");
        assert!(unique(&library).unwrap().contains("`\\x1b[2J`"), "{:?}", unique(&library));
    }

    #[test]
    fn a_name_without_an_end_is_shown_in_part() {
        let mut library = library();
        bind(&mut library, "pthread_create", STB_GNU_UNIQUE, DEFINED);
        let (symbols, names) = dynamic_symbols(&library).unwrap();
        let first = unique(symbols, &vec![b'x'; names.len()]).unwrap();
        assert!(first.contains(&format!("`{}`", "x".repeat(NAME_MAX))));
        assert_eq!(unique(symbols, &[]), None);
    }

    #[test]
    fn in_a_damaged_file_nothing_is_found_and_nothing_breaks() {
        let library = library();
        for length in [0, 4, 63, 64, 100, library.len() / 2, library.len() - 1] {
            let found = Obstacles::of(&library[..length]);
            assert!(found.may_stay.is_empty() && found.must_stay.is_empty(), "cut to {length}");
        }
        let mut damaged = library;
        for place in 0..64 {
            let before = damaged[place];
            for byte in [0, 1, 0x7f, 0xff] {
                damaged[place] = byte;
                Obstacles::of(&damaged);
            }
            damaged[place] = before;
        }
    }
}
