//! HTTP/1.1 as far as the demo speaks it: one request after the other over one connection.

use std::fmt::{self, Debug, Formatter};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take. Only a fault needs that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is kept from one request to the next.
pub struct Connection {
    stream: BufReader<Box<dyn Stream>>,
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body of an answer that says all is well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }
}

impl Debug for Connection {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// To the server itself.
    pub(super) fn to_port(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        stream.set_nodelay(true).expect("a socket can send at once");
        Self { stream: BufReader::new(Box::new(stream)) }
    }

    /// To the engine inside it.
    pub(super) fn to_socket(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the engine takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        Self { stream: BufReader::new(Box::new(stream)) }
    }

    /// Asks without a body.
    pub fn get(&mut self, target: &str) -> Answer {
        self.request("GET", target, b"")
    }

    /// Sends a body.
    pub fn post(&mut self, target: &str, body: &[u8]) -> Answer {
        self.request("POST", target, body)
    }

    #[track_caller]
    fn request(&mut self, method: &str, target: &str, body: &[u8]) -> Answer {
        self.exchange(method, target, body).unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    fn exchange(&mut self, method: &str, target: &str, body: &[u8]) -> io::Result<Answer> {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(&[head.as_bytes(), body].concat())?;
        stream.flush()?;

        let wrong = |line: &str| io::Error::other(format!("unexpected answer: {line:?}"));
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| wrong(&line))?;
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
        let mut body = vec![0; length.ok_or_else(|| wrong("no length"))?];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body: String::from_utf8(body).map_err(io::Error::other)? })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
