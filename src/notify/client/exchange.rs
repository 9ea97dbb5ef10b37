//! A connection, and one request and answer over it.

use super::failure::Failure;
use super::limited::{Budget, Limited};
use super::url::Url;
use super::{Client, Reason, retry};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// An open connection; closed when it is dropped, in the middle of a request too.
pub(super) struct Kept {
    url: Url,
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    budget: Budget,
    used: u32,
    last_used: Instant,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    body: Incoming,
}

impl Answer {
    /// Reads and forgets the body. Whether it ended, so that the connection is at the start of the next answer.
    ///
    /// The status is all that counts. What follows is read so that the other side is not cut off and the connection can
    /// be used again; a body that does not end costs no more than [`DRAIN`], `time` and [`Client::MAX_ANSWER`].
    pub(super) async fn drained(self, time: Duration) -> bool {
        tokio::time::timeout(time.min(DRAIN), drain(self.body)).await.unwrap_or(false)
    }
}

impl Kept {
    pub(super) async fn new<S>(url: &Url, stream: S) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.max_headers(Client::MAX_HEADERS).max_buf_size(Client::MAX_ANSWER);
        let budget = Budget::default();
        budget.set(Client::MAX_ANSWER);
        let stream = Limited { stream, budget: budget.clone() };
        let connection = builder.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = connection.map_err(|error| broken(&error))?;
        let driver = tokio::spawn(async {
            // The request's own future says what went wrong.
            let _ = connection.await;
        });
        Ok(Self { url: url.clone(), sender, driver, budget, used: 0, last_used: Instant::now() })
    }

    /// Whether the next request to `url` may use it.
    pub(super) fn serves(&self, url: &Url) -> bool {
        self.url.same_origin(url) && self.last_used.elapsed() < Client::IDLE && self.sender.is_ready()
    }

    pub(super) fn may_be_kept(&self) -> bool {
        self.used < Client::USES && !self.sender.is_closed()
    }

    pub(super) async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        self.budget.set(Client::MAX_ANSWER);
        let response = self.sender.send_request(request).await.map_err(|error| broken(&error))?;
        (self.used, self.last_used) = (self.used + 1, Instant::now());
        let retry_after = retry::after(response.headers(), wall_clock());
        Ok(Answer { status: response.status(), retry_after, body: response.into_body() })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn drain(mut body: Incoming) -> bool {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

fn broken(error: &hyper::Error) -> Failure {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    if error.is_parse_too_large() || source.is_some_and(Budget::is_spent) {
        Failure::new(Reason::Http5xx, "the answer is too large")
    } else if error.is_parse() {
        Failure::new(Reason::Http5xx, "the answer is no HTTP")
    } else if error.is_user() {
        Failure::refused("the request cannot be sent")
    } else {
        Failure::new(Reason::Connect, "the connection broke before an answer")
    }
}

/// Dates in `Retry-After` are by the wall clock.
#[expect(clippy::disallowed_methods, reason = "a date of the receiver is compared with the wall clock")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

const DRAIN: Duration = Duration::from_secs(1);
