//! The certificate and its key.
//!
//! Certificates end, and a host whose logic is upgraded while it runs mustn't have to be started again for a new one.
//! So the files are looked at before each handshake, and read when they have changed. A pair that can't be used, such
//! as a new certificate whose key isn't there yet, is told of in the log, and the earlier pair goes on serving.

use std::fs::{self, File, Metadata};
use std::io::{BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::NetworkError;
use crate::candidate::accept;
use crate::tell::tell;

/// The most bytes that either file may have.
const FILE_MAX: u64 = 1024 * 1024;

pub(super) struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    seen: [Option<Look>; 2],
    acceptor: TlsAcceptor,
}

/// What tells that a file has changed: its inode, its length, and when it was written, with the nanoseconds.
type Look = (u64, u64, i64, i64);

impl Certificates {
    pub(super) fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, NetworkError> {
        let seen = [look(&certificate), look(&key)];
        let acceptor = load(&certificate, &key)?;
        Ok(Self { certificate, key, seen, acceptor })
    }

    /// What makes the next handshake, with the pair that is there now.
    pub(super) fn acceptor(&mut self) -> TlsAcceptor {
        let seen = [look(&self.certificate), look(&self.key)];
        if seen != self.seen {
            // Before they are read: what changes meanwhile is seen the next time.
            self.seen = seen;
            match load(&self.certificate, &self.key) {
                Ok(acceptor) => {
                    self.acceptor = acceptor;
                    tell(|| tracing::info!("the admin API has a new certificate"));
                }
                Err(error) => {
                    let code = error.code();
                    tell(|| tracing::error!(code, "the admin API keeps its earlier certificate: {error}"));
                }
            }
        }
        self.acceptor.clone()
    }
}

fn look(path: &Path) -> Option<Look> {
    let look = |found: Metadata| (found.ino(), found.len(), found.mtime(), found.mtime_nsec());
    fs::metadata(path).ok().map(look)
}

fn load(certificate: &Path, key: &Path) -> Result<TlsAcceptor, NetworkError> {
    let bad_certificate =
        |problem: String| NetworkError::Certificate { path: certificate.to_owned(), problem };
    let opened = open(certificate).map_err(|error| bad_certificate(error.to_string()))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(opened).collect();
    let chain = chain.map_err(|error| bad_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(bad_certificate("it holds no certificate".to_owned()));
    }
    let key = read_key(key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad_certificate(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.map_err(|error| bad_certificate(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, NetworkError> {
    let bad = |problem: String| NetworkError::Key { path: path.to_owned(), problem };
    let file = accept::open(path).map_err(|error| bad(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| bad(error.to_string()))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(NetworkError::OpenKey { path: path.to_owned(), mode });
    }
    let (found, expected) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if found != expected && found != 0 {
        return Err(NetworkError::KeyOfAnother { path: path.to_owned(), found, expected });
    }
    PrivateKeyDer::from_pem_reader(BufReader::new(file.take(FILE_MAX)))
        .map_err(|error| bad(error.to_string()))
}

fn open(path: &Path) -> std::io::Result<BufReader<std::io::Take<File>>> {
    Ok(BufReader::new(accept::open(path)?.take(FILE_MAX)))
}
