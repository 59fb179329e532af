//! The demo under load: clients that never pause, while its logic is replaced two hundred times.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use liveswap_tests::demo::{Connection, Demo, NEWER, OLDER};
use liveswap_tests::wait_until;

const CLIENTS: usize = 4;
const SWAPS: usize = 200;

/// How far the swaps are. Swap 1 and every second after it is an upgrade, the others are downgrades.
#[derive(Default)]
struct Progress {
    begun: AtomicUsize,
    done: AtomicUsize,
    over: AtomicBool,
}

/// Says that the swaps are over when it is dropped, so that the clients end with a test that fails, too.
struct Swapping<'progress>(&'progress Progress);

impl Drop for Swapping<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// What a client has seen.
#[derive(Default)]
struct Seen {
    answers: usize,
    added: u64,
    upgrades: usize,
}

/// The version that is active after a swap.
fn version_after(swap: usize) -> &'static str {
    if swap % 2 == 1 { "1002" } else { "1001" }
}

/// Asks until the swaps are over. Every answer has to be right.
fn ask(mut connection: Connection, progress: &Progress) -> Seen {
    let mut seen = Seen::default();
    // The swap whose version this client has seen last.
    let mut reached = 0;
    loop {
        let done = progress.done.load(Ordering::SeqCst);
        let answer = connection.get("/hello").ok();
        let begun = progress.begun.load(Ordering::SeqCst);

        let (_, version) = answer.split_once("version=").expect("a hello names its version");
        let version = &version[..4];
        // Between the end of one swap and the begin of the next, there is one version; and who has seen a
        // swap's version isn't sent back by this swap.
        if done == begun || reached == begun {
            assert_eq!(version, version_after(begun), "swap {begun} (done: {done}): {answer}");
        }
        // While no other swap has begun, the version that it leads to can only come from it.
        if done + 1 >= begun && version == version_after(begun) && reached != begun {
            reached = begun;
            seen.upgrades += begun % 2;
        }

        let added = seen.answers as u64 % 7;
        let total: u64 = connection.post(&format!("/hit?n={added}"), b"").ok().parse().expect("a number");
        seen.added += added;
        assert!(total >= seen.added, "{total} is less than this client alone has added");
        seen.answers += 2;
        if progress.over.load(Ordering::SeqCst) {
            return seen;
        }
    }
}

/// Every second swap goes through the engine's own door.
fn swap(demo: &Demo, admin: &mut Connection, name: &str, through_admin: bool) {
    if through_admin {
        let content = std::fs::read(demo.candidate(name)).expect("a candidate can be read");
        let answer = admin.post(&format!("/push?name={name}&allow_older=true"), &content).ok();
        assert!(answer.contains("\"published\""), "{answer}");
    } else {
        assert_eq!(demo.get(&format!("/load?name={name}&allow_older=1")).ok(), "done");
    }
}

#[test]
fn p1_11_p3_01_nobody_notices_two_hundred_swaps() {
    let demo = Demo::start();
    let progress = Progress::default();
    let seen: Vec<Seen> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let connection = demo.connect();
                scope.spawn(|| ask(connection, &progress))
            })
            .collect();
        let mut admin = demo.connect_admin();
        let swapping = Swapping(&progress);
        for number in 1..=SWAPS {
            let name = if number % 2 == 1 { NEWER } else { OLDER };
            progress.begun.store(number, Ordering::SeqCst);
            // Two upgrades in a row differ in their way, and so do two downgrades.
            swap(&demo, &mut admin, name, number / 2 % 2 == 1);
            progress.done.store(number, Ordering::SeqCst);
        }
        drop(swapping);
        clients.into_iter().map(|client| client.join().expect("each answer was right")).collect()
    });

    let answers: usize = seen.iter().map(|client| client.answers).sum();
    let upgrades: usize = seen.iter().map(|client| client.upgrades).sum();
    println!("{answers} answers during {SWAPS} swaps; upgrades seen by a client: {upgrades}");
    assert!(seen.iter().all(|client| client.upgrades > 0), "a client saw no upgrade");
    let added: u64 = seen.iter().map(|client| client.added).sum();
    assert_eq!(demo.get("/total").ok(), added.to_string());

    let status = demo.status();
    assert_eq!(status["swaps"]["refused"], 0);
    // Each push but the first commits the one before it.
    assert_eq!(status["swaps"]["committed"], SWAPS - 1);
    let (active, standby) = (version_after(SWAPS).to_owned(), version_after(SWAPS - 1).to_owned());
    wait_until("only two are mapped", || demo.mapped().len() == 2);
    assert_eq!(demo.slots(), (active.clone(), standby, 2));
    assert!(demo.liveswap(&["commit", "logic"]).status.success());
    wait_until("only one is mapped", || demo.mapped().len() == 1);
    assert_eq!(demo.slots(), (active, String::new(), 1));
    assert_eq!(demo.logged("retained"), 0);
}
