//! Asking and telling a running daemon over HTTP.

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How the place of a daemon is written.
const FORMS: &str = "http://HOST:PORT, https://HOST:PORT or unix:/PATH";
/// The largest answer that is read.
const LARGEST: usize = 256 << 20;

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// The body.
    pub(super) body: Bytes,
}

/// What is asked of a daemon.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// GET, POST, ...
    pub(super) method: Method,
    /// May have a query.
    pub(super) path: &'a str,
    /// A document to be sent.
    pub(super) body: Option<&'a Value>,
    /// A file with the token that the daemon wants.
    pub(super) token_file: Option<&'a Path>,
}

impl<'a> Asked<'a> {
    /// A page.
    pub(super) fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None, token_file: None }
    }

    fn request(&self, uri: Uri) -> anyhow::Result<Request<Full<Bytes>>> {
        let body = self.body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder().method(&self.method).uri(uri).header(CONTENT_TYPE, "application/json");
        let mut request = request.body(Full::from(body))?;
        if let Some(file) = self.token_file {
            request.headers_mut().insert(AUTHORIZATION, token(file)?);
        }
        Ok(request)
    }
}

fn token(file: &Path) -> anyhow::Result<HeaderValue> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
        .with_context(|| format!("`{}` holds no token", file.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads where a daemon is: `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`. For clap.
///
/// # Errors
/// It is none of these.
pub(super) fn address(text: &str) -> Result<String, String> {
    let is_good = match text.strip_prefix("unix:") {
        Some(path) => path.starts_with('/'),
        None => text.parse::<Uri>().is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https"))),
    };
    if is_good { Ok(text.to_owned()) } else { Err(format!("expected {FORMS}")) }
}

/// Asks a daemon at `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`, once.
///
/// # Errors
/// It cannot be reached, or does not answer in time or in full.
pub(super) fn ask(daemon: &str, asked: &Asked<'_>) -> anyhow::Result<Answer> {
    Asker::new(daemon, PATIENCE)?.ask(asked)
}

/// Asks one daemon over and over. A connection stays open from one question to the next.
#[derive(Debug)]
pub(super) struct Asker {
    daemon: String,
    patience: Duration,
    runtime: Runtime,
    /// `None` for a unix socket.
    http: Option<Http>,
}

impl Asker {
    /// For a daemon, as [`ask`] takes it, that has `patience` for every answer.
    ///
    /// # Errors
    /// The system refuses what waiting takes, or its certificates cannot be read.
    pub(super) fn new(daemon: &str, patience: Duration) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let http = (!daemon.starts_with("unix:")).then(|| http(daemon)).transpose();
        let http = http.with_context(|| format!("cannot ask the daemon at {daemon}"))?;
        Ok(Self { daemon: daemon.to_owned(), patience, runtime, http })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// It cannot be reached, or does not answer in time or in full.
    pub(super) fn ask(&self, asked: &Asked<'_>) -> anyhow::Result<Answer> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(self.patience, self.exchange(asked)).await });
        let answer = answer.with_context(|| format!("no answer within {} s", self.patience.as_secs()));
        answer.and_then(|answer| answer).with_context(|| format!("cannot ask the daemon at {}", self.daemon))
    }

    async fn exchange(&self, asked: &Asked<'_>) -> anyhow::Result<Answer> {
        let response = match &self.http {
            Some(http) => self.over_tcp(http, asked).await?,
            None => over_socket(self.daemon.trim_start_matches("unix:"), asked).await?,
        };
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer is cut short or too large: {error}"))?;
        Ok(Answer { status, body: body.to_bytes() })
    }

    async fn over_tcp(&self, http: &Http, asked: &Asked<'_>) -> anyhow::Result<Response<Incoming>> {
        let uri: Uri = format!("{}{}", self.daemon.trim_end_matches('/'), asked.path).parse()?;
        http.request(asked.request(uri)?).await.map_err(|error| causes(&error))
    }
}

fn http(daemon: &str) -> anyhow::Result<Http> {
    let uri: Uri = daemon.parse()?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        bail!("expected {FORMS}");
    }
    let (provider, builder) = (rustls::crypto::ring::default_provider(), HttpsConnectorBuilder::new());
    let https = match uri.scheme_str() {
        Some("https") => builder.with_provider_and_native_roots(provider)?,
        // No certificate is looked at, and small systems and containers have none.
        _ => builder.with_tls_config(trusting_nobody(provider)?),
    };
    Ok(Client::builder(TokioExecutor::new()).build(https.https_or_http().enable_http1().build()))
}

fn trusting_nobody(provider: CryptoProvider) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// The library says only "client error"; why is behind it.
fn causes(error: &dyn std::error::Error) -> anyhow::Error {
    let last = std::iter::successors(Some(error), |error| error.source()).last();
    anyhow::anyhow!("{}", last.unwrap_or(error))
}

#[cfg(unix)]
async fn over_socket(socket: &str, asked: &Asked<'_>) -> anyhow::Result<Response<Incoming>> {
    use hyper::header::HOST;
    use hyper_util::rt::TokioIo;
    let stream = tokio::net::UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = asked.request(asked.path.parse()?)?;
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    Ok(sender.send_request(request).await?)
}

#[cfg(not(unix))]
async fn over_socket(_: &str, _: &Asked<'_>) -> anyhow::Result<Response<Incoming>> {
    bail!("there are no unix sockets on this system")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_at_a_url_or_a_socket_with_a_whole_path() {
        for good in ["http://127.0.0.1:8080", "https://monitor.example", "unix:/run/netmon.sock", "http://[::1]:8080/"]
        {
            assert_eq!(address(good).as_deref(), Ok(good));
        }
        for bad in ["", "127.0.0.1:8080", "ftp://monitor.example", "unix:netmon.sock", "http://", "/run/netmon.sock"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
