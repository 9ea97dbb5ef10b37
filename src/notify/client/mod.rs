//! One request to one receiver: what leaves, what may come back, and how long it may take.
//!
//! A receiver cannot steer this client. Redirects are not followed, nothing of an answer is used but its status and
//! `Retry-After`, and bodies are neither decompressed nor kept. A name that resolves to this machine or to a link-local
//! address (where clouds keep their metadata) is refused unless the configuration allows it. The environment's proxies
//! are not used; a proxy is used when it is configured. What is said of a failure names host and port and nothing else
//! of the URL.

mod address;
mod connect;
mod exchange;
mod failure;
mod limited;
mod retry;
mod tls;
mod url;

pub use address::{Lookup, resolver};
pub(crate) use connect::dial;
pub(crate) use limited::{Budget, Limited};
pub(crate) use retry::after as retry_after;
pub use tls::{Roots, TlsError};
pub use url::{Url, UrlError};

use super::{Outcome, Reason};
use exchange::{Answer, Kept};
use failure::Failure;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Uri, Version};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How a receiver is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest an attempt may take, from looking up the name to the end of the answer.
    pub timeout: Duration,
    /// Certificates in PEM to trust in place of this machine's own.
    pub ca_file: Option<std::path::PathBuf>,
    /// The HTTP proxy to go through; `https` by CONNECT. It looks the receiver's name up, and decides where it leads.
    pub proxy: Option<Url>,
    /// A name may resolve to loopback and link-local addresses. Addresses that are written out always may.
    pub allow_local: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), ca_file: None, proxy: None, allow_local: false }
    }
}

/// Sends requests to one origin, one at a time.
///
/// A connection is kept for the next request for at most [`Client::IDLE`] and [`Client::USES`] requests; the end of the
/// attempt ends one that is in use.
pub struct Client {
    config: Config,
    roots: Roots,
    lookup: Lookup,
    kept: Mutex<Option<Kept>>,
}

impl Client {
    /// How long an idle connection is kept: less than servers and middle boxes usually do.
    pub const IDLE: Duration = Duration::from_secs(10);
    /// Requests over one connection, so that a change of address is noticed.
    pub const USES: u32 = 100;
    /// Bytes of an answer that are read: interim answers, head and body together.
    pub const MAX_ANSWER: usize = 64 << 10;
    /// Headers of an answer.
    pub const MAX_HEADERS: usize = 128;

    /// A client that trusts `roots` and asks `lookup` for addresses.
    pub fn new(config: Config, roots: Roots, lookup: Lookup) -> Self {
        Self { config, roots, lookup, kept: Mutex::new(None) }
    }

    /// Posts a JSON document and judges the answer by its status.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Outcome {
        let started = Instant::now();
        let late =
            || Failure::new(Reason::Timeout, format!("no answer within {} s", self.config.timeout.as_secs_f64()));
        let attempt = tokio::time::timeout(self.config.timeout, self.exchange(url, headers, body)).await;
        match attempt.unwrap_or_else(|_| Err(late())) {
            Ok((connection, answer)) => {
                let outcome = failure::judge(url, answer.status, answer.retry_after);
                let time = self.config.timeout.saturating_sub(started.elapsed());
                self.keep(connection, answer, time).await;
                outcome
            }
            Err(failure) => failure.outcome(url),
        }
    }

    async fn exchange(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<(Kept, Answer), Failure> {
        let request = self.request(url, headers, body)?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut connection = match kept.filter(|kept| kept.serves(url)) {
            Some(kept) => kept,
            None => connect::open(url, &self.config, &self.roots, &self.lookup).await?,
        };
        let answer = connection.exchange(request).await?;
        Ok((connection, answer))
    }

    /// Keeps a connection for the next request, if the rest of the answer comes soon.
    async fn keep(&self, connection: Kept, answer: Answer, time: Duration) {
        if answer.drained(time).await && connection.may_be_kept() {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        }
    }

    fn request(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        // Only a plain request through a proxy has the whole URL in its first line.
        let absolute = self.config.proxy.is_some() && !url.is_https();
        let target: Uri = if absolute { url.to_uri() } else { url.expose().parse() }
            .map_err(|_| Failure::refused("the URL cannot be sent"))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers;
        let host =
            HeaderValue::from_str(&url.authority()).map_err(|_| Failure::refused("the URL's host cannot be sent"))?;
        let json = HeaderValue::from_static("application/json");
        let agent = HeaderValue::from_static(concat!("netmon/", env!("CARGO_PKG_VERSION")));
        for (name, value) in [(header::HOST, host), (header::CONTENT_TYPE, json), (header::USER_AGENT, agent)] {
            request.headers_mut().entry(name).or_insert(value);
        }
        Ok(request)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Clients that share what they trust and how they look names up.
#[derive(Clone, Debug)]
pub struct Factory {
    native: Arc<std::sync::OnceLock<Result<Roots, TlsError>>>,
    lookup: LookupOf,
}

#[derive(Clone)]
struct LookupOf(Lookup);

impl std::fmt::Debug for LookupOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lookup")
    }
}

impl Factory {
    /// One that looks names up with `lookup`; [`resolver`] asks the system.
    pub fn new(lookup: Lookup) -> Self {
        Self { native: Arc::default(), lookup: LookupOf(lookup) }
    }

    /// A client; reads the CA file, or once for all clients what this machine trusts, if TLS needs it.
    ///
    /// # Errors
    /// There are no certificates to trust.
    pub fn client(&self, config: &Config, https: bool) -> Result<Client, TlsError> {
        let roots = match &config.ca_file {
            Some(file) => Roots::from_file(file)?,
            None if https => self.native.get_or_init(Roots::native).clone()?,
            None => Roots::none(),
        };
        Ok(Client::new(config.clone(), roots, self.lookup.0.clone()))
    }
}

impl Default for Factory {
    fn default() -> Self {
        Self::new(resolver())
    }
}
