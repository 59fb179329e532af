//! The table of what code may do within a call: each row is swapped many times, and every version that was
//! replaced leaves memory. The rows and how they are checked: `liveswap_tests::leaving`.

use liveswap_tests::{alone, leaving};

/// The path of a test, given its name.
macro_rules! name {
    ($name:ident) => {
        alone::name(concat!(module_path!(), "::", stringify!($name)))
    };
}

#[test]
fn swaps_under_load_end_with_the_memory_they_began_with() {
    leaving::storm(name!(swaps_under_load_end_with_the_memory_they_began_with));
}

mod a_version_leaves_memory_after {
    use fixture_api::behaviours::Behaviour;
    use liveswap_tests::alone;
    use liveswap_tests::leaving::Row;

    macro_rules! table {
        ($($name:ident: $behaviour:ident $(, $feature:literal)?;)*) => {$(
            #[test]
            fn $name() {
                let row = Row {
                    test: name!($name),
                    behaviour: Behaviour::$behaviour,
                    features: &[$($feature)?],
                };
                row.check();
            }
        )*};
    }

    table! {
        nothing_at_all: Nothing;
        touching_a_thread_local: ThreadLocalTouched;
        leaving_a_thread_local_alone: ThreadLocalUntouched;
        asking_for_the_current_thread: CurrentThread;
        spawning_and_joining_a_thread: SpawnAndJoin;
        blocking_in_a_channel: BlockedReceive;
        contending_for_std_locks: ContendedStdLocks;
        contending_for_parking_lot_locks: ContendedParkingLots;
        pinning_an_epoch: EpochPin;
        pinning_an_epoch_of_its_own: EpochPinOfItsOwn;
        loading_from_an_arc_swap: ArcSwapLoad;
        running_tokio_on_the_thread: TokioCurrentThread;
        running_tokio_with_workers: TokioMultiThread;
        running_a_rayon_pool: RayonPool;
        drawing_random_numbers: RandomNumbers;
        tracing_events: TracingEvents;
        tracing_with_a_subscriber_of_its_own: TracingWithDefault;
        catching_a_panic: PanicCaughtInside;
        a_panic_that_the_fence_caught: PanicCaughtByTheFence;
        initializing_statics: LazyStatics;
        being_linked_never_to_leave: ThreadLocalTouched, "nodelete";
    }
}
