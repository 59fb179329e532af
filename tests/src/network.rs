//! The admin API over the network: what a host needs to serve it, and a client that asks.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use liveswap::{Builder, NetworkAdmin, Rehearsal};
pub use rcgen::{BasicConstraints, IsCa};
use rcgen::{CertificateParams, KeyPair};
use rustix::net::{AddressFamily, SocketType};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::demo;
use crate::signing::{Signer, set_mode};

/// A token that may push.
pub const PUSH: &str = "a token that may push";
/// A token that may look.
pub const READ: &str = "a token that may look";

/// How long an answer may take. Only a fault needs that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The files that a host needs to serve the network, for `localhost` and 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The tokens: [`PUSH`] is called `ci`, [`READ`] is called `board`.
    pub tokens: PathBuf,
    /// The folder with the key of whoever signs.
    pub keys: PathBuf,
    /// Whoever signs what comes over the network.
    pub signer: Arc<Signer>,
}

impl Entrance {
    /// Makes them in a folder.
    pub fn new(folder: &Path) -> Self {
        let of = |name: &str| folder.join(name);
        let made = Self {
            certificate: of("certificate.pem"),
            key: of("key.pem"),
            tokens: of("tokens"),
            keys: of("keys"),
            signer: Arc::new(Signer::new()),
        };
        fs::create_dir(&made.keys).expect("the folder is new");
        set_mode(&made.keys, 0o700);
        made.signer.trust(&made.keys);
        made.renew();
        made.write_tokens(&[line("push", "ci", PUSH), line("read", "board", READ)]);
        made
    }

    /// Makes another certificate, and a key for it.
    pub fn renew(&self) {
        self.renew_as(&["localhost", "127.0.0.1"], IsCa::NoCa);
    }

    /// Makes another certificate, for these names.
    pub fn renew_as(&self, names: &[&str], is_authority: IsCa) {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().expect("a key can be made");
        let mut parameters = CertificateParams::new(names).expect("these are names");
        parameters.is_ca = is_authority;
        let certificate = parameters.self_signed(&key).expect("a certificate can be signed");
        write(&self.key, &key.serialize_pem());
        write(&self.certificate, &certificate.pem());
    }

    /// Writes the file of tokens anew.
    pub fn write_tokens(&self, lines: &[String]) {
        write(&self.tokens, &lines.join("\n"));
    }

    /// Sets who may get at the file of tokens.
    pub fn set_mode_of_tokens(&self, mode: u32) {
        fs::set_permissions(&self.tokens, Permissions::from_mode(mode)).expect("it is there");
    }

    /// Has a host serve there, trust whoever signs, and rehearse what comes that way.
    pub fn open(&self, builder: Builder) -> Builder {
        let rehearsal = Rehearsal::new().program(demo::command());
        builder.trusted_keys(&self.keys).rehearse(rehearsal).admin_over_network(self.settings())
    }

    /// What the host is given: a port of the system's choice.
    pub fn settings(&self) -> NetworkAdmin {
        let Self { certificate, key, tokens, .. } = self.clone();
        NetworkAdmin { address: (Ipv4Addr::LOCALHOST, 0).into(), certificate, key, tokens }
    }

    /// A client of the host that serves there, from 127.0.0.1.
    pub fn client(&self, server: SocketAddr) -> Client {
        let certificate = CertificateDer::from_pem_file(&self.certificate).expect("it was written");
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("it can be trusted");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let signer = Some(self.signer.clone());
        Client { server, from: Ipv4Addr::LOCALHOST, config: Arc::new(config), signer }
    }
}

/// A line of the file of tokens.
pub fn line(role: &str, name: &str, token: &str) -> String {
    format!("{role} {name} {:x}", Sha256::digest(token))
}

fn write(path: &Path, text: &str) {
    // A new file each time, as whoever renews one would do it.
    let fresh = path.with_extension("fresh");
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&fresh);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("the folder can be written");
    fs::rename(fresh, path).expect("the folder can be written");
}

/// Whoever asks, and from where.
#[derive(Clone, Debug)]
pub struct Client {
    server: SocketAddr,
    from: Ipv4Addr,
    config: Arc<ClientConfig>,
    signer: Option<Arc<Signer>>,
}

/// A connection that has shaken hands.
pub type Connection = StreamOwned<ClientConnection, TcpStream>;

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head's lines, in small letters.
    pub head: String,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// The status, and the code of what was refused.
    #[track_caller]
    pub fn code(&self) -> (u16, &str) {
        assert!(self.body["message"].is_string(), "{self:?}");
        (self.status, self.body["code"].as_str().expect("what is refused has a code"))
    }

    /// The value of a line of the head.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Client {
    /// The same from another address of this machine.
    pub fn from(mut self, address: [u8; 4]) -> Self {
        self.from = address.into();
        self
    }

    /// The same, and what it pushes isn't signed.
    pub fn unsigned(self) -> Self {
        Self { signer: None, ..self }
    }

    /// A connection on which nothing was said yet.
    pub fn connect(&self) -> TcpStream {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
        let socket = socket.expect("a socket can be made");
        rustix::net::bind(&socket, &SocketAddrV4::new(self.from, 0)).expect("the loopback has it");
        rustix::net::connect(&socket, &self.server).expect("the port is open");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        stream
    }

    /// A connection that has shaken hands.
    ///
    /// # Errors
    ///
    /// If the server doesn't want to, or isn't who it should be.
    pub fn shake_hands(&self) -> io::Result<Connection> {
        let name = ServerName::try_from("localhost").expect("it is a name");
        let session = ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        let mut connection = StreamOwned::new(session, self.connect());
        while connection.conn.is_handshaking() {
            connection.conn.complete_io(&mut connection.sock)?;
        }
        Ok(connection)
    }

    /// Asks, with a token if there is one. What is pushed is signed.
    #[track_caller]
    pub fn ask(&self, token: Option<&str>, method: &str, target: &str, body: &[u8]) -> Answer {
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let signer = self.signer.as_ref().filter(|_| target.starts_with("/push"));
        let signature = signer.map(|signer| STANDARD.encode(signer.sign(body)));
        let signature = signature.map(|it| format!("liveswap-signature: {it}\r\n")).unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\n{token}{signature}content-length: {length}\r\n\r\n"
        );
        self.send(&[head.as_bytes(), body].concat()).expect("there is an answer")
    }

    /// Sends bytes as they are, and reads what is answered.
    ///
    /// # Errors
    ///
    /// If there is no answer, or not an HTTP one.
    pub fn send(&self, request: &[u8]) -> io::Result<Answer> {
        let mut connection = self.shake_hands()?;
        connection.write_all(request)?;
        connection.flush()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let body = serde_json::from_str(body).unwrap_or_default();
        Ok(Answer { status, head: head.to_ascii_lowercase(), body })
    }
}
