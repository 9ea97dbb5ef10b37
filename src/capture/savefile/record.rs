//! What the readers of both formats share: one step through the bytes, and byte order.

use super::incomplete::Damage;
use crate::packet::PacketMeta;

/// The most captured bytes of a record; more cannot be right (libpcap's MAXIMUM_SNAPLEN, Wireshark's limit).
pub(super) const MAX_CAPLEN: u32 = 262_144;

/// A packet record in the bytes that were looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) meta: PacketMeta,
    /// Where its captured bytes begin; `meta.caplen` of them are there.
    pub(super) data: usize,
    /// Bytes of the whole record, from the start of what was looked at.
    pub(super) size: usize,
}

/// What is at the start of the bytes.
#[derive(Debug)]
pub(super) enum Step {
    /// A packet record.
    Packet(Record),
    /// This many bytes without a packet.
    Skip(usize),
    /// Not enough to say; this many are needed, more than there were.
    More(usize),
    /// Nothing that can be right.
    Damaged(Damage),
}

/// Order of the bytes of a number in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    #[inline]
    pub(super) const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(super) const fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// The number at `at`; 0 past the end, which callers rule out by a length check.
    #[inline]
    pub(super) fn u16_at(self, bytes: &[u8], at: usize) -> u16 {
        bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| self.u16(*chunk))
    }

    /// The number at `at`; 0 past the end, which callers rule out by a length check.
    #[inline]
    pub(super) fn u32_at(self, bytes: &[u8], at: usize) -> u32 {
        bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| self.u32(*chunk))
    }
}
