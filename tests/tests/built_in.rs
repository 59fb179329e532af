//! Versions that are built into the host: found as all others are, and replaced and returned to like them.

use std::path::Path;
use std::time::Duration;

use liveswap::rehearsal::StateCopy;
use liveswap::status::Origin;
use liveswap::{BuildError, BuiltIn, Engine, Push, PushOutcome, Rehearsal};
use liveswap_logic::{Context, Logic, built_in};
use liveswap_tests::commands::{command, command_as, put};
use shell_api::{Command, CommandLogic, Outcome};

/// What the host says by itself.
struct Whisper;

impl Logic for Whisper {
    type State = ();

    fn create(_: &Context) {}

    fn prepare(context: &Context) -> Result<(), String> {
        if context.module() == "refuses" { Err("not built in".to_owned()) } else { Ok(()) }
    }
}

impl CommandLogic for Whisper {
    fn about(context: &Context) -> String {
        format!("built in as {}", context.version())
    }

    fn run(_: &(), _: &Context, arguments: &[String]) -> Outcome {
        assert!(arguments.len() < 3, "too much to whisper");
        Outcome::done(arguments.join(" ").to_lowercase())
    }
}

fn built_in_2() -> BuiltIn {
    built_in! { module: "echo", version: "2", logic: Whisper as CommandLogic }
}

fn host(folder: &Path) -> Engine {
    let builder = Engine::builder().module::<dyn Command>("echo").built_in(built_in_2());
    builder.watch(folder.join("modules")).private_folder(folder.join("private")).build().unwrap()
}

/// What it says, and the active version with where it's from.
fn says(engine: &Engine) -> (String, String, Origin) {
    let echo = engine.module::<dyn Command>("echo").unwrap();
    let said = echo.call(|echo| echo.run(&["LOUD".to_owned()])).unwrap().output;
    let active = engine.status().modules.remove(0).active.unwrap();
    (said, active.version.to_string(), active.origin)
}

fn whispers() -> (String, String, Origin) {
    ("loud".to_owned(), "2".to_owned(), Origin::BuiltIn)
}

fn push(engine: &Engine, version: &str) -> Result<PushOutcome, liveswap::PushError> {
    let content = command_as("echo", version).bytes().to_vec();
    engine.push(Push::content(format!("echo.v{version}.so"), content))
}

#[test]
fn p2_04_a_built_in_version_is_found_by_the_same_look_up_and_the_highest_number_wins() {
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().join("modules");
    std::fs::create_dir(&modules).unwrap();
    put(&modules, "echo.v1.so", &std::fs::read(command("echo")).unwrap());
    let engine = host(folder.path());
    // The older one that lies there doesn't get its place.
    assert_eq!(says(&engine), whispers());
    let about = engine.module::<dyn Command>("echo").unwrap().call(|echo| echo.about()).unwrap();
    assert_eq!(about, "built in as 2");
    let registry = engine.registry();
    let active = registry.module("echo").unwrap().active.clone().unwrap();
    assert_eq!((active.origin, active.exports.functions.len()), (Origin::BuiltIn, 2));
    assert!(registry.symbol("echo", "run").is_some());

    assert_eq!(push(&engine, "1").unwrap_err().code(), "older-version");
    // One of the same number isn't it.
    let error = push(&engine, "2").unwrap_err();
    assert_eq!(error.code(), "conflicting-version", "{error}");
    assert!(error.to_string().contains("version 2 is known with other bytes"), "{error}");
    assert_eq!(says(&engine), whispers());
    // A newer one does.
    push(&engine, "3").unwrap();
    assert_eq!(says(&engine), ("LOUD".to_owned(), "3".to_owned(), Origin::Library));
}

#[test]
fn p2_04_the_newest_of_a_folder_wins_over_a_built_in_one_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().join("modules");
    std::fs::create_dir(&modules).unwrap();
    for version in ["1", "4"] {
        put(&modules, &format!("echo.v{version}.so"), command_as("echo", version).bytes());
    }
    let engine = host(folder.path());
    assert_eq!(says(&engine).1, "4");
    // The built-in one was there first, so it's what a rollback returns to.
    engine.rollback("echo").unwrap();
    assert_eq!(says(&engine), whispers());
    // What was rolled back isn't taken up again, by the next start neither.
    engine.rescan();
    assert_eq!(says(&engine), whispers());
    drop(engine);
    assert_eq!(says(&host(folder.path())), whispers());
}

#[test]
fn a_built_in_version_is_returned_to_and_never_unmapped() {
    let folder = tempfile::tempdir().unwrap();
    let engine = host(folder.path());
    push(&engine, "3").unwrap();
    // At once, from the other slot.
    engine.rollback("echo").unwrap();
    assert_eq!(says(&engine), whispers());

    // After it has left its slot, too: there is no file to load, and none is needed.
    push(&engine, "4").unwrap();
    engine.commit("echo").unwrap();
    let states = || {
        let retired = engine.status().modules.remove(0).retired;
        retired.into_iter().map(|it| (it.version.to_string(), it.state)).collect::<Vec<_>>()
    };
    liveswap_tests::wait_until("it has left", || states().contains(&("2".to_owned(), "built-in")));
    engine.rollback("echo").unwrap();
    assert_eq!(says(&engine), whispers());
}

#[test]
fn a_panic_of_a_built_in_version_is_an_error_of_its_call() {
    let folder = tempfile::tempdir().unwrap();
    let engine = host(folder.path());
    let echo = engine.module::<dyn Command>("echo").unwrap();
    let many = ["a", "b", "c"].map(str::to_owned);
    let error = echo.call(|echo| echo.run(&many)).unwrap_err();
    assert!(error.to_string().contains("too much to whisper"), "{error}");
    assert_eq!(says(&engine), whispers());
}

#[test]
fn a_candidate_is_rehearsed_beside_it_with_a_state_of_its_own() {
    let rehearsal =
        Rehearsal::new().program(liveswap_tests::demo::command()).deadline(Duration::from_secs(60));
    let builder = Engine::builder().module::<dyn Command>("echo").built_in(built_in_2()).rehearse(rehearsal);
    let engine = builder.build().unwrap();
    let push = Push::content("echo.v3.so", command_as("echo", "3").bytes().to_vec()).rehearse(true);
    let PushOutcome::Published(published) = engine.push(push).unwrap() else { panic!("it's new") };
    let rehearsed = published.rehearsal.unwrap();
    assert_eq!((rehearsed.state, rehearsed.compared), (StateCopy::Created, 0));
    let reason = rehearsed.state_reason.unwrap();
    assert!(reason.contains("built into the host"), "{reason}");
    assert_eq!(says(&engine).1, "3");
}

#[test]
fn two_engines_in_a_process_each_begin_with_it() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (host(one.path()), host(other.path()));
    push(&one, "3").unwrap();
    assert_eq!((says(&one).1.as_str(), says(&other).1.as_str()), ("3", "2"));
    drop(one);
    assert_eq!(says(&other), whispers());
}

#[test]
fn what_is_built_in_must_fit_a_module_of_the_host() {
    let refused = |builder: liveswap::Builder| builder.build().unwrap_err();
    let error = refused(Engine::builder().module::<dyn Command>("other").built_in(built_in_2()));
    assert!(error.to_string().contains("unable to find module: echo: the host has `other`"), "{error}");
    let error = refused(Engine::builder().module::<dyn fixture_api::Game>("echo").built_in(built_in_2()));
    assert!(matches!(error, BuildError::BuiltIn(_)), "{error}");
    let again = built_in! { module: "echo", version: "3", logic: Whisper as CommandLogic };
    let builder = Engine::builder().module::<dyn Command>("echo").built_in(built_in_2()).built_in(again);
    let error = refused(builder);
    assert!(matches!(&error, BuildError::BuiltInTwice { name } if name == "echo"), "{error}");

    // One that says itself that it can't serve leaves the module empty, as any first version does.
    let refuses = built_in! { module: "refuses", version: "1", logic: Whisper as CommandLogic };
    let engine = Engine::builder().module::<dyn Command>("refuses").built_in(refuses).build().unwrap();
    assert!(engine.registry().module("refuses").unwrap().active.is_none());
}
