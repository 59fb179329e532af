//! The README, as a reader would follow it: the demo's transcript, typed line by line; and the complete small service,
//! laid out, built and upgraded.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use liveswap_tests::demo::{Demo, Process, Signal, cargo, workspace};
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

/// All fenced blocks of the README: language and content.
fn fenced() -> Vec<(String, String)> {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("there is a README");
    let (mut blocks, mut rest) = (Vec::new(), readme.as_str());
    while let Some((_, opened)) = rest.split_once("\n```") {
        let (block, behind) = opened.split_once("\n```").expect("each block is closed");
        rest = behind;
        let (language, content) = block.split_once('\n').unwrap_or((block, ""));
        blocks.push((language.to_owned(), content.to_owned()));
    }
    blocks
}

/// The service's files, as the README shows them.
fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for (language, content) in fenced() {
        let comment = match language.as_str() {
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

/// Types a command at the demo, and gives what a person sees.
fn typed(demo: &mut Option<Demo>, command: &str) -> String {
    let words: Vec<_> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
    if words == ["cargo", "demo"] {
        match demo {
            Some(demo) => demo.relaunch(),
            None => *demo = Some(Demo::launch()),
        }
        return String::new();
    }
    let demo = demo.as_mut().expect("it begins with the demo");
    let folder = demo.folder().to_str().expect("a plain path").to_owned();
    match words.as_slice() {
        ["curl", url] => demo.get(target(url)).ok(),
        ["curl", "-X", "POST", url] => demo.connect().post(target(url), b"").ok(),
        ["cp", from, "target/demo/modules/"] => {
            let name = from.strip_prefix("target/demo/candidates/").expect("it is one of the candidates");
            demo.copy_to_modules(name);
            wait_until("it is active", || name == format!("logic.v{}.so", demo.active()));
            wait_until("all is migrated", || demo.status()["migration"]["stage"] == "done");
            String::new()
        }
        ["liveswap", arguments @ ..] => {
            let arguments: Vec<_> =
                arguments.iter().map(|word| word.replace("target/demo", &folder)).collect();
            let output = demo.liveswap(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(output.status.success(), "{output:?}");
            let both = [output.stdout, output.stderr].concat();
            String::from_utf8(both).expect("it prints UTF-8").replace(&folder, "target/demo")
        }
        ["alias", ..] => String::new(),
        _ => panic!("nobody knows how to type {command}"),
    }
}

fn target(url: &str) -> &str {
    url.strip_prefix("localhost:12345").expect("it is the demo's")
}

/// Without what is another one each time: numbers with a decimal point, how often something was tried, how long a
/// snapshot is (its players may share a shard, or not), and lines that a terminal shows for a moment only.
fn timeless(text: &str) -> String {
    let lines = text.trim_end().lines().filter(|line| !(line.starts_with("schema ") && line.contains(": ")));
    let lines: Vec<_> = lines.map(timeless_line).collect();
    lines.join("\n")
}

fn timeless_line(line: &str) -> String {
    let mut words = vec![""];
    let mut rest = line.split(' ').peekable();
    while let Some(word) = rest.next() {
        let number = word.trim_end_matches([',', ')', ';']);
        let is_number = number.starts_with(|first: char| first.is_ascii_digit());
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let is_count =
            words.last() == Some(&"after") || rest.peek().is_some_and(|next| next.starts_with("bytes"));
        words.push(match word.trim_end_matches(',') {
            _ if is_number && is_plain && (is_count || number.contains('.')) => "NUMBER",
            "try" => "tries",
            _ => word,
        });
    }
    words.join(" ")
}

#[test]
fn the_transcript_is_what_a_person_sees() {
    let mut demo = None;
    let mut commands = 0;
    for (_, content) in fenced().iter().filter(|(language, _)| language == "console") {
        for step in format!("\n{content}").split("\n$ ").skip(1) {
            let (command, shown) = step.split_once('\n').unwrap_or((step, ""));
            if command.starts_with("cargo test") || command.starts_with("cargo bench") {
                continue;
            }
            assert_eq!(timeless(&typed(&mut demo, command)), timeless(shown), "$ {command}");
            commands += 1;
        }
    }
    assert!(commands > 20, "{commands} commands");
    demo.expect("it was started").ends_cleanly(Signal::INT);
}
