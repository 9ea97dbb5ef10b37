//! Writes captures for tests: every field as given, so that bad ones can be written too.

use crate::capture::savefile::record::ByteOrder;

/// Numbers in a byte order.
pub(super) trait Put {
    fn put16(&mut self, order: ByteOrder, value: u16);
    fn put32(&mut self, order: ByteOrder, value: u32);
}

impl Put for Vec<u8> {
    fn put16(&mut self, order: ByteOrder, value: u16) {
        self.extend(if order == ByteOrder::Little { value.to_le_bytes() } else { value.to_be_bytes() });
    }

    fn put32(&mut self, order: ByteOrder, value: u32) {
        self.extend(if order == ByteOrder::Little { value.to_le_bytes() } else { value.to_be_bytes() });
    }
}

pub(super) const MICRO: u32 = 0xa1b2_c3d4;
pub(super) const NANO: u32 = 0xa1b2_3c4d;
pub(super) const KUZNETZOV: u32 = 0xa1b2_cd34;

/// The header of a classic file of version 2.4.
pub(super) fn classic_header(order: ByteOrder, magic: u32, linktype: u32) -> Vec<u8> {
    classic_header_of_version(order, magic, (2, 4), linktype)
}

pub(super) fn classic_header_of_version(order: ByteOrder, magic: u32, version: (u16, u16), linktype: u32) -> Vec<u8> {
    let mut out = Vec::new();
    out.put32(order, magic);
    out.put16(order, version.0);
    out.put16(order, version.1);
    for field in [0, 0, 262_144, linktype] {
        out.put32(order, field);
    }
    out
}

/// A record of a classic file: seconds, fraction, captured bytes, wire length.
pub(super) fn classic_record(order: ByteOrder, time: (u32, u32), bytes: &[u8], wire_len: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for field in [time.0, time.1, u32::try_from(bytes.len()).unwrap(), wire_len] {
        out.put32(order, field);
    }
    out.extend(bytes);
    out
}

/// A pcapng block around a body, which is padded.
pub(super) fn block(order: ByteOrder, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = u32::try_from(12 + padded).unwrap();
    let mut out = Vec::new();
    out.put32(order, kind);
    out.put32(order, length);
    out.extend(body);
    out.resize(8 + padded, 0);
    out.put32(order, length);
    out
}

pub(super) fn section(order: ByteOrder) -> Vec<u8> {
    section_of_version(order, (1, 0))
}

pub(super) fn section_of_version(order: ByteOrder, version: (u16, u16)) -> Vec<u8> {
    let mut body = Vec::new();
    body.put32(order, 0x1a2b_3c4d);
    body.put16(order, version.0);
    body.put16(order, version.1);
    body.extend([0xff; 8]);
    block(order, 0x0a0d_0d0a, &body)
}

pub(super) fn options(order: ByteOrder, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (code, value) in options {
        out.put16(order, *code);
        out.put16(order, u16::try_from(value.len()).unwrap());
        out.extend(*value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    if !options.is_empty() {
        out.put32(order, 0);
    }
    out
}

pub(super) fn interface(order: ByteOrder, linktype: u16, snaplen: u32, with: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put16(order, linktype);
    body.put16(order, 0);
    body.put32(order, snaplen);
    body.extend(options(order, with));
    block(order, 1, &body)
}

/// An enhanced packet block: interface, count of time units, captured bytes, wire length, options.
pub(super) fn enhanced(
    order: ByteOrder,
    interface: u32,
    time: u64,
    bytes: &[u8],
    wire_len: u32,
    with: &[(u16, &[u8])],
) -> Vec<u8> {
    let mut body = Vec::new();
    body.put32(order, interface);
    packet_body(&mut body, order, time, bytes, wire_len, with);
    block(order, 6, &body)
}

/// An obsolete packet block.
pub(super) fn obsolete(order: ByteOrder, interface: u16, time: u64, bytes: &[u8], with: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put16(order, interface);
    body.put16(order, u16::MAX);
    packet_body(&mut body, order, time, bytes, u32::try_from(bytes.len()).unwrap(), with);
    block(order, 2, &body)
}

fn packet_body(body: &mut Vec<u8>, order: ByteOrder, time: u64, bytes: &[u8], wire_len: u32, with: &[(u16, &[u8])]) {
    body.put32(order, u32::try_from(time >> 32).unwrap());
    body.put32(order, u32::try_from(time & 0xffff_ffff).unwrap());
    body.put32(order, u32::try_from(bytes.len()).unwrap());
    body.put32(order, wire_len);
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(options(order, with));
}

/// A simple packet block.
pub(super) fn simple(order: ByteOrder, bytes: &[u8], wire_len: u32) -> Vec<u8> {
    let mut body = Vec::new();
    body.put32(order, wire_len);
    body.extend(bytes);
    block(order, 3, &body)
}
