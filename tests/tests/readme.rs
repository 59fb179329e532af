//! The README's complete small service, laid out, built and upgraded as a reader would do it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use liveswap_tests::demo::{Process, cargo, workspace};
use liveswap_tests::wait_until;

/// Fewer than these is what the README promises.
const LINES_OF_CODE: usize = 80;

/// A fenced block that begins with a comment which names a file.
struct Block {
    path: String,
    content: String,
}

impl Block {
    /// Lines that are neither empty nor a comment.
    fn lines_of_code(&self) -> usize {
        let is_code = |line: &&str| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("//") && !line.starts_with("# ")
        };
        self.content.lines().filter(is_code).count()
    }
}

/// The service's files, as the README shows them.
fn blocks() -> Vec<Block> {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("there is a README");
    let (mut blocks, mut rest) = (Vec::new(), readme.as_str());
    while let Some((_, opened)) = rest.split_once("\n```") {
        let (block, behind) = opened.split_once("\n```").expect("each block is closed");
        rest = behind;
        let Some((language, content)) = block.split_once('\n') else { continue };
        let comment = match language {
            "toml" => "# ",
            "rust" => "// ",
            _ => continue,
        };
        let named = content.lines().next().and_then(|line| line.strip_prefix(comment));
        if let Some(path) = named.filter(|path| path.contains('.') && !path.contains(' ')) {
            blocks.push(Block { path: path.to_owned(), content: format!("{content}\n") });
        }
    }
    blocks
}

/// The reader's project.
struct Project {
    folder: PathBuf,
    /// At one time, one process builds there.
    _lock: File,
}

impl Project {
    /// Lays the blocks out. The folder is always the same, so that cargo finds again what it built before.
    fn new(blocks: &[Block]) -> Self {
        let target = workspace().join("target/readme");
        fs::create_dir_all(&target).expect("the target folder can be written");
        let lock = File::create(target.join("lock")).expect("the target folder can be written");
        lock.lock().expect("a file can be locked");
        let folder = target.join("service");
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("the target folder can be written");
        }
        let project = Self { folder, _lock: lock };
        for Block { path, content } in blocks {
            project.write(path, content);
        }
        project.use_this_checkout();
        project
    }

    /// The crates come from here and not from the registry, and theirs in the versions that are tested.
    fn use_this_checkout(&self) {
        let mut manifest = self.read("Cargo.toml") + "\n[patch.crates-io]\n";
        for (name, folder) in [
            ("liveswap", "engine"),
            ("liveswap-state", "state"),
            ("liveswap-state-macros", "state/macros"),
            ("liveswap-logic", "logic"),
        ] {
            let folder = workspace().join(folder);
            manifest += &format!("{name} = {{ path = {folder:?} }}\n");
        }
        self.write("Cargo.toml", &manifest);
        let lock = workspace().join("Cargo.lock");
        fs::copy(lock, self.folder.join("Cargo.lock")).expect("the workspace has a lock file");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder can be made");
        fs::write(path, content).expect("the folder can be written");
    }

    /// Changes a file at a place that is there exactly once.
    fn replace(&self, path: &str, from: &str, to: &str) {
        let content = self.read(path);
        assert_eq!(content.matches(from).count(), 1, "{path} has {from:?} not once:\n{content}");
        self.write(path, &content.replace(from, to));
    }

    /// Nothing is fetched: what the service needs, the workspace needs too.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo();
        command.args(arguments).arg("--offline").arg("--target-dir").arg(self.target());
        // What a debugger would want takes longer to build than the rest, and nobody debugs it.
        command.env("CARGO_PROFILE_DEV_DEBUG", "none").current_dir(&self.folder);
        command
    }

    fn target(&self) -> PathBuf {
        self.folder.join("../target")
    }

    /// Builds the logic and copies it to where the server looks.
    fn push_logic(&self, version: &str) {
        let status = self.cargo(&["build", "--quiet", "-p", "logic"]).status().expect("cargo can be run");
        assert!(status.success(), "the README's logic doesn't build");
        let name = format!("modules/counter.v{version}.so");
        let library: &Path = &self.target().join("debug/liblogic.so");
        fs::copy(library, self.folder.join(name)).expect("the server has made its folder");
    }
}

/// The server, and a person who types names.
struct Person(Process);

impl Person {
    fn say(&mut self, name: &str) -> String {
        self.0.tell(name);
        self.0.line()
    }
}

#[test]
fn the_complete_small_service_is_small() {
    let blocks = blocks();
    let paths: Vec<_> = blocks.iter().map(|block| block.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "Cargo.toml",
            "api/Cargo.toml",
            "api/src/lib.rs",
            "logic/Cargo.toml",
            "logic/src/lib.rs",
            "server/Cargo.toml",
            "server/src/main.rs",
        ]
    );
    let lines: usize = blocks.iter().map(Block::lines_of_code).sum();
    println!("{lines} lines of code");
    assert!(lines < LINES_OF_CODE, "{lines} lines");
}

#[test]
fn the_complete_small_service_works_as_written() {
    let project = Project::new(&blocks());
    let mut run = project.cargo(&["run", "--quiet", "-p", "server"]);
    run.stdin(Stdio::piped());
    let mut person = Person(Process::start(run));

    let answer = person.say("Ann");
    assert!(answer.contains("no active version"), "{answer}");

    project.push_logic("1.0.0");
    let mut answer = String::new();
    wait_until("the first version answers", || {
        answer = person.say("Ann");
        answer.starts_with("hello ")
    });
    assert_eq!(answer, "hello Ann, this is version 1.0.0; 1 so far");
    assert_eq!(person.say("Bob"), "hello Bob, this is version 1.0.0; 2 so far");

    project.replace("logic/Cargo.toml", "version = \"1.0.0\"", "version = \"1.1.0\"");
    project.replace("logic/src/lib.rs", "hello {name}, this is version", "welcome {name}, to version");
    project.push_logic("1.1.0");
    let mut count = 2;
    wait_until("the second version answers", || {
        count += 1;
        answer = person.say("Eve");
        let older = format!("hello Eve, this is version 1.0.0; {count} so far");
        assert!(answer == older || answer == format!("welcome Eve, to version 1.1.0; {count} so far"));
        answer != older
    });
    count += 1;
    assert_eq!(person.say("Ann"), format!("welcome Ann, to version 1.1.0; {count} so far"));

    assert!(person.0.wait().success(), "{}", person.0.log());
}
