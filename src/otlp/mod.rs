//! Pushing to an OpenTelemetry collector: metrics at an interval, spans as they come, over HTTP or gRPC.
//!
//! The messages are made elsewhere ([`metrics`](crate::metrics), [`telemetry`](crate::telemetry)); here they are
//! sent. A collector that is dead, slow or hostile costs a counter and a line in the log: there is one export of each
//! signal at a time, it has a time limit, an answer is read to [`Client::MAX_ANSWER`] and not believed beyond its
//! status, what waits is bounded, and between failures the pauses double. Both signals live in one thread.
//!
//! A failed export of metrics is not repeated: the next one has newer values of the same totals, so nothing is lost but
//! detail, and nothing has to be kept. Spans are kept for a few attempts, then given up and counted.

mod client;
mod exchange;
mod headers;
mod pusher;
mod status;

pub use client::{Client, OpenError};
pub(crate) use headers::percent_decoded;
pub use pusher::{Pusher, Setup, Targets};
pub use status::{Signal, SignalStatus, Status};

use crate::notify::client::Url;
use crate::notify::secret::Source;
use crate::telemetry::Sampling;
use std::path::PathBuf;
use std::time::Duration;

/// What is pushed, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where metrics go; `None`: nowhere.
    pub metrics: Option<Url>,
    /// From one export of metrics to the next.
    pub interval: Duration,
    /// Where spans go; `None`: nowhere.
    pub traces: Option<Url>,
    /// Which traces are kept.
    pub sampling: Sampling,
    /// How it is sent.
    pub protocol: Protocol,
    /// Where headers for the collector come from.
    pub headers: Option<Source>,
    /// Certificates in PEM to trust in place of this machine's own.
    pub ca_file: Option<PathBuf>,
    /// Whether messages are compressed.
    pub compression: Compression,
    /// The longest that one export may take.
    pub timeout: Duration,
    /// `service.name`.
    pub service_name: String,
    /// Further attributes of the resource.
    pub attributes: Vec<(String, String)>,
}

impl Default for Config {
    /// Nothing is pushed; the times are those of the OpenTelemetry specification.
    fn default() -> Self {
        Self {
            metrics: None,
            interval: Duration::from_secs(60),
            traces: None,
            sampling: Sampling::default(),
            protocol: Protocol::default(),
            headers: None,
            ca_file: None,
            compression: Compression::default(),
            timeout: Duration::from_secs(10),
            service_name: "netmon".into(),
            attributes: Vec::new(),
        }
    }
}

impl Config {
    /// Whether anything is pushed.
    pub fn is_on(&self) -> bool {
        self.metrics.is_some() || self.traces.is_some()
    }

    /// Where anything is sent.
    pub fn urls(&self) -> impl Iterator<Item = &Url> {
        self.metrics.iter().chain(&self.traces)
    }
}

/// How messages travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Each as the body of a request over HTTP/1.1.
    #[default]
    Http,
    /// As calls of gRPC.
    Grpc,
}

impl Protocol {
    /// All.
    pub const ALL: [Self; 2] = [Self::Http, Self::Grpc];

    /// As in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By gzip.
    Gzip,
}

impl Compression {
    /// All.
    pub const ALL: [Self; 2] = [Self::None, Self::Gzip];

    /// As in `OTEL_EXPORTER_OTLP_COMPRESSION`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
        }
    }
}

/// Why an export failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No connection, or one that broke.
    Connect,
    /// No answer in time.
    Timeout,
    /// The collector is not who it should be.
    Tls,
    /// It does not want this, now or ever.
    Refused,
    /// It cannot take this now.
    Unavailable,
    /// It asks for fewer.
    RateLimited,
    /// It took a part.
    Rejected,
}

impl Reason {
    /// All, in the order of counters.
    pub const ALL: [Self; 7] =
        [Self::Connect, Self::Timeout, Self::Tls, Self::Refused, Self::Unavailable, Self::RateLimited, Self::Rejected];

    /// As in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::RateLimited => "rate_limited",
            Self::Rejected => "rejected",
        }
    }
}
