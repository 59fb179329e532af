//! The admin API over the network: the same routes, behind TLS and a token.
//!
//! An operator who isn't on the machine needs a port, and whoever reaches the port must get nowhere without a secret.
//! Nothing of this is there unless the host asks for it, and then never in plain text. What
//! comes in is bounded in number, in time and in size at each step:
//!
//! | step | module | bounds |
//! |---|---|---|
//! | a connection | [`serve`] | how many there are, in all and from one address |
//! | its handshake | [`serve`], [`tls`] | how long it takes |
//! | a request's head | [`serve`] | its size, how long it takes; one request a connection |
//! | who asks | [`gate`], [`tokens`] | failed attempts of an address, requests of a token |
//! | its body | [`gate`], the routes | its size, how long it takes |
//! | its answer | [`serve`] | how long the client takes to read it |
//!
//! These bounds keep the host from harm, and one address from taking all the places. They don't promise an operator one:
//! strangers at four addresses who connect again and again can hold every place, and whoever shares an operator's
//! address and fails there shuts it out, right token or not. Who may reach the port at all is a firewall's to say. The
//! socket on the machine has no part in any of this, and stays the way in.
//!
//! [`pace`] is how often something may happen. Who was turned away is told of in the host's log, a few lines a minute
//! at most ([`log`]), and not in the audit log: anybody who reaches the port could fill the disk with it.

mod gate;
mod log;
mod pace;
mod serve;
mod tls;
mod tokens;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::{Serving, routes};
use crate::engine::{Core, Trigger};
use crate::tell::tell;
use gate::Gate;
use log::BoundedLog;
use tls::Certificates;
pub use tokens::TokensError;

/// Where and how the admin API is served over the network: with TLS, to whoever has a token.
#[derive(Clone, Debug)]
pub struct NetworkAdmin {
    /// Where it listens. With port 0 the system chooses one:
    /// [`Engine::network_address`](crate::Engine::network_address).
    pub address: SocketAddr,
    /// The certificate, and those that it's signed with, as PEM. Looked at anew when it or the key has changed.
    pub certificate: PathBuf,
    /// The certificate's private key, as PEM. Nobody but its owner and its group may read it, and it
    /// belongs to the process's user or root.
    pub key: PathBuf,
    /// The file of tokens: one a line, `ROLE NAME SHA256`, as `liveswap token` prints it. The role is `read`, for the
    /// status and the registry alone, or `push`, for everything. `#` begins a comment. It must be its owner's alone (0600), and is read
    /// anew for each request.
    pub tokens: PathBuf,
}

/// Why the admin API can't be served over the network.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The certificate can't be used.
    #[error("can't use the certificate {path}: {problem}: expected a PEM file with the certificate of the key first", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The private key can't be used.
    #[error("can't use the private key {path}: {problem}: expected a PEM file with one private key", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Every user may get at the private key.
    #[error("every user may get at the private key {path} (found mode {mode:04o}, expected 0600 or 0640): `chmod o=` it", path = path.display())]
    OpenKey {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The private key is somebody else's.
    #[error("the private key {path} belongs to user {found}, expected user {expected} or 0: `chown` the file", path = path.display())]
    KeyOfAnother {
        /// The file.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// The user that the process runs as.
        expected: u32,
    },
    /// The tokens can't be used.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The system refuses the address.
    #[error(
        "can't serve at {address}: {source}: check the address, and whether another process has the port"
    )]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl NetworkError {
    /// A short word for programs. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "bad-certificate",
            Self::Key { .. } => "bad-key",
            Self::OpenKey { .. } => "open-key",
            Self::KeyOfAnother { .. } => "key-of-another",
            Self::Tokens(error) => error.code(),
            Self::Address { .. } => "no-address",
        }
    }
}

/// Serves the network until it is dropped.
#[derive(Debug)]
pub(crate) struct NetworkServer {
    _serving: Serving,
    address: SocketAddr,
}

impl Trigger for NetworkServer {
    fn network_address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }
}

impl NetworkServer {
    /// Serves `core`.
    pub(crate) fn start(settings: NetworkAdmin, core: Arc<Core>) -> Result<Self, NetworkError> {
        let NetworkAdmin { address, certificate, key, tokens } = settings;
        let certificates = Certificates::open(certificate, key)?;
        // What is wrong with it is told now, not to the first who asks.
        tokens::read(&tokens)?;
        let refused = |source| NetworkError::Address { address, source };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let log = Arc::new(BoundedLog::default());
        let candidate_size_max = core.candidate_size_max;
        let router = Gate::new(tokens, log.clone()).guard(routes::router(core, candidate_size_max));
        let serving = Serving::start("liveswap-network", move |ended| {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            Ok(serve::serve(listener, certificates, router, log, ended))
        });
        let serving = serving.map_err(refused)?;
        tell(|| tracing::info!(%address, "serving the admin API over the network"));
        Ok(Self { _serving: serving, address })
    }
}

/// What is counted as one address: whoever has one of IPv6's has 2^64 of them.
fn origin(address: SocketAddr) -> IpAddr {
    match address.ip().to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_one_has_together_are_one() {
        let origin = |address: &str| origin(address.parse().unwrap()).to_string();
        assert_eq!(origin("192.0.2.1:1"), "192.0.2.1");
        assert_eq!(origin("[::ffff:192.0.2.1]:2"), "192.0.2.1");
        assert_eq!(origin("[2001:db8:1:2:3:4:5:6]:3"), "2001:db8:1:2::");
    }
}
