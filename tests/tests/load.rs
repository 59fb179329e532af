//! Swaps under load: callers that never pause, and two hundred upgrades and downgrades beneath them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fixture_api::Game;
use liveswap::{Module, Push};
use liveswap_state::CallError;
use liveswap_tests::{Host, Patched, logic};

const CALLERS: usize = 4;
const SWAPS: usize = 200;

/// What a caller saw and did.
#[derive(Default)]
struct Account {
    /// The versions, each time that it was another one than before.
    versions: Vec<String>,
    hits: u64,
    recorded: u64,
    rounds: u64,
}

impl Account {
    fn saw(&mut self, version: String) {
        if self.versions.last() != Some(&version) {
            self.versions.push(version);
        }
    }

    /// One call of each kind; any that fails ends the test.
    fn round(&mut self, game: &Module<dyn Game>) -> Result<(), CallError> {
        game.call(|game| game.hit(1))?;
        self.hits += 1;
        game.call(|game| game.record(2))?;
        self.recorded += 2;
        // It would fail within another caller's exclusive call.
        game.call(|game| game.totals())?;
        self.saw(game.call(|game| game.version())?);

        // A unit of work, with another one inside: all of it on one version.
        let guard = game.enter()?;
        let version = guard.version()?;
        guard.hit(1)?;
        self.hits += 1;
        game.call(|nested| {
            nested.record(2)?;
            assert_eq!(nested.version()?, version, "a nested call is on another version");
            Ok::<_, CallError>(())
        })?;
        self.recorded += 2;
        thread::yield_now();
        assert_eq!(guard.version()?, version, "the version changed under a guard");
        drop(guard);
        self.saw(version);
        self.rounds += 1;
        Ok(())
    }
}

/// Makes versions that differ in their number alone.
struct Versions<'host> {
    host: &'host Host,
    made: BTreeMap<usize, PathBuf>,
}

impl Versions<'_> {
    fn path(&mut self, number: usize) -> PathBuf {
        let make = || {
            let version = number.to_string();
            Patched::of(logic("1001")).version(&version).write(self.host.folder(), &version)
        };
        self.made.entry(number).or_insert_with(make).clone()
    }
}

/// Carries out the swaps. Returns the versions in the order in which they were active.
fn swap(host: &Host) -> Vec<String> {
    let mut versions = Versions { host, made: BTreeMap::new() };
    let mut newest = 1001;
    let mut active = Vec::new();
    for number in 0..SWAPS {
        let published = match number % 5 {
            0 | 1 | 3 => {
                newest += 1;
                host.push(versions.path(newest))
            }
            2 => host.rollback(),
            _ => host.push(Push::file(versions.path(newest - 1)).allow_older()),
        };
        active.push(published.swap.to.to_string());
        if number % 7 == 6 && host.status().standby.is_some() {
            host.commit();
        }
    }
    active
}

/// Whether `seen` is what somebody sees who looks now and then at something that goes through `stages`.
fn goes_forward(seen: &[String], stages: &[String]) -> bool {
    let mut stages = stages.iter();
    seen.iter().all(|version| stages.any(|stage| stage == version))
}

#[test]
fn p3_01_p1_11_two_hundred_swaps_under_load_lose_no_call_and_no_count() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let done = AtomicBool::new(false);
    let call = || {
        let mut account = Account::default();
        while !done.load(Ordering::Relaxed) {
            account.round(&game).unwrap();
        }
        account
    };
    let (accounts, active) = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
        let swapper = scope.spawn(|| swap(&host));
        let active = swapper.join();
        // Also if a swap failed: the callers must not run on.
        done.store(true, Ordering::Relaxed);
        let accounts: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        (accounts, active.unwrap())
    });

    let totals = game.call(|game| game.totals()).unwrap();
    assert_eq!(totals.hits, accounts.iter().map(|account| account.hits).sum::<u64>());
    assert_eq!(totals.recorded, accounts.iter().map(|account| account.recorded).sum::<u64>());

    let stages: Vec<_> = ["1001".to_owned()].into_iter().chain(active).collect();
    assert_eq!(stages.len(), SWAPS + 1);
    for account in &accounts {
        assert!(account.rounds > 0 && account.versions.len() > 1, "a caller didn't get to see a swap");
        assert!(goes_forward(&account.versions, &stages), "{:?} isn't in {stages:?}", account.versions);
    }

    let left = if host.status().standby.is_some() { 2 } else { 1 };
    host.wait_until_mapped(left);
    if left == 2 {
        host.commit();
    }
    host.wait_until_mapped(1);
    assert_eq!(host.version(), *stages.last().unwrap());
}

#[test]
fn what_goes_forward_and_what_does_not() {
    let versions = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let stages = versions("1 2 3 2 4");
    for seen in ["1 2 3 2 4", "1 3 4", "2 3 2", "4"] {
        assert!(goes_forward(&versions(seen), &stages), "{seen}");
    }
    for seen in ["2 1", "3 2 3", "4 2", "5"] {
        assert!(!goes_forward(&versions(seen), &stages), "{seen}");
    }
}
