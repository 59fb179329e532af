//! What outlives a version points to nothing in it: why `liveswap_state::HashMap` is state and the standard
//! library's isn't.

use liveswap_tests::{Host, logic, maps};

#[test]
fn an_empty_map_is_used_after_the_version_that_made_it_has_gone() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    // Made empty when the state was created, and once more.
    game.call(|game| game.forget_scores()).unwrap();
    host.push(logic("1002"));
    host.commit();
    host.wait_until_unmapped("1001");

    assert_eq!(game.call(|game| game.score("ada")), Ok(None));
    assert_eq!(game.call(|game| game.set_score("ada", 7)), Ok(None));
    assert_eq!(game.call(|game| game.score("ada")), Ok(Some(7)));
}

#[test]
fn an_empty_answer_outlives_the_version_that_gave_it() {
    let host = Host::serving(logic("1001"));
    let mut scores = host.game().call(|game| game.scores()).unwrap();
    let mut names = host.game().call(|game| game.names()).unwrap();
    drop(host);
    assert_eq!(scores.get("ada"), None);
    scores.insert("ada".to_owned(), 7);
    names.push("ada".to_owned());
    assert_eq!(scores[&names[0]], 7);
}

/// The danger itself, seen without running into it: an empty map of the standard library's holds the
/// address of a static of the library that made it. If this stops failing to be so, such maps may become
/// state.
#[test]
fn an_empty_map_of_the_standard_library_points_into_the_library_that_made_it() {
    let host = Host::serving(logic("1001"));
    let library = host.mapped().pop_first().unwrap();
    let words = host.game().call(|game| game.words_of_an_empty_std_map()).unwrap();
    let files: Vec<_> = words.iter().filter_map(|word| maps::file_at(*word)).collect();
    assert!(files.contains(&library), "{words:x?} are in {files:?}");
}

#[test]
fn p1_09_memory_does_not_grow_with_each_update() {
    const WARM_UP: usize = 20;
    const SWAPS: usize = 100;
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let swap = |number: usize| {
        let older = liveswap::Push::file(logic(["1001", "1002"][number % 2])).allow_older();
        host.push(older);
        game.call(|game| game.logs("text")).unwrap();
        game.call(|game| game.panics("text")).unwrap_err();
        game.call(|game| game.record(1)).unwrap();
    };
    (1..=WARM_UP).for_each(swap);
    host.wait_until_mapped(2);
    let before = maps::resident();
    (WARM_UP + 1..=WARM_UP + SWAPS).for_each(swap);
    host.wait_until_mapped(2);
    let grown = maps::resident().saturating_sub(before);
    let library = std::fs::metadata(logic("1001")).unwrap().len() as usize;
    // A library that stays, or the heap that it holds, once per swap would be many times this.
    assert!(grown < SWAPS / 4 * library, "{grown} bytes more after {SWAPS} swaps");
}
