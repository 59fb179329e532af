//! The registry: what an engine has, by name.

use std::fs;

use liveswap::registry::Symbol;
use liveswap::status::Origin;
use liveswap::{Engine, ModuleError, Push, Registry};
use liveswap_tests::commands::{command, command_as, make, put};
use liveswap_tests::{Host, logic};
use shell_api::Command;
use tempfile::TempDir;

fn shell() -> (Engine, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    for name in ["upper", "divide", "echo"] {
        put(folder.path(), &format!("{name}.v1.so"), &fs::read(command(name)).unwrap());
    }
    (Engine::builder().modules_from::<dyn Command>(folder.path()).build().unwrap(), folder)
}

#[test]
fn p2_02_a_version_says_what_it_exports_and_it_is_sorted() {
    let (engine, _folder) = shell();
    let registry = engine.registry();
    let names: Vec<_> =
        registry.modules.iter().map(|module| (module.name.as_str(), module.interface)).collect();
    assert_eq!(names, [("divide", "Command"), ("echo", "Command"), ("upper", "Command")]);

    let divide = registry.module("divide").unwrap().active.as_ref().unwrap();
    assert_eq!((divide.version.to_string(), divide.origin), ("1".to_owned(), Origin::Library));
    let functions: Vec<_> =
        divide.exports.functions.iter().map(|it| (it.name.as_str(), it.access.as_str())).collect();
    assert_eq!(functions, [("about", "stateless"), ("run", "shared")]);
    // Declared in the other order.
    let constants: Vec<_> = divide
        .exports
        .constants
        .iter()
        .map(|it| (it.name.as_str(), it.type_name.as_str(), it.value.as_str()))
        .collect();
    assert_eq!(constants, [("EXPECTED", "str", "expected two numbers"), ("NOT_NUMBERS", "i64", "2")]);
    let types: Vec<_> = divide.exports.types.iter().map(|it| (it.name.as_str(), it.schema)).collect();
    assert_eq!(types, [("tuple", 1)]);

    // A file says the same without being loaded.
    let manifest = liveswap::inspect(command("divide")).unwrap();
    assert_eq!(manifest.constants.len(), 2);
    assert!(manifest.to_string().contains("constant NOT_NUMBERS: i64 = 2\n"), "{manifest}");
}

#[test]
fn p2_02_all_that_a_state_is_made_of_is_listed_by_name() {
    let host = Host::serving(logic("1001"));
    let registry = host.engine.registry();
    let exports = &registry.module("logic").unwrap().active.as_ref().unwrap().exports;
    let names: Vec<_> = exports.types.iter().map(|it| it.name.as_str()).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(names.contains(&"World") && names.contains(&"Rules") && names.contains(&"Player"), "{names:?}");
    let names: Vec<_> = exports.functions.iter().map(|it| it.name.as_str()).collect();
    assert!(names.is_sorted() && names.contains(&"hit"), "{names:?}");
}

#[test]
fn p2_04_one_look_up_finds_what_the_active_version_exports() {
    let (engine, _folder) = shell();
    let registry = engine.registry();
    assert!(matches!(registry.symbol("divide", "run"), Some(Symbol::Function(it)) if it.access == "shared"));
    let constant = registry.symbol("divide", "NOT_NUMBERS");
    assert!(matches!(constant, Some(Symbol::Constant(it)) if it.value == "2"), "{constant:?}");
    assert!(matches!(registry.symbol("divide", "tuple"), Some(Symbol::Type(it)) if it.schema == 1));
    assert_eq!(registry.symbol("echo", "NOT_NUMBERS"), None);

    // After a swap it's what the new version exports; the predecessor is there beside it.
    engine.push(Push::content("divide.v2.so", command_as("divide", "2").bytes().to_vec())).unwrap();
    let registry: Registry = engine.registry();
    let divide = registry.module("divide").unwrap();
    let version = |version: &Option<liveswap::registry::RegisteredVersion>| {
        version.as_ref().map(|version| version.version.to_string())
    };
    assert_eq!((version(&divide.active), version(&divide.standby)), (Some("2".into()), Some("1".into())));
    let json = serde_json::to_value(&registry).unwrap();
    assert_eq!(json["modules"][0]["active"]["constants"][1]["name"], "NOT_NUMBERS");
    assert_eq!(json["modules"][0]["active"]["origin"], "library");
}

#[test]
fn p2_04_the_newest_wins_and_not_what_is_walked_first() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    for (place, version) in [("a", "3"), ("b", "5"), ("c", "4")] {
        let place = folder.path().join(place);
        make(&place);
        put(&place, &format!("echo.v{version}.so"), command_as("echo", version).bytes());
    }
    // The newest once more, with other bytes: one is taken, and the other isn't passed over in silence.
    let other = [command_as("echo", "5").bytes(), b"other"].concat();
    put(folder.path(), "echo.v5.so", &other);
    let engine = Engine::builder().modules_from::<dyn Command>(folder.path()).build().unwrap();
    let registry = engine.registry();
    assert_eq!(registry.module("echo").unwrap().active.as_ref().unwrap().version.to_string(), "5");
    let faults = engine.status().faults;
    assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["conflicting-version"]);
    assert_eq!(faults[0].path, folder.path().join("echo.v5.so"));
}

#[test]
fn p0_04_an_unknown_name_is_none_and_no_crash() {
    let (engine, _folder) = shell();
    let registry = engine.registry();
    assert_eq!(registry.module("missing"), None);
    assert_eq!(registry.symbol("missing", "run"), None);
    assert_eq!(registry.symbol("echo", "missing"), None);
    assert!(engine.module::<dyn Command>("missing").ok().is_none());
    let error = engine.module::<dyn Command>("missing").unwrap_err();
    assert!(matches!(&error, ModuleError::Unknown { module, .. } if module == "missing"), "{error}");
    assert_eq!(engine.rollback("missing").unwrap_err().code(), "unknown-module");
    let game = engine.module::<dyn fixture_api::Game>("echo").unwrap_err();
    assert!(matches!(game, ModuleError::OtherInterface { found: "Game", expected: "Command", .. }), "{game}");
}
