//! A small server on tokio, and clients of it: a line is a request, a line is its answer.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fixture_api::Game;
use liveswap_tokio::{AsyncCallError, AsyncModule};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time;

/// What has happened at the server.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// Connections that were accepted.
    pub(crate) connections: AtomicU64,
    /// Requests that have begun, and hold their version.
    pub(crate) begun: AtomicU64,
}

/// Serves all connections, each in a task of its own.
pub(crate) async fn serve(listener: TcpListener, game: AsyncModule<dyn Game>, served: Arc<Served>) {
    while let Ok((stream, _)) = listener.accept().await {
        served.connections.fetch_add(1, Ordering::SeqCst);
        let (game, served) = (game.clone(), served.clone());
        tokio::spawn(async move { serve_one(stream, game, &served).await });
    }
}

async fn serve_one(stream: TcpStream, game: AsyncModule<dyn Game>, served: &Served) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut requests = BufReader::new(read).lines();
    while let Some(request) = requests.next_line().await? {
        let answer = answer(&request, &game, served).await;
        let answer = answer.unwrap_or_else(|error| format!("failed: {error}"));
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

/// Each request counts one hit in the state. The answer is the version at its beginning and the one at its end.
async fn answer(
    request: &str,
    game: &AsyncModule<dyn Game>,
    served: &Served,
) -> std::result::Result<String, AsyncCallError> {
    let (kind, milliseconds) = request.split_once(' ').expect("a request has two words");
    let milliseconds: u64 = milliseconds.parse().expect("the second one is a number");
    let begun = || served.begun.fetch_add(1, Ordering::SeqCst);
    match kind {
        // Waits for something else between two calls.
        "feed" => {
            let lease = game.lease("feed").await?;
            let first = lease.lease().call(|game| game.version())?;
            begun();
            time::sleep(Duration::from_millis(milliseconds)).await;
            let last = lease.call(|game| {
                game.hit(1)?;
                game.version()
            });
            Ok(format!("{first} {}", last.await?))
        }
        // The call itself takes long.
        "slow" => {
            begun();
            let versions = game.call("slow", move |game| {
                let first = game.version()?;
                game.hit(1)?;
                Ok(format!("{first} {}", game.slow(milliseconds)?))
            });
            versions.await
        }
        // On the executor's own thread.
        _ => {
            begun();
            let versions = game.module().call(|game| {
                let first = game.version()?;
                game.hit(1)?;
                Ok(format!("{first} {}", game.version()?))
            });
            Ok(versions?)
        }
    }
}

/// Of the requests of one client: which kind the next one is, and how long it takes.
fn request(client: u64, number: u64, longest: u64) -> String {
    let kind = match (client + number) % 16 {
        0 => "slow",
        1 | 2 => "brief",
        _ => "feed",
    };
    // All lengths come by, each client in another order.
    let milliseconds = (client * 7919 + number * 104_729) % (longest + 1);
    format!("{kind} {milliseconds}\n")
}

/// Asks over one connection until it's told to stop, and gives how many answers it has had. All must be whole and good,
/// each from one version, and none from an older one than the answer before.
pub(crate) async fn ask(
    address: SocketAddr,
    client: u64,
    longest: u64,
    stop: Arc<AtomicBool>,
) -> Result<u64> {
    let (read, mut write) = TcpStream::connect(address).await?.into_split();
    let mut answers = BufReader::new(read).lines();
    let (mut number, mut newest) = (0, 0);
    while !stop.load(Ordering::SeqCst) {
        write.write_all(request(client, number, longest).as_bytes()).await?;
        let answer = answers.next_line().await?.unwrap_or_default();
        let versions: Option<(u64, u64)> =
            answer.split_once(' ').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match versions {
            Some((first, last)) if first == last && first >= newest => newest = first,
            _ => return Err(Error::other(format!("client {client} at {newest} was answered: {answer}"))),
        }
        number += 1;
    }
    Ok(number)
}
