//! What a library's last code does: nothing of it is run later, nothing of the host's is taken away by it, and if
//! it hangs, the host goes on.

use std::collections::BTreeSet;
use std::ffi::c_uint;
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fixture_api::Latch;
use fixture_api::threads::{Closing, Threads};
use liveswap::Module;
use liveswap_tests::threads::{candidate, host, replace};
use liveswap_tests::{Fixture, Host, Patched, alone, wait_until};

/// A host that has replaced a version, whose library does this while it's being closed.
fn closing(closing: Closing) -> Host {
    let host = host();
    host.push(candidate(&host, "1"));
    let module: Module<dyn Threads> = host.module();
    module.call(|module| module.when_closed(closing)).unwrap();
    replace(&host, "2");
    host
}

#[test]
fn a_thread_local_that_is_touched_while_the_library_is_closed_is_never_destroyed() {
    alone::check(|| {
        let host = closing(Closing::TouchAThreadLocal);
        host.wait_until_unmapped("1");
        assert_eq!(host.mapped().len(), 1);
        // The thread that has closed it ends.
        drop(host);
    });
}

#[test]
fn no_thread_can_be_started_while_the_library_is_closed() {
    alone::check(|| {
        let answer = Arc::new(OnceLock::new());
        let host = closing(Closing::StartAThread(answer.clone()));
        host.wait_until_unmapped("1");
        assert_eq!(answer.get(), Some(&libc::EAGAIN));
        drop(host);
    });
}

/// Some keys of the host's own. More than one, so that each number that was given back is among them.
fn keys() -> [c_uint; 8] {
    [(); 8].map(|()| {
        let mut key = 0;
        // SAFETY: `key` can be written to.
        assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, None) }, 0);
        key
    })
}

#[test]
fn a_key_that_the_library_deletes_while_it_is_closed_is_deleted_once() {
    alone::check(|| {
        let (before, after) = (Arc::new(Latch::default()), Arc::new(Latch::default()));
        let host = closing(Closing::DeleteItsKey(before.clone(), after.clone()));
        let made = [&before, &after].map(|latch| {
            wait_until("the library is being closed", || latch.is_entered());
            let keys = keys();
            latch.release();
            keys
        });
        host.wait_until_unmapped("1");
        let kept: BTreeSet<_> = made.into_iter().flatten().collect();
        assert_eq!(kept.len(), made.as_flattened().len(), "a number was given out twice: {made:?}");
        for key in kept {
            // SAFETY: what is set is never followed, because the key has no destructor.
            let result = unsafe { libc::pthread_setspecific(key, ptr::without_provenance(1)) };
            assert_eq!(result, 0, "the host's own key {key} is gone");
        }
    });
}

#[test]
fn a_candidate_that_fails_and_whose_teardown_hangs_holds_up_neither_pushes_nor_the_end() {
    alone::check(|| {
        let deadline = Duration::from_millis(50);
        let host = Host::of::<dyn Threads>(|builder, _| builder.drain_deadline(deadline));
        host.push(candidate(&host, "1"));
        let hangs = Fixture::threads("1002").feature("teardown-hangs").build();
        host.refused("prepare-refused", Patched::of(hangs).version("2").write(host.folder(), "2"));
        host.push(candidate(&host, "3"));
        drop(host);
    });
}
