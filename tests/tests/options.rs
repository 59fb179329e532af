//! Options: from the configuration's file, with the environment on top, to each module, at its start and on change.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fixture_api::links::{Link, Step};
use liveswap::{BuildError, Engine, Push, Rehearsal};
use liveswap_state::Options;
use liveswap_tests::demo::command;
use liveswap_tests::links::{CHAIN, Links, NET};
use liveswap_tests::log::Log;
use liveswap_tests::{Fixture, alone, wait_until};

/// Writes the file as editors do: whole, and then in the place of the former one.
fn write(file: &Path, text: &str) {
    let fresh = file.with_extension("fresh");
    fs::write(&fresh, text).expect("a temporary folder can be written");
    fs::rename(fresh, file).expect("a temporary folder can be written");
}

fn greeting(text: &str) -> String {
    format!("[modules.chain]\ngreeting = \"{text}\"\n")
}

/// A host that reads a file, and the file.
fn configured(text: &str) -> (Links, PathBuf) {
    let mut file = PathBuf::new();
    let host = Links::with(|builder, folder| {
        file = folder.canonicalize().expect("it exists").join("config.toml");
        write(&file, text);
        builder.config(&file)
    });
    (host, file)
}

/// What the hook `configure` of a module has noted.
fn notes(host: &Links, module: &str) -> Vec<String> {
    host.module(module).call(|module| module.notes()).expect("it has a version")
}

fn option(host: &Links, module: &str, key: &str) -> Result<String, String> {
    host.module(module).call(|module| module.option(key)).expect("it has a version")
}

#[test]
fn p0_02_options_reach_logic_after_it_has_made_its_state_and_before_any_call() {
    alone::check(|| {
        let log = Log::of_this_process();
        let (host, _) = configured("[modules.chain]\ngreeting = 'hello'\ndepth = 7");
        host.push(Fixture::link(CHAIN, "1001").build());
        let answer = host.module(CHAIN).call(|chain| chain.pass_shared(vec![Step::Panic]));
        assert!(answer.is_err());
        let told = [
            "created",
            "Set config: depth = the integer 7",
            "Set config: greeting = the text \"hello\"",
            "published",
            "logic panicked: on the way",
        ];
        let records = log.records();
        let told = told.map(|what| records.iter().position(|record| record.text("message") == what));
        assert!(told.iter().all(Option::is_some) && told.is_sorted(), "{told:?} of {records:#?}");
        assert_eq!(notes(&host, CHAIN), ["1001: hello -> hello"]);
    });
}

#[test]
fn p4_05_options_reach_each_module_s_first_version_and_no_other_version_hears_of_them_again() {
    let (host, _) = configured(&greeting("hello"));
    for module in [CHAIN, NET] {
        host.push(Fixture::link(module, "1001").build());
    }
    assert_eq!(option(&host, CHAIN, "greeting"), Ok("hello".to_owned()));
    // The hook sees what was in force before, which for a first version is what is set.
    assert_eq!(notes(&host, CHAIN), ["1001: hello -> hello"]);
    assert_eq!(notes(&host, NET), ["1001: none -> none"]);
    let missing = "option `greeting`: found nothing, expected a text";
    assert_eq!(option(&host, NET, "greeting"), Err(missing.to_owned()));

    host.push_version(CHAIN, "1002");
    assert_eq!(option(&host, CHAIN, "greeting"), Ok("hello".to_owned()));
    assert_eq!(notes(&host, CHAIN).len(), 1);
}

#[test]
fn p4_05_an_unknown_name_is_refused_when_the_engine_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, "[modules.cellar]\n").unwrap();
    let builder = || Engine::builder().module::<dyn Link>(CHAIN);
    for builder in [builder().config(&file), builder().option("cellar", "key", 1)] {
        let error = builder.build().unwrap_err();
        assert!(matches!(&error, BuildError::Config(error) if error.code() == "unknown-module"), "{error:?}");
        assert_eq!(error.to_string(), "unable to find plugin: cellar");
    }
    let missing = builder().config(folder.path().join("none.toml")).build().unwrap_err();
    assert!(
        matches!(&missing, BuildError::Config(error) if error.code() == "unreadable-config"),
        "{missing:?}"
    );
}

#[test]
fn p4_05_a_change_of_the_file_reaches_the_version_that_serves_and_only_modules_that_it_concerns() {
    let (host, file) = configured(&greeting("one"));
    for module in [CHAIN, NET] {
        host.push(Fixture::link(module, "1001").build());
    }
    host.push_version(CHAIN, "1002");
    write(&file, &greeting("two"));
    wait_until("the watcher has seen it", || notes(&host, CHAIN).len() == 2);
    assert_eq!(notes(&host, CHAIN)[1], "1002: one -> two");
    wait_until("it's in force", || option(&host, CHAIN, "greeting") == Ok("two".to_owned()));
    assert_eq!(host.status(CHAIN).options.changes, 1);
    assert_eq!((notes(&host, NET).len(), host.status(NET).options.changes), (1, 0));

    // The same options, otherwise written.
    write(&file, "[modules]\nchain = { greeting = 'two' }");
    assert_eq!(host.engine.reload_config().unwrap(), [""; 0]);
    assert_eq!(notes(&host, CHAIN).len(), 2);
}

#[test]
fn options_that_are_refused_on_change_leave_those_before_in_force_and_the_status_says_so() {
    let (host, file) = configured(&greeting("one"));
    host.push(Fixture::link(CHAIN, "1001").build());
    write(&file, "[modules.chain]\ngreeting = 7");
    let error = host.engine.reload_config().unwrap_err();
    assert_eq!(error.code(), "configure-refused");
    let text = error.to_string();
    assert!(text.contains("`chain`") && text.contains("found the integer 7, expected a text"), "{text}");
    assert_eq!(option(&host, CHAIN, "greeting"), Ok("one".to_owned()));
    assert_eq!(notes(&host, CHAIN).len(), 1);
    let failure = host.status(CHAIN).options.failure.unwrap();
    assert_eq!(failure.code, "configure-refused");

    write(&file, &greeting("two"));
    host.engine.reload_config().unwrap();
    wait_until("it's in force", || option(&host, CHAIN, "greeting") == Ok("two".to_owned()));
    assert_eq!(host.status(CHAIN).options.failure, None);
    assert_eq!(notes(&host, CHAIN).len(), 2);
}

/// A host with a hook that has missed its deadline, and would take a greeting from the file.
fn late() -> (Links, PathBuf) {
    let mut file = PathBuf::new();
    let host = Links::with(|builder, folder| {
        file = folder.canonicalize().expect("it exists").join("config.toml");
        write(&file, &greeting("hello"));
        builder.config(&file).hook_deadline(Duration::from_secs(2))
    });
    host.push(Fixture::link(CHAIN, "1001").build());
    write(&file, &format!("{}waits = true", greeting("late")));
    let error = host.engine.reload_config().unwrap_err().to_string();
    assert!(error.contains("`configure`"), "{error}");
    (host, file)
}

#[test]
fn what_a_hook_takes_after_its_deadline_comes_into_force_if_the_file_still_says_so() {
    let (host, _) = late();
    assert_eq!(option(&host, CHAIN, "greeting").unwrap(), "hello");
    host.module(CHAIN).call(|chain| chain.release()).unwrap();
    wait_until("it's in force", || host.status(CHAIN).options.changes == 1);
    assert_eq!(option(&host, CHAIN, "greeting").unwrap(), "late");
    assert_eq!(host.status(CHAIN).options.failure, None);
    assert_eq!(notes(&host, CHAIN), ["1001: hello -> hello", "1001: hello -> late"], "it isn't called again");
}

#[test]
fn what_a_hook_takes_after_its_deadline_and_was_taken_back_meanwhile_it_is_told_again() {
    let (host, file) = late();
    write(&file, &greeting("hello"));
    host.engine.reload_config().unwrap();
    host.module(CHAIN).call(|chain| chain.release()).unwrap();
    wait_until("it has heard what is in force", || notes(&host, CHAIN).len() == 3);
    let expected = ["1001: hello -> hello", "1001: hello -> late", "1001: hello -> hello"];
    assert_eq!(notes(&host, CHAIN), expected);
    assert_eq!(option(&host, CHAIN, "greeting").unwrap(), "hello");
    assert_eq!(host.status(CHAIN).options.changes, 0);
}

#[test]
fn a_panic_on_change_is_an_error_like_that_of_an_exclusive_call() {
    let (host, file) = configured(&greeting("one"));
    host.push(Fixture::link(CHAIN, "1001").build());
    write(&file, &greeting("panic"));
    assert_eq!(host.engine.reload_config().unwrap_err().code(), "configure-panicked");
    let suspicion = host.status(CHAIN).suspect.expect("the state may be half changed");
    assert_eq!(suspicion.method, "configure");
    assert_eq!(option(&host, CHAIN, "greeting"), Ok("one".to_owned()));
    assert_eq!(notes(&host, CHAIN).len(), 1);
}

#[test]
fn a_file_that_cant_be_meant_changes_nothing_while_the_engine_runs() {
    let (host, file) = configured(&greeting("one"));
    host.push(Fixture::link(CHAIN, "1001").build());
    for (text, code) in [("[modules.chain", "malformed-config"), ("[modules.cellar]", "unknown-module")] {
        write(&file, text);
        assert_eq!(host.engine.reload_config().unwrap_err().code(), code);
        assert_eq!(host.engine.status().config.unwrap().failure.unwrap().code, code);
        assert_eq!(option(&host, CHAIN, "greeting"), Ok("one".to_owned()));
    }
    write(&file, &greeting("two"));
    host.engine.reload_config().unwrap();
    wait_until("it's in force", || option(&host, CHAIN, "greeting") == Ok("two".to_owned()));
    assert_eq!(host.engine.status().config.unwrap().failure, None);
}

#[test]
fn a_first_version_that_refuses_its_options_is_refused_and_serves_once_they_are_mended() {
    let mut file = PathBuf::new();
    let host = Links::with(|builder, folder| {
        let folder = folder.canonicalize().expect("it exists");
        file = folder.join("config.toml");
        write(&file, "[modules.chain]\ngreeting = 7");
        builder.config(&file).watch(folder.join("modules"))
    });
    let library = Fixture::link(CHAIN, "1001").build();
    let refused = host.refused("configure-refused", &library);
    assert!(refused.to_string().contains("expected a text"), "{refused}");
    assert!(host.status(CHAIN).active.is_none());

    // The watched folder offers it too. What was refused isn't tried again, as long as the options are the same.
    let watched = host.folder().join("modules");
    fs::copy(library, host.folder().join("chain.v1001.so")).unwrap();
    fs::rename(host.folder().join("chain.v1001.so"), watched.join("chain.v1001.so")).unwrap();
    host.engine.rescan();
    assert!(host.status(CHAIN).active.is_none());
    write(&file, &greeting("one"));
    wait_until("it serves", || host.status(CHAIN).active.is_some());
    assert_eq!(option(&host, CHAIN, "greeting"), Ok("one".to_owned()));
}

#[test]
fn what_the_host_sets_lies_under_the_file() {
    let host = Links::with(|builder, folder| {
        let file = folder.join("config.toml");
        write(&file, &greeting("file"));
        builder.config(file).option(CHAIN, "greeting", "host").option(CHAIN, "deep.key", "host")
    });
    host.push(Fixture::link(CHAIN, "1001").build());
    assert_eq!(option(&host, CHAIN, "greeting"), Ok("file".to_owned()));
    assert_eq!(option(&host, CHAIN, "deep.key"), Ok("host".to_owned()));
}

/// The environment is the process's, so the test has one of its own.
#[test]
fn p4_05_the_environment_lies_on_top_of_the_file() {
    const TEST: &str = "p4_05_the_environment_lies_on_top_of_the_file";
    if alone::purpose().is_none() {
        let mut command = alone::command(TEST, "with variables");
        command
            .env("LIVESWAP_CHAIN__GREETING", "environment")
            .env("LIVESWAP_CHAIN__DEEP__KEY", "several words");
        let output = command.output().expect("this program can be run again");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let (host, _) = configured(&greeting("file"));
    host.push(Fixture::link(CHAIN, "1001").build());
    assert_eq!(option(&host, CHAIN, "greeting"), Ok("environment".to_owned()));
    assert_eq!(option(&host, CHAIN, "deep.key"), Ok("several words".to_owned()));
}

#[test]
fn a_rehearsal_has_the_options() {
    let host = Links::with(|builder, folder| {
        let file = folder.join("config.toml");
        write(&file, "[modules.chain]\ngreeting = 'panic'");
        builder.config(file).rehearse(Rehearsal::new().program(command()))
    });
    let library = Fixture::link(CHAIN, "1001").build();
    let refused = host.engine.push(Push::file(library).rehearse(true)).unwrap_err();
    assert!(refused.to_string().contains("in `configure` of the candidate"), "{refused}");
}

/// The file is a link out of the folder that is watched, so that nobody but who asks sees what is written. The signal goes
/// to all engines of a process, so the test has one of its own.
#[test]
fn p4_05_a_hangup_has_the_configuration_read_again() {
    alone::check(|| {
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("config.toml");
        write(&file, &greeting("one"));
        let host = Links::with(|builder, folder| {
            let link = folder.join("config.toml");
            std::os::unix::fs::symlink(&file, &link).unwrap();
            builder.config(link).rescan_on_hangup()
        });
        host.push(Fixture::link(CHAIN, "1001").build());
        // What the start has wished for is done.
        assert_eq!(host.engine.reload_config().unwrap(), [""; 0]);
        write(&file, &greeting("two"));
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
        wait_until("it's in force", || option(&host, CHAIN, "greeting") == Ok("two".to_owned()));
        write(&file, &greeting("three"));
        assert_eq!(host.engine.reload_config().unwrap(), [CHAIN]);
        assert_eq!(notes(&host, CHAIN).len(), 3);
    });
}

/// Logic can be tried with options and without a host.
#[test]
fn a_context_for_tests_has_the_options_that_it_is_given() {
    let context = liveswap_state::Context::new("chain", "1001").with_options(Options::from([("depth", 7)]));
    assert_eq!(context.options().integer("depth"), Ok(7));
    assert!(liveswap_state::Context::new("chain", "1001").options().is_empty());
}
