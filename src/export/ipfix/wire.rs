//! The connection to a collector.

use super::collector::{Collector, Target, Transport};
use crate::export::Error;
use crate::export::outlet::{Ending, now};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// How long a collector may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a write may be held up before the collector counts as gone.
const WRITE: Duration = Duration::from_secs(5);
/// How soon a write that is held up notices that all has to end.
const NOTICE: Duration = Duration::from_millis(100);
/// Addresses of a name that are tried.
const ADDRESSES: usize = 4;

pub(super) enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What TLS trusts; nothing for other transports.
pub(super) type Trust = Option<Arc<ClientConfig>>;

/// Reads what the certificate of a collector is checked with.
///
/// # Errors
/// [`Error::Tls`]
pub(super) fn trust(collector: &Collector) -> Result<Trust, Error> {
    if collector.to.transport != Transport::Tls {
        return Ok(None);
    }
    let failed = |reason: String| Error::Tls { collector: collector.to.to_string(), reason };
    let certificates = match &collector.ca_file {
        Some(file) => {
            let unreadable = |error| failed(format!("cannot read `{}`: {error}", file.display()));
            let read = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
            read.collect::<Result<Vec<_>, _>>().map_err(unreadable)?
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(failed("there is no CA certificate to trust".into()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| failed(error.to_string()))?;
    Ok(Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
}

/// Connects to the first address that takes it.
///
/// # Errors
/// That of the last address that was tried.
pub(super) fn connect(target: &Target, trust: &Trust) -> io::Result<Wire> {
    let addresses: Vec<_> = (target.host.as_str(), target.port).to_socket_addrs()?.take(ADDRESSES).collect();
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match connect_to(target, address, trust) {
            Ok(wire) => return Ok(wire),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect_to(target: &Target, address: SocketAddr, trust: &Trust) -> io::Result<Wire> {
    if target.transport == Transport::Udp {
        let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        return Ok(Wire::Udp(socket));
    }
    let stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_write_timeout(Some(NOTICE))?;
    stream.set_read_timeout(Some(WRITE))?;
    stream.set_nodelay(true)?;
    let Some(trust) = trust else { return Ok(Wire::Tcp(stream)) };
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "the host is no name for TLS"))?;
    let session = ClientConnection::new(Arc::clone(trust), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    // The handshake, so that a collector that is not trusted gets nothing and is known as such.
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Wire::Tls(Box::new(stream)))
}

/// Goes on until `step` is done; a step that is held up may be so for [`WRITE`], unless all has to end.
fn patiently(ending: &Ending, mut step: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let mut until = now() + WRITE;
    loop {
        match step() {
            Ok(true) => return Ok(()),
            Ok(false) => until = now() + WRITE,
            Err(error) => {
                let is_held =
                    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted);
                if !is_held || now() >= until || ending.is_over() {
                    return Err(error);
                }
            }
        }
    }
}

impl Wire {
    /// Sends one message.
    ///
    /// # Errors
    /// It did not leave, or not whole; the connection is of no use then. Over UDP [`ErrorKind::ConnectionRefused`] is
    /// about the message before, and this one has not been sent.
    pub(super) fn send(&mut self, message: &[u8], ending: &Ending) -> io::Result<()> {
        self.listen()?;
        match self {
            Self::Udp(socket) => socket.send(message).map(drop),
            Self::Tcp(stream) => {
                let mut rest = message;
                patiently(ending, || {
                    rest = &rest[stream.write(rest)?..];
                    Ok(rest.is_empty())
                })
            }
            Self::Tls(stream) => {
                let StreamOwned { conn, sock } = stream.as_mut();
                conn.writer().write_all(message)?;
                patiently(ending, || {
                    conn.write_tls(sock)?;
                    Ok(!conn.wants_write())
                })
            }
        }
    }

    /// Notices that the collector has closed. It never sends anything, TLS itself aside (RFC 7011 section 10.4.2.2).
    fn listen(&mut self) -> io::Result<()> {
        let stream = match self {
            Self::Udp(_) => return Ok(()),
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => &mut stream.sock,
        };
        stream.set_nonblocking(true)?;
        let heard = stream.peek(&mut [0; 1]);
        stream.set_nonblocking(false)?;
        match (heard, self) {
            (Ok(0), _) => Err(io::Error::new(ErrorKind::ConnectionReset, "the collector closed the connection")),
            (Ok(_), Self::Tls(stream)) => {
                stream.conn.read_tls(&mut stream.sock)?;
                let state = stream.conn.process_new_packets().map_err(io::Error::other)?;
                let closed = || io::Error::new(ErrorKind::ConnectionReset, "the collector closed the connection");
                if state.peer_has_closed() { Err(closed()) } else { Ok(()) }
            }
            (Ok(_), _) => Ok(()),
            (Err(error), _) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            (Err(error), _) => Err(error),
        }
    }

    /// Says that nothing more comes, and lets the collector take what is on its way.
    pub(super) fn finish(self) {
        // Nobody is there to be told of an error any more.
        match self {
            Self::Udp(_) => {}
            Self::Tcp(stream) => drop(stream.shutdown(std::net::Shutdown::Write)),
            Self::Tls(mut stream) => {
                stream.conn.send_close_notify();
                drop(stream.flush());
                drop(stream.sock.shutdown(std::net::Shutdown::Write));
            }
        }
    }
}
