//! The server: an engine, a port, and their end.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use demo_api::Game;
use liveswap::{BuildError, Engine, ModuleError, Probation};
use thiserror::Error;
use tokio::runtime::{self, Runtime};
use tokio::time::sleep;

use crate::arguments::Arguments;
use crate::begin;
use crate::folders::Folders;
use crate::routes::{self, Service};
use crate::stop::StopSignals;

/// The module's name: in its manifest, and at the start of its files' names.
const MODULE: &str = "logic";

/// How often the world is written down. It is at the end, too.
const BETWEEN_SNAPSHOTS: Duration = Duration::from_secs(10 * 60);

/// How long requests under way, and then calls under way, may hold up the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the server didn't serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The port can't be had.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// Where the server was to listen.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The engine can't be had.
    #[error(transparent)]
    Engine(#[from] BuildError),
    /// The engine has no such module.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// The system refused a thread, a signal or a socket.
    #[error("can't serve: {0}")]
    System(#[from] io::Error),
}

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
///
/// If the port, the folder or the engine can't be had.
pub fn run(arguments: &Arguments) -> Result<(), ServerError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let listener = TcpListener::bind(address).map_err(|source| ServerError::Listen { address, source })?;
    let folders = Folders::new(&arguments.dir);
    let engine = Arc::new(
        Engine::builder()
            .module::<dyn Game>(MODULE)
            .watch(folders.modules())
            .admin(folders.admin_socket())
            .private_folder(folders.versions())
            .snapshots(folders.snapshots())
            .snapshot_every(BETWEEN_SNAPSHOTS)
            .probation(Probation::default())
            .rescan_on_hangup()
            .build()?,
    );
    begin::with_what_is_there(&engine, MODULE, &folders);
    let service = Service {
        engine: engine.clone(),
        game: engine.module::<dyn Game>(MODULE)?,
        candidates: folders.candidates(),
    };
    let runtime = runtime()?;
    let served = runtime.block_on(serve(listener, service));
    // The threads that have been in logic end first: then nothing holds a version when the engine ends. Those
    // that are still in it have been waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(engine);
    served
}

async fn serve(listener: TcpListener, service: Service) -> Result<(), ServerError> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let (stop, patience_begins) = (StopSignals::listen()?, StopSignals::listen()?);
    let serving = axum::serve(listener, routes::router(service)).with_graceful_shutdown(async {
        stop.received().await;
        tracing::info!("asked to stop: finishing the requests under way");
    });
    say(&format!("ready http://{address}"))?;
    tokio::select! {
        served = serving => served?,
        () = async { patience_begins.received().await; sleep(PATIENCE).await } => {
            tracing::warn!("after {PATIENCE:?}, some are still under way: giving them up");
        }
    }
    Ok(())
}

/// The threads' names are what the engine's status calls those who are inside a version.
fn runtime() -> io::Result<Runtime> {
    let numbers = AtomicUsize::new(1);
    runtime::Builder::new_multi_thread()
        // Relaxed: all that counts is that no number is given out twice.
        .thread_name_fn(move || format!("demo-server-{}", numbers.fetch_add(1, Ordering::Relaxed)))
        .enable_all()
        .on_thread_park(liveswap::on_thread_park)
        .build()
}

/// Tells whoever started this program, on standard output; logs go to standard error.
///
/// # Errors
///
/// If nobody can hear it.
pub fn say(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}
