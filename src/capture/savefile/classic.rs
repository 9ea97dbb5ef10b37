//! Classic pcap: a file header of 24 bytes, then records of 16 (or 24) bytes and the captured data.
//!
//! Read are both byte orders, microseconds and nanoseconds, and the variant of A. Kuznetzov with a packet type in each
//! record. Versions 2.0 to 2.4: before 2.3 the two lengths of a record stand the other way round, in 2.3 either way
//! (libpcap's sf-pcap.c tells of the programs that wrote them). Fields: draft-ietf-opsawg-pcap section 4 and 5.

use super::incomplete::Damage;
use super::record::{ByteOrder, MAX_CAPLEN, Record, Step};
use crate::capture::error::FileFault;
use crate::packet::{Direction, InterfaceId, Linktype, PacketMeta};
use crate::time::Timestamp;

/// Size of the file header.
pub(super) const HEADER: usize = 24;

/// How one file is written.
#[derive(Debug)]
pub(super) struct Classic {
    order: ByteOrder,
    /// Nanoseconds of one unit of the fraction.
    unit: u32,
    /// Size of a record header: 16, with packet type 24.
    record_header: usize,
    lengths: Lengths,
    linktype: Linktype,
    interface: InterfaceId,
    bad_timestamps: u64,
}

/// Order of the two lengths in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// Captured, then wire (2.4).
    Captured,
    /// Wire, then captured (2.0 to 2.2).
    Exchanged,
    /// The smaller one is captured (2.3).
    Smaller,
}

impl Classic {
    /// The byte order that this magic number tells, if it is one of a classic file.
    pub(super) fn order(magic: [u8; 4]) -> Option<ByteOrder> {
        [ByteOrder::Little, ByteOrder::Big].into_iter().find(|order| Variant::of(order.u32(magic)).is_some())
    }

    /// Reads a file header; the interface is given later by [`Classic::set_interface`].
    ///
    /// # Errors
    /// [`FileFault`] for a version or a link type that netmon does not read.
    pub(super) fn open(order: ByteOrder, header: &[u8; HEADER]) -> Result<Self, FileFault> {
        let (major, minor) = (order.u16_at(header, 4), order.u16_at(header, 6));
        let lengths = match (major, minor) {
            (2, 0..=2) => Lengths::Exchanged,
            (2, 3) => Lengths::Smaller,
            (2, 4) => Lengths::Captured,
            _ => return Err(FileFault::Version { format: "pcap", major, minor }),
        };
        // The upper six bits tell the length of an FCS; wire lengths stay as they are recorded.
        let number = order.u32_at(header, 20) & 0x03ff_ffff;
        let linktype = u16::try_from(number).map(Linktype::from_number);
        let Some(linktype) = linktype.ok().filter(|linktype| linktype.is_supported()) else {
            return Err(FileFault::Linktypes(vec![number]));
        };
        let variant = Variant::of(order.u32_at(header, 0)).unwrap_or(Variant::Micro);
        Ok(Self {
            order,
            unit: if variant == Variant::Nano { 1 } else { 1000 },
            record_header: if variant == Variant::Kuznetzov { 24 } else { 16 },
            lengths,
            linktype,
            interface: InterfaceId::default(),
            bad_timestamps: 0,
        })
    }

    pub(super) fn linktype(&self) -> Linktype {
        self.linktype
    }

    pub(super) fn set_interface(&mut self, interface: InterfaceId) {
        self.interface = interface;
    }

    pub(super) fn bad_timestamps(&self) -> u64 {
        self.bad_timestamps
    }

    /// The record at the start of `bytes`. Always inlined: a step returned through memory costs more than it does.
    #[inline(always)]
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        let Some(header) = bytes.first_chunk::<16>() else { return Step::More(self.record_header) };
        let [s0, s1, s2, s3, f0, f1, f2, f3, a0, a1, a2, a3, b0, b1, b2, b3] = *header;
        let first = self.order.u32([a0, a1, a2, a3]);
        let second = self.order.u32([b0, b1, b2, b3]);
        let (caplen, wire_len) = match self.lengths {
            Lengths::Captured => (first, second),
            Lengths::Exchanged => (second, first),
            Lengths::Smaller => (first.min(second), first.max(second)),
        };
        if caplen > MAX_CAPLEN {
            return Step::Damaged(Damage::Caplen(caplen));
        }
        let size = self.record_header + caplen as usize;
        if bytes.len() < size {
            return Step::More(size);
        }
        let seconds = self.order.u32([s0, s1, s2, s3]);
        let timestamp = self.timestamp(seconds, self.order.u32([f0, f1, f2, f3]));
        let direction = if self.record_header == 16 { None } else { bytes.get(22).copied().and_then(direction) };
        let (interface, linktype) = (self.interface, self.linktype);
        let meta = PacketMeta { timestamp, timed: true, interface, linktype, caplen, wire_len, direction, gso_size: 0 };
        Step::Packet(Record { meta, data: self.record_header, size })
    }

    /// A fraction of a second or more is counted and becomes the last one inside the second.
    #[inline(always)]
    fn timestamp(&mut self, seconds: u32, fraction: u32) -> Timestamp {
        let last = 1_000_000_000 / self.unit - 1;
        if fraction > last {
            self.bad_timestamps += 1;
        }
        let nanos = u64::from(fraction.min(last)) * u64::from(self.unit);
        Timestamp::from_nanos(u64::from(seconds) * 1_000_000_000 + nanos)
    }
}

/// What the magic number says besides the byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Micro,
    Nano,
    Kuznetzov,
}

impl Variant {
    const fn of(magic: u32) -> Option<Self> {
        match magic {
            0xa1b2_c3d4 => Some(Self::Micro),
            0xa1b2_3c4d => Some(Self::Nano),
            0xa1b2_cd34 => Some(Self::Kuznetzov),
            _ => None,
        }
    }
}

/// The packet types of Linux (linux/if_packet.h).
const fn direction(packet_type: u8) -> Option<Direction> {
    match packet_type {
        0..=3 => Some(Direction::Receive),
        4 => Some(Direction::Transmit),
        _ => None,
    }
}
