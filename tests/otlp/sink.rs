//! A collector of the test's own: takes OTLP over HTTP/1.1 or gRPC, keeps what came, and answers as a test wants.

use crate::rig::Namespace;
use flate2::read::GzDecoder;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// The two ways to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Http,
    Grpc,
}

impl Way {
    pub const BOTH: [Self; 2] = [Self::Http, Self::Grpc];

    /// As `telemetry.otlp.protocol` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Fate {
    Accept,
    /// A status of HTTP, with the seconds of a `Retry-After`.
    Status(u16, Option<u32>),
    /// A status of gRPC.
    Code(u32),
    /// No answer, ever.
    Hang,
    /// An answer that does not end.
    Flood,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Taken {
    pub path: String,
    pub headers: HeaderMap,
    /// Without compression and framing.
    pub message: Vec<u8>,
}

impl Taken {
    pub fn is_metrics(&self) -> bool {
        self.path == "/v1/metrics" || self.path.ends_with("MetricsService/Export")
    }
}

type Fates = Arc<dyn Fn(&Taken) -> Fate + Send + Sync>;
type Body = BoxBody<Bytes, Infallible>;

/// A running collector; gone with its connections when it is dropped.
pub struct Sink {
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
    runtime: Option<Runtime>,
}

impl Sink {
    /// Listens on a port of the namespace's loopback; 0 is any.
    pub fn start(
        namespace: &Namespace,
        port: u16,
        way: Way,
        tls: Option<Arc<ServerConfig>>,
        fate: impl Fn(&Taken) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let listener = namespace.inside(|| TcpListener::bind(("127.0.0.1", port)).unwrap());
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let taken = Arc::<Mutex<Vec<Taken>>>::default();
        let (kept, fate): (_, Fates) = (Arc::clone(&taken), Arc::new(fate));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let tls = tls.map(TlsAcceptor::from);
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, kept, fate) = (tls.clone(), Arc::clone(&kept), Arc::clone(&fate));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, way, kept, fate).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, way, kept, fate).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, taken, runtime: Some(runtime) }
    }

    /// What was taken so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

async fn serve<S>(stream: S, way: Way, kept: Arc<Mutex<Vec<Taken>>>, fate: Fates)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, way, Arc::clone(&kept), Arc::clone(&fate)));
    let io = TokioIo::new(stream);
    // A client that goes away is its own affair.
    match way {
        Way::Http => drop(http1::Builder::new().serve_connection(io, service).await),
        Way::Grpc => drop(http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await),
    }
}

async fn answer(
    request: Request<Incoming>,
    way: Way,
    kept: Arc<Mutex<Vec<Taken>>>,
    fate: Fates,
) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let taken =
        Taken { path: head.uri.path().into(), message: message(way, &head.headers, &body), headers: head.headers };
    let fate = fate(&taken);
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
    Ok(match (fate, way) {
        (Fate::Accept, Way::Http) => Response::new(Full::default().boxed()),
        (Fate::Accept, Way::Grpc) => called(0),
        (Fate::Code(code), _) => called(code),
        (Fate::Status(status, after), _) => {
            let mut response = Response::new(Full::from("canary").boxed());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response.headers_mut().extend(after.map(|after| (HeaderName::from_static("retry-after"), after.into())));
            response
        }
        (Fate::Hang, _) => std::future::pending().await,
        (Fate::Flood, _) => Response::new(Full::from(vec![b'x'; 64 << 20]).boxed()),
    })
}

/// An answer of gRPC: an empty message, and its status in the trailers.
fn called(code: u32) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from(code))]);
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn message(way: Way, headers: &HeaderMap, body: &Bytes) -> Vec<u8> {
    let (is_compressed, message) = match way {
        Way::Http => {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            (headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip"), &body[..])
        }
        Way::Grpc => {
            assert_eq!(
                (&headers["content-type"], &headers["te"]),
                (&"application/grpc".parse().unwrap(), &"trailers".parse().unwrap())
            );
            let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
            assert_eq!(length as usize, body.len() - 5, "one message in a call");
            (body[0] == 1, &body[5..])
        }
    };
    if !is_compressed {
        return message.to_vec();
    }
    let mut plain = Vec::new();
    GzDecoder::new(message).read_to_end(&mut plain).unwrap();
    plain
}
