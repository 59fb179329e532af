//! Fingerprints are deep: whatever changes the meaning of a byte, however far down, changes the root's.
//! And they are stable: what means the same has the same one, wherever and whenever it is compiled.

// What is defined here is there to be compared, not to be used.
#![allow(dead_code, unreachable_pub)]

use liveswap_state::{Fingerprint, State, interface};

/// Asserts that all of these can be told apart.
fn assert_all_differ(named: &[(&str, Fingerprint)]) {
    for (index, (name, fingerprint)) in named.iter().enumerate() {
        for (earlier, same) in &named[..index] {
            assert_ne!(fingerprint, same, "`{name}` can't be told from `{earlier}`");
        }
    }
}

/// For each of the given definitions of `Item`, a module with a `World` that holds it two structs further
/// down. The function lists the fingerprints of the worlds.
macro_rules! worlds {
    ($($name:ident { $($item:tt)* })*) => {
        $(mod $name {
            use super::*;

            #[derive(State)]
            $($item)*

            #[derive(State)]
            struct Bag {
                items: Vec<Item>,
            }

            #[derive(State)]
            pub struct World {
                bag: Option<Bag>,
            }
        })*

        fn worlds() -> Vec<(&'static str, Fingerprint)> {
            vec![$((stringify!($name), $name::World::FINGERPRINT)),*]
        }
    };
}

mod structs {
    use super::*;

    worlds! {
        original { struct Item { id: u32, count: u32 } }
        field_added { struct Item { id: u32, count: u32, name: String } }
        empty_field_added { struct Item { id: u32, count: u32, nothing: () } }
        field_removed { struct Item { id: u32 } }
        field_renamed { struct Item { id: u32, amount: u32 } }
        type_changed_in_place { struct Item { id: u32, count: i32 } }
        order_changed { struct Item { count: u32, id: u32 } }
        version_set { #[state(version = 2)] struct Item { id: u32, count: u32 } }
        fields_without_names { struct Item(u32, u32); }
        no_fields { struct Item; }
        // Where the fields lie stays the same, but how the value is passed to a function doesn't.
        laid_out_as_in_c { #[repr(C)] struct Item { id: u32, count: u32 } }
        aligned { #[repr(align(16))] struct Item { id: u32, count: u32 } }
    }

    #[test]
    fn a_change_two_structs_down_is_noticed() {
        assert_all_differ(&worlds());
    }

    #[test]
    fn the_name_counts_where_the_layout_is_the_same() {
        #[derive(State)]
        struct Meters(u32);
        #[derive(State)]
        struct Feet(u32);
        #[derive(State)]
        struct North;
        #[derive(State)]
        struct South;
        assert_all_differ(&[
            ("Meters", Meters::FINGERPRINT),
            ("Feet", Feet::FINGERPRINT),
            ("u32", u32::FINGERPRINT),
            ("North", North::FINGERPRINT),
            ("South", South::FINGERPRINT),
            ("()", <()>::FINGERPRINT),
        ]);
    }
}

mod enums {
    use super::*;

    worlds! {
        original { enum Item { Sword, Potion } }
        variant_added { enum Item { Sword, Potion, Shield } }
        variant_renamed { enum Item { Sword, Elixir } }
        order_changed { enum Item { Potion, Sword } }
        discriminants_set { enum Item { Sword = 1, Potion = 2 } }
        discriminant_changed { enum Item { Sword = 1, Potion = 3 } }
        discriminant_negative { enum Item { Sword = 1, Potion = -3 } }
        discriminant_large { #[repr(u64)] enum Item { Sword = 1, Potion = 1 << 40 } }
        discriminant_huge { #[repr(u128)] enum Item { Sword = 1, Potion = 1 << 80 } }
        discriminant_enormous { #[repr(u128)] enum Item { Sword = 1, Potion = 1 << 100 } }
        version_set { #[state(version = 2)] enum Item { Sword, Potion } }
        data_added { enum Item { Sword, Potion(u8) } }
        struct_of_the_same_name { struct Item { sword: bool } }
    }

    #[test]
    fn a_change_of_the_variants_is_noticed() {
        assert_all_differ(&worlds());
    }

    #[test]
    fn a_discriminant_may_be_a_constant_of_any_name() {
        const VALUE: isize = 3;

        #[derive(State)]
        enum Item {
            Sword = VALUE,
        }

        assert_eq!(Item::Sword as isize, 3);
        assert_ne!(Item::FINGERPRINT, <()>::FINGERPRINT);
    }
}

mod enums_with_data {
    use super::*;

    worlds! {
        original { pub enum Item { Sword(u8, bool, u32), Potion { strength: u8 } } }
        type_changed { enum Item { Sword(u8, bool, u32), Potion { strength: i8 } } }
        field_added { enum Item { Sword(u8, bool, u32), Potion { strength: u8, taste: u8 } } }
        field_renamed { enum Item { Sword(u8, bool, u32), Potion { power: u8 } } }
        field_without_name { enum Item { Sword(u8, bool, u32), Potion(u8) } }
        data_removed { enum Item { Sword(u8, bool, u32), Potion } }
        data_moved { enum Item { Sword(u8, bool, u32, u8), Potion } }
        // As large as the original, whose tag lies in the unused values of the `bool`.
        tag_of_its_own { #[repr(u8)] pub enum Item { Sword(u8, bool, u32), Potion { strength: u8 } } }
    }

    #[test]
    fn a_change_of_what_a_variant_holds_is_noticed() {
        assert_eq!(size_of::<original::Item>(), size_of::<tag_of_its_own::Item>());
        assert_all_differ(&worlds());
    }
}

mod generics {
    use std::marker::PhantomData;

    use super::*;

    #[derive(State)]
    struct Pair<A, B> {
        left: A,
        right: B,
    }

    #[derive(State)]
    struct Key<T> {
        number: u64,
        of: PhantomData<T>,
    }

    #[derive(State)]
    struct Row<const LENGTH: usize>([u8; LENGTH]);

    /// The parameter says what the number means and shows nowhere in the layout.
    #[derive(State)]
    struct Modulo<const N: u64>(u64);

    #[derive(State)]
    struct WideModulo<const N: u128>(u64);

    #[derive(State)]
    struct Offset<const N: i8>(u64);

    #[derive(State)]
    struct Unit<const SIGN: char>(u64);

    #[test]
    fn parameters_count() {
        assert_all_differ(&[
            ("Pair<u8, u16>", <Pair<u8, u16>>::FINGERPRINT),
            ("Pair<u16, u8>", <Pair<u16, u8>>::FINGERPRINT),
            ("Pair<u8, i16>", <Pair<u8, i16>>::FINGERPRINT),
            ("Key<u8>", <Key<u8>>::FINGERPRINT),
            ("Key<u16>", <Key<u16>>::FINGERPRINT),
            ("Row<3>", <Row<3>>::FINGERPRINT),
            ("Row<4>", <Row<4>>::FINGERPRINT),
            ("Modulo<3>", <Modulo<3>>::FINGERPRINT),
            ("Modulo<4>", <Modulo<4>>::FINGERPRINT),
            ("WideModulo<0>", <WideModulo<0>>::FINGERPRINT),
            ("WideModulo<{ 1 << 64 }>", <WideModulo<{ 1 << 64 }>>::FINGERPRINT),
            ("Offset<1>", <Offset<1>>::FINGERPRINT),
            ("Offset<-1>", <Offset<-1>>::FINGERPRINT),
            ("Unit<'m'>", <Unit<'m'>>::FINGERPRINT),
            ("Unit<'s'>", <Unit<'s'>>::FINGERPRINT),
        ]);
    }
}

mod recursion {
    use super::*;

    /// For each of the given definitions of `Tree`, a module with it.
    macro_rules! trees {
        ($($name:ident { $($tree:tt)* })*) => {$(
            mod $name {
                use super::*;

                #[derive(State)]
                $($tree)*
            }
        )*};
    }

    trees! {
        many { pub struct Tree { value: u64, children: Vec<Tree> } }
        many_by_self { pub struct Tree { value: u64, children: Vec<Self> } }
        many_of_another_value { pub struct Tree { value: i64, children: Vec<Tree> } }
        at_most_one { pub struct Tree { value: u64, children: Option<Box<Tree>> } }
        one_per_variant { pub enum Tree { Leaf, Node(u64, Box<Tree>) } }
        two_per_variant { pub enum Tree { Leaf, Node(u64, Box<(Tree, Tree)>) } }
        generic { pub struct Tree<T> { value: T, children: Vec<Tree<T>> } }
        generic_by_self { pub struct Tree<T> { value: T, children: Vec<Self> } }
    }

    #[test]
    fn a_type_may_contain_itself() {
        assert_all_differ(&[
            ("many", many::Tree::FINGERPRINT),
            ("many_of_another_value", many_of_another_value::Tree::FINGERPRINT),
            ("at_most_one", at_most_one::Tree::FINGERPRINT),
            ("one_per_variant", one_per_variant::Tree::FINGERPRINT),
            ("two_per_variant", two_per_variant::Tree::FINGERPRINT),
            ("generic", <generic::Tree<u8>>::FINGERPRINT),
        ]);
        assert_eq!(many::Tree::FINGERPRINT, many_by_self::Tree::FINGERPRINT);
        assert_eq!(<generic::Tree<u64>>::FINGERPRINT, <generic_by_self::Tree<u64>>::FINGERPRINT);
    }

    /// For each of the given definitions of the inner type, a module with an outer one that holds it, and that
    /// it may hold in turn. The function lists the fingerprints of the outer ones.
    macro_rules! nested {
        ($($name:ident { $outer:ident($field:ty) holds $($inner:tt)* })*) => {
            $(mod $name {
                use super::*;

                mod inner {
                    use super::*;

                    #[derive(State)]
                    $($inner)*
                }

                #[derive(State)]
                pub struct $outer {
                    inner: $field,
                    number: u64,
                }

                pub const FINGERPRINT: Fingerprint = $outer::FINGERPRINT;
            })*

            pub fn nested() -> Vec<(&'static str, Fingerprint)> {
                vec![$((stringify!($name), $name::FINGERPRINT)),*]
            }
        };
    }

    mod within_another {
        use super::*;

        nested! {
            first { Outer(inner::Inner<Outer>) holds pub struct Inner<T> { a: Vec<T>, b: Vec<Inner<T>> } }
            second { Outer(inner::Inner<Outer>) holds pub struct Inner<T> { a: Vec<Inner<T>>, b: Vec<T> } }
            both { Outer(inner::Inner<Outer>) holds pub struct Inner<T> { a: Vec<T>, b: Vec<T> } }
            neither { Outer(inner::Inner) holds pub struct Inner { a: Vec<Inner>, b: Vec<Inner> } }
        }
    }

    mod within_one_of_the_same_name {
        use super::*;

        nested! {
            first { Same(inner::Same<Same>) holds pub struct Same<T> { a: Vec<T>, b: Vec<Same<T>> } }
            second { Same(inner::Same<Same>) holds pub struct Same<T> { a: Vec<Same<T>>, b: Vec<T> } }
            both { Same(inner::Same<Same>) holds pub struct Same<T> { a: Vec<T>, b: Vec<T> } }
            neither { Same(inner::Same) holds pub struct Same { a: Vec<Same>, b: Vec<Same> } }
        }
    }

    #[test]
    fn whose_recursion_it_is_counts() {
        assert_all_differ(&within_another::nested());
        assert_all_differ(&within_one_of_the_same_name::nested());
    }
}

mod stability {
    use super::*;

    mod items {
        use super::*;

        #[derive(State)]
        pub struct Item {
            id: u32,
        }
    }

    #[derive(State)]
    struct World {
        items: Vec<items::Item>,
        best: Option<items::Item>,
    }

    /// What the above were before the present ones changed.
    mod v1 {
        use super::*;

        #[derive(State)]
        pub struct Item {
            id: u32,
        }

        type Items = std::vec::Vec<Item>;

        #[derive(State)]
        #[state(version = 1)]
        pub struct World {
            items: Items,
            best: Option<self::Item>,
        }
    }

    #[test]
    fn a_type_that_moves_unchanged_stays_the_same() {
        assert_eq!(World::FINGERPRINT, v1::World::FINGERPRINT);
        assert_eq!(World::NAME, v1::World::NAME);
        assert_eq!(World::SCHEMA, v1::World::SCHEMA);
    }

    /// Two crates meet through nothing but these numbers, and saved state is known by them later. If one
    /// changes here, state that was saved before can't be recognized any more.
    #[test]
    fn another_build_finds_the_same() {
        #[derive(State)]
        #[repr(C)]
        struct Point {
            x: u32,
            y: u32,
        }

        #[derive(State)]
        #[state(version = 2)]
        enum Shape {
            Dot,
            Line { from: Point, to: Point },
        }

        let found = [u64::FINGERPRINT, Point::FINGERPRINT, Shape::FINGERPRINT].map(|found| found.to_string());
        assert_eq!(
            found,
            [
                "c785265963d80445598739a7c7c92549",
                "ebed5460d28cff852d3889e1193f1b14",
                "5d08fd430a7b113f068211be4c983d87",
            ]
        );
    }
}

mod methods {
    use liveswap_state::{Interface, MethodSpec};

    use super::*;

    #[derive(State)]
    pub struct Score {
        points: u64,
    }

    pub mod renamed_field {
        use super::*;

        #[derive(State)]
        pub struct Score {
            total: u64,
        }
    }

    /// For each of the given methods, a module with an interface `Game` of it.
    macro_rules! games {
        ($($name:ident { $($method:tt)* })*) => {$(
            mod $name {
                use super::*;

                #[interface]
                pub trait Game {
                    $($method)*
                }

                pub const METHOD: MethodSpec = <dyn Game as Interface>::METHODS[0];
            }
        )*};
    }

    games! {
        original { fn hit(&self, player: String, score: Score) -> u64; }
        method_renamed { fn strike(&self, player: String, score: Score) -> u64; }
        exclusive { fn hit(&mut self, player: String, score: Score) -> u64; }
        stateless { fn hit(player: String, score: Score) -> u64; }
        borrowed { fn hit(&self, player: String, score: &Score) -> u64; }
        borrowed_mutably { fn hit(&self, player: String, score: &mut Score) -> u64; }
        other_argument { fn hit(&self, player: u64, score: Score) -> u64; }
        argument_added { fn hit(&self, player: String, score: Score, again: bool) -> u64; }
        argument_removed { fn hit(&self, player: String) -> u64; }
        order_changed { fn hit(&self, score: Score, player: String) -> u64; }
        argument_changed_inside { fn hit(&self, player: String, score: renamed_field::Score) -> u64; }
        other_result { fn hit(&self, player: String, score: Score) -> i64; }
        no_result { fn hit(&self, player: String, score: Score); }

        arguments_renamed { fn hit(&self, who: String, what: Score) -> u64; }
    }

    #[test]
    fn a_change_of_the_signature_is_noticed() {
        assert_all_differ(&[
            ("original", original::METHOD.fingerprint),
            ("method_renamed", method_renamed::METHOD.fingerprint),
            ("exclusive", exclusive::METHOD.fingerprint),
            ("stateless", stateless::METHOD.fingerprint),
            ("borrowed", borrowed::METHOD.fingerprint),
            ("borrowed_mutably", borrowed_mutably::METHOD.fingerprint),
            ("other_argument", other_argument::METHOD.fingerprint),
            ("argument_added", argument_added::METHOD.fingerprint),
            ("argument_removed", argument_removed::METHOD.fingerprint),
            ("order_changed", order_changed::METHOD.fingerprint),
            ("argument_changed_inside", argument_changed_inside::METHOD.fingerprint),
            ("other_result", other_result::METHOD.fingerprint),
            ("no_result", no_result::METHOD.fingerprint),
        ]);
    }

    #[test]
    fn the_same_signature_stays_the_same() {
        assert_eq!(original::METHOD, arguments_renamed::METHOD);
    }

    #[test]
    fn the_place_in_the_interface_does_not_count() {
        #[interface]
        pub trait Game {
            fn before(&self);
            fn hit(&self, player: String, score: Score) -> u64;
        }

        assert_eq!(<dyn Game as Interface>::METHODS[1], original::METHOD);
    }
}
