//! The frames of one block of a TPACKET_V3 ring, read with bounds checks from plain memory.
//!
//! The layout is that of the kernel's `packet_mmap` document: a block begins with a descriptor that says how many frames
//! there are and where the first is; each frame is a `tpacket3_hdr`, a `sockaddr_ll`, some room, and its bytes, and says
//! how far the next one is. No number is trusted beyond the block: a frame that cannot be right ends the walk, and
//! [`Records::is_whole`] says so.
//!
//! A VLAN tag that the kernel took out of the frame is put back where it was, by moving the two addresses 4 bytes down
//! into the room in front of them.

use crate::time::{NANOS_PER_SECOND, Timestamp};
use std::mem::{offset_of, size_of};

/// Bytes of room asked for in front of every frame: one VLAN tag.
pub(super) const HEADROOM: u32 = 4;
/// Bytes of the virtio header (version without merged buffers), which ends where the frame begins.
const VNET_HEADER: usize = 10;
const TAG: usize = 4;
/// How far ahead frames are asked for: eight of the smallest.
const SOON: usize = 1280;
/// Both addresses of an Ethernet header, in front of the tag.
const ADDRESSES: usize = 12;
/// What a tag has been until the kernel said which (0x8100).
const DOT1Q: u16 = 0x8100;

const BLOCK_HEADER: usize = offset_of!(libc::tpacket_block_desc, hdr);
const COUNT: usize = BLOCK_HEADER + offset_of!(libc::tpacket_hdr_v1, num_pkts);
const FIRST: usize = BLOCK_HEADER + offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt);

const ADDRESS: usize = size_of::<libc::tpacket3_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);
const HEADER_END: usize = ADDRESS + size_of::<libc::sockaddr_ll>();
const PACKET_TYPE: usize = ADDRESS + offset_of!(libc::sockaddr_ll, sll_pkttype);
const VARIANT: usize = offset_of!(libc::tpacket3_hdr, hv1);
const TCI: usize = VARIANT + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tci);
const TPID: usize = VARIANT + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tpid);

/// What the socket was set to, without which a block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// A virtio header stands in front of each frame.
    pub(super) vnet_header: bool,
    /// Frames begin with an Ethernet header, so that a VLAN tag can be put back.
    pub(super) ethernet: bool,
}

/// A frame as the kernel describes it, its VLAN tag in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// When it came.
    pub(super) timestamp: Timestamp,
    /// `PACKET_HOST`, `PACKET_OUTGOING`, ...
    pub(super) packet_type: u8,
    /// Length on the link, the tag included.
    pub(super) wire_len: u32,
    /// Payload bytes of a segment, 0 if it is no super-frame.
    pub(super) gso_size: u16,
    /// What was captured.
    pub(super) bytes: &'a [u8],
}

impl Record<'_> {
    /// Stands where no frame is yet.
    pub(super) const NONE: Self =
        Self { timestamp: Timestamp::MIN, packet_type: 0, wire_len: 0, gso_size: 0, bytes: &[] };
}

/// The frames of one block, in the order they came.
#[derive(Debug)]
pub(super) struct Records<'a> {
    rest: &'a mut [u8],
    left: u32,
    layout: Layout,
    is_whole: bool,
}

impl<'a> Records<'a> {
    /// Reads the descriptor of `block`.
    pub(super) fn new(block: &'a mut [u8], layout: Layout) -> Self {
        let first = u32_at(block, FIRST).and_then(|first| usize::try_from(first).ok());
        match (u32_at(block, COUNT), first) {
            (Some(left), Some(first)) if first <= block.len() => {
                Self { rest: &mut block[first..], left, layout, is_whole: true }
            }
            _ => Self { rest: &mut [], left: 0, layout, is_whole: false },
        }
    }

    /// Whether all frames read so far, and the descriptor, were in bounds.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Takes the memory of the next frame off the front: all that is left if it is the last one.
    #[inline]
    fn next_slot(&mut self) -> Option<&'a mut [u8]> {
        let rest = std::mem::take(&mut self.rest);
        self.left -= 1;
        if self.left == 0 {
            return Some(rest);
        }
        // What another processor wrote is far away, and not always in steps that the processor would foresee.
        super::ring::prefetch(rest, SOON);
        let next = u32_at(rest, offset_of!(libc::tpacket3_hdr, tp_next_offset))?;
        let (slot, rest) = rest.split_at_mut_checked(usize::try_from(next).ok()?)?;
        self.rest = rest;
        Some(slot)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        if self.left == 0 {
            return None;
        }
        let layout = self.layout;
        let record = self.next_slot().and_then(|slot| record(slot, layout));
        if record.is_none() {
            (self.left, self.is_whole) = (0, false);
        }
        record
    }
}

/// Reads a frame whose header begins `slot`; `None` where a number points outside.
#[inline]
fn record(slot: &mut [u8], layout: Layout) -> Option<Record<'_>> {
    // Its length is checked once for all fields.
    let header: &[u8; HEADER_END] = slot.first_chunk()?;
    let seconds = u32_at(header, offset_of!(libc::tpacket3_hdr, tp_sec))?;
    let nanos = u32_at(header, offset_of!(libc::tpacket3_hdr, tp_nsec))?;
    let caplen = u32_at(header, offset_of!(libc::tpacket3_hdr, tp_snaplen))?;
    let wire_len = u32_at(header, offset_of!(libc::tpacket3_hdr, tp_len))?;
    let start = usize::from(u16_at(header, offset_of!(libc::tpacket3_hdr, tp_mac))?);
    let packet_type = header[PACKET_TYPE];
    let tag = if layout.ethernet { stripped_tag(header)? } else { None };
    let gso_size = if layout.vnet_header { gso_size(slot, start)? } else { 0 };
    let timestamp = Timestamp::from_nanos(u64::from(seconds) * NANOS_PER_SECOND + u64::from(nanos));
    let end = start.checked_add(usize::try_from(caplen).ok()?)?;
    if start < HEADER_END || end > slot.len() || caplen > wire_len {
        return None;
    }
    let Some(tag) = tag else {
        return Some(Record { timestamp, packet_type, wire_len, gso_size, bytes: &slot[start..end] });
    };
    let bytes = restore(slot, start, end, tag)?;
    Some(Record { timestamp, packet_type, wire_len: wire_len.checked_add(HEADROOM)?, gso_size, bytes })
}

/// The tag that was taken out of the frame. A priority tag is all zeros or nearly: only the flag says that it is there.
#[inline]
fn stripped_tag(slot: &[u8; HEADER_END]) -> Option<Option<[u8; TAG]>> {
    let status = u32_at(slot, offset_of!(libc::tpacket3_hdr, tp_status))?;
    if status & libc::TP_STATUS_VLAN_VALID == 0 {
        return Some(None);
    }
    let known = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
    let tpid = if known { u16_at(slot, TPID)? } else { DOT1Q };
    // The field has 32 bits, the tag 16.
    let [high, low] = (u32_at(slot, TCI)? & 0xffff).to_be_bytes()[2..] else { return None };
    let [first, second] = tpid.to_be_bytes();
    Some(Some([first, second, high, low]))
}

/// Puts `tag` behind the addresses of the frame at `start..end` and gives the longer frame.
///
/// A frame that was captured without all of its addresses stays as it is.
#[cold]
fn restore(slot: &mut [u8], start: usize, end: usize, tag: [u8; TAG]) -> Option<&[u8]> {
    if end - start < ADDRESSES {
        return slot.get(start..end);
    }
    let start = start.checked_sub(TAG).filter(|start| *start >= HEADER_END)?;
    let frame = slot.get_mut(start..end)?;
    frame.copy_within(TAG..TAG + ADDRESSES, 0);
    frame[ADDRESSES..ADDRESSES + TAG].copy_from_slice(&tag);
    Some(frame)
}

/// Segment size in the virtio header in front of the frame at `start`.
#[inline]
fn gso_size(slot: &[u8], start: usize) -> Option<u16> {
    const GSO_TYPE: usize = 1;
    const GSO_SIZE: usize = 4;
    let begin = start.checked_sub(VNET_HEADER).filter(|begin| *begin >= HEADER_END)?;
    let header: &[u8; VNET_HEADER] = slot.get(begin..)?.first_chunk()?;
    let size = u16_at(header, GSO_SIZE)?;
    Some(if header[GSO_TYPE] == 0 { 0 } else { size })
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_ne_bytes(*chunk))
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_ne_bytes(*chunk))
}
