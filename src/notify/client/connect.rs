//! From a URL to a connection: addresses, perhaps a proxy, perhaps TLS.

use super::address::{self, Lookup};
use super::exchange::Kept;
use super::failure::Failure;
use super::tls::Roots;
use super::url::Url;
use super::{Config, Reason};
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connects for requests to `url`.
pub(super) async fn open(url: &Url, config: &Config, roots: &Roots, lookup: &Lookup) -> Result<Kept, Failure> {
    let hop = config.proxy.as_ref().unwrap_or(url);
    // A proxy is the operator's own and often on this machine.
    let allow_local = config.allow_local || config.proxy.is_some();
    let addresses = address::resolve(hop, lookup, allow_local).await?;
    let mut tcp = first(&addresses, config.timeout).await?;
    if !url.is_https() {
        return Kept::new(url, tcp).await;
    }
    if config.proxy.is_some() {
        tunnel(&mut tcp, url).await?;
    }
    Kept::new(url, roots.handshake(url.host(), tcp).await?).await
}

/// A connection for a room that speaks something else over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open connection, or why there is none in words that may be logged.
pub(crate) type Dialled = Result<Box<dyn Stream>, (Reason, Cow<'static, str>)>;

/// Connects to what the operator runs, which may be on this machine, and says hello in TLS where the URL says so.
pub(crate) async fn dial(url: &Url, time: Duration, roots: &Roots, lookup: &Lookup) -> Dialled {
    let connected = async {
        let addresses = address::resolve(url, lookup, true).await?;
        let tcp = first(&addresses, time).await?;
        let stream: Box<dyn Stream> = match url.is_https() {
            true => Box::new(roots.handshake(url.host(), tcp).await?),
            false => Box::new(tcp),
        };
        Ok(stream)
    };
    connected.await.map_err(Failure::into_parts)
}

/// Tries the addresses in turn; each has its share of the time, so that a dead first one leaves some for the next.
async fn first(addresses: &[SocketAddr], time: Duration) -> Result<TcpStream, Failure> {
    let tried = addresses.iter().take(MAX_ADDRESSES);
    let share = time / u32::try_from(tried.len() + 1).unwrap_or(u32::MAX);
    let mut last = Failure::new(Reason::Connect, "no address to connect to");
    for address in tried {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Messages are small and whole; without it the last part waits. It fails only on a dead socket.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Ok(Err(error)) => last = Failure::new(Reason::Connect, refusal(&error)),
            Err(_) => last = Failure::new(Reason::Timeout, "no connection in time"),
        }
    }
    Err(last)
}

/// Asks a proxy to connect to the host of `url` (RFC 9110 section 9.3.6).
async fn tunnel(tcp: &mut TcpStream, url: &Url) -> Result<(), Failure> {
    let target = url.host_and_port();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    let broken = |_| Failure::new(Reason::Connect, "the connection to the proxy broke");
    tcp.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_PROXY_HEAD {
            return Err(Failure::new(Reason::Connect, "the proxy's answer is too long"));
        }
        // Byte by byte: what follows the head belongs to TLS.
        head.push(tcp.read_u8().await.map_err(broken)?);
    }
    let status =
        head.split(|byte| *byte == b' ').nth(1).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    match status {
        Some(200_u16..=299) if head.starts_with(b"HTTP/1.") => Ok(()),
        Some(status) => Err(Failure::new(Reason::Connect, format!("the proxy answered {status}"))),
        None => Err(Failure::new(Reason::Connect, "the proxy's answer is no HTTP")),
    }
}

/// What the system says, in words that do not depend on it.
fn refusal(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route there",
        io::ErrorKind::PermissionDenied => "the sandbox or the system does not allow to connect there",
        _ => "cannot connect",
    }
}

const MAX_ADDRESSES: usize = 4;
const MAX_PROXY_HEAD: usize = 8 << 10;
