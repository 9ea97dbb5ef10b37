//! A connection to a collector, and one request and answer over it.

use super::client::Failure;
use super::{Protocol, Reason};
use crate::notify::client::{Budget, Limited, Lookup, Roots, Url, dial};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// An open connection; closed when it is dropped, in the middle of a request too.
pub(super) struct Connection {
    sender: Sender,
    driver: JoinHandle<()>,
    budget: Budget,
    last_used: Instant,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Headers, with trailers over them.
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Bytes of an answer that are read, handshake and frames included.
pub(super) const MAX_ANSWER: usize = 64 << 10;
const MAX_HEADERS: usize = 128;
/// Bytes of an answer that may be on their way: what HTTP/2 gives at least.
const WINDOW: u32 = 65_535;

impl Connection {
    /// How long an idle connection is kept: less than servers and middle boxes usually do.
    const IDLE: Duration = Duration::from_secs(10);

    /// Connects, and says hello in the protocol.
    pub(super) async fn open(
        url: &Url,
        protocol: Protocol,
        time: Duration,
        roots: &Roots,
        lookup: &Lookup,
    ) -> Result<Self, Failure> {
        let stream = dial(url, time, roots, lookup).await.map_err(Failure::from)?;
        let budget = Budget::default();
        budget.set(MAX_ANSWER);
        let io = TokioIo::new(Limited { stream, budget: budget.clone() });
        // The request's own future says what went wrong with a connection.
        let (sender, driver) = match protocol {
            Protocol::Http => {
                let mut builder = http1::Builder::new();
                builder.max_headers(MAX_HEADERS).max_buf_size(MAX_ANSWER);
                let (sender, connection) = builder.handshake(io).await.map_err(|error| broken(&error))?;
                (Sender::One(sender), tokio::spawn(async { drop(connection.await) }))
            }
            Protocol::Grpc => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
                let (sender, connection) = builder.handshake(io).await.map_err(|error| broken(&error))?;
                (Sender::Two(sender), tokio::spawn(async { drop(connection.await) }))
            }
        };
        Ok(Self { sender, driver, budget, last_used: Instant::now() })
    }

    /// Whether the next request may use it.
    pub(super) fn is_ready(&self) -> bool {
        let is_open = match &self.sender {
            Sender::One(sender) => sender.is_ready(),
            Sender::Two(sender) => sender.is_ready(),
        };
        is_open && self.last_used.elapsed() < Self::IDLE
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        self.budget.set(MAX_ANSWER);
        let answer = self.try_exchange(request).await;
        self.last_used = Instant::now();
        // Whatever the library makes of a stream that gives no more.
        answer.map_err(|failure| match self.budget.is_empty() {
            true => Failure::new(Reason::Unavailable, "the answer is too large"),
            false => failure,
        })
    }

    async fn try_exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let response = match &mut self.sender {
            Sender::One(sender) => sender.send_request(request).await,
            Sender::Two(sender) => sender.send_request(request).await,
        };
        let (head, body) = response.map_err(|error| broken(&error))?.into_parts();
        let mut answer = Answer { status: head.status, headers: head.headers, body: Vec::new() };
        read(body, &mut answer).await?;
        Ok(answer)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What the connection gives is bounded, so this is.
async fn read(mut body: Incoming, answer: &mut Answer) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| broken(&error))?.into_data() {
            Ok(data) => answer.body.extend_from_slice(&data),
            Err(frame) => answer.headers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok(())
}

fn broken(error: &hyper::Error) -> Failure {
    if error.is_parse_too_large() {
        Failure::new(Reason::Unavailable, "the answer is too large")
    } else if error.is_parse() {
        Failure::new(Reason::Unavailable, "the answer is not of this protocol")
    } else if error.is_user() {
        Failure::for_ever(Reason::Refused, "the request cannot be sent")
    } else {
        Failure::new(Reason::Connect, "the connection broke before an answer")
    }
}
