//! A module that is built outside of the workspace, from the crates as they are published.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use liveswap::Engine;
use liveswap_tests::demo::{cargo, workspace};
use liveswap_tests::hello::Hello;

/// What a module links.
const CRATES: [&str; 3] = ["liveswap-state-macros", "liveswap-state", "liveswap-logic"];

/// Runs a program, which succeeds.
#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("can't run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Packs the crates as `cargo publish` does, and unpacks them in the folder. The manifest lines that have them found.
fn published(folder: &Path) -> String {
    let packed = folder.join("packed");
    let mut package = cargo();
    package.current_dir(workspace()).arg("package").args(CRATES.iter().flat_map(|name| ["-p", name]));
    package.args(["--no-verify", "--offline", "--allow-dirty", "--exclude-lockfile", "--target-dir"]);
    run(package.arg(&packed));
    let mut patch = "\n[patch.crates-io]\n".to_owned();
    for name in CRATES {
        let versioned = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
        let archive = packed.join("package").join(format!("{versioned}.crate"));
        run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder));
        patch += &format!("{name} = {{ path = {:?} }}\n", folder.join(versioned));
    }
    patch
}

/// Builds `examples/hello` where nothing of the workspace is. One process at a time: cargo finds there again what it built.
fn hello() -> PathBuf {
    let folder = liveswap_tests::commands::target().join("outside");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let patch = published(&folder);
    let (example, project) = (workspace().join("examples/hello"), folder.join("hello"));
    fs::create_dir_all(project.join("src")).unwrap();
    fs::copy(example.join("src/lib.rs"), project.join("src/lib.rs")).unwrap();
    let manifest = fs::read_to_string(example.join("Cargo.toml")).unwrap();
    assert!(!manifest.contains("path"), "it takes the crates as they are published");
    fs::write(project.join("Cargo.toml"), manifest + &patch).unwrap();
    // The versions that are tested.
    fs::copy(workspace().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let mut build = cargo();
    build.current_dir(&project).args(["build", "--quiet", "--offline", "--target-dir"]);
    run(build.arg(folder.join("target")));
    let library = folder.join("hello.v1.0.0.so");
    fs::copy(folder.join("target/debug/libhello.so"), &library).unwrap();
    library
}

#[test]
fn p1_08_a_module_is_built_outside_of_the_workspace_from_the_published_crates() {
    let engine = Engine::builder().module::<dyn Hello>("hello").build().unwrap();
    engine.push(hello()).unwrap();
    let hello = engine.module::<dyn Hello>("hello").unwrap();
    assert_eq!(hello.call(|hello| hello.greeting()).unwrap(), "Hello World From Plugin!");
}
