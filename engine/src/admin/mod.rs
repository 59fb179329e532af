//! The admin API: how an operator on the same machine looks at a running engine and pushes to it.
//!
//! An engine lives inside somebody else's process, so whoever wants to push from outside needs a door into
//! it. This one is HTTP/1.1 over a Unix socket: every language and `curl --unix-socket` speak it, no port is
//! open, and the file's mode (0600) says who may come in. For operators elsewhere, the same can be served over the
//! [`network`], with TLS and tokens, if the host asks for that.
//!
//! | request | what it does | answer |
//! |---|---|---|
//! | `GET /status` | looks, without waiting for a swap | the [`Status`](crate::Status) |
//! | `GET /registry` | the same, for what versions export | the [`Registry`](crate::Registry) |
//! | `POST /push?name=logic.v1002.so` | pushes the library in the body | a [`PushOutcome`](crate::PushOutcome) |
//! | `POST /push/{set}` | pushes the libraries in the body as one | a [`SetPushed`](crate::SetPushed) |
//! | `POST /rollback/{module}` | returns to the predecessor | a [`Published`](crate::Published) |
//! | `POST /commit/{module}` | ends the probation | `{"module", "version"}` |
//! | `POST /snapshot/{module}` | takes a snapshot of the state | a [`SnapshotTaken`](crate::status::SnapshotTaken) |
//! | `POST /restore/{module}` | has the last snapshot take the state's place | `{"module", "path"}` |
//! | `POST /trust/{module}` | lets calls back to a state that is suspect | `{"module"}` |
//!
//! `&allow_older=true` behind a push's name allows a version older than the active one, `&allow_one_way=true` an
//! upgrade of the state without a way back, `&force=true` a hand-over against the veto of the version that serves.
//! `&rehearse=true` has the candidate [rehearsed](crate::Rehearsal) first, and `&rehearse=false` not, whatever the
//! host's default is.
//!
//! The body of a set's push is a line of JSON, `{"candidates": [{"name", "bytes", "signature"}, ...]}`, and then the
//! libraries' bytes, one after the other. What is allowed, is allowed to each of them. Together they may be as large as
//! one candidate.
//!
//! A push's signature comes along in the header `liveswap-signature`: the content of the file that `minisign -S`
//! writes, in Base64, because a header is one line (`base64 -w0 logic.v1002.so.minisig`).
//!
//! A push carries the library's bytes, not its path: the two processes may see different file systems. What
//! was done is answered with 200; what wasn't, with a status from 400 on and `{"code", "message"}`, where
//! the code is that of the error (see [`error`](crate::error)).
//!
//! [`socket`] makes the socket, [`peer`] says who is at its other end, [`routes`] answers, [`mod@signature`] reads that
//! header, [`set`] that body, and this module runs them on a thread of their own.

#[cfg(feature = "network")]
mod network;
mod peer;
mod routes;
mod set;
mod signature;
mod socket;
#[cfg(test)]
mod tests;

use std::future::IntoFuture;
use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use tokio::net::UnixListener;
use tokio::runtime;
use tokio::sync::watch;

use crate::call::owed;
use crate::engine::{Core, Trigger};
#[cfg(feature = "network")]
pub(crate) use network::NetworkServer;
#[cfg(feature = "network")]
pub use network::{NetworkAdmin, NetworkError, TokensError};
use peer::Peer;
use routes::COMMANDS_MAX;
use socket::SocketFile;

/// How long the end of the server waits for requests under way. A client that stalls isn't waited for any
/// longer.
const FAREWELL: Duration = Duration::from_secs(2);

/// Tells what serves that it's to end: with an error, and nothing is ever sent.
type Ended = watch::Receiver<()>;

/// A thread that serves until it is dropped.
#[derive(Debug)]
struct Serving {
    /// Dropping it tells the thread to end.
    alive: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Runs what `prepare` makes on a thread of its own. It's made there, inside the thread's runtime.
    fn start<F: Future>(
        name: &str,
        prepare: impl FnOnce(Ended) -> io::Result<F> + Send + 'static,
    ) -> io::Result<Self> {
        let (alive, ended) = watch::channel(());
        // The runtime is made and dropped on the thread: the engine may be built inside another one, where
        // dropping a runtime isn't allowed.
        let (report, started) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let prepared = runtime().and_then(|runtime| {
                let entered = runtime.enter();
                let serve = prepare(ended)?;
                drop(entered);
                Ok((runtime, serve))
            });
            match prepared {
                Ok((runtime, serve)) => {
                    drop(report);
                    runtime.block_on(serve);
                }
                Err(error) => {
                    // The receiver waits for this or for the sender's end.
                    let _ = report.send(error);
                }
            }
        })?;
        match started.recv() {
            Ok(error) => Err(error),
            // The sender is gone without an error: it serves.
            Err(mpsc::RecvError) => Ok(Self { alive: Some(alive), thread: Some(thread) }),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.alive.take();
        if let Some(thread) = self.thread.take() {
            // It only forwards; a panic in it has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn runtime() -> io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread()
        .thread_name("liveswap-admin-command")
        .max_blocking_threads(COMMANDS_MAX)
        .enable_all()
        // A subscriber may have called the engine on this thread.
        .on_thread_park(owed::settle_own)
        .build()
}

/// Serves the Unix socket until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    _serving: Serving,
    /// Removed after the thread has ended.
    _socket: SocketFile,
}

impl Trigger for Server {}

impl Server {
    /// Serves `core` on `socket`. `candidate_size_max` is the most bytes that a push may carry.
    pub(crate) fn start(socket: &Path, core: Arc<Core>, candidate_size_max: u64) -> io::Result<Self> {
        let (listener, socket) = socket::listen(socket)?;
        let router = peer::known(routes::router(core, candidate_size_max));
        let serving = Serving::start("liveswap-admin", move |ended| {
            Ok(serve(UnixListener::from_std(listener)?, router, ended))
        })?;
        Ok(Self { _serving: serving, _socket: socket })
    }
}

async fn serve(listener: UnixListener, router: Router, ended: Ended) {
    let farewell = async {
        end(ended.clone()).await;
        tokio::time::sleep(FAREWELL).await;
    };
    let service = router.into_make_service_with_connect_info::<Peer>();
    let server = axum::serve(listener, service).with_graceful_shutdown(end(ended.clone()));
    tokio::select! {
        _ = server.into_future() => {}
        () = farewell => {}
    }
}

/// Until the server is dropped.
async fn end(mut ended: Ended) {
    // Nothing is ever sent: this ends with an error.
    let _ = ended.changed().await;
}
