//! A server that is killed at random moments, in the middle of snapshots and sweeps: the next start has a state that is
//! whole, and no older than the last snapshot that was finished.
//!
//! The server is this program once more. It trains entities, one after the other, and says how many by the time that it
//! asked for a snapshot once that is taken. The moments follow from a seed, which is printed. `ci/kills` does it two hundred
//! times.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fixture_api::world::{Realm, Thing};
use liveswap_tests::world::{self, figures, realm};
use liveswap_tests::{Host, alone, host};

const ENTITIES: u64 = 5_000;

/// Where the server's snapshots are.
const FOLDER: &str = "LIVESWAP_TEST_FOLDER";

#[test]
fn a_server_that_is_killed_begins_with_the_last_snapshot_that_was_finished() {
    if alone::purpose().is_some() {
        serve(&PathBuf::from(env::var_os(FOLDER).unwrap()));
    }
    let kills = env::var("LIVESWAP_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = env::var("LIVESWAP_SEED").map_or(now.as_nanos() as u64 | 1, |seed| seed.parse().unwrap());
    println!("LIVESWAP_SEED={seed}");
    // Built before anybody is killed while building it.
    drop((world::version(1), world::version(2)));
    let folder = tempfile::tempdir().unwrap();
    let (mut random, mut finished, mut snapshots) = (seed, 0, 0);
    for number in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let lines = serve_and_kill(folder.path(), Duration::from_millis(random % 400));
        for line in lines {
            match line.split_once(' ').map(|(what, total)| (what, total.parse::<u64>().unwrap())) {
                Some(("began", total)) => {
                    assert!(
                        total >= finished,
                        "start {number}: began with {total}, after {finished} were saved"
                    );
                }
                Some(("finished", total)) => (finished, snapshots) = (total, snapshots + 1),
                _ => panic!("{line}"),
            }
        }
    }
    println!("{kills} kills, {snapshots} snapshots were finished, {finished} points saved");
    assert!(snapshots > 0, "it was always killed before the first snapshot");
}

/// Has a server serve until it's killed, so long after it began. What it has said.
fn serve_and_kill(folder: &Path, after: Duration) -> Vec<String> {
    let test = alone::name("killed::a_server_that_is_killed_begins_with_the_last_snapshot_that_was_finished");
    let server = alone::command(test, "serve")
        .env(FOLDER, folder)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut server = server.unwrap();
    let mut said = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = Vec::new();
    let mut all = Vec::new();
    for line in said.by_ref() {
        let begins = line.starts_with(alone::REPORT);
        all.push(line.clone());
        if let Some(line) = line.strip_prefix(alone::REPORT) {
            lines.push(line.to_owned());
        }
        if begins {
            break;
        }
    }
    assert!(!lines.is_empty(), "it didn't begin:\n{}", all.join("\n"));
    thread::sleep(after);
    // SIGKILL: it can't do anything about that.
    server.kill().unwrap();
    server.wait().unwrap();
    let reported = said.filter_map(|line| line.strip_prefix(alone::REPORT).map(str::to_owned));
    lines.extend(reported);
    lines
}

fn serve(folder: &Path) -> ! {
    let host = Host::of::<dyn Realm>(|builder, _| builder.snapshots(folder));
    // The schema of the snapshot that it begins with is that of the moment in which the other was killed.
    if host.engine.push(world::version(1)).is_err() {
        host.push(world::version(2));
    }
    let realm = realm(&host);
    if figures(&host).count == 0 {
        realm.call(|realm| realm.fill(0, ENTITIES)).unwrap();
    }
    let began = figures(&host);
    assert_eq!(began.count, ENTITIES);
    for id in 0..ENTITIES {
        let thing = realm.call(|realm| realm.look(id)).unwrap().unwrap();
        assert_eq!(thing, Thing { experience: thing.experience, ..Thing::first(id) });
    }
    eprintln!("{}began {}", alone::REPORT, began.experience);
    let trained = AtomicU64::new(began.experience);
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                let id = trained.load(Ordering::SeqCst) % ENTITIES;
                realm.call(|realm| realm.train(id, 1)).unwrap();
                trained.fetch_add(1, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            loop {
                let asked = trained.load(Ordering::SeqCst);
                host.engine.snapshot(host::MODULE).unwrap();
                eprintln!("{}finished {asked}", alone::REPORT);
            }
        });
        loop {
            // Some snapshots are to be finished between two migrations, which give them up.
            thread::sleep(Duration::from_millis(trained.load(Ordering::Relaxed) % 64));
            if world::schema(&host) == 1 {
                host.push(world::version(2));
            } else if host.engine.rollback(host::MODULE).is_err() {
                // It began with this version, and has none before it: a push can go back, too.
                host.push(liveswap::Push::file(world::version(1)).allow_older());
            }
        }
    })
}
