//! Who is at the other end of the admin socket.
//!
//! The socket's mode lets nobody but its owner connect, and the kernel says which process of which user has. It's asked
//! all the same, so that a mode that somebody has changed later lets nobody in, and so that it can be written down who
//! has pushed.

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use super::routes::Failure;
use crate::control::Asker;
use crate::tell::tell;

/// The superuser's number.
const ROOT: u32 = 0;

/// Who has connected: a user and, if the kernel knows it, a process. None if it doesn't say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(Option<(u32, Option<i32>)>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|found| (found.uid(), found.pid())))
    }
}

/// The routes, for those alone who may ask, each with its [`Asker`].
pub(super) fn known(router: Router) -> Router {
    router.layer(middleware::from_fn(identify))
}

async fn identify(ConnectInfo(Peer(peer)): ConnectInfo<Peer>, mut request: Request, next: Next) -> Response {
    let own = rustix::process::geteuid().as_raw();
    match peer {
        Some((user, process)) if may_ask(user, own) => {
            request.extensions_mut().insert(Asker::Socket { user, process });
            next.run(request).await
        }
        _ => {
            let found = peer.map_or_else(
                || "nobody that the kernel knows".to_owned(),
                |(user, _)| format!("user {user}"),
            );
            let message = format!(
                "found {found}, expected user {own} or {ROOT}: ask as the user that the host runs as"
            );
            tell(|| tracing::warn!(code = "forbidden", "refused a request over the admin socket: {message}"));
            Failure::forbidden(message).into_response()
        }
    }
}

fn may_ask(user: u32, own: u32) -> bool {
    user == own || user == ROOT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_its_own_user_and_root_may_ask() {
        assert!(may_ask(1000, 1000) && may_ask(ROOT, 1000) && may_ask(ROOT, ROOT));
        assert!(!may_ask(1001, 1000) && !may_ask(1000, ROOT));
    }
}
