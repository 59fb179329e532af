//! `#[state(from = …, additive)]`: the migrations that it writes, there and back.

#![allow(unreachable_pub, reason = "former versions stand in a module")]

use std::collections::BTreeMap;

use liveswap_state::{HashMap, Migrate, MigrateError, State};

mod v1 {
    use std::collections::BTreeMap;

    use liveswap_state::{HashMap, State};

    #[derive(Debug, PartialEq, State)]
    pub struct World {
        pub day: u32,
        pub mana: u64,
        pub players: Vec<Player>,
        pub by_name: HashMap<String, Player>,
        pub best: Option<Box<Player>>,
        pub rooms: BTreeMap<u8, [Player; 2]>,
        pub rumour: String,
    }

    #[derive(Clone, Debug, PartialEq, State)]
    pub struct Player {
        pub health: u32,
    }

    #[derive(Debug, PartialEq, State)]
    pub struct Place(pub u8, pub Player, pub bool);

    #[derive(Debug, PartialEq, State)]
    pub struct Nowhere;

    #[derive(Debug, PartialEq, State)]
    pub enum Kind {
        Human,
        Elf { age: u64, player: Player },
        Ghost(u8, Player),
    }

    #[derive(Debug, PartialEq, State)]
    pub struct Pair<T> {
        pub left: T,
    }
}

#[derive(Debug, PartialEq, State)]
#[state(version = 2, from = v1::World, additive, removed(mana = 7, rumour))]
struct World {
    #[state(new = 2 * HOURS)]
    hour: u32,
    #[state(migrate)]
    best: Option<Box<Player>>,
    #[state(migrate)]
    players: Vec<Player>,
    #[state(migrate)]
    by_name: HashMap<String, Player>,
    day: u32,
    #[state(migrate)]
    rooms: BTreeMap<u8, [Player; 2]>,
    #[state(new)]
    weather: Option<String>,
}

const HOURS: u32 = 12;

#[derive(Debug, PartialEq, State)]
#[state(version = 2)]
struct Player {
    health: f64,
}

impl Migrate<v1::Player> for Player {
    fn migrate(old: v1::Player) -> Result<Self, MigrateError> {
        if old.health == 13 { Err("there is no 13".into()) } else { Ok(Self { health: old.health.into() }) }
    }
}

impl Migrate<Player> for v1::Player {
    fn migrate(new: Player) -> Result<Self, MigrateError> {
        if new.health.is_nan() {
            Err("it's no number".into())
        } else {
            Ok(Self { health: new.health as u32 })
        }
    }
}

fn player(health: u32) -> v1::Player {
    v1::Player { health }
}

fn world() -> v1::World {
    v1::World {
        day: 5,
        mana: 100,
        players: vec![player(1), player(2)],
        by_name: HashMap::from_iter([("ada".to_owned(), player(3))]),
        best: Some(Box::new(player(4))),
        rooms: BTreeMap::from([(9, [player(5), player(6)])]),
        rumour: "a dragon".to_owned(),
    }
}

#[test]
fn a_struct_keeps_what_both_have_and_what_is_new_begins_as_is_said() {
    let new = World::migrate(world()).unwrap();
    let health: Vec<_> = new.players.iter().map(|player| player.health).collect();
    assert_eq!((new.day, new.hour, &new.weather, health), (5, 24, &None, vec![1.0, 2.0]));
    assert_eq!((new.by_name["ada"].health, new.best.as_ref().unwrap().health), (3.0, 4.0));
    assert_eq!(new.rooms[&9].each_ref().map(|player| player.health), [5.0, 6.0]);
    let back = v1::World::migrate(new).unwrap();
    assert_eq!(back, v1::World { mana: 7, rumour: String::new(), ..world() });
}

#[test]
fn an_error_names_the_field_in_both_directions() {
    let old = v1::World { best: Some(Box::new(player(13))), ..world() };
    assert_eq!(World::migrate(old).unwrap_err().to_string(), "`best`: there is no 13");
    let mut new = World::migrate(world()).unwrap();
    new.rooms.get_mut(&9).unwrap()[1].health = f64::NAN;
    assert_eq!(v1::World::migrate(new).unwrap_err().to_string(), "`rooms`: it's no number");
}

#[derive(Debug, PartialEq, State)]
#[state(version = 2, from = v1::Place, additive)]
struct Place(u8, #[state(migrate)] Player, bool, #[state(new = 'x')] char);

#[derive(Debug, PartialEq, State)]
#[state(version = 2, from = v1::Nowhere, additive)]
struct Nowhere;

#[test]
fn a_tuple_takes_new_fields_at_its_end_and_a_unit_takes_none() {
    let new = Place::migrate(v1::Place(1, player(2), true)).unwrap();
    assert_eq!(new, Place(1, Player { health: 2.0 }, true, 'x'));
    assert_eq!(v1::Place::migrate(new), Ok(v1::Place(1, player(2), true)));
    let why = Place::migrate(v1::Place(1, player(13), true)).unwrap_err();
    assert_eq!(why.to_string(), "`_1`: there is no 13");
    assert_eq!(v1::Nowhere::migrate(Nowhere::migrate(v1::Nowhere).unwrap()), Ok(v1::Nowhere));
}

#[derive(Debug, PartialEq, State)]
#[state(version = 2, from = v1::Kind, additive)]
enum Kind {
    Human,
    Elf {
        age: u64,
        #[state(migrate)]
        player: Player,
        #[state(new = "none".to_owned())]
        magic: String,
    },
    Ghost(u8, #[state(migrate)] Player, #[state(new)] bool),
    #[state(new)]
    Dragon {
        fire: f64,
    },
    #[state(new = v1::Kind::Human)]
    Halfling(u8),
}

#[test]
fn an_enum_keeps_its_variants_and_what_is_new_goes_back_as_is_said() {
    let there = |old| Kind::migrate(old).unwrap();
    assert_eq!(there(v1::Kind::Human), Kind::Human);
    let elf = there(v1::Kind::Elf { age: 900, player: player(1) });
    assert_eq!(elf, Kind::Elf { age: 900, player: Player { health: 1.0 }, magic: "none".to_owned() });
    let ghost = there(v1::Kind::Ghost(3, player(2)));
    assert_eq!(ghost, Kind::Ghost(3, Player { health: 2.0 }, false));

    assert_eq!(v1::Kind::migrate(elf), Ok(v1::Kind::Elf { age: 900, player: player(1) }));
    assert_eq!(v1::Kind::migrate(ghost), Ok(v1::Kind::Ghost(3, player(2))));
    assert_eq!(v1::Kind::migrate(Kind::Human), Ok(v1::Kind::Human));
    assert_eq!(v1::Kind::migrate(Kind::Halfling(1)), Ok(v1::Kind::Human));
    let why = v1::Kind::migrate(Kind::Dragon { fire: 1.0 }).unwrap_err();
    assert_eq!(why.to_string(), "`Dragon` wasn't there before");
    let why = Kind::migrate(v1::Kind::Elf { age: 1, player: player(13) }).unwrap_err();
    assert_eq!(why.to_string(), "`player`: there is no 13");
}

#[derive(Debug, PartialEq, State)]
#[state(version = 2, from = v1::Pair<Vec<u32>>, additive)]
struct Pair {
    left: Vec<u32>,
    #[state(new)]
    right: Vec<u32>,
}

#[test]
fn a_type_may_come_from_one_of_those_that_a_type_with_parameters_is() {
    let new = Pair::migrate(v1::Pair { left: vec![1] }).unwrap();
    assert_eq!(new, Pair { left: vec![1], right: vec![] });
    assert_eq!(v1::Pair::migrate(new), Ok(v1::Pair { left: vec![1] }));
}

/// Its days have no way back.
#[derive(Debug, PartialEq, State)]
#[state(version = 2, from = v1::World, additive, one_way, removed(mana, players, by_name, best, rooms, rumour))]
struct Short {
    #[state(migrate)]
    day: Days,
}

#[derive(Debug, PartialEq, State)]
struct Days(u32);

impl Migrate<u32> for Days {
    fn migrate(old: u32) -> Result<Self, MigrateError> {
        Ok(Self(old))
    }
}

#[derive(Debug, PartialEq, State)]
#[state(version = 2, from = v1::Kind, additive, one_way)]
enum Numbered {
    Human,
    Elf {
        #[state(new)]
        number: Option<u8>,
        age: u64,
        #[state(migrate)]
        player: Player,
    },
    Ghost(u8, #[state(migrate)] Player),
    #[state(new)]
    Dragon,
}

#[test]
fn one_way_needs_no_way_back_and_says_so() {
    assert_eq!(Short::migrate(world()), Ok(Short { day: Days(5) }));
    let old = v1::Kind::Elf { age: 1, player: player(1) };
    assert!(matches!(Numbered::migrate(old), Ok(Numbered::Elf { number: None, age: 1, .. })));
    for origin in [Short::ORIGIN, Numbered::ORIGIN] {
        assert!(origin.unwrap().downgrade.is_none());
    }
    for origin in [World::ORIGIN, Place::ORIGIN, Kind::ORIGIN, Pair::ORIGIN] {
        assert!(origin.unwrap().downgrade.is_some());
    }
}

#[test]
fn a_type_knows_what_it_came_from_however_far_back() {
    #[derive(State)]
    #[state(version = 7, from = World, additive)]
    struct Later {
        day: u32,
        hour: u32,
        players: Vec<Player>,
        by_name: HashMap<String, Player>,
        best: Option<Box<Player>>,
        rooms: BTreeMap<u8, [Player; 2]>,
        weather: Option<String>,
        #[state(new)]
        padded: Option<Padded>,
    }

    #[derive(State)]
    #[repr(align(64))]
    struct Padded(u8);

    let (first, second) = (Later::ORIGIN.unwrap(), World::ORIGIN.unwrap());
    assert_eq!((first.table.schema, first.table.fingerprint), (2, World::FINGERPRINT));
    let earliest = first.table.origin.unwrap();
    assert_eq!(earliest.table.fingerprint, second.table.fingerprint);
    assert_eq!((earliest.table.schema, earliest.table.name), (1, "World"));
    assert!(earliest.table.origin.is_none());
    assert_eq!(liveswap_state::table::StateTable::of::<Later>().alignment(), 64);
}
