//! Hosts whose logic works in the background.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fixture_api::Errand;
use fixture_api::work::{Priority, Work};
use liveswap::status::WorkStatus;
use liveswap::{Builder, Module};

use crate::{Fixture, Host, wait_until};

/// The other module that the fixture can be a version of.
pub const SECOND: &str = "second";

/// A version of the module [`MODULE`](crate::host::MODULE).
pub fn candidate(version: &str) -> PathBuf {
    Fixture::package("fixture-work", version).build()
}

/// A version of the module [`SECOND`], in a folder.
pub fn second(folder: &Path, version: &str) -> PathBuf {
    let built = Fixture::package("fixture-work", version).feature("second").build();
    let named = folder.join(format!("{SECOND}.v{version}.so"));
    fs::copy(built, &named).expect("a temporary folder can be written");
    named
}

/// A host that serves version 1001.
pub fn serving(change: impl FnOnce(Builder) -> Builder) -> Host {
    let host = Host::of::<dyn Work>(|builder, _| change(builder));
    host.push(candidate("1001"));
    host
}

/// A host of both modules, that serves version 1001 of each.
pub fn serving_two(change: impl FnOnce(Builder) -> Builder) -> Host {
    let host = Host::of::<dyn Work>(|builder, _| change(builder.module::<dyn Work>(SECOND)));
    host.push(candidate("1001"));
    host.push(second(host.folder(), "1001"));
    host
}

/// The first module's handle.
pub fn work(host: &Host) -> Module<dyn Work> {
    host.module()
}

/// The second one's.
pub fn second_work(host: &Host) -> Module<dyn Work> {
    host.engine.module(SECOND).expect("it was declared")
}

/// What the status says of the first module's work.
pub fn status(host: &Host) -> WorkStatus {
    host.status().work
}

/// Has a call made in the background that stays until it's released, and returns when it is inside.
#[track_caller]
pub fn occupy(work: &Module<dyn Work>) -> Arc<Errand> {
    let errand = Arc::new(Errand::default());
    let spawned = work.call(|work| work.spawn_errand(Priority::Normal, errand.clone()));
    assert_eq!(spawned, Ok(Ok(())));
    wait_until("the errand is inside", || errand.latch.is_entered());
    errand
}

/// Lets the call return, and waits until nothing of it is left. Returns the version that it ran on.
#[track_caller]
pub fn release(errand: &Arc<Errand>) -> String {
    errand.latch.release();
    wait_until("the errand is over", || Arc::strong_count(errand) == 1);
    errand.ran_on.get().expect("it has run").clone()
}
