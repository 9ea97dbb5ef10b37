//! The store, byte by byte.
//!
//! A redb file (format version 3) with these tables; numbers inside values are little endian, `varint` is LEB128 of an
//! unsigned 64-bit number (at most 10 bytes). Every value ends with four bytes `crc32` (IEEE, as in zlib) over the
//! table's tag (one byte), the key (big endian) and the value's bytes before it, because redb does not verify what it
//! reads: a value that was altered, or that is found under another key, is not served.
//!
//! | table | tag | key | value before the checksum |
//! |---|---|---|---|
//! | `1s`, `10s`, `60s`, `1h` | 1 to 4 | u64: start in seconds × 65536 + series | `mask`: 12 bytes; a varint for each set bit |
//! | `flows` | 5 | u128: `last_seen` in ns × 2^64 + flow id | see below |
//! | `alerts` | 6 | u128: time in ns × 2^64 + number | JSON object: `at`, `rule`, `labels`, ... |
//! | `gaps` | 7 | u64: first second | `to` u64, `records` u64, reason u8 |
//! | `left_out` | 8 | u64: start of a minute | `below_floor`, its bytes, `over_rate`, its bytes: 4 × u64 |
//! | `series` | 9 | u16: series | name, UTF-8 |
//! | `meta` | 10 | name | see below |
//!
//! Bit *n* of a record's mask (bit *n* mod 8 of byte *n* / 8) is set when number *n* is not 0; the numbers are, arrays
//! in the order of their labels: 0 recorded seconds; 1 to 48 packets and bytes by direction, then conversation; 49 to 58
//! by direction: segments, retransmitted segments, retransmitted bytes, out-of-order segments, zero windows; 59 to 61
//! resets by phase; 62 connections opened; 63 to 65 connection failures by reason; 66 to 67 handshakes by side; 68 to 69
//! their nanoseconds; 70 to 74 flows opened by transport; 75 to 79 flows closed by transport; 80 to 82 drops by stage;
//! 83 rejects; 84 covered bytes; 85 kernel bytes; 86 active flows; 87 to 90 by direction: packets and bytes that the
//! peak second had *less* than the whole record (0 in most records of one second).
//!
//! A flow: series u16, protocol u8, flags u8 (bit 0 IPv6, bit 1 has ports), end reason u8, number of VLAN tags u8,
//! source port u16, destination port u16, source and destination (4 or 16 bytes each), VLAN ids u16 each, then varints:
//! `last_seen − first_seen` in ns, `packets_c2s`, `bytes_c2s`, `packets_s2c`, `bytes_s2c`.
//!
//! Meta: `schema` u32; `identity` 16 random bytes; `created` u64 seconds; `state`: commits u64, retention clock u64,
//! newest second u64, steadily recorded seconds u64, and for each tier the second before which it is pruned, 4 × u64.

use super::measures::FIELDS;
use super::rows::GapReason;
use super::{AlertEvent, Flow, Gap, LeftOut, Measures, Tier, stored_alert};
use crate::flow::EndReason;
use crate::packet::VlanStack;
use crate::time::Timestamp;
use redb::TableDefinition;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Version of this layout.
pub(super) const SCHEMA: u32 = 1;

pub(super) type Series = u16;
/// A table of one row for each key of time.
pub(super) type ByTime<'a> = TableDefinition<'a, u64, &'static [u8]>;

const TIERS: [ByTime<'static>; Tier::ALL.len()] =
    [TableDefinition::new("1s"), TableDefinition::new("10s"), TableDefinition::new("60s"), TableDefinition::new("1h")];
pub(super) const FLOWS: TableDefinition<'static, u128, &'static [u8]> = TableDefinition::new("flows");
pub(super) const ALERTS: TableDefinition<'static, u128, &'static [u8]> = TableDefinition::new("alerts");
pub(super) const GAPS: ByTime<'static> = TableDefinition::new("gaps");
pub(super) const LEFT_OUT: ByTime<'static> = TableDefinition::new("left_out");
pub(super) const SERIES: TableDefinition<'static, Series, &'static [u8]> = TableDefinition::new("series");
pub(super) const META: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("meta");

/// The table of a tier.
pub(super) const fn table(tier: Tier) -> ByTime<'static> {
    TIERS[tier as usize]
}

/// The key of a record.
pub(super) const fn key(start: u64, series: Series) -> u64 {
    start << SERIES_BITS | series as u64
}

/// Start and series of a key.
#[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are wanted")]
pub(super) const fn parts(key: u64) -> (u64, Series) {
    (key >> SERIES_BITS, key as Series)
}

/// The latest second that a key holds: the year 8 million.
pub(super) const MAX_SECOND: u64 = u64::MAX >> SERIES_BITS;
const SERIES_BITS: u32 = 16;

/// A key of time and number.
pub(super) fn wide_key(at: Timestamp, number: u64) -> u128 {
    u128::from(at.as_nanos()) << 64 | u128::from(number)
}

/// Which table a value belongs to, as its checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Tier(Tier),
    Flow,
    Alert,
    Gap,
    LeftOut,
    Series,
    Meta,
}

impl Tag {
    const fn byte(self) -> u8 {
        match self {
            Self::Tier(tier) => 1 + tier as u8,
            Self::Flow => 5,
            Self::Alert => 6,
            Self::Gap => 7,
            Self::LeftOut => 8,
            Self::Series => 9,
            Self::Meta => 10,
        }
    }
}

/// Adds the checksum to a value.
pub(super) fn sealed(tag: Tag, key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    value.extend(checksum(tag, key, &value).to_le_bytes());
    value
}

/// A value without its checksum; `None` if that is wrong.
pub(super) fn opened<'a>(tag: Tag, key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (value, stored) = value.split_last_chunk::<4>()?;
    (u32::from_le_bytes(*stored) == checksum(tag, key, value)).then_some(value)
}

fn checksum(tag: Tag, key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[tag.byte()]);
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

const MASK: usize = FIELDS.div_ceil(8);

/// The value of a record.
pub(super) fn record(tier: Tier, key: u64, measures: &Measures) -> Vec<u8> {
    let mut value = Vec::with_capacity(128);
    value.resize(MASK, 0);
    for (number, field) in below_peak(measures).numbers().into_iter().enumerate().filter(|(_, field)| *field > 0) {
        value[number / 8] |= 1 << (number % 8);
        varint(&mut value, field);
    }
    sealed(Tag::Tier(tier), &key.to_be_bytes(), value)
}

/// What a record's value says; `None` if it is not whole.
pub(super) fn read_record(tier: Tier, key: u64, value: &[u8]) -> Option<Measures> {
    let value = opened(Tag::Tier(tier), &key.to_be_bytes(), value)?;
    let (mask, mut rest) = value.split_at_checked(MASK)?;
    let mut numbers = [0; FIELDS];
    for (number, field) in numbers.iter_mut().enumerate() {
        if mask[number / 8] >> (number % 8) & 1 == 1 {
            *field = read_varint(&mut rest)?;
        }
    }
    let (mut measures, mut numbers) = (Measures::default(), numbers.into_iter());
    measures.visit_mut(|field| *field = numbers.next().unwrap_or_default());
    rest.is_empty().then(|| below_peak(&measures))
}

/// Peaks as what they are below the sums, and back.
fn below_peak(measures: &Measures) -> Measures {
    let mut turned = *measures;
    for (peak, direction) in turned.peak.iter_mut().zip(crate::packet::Direction::ALL) {
        let volume = measures.volume(direction);
        peak.packets = volume.packets.saturating_sub(peak.packets);
        peak.bytes = volume.bytes.saturating_sub(peak.bytes);
    }
    turned
}

fn varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 128")]
    to.push(number as u8);
}

fn read_varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The key of a flow.
pub(super) fn flow_key(flow: &Flow) -> u128 {
    wide_key(flow.last_seen, flow.id)
}

/// The value of a flow.
pub(super) fn flow(key: u128, series: Series, flow: &Flow) -> Vec<u8> {
    let mut value = Vec::with_capacity(64);
    let flags = u8::from(flow.source.is_ipv6()) | u8::from(flow.has_ports) << 1;
    let tags = u8::try_from(flow.vlan.len()).unwrap_or_default();
    value.extend(series.to_le_bytes());
    value.extend([flow.protocol, flags, flow.end_reason as u8, tags]);
    value.extend(flow.source_port.to_le_bytes());
    value.extend(flow.destination_port.to_le_bytes());
    for address in [flow.source, flow.destination] {
        match address {
            IpAddr::V4(address) => value.extend(address.octets()),
            IpAddr::V6(address) => value.extend(address.octets()),
        }
    }
    flow.vlan.ids().for_each(|id| value.extend(id.to_le_bytes()));
    varint(&mut value, flow.last_seen.nanos_since(flow.first_seen));
    let volume = [flow.packets_c2s, flow.bytes_c2s, flow.packets_s2c, flow.bytes_s2c];
    volume.into_iter().for_each(|number| varint(&mut value, number));
    sealed(Tag::Flow, &key.to_be_bytes(), value)
}

/// What a flow's value says; `None` if it is not whole or of a series without a name.
pub(super) fn read_flow(key: u128, value: &[u8], name: impl FnOnce(Series) -> Option<Arc<str>>) -> Option<Flow> {
    let mut rest = opened(Tag::Flow, &key.to_be_bytes(), value)?;
    let series = u16::from_le_bytes(take(&mut rest)?);
    let [protocol, flags, end_reason, tags] = take(&mut rest)?;
    let (source_port, destination_port) = (u16::from_le_bytes(take(&mut rest)?), u16::from_le_bytes(take(&mut rest)?));
    let (source, destination) = (address(&mut rest, flags)?, address(&mut rest, flags)?);
    let mut vlan = VlanStack::default();
    for _ in 0..tags {
        vlan = vlan.push(u16::from_le_bytes(take(&mut rest)?))?;
    }
    let last_seen = Timestamp::from_nanos(u64::try_from(key >> 64).ok()?);
    let mut next = || read_varint(&mut rest);
    let duration = next()?;
    let (packets_c2s, bytes_c2s, packets_s2c, bytes_s2c) = (next()?, next()?, next()?, next()?);
    rest.is_empty().then_some(())?;
    #[expect(clippy::cast_possible_truncation, reason = "the low 64 bits are wanted")]
    let id = key as u64;
    Some(Flow {
        interface: name(series)?,
        id,
        protocol,
        has_ports: flags & 2 != 0,
        source,
        source_port,
        destination,
        destination_port,
        vlan,
        first_seen: Timestamp::from_nanos(last_seen.as_nanos().saturating_sub(duration)),
        last_seen,
        packets_c2s,
        bytes_c2s,
        packets_s2c,
        bytes_s2c,
        end_reason: *EndReason::ALL.get(usize::from(end_reason))?,
    })
}

fn address(from: &mut &[u8], flags: u8) -> Option<IpAddr> {
    if flags & 1 == 0 {
        return Some(IpAddr::V4(Ipv4Addr::from(take::<4>(from)?)));
    }
    Some(IpAddr::V6(Ipv6Addr::from(take::<16>(from)?)))
}

/// The next bytes.
pub(super) fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*taken)
}

/// The value of an alert event.
pub(super) fn alert(key: u128, event: &AlertEvent) -> Vec<u8> {
    sealed(Tag::Alert, &key.to_be_bytes(), stored_alert::written(event))
}

/// What an alert event's value says; `None` if it is not whole.
pub(super) fn read_alert(key: u128, value: &[u8]) -> Option<AlertEvent> {
    stored_alert::read(opened(Tag::Alert, &key.to_be_bytes(), value)?)
}

/// The value of a gap.
pub(super) fn gap(gap: &Gap) -> Vec<u8> {
    let mut value = Vec::with_capacity(21);
    value.extend(gap.to.to_le_bytes());
    value.extend(gap.records.to_le_bytes());
    value.push(gap.reason as u8);
    sealed(Tag::Gap, &gap.from.to_be_bytes(), value)
}

/// What a gap's value says; `None` if it is not whole.
pub(super) fn read_gap(from: u64, value: &[u8]) -> Option<Gap> {
    let mut rest = opened(Tag::Gap, &from.to_be_bytes(), value)?;
    let (to, records) = (u64::from_le_bytes(take(&mut rest)?), u64::from_le_bytes(take(&mut rest)?));
    let [reason] = take(&mut rest)?;
    Some(Gap { from, to, records, reason: *GapReason::ALL.get(usize::from(reason))? })
}

/// The value of a minute's flows that were not kept.
pub(super) fn left_out(minute: u64, left_out: &LeftOut) -> Vec<u8> {
    let numbers = [left_out.below_floor, left_out.below_floor_bytes, left_out.over_rate, left_out.over_rate_bytes];
    sealed(Tag::LeftOut, &minute.to_be_bytes(), numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// What it says; `None` if it is not whole.
pub(super) fn read_left_out(minute: u64, value: &[u8]) -> Option<LeftOut> {
    let mut rest = opened(Tag::LeftOut, &minute.to_be_bytes(), value)?;
    let mut next = || Some(u64::from_le_bytes(take(&mut rest)?));
    let (below_floor, below_floor_bytes) = (next()?, next()?);
    Some(LeftOut { below_floor, below_floor_bytes, over_rate: next()?, over_rate_bytes: next()? })
}

const _: () = assert!(FIELDS <= MASK * 8);
