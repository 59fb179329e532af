//! Libraries that the loader would keep in memory: one is unmapped all the same, and of the others the status
//! says why they stay.

use std::fs;
use std::path::Path;

use fixture_api::Game;
use liveswap::{Engine, PushOutcome, SwapStep};
use liveswap_tests::commands::{make, put};
use liveswap_tests::{Fixture, Host, alone, logic, wait_until};
use object::elf::{DF_1_NODELETE, DT_FLAGS_1, FileHeader64};
use object::endian::LittleEndian;
use object::read::elf::ElfFile;

/// Whether the file tells the loader never to unmap it.
fn is_undeletable(library: &Path) -> bool {
    let bytes = fs::read(library).unwrap();
    let file: ElfFile<'_, FileHeader64<LittleEndian>> = ElfFile::parse(&*bytes).unwrap();
    let entries = file.elf_dynamic_table().unwrap();
    entries.iter().any(|entry| entry.tag == DT_FLAGS_1 && entry.val & DF_1_NODELETE.0 != 0)
}

#[test]
fn a_library_linked_as_undeletable_is_unmapped_like_any_other() {
    let candidate = Fixture::new("1001").nodelete().build();
    assert!(is_undeletable(&candidate));
    let host = Host::serving(&candidate);
    let copy = host.mapped().pop_first().unwrap();
    assert!(!is_undeletable(&copy));
    let again = host.engine.push(&*candidate).unwrap();
    assert!(matches!(again, PushOutcome::Unchanged { .. }), "it is known by the bytes that were pushed");

    host.push(logic("1002"));
    host.commit();
    host.wait_until_unmapped("1001");
    assert!(!host.mapped().contains(&copy));
    assert_eq!(host.mapped().len(), 1);
    assert!(is_undeletable(&candidate), "the user's file is left alone");

    // Its kept copy differs from what was pushed, and is the same version.
    host.rollback();
    assert_eq!(host.version(), "1001");
    assert!(matches!(host.engine.push(&*candidate).unwrap(), PushOutcome::Unchanged { .. }));
}

/// Replaces a version that can't be unmapped. What the status says of it then.
#[track_caller]
fn reason_to_retain(candidate: &Path) -> String {
    let host = Host::serving(candidate);
    let copy = host.mapped().pop_first().unwrap();
    host.push(logic("1002"));
    host.commit();
    wait_until("it was tried", || host.retired("1001").unwrap().state != "draining");
    let retired = host.retired("1001").unwrap();
    assert!(host.mapped().contains(&copy), "the test's library was unmapped: {retired:?}");
    assert_eq!(retired.state, "retained");
    assert_eq!(host.version(), "1002");
    retired.reason.unwrap()
}

#[test]
fn a_library_with_a_unique_symbol_is_retained_and_the_symbol_named() {
    let reason = reason_to_retain(&Fixture::new("1001").feature("unique").build());
    assert!(reason.contains("mapped after closing"), "{reason}");
    assert!(reason.contains("unique symbols (1, `fixture_unique` for one)"), "{reason}");
    assert!(reason.contains("`-fno-gnu-unique`"), "{reason}");
}

/// In a process of its own: of two libraries with the symbol, the first one has it.
#[test]
fn the_status_shows_a_library_that_stays_although_its_module_was_not_taken() {
    alone::check(|| {
        let folder = tempfile::tempdir().unwrap();
        let modules = folder.path().join("modules");
        make(&modules);
        put(&modules, "logic.v1001.so", &fs::read(Fixture::new("1001").feature("unique").build()).unwrap());
        let builder = Engine::builder().modules_from::<dyn Game>(&modules);
        let builder = builder.on_step(|moment| match moment.step {
            SwapStep::HandOver => Err("not today".to_owned()),
            _ => Ok(()),
        });
        let engine = builder.private_folder(folder.path().join("private")).build().unwrap();
        let refused = || engine.status().refused;
        wait_until("it was tried", || refused().iter().any(|it| it.version.state != "draining"));
        let [refused] = &refused()[..] else { panic!("there is one") };
        let (module, version) = (refused.module.as_str(), &refused.version);
        assert_eq!(
            (module, version.version.to_string().as_str(), version.state),
            ("logic", "1001", "retained")
        );
        assert!(
            version.reason.as_ref().is_some_and(|reason| reason.contains("unique symbols")),
            "{version:?}"
        );
        assert!(engine.status().modules.is_empty());
        let json = serde_json::to_value(engine.status()).unwrap();
        assert_eq!(
            (&json["refused"][0]["module"], &json["refused"][0]["state"]),
            (&"logic".into(), &"retained".into())
        );
    });
}

/// Its file doesn't show that, so the reason is no more than what must be so.
#[test]
fn a_library_that_a_constructor_opens_again_is_retained() {
    let reason = reason_to_retain(&Fixture::new("1001").feature("holds-itself").build());
    assert!(reason.contains("mapped after closing"), "{reason}");
    assert!(reason.contains("something else holds a handle of it"), "{reason}");
    assert!(!reason.contains("unique"), "{reason}");
}
