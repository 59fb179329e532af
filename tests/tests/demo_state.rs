//! What the demo remembers: across versions that keep it in two shapes, and across processes.

use liveswap_tests::demo::{Demo, NEWER, OLDER, Signal};
use liveswap_tests::wait_until;

#[track_caller]
fn post(demo: &Demo, target: &str) -> String {
    demo.connect().post(target, b"").ok()
}

#[track_caller]
fn players(demo: &Demo, expected: &[&str]) {
    assert_eq!(demo.get("/players").ok().lines().collect::<Vec<_>>(), expected);
}

#[track_caller]
fn pushed(demo: &Demo, name: &str) {
    let path = demo.candidate(name);
    let output = demo.liveswap(&["push", "--allow-older", path.to_str().expect("a plain path")]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn players_are_migrated_there_and_back() {
    let demo = Demo::start();
    players(&demo, &[]);
    assert_eq!(post(&demo, "/join?name=ada"), "1");
    assert_eq!(post(&demo, "/score?player=1&n=12"), "1 ada: score 12");
    pushed(&demo, NEWER);
    players(&demo, &["1 ada: score 12.0, level 2"]);
    assert_eq!(demo.status()["active"]["state_schema"], 2);

    assert_eq!(post(&demo, "/join?name=grace"), "2");
    assert_eq!(post(&demo, "/score?player=1&n=3"), "1 ada: score 16.5, level 2");
    assert!(demo.liveswap(&["rollback", "logic"]).status.success());
    players(&demo, &["1 ada: score 17", "2 grace: score 0"]);
    assert_eq!(demo.status()["active"]["state_schema"], 1);
    demo.ends_cleanly(Signal::TERM);
}

#[test]
fn many_players_are_migrated_too() {
    let demo = Demo::start();
    assert_eq!(post(&demo, "/join?name=bot&n=50000"), "50000");
    pushed(&demo, NEWER);
    let migration = demo.status()["migration"].take();
    assert_eq!(migration["stage"], "done", "{migration}");
    assert!(migration["shards"].as_u64() >= Some(128), "{migration}");
    let all = demo.get("/players").ok();
    assert!(all.starts_with("1 bot: score 0.0, level 1\n") && all.ends_with("\nand 49900 more"), "{all}");
    assert_eq!(post(&demo, "/score?player=50000&n=10"), "50000 bot: score 10.0, level 2");
}

#[test]
fn the_world_outlives_the_process() {
    let mut demo = Demo::start();
    assert_eq!(post(&demo, "/hit?n=5"), "5");
    assert_eq!(post(&demo, "/join?name=ada"), "1");
    demo.restart();
    assert_eq!((demo.active(), demo.get("/total").ok()), ("1001".to_owned(), "5".to_owned()));

    // What was rolled back stays so, though it lies in the watched folder and is newer.
    demo.copy_to_modules(NEWER);
    wait_until("1002 is active", || demo.active() == "1002");
    assert!(demo.liveswap(&["rollback", "logic"]).status.success());
    demo.restart();
    assert_eq!((demo.active(), demo.get("/total").ok()), ("1001".to_owned(), "5".to_owned()));

    // Whoever asks for it gets it, and the next start begins with it.
    pushed(&demo, NEWER);
    assert!(demo.liveswap(&["commit", "logic"]).status.success());
    demo.restart();
    assert_eq!((demo.active(), demo.get("/total").ok()), ("1002".to_owned(), "5".to_owned()));
    players(&demo, &["1 ada: score 0.0, level 1"]);
    assert!(demo.status()["migration"].is_null(), "nothing had to be migrated");
    demo.ends_cleanly(Signal::INT);
}

#[test]
fn a_start_goes_on_with_a_version_that_was_only_pushed() {
    let mut demo = Demo::start();
    assert_eq!(post(&demo, "/hit?n=5"), "5");
    pushed(&demo, NEWER);
    std::fs::remove_file(demo.candidate(OLDER)).expect("the file is there");
    // The watched folder still has 1001, which knows nothing of this world.
    demo.restart();
    assert_eq!((demo.active(), demo.get("/total").ok()), ("1002".to_owned(), "5".to_owned()));
    assert_eq!(demo.logged("code=\"other-snapshot\""), 1);
}

#[test]
fn wrong_players_are_refused() {
    let demo = Demo::start();
    let mut connection = demo.connect();
    for (target, status, code) in [
        ("/join", 400, "bad-name"),
        ("/join?name=", 400, "bad-name"),
        ("/join?name=a%0Ab", 400, "bad-name"),
        ("/join?name=ada&n=0", 400, "too-many"),
        ("/join?name=ada&n=100001", 400, "too-many"),
        ("/join?name=ada&n=-1", 400, "bad-parameters"),
        ("/score?player=1&n=1", 404, "no-such-player"),
        ("/score?player=1&n=4294967296", 400, "bad-parameters"),
    ] {
        let answer = connection.post(target, b"");
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
        assert!(answer.body.starts_with(&format!("error[{code}]: ")), "{target}: {}", answer.body);
    }
    players(&demo, &[]);
}
