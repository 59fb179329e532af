//! A server on tokio is upgraded while requests are in flight. `ci/async` runs the full form.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use liveswap_tests::host::Left;
use liveswap_tests::{Host, Patched, logic, wait_until};
use liveswap_tokio::{AsyncModule, Place};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::server::{Served, ask, serve};

/// A number from the environment, or else that of the short form.
fn setting(name: &str, short: u64) -> u64 {
    let number = env::var(name).ok().map(|text| text.parse().expect("it's a number"));
    number.unwrap_or(short)
}

/// Both ends of each connection are this process's.
fn allow_connections(count: u64) {
    let needed = 2 * count + 256;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit { current: Some(needed), ..limit };
        setrlimit(Resource::Nofile, raised).expect("the hard limit on open files allows it");
    }
}

#[test]
fn p3_05_a_tokio_server_is_upgraded_under_its_requests_nothing_fails_and_every_version_unmaps() {
    let connections = setting("LIVESWAP_CONNECTIONS", 64);
    let upgrades = setting("LIVESWAP_UPGRADES", 10);
    let longest = setting("LIVESWAP_REQUEST_MS", 300);
    allow_connections(connections);
    let retained_max = usize::try_from(upgrades).unwrap();
    let host =
        Host::with(|builder, _| builder.retained_max(retained_max).drain_deadline(Duration::from_secs(60)));
    let candidate = |number: u64| {
        let version = (2000 + number).to_string();
        Patched::of(logic("1001")).version(&version).write(host.folder(), &version)
    };
    host.push(candidate(0));

    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().on_thread_park(liveswap::on_thread_park);
    let runtime = builder.build().unwrap();
    let game = AsyncModule::new(host.game(), Place::new(64));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(Served::default());
    let server = runtime.spawn(serve(listener, game, served.clone()));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..connections).map(|client| runtime.spawn(ask(address, client, longest, stop.clone()))).collect();
    wait_until("all clients are there", || served.connections.load(Ordering::SeqCst) == connections);

    let began = Instant::now();
    let (mut overtaken, mut most) = (0, 0);
    for number in 1..=upgrades {
        // So that each version has requests of its own.
        let until = served.begun.load(Ordering::SeqCst) + connections.div_ceil(16);
        let is_busy =
            || served.begun.load(Ordering::SeqCst) >= until || clients.iter().any(|it| it.is_finished());
        wait_until("requests have begun on this version", is_busy);
        host.push(candidate(number));
        let held = host.status().standby.unwrap().holders;
        let requests = held.iter().filter(|holder| holder.label.is_some()).count();
        overtaken += requests;
        most = most.max(host.mapped().len());
    }
    let took = began.elapsed();
    stop.store(true, Ordering::SeqCst);
    let answers: u64 = clients.into_iter().map(|it| runtime.block_on(it).unwrap().unwrap()).sum();
    assert!(overtaken > 0, "no request was in flight at any upgrade");
    assert_eq!(host.game().call(|game| game.totals()).unwrap().hits, answers, "each has counted");

    // Two are in the slots.
    host.wait_until_mapped(2);
    host.commit();
    host.wait_until_mapped(1);
    let status = host.status();
    assert!(status.retired.iter().all(|retired| retired.state == "unmapped"), "{:?}", status.retired);
    assert_eq!((status.swaps.committed, status.swaps.refused), (upgrades, 0));
    println!(
        "{connections} connections, {upgrades} upgrades in {took:?}: {answers} answers, none failed; {overtaken} requests \
         were in flight on the version before when another was published; {most} versions mapped at most, 1 at the end"
    );
    server.abort();
    drop(runtime);
    assert_eq!(host.end(), Left { mapped: 0, copies: 0 });
}
