//! Accepting connections and giving each its deadlines.

use super::connections::{Connections, Place};
use super::deadline::WriteDeadline;
use super::guard::Arrival;
use super::health::Heartbeat;
use super::listen::{Listener, Socket};
use super::routes::{Shared, router};
use super::{Access, Bind, DRAIN_DEADLINE, HEAD_DEADLINE, MAX_HEAD_BYTES, Requests, Sources, WRITE_DEADLINE};
use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Pause after a failed accept (out of descriptors, say), so that the loop neither spins nor floods the log.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the runtime shows that it turns, and how long it may fail to before `/healthz` says so.
const BEAT: Duration = Duration::from_millis(250);
const STALLED: Duration = Duration::from_secs(5);

/// The most connections being refused at a time; further ones are closed without a word.
pub const MAX_REFUSALS: usize = 64;
/// How long a client may take to hear a refusal.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(1);

/// How often it is looked whether streams have ended.
const STREAM_PAUSE: Duration = Duration::from_millis(20);

/// Said to a connection for which there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
    Content-Type: application/problem+json\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"detail\":\"too many connections at once\"}";

/// Serves on all listeners until `shutdown` ends; then open requests have [`DRAIN_DEADLINE`] to end.
///
/// Unix sockets are removed at the end.
///
/// # Errors
/// If a listener cannot be handed to the runtime. Nothing that a client does is an error here.
pub async fn serve(listeners: Vec<Listener>, sources: Sources, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let shared = Arc::new(Shared::new(sources));
    let requests = shared.sources.requests.clone();
    let heartbeat = shared.sources.health.thread("http", STALLED);
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let access = shared.sources.access.clone();
    let server = Server { router: router(&shared), connections: Arc::default(), refusals, requests, access };
    let (stop, stopped) = watch::channel(false);
    let mut loops = JoinSet::new();
    let mut sockets = Vec::new();
    for listener in listeners {
        if let Bind::Unix(path) = listener.bind() {
            sockets.push(path.clone());
        }
        let (acceptor, server, stopped) = (Acceptor::new(listener)?, server.clone(), stopped.clone());
        loops.spawn(async move { server.accept(&acceptor, stopped).await });
    }
    loops.spawn(beat(heartbeat, stopped));
    shutdown.await;
    // The receivers live as long as the loops, so there is somebody to hear it.
    let _ = stop.send(true);
    shared.streams.stop();
    loops.join_all().await;
    let ended = async {
        while shared.streams.clients() > 0 {
            tokio::time::sleep(STREAM_PAUSE).await;
        }
    };
    // Clients that do not hear it are cut off with the runtime.
    let _ = tokio::time::timeout(DRAIN_DEADLINE, ended).await;
    // After a sandbox this may be refused; the next start replaces a socket nobody answers on.
    sockets.iter().for_each(|path| drop(std::fs::remove_file(path)));
    Ok(())
}

/// Shows that the runtime still turns, until stopped.
async fn beat(heartbeat: Heartbeat, mut stopped: watch::Receiver<bool>) {
    loop {
        heartbeat.beat();
        if tokio::time::timeout(BEAT, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
            return heartbeat.retire();
        }
    }
}

#[derive(Clone)]
struct Server {
    router: Router,
    connections: Arc<Connections>,
    refusals: Arc<Semaphore>,
    requests: Requests,
    access: Access,
}

impl Server {
    /// Accepts until stopped, then waits for its connections.
    async fn accept(&self, acceptor: &Acceptor, mut stopped: watch::Receiver<bool>) {
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                Some(_) = open.join_next() => continue,
                accepted = self.next(acceptor) => accepted,
            };
            match accepted {
                Ok(accepted) => self.admit(accepted, &stopped, &mut open),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        let drained = async { while open.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_DEADLINE, drained).await.is_err() {
            open.shutdown().await;
        }
    }

    /// The next connection, once those that gave way to the one before are gone: a crowd holds no more descriptors than
    /// there are places, refusals, and one for each listener.
    async fn next(&self, acceptor: &Acceptor) -> io::Result<Accepted> {
        self.connections.departed().await;
        acceptor.accept().await
    }

    /// Finds a place for it, or says that there is none.
    fn admit(&self, accepted: Accepted, stopped: &watch::Receiver<bool>, open: &mut JoinSet<()>) {
        if let Some(place) = self.connections.admit(accepted.arrival.peer) {
            open.spawn(self.clone().connect(accepted, place, stopped.clone()));
            return;
        }
        self.requests.count_refusal();
        if let Ok(refusing) = Arc::clone(&self.refusals).try_acquire_owned() {
            open.spawn(async move {
                // Whoever does not take the refusal in time does not get it.
                drop(tokio::time::timeout(REFUSAL_DEADLINE, refuse(accepted.stream)).await);
                drop(refusing);
            });
        }
    }

    /// Says hello in TLS where that is spoken, then answers.
    async fn connect(self, accepted: Accepted, place: Place, stopped: watch::Receiver<bool>) {
        let tls = self.access.tls().filter(|_| accepted.arrival.local.is_some());
        let Some(tls) = tls else { return self.connection(accepted.stream, accepted.arrival, place, stopped).await };
        let hello = tls.acceptor().accept(accepted.stream);
        let stream = tokio::select! {
            hello = tokio::time::timeout(HEAD_DEADLINE, hello) => hello,
            () = place.dismissed() => return,
        };
        if let Ok(Ok(stream)) = stream {
            self.connection(Box::new(stream), accepted.arrival, place, stopped).await;
        }
    }

    /// Answers one connection until it ends, gives way, or the server stops.
    async fn connection(self, stream: Stream, arrival: Arrival, place: Place, mut stopped: watch::Receiver<bool>) {
        let service = TowerToHyperService::new(self.router);
        let place = Arc::new(place);
        let answer = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(arrival);
            request.extensions_mut().insert(Arc::clone(&place));
            let (service, place) = (&service, &place);
            async move {
                place.busy();
                let response = service.call(request).await;
                place.waiting();
                response
            }
        });
        let io = TokioIo::new(WriteDeadline::new(stream, WRITE_DEADLINE));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_DEADLINE)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(io, answer)
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            // A client that breaks off or breaks the protocol is its own affair.
            _ = connection.as_mut() => return,
            () = place.dismissed() => return,
            _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// Says that there is no place, and reads until the client has heard it: closing at once would reset the connection
/// before its request was read, and the answer would be lost.
async fn refuse(mut stream: Stream) -> io::Result<()> {
    stream.write_all(FULL).await?;
    stream.shutdown().await?;
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

/// A stream of either kind; one box for each connection.
type Stream = Box<dyn ReadWrite>;

trait ReadWrite: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ReadWrite for S {}

struct Accepted {
    stream: Stream,
    arrival: Arrival,
}

/// A listener in the runtime.
enum Acceptor {
    Tcp {
        listener: tokio::net::TcpListener,
        loopback: bool,
    },
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

impl Acceptor {
    fn new(listener: Listener) -> io::Result<Self> {
        Ok(match listener.socket {
            Socket::Tcp(socket) => {
                let loopback = socket.local_addr()?.ip().to_canonical().is_loopback();
                Self::Tcp { listener: tokio::net::TcpListener::from_std(socket)?, loopback }
            }
            #[cfg(unix)]
            Socket::Unix(socket) => Self::Unix(tokio::net::UnixListener::from_std(socket)?),
        })
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp { listener, loopback } => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let (local, peer) = (Some(stream.local_addr()?.ip()), Some(peer.ip()));
                let arrival = Arrival { local, loopback_listener: *loopback, peer };
                Ok(Accepted { stream: Box::new(stream), arrival })
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let arrival = Arrival { local: None, loopback_listener: false, peer: None };
                Ok(Accepted { stream: Box::new(stream), arrival })
            }
        }
    }
}
