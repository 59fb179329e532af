//! Asking the engine: one HTTP request over its admin socket, or over the network.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use crate::body;
use crate::failure::Failure;
use crate::place::Place;

/// What a push is allowed.
#[derive(Clone, Copy)]
pub(crate) struct Allowed {
    /// A version that is older than the active one.
    pub(crate) older: bool,
    /// An upgrade of the state without a way back.
    pub(crate) one_way: bool,
    /// A hand-over against the veto of the version that serves.
    pub(crate) forced: bool,
    /// Whether it's rehearsed; none leaves that to the host.
    pub(crate) rehearsal: Option<bool>,
}

impl Allowed {
    /// As a part of a request's target.
    fn query(self) -> String {
        let Self { older, one_way, forced, rehearsal } = self;
        let rehearse = rehearsal.map_or_else(String::new, |is_wanted| format!("&rehearse={is_wanted}"));
        let force = if forced { "&force=true" } else { "" };
        format!("allow_older={older}&allow_one_way={one_way}{rehearse}{force}")
    }
}

/// The content of a candidate's file.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::unreadable(file, &error);
    // Reading a pipe or a device might never end.
    if !fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(Failure::not_a_file(file));
    }
    fs::read(file).map_err(unreadable)
}

/// The admin API at a place. Each method connects anew.
pub(crate) struct Client<'place> {
    place: &'place Place,
}

impl<'place> Client<'place> {
    pub(crate) fn new(place: &'place Place) -> Self {
        Self { place }
    }

    /// The status, as the engine wrote it.
    pub(crate) fn status(&self) -> Result<String, Failure> {
        self.ask(Method::GET, "/status", None, Vec::new())
    }

    /// The registry, as the engine wrote it.
    pub(crate) fn registry(&self) -> Result<String, Failure> {
        self.ask(Method::GET, "/registry", None, Vec::new())
    }

    /// Sends a candidate's bytes, because the host may see another file system, and the content of its signature.
    pub(crate) fn push<T: DeserializeOwned>(
        &self,
        file: &Path,
        signature: Option<&str>,
        allowed: Allowed,
    ) -> Result<T, Failure> {
        let content = read(file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
        let target = format!("/push?name={name}&{}", allowed.query());
        parse(&self.ask(Method::POST, &target, signature, content)?)
    }

    /// Sends candidates for a set, each with the content of its signature.
    pub(crate) fn push_set<T: DeserializeOwned>(
        &self,
        set: &str,
        files: &[(&Path, Option<String>)],
        allowed: Allowed,
    ) -> Result<T, Failure> {
        let (mut candidates, mut contents) = (Vec::new(), Vec::new());
        for (file, signature) in files {
            let content = read(file)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            candidates
                .push(serde_json::json!({ "name": name, "bytes": content.len(), "signature": signature }));
            contents.extend(content);
        }
        let mut body = serde_json::json!({ "candidates": candidates }).to_string().into_bytes();
        body.push(b'\n');
        body.extend(contents);
        let set = utf8_percent_encode(set, NON_ALPHANUMERIC);
        parse(&self.ask(Method::POST, &format!("/push/{set}?{}", allowed.query()), None, body)?)
    }

    /// `rollback`, `commit`, `snapshot`, `restore` or `trust`.
    pub(crate) fn command<T: DeserializeOwned>(&self, command: &str, module: &str) -> Result<T, Failure> {
        let module = utf8_percent_encode(module, NON_ALPHANUMERIC);
        parse(&self.ask(Method::POST, &format!("/{command}/{module}"), None, Vec::new())?)
    }

    fn ask(
        &self,
        method: Method,
        target: &str,
        signature: Option<&str>,
        body: Vec<u8>,
    ) -> Result<String, Failure> {
        let mut request = Request::builder().method(method).uri(target);
        if let Some(signature) = signature {
            request = request.header("liveswap-signature", STANDARD.encode(signature));
        }
        let request = request.body(()).expect("the target is percent-encoded, and the signature in Base64");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(Failure::system)?.block_on(self.exchange(request, body))
    }

    async fn exchange(&self, mut request: Request<()>, body: Vec<u8>) -> Result<String, Failure> {
        match self.place {
            Place::Socket(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| Failure::no_server(&path.display(), "path", &error))?;
                request.headers_mut().insert(HOST, HeaderValue::from_static("liveswap"));
                over(stream, body::attach(request, body)).await
            }
            Place::Network(network) => {
                let host = HeaderValue::try_from(network.authority()).expect("it was part of an address");
                request.headers_mut().insert(HOST, host);
                request.headers_mut().insert(AUTHORIZATION, network.authorization()?);
                over(network.connect().await?, body::attach(request, body)).await
            }
        }
    }
}

/// Sends a request over a connection, and reads what is answered.
async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<body::Awaited>,
) -> Result<String, Failure> {
    let no_answer = |error: hyper::Error| Failure::no_answer(&error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
    // It carries the bytes; what goes wrong with it, the request hears too.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(no_answer)?;
    let done = response.status().is_success();
    let answer = response.into_body().collect().await.map_err(no_answer)?.to_bytes();
    let answer = String::from_utf8(answer.into()).map_err(|error| Failure::bad_answer(&error))?;
    if done { Ok(answer) } else { Err(parse(&answer)?) }
}

/// Reads an answer of the engine's.
pub(crate) fn parse<T: DeserializeOwned>(answer: &str) -> Result<T, Failure> {
    serde_json::from_str(answer).map_err(|error| Failure::bad_answer(&error))
}
