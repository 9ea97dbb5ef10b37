//! Opening the ports and sockets to listen on.

use super::{Bind, Config};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use thiserror::Error;

/// A bound listener that is not served yet; connections wait in its backlog.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
    bind: Bind,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl Listener {
    /// Where it listens; for a TCP port of 0 in the configuration, the port that was given.
    pub fn bind(&self) -> &Bind {
        &self.bind
    }

    /// The page for a browser on this machine; `None` for a unix socket.
    pub fn url(&self) -> Option<String> {
        match self.bind {
            Bind::Tcp(address) if address.ip().is_unspecified() => {
                Some(format!("http://localhost:{}/", address.port()))
            }
            Bind::Tcp(address) => Some(format!("http://{address}/")),
            Bind::Unix(_) => None,
        }
    }
}

/// Why a listener could not be opened. [`BindError::hint`] says what to do.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another program listens there.
    #[error("cannot listen on `{bind}`: the address is in use")]
    InUse {
        /// Where.
        bind: Bind,
    },
    /// The user may not.
    #[error("cannot listen on `{bind}`: permission denied")]
    Denied {
        /// Where.
        bind: Bind,
    },
    /// No interface has the address.
    #[error("cannot listen on `{bind}`: no interface has this address")]
    NotHere {
        /// Where.
        bind: Bind,
    },
    /// Something else has the name of the unix socket.
    #[error("cannot listen on `{bind}`: a file that is not a socket is there")]
    NotASocket {
        /// Where.
        bind: Bind,
    },
    /// Anything else.
    #[error("cannot listen on `{bind}`")]
    Other {
        /// Where.
        bind: Bind,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BindError {
    fn new(bind: &Bind, source: io::Error) -> Self {
        let bind = bind.clone();
        match source.kind() {
            ErrorKind::AddrInUse => Self::InUse { bind },
            ErrorKind::PermissionDenied => Self::Denied { bind },
            ErrorKind::AddrNotAvailable => Self::NotHere { bind },
            _ => Self::Other { bind, source },
        }
    }

    /// What the user can do about it, in one line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InUse { bind: Bind::Tcp(address) } => Some(format!(
                "`ss -ltnp 'sport = :{}'` shows who listens there; `--bind` or `api.bind` chooses another address",
                address.port()
            )),
            Self::InUse { bind: Bind::Unix(_) } => {
                Some("a running program answers on this socket; `api.bind` chooses another path".into())
            }
            Self::Denied { bind: Bind::Tcp(_) } => {
                Some("ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one".into())
            }
            Self::Denied { bind: Bind::Unix(_) } => {
                Some("the directory must be writable for the user of netmon".into())
            }
            Self::NotHere { .. } => Some("`ip address` lists the addresses of this machine".into()),
            Self::NotASocket { .. } => Some("nothing was deleted; move the file away or choose another path".into()),
            Self::Other { .. } => None,
        }
    }
}

/// Opens every listener of `config`, or none.
///
/// A unix socket gets mode 0660. One left behind by a program that is gone is replaced; one that answers is not.
///
/// # Errors
/// [`BindError`] for the first one that cannot be opened.
pub fn bind(config: &Config) -> Result<Vec<Listener>, BindError> {
    config.bind.iter().map(|bind| open(bind).map_err(|error| error.unwrap_or_bind(bind))).collect()
}

/// Either a finding of our own or what the system said.
enum Failure {
    Found(BindError),
    System(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Failure {
    fn unwrap_or_bind(self, bind: &Bind) -> BindError {
        match self {
            Self::Found(error) => error,
            Self::System(error) => BindError::new(bind, error),
        }
    }
}

fn open(bind: &Bind) -> Result<Listener, Failure> {
    match bind {
        Bind::Tcp(address) => Ok(open_tcp(*address)?),
        Bind::Unix(path) => open_unix(bind, path),
    }
}

fn open_tcp(address: SocketAddr) -> io::Result<Listener> {
    let socket = TcpListener::bind(address)?;
    lengthen_backlog(&socket)?;
    bound_send_buffer(&socket)?;
    socket.set_nonblocking(true)?;
    let bind = Bind::Tcp(socket.local_addr()?);
    Ok(Listener { socket: Socket::Tcp(socket), bind })
}

/// As many connections may wait to be accepted as the system allows: the usual 128 are full when a crowd comes, and then
/// a scraper tries again only after a second.
#[cfg(unix)]
fn lengthen_backlog(socket: &TcpListener) -> io::Result<()> {
    use nix::sys::socket::{Backlog, listen};
    Ok(listen(socket, Backlog::MAXCONN)?)
}

#[cfg(not(unix))]
fn lengthen_backlog(_: &TcpListener) -> io::Result<()> {
    Ok(())
}

/// What the kernel keeps for a client that does not read, of which it counts the double; connections inherit it. Left
/// alone it grows to megabytes for each.
#[cfg(unix)]
fn bound_send_buffer(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    const BYTES: usize = 256 << 10;
    Ok(setsockopt(socket, sockopt::SndBuf, &BYTES)?)
}

#[cfg(not(unix))]
fn bound_send_buffer(_: &TcpListener) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn open_unix(bind: &Bind, path: &Path) -> Result<Listener, Failure> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(Failure::Found(BindError::NotASocket { bind: bind.clone() }));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(Failure::Found(BindError::InUse { bind: bind.clone() }));
        }
        std::fs::remove_file(path)?;
    }
    let socket = UnixListener::bind(path)?;
    bound_send_buffer(&socket)?;
    // Until here the mode is that of the umask, which usually lets nobody but the owner write, that is connect.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    socket.set_nonblocking(true)?;
    Ok(Listener { socket: Socket::Unix(socket), bind: bind.clone() })
}

#[cfg(not(unix))]
fn open_unix(bind: &Bind, _path: &Path) -> Result<Listener, Failure> {
    let source = io::Error::new(ErrorKind::Unsupported, "this system has no unix sockets");
    Err(Failure::Found(BindError::Other { bind: bind.clone(), source }))
}
