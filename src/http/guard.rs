//! What every request passes: who it asks for, how large it is, how long it may take; and headers of every answer.
//!
//! A web page in the operator's browser can send requests to any port, under a name of its own that it lets point here
//! (DNS rebinding). So a request must ask for a host that is really this one, and must not come from a foreign page.
//! There are no CORS headers: no page of another origin can read an answer.

use super::problem::Problem;
use super::routes::Shared;
use super::{ANSWER_DEADLINE, MAX_BODY_BYTES};
use crate::telemetry::{continue_from, trace_span};
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::{Authority, Uri};
use axum::http::{Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// How a request came in; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// The address the connection came in on; `None` for a unix socket.
    pub local: Option<IpAddr>,
    /// Whether its listener can be reached from this machine only by TCP.
    pub loopback_listener: bool,
    /// Who connected; `None` for a unix socket.
    pub peer: Option<IpAddr>,
}

impl Arrival {
    /// Whether only this machine could have sent it.
    pub(super) fn is_private(self) -> bool {
        self.loopback_listener || self.local.is_none()
    }
}

/// Answered under any name on listeners that are not loopback: scrapers and probes come by pod address or service name.
const OPEN_PATHS: [&str; 3] = ["/metrics", "/healthz", "/readyz"];

/// Refuses what must not be answered, answers the rest in time, and adds the headers of every answer.
pub(super) async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let span = span(&request, &path);
    let begun = tokio::time::Instant::now();
    let answered = tokio::time::timeout(ANSWER_DEADLINE, async {
        let arrival =
            match admit(&request, &shared.sources.hosts.now()).and_then(|arrival| may_change(&request, arrival)) {
                Ok(arrival) => arrival,
                Err(problem) => return problem.into_response(),
            };
        match shared.sources.access.judge(arrival, request.method(), &path, request.headers()).await {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    });
    let mut response = answered
        .instrument(span.clone())
        .await
        .unwrap_or_else(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long").into_response());
    shared.sources.requests.count(&path, response.status());
    shared.sources.requests.time(&path, begun.elapsed());
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    for (name, value) in ALWAYS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A span of the request, which goes on with the trace of its caller.
fn span(request: &Request, path: &str) -> Span {
    let span = trace_span!(
        "http.request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = request.method().as_str(),
        http.response.status_code = Empty,
        url.path = &path[..path.floor_char_boundary(MAX_TRACED_PATH)],
    );
    if let Some(caller) = request.headers().get("traceparent").and_then(|caller| caller.to_str().ok()) {
        continue_from(&span, caller);
    }
    span
}

/// Bytes of a path that a span shows.
const MAX_TRACED_PATH: usize = 256;

/// A page can send a request without asking first, but not one of JSON (Fetch standard, CORS-safelisted headers); and
/// browsers say where it comes from.
fn may_change(request: &Request, arrival: Arrival) -> Result<Arrival, Problem> {
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return Ok(arrival);
    }
    let headers = request.headers();
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return Err(Problem::new(StatusCode::FORBIDDEN, "requests from pages of other origins are refused"));
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_api = request.uri().path().starts_with("/api/");
    if is_api && CHANGING.contains(request.method()) && !essence.eq_ignore_ascii_case("application/json") {
        let detail = "what changes something is sent as `Content-Type: application/json`, also without a body";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).with("field", "Content-Type".into()));
    }
    Ok(arrival)
}

/// Methods of routes that change something.
const CHANGING: [Method; 3] = [Method::POST, Method::PUT, Method::DELETE];

/// No type guessing, no framing, no scripts, no caching, no reading by other origins.
const ALWAYS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

fn admit(request: &Request, hosts: &[String]) -> Result<Arrival, Problem> {
    if content_length(request.headers()) > MAX_BODY_BYTES {
        let detail = format!("a request body has at most {MAX_BODY_BYTES} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let Some(arrival) = request.extensions().get::<Arrival>().copied() else {
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the connection is not known"));
    };
    let asked = asked_host(request)?;
    let origin = origin_of(request.headers())?;
    if !arrival.loopback_listener && OPEN_PATHS.contains(&request.uri().path()) {
        return Ok(arrival);
    }
    let is_here = |host: &str| is_here(host, arrival.local, hosts);
    if !asked.as_ref().is_some_and(|asked| is_here(&asked.host)) {
        let detail = "netmon answers to `localhost`, to the address you connected to, and to the names in `api.hosts`";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    match origin {
        Origin::None => Ok(arrival),
        Origin::Of(origin) if is_own(&origin, asked.as_ref(), arrival.local, hosts) => Ok(arrival),
        Origin::Of(_) | Origin::Opaque => {
            Err(Problem::new(StatusCode::FORBIDDEN, "requests from pages of other origins are refused"))
        }
    }
}

fn content_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// The host a request is for: of an absolute target first (RFC 9112 section 3.2.2), else of the one Host header.
///
/// # Errors
/// 400 if there is no host in HTTP/1.1, more than one, or one that cannot be read, or if the two differ.
fn asked_host(request: &Request) -> Result<Option<Place>, Problem> {
    let bad = |detail| Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    let mut headers = request.headers().get_all(header::HOST).iter();
    let target = request.uri().authority().map(Place::of);
    let named = match (headers.next(), headers.next()) {
        (_, Some(_)) => return bad("the Host header is there more than once"),
        (None, None) if request.version() >= Version::HTTP_11 => return bad("the Host header is missing"),
        (None, None) => None,
        (Some(value), None) => match value.to_str().ok().and_then(authority) {
            Some(authority) => Some(Place::of(&authority)),
            None => return bad("the Host header cannot be read"),
        },
    };
    Ok(match (target, named) {
        (Some(target), Some(named)) if target.host != named.host => Some(Place { host: String::new(), port: None }),
        (Some(target), _) => Some(target),
        (None, named) => named,
    })
}

/// A host, and the port if it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: Option<u16>,
}

impl Place {
    fn of(authority: &Authority) -> Self {
        Self { host: authority.host().to_owned(), port: authority.port_u16() }
    }
}

/// Whether a page that came from `origin` came from here: from the host and port that are asked, or, where another
/// server stands in front, from one of the names in `api.hosts`.
fn is_own(origin: &Place, asked: Option<&Place>, local: Option<IpAddr>, hosts: &[String]) -> bool {
    let same = asked.is_some_and(|asked| asked.host.eq_ignore_ascii_case(&origin.host) && asked.port == origin.port);
    let is_named = hosts.iter().any(|known| origin.host.eq_ignore_ascii_case(known));
    is_named || (same && is_here(&origin.host, local, hosts))
}

/// Host and port only; `user@host` is not allowed in a Host header.
fn authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    let port_is_number = authority.as_str().len() == authority.host().len() || authority.port_u16().is_some();
    (!text.contains('@') && port_is_number).then_some(authority)
}

#[derive(Debug, PartialEq, Eq)]
enum Origin {
    None,
    /// `null`: a page whose origin is hidden.
    Opaque,
    Of(Place),
}

fn origin_of(headers: &HeaderMap) -> Result<Origin, Problem> {
    let bad = || Problem::new(StatusCode::BAD_REQUEST, "the Origin header cannot be read");
    let Some(value) = headers.get(header::ORIGIN) else { return Ok(Origin::None) };
    let text = value.to_str().map_err(|_| bad())?;
    if text == "null" {
        return Ok(Origin::Opaque);
    }
    let uri: Uri = text.parse().map_err(|_| bad())?;
    match (uri.scheme(), uri.authority()) {
        (Some(_), Some(authority)) if headers.get_all(header::ORIGIN).iter().count() == 1 => {
            Ok(Origin::Of(Place::of(authority)))
        }
        _ => Err(bad()),
    }
}

/// Whether `host` is a name of this listener. Only the usual spellings of an address count: `127.1`, hexadecimal and
/// zones are names to be resolved elsewhere.
fn is_here(host: &str, local: Option<IpAddr>, hosts: &[String]) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let literal = match bracketed {
        Some(inside) => inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok().filter(IpAddr::is_ipv4),
    };
    match (literal, local) {
        (Some(literal), Some(local)) => literal.to_canonical() == local.to_canonical(),
        (Some(_), None) => false,
        (None, _) => {
            host.eq_ignore_ascii_case("localhost") || hosts.iter().any(|known| host.eq_ignore_ascii_case(known))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn verdict(loopback_listener: bool, target: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().uri(target).version(Version::HTTP_11);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let local = if loopback_listener { [127, 0, 0, 1] } else { [10, 1, 2, 3] };
        let arrival = Arrival { local: Some(local.into()), loopback_listener, peer: None };
        let request = request.extension(arrival).body(Body::empty()).expect("a legal request");
        admit(&request, &["netmon.example".into()])
            .map_or_else(|problem| problem.into_response().status().into(), |_| 200)
    }

    #[test]
    fn only_names_of_this_listener_are_answered() {
        for (host, expected) in [
            ("localhost", 200),
            ("LocalHost:9000", 200),
            ("127.0.0.1:8080", 200),
            ("netmon.example", 200),
            ("127.0.0.2:8080", 421),
            ("10.1.2.3", 421),
            ("evil.example", 421),
            ("evil.example:8080", 421),
            ("localhost.", 421),
            ("localhost.evil.example", 421),
            ("127.1", 421),
            ("2130706433", 421),
            ("0x7f000001", 421),
            ("[::1]", 421),
            ("[::ffff:127.0.0.1]:8080", 200),
            ("a b", 400),
            ("user@localhost", 400),
            ("localhost:port", 400),
            ("localhost:99999", 400),
            ("", 400),
        ] {
            assert_eq!(verdict(true, "/metrics", &[("host", host)]), expected, "{host}");
        }
    }

    #[test]
    fn an_address_with_a_zone_is_no_name_of_this_listener() {
        assert_ne!(verdict(true, "/", &[("host", "[fe80::1%25eth0]")]), 200);
    }

    #[test]
    fn scrapers_and_probes_may_use_any_name_on_other_listeners() {
        for path in ["/metrics", "/healthz", "/readyz"] {
            assert_eq!(verdict(false, path, &[("host", "netmon.monitoring.svc:8080")]), 200);
            assert_eq!(verdict(false, path, &[("host", "a b")]), 400);
        }
        assert_eq!(verdict(false, "/api/v1/status", &[("host", "netmon.monitoring.svc:8080")]), 421);
        assert_eq!(verdict(false, "/api/v1/status", &[("host", "10.1.2.3:8080")]), 200);
    }

    #[test]
    fn a_request_names_its_host_once() {
        assert_eq!(verdict(true, "/", &[]), 400);
        assert_eq!(verdict(true, "/", &[("host", "localhost"), ("host", "localhost")]), 400);
        assert_eq!(verdict(true, "http://evil.example/", &[("host", "localhost")]), 421);
        assert_eq!(verdict(true, "http://localhost/", &[("host", "evil.example")]), 421);
        assert_eq!(verdict(true, "http://localhost/", &[("host", "localhost")]), 200);
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let with = |origin| verdict(true, "/", &[("host", "localhost:8080"), ("origin", origin)]);
        assert_eq!(with("http://localhost:8080"), 200);
        assert_eq!(with("http://localhost:3000"), 403, "another program of this machine");
        assert_eq!(with("https://netmon.example"), 200, "behind a proxy of that name");
        assert_eq!(with("http://evil.example"), 403);
        assert_eq!(with("null"), 403);
        assert_eq!(with("evil"), 400);
        assert_eq!(with("http://a b"), 400);
    }

    #[test]
    fn a_large_body_is_refused_by_its_announcement() {
        let with = |length| verdict(true, "/", &[("host", "localhost"), ("content-length", length)]);
        assert_eq!(with("65536"), 200);
        assert_eq!(with("65537"), 413);
        assert_eq!(with("1073741824"), 413);
    }
}
