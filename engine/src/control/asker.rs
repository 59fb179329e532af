//! Who asks for something, and over which road: what is demanded of a push, and what is written down of it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The host's own program.
    Host,
    /// Whoever put a file into a watched folder.
    Folder(PathBuf),
    /// Another process on this machine, over the admin socket.
    #[cfg_attr(not(feature = "admin"), expect(dead_code, reason = "only the admin server knows of one"))]
    Socket {
        /// The user that it runs as.
        user: u32,
        /// The process, if the kernel knows it.
        process: Option<i32>,
    },
    /// Whoever has shown a token to the admin API over the network.
    #[cfg_attr(
        not(any(feature = "network", test)),
        expect(dead_code, reason = "only the network's server knows of one")
    )]
    Network {
        /// The token's name.
        token: String,
        /// Where the connection comes from.
        address: SocketAddr,
    },
}

impl fmt::Display for Asker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => formatter.write_str("the host"),
            Self::Folder(folder) => write!(formatter, "the folder {}", folder.display()),
            Self::Socket { user, process: Some(process) } => {
                write!(formatter, "process {process} of user {user}, over the socket")
            }
            Self::Socket { user, process: None } => write!(formatter, "user {user}, over the socket"),
            Self::Network { token, address } => write!(formatter, "token {token}, from {address}"),
        }
    }
}
