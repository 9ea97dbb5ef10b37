//! TLS of the listeners, with certificates that are read again when their files change.

use super::web_config::{TlsFiles, Version, WebConfigError};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// How often files are looked at, while there are connections.
const LOOK: Duration = Duration::from_secs(5);

/// Accepts TLS connections. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(in crate::http) struct Tls(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    /// When each file was written.
    written: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.0.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads certificates and key.
    pub(super) fn load(files: &TlsFiles) -> Result<Self, WebConfigError> {
        let written = written(files);
        let current = Current { acceptor: acceptor(files)?, written, looked: Instant::now() };
        Ok(Self(Arc::new(Inner { files: files.clone(), current: Mutex::new(current) })))
    }

    /// What accepts the next connection. Files that changed are read first; wrong ones change nothing.
    pub(in crate::http) fn acceptor(&self) -> TlsAcceptor {
        let files = &self.0.files;
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK {
            current.looked = Instant::now();
            let written = written(files);
            if written != current.written {
                current.written = written;
                match acceptor(files) {
                    Ok(acceptor) => {
                        current.acceptor = acceptor;
                        tracing::info!("the certificate of the HTTP server was read again");
                    }
                    Err(error) => tracing::error!(%error, "the certificate that was read before stays in use"),
                }
            }
        }
        current.acceptor.clone()
    }
}

fn written(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let of = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    files.files().into_iter().map(of).collect()
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, WebConfigError> {
    let provider = Arc::new(ring::default_provider());
    let versions: Vec<_> = [(Version::Tls13, &rustls::version::TLS13), (Version::Tls12, &rustls::version::TLS12)]
        .into_iter()
        .filter(|(version, _)| (files.least..=files.greatest).contains(version))
        .map(|(_, supported)| supported)
        .collect();
    let wrong = |error: rustls::Error| problem(&files.certificate, format!("cannot be used with the key: {error}"));
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions);
    let builder = builder.map_err(wrong)?;
    let builder = match &files.clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| problem(path, format!("holds no authority: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if files.clients_optional { verifier.allow_unauthenticated() } else { verifier };
            let verifier = verifier.build().map_err(|error| problem(path, format!("holds no authority: {error}")))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
        .map_err(|error| problem(&files.key, format!("holds no private key: {error}")))?;
    let mut config = builder.with_single_cert(chain, key).map_err(wrong)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, WebConfigError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(problem(path, "holds no certificate".into())),
        Err(error) => Err(problem(path, format!("holds no certificate: {error}"))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, WebConfigError> {
    std::fs::read(path).map_err(|source| WebConfigError::Unreadable { path: path.into(), source })
}

fn problem(path: &Path, message: String) -> WebConfigError {
    WebConfigError::Certificate { path: path.into(), message }
}
