//! The same tests for every allocator that the host may count.

use fixture_api::Player;
use fixture_api::threads::Threads;
use liveswap::Module;
use liveswap_tests::log::{Log, Record, Value};
use liveswap_tests::{Fixture, Host, logic, wait_until};

/// Much more than a version allocates by itself.
const LARGE: usize = 1 << 20;

/// What a version may have left by itself: what its logging keeps.
const OWN: usize = 4096;

fn active(host: &Host) -> usize {
    host.status().active.and_then(|slot| slot.live_bytes).expect("the host counts")
}

fn standby(host: &Host) -> usize {
    host.status().standby.and_then(|slot| slot.live_bytes).expect("the host counts")
}

fn retired(host: &Host, version: &str) -> usize {
    host.retired(version).and_then(|retired| retired.live_bytes).expect("the host counts")
}

#[test]
fn a_version_that_leaks_nothing_leaves_next_to_nothing() {
    let host = Host::serving(logic("1001"));
    host.game().call(|game| game.hit(1)).unwrap();
    host.push(logic("1002"));
    host.commit();
    host.wait_until_unmapped("1001");
    assert!(retired(&host, "1001") <= OWN, "{}", retired(&host, "1001"));
}

#[test]
fn what_a_static_leaks_is_shown_after_unmapping_and_logged() {
    let log = Log::of_this_process();
    let host = Host::serving(Fixture::new("2001").feature("hoards").build());
    host.game().call(|game| game.hit(LARGE as u64)).unwrap();
    assert!((LARGE..LARGE + OWN).contains(&active(&host)), "{}", active(&host));
    host.push(logic("2002"));
    host.commit();
    host.wait_until_unmapped("2001");

    let left = retired(&host, "2001");
    assert!((LARGE..LARGE + OWN).contains(&left), "{left}");
    let is_it = |record: &Record| record.text("message") == "unmapped" && record.text("version") == "2001";
    let logged = || log.records().into_iter().find(is_it);
    // The reaper says it after the status shows it.
    wait_until("it is logged", || logged().is_some());
    let figure = logged().and_then(|record| record.fields.get("live_bytes").cloned());
    assert_eq!(figure, Some(Value::Unsigned(left as u64)));
}

/// The one kind of memory in a static that can be freed with its version: nothing that crosses is aligned so far.
#[test]
fn blocks_that_only_the_version_can_refer_to_are_freed_with_it_and_those_of_the_state_are_not() {
    let host = Host::of::<dyn Threads>(|builder, _| builder);
    let module: Module<dyn Threads> = host.module();
    host.push(Fixture::threads("1001").build());
    module.call(|module| module.leave_a_padded_block(LARGE)).unwrap();
    for number in 0..100 {
        module.call(|module| module.keep(number)).unwrap();
    }
    assert!(active(&host) >= LARGE, "{}", active(&host));
    host.push(Fixture::threads("1002").build());
    host.commit();
    host.wait_until_unmapped("1001");

    let of_the_state = 128 * 64;
    let left = retired(&host, "1001");
    assert!((of_the_state..of_the_state + OWN).contains(&left), "{left}");
    let kept = module.call(|module| module.kept()).unwrap();
    assert!(kept.into_iter().eq(0..100));
}

#[test]
fn a_result_counts_until_the_host_drops_it() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let ada = Player { name: "a".repeat(LARGE), items: Vec::new(), nickname: None };
    game.call(|game| game.join(ada)).unwrap();

    let before = active(&host);
    let names = game.call(|game| game.names()).unwrap();
    let while_held = active(&host);
    assert!((before + LARGE..before + LARGE + OWN).contains(&while_held), "{before}, {while_held}");
    drop(names);
    assert_eq!(active(&host), before);
}

#[test]
fn a_result_that_outlives_its_version_is_what_that_left_behind() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let ada = Player { name: "a".repeat(LARGE), items: Vec::new(), nickname: None };
    game.call(|game| game.join(ada)).unwrap();
    let names = game.call(|game| game.names()).unwrap();
    host.push(logic("1002"));
    host.commit();
    host.wait_until_unmapped("1001");

    let left = retired(&host, "1001");
    assert!((LARGE..LARGE + OWN).contains(&left), "{left}");
    assert_eq!(names[0].len(), LARGE);
    drop(names);
    assert_eq!(retired(&host, "1001"), left, "it says what was left when the version was unmapped");
}

#[test]
fn state_counts_for_the_version_that_made_it_until_it_is_dropped() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let score = "a".repeat(LARGE);
    let before = active(&host);
    game.call(|game| game.set_score(&score, 1)).unwrap();
    host.push(logic("1002"));
    assert!((before + LARGE..before + LARGE + OWN).contains(&standby(&host)), "{}", standby(&host));
    assert!(active(&host) <= OWN, "{}", active(&host));

    game.call(|game| game.forget_scores()).unwrap();
    assert!(standby(&host) <= before, "{} of {before}", standby(&host));
}

#[test]
fn memory_belongs_to_whoever_resized_it_last() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let text = "a".repeat(LARGE);
    let before = active(&host);
    let mut buffer = vec![1; 10];
    game.call(|game| game.append(&mut buffer, &text)).unwrap();
    assert!(active(&host) >= before + LARGE, "{} and {before} before", active(&host));
    buffer.reserve_exact(4 * LARGE);
    assert_eq!(active(&host), before);
}
