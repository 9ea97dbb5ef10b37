//! One signal to one collector: what is asked, and what an answer means.

use super::exchange::{self, Answer, Connection};
use super::headers::{self, HeaderError};
use super::{Compression, Config, Protocol, Reason, Signal};
use crate::notify;
use crate::notify::client::{Lookup, Roots, TlsError, Url, resolver, retry_after};
use crate::notify::secret::{Credential, SecretError, Surroundings};
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, SystemTime};

/// Why a collector cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its headers cannot be read.
    #[error("cannot read the headers for the collector")]
    Secret(#[source] SecretError),
    /// They are none.
    #[error("cannot use the headers for the collector")]
    Headers(#[source] HeaderError),
    /// There is nothing to trust.
    #[error("cannot set up TLS for the collector")]
    Tls(#[source] TlsError),
}

impl OpenError {
    /// The key that it is about.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Secret(SecretError::Absent { .. }) => "telemetry.otlp.headers_env",
            Self::Secret(_) | Self::Headers(_) => "telemetry.otlp.headers_file",
            Self::Tls(_) => "telemetry.otlp.ca_file",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Secret(error) => error.hint(),
            Self::Headers(_) => Some("as in `authorization=Bearer%20TOKEN,tenant=a`".into()),
            Self::Tls(error) => error.hint().map(str::to_owned),
        }
    }
}

/// Sends messages, one at a time.
pub struct Client {
    signal: Signal,
    url: Url,
    protocol: Protocol,
    compression: Compression,
    timeout: Duration,
    headers: Option<Credential>,
    roots: Roots,
    lookup: Lookup,
    kept: Option<Connection>,
}

/// An export that was not taken, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    /// Fixed texts and numbers only: nothing that a collector said.
    pub(super) what: Cow<'static, str>,
    /// Whether sending the same again may help.
    pub(super) again: bool,
    /// How long to wait, if the collector said so.
    pub(super) after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(reason: Reason, what: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, what: what.into(), again: true, after: None }
    }

    pub(super) fn for_ever(reason: Reason, what: impl Into<Cow<'static, str>>) -> Self {
        Self { again: false, ..Self::new(reason, what) }
    }
}

/// From dialling.
impl From<(notify::Reason, Cow<'static, str>)> for Failure {
    fn from((reason, what): (notify::Reason, Cow<'static, str>)) -> Self {
        match reason {
            notify::Reason::Tls => Self::new(Reason::Tls, what),
            notify::Reason::Timeout => Self::new(Reason::Timeout, what),
            _ => Self::new(Reason::Connect, what),
        }
    }
}

impl Client {
    /// Bytes of an answer that are read.
    pub const MAX_ANSWER: usize = exchange::MAX_ANSWER;

    /// A client for what `config` says of `signal`; `None` where it is not pushed. Reads headers and certificates.
    ///
    /// # Errors
    /// They cannot be read or used.
    pub fn open(config: &Config, signal: Signal, around: Surroundings<'_>) -> Result<Option<Self>, OpenError> {
        let url = match signal {
            Signal::Metrics => &config.metrics,
            Signal::Traces => &config.traces,
        };
        let Some(url) = url.clone() else { return Ok(None) };
        let headers = config.headers.as_ref().map(|source| Credential::open(source, around)).transpose();
        let headers = headers.map_err(OpenError::Secret)?;
        if let Some(headers) = &headers {
            headers::parse(headers.current().expose()).map_err(OpenError::Headers)?;
        }
        let roots = match &config.ca_file {
            Some(file) => Roots::from_file(file),
            None if url.is_https() => Roots::native(),
            None => Ok(Roots::none()),
        };
        let roots = roots.map_err(OpenError::Tls)?;
        Ok(Some(Self {
            signal,
            url,
            protocol: config.protocol,
            compression: config.compression,
            timeout: config.timeout,
            headers,
            roots: match config.protocol {
                Protocol::Http => roots.speaking(b"http/1.1"),
                Protocol::Grpc => roots.speaking(b"h2"),
            },
            lookup: resolver(),
            kept: None,
        }))
    }

    /// Host and port: what may be said of it.
    pub(super) fn place(&self) -> String {
        self.url.host_and_port()
    }

    /// Sends a message and waits for what becomes of it, for at most the time limit.
    pub(super) async fn export(&mut self, message: &[u8]) -> Result<(), Failure> {
        let timeout = self.timeout;
        let late = |_| Failure::new(Reason::Timeout, format!("no answer within {} s", timeout.as_secs_f64()));
        let answer = tokio::time::timeout(timeout, self.attempt(message)).await.map_err(late)??;
        match self.protocol {
            Protocol::Http => judge_http(&answer),
            Protocol::Grpc => judge_grpc(&answer),
        }
    }

    async fn attempt(&mut self, message: &[u8]) -> Result<Answer, Failure> {
        let request = self.request(message)?;
        let kept = self.kept.take().filter(Connection::is_ready);
        let mut connection = match kept {
            Some(kept) => kept,
            None => Connection::open(&self.url, self.protocol, self.timeout, &self.roots, &self.lookup).await?,
        };
        let answer = connection.exchange(request).await?;
        self.kept = Some(connection);
        Ok(answer)
    }

    fn request(&self, message: &[u8]) -> Result<Request<Full<Bytes>>, Failure> {
        let cannot = |_| Failure::for_ever(Reason::Refused, "the request cannot be sent");
        let is_compressed = self.compression == Compression::Gzip;
        let packed: Cow<'_, [u8]> = if is_compressed { gzip(message).into() } else { message.into() };
        let (target, body) = match self.protocol {
            Protocol::Http => (self.url.expose().to_owned(), Bytes::from(packed.into_owned())),
            Protocol::Grpc => {
                (format!("{}{}", self.url.origin(), self.signal.method()), framed(&packed, is_compressed))
            }
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.parse().map_err(|_| cannot(()))?;
        *request.headers_mut() = self.own_headers();
        let fixed = match self.protocol {
            Protocol::Http => vec![
                (header::HOST, HeaderValue::from_str(&self.url.host_and_port()).map_err(|_| cannot(()))?),
                (header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf")),
            ],
            Protocol::Grpc => vec![
                (header::TE, HeaderValue::from_static("trailers")),
                (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
                (GRPC_TIMEOUT, self.grpc_timeout().map_err(|_| cannot(()))?),
            ],
        };
        request.headers_mut().extend(fixed);
        if is_compressed {
            let name = if self.protocol == Protocol::Grpc { GRPC_ENCODING } else { header::CONTENT_ENCODING };
            request.headers_mut().insert(name, HeaderValue::from_static("gzip"));
        }
        Ok(request)
    }

    /// In milliseconds, of eight digits at most.
    fn grpc_timeout(&self) -> Result<HeaderValue, header::InvalidHeaderValue> {
        HeaderValue::from_str(&format!("{}m", self.timeout.as_millis().min(99_999_999)))
    }

    /// As their file has them now. One that is no longer good is as good as empty, which the collector will say.
    fn own_headers(&self) -> HeaderMap {
        let text = self.headers.as_ref().map(Credential::current);
        let mut headers = text.map(|text| headers::parse(text.expose())).transpose().ok().flatten().unwrap_or_default();
        let agent = HeaderValue::from_static(concat!("netmon/", env!("CARGO_PKG_VERSION")));
        headers.entry(header::USER_AGENT).or_insert(agent);
        headers
    }
}

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), flate2::Compression::fast());
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(message);
    encoder.finish().unwrap_or_default()
}

/// With the prefix of gRPC: whether it is compressed, and its length.
fn framed(message: &[u8], is_compressed: bool) -> Bytes {
    // Messages have about 2 MiB at most.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(message.len() + PREFIX);
    frame.push(u8::from(is_compressed));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

const PREFIX: usize = 5;

/// Specification of OTLP, "OTLP/HTTP Response".
fn judge_http(answer: &Answer) -> Result<(), Failure> {
    let status = answer.status;
    if status.is_success() {
        return partly(&answer.body);
    }
    let what = |note: &str| format!("answered {}{note}", status.as_u16());
    let after = retry_after(&answer.headers, wall_clock());
    let failure = match status {
        StatusCode::TOO_MANY_REQUESTS => Failure::new(Reason::RateLimited, what(" (too many requests)")),
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Failure::new(Reason::Unavailable, what(""))
        }
        _ if status.is_server_error() => Failure::for_ever(Reason::Unavailable, what("")),
        _ if status.is_redirection() => Failure::for_ever(Reason::Refused, what(", a redirect, which is not followed")),
        _ => Failure::for_ever(Reason::Refused, what(meaning(status))),
    };
    Err(Failure { after, ..failure })
}

/// What usually is wrong then.
fn meaning(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => ": it does not accept the headers",
        404 | 405 => ": nothing takes OTLP over HTTP there",
        413 => ": the message is too large",
        415 => ": it does not take this protocol or compression",
        _ => "",
    }
}

/// The status is in the trailers, or in the headers of an answer without a body.
fn judge_grpc(answer: &Answer) -> Result<(), Failure> {
    let status = answer.headers.get("grpc-status").and_then(|status| status.to_str().ok()?.parse::<u32>().ok());
    match status {
        Some(0) => partly(answer.body.get(PREFIX..).unwrap_or_default()),
        Some(status) => Err(judge_status(status)),
        None if answer.status == StatusCode::OK => Err(Failure::new(Reason::Unavailable, "the answer is not of gRPC")),
        None => judge_http(answer),
    }
}

/// Specification of OTLP, "OTLP/gRPC Response": which codes are worth another attempt.
fn judge_status(status: u32) -> Failure {
    let what = |name: &str| format!("answered {status} ({name})");
    match status {
        1 => Failure::new(Reason::Unavailable, what("cancelled")),
        4 => Failure::new(Reason::Timeout, what("deadline exceeded")),
        8 => Failure::new(Reason::RateLimited, what("resource exhausted")),
        10 => Failure::new(Reason::Unavailable, what("aborted")),
        11 => Failure::new(Reason::Unavailable, what("out of range")),
        14 => Failure::new(Reason::Unavailable, what("unavailable")),
        15 => Failure::new(Reason::Unavailable, what("data loss")),
        2 | 13 => Failure::for_ever(Reason::Unavailable, what("an error of its own")),
        7 | 16 => Failure::for_ever(Reason::Refused, what("it does not accept the headers")),
        12 => Failure::for_ever(Reason::Refused, what("it does not take this signal")),
        _ => Failure::for_ever(Reason::Refused, what("refused")),
    }
}

/// An answer may say that a part was not taken. The messages of both signals have the same form.
fn partly(body: &[u8]) -> Result<(), Failure> {
    let rejected = ExportMetricsServiceResponse::decode(body).ok().and_then(|answer| answer.partial_success);
    match rejected.map_or(0, |part| part.rejected_data_points) {
        0 => Ok(()),
        rejected => Err(Failure::for_ever(Reason::Rejected, format!("did not take {rejected} of what was sent"))),
    }
}

/// Dates in `Retry-After` are by the wall clock.
#[expect(clippy::disallowed_methods, reason = "a date of the collector is compared with the wall clock")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &[u8]) -> Answer {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: headers.iter().map(pair).collect(),
            body: body.to_vec(),
        }
    }

    /// A part was rejected: field 1 of a message in field 1.
    const PARTLY: &[u8] = &[0x0a, 0x02, 0x08, 0x07];

    #[test]
    fn statuses_of_http_mean_what_the_specification_says() {
        assert_eq!(judge_http(&answer(200, &[], b"")), Ok(()));
        let refused = |status, headers: &[_]| {
            let failure = judge_http(&answer(status, headers, b"canary")).expect_err("refused");
            assert!(!failure.what.contains("canary"));
            (failure.reason, failure.again, failure.after.map(|after| after.as_secs()))
        };
        assert_eq!(refused(429, &[("retry-after", "7")]), (Reason::RateLimited, true, Some(7)));
        assert_eq!(refused(503, &[]), (Reason::Unavailable, true, None));
        assert_eq!(refused(500, &[]), (Reason::Unavailable, false, None));
        assert_eq!(refused(301, &[]), (Reason::Refused, false, None));
        assert_eq!(refused(401, &[]), (Reason::Refused, false, None));
        assert_eq!(judge_http(&answer(200, &[], PARTLY)).expect_err("a part").reason, Reason::Rejected);
    }

    #[test]
    fn statuses_of_grpc_are_in_trailers_and_mean_what_the_specification_says() {
        assert_eq!(judge_grpc(&answer(200, &[("grpc-status", "0")], &[0, 0, 0, 0, 0])), Ok(()));
        let partly = [&[0, 0, 0, 0, 4], PARTLY].concat();
        let failure = judge_grpc(&answer(200, &[("grpc-status", "0")], &partly)).expect_err("a part");
        assert_eq!((failure.reason, failure.again), (Reason::Rejected, false));
        let of =
            |headers: &[_]| judge_grpc(&answer(200, headers, b"")).map_err(|failure| (failure.reason, failure.again));
        assert_eq!(of(&[("grpc-status", "14")]), Err((Reason::Unavailable, true)));
        assert_eq!(of(&[("grpc-status", "16")]), Err((Reason::Refused, false)));
        assert_eq!(of(&[("grpc-status", "8")]), Err((Reason::RateLimited, true)));
        assert_eq!(of(&[]), Err((Reason::Unavailable, true)));
        assert_eq!(judge_grpc(&answer(404, &[], b"")).map_err(|failure| failure.reason), Err(Reason::Refused));
    }
}
