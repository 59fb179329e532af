//! Where the engine is: behind a socket on this machine, or behind a port that speaks TLS.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The port, unless the address says another.
const HTTPS: u16 = 443;

/// Where requests go.
pub(crate) enum Place {
    Socket(PathBuf),
    Network(Network),
}

/// A port, and what is needed to be let in there. The files are read when they are needed.
pub(crate) struct Network {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The file with the token; without one the environment has it.
    pub(crate) token: Option<PathBuf>,
    /// What the host is known by.
    pub(crate) certificate: Option<PathBuf>,
}

impl Place {
    /// A path is a socket's; `https://HOST:PORT` is a port.
    pub(crate) fn new(
        admin: &OsStr,
        token: Option<&Path>,
        certificate: Option<&Path>,
    ) -> Result<Self, Failure> {
        let Some(address) = admin.to_str().filter(|address| address.contains("://")) else {
            return Ok(Self::Socket(admin.into()));
        };
        let (host, port) = parse(address).ok_or_else(|| Failure::bad_address(address))?;
        let (token, certificate) = (token.map(Path::to_owned), certificate.map(Path::to_owned));
        Ok(Self::Network(Network { host, port, token, certificate }))
    }
}

fn parse(address: &str) -> Option<(String, u16)> {
    let place = address.strip_prefix("https://")?;
    let place = place.strip_suffix('/').unwrap_or(place);
    // The brackets keep an IPv6 address and its port apart.
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let port = if port.is_empty() { HTTPS } else { port.strip_prefix(':')?.parse().ok()? };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':');
    (!host.is_empty() && host.chars().all(is_plain)).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_else() {
        let parsed = |address| parse(address).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(parsed("https://game.example:7443").as_deref(), Some("game.example 7443"));
        assert_eq!(parsed("https://game.example/").as_deref(), Some("game.example 443"));
        assert_eq!(parsed("https://[::1]:7443").as_deref(), Some("::1 7443"));
        for wrong in [
            "http://game.example:7443",
            "https://",
            "https://:7443",
            "https://::1:7443",
            "https://[::1",
            "https://game example",
            "https://game.example:x",
            "https://game.example:",
            "https://game.example:99999",
            "https://user:secret@game.example",
            "https://game.example/push",
            "https://game.example?x",
            "ftp://game.example",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_path_is_a_sockets() {
        let place = Place::new(OsStr::new("folder:/admin.sock"), None, None).ok().unwrap();
        assert!(matches!(place, Place::Socket(path) if path == Path::new("folder:/admin.sock")));
    }
}
