//! The admin API: how an operator on the same machine looks at a running engine and pushes to it.
//!
//! An engine lives inside somebody else's process, so whoever wants to push from outside needs a door into
//! it. This one is HTTP/1.1 over a Unix socket: every language and `curl --unix-socket` speak it, no port is
//! open, and the file's mode (0600) says who may come in.
//!
//! | request | what it does | answer |
//! |---|---|---|
//! | `GET /status` | looks, without waiting for a swap | the [`Status`](crate::Status) |
//! | `POST /push?name=logic.v1002.so` | pushes the library in the body | a [`PushOutcome`](crate::PushOutcome) |
//! | `POST /rollback/{module}` | returns to the predecessor | a [`Published`](crate::Published) |
//! | `POST /commit/{module}` | ends the probation | `{"module", "version"}` |
//! | `POST /snapshot/{module}` | takes a snapshot of the state | a [`SnapshotTaken`](crate::status::SnapshotTaken) |
//! | `POST /restore/{module}` | has the last snapshot take the state's place | `{"module", "path"}` |
//! | `POST /trust/{module}` | lets calls back to a state that is suspect | `{"module"}` |
//!
//! `&allow_older=true` behind a push's name allows a version older than the active one, `&allow_one_way=true` an
//! upgrade of the state without a way back. `&rehearse=true` has the candidate [rehearsed](crate::Rehearsal) first, and
//! `&rehearse=false` not, whatever the host's default is.
//!
//! A push carries the library's bytes, not its path: the two processes may see different file systems. What
//! was done is answered with 200; what wasn't, with a status from 400 on and `{"code", "message"}`, where
//! the code is that of the error (see [`error`](crate::error)).
//!
//! [`socket`] makes the socket, [`routes`] answers, and this module runs both on a thread of their own.

mod routes;
mod socket;
#[cfg(test)]
mod tests;

use std::future::IntoFuture;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use tokio::net::UnixListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;

use crate::call::owed;
use crate::engine::{Core, Trigger};
use routes::COMMANDS_MAX;
use socket::SocketFile;

/// How long the end of the server waits for requests under way. A client that stalls isn't waited for any
/// longer.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    /// Dropping it tells the thread to end.
    alive: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Removed after the thread has ended.
    _socket: SocketFile,
}

impl Trigger for Server {}

impl Server {
    /// Serves `core` on `socket`. `candidate_size_max` is the most bytes that a push may carry.
    pub(crate) fn start(socket: &Path, core: Arc<Core>, candidate_size_max: u64) -> io::Result<Self> {
        let (listener, socket) = socket::listen(socket)?;
        let router = routes::router(core, candidate_size_max);
        let (alive, ended) = watch::channel(());
        // The runtime is made and dropped on the thread: the engine may be built inside another one, where
        // dropping a runtime isn't allowed.
        let (report, started) = mpsc::channel();
        let thread = std::thread::Builder::new().name("liveswap-admin".into()).spawn(move || {
            match prepare(listener) {
                Ok((runtime, listener)) => {
                    drop(report);
                    runtime.block_on(serve(listener, router, ended));
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
            Err(mpsc::RecvError) => Ok(Self { alive: Some(alive), thread: Some(thread), _socket: socket }),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.alive.take();
        if let Some(thread) = self.thread.take() {
            // It only forwards; a panic in it has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn prepare(listener: StdListener) -> io::Result<(Runtime, UnixListener)> {
    let runtime = runtime::Builder::new_current_thread()
        .thread_name("liveswap-admin-command")
        .max_blocking_threads(COMMANDS_MAX)
        .enable_all()
        // A subscriber may have called the engine on this thread.
        .on_thread_park(owed::settle_all)
        .build()?;
    let entered = runtime.enter();
    let listener = UnixListener::from_std(listener)?;
    drop(entered);
    Ok((runtime, listener))
}

async fn serve(listener: UnixListener, router: Router, alive: watch::Receiver<()>) {
    let ended = |mut alive: watch::Receiver<()>| async move {
        // Nothing is ever sent: this ends, with an error, when the server is dropped.
        let _ = alive.changed().await;
    };
    let farewell = async {
        ended(alive.clone()).await;
        tokio::time::sleep(FAREWELL).await;
    };
    let server = axum::serve(listener, router).with_graceful_shutdown(ended(alive.clone()));
    tokio::select! {
        _ = server.into_future() => {}
        () = farewell => {}
    }
}
