//! Where the engine is: behind a socket on this machine, or behind a port that speaks TLS.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use hyper::Uri;

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
    let address: Uri = address.parse().ok()?;
    let is_plain = matches!(address.path_and_query().map_or("/", |path| path.as_str()), "/" | "")
        && !address.authority()?.as_str().contains('@');
    if address.scheme_str() != Some("https") || !is_plain {
        return None;
    }
    // Of an IPv6 address, what is between the brackets.
    let host = address.host()?.trim_start_matches('[').trim_end_matches(']');
    let port =
        if address.authority()?.as_str().ends_with(':') { None } else { address.port_u16().or(Some(HTTPS)) };
    Some((host.to_owned(), port?)).filter(|(host, _)| !host.is_empty())
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
