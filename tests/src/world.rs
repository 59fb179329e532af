//! Hosts of the world with many entities, and versions of it in each schema.

use std::path::PathBuf;
use std::sync::Arc;

use fixture_api::Latch;
use fixture_api::world::{Figures, Realm};
use liveswap::Module;
use liveswap::status::{MigrationStage, MigrationStatus};

use crate::{Fixture, Host, comes_true};

/// Version 1001, 1002 or 1003, whose state is of schema 1, 2 or 3.
pub fn version(schema: u32) -> PathBuf {
    fixture(schema).build()
}

/// The same, with what else it's to have.
pub fn fixture(schema: u32) -> Fixture {
    let fixture = Fixture::world(&format!("100{schema}"));
    match schema {
        1 => fixture,
        2 => fixture.feature("schema-2"),
        _ => fixture.feature("schema-3"),
    }
}

/// A host that serves schema 1.
pub fn serving(entities: u64) -> Host {
    let host = Host::of::<dyn Realm>(|builder, _| builder);
    host.push(version(1));
    realm(&host).call(|realm| realm.fill(0, entities)).expect("it's filled");
    host
}

/// The handle.
pub fn realm(host: &Host) -> Module<dyn Realm> {
    host.module()
}

/// Figures over all entities.
#[track_caller]
pub fn figures(host: &Host) -> Figures {
    realm(host).call(|realm| realm.figures()).expect("the state can be looked at")
}

/// The schema of the version that calls enter.
#[track_caller]
pub fn schema(host: &Host) -> u32 {
    realm(host).call(|realm| realm.schema()).expect("there is an active version")
}

/// The latest migration.
pub fn migration(host: &Host) -> MigrationStatus {
    host.status().migration.expect("there was a migration")
}

/// Waits until the push that is under way has tried twice to have no call in the state.
#[track_caller]
pub fn wait_until_it_tries_again(host: &Host) {
    let tries_again = || host.status().migration.is_some_and(|migration| migration.attempts > 1);
    assert!(comes_true(tries_again), "it doesn't wait: {:?}", host.status().migration);
}

/// Waits until nothing is left to be migrated.
#[track_caller]
pub fn wait_until_swept(host: &Host) {
    let is_swept = || migration(host).stage == MigrationStage::Done;
    assert!(comes_true(is_swept), "the sweep doesn't end: {:?}", migration(host));
}

/// A call that stays inside until it's released.
pub struct Inside {
    latch: Arc<Latch>,
    thread: Option<std::thread::JoinHandle<u32>>,
}

impl Inside {
    /// One that borrows the state.
    pub fn in_the_state(host: &Host) -> Self {
        Self::begin(host, |realm, latch| {
            realm.call(|realm| realm.wait_in_the_state(latch)).expect("it returns")
        })
    }

    /// One that `call` makes.
    pub fn begin(host: &Host, call: impl FnOnce(&Module<dyn Realm>, &Latch) -> u32 + Send + 'static) -> Self {
        let latch = Arc::new(Latch::default());
        let thread = std::thread::Builder::new().name("stays-inside".into()).spawn({
            let (realm, latch) = (realm(host), latch.clone());
            move || call(&realm, &latch)
        });
        crate::wait_until("the call is inside", || latch.is_entered());
        Self { latch, thread: Some(thread.expect("a thread can be started")) }
    }

    /// Lets it return; the schema of the version that it ran on.
    pub fn release(mut self) -> u32 {
        self.latch.release();
        let thread = self.thread.take().expect("it's joined once");
        thread.join().expect("it doesn't panic")
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.latch.release();
    }
}
