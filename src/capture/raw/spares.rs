//! Packet sockets opened while that was allowed, for a process that gave its privileges up.
//!
//! Only a new packet socket needs CAP_NET_RAW; binding, filters, rings and promiscuous mode on one that is open do not.
//! So a process that keeps spares can follow interfaces that come and go for as long as it runs.

use super::filter::KernelFilter;
use super::ring;
use crate::capture::CaptureError;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, socket, sockopt};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The protocol that a socket at rest is bound to: reserved by IEEE 802, so no frame has it.
///
/// There is no way to unbind, and protocol 0 in a second bind means the protocol of the first.
const NOTHING: u16 = 0xffff;

/// Packet sockets that no adapter uses, shared by all that may need one.
///
/// Each costs a descriptor and no ring. It receives nothing: it was never bound, or is at rest with a filter that
/// rejects all. An adapter takes one and gives it back when it is dropped. A member of a fan-out group cannot leave the
/// group except by being closed, so the sockets of [`open_fanout`](super::RawSocketAdapter::open_fanout) do not come back
/// ([`Spares::lost`]).
#[derive(Clone, Debug)]
pub struct Spares(Arc<Mutex<Shelf>>);

#[derive(Debug)]
struct Shelf {
    sockets: Vec<OwnedFd>,
    opened: usize,
    lost: usize,
}

impl Spares {
    /// Opens `count` packet sockets, closed on exec.
    ///
    /// # Errors
    /// [`CaptureError::OpenSpares`] at the first one that the system refuses: CAP_NET_RAW is missing, or descriptors are.
    pub fn open(count: usize) -> Result<Self, CaptureError> {
        let refused = |number, source| CaptureError::OpenSpares { number, count, source };
        let sockets = (1..=count).map(|number| fresh().map_err(|error| refused(number, error)));
        let sockets = sockets.collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Mutex::new(Shelf { sockets, opened: count, lost: 0 }))))
    }

    /// Sockets that can be taken now.
    pub fn left(&self) -> usize {
        self.shelf().sockets.len()
    }

    /// Sockets of the first ones that were closed and are no spares any more.
    pub fn lost(&self) -> usize {
        self.shelf().lost
    }

    /// A spare, else a new socket where the process may open one.
    pub(super) fn take(&self, interface: &str) -> Result<Lease, CaptureError> {
        let (spare, opened) = {
            let mut shelf = self.shelf();
            (shelf.sockets.pop(), shelf.opened)
        };
        let socket = match spare {
            Some(spare) => spare,
            None => fresh().map_err(|source| CaptureError::NoSpare { interface: interface.into(), opened, source })?,
        };
        Ok(Lease { socket: Some(socket), home: self.clone(), promiscuous: None, in_fanout: false })
    }

    /// Takes a socket back: at rest and within the first count, else it is closed.
    fn give_back(&self, socket: Option<OwnedFd>) {
        let mut shelf = self.shelf();
        match socket {
            Some(socket) if shelf.sockets.len() < shelf.opened => shelf.sockets.push(socket),
            Some(_) => {}
            None => shelf.lost += 1,
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // A list of descriptors is whole after every statement, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A packet socket that receives nothing until it is bound.
fn fresh() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?)
}

/// A socket in use; goes back to its spares when dropped. Its ring must not be mapped any more by then.
#[derive(Debug)]
pub(super) struct Lease {
    /// `None` only while it is dropped.
    socket: Option<OwnedFd>,
    home: Spares,
    promiscuous: Option<i32>,
    in_fanout: bool,
}

impl Lease {
    /// Asks the interface for frames that are not addressed to it.
    pub(super) fn join_promiscuous(&mut self, index: i32) -> io::Result<()> {
        ring::set_promiscuous(self.as_fd(), index, true)?;
        self.promiscuous = Some(index);
        Ok(())
    }

    /// From now on the socket can only be closed.
    pub(super) fn joined_fanout(&mut self) {
        self.in_fanout = true;
    }
}

impl AsFd for Lease {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_ref().expect("it is taken out by drop only").as_fd()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (promiscuous, in_fanout) = (self.promiscuous, self.in_fanout);
        let at_rest = |socket: &OwnedFd| !in_fanout && rest(socket.as_fd(), promiscuous).is_ok();
        let socket = self.socket.take().filter(at_rest);
        self.home.give_back(socket);
    }
}

/// Makes the socket receive nothing and cost nothing.
///
/// Nothing can be left in its queue: whatever came since it was opened went into the ring, which is freed last.
fn rest(socket: BorrowedFd<'_>, promiscuous: Option<i32>) -> io::Result<()> {
    ring::attach(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, KernelFilter::nothing().instructions())?;
    if let Some(index) = promiscuous {
        // Fails where the interface is gone, and its membership with it.
        let _ = ring::set_promiscuous(socket, index, false);
    }
    ring::bind(socket, NOTHING, 0)?;
    ring::remove(socket)?;
    getsockopt(&socket, sockopt::SocketError)?;
    Ok(())
}

/// Stops a handle that another library opened from receiving anything.
pub(super) fn silence(socket: BorrowedFd<'_>) -> io::Result<()> {
    ring::bind(socket, NOTHING, 0)
}
