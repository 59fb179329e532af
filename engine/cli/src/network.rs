//! Getting in over the network: a TLS connection to a host that is who it should be, and the token that it wants.
//!
//! The host is known by the certificate that `--certificate` names, or by one that is signed with it; no authority of
//! the system's is trusted by itself. A token would be sent to whoever has a certificate of any of those, and the
//! certificate of an admin port is hardly ever from one. Where it is, the system's own bundle of authorities is a file
//! too.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

use crate::failure::Failure;
use crate::place::Network;

/// The variable that may hold the token. An argument never does: every user sees those of every process.
const TOKEN: &str = "LIVESWAP_TOKEN";

/// How long connecting and the handshake may take.
const PATIENCE: Duration = Duration::from_secs(20);

impl Network {
    /// `HOST:PORT`.
    pub(crate) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// What says who asks.
    pub(crate) fn authorization(&self) -> Result<HeaderValue, Failure> {
        let token = match &self.token {
            Some(file) => fs::read_to_string(file).map_err(|error| Failure::unreadable(file, &error))?,
            None => env::var_os(TOKEN)
                .filter(|token| !token.is_empty())
                .map(OsString::into_string)
                .ok_or_else(Failure::no_token)?
                .map_err(|_| Failure::bad_token())?,
        };
        let token = token.trim();
        if token.is_empty() {
            return Err(Failure::no_token());
        }
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Failure::bad_token())?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(crate) async fn connect(&self) -> Result<TlsStream<TcpStream>, Failure> {
        let config = self.config()?;
        let name = ServerName::try_from(self.host.clone());
        let name = name.map_err(|_| Failure::bad_address(&format!("https://{}", self.authority())))?;
        let connecting = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            TlsConnector::from(Arc::new(config)).connect(name, stream).await
        };
        let connected = timeout(PATIENCE, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        connected.map_err(|error| self.not_connected(&error))
    }

    fn config(&self) -> Result<ClientConfig, Failure> {
        let file = self.certificate.as_deref().ok_or_else(Failure::no_certificate)?;
        let bad = |error: &dyn std::fmt::Display| Failure::bad_certificate(file, error);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(&error))?;
        Ok(builder.with_root_certificates(trusted(file)?).with_no_client_auth())
    }

    fn not_connected(&self, error: &io::Error) -> Failure {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(reason)) => {
                Failure::untrusted_server(&self.authority(), &explain(reason))
            }
            _ => Failure::no_server(&format!("https://{}", self.authority()), "address", error),
        }
    }
}

/// The certificates that a file has.
fn trusted(file: &Path) -> Result<RootCertStore, Failure> {
    let content = fs::read(file).map_err(|error| Failure::unreadable(file, &error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let certificates = certificates.map_err(|error| Failure::bad_certificate(file, &error))?;
    let mut roots = RootCertStore::empty();
    // A bundle may hold one that is of no use here.
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(Failure::bad_certificate(file, &"it holds no certificate that can be used"));
    }
    Ok(roots)
}

fn explain(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's own (CA:TRUE), and a server can't show that".to_owned()
        }
        _ => reason.to_string(),
    }
}
