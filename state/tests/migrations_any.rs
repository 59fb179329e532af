//! Whatever a state holds and whenever it is migrated: all that both shapes hold is there, and all is dropped once.

mod worlds;

use std::collections::BTreeMap;

use liveswap_state::sharded::Handle;
use proptest::prelude::*;
use worlds::{Held, World, alive, settle, sweep, v1, v2, v3};

type Players = BTreeMap<u64, (String, f64)>;

/// A call, by whichever version is there.
#[derive(Clone, Debug)]
enum Call {
    Insert(u64, String, u32),
    Update(u64, u32),
    Remove(u64),
    /// The sweeper comes to so many shards more.
    Settle(usize),
    /// So many players arrive.
    Arrive(u64, u64),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        (0..6000_u64, any::<String>(), any::<u32>())
            .prop_map(|(key, name, health)| Call::Insert(key, name, health)),
        (0..6000_u64, any::<u32>()).prop_map(|(key, health)| Call::Update(key, health)),
        (0..6000_u64).prop_map(Call::Remove),
        (1..12_usize).prop_map(Call::Settle),
        (0..6000_u64, 1..1500_u64).prop_map(|(first, count)| Call::Arrive(first, count)),
    ];
    prop::collection::vec(call, 0..15)
}

/// Makes the calls on a state of this version, and on the plain map.
macro_rules! make_calls {
    ($version:ident, $make:expr, $held:expr, $swept:expr, $oracle:expr, $calls:expr) => {{
        let (players, oracle): (_, &mut Players) = (&$held.get::<$version::World>().players, $oracle);
        let mut insert = |key: u64, name: &str, health: u32| {
            let before = players.insert(key, $make(name, health)).map(|player| player.name);
            assert_eq!(before, oracle.insert(key, (name.to_owned(), health.into())).map(|player| player.0));
        };
        let mut next = 0;
        for call in $calls {
            match call {
                Call::Insert(key, name, health) => insert(*key, name, *health),
                Call::Arrive(first, count) => (*first..first + count).for_each(|key| insert(key, "new", 1)),
                Call::Settle(count) => {
                    for swept in $swept.iter() {
                        settle(swept, next..next + count);
                    }
                    next += count;
                }
                Call::Update(..) | Call::Remove(_) => {}
            }
        }
        for call in $calls {
            match call {
                Call::Update(key, health) => {
                    let found = players.update(key, |player| player.health = (*health).into());
                    assert_eq!(found, oracle.get_mut(key).map(|player| player.1 = (*health).into()));
                }
                Call::Remove(key) => {
                    let removed = players.remove(key).map(|player| f64::from(player.health));
                    assert_eq!(removed, oracle.remove(key).map(|player| player.1));
                }
                _ => {}
            }
        }
    }};
}

fn third(name: &str, health: u32) -> v3::Player {
    v3::Player { health: health.into(), level: 9, name: name.to_owned(), guard: Default::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// 1 → 2 → 1 → 2 → 3 → 1, each time with or without the sweep to its end, and calls in between.
    #[test]
    fn nothing_is_lost_that_both_shapes_hold(
        day in any::<u32>(),
        calls in prop::collection::vec(calls(), 6),
        sweeps in any::<[bool; 2]>(),
    ) {
        let (before, mut oracle) = (alive(), Players::new());
        let mut held = Held::new(v1::World { day, ..Default::default() });
        let none: Vec<Handle> = vec![];
        make_calls!(v1, v1::Player::new, held, none, &mut oracle, &calls[0]);

        let mut swept = held.upgrade::<v2::World>().unwrap();
        make_calls!(v2, |name, health| v2::Player::new(name, f64::from(health)), held, swept, &mut oracle, &calls[1]);
        if sweeps[0] {
            sweep(&swept);
        }
        swept = held.downgrade::<v1::World>().unwrap();
        make_calls!(v1, v1::Player::new, held, swept, &mut oracle, &calls[2]);
        sweep(&swept);
        swept = held.upgrade::<v2::World>().unwrap();
        make_calls!(v2, |name, health| v2::Player::new(name, f64::from(health)), held, swept, &mut oracle, &calls[3]);
        if sweeps[1] {
            sweep(&swept);
        }
        swept = held.upgrade::<v3::World>().unwrap();
        make_calls!(v3, third, held, swept, &mut oracle, &calls[4]);
        prop_assert_eq!(held.get::<v3::World>().day, day);
        swept = held.downgrade::<v1::World>().unwrap();
        make_calls!(v1, v1::Player::new, held, swept, &mut oracle, &calls[5]);

        prop_assert_eq!(held.get::<v1::World>().players(), oracle);
        prop_assert_eq!(held.get::<v1::World>().day, day);
        drop((held, swept));
        prop_assert_eq!(alive(), before);
    }

    /// In the middle of one or two migrations, forth or back, values are of up to three types.
    #[test]
    fn a_state_that_goes_in_the_middle_of_a_sweep_frees_each_value_once(
        count in 0..6000_u64,
        settled in any::<[prop::sample::Index; 3]>(),
        last in any::<bool>(),
        engine_is_last in any::<bool>(),
    ) {
        let before = alive();
        let mut held = Held::new(worlds::world(count));
        let captured = held.capture();
        let first = held.upgrade::<v2::World>().unwrap();
        let some = |handles: &[Handle], part: prop::sample::Index| {
            let shards = handles[0].count();
            (0..shards).step_by(1 + part.index(3)).take(part.index(shards)).for_each(|shard| {
                handles[0].settle(shard).unwrap();
            });
        };
        some(&first, settled[0]);
        let second = held.upgrade::<v3::World>().unwrap();
        some(&second, settled[1]);
        let third = if last { held.downgrade::<v1::World>() } else { held.downgrade::<v2::World>() }.unwrap();
        some(&third, settled[2]);
        prop_assert_eq!(alive().iter().sum::<i64>() - before.iter().sum::<i64>(), count as i64);
        // In whichever order: a handle that was made before a flip may be the last owner.
        if engine_is_last {
            drop(held);
            drop((third, second, first));
            drop(captured);
        } else {
            drop((captured, first, second, third));
            drop(held);
        }
        prop_assert_eq!(alive(), before);
    }
}
