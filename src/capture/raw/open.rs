//! Opening adapters: a socket, its ring, its filter, its interface, in an order that lets no frame slip in.
//!
//! A filter that rejects everything is there before the interface is, and the real one is set last. So every frame in
//! the ring has passed the real filter, and was dealt by the whole fan-out group.

use super::block::{HEADROOM, Layout};
use super::filter::{Compiler, KernelFilter};
use super::ring::{self, Geometry, Ring};
use super::spares::{Lease, Spares};
use super::watch::Watch;
use super::{RETIRE_MS, RawSocketAdapter, fanout};
use crate::capture::interfaces::Interface;
use crate::capture::pcap::perspective;
use crate::capture::{CaptureError, Config, FilterError, InterfaceInfo, Statistics};
use crate::packet::{InterfaceId, Linktype};
use libc::c_int;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Bytes of a block: many times a super-frame of 64 KiB.
const BLOCK: u32 = 1 << 20;
/// Where the buffer is smaller than two such blocks; still holds a super-frame.
const SMALL_BLOCK: u32 = 128 << 10;

impl RawSocketAdapter {
    /// Opens an interface, which may be down, and sets the filter of `config`; its frames carry `id`.
    ///
    /// Bounds: `config.buffer_bytes` of kernel memory in blocks of 1 MiB; two blocks of 128 KiB at least.
    ///
    /// # Errors
    /// [`CaptureError::NoSpare`], [`CaptureError::Filter`], [`CaptureError::InterfaceGone`],
    /// [`CaptureError::UnknownHardware`] for an interface whose frames begin with neither an Ethernet nor an IP header, or
    /// [`CaptureError::PacketSocket`] for what else the kernel refuses.
    pub fn open(
        interface: &Interface,
        id: InterfaceId,
        config: &Config,
        spares: &Spares,
        compiler: &Arc<Compiler>,
    ) -> Result<Self, CaptureError> {
        let member = Bound::new(interface, config.buffer_bytes, spares)?;
        member.start(interface, id, config, compiler)
    }

    /// Opens an interface with `rings` rings (1 where it is 0), each for a thread of its own. Both directions of a flow,
    /// its fragments and what it tunnels go to the same ring; frames without an IP header go to the first.
    ///
    /// The buffer of `config` is divided among the rings. The sockets cannot become spares again.
    ///
    /// # Errors
    /// As [`RawSocketAdapter::open`]; kernels before 6.13 also refuse it while the interface is down.
    pub fn open_fanout(
        interface: &Interface,
        id: InterfaceId,
        config: &Config,
        spares: &Spares,
        compiler: &Arc<Compiler>,
        rings: usize,
    ) -> Result<Vec<Self>, CaptureError> {
        let rings = u32::try_from(rings.max(1)).unwrap_or(u32::MAX);
        let members = (0..rings).map(|_| Bound::new(interface, config.buffer_bytes / rings, spares));
        let mut members = members.collect::<Result<Vec<_>, _>>()?;
        if let [first, _, ..] = &members[..] {
            let linktype = first.linktype;
            let leases = members.iter_mut().map(|member| &mut member.lease);
            fanout::join(leases, linktype).map_err(|source| failed(interface, "cannot share it out", source))?;
        }
        members.into_iter().map(|member| member.start(interface, id, config, compiler)).collect()
    }
}

/// A socket with its ring, bound to an interface, that still rejects everything.
struct Bound {
    // Unmapped before the lease is dropped.
    ring: Ring,
    lease: Lease,
    linktype: Linktype,
    loopback: bool,
    vnet_header: bool,
    index: c_int,
}

impl Bound {
    fn new(interface: &Interface, buffer_bytes: u32, spares: &Spares) -> Result<Self, CaptureError> {
        let gone = || CaptureError::InterfaceGone { interface: interface.name.clone() };
        let index = interface.index.and_then(|index| c_int::try_from(index).ok()).ok_or_else(gone)?;
        let lease = spares.take(&interface.name)?;
        let socket = lease.as_fd();
        attach(socket, &KernelFilter::nothing()).map_err(|error| failed(interface, "cannot set its filter", error))?;
        let vnet_header = prepare(socket).map_err(|error| failed(interface, "cannot prepare a ring", error))?;
        let ring = Ring::map(socket, geometry(buffer_bytes));
        let ring = ring.map_err(|error| failed(interface, "cannot map a ring", error))?;
        ring::bind(socket, ALL_PROTOCOLS, index).map_err(|error| failed(interface, "cannot bind it", error))?;
        let bound_to = ring::bound_to(socket).and_then(|bound_to| {
            // Counts of whoever had the socket before.
            ring::take_statistics(socket)?;
            Ok(bound_to)
        });
        let (bound_index, hardware) = bound_to.map_err(|error| failed(interface, "cannot ask it", error))?;
        if bound_index != index {
            return Err(gone());
        }
        let linktype = linktype(hardware)
            .ok_or_else(|| CaptureError::UnknownHardware { interface: interface.name.clone(), hardware })?;
        let loopback = hardware == libc::ARPHRD_LOOPBACK;
        Ok(Self { ring, lease, linktype, loopback, vnet_header, index })
    }

    /// Lets frames in.
    fn start(
        mut self,
        interface: &Interface,
        id: InterfaceId,
        config: &Config,
        compiler: &Arc<Compiler>,
    ) -> Result<RawSocketAdapter, CaptureError> {
        let snaplen = config.snaplen.max(1);
        let filter = program(config.bpf.as_deref(), self.linktype, snaplen, self.loopback, compiler)?;
        // An interface without such a mode is captured without.
        let promiscuous = config.promiscuous && self.lease.join_promiscuous(self.index).is_ok();
        attach(self.lease.as_fd(), &filter).map_err(|error| failed(interface, "cannot set its filter", error))?;
        let Self { ring, lease, linktype, loopback, vnet_header, .. } = self;
        let mut perspective = perspective(interface);
        perspective.loopback |= loopback;
        let name = interface.name.clone();
        Ok(RawSocketAdapter {
            ring,
            lease,
            interface: [InterfaceInfo { id, name, linktypes: vec![linktype], perspective }],
            layout: Layout { vnet_header, ethernet: linktype == Linktype::Ethernet },
            snaplen,
            promiscuous,
            announced: false,
            compiler: Arc::clone(compiler),
            counted: Statistics::default(),
            watch: Watch::new(),
        })
    }
}

/// The program for an expression: cut to `snaplen`, and each frame of the loopback once.
pub(super) fn program(
    expression: Option<&str>,
    linktype: Linktype,
    snaplen: u32,
    loopback: bool,
    compiler: &Compiler,
) -> Result<KernelFilter, FilterError> {
    let filter = match expression {
        Some(expression) => compiler.compile(expression, linktype)?.limited(snaplen),
        None => KernelFilter::everything(snaplen),
    };
    Ok(if loopback { filter.without_outgoing() } else { filter })
}

/// Replaces the filter in one step.
pub(super) fn attach(socket: BorrowedFd<'_>, filter: &KernelFilter) -> io::Result<()> {
    ring::attach(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, filter.instructions())
}

/// Options that must be there before the ring; whether frames get a virtio header, which old kernels refuse.
fn prepare(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let set = |name, value| ring::set(socket, libc::SOL_PACKET, name, value);
    set(libc::PACKET_VERSION, libc::tpacket_versions::TPACKET_V3 as c_int)?;
    set(libc::PACKET_RESERVE, HEADROOM.cast_signed())?;
    Ok(set(libc::PACKET_VNET_HDR, 1).is_ok())
}

/// Whole blocks for at most `buffer_bytes`, but for the least that works.
fn geometry(buffer_bytes: u32) -> Geometry {
    let block_bytes = if buffer_bytes < 2 * BLOCK { SMALL_BLOCK } else { BLOCK };
    Geometry { block_bytes, blocks: (buffer_bytes / block_bytes).max(2), retire_ms: RETIRE_MS }
}

/// How the frames of a hardware type begin; `None` for what is not read.
fn linktype(hardware: u16) -> Option<Linktype> {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(Linktype::Ethernet),
        libc::ARPHRD_NONE
        | ARPHRD_RAWIP
        | libc::ARPHRD_PPP
        | libc::ARPHRD_TUNNEL
        | libc::ARPHRD_SIT
        | libc::ARPHRD_TUNNEL6 => Some(Linktype::Raw),
        _ => None,
    }
}

fn failed(interface: &Interface, doing: &'static str, source: io::Error) -> CaptureError {
    let name = interface.name.clone();
    match source.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => CaptureError::InterfaceGone { interface: name },
        _ => CaptureError::PacketSocket { interface: name, doing, source },
    }
}

/// ETH_P_ALL.
const ALL_PROTOCOLS: u16 = 3;
/// A device that carries bare IP packets (if_arp.h).
const ARPHRD_RAWIP: u16 = 519;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_made_of_whole_blocks_and_at_least_two() {
        let blocks = |buffer_bytes| {
            let Geometry { block_bytes, blocks, .. } = geometry(buffer_bytes);
            (block_bytes >> 10, blocks)
        };
        assert_eq!(blocks(16 << 20), (1024, 16));
        assert_eq!(blocks((3 << 20) - 1), (1024, 2));
        assert_eq!(blocks((2 << 20) - 1), (128, 15));
        assert_eq!((blocks(0), blocks(256 << 10)), ((128, 2), (128, 2)));
    }

    #[test]
    fn hardware_types_that_begin_with_neither_ethernet_nor_ip_are_not_read() {
        assert_eq!(linktype(libc::ARPHRD_ETHER), Some(Linktype::Ethernet));
        assert_eq!(linktype(libc::ARPHRD_NONE), Some(Linktype::Raw));
        assert_eq!(linktype(libc::ARPHRD_IEEE80211_RADIOTAP), None);
    }
}
