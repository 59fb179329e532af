//! What else there is: the ways of others, each as its own figures show it.

use crate::figure::{Chapter, Table};
use crate::options::Options;
use crate::peers::{Peer, dlopen, erlang, go, hot_lib_reloader, locked, restart, wasmtime};

const PEERS: [(&str, &Peer); 6] = [
    ("raw dlopen", &dlopen::PEER),
    ("hot-lib-reloader", &hot_lib_reloader::PEER),
    ("Erlang/OTP", &erlang::PEER),
    ("Go's plugin", &go::PEER),
    ("wasmtime", &wasmtime::PEER),
    ("a restart with a snapshot", &restart::PEER),
];

pub(crate) fn measure(options: &Options) -> Chapter {
    let (mut figures, mut versions, mut not_run) = (Vec::new(), Vec::new(), Vec::new());
    // Those of the chapter on calls.
    for package in ["arc-swap", "crossbeam-epoch", "seize"] {
        versions.push((package.to_owned(), vec![locked(package)]));
    }
    for (name, peer) in PEERS {
        match peer.measure(options) {
            Ok(measured) => {
                figures.extend(measured.figures);
                versions.push((name.to_owned(), vec![measured.version]));
            }
            Err(reason) => not_run.push(reason),
        }
    }
    Chapter {
        title: "What else there is",
        text: "How others replace code in a running program, or do without, measured in the same run. Each does it in its \
               own way, so these aren't all the same figure: Erlang's call goes to another process and comes back as a \
               message; Go never unloads a plugin; hot-lib-reloader waits until a file has been left alone; a restart \
               answers nobody from when the old process is asked to end until the new one's first answer. \
               docs/adr/0014-benchmarks.md says for each how it's measured, and where that flatters or wrongs it."
            .to_owned(),
        figures,
        tables: vec![Table { title: "Versions".to_owned(), columns: vec!["version".to_owned()], rows: versions }],
        not_run,
        ..Chapter::default()
    }
}
