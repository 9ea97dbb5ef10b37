//! What is trusted, and what went wrong in a handshake.

use super::failure::Failure;
use crate::notify::Reason;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why there is nothing to trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// No PEM file, or one with something else in it.
    #[error("cannot read certificates from `{}`: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// A file without a certificate that can be used.
    #[error("there is no CA certificate in `{}`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// This machine trusts nobody.
    #[error("this machine has no CA certificates")]
    NoNative,
    /// The library has no protocol version in common with itself.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

impl TlsError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoNative => Some("install the package `ca-certificates`, or name a file in `ca_file`"),
            _ => None,
        }
    }
}

/// The certificates that a server's has to come from.
#[derive(Clone)]
pub struct Roots(Option<Arc<ClientConfig>>);

impl Roots {
    /// For receivers without TLS.
    pub fn none() -> Self {
        Self(None)
    }

    /// Those in a PEM file, and no others.
    ///
    /// # Errors
    /// It cannot be read, or has none.
    pub fn from_file(path: &Path) -> Result<Self, TlsError> {
        let failed =
            |error: rustls::pki_types::pem::Error| TlsError::File { path: path.into(), error: error.to_string() };
        let certificates = CertificateDer::pem_file_iter(path).map_err(failed)?;
        let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        Self::of(certificates)?.ok_or_else(|| TlsError::Empty { path: path.into() })
    }

    /// The same for a protocol that is agreed on in the handshake (ALPN).
    #[must_use]
    pub(crate) fn speaking(&self, protocol: &[u8]) -> Self {
        let with_protocol = |config: &Arc<ClientConfig>| {
            let mut config = ClientConfig::clone(config);
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Self(self.0.as_ref().map(with_protocol))
    }

    /// Those that this machine trusts.
    ///
    /// # Errors
    /// There are none.
    pub fn native() -> Result<Self, TlsError> {
        Self::of(rustls_native_certs::load_native_certs().certs)?.ok_or(TlsError::NoNative)
    }

    fn of(certificates: Vec<CertificateDer<'static>>) -> Result<Option<Self>, TlsError> {
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(certificates);
        if usable == 0 {
            return Ok(None);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| TlsError::Setup(error.to_string()))?;
        Ok(Some(Self(Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))))
    }

    /// Secures a connection to `host`.
    pub(super) async fn handshake(&self, host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        let nothing_trusted = || Failure::new(Reason::Tls, "no certificates are trusted");
        let config = self.0.clone().ok_or_else(nothing_trusted)?;
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| Failure::refused("the host is no name for TLS"))?;
        TlsConnector::from(config).connect(name, tcp).await.map_err(|error| failed(&error))
    }
}

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Roots")
    }
}

/// Says what is wrong without the texts of the other side's certificate.
fn failed(error: &io::Error) -> Failure {
    let cause = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    let what = match cause {
        Some(rustls::Error::InvalidCertificate(certificate)) => about(certificate),
        Some(rustls::Error::InvalidMessage(_)) => "the answer is no TLS",
        Some(rustls::Error::AlertReceived(_)) => "the other side refused the TLS handshake",
        _ => "the TLS handshake failed",
    };
    Failure::new(Reason::Tls, what)
}

fn about(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name"
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the certificate comes from nobody who is trusted"
        }
        CertificateError::Revoked => "the certificate was revoked",
        _ => "the certificate is not valid",
    }
}
