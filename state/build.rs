//! Records the compiler's identity, so that a host and a logic library built by different compilers
//! are told apart before either runs the other's code.

use std::env;
use std::process::Command;

fn main() {
    let compiler = env::var_os("RUSTC").expect("cargo sets RUSTC for build scripts");
    let output = Command::new(&compiler)
        .arg("-vV")
        .output()
        .unwrap_or_else(|error| panic!("can't run {compiler:?} -vV: {error}"));
    let text = String::from_utf8(output.stdout).expect("rustc -vV prints UTF-8");
    let line = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("rustc -vV has no line {name:?}:\n{text}"))
            .trim()
    };
    let target = env::var("TARGET").expect("cargo sets TARGET for build scripts");
    println!(
        "cargo::rustc-env=LIVESWAP_COMPILER=rustc {} {} {target}",
        line("release:"),
        line("commit-hash:"),
    );
    println!("cargo::rerun-if-changed=build.rs");
}
