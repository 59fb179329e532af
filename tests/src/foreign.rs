//! Building libraries in C and C++, by the system's compilers, for one test each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A library to be built.
#[derive(Clone, Debug)]
pub struct Source {
    file: PathBuf,
    version: String,
    flags: Vec<String>,
    shows_all: bool,
}

/// The logic that counts, in C.
pub fn counter(version: &str) -> Source {
    Source::new("tests/foreign/counter.c", version)
}

/// The logic that does what is hard to unmap, in C++.
pub fn behaviours(version: &str) -> Source {
    Source::new("tests/foreign/behaviours.cpp", version)
}

/// The sample in C++.
pub fn sample(version: &str) -> Source {
    Source::new("examples/sample/sample.cpp", version)
}

/// Whether the system has compilers for C and C++. If not, says that the test is skipped.
pub fn has_compilers() -> bool {
    let runs = |compiler: &OsString| {
        Command::new(compiler).arg("--version").output().is_ok_and(|it| it.status.success())
    };
    let has = runs(&compiler(false)) && runs(&compiler(true));
    if !has {
        println!("skipped: no C compiler");
    }
    has
}

fn compiler(is_cxx: bool) -> OsString {
    let (variable, usual) = if is_cxx { ("CXX", "c++") } else { ("CC", "cc") };
    env::var_os(variable).unwrap_or_else(|| usual.into())
}

impl Source {
    /// A source file, by its path in the repository.
    pub fn new(file: &str, version: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        Self { file, version: version.to_owned(), flags: Vec::new(), shows_all: false }
    }

    /// With one more flag for the compiler.
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Without the linker's map, so that it shows whatever the compiler has it show.
    pub fn shows_all(mut self) -> Self {
        self.shows_all = true;
        self
    }

    /// Builds it in a folder, under a candidate's name: `logic.v1.so`.
    ///
    /// # Panics
    ///
    /// If the compiler refuses it, or warns of anything.
    pub fn build(&self, folder: &Path) -> PathBuf {
        let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../logic/include");
        let is_cxx = self.file.extension().is_some_and(|extension| extension == "cpp");
        let built = folder.join("built");
        fs::create_dir_all(&built).expect("a folder can be made");
        let library = built.join(format!("logic.v{}.so", self.version));
        let mut command = Command::new(compiler(is_cxx));
        command
            .arg(if is_cxx { "-std=c++17" } else { "-std=c11" })
            .args([
                "-Wall",
                "-Wextra",
                "-Werror",
                "-pedantic",
                "-O1",
                "-shared",
                "-fPIC",
                "-fvisibility=hidden",
            ])
            .arg("-I")
            .arg(&include)
            .arg(format!("-DVERSION=\"{}\"", self.version));
        if !self.shows_all {
            command.arg(format!("-Wl,--version-script={}", include.join("liveswap.map").display()));
        }
        let output = command.args(&self.flags).arg("-o").arg(&library).arg(&self.file).output();
        let output = output.expect("`has_compilers` has found it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        library
    }
}
