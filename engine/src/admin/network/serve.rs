//! Connections: taken in, shaken hands with, and ended in time, so that no single client holds up the others.
//!
//! Each connection has a task of its own from its first moment, so a handshake that stalls holds up nobody. Each is for
//! one request. What a client may take its time for has an end; only carrying out a command takes as long as it takes.
//!
//! Places are bounded, for all and for one address. They aren't shared out fairly: as many addresses as it takes to fill
//! them all, connecting again and again, leave none to others.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::{Ended, FAREWELL, end};
use super::log::BoundedLog;
use super::origin;
use super::tls::Certificates;
use crate::lock::lock;

/// How many connections there may be.
const CONNECTIONS_MAX: usize = 64;

/// How many of them from one address.
const CONNECTIONS_OF_ONE_MAX: usize = 16;

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long a request's head may take to arrive, how many lines it may have, and how many bytes.
const HEAD_MAX: Duration = Duration::from_secs(10);
const HEAD_LINES_MAX: usize = 32;
/// A push has its signature here, in Base64: up to 21,848 bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long a client may take to read an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long what a client still sends is thrown away, after the answer, and how many bytes.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// How long to wait before the next connection is taken in, if the system has refused one: it may be out of
/// descriptors.
const RESPITE: Duration = Duration::from_millis(100);

/// Serves until it's told to end, and then what is under way for a moment more.
pub(super) async fn serve(
    listener: TcpListener,
    mut certificates: Certificates,
    router: Router,
    log: Arc<BoundedLog>,
    ended: Ended,
) {
    let places = Arc::new(Places::default());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // So that the set holds no more than what is under way.
            Some(_) = connections.join_next() => continue,
            () = end(ended.clone()) => break,
        };
        match accepted {
            Ok((stream, address)) => match Place::take(&places, address) {
                Some(place) => {
                    let (acceptor, router, ended) = (certificates.acceptor(), router.clone(), ended.clone());
                    connections.spawn(async move {
                        let _place = place;
                        converse(stream, address, acceptor, router, ended).await;
                    });
                }
                None => log.say(|left_out| {
                    tracing::warn!(%address, left_out, "closed a connection: there are too many");
                }),
            },
            Err(error) => {
                log.say(|left_out| tracing::warn!(%error, left_out, "can't take a connection in"));
                sleep(RESPITE).await;
            }
        }
    }
    drop(listener);
    // What isn't done by then is given up with the set.
    let _ = timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
}

/// One connection, from its handshake to its end.
async fn converse(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
    ended: Ended,
) {
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE_MAX, acceptor.accept(stream)) => shaken,
        () = end(ended.clone()) => return,
    };
    // Whoever can't shake hands isn't told of in the log: it may be anybody who looks for open ports.
    let Ok(Ok(stream)) = shaken else { return };
    let answered = Arc::new(Notify::new());
    let routes = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(address);
        let (answer, answered) = (routes.call(request), answered.clone());
        Box::pin(async move {
            let answer = answer.await;
            answered.notify_one();
            answer
        }) as Answer
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_headers(HEAD_LINES_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let overdue = async {
        answered.notified().await;
        sleep(ANSWER_MAX).await;
    };
    tokio::pin!(overdue);
    let mut ended = Some(ended);
    loop {
        let told = async {
            match ended.clone() {
                Some(ended) => end(ended).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // A head that can't be understood has been answered, too.
            _ = poll_fn(|context| connection.poll_without_shutdown(context)) => break,
            () = &mut overdue => return,
            () = told => {
                ended = None;
                // What is under way is answered; what hasn't begun won't.
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    part(connection.into_parts().io.into_inner()).await;
}

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Ends a connection. The client may still be sending what nobody wants, such as a candidate that is too large: if that
/// were left unread, the kernel would throw the answer away with it.
async fn part(mut stream: TlsStream<TcpStream>) {
    let lingering = async {
        // It can't be told any more of what fails here.
        let _ = stream.shutdown().await;
        let (stream, _) = stream.get_mut();
        let mut thrown_away = [0; 4096];
        let mut rest = LINGER_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut thrown_away).await {
            rest = rest.saturating_sub(read);
            if rest == 0 {
                break;
            }
        }
    };
    let _ = timeout(LINGER, lingering).await;
}

/// The connections that there are, by where they come from.
#[derive(Default)]
struct Places(Mutex<HashMap<IpAddr, usize>>);

/// A connection's place among them, free again when it's dropped.
struct Place {
    places: Arc<Places>,
    origin: IpAddr,
}

impl Place {
    /// None if there are too many.
    fn take(places: &Arc<Places>, address: SocketAddr) -> Option<Self> {
        let origin = origin(address);
        let mut taken = lock(&places.0);
        let of_one = taken.get(&origin).copied().unwrap_or(0);
        if of_one >= CONNECTIONS_OF_ONE_MAX || taken.values().sum::<usize>() >= CONNECTIONS_MAX {
            return None;
        }
        taken.insert(origin, of_one + 1);
        Some(Self { places: places.clone(), origin })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.0);
        if let Some(of_one) = taken.get_mut(&self.origin) {
            *of_one -= 1;
            if *of_one == 0 {
                taken.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_so_many_for_one() {
        let places = Arc::new(Places::default());
        let take = |host: usize| {
            let address = format!("192.0.2.{host}:1").parse().unwrap();
            Place::take(&places, address)
        };
        let mut taken: Vec<_> = (0..CONNECTIONS_OF_ONE_MAX).map(|_| take(1).unwrap()).collect();
        assert!(take(1).is_none());
        taken.extend((CONNECTIONS_OF_ONE_MAX..CONNECTIONS_MAX).map(|index| take(2 + index % 8).unwrap()));
        assert!(take(100).is_none());
        taken.clear();
        assert!(lock(&places.0).is_empty());
        assert!(take(1).is_some());
    }
}
