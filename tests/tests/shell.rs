//! The shell example: its commands are modules from a folder, which it doesn't know by name.

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use liveswap::{Engine, PushError};
use liveswap_tests::commands::{command, command_as, put, shell as shell_program};
use liveswap_tests::{Fixture, logic, wait_until};
use shell_api::{Command as ShellCommand, Outcome};
use tempfile::TempDir;

const COMMANDS: [&str; 4] = ["count", "divide", "echo", "upper"];

/// A folder with these commands in it.
fn folder(commands: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in commands {
        fs::copy(command(name), folder.path().join(format!("{name}.v1.so"))).unwrap();
    }
    folder
}

/// What the shell says to these lines.
fn told(folder: &Path, lines: &str) -> Vec<String> {
    let mut output = Vec::new();
    shell::run(folder, lines.as_bytes(), &mut output).unwrap();
    String::from_utf8(output).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn p1_12_the_commands_of_a_folder_are_loaded_and_run() {
    let folder = folder(&COMMANDS);
    let lines = "echo hello there\nupper hello\ncount\ncount\nmissing x\n\nexit\necho not any more\n";
    let expected = ["Loaded 4 command(s)...", "hello there", "HELLO", "1", "2", "command not found: missing"];
    assert_eq!(told(folder.path(), lines), expected);
}

#[test]
fn p1_12_an_empty_folder_has_no_commands() {
    let folder = tempfile::tempdir().unwrap();
    // One that isn't there yet is made.
    let missing = folder.path().join("missing");
    assert_eq!(told(&missing, "echo x\n"), ["No commands found", "command not found: echo"]);
}

#[test]
fn p1_12_a_bad_module_blocks_no_other() {
    let folder = folder(&COMMANDS);
    let put = |name: &str, content: &[u8]| put(folder.path(), name, content);
    put("aaa.v1.so", b"not a library");
    // Of another interface; of another name; and a library that is no module.
    put("logic.v1001.so", &fs::read(logic("1001")).unwrap());
    put("zzz.v2.so", command_as("echo", "2").bytes());
    put("plain.v1.so", &fs::read(Fixture::plain().build()).unwrap());
    assert_eq!(
        told(folder.path(), "echo on\nhelp\n"),
        [
            "Loaded 4 command(s)...",
            "on",
            "count      counts how often it was run",
            "divide     divides two numbers",
            "echo       says what it is told",
            "upper      says it louder",
        ]
    );
    let engine = Engine::builder().modules_from::<dyn ShellCommand>(folder.path()).build().unwrap();
    let faults: Vec<_> = engine
        .status()
        .faults
        .into_iter()
        .map(|fault| (fault.path.file_name().unwrap().to_str().unwrap().to_owned(), fault.code))
        .collect();
    let expected = [
        ("aaa.v1.so", "not-elf"),
        ("logic.v1001.so", "wrong-interface"),
        ("plain.v1.so", "no-manifest"),
        ("zzz.v2.so", "name-mismatch"),
    ];
    assert_eq!(faults, expected.map(|(name, code)| (name.to_owned(), code)));
}

#[test]
fn p1_13_failing_to_run_and_saying_no_are_different_results() {
    let folder = folder(&["divide"]);
    let said = told(folder.path(), "divide 6 3\ndivide six 3\ndivide 6 0\ndivide 8 2\n");
    assert_eq!(said[1..3], ["2", "divide: said no (2): expected two numbers"]);
    assert!(said[3].starts_with("divide: failed to run: "), "{}", said[3]);
    assert_eq!(said[4], "4", "a call that fails harms no other");

    let engine = Engine::builder().modules_from::<dyn ShellCommand>(folder.path()).build().unwrap();
    let divide = engine.module::<dyn ShellCommand>("divide").unwrap();
    let run = |arguments: [&str; 2]| divide.call(|command| command.run(&arguments.map(str::to_owned)));
    assert_eq!(run(["6", "x"]).unwrap(), Outcome::refused(2, "expected two numbers"));
    assert!(run(["6", "0"]).is_err());
}

fn active(engine: &Engine, module: &str) -> String {
    let registry = engine.registry();
    registry.module(module).and_then(|module| module.active.as_ref()).unwrap().version.to_string()
}

/// What the shell's program says to these lines.
fn said_by(program: &Path, folder: &Path, lines: &str) -> String {
    let mut process = Command::new(program);
    let process = process.arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = process.spawn().unwrap();
    process.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    String::from_utf8(process.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn p2_06_adding_a_module_doesnt_change_the_host() {
    let program = shell_program();
    let before = fs::read(&program).unwrap();
    let folder = folder(&["echo"]);
    let said = said_by(&program, folder.path(), "echo on\nupper on\n");
    assert_eq!(said, "Loaded 1 command(s)...\non\ncommand not found: upper\n");

    put(folder.path(), "upper.v1.so", &fs::read(command("upper")).unwrap());
    let said = said_by(&program, folder.path(), "echo on\nupper on\n");
    assert_eq!(said, "Loaded 2 command(s)...\non\nON\n");
    let after = fs::read(&program).unwrap();
    assert_eq!((after.len(), after == before), (before.len(), true));
    // Nor was it in there from the start: what the module says is in the module alone.
    let says = |content: &[u8]| content.windows(14).any(|window| window == b"says it louder");
    assert!(says(&fs::read(command("upper")).unwrap()) && !says(&after));
}

/// A shell that runs, and waits for lines.
struct Shell {
    lines: PipeWriter,
    said: BufReader<PipeReader>,
}

impl Shell {
    fn start(folder: &Path) -> Self {
        let ((input, lines), (output, written)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
        let folder = folder.to_owned();
        thread::spawn(move || shell::run(&folder, BufReader::new(input), written).unwrap());
        Self { lines, said: BufReader::new(output) }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.lines, "{line}").unwrap();
        self.line()
    }
}

#[test]
fn p1_12_a_command_that_is_put_there_later_joins() {
    let folder = folder(&["count"]);
    let mut shell = Shell::start(folder.path());
    assert_eq!(shell.line(), "Loaded 1 command(s)...");
    assert_eq!(shell.ask("upper x"), "command not found: upper");
    put(folder.path(), "upper.v1.so", &fs::read(command("upper")).unwrap());
    wait_until("the command is found", || shell.ask("upper x") == "X");
}

#[test]
fn a_module_that_was_pushed_in_vain_is_taken_from_its_folder() {
    let one = folder(&["count"]);
    let private = tempfile::tempdir().unwrap();
    let builder = Engine::builder().modules_from::<dyn ShellCommand>(one.path());
    let engine = builder.private_folder(private.path()).build().unwrap();
    let elsewhere = folder(&["divide"]);
    let error = engine.push(elsewhere.path().join("divide.v1.so")).unwrap_err();
    assert_eq!(error.code(), "unknown-module", "{error}");

    fs::copy(elsewhere.path().join("divide.v1.so"), one.path().join("divide.v1.so")).unwrap();
    assert_eq!(engine.rescan(), []);
    assert_eq!(active(&engine, "divide"), "1");
}

#[test]
fn modules_that_are_found_are_bounded_and_not_for_everybody_to_make() {
    let two = folder(&["count", "echo"]);
    let private = tempfile::tempdir().unwrap();
    let builder = Engine::builder().modules_from::<dyn ShellCommand>(two.path()).modules_max(2);
    let engine = builder.private_folder(private.path()).build().unwrap();
    let names =
        || engine.modules::<dyn ShellCommand>().iter().map(|it| it.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(), ["count", "echo"]);
    fs::copy(command("upper"), two.path().join("upper.v1.so")).unwrap();
    let faults = engine.rescan();
    assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["too-many-modules"]);
    assert_eq!(names(), ["count", "echo"]);

    // Who pushes by another road must mean a module that there is.
    let elsewhere = folder(&["divide"]);
    let error = engine.push(elsewhere.path().join("divide.v1.so")).unwrap_err();
    assert!(matches!(error, PushError::Verify(_)) && error.code() == "unknown-module", "{error}");

    // A module that was found is one like all others: another version of it goes on with its state.
    let count = engine.module::<dyn ShellCommand>("count").unwrap();
    let run = || count.call(|command| command.run(&[])).unwrap().output;
    assert_eq!(run(), "1");
    fs::write(two.path().join("count.v2.so"), command_as("count", "2").bytes()).unwrap();
    engine.rescan();
    assert_eq!((active(&engine, "count"), run()), ("2".to_owned(), "2".to_owned()));
    engine.rollback("count").unwrap();
    assert_eq!((active(&engine, "count"), run()), ("1".to_owned(), "3".to_owned()));
}
