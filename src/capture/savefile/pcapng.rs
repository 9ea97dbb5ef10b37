//! pcapng: blocks of `type, length, body, length`; sections of either byte order, each with its own interfaces.
//!
//! Read are section header, interface description, enhanced, simple and obsolete packet blocks; all others are skipped.
//! A simple packet has no time: it takes the last time known and is marked untimed. Fields and options:
//! draft-ietf-opsawg-pcapng section 4.

use super::clock::Clock;
use super::incomplete::Damage;
use super::record::{ByteOrder, MAX_CAPLEN, Record, Step};
use super::registry::{Description, MAX_INTERFACES, Registry};
use crate::packet::{Direction, InterfaceId, Linktype, PacketMeta};
use crate::time::Timestamp;
use std::net::IpAddr;

/// Type of a section header block, the same in both byte orders: the magic number of the format.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// The longest block; a longer one cannot be right.
const MAX_BLOCK: u32 = 16 << 20;
/// Type and length in front of a body.
const BLOCK_HEADER: usize = 8;
/// The length again behind it.
const BLOCK_TRAILER: usize = 4;

/// State of reading one file.
#[derive(Debug)]
pub(super) struct Pcapng {
    naming: Naming,
    order: ByteOrder,
    /// Interfaces of the current section, by number.
    interfaces: Vec<Interface>,
    /// The last record time that was in range.
    last: Timestamp,
    bad_timestamps: u64,
    /// Unknown link types described so far, and whether there was a known one.
    unknown_linktypes: Vec<u32>,
    known_linktype: bool,
}

/// What interfaces are called.
#[derive(Debug)]
pub(super) struct Naming {
    /// All of them this.
    pub(super) fixed: Option<String>,
    /// Those without a name of their own this, with their number behind it from the second one on.
    pub(super) stem: String,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    id: InterfaceId,
    linktype: Linktype,
    snaplen: u32,
    clock: Clock,
}

impl Pcapng {
    pub(super) fn new(naming: Naming) -> Self {
        Self {
            naming,
            order: ByteOrder::Little,
            interfaces: Vec::new(),
            last: Timestamp::MIN,
            bad_timestamps: 0,
            unknown_linktypes: Vec::new(),
            known_linktype: false,
        }
    }

    pub(super) fn bad_timestamps(&self) -> u64 {
        self.bad_timestamps
    }

    /// The link types of the file where it has no other than unknown ones.
    pub(super) fn only_unknown_linktypes(&self) -> Option<&[u32]> {
        (!self.known_linktype && !self.unknown_linktypes.is_empty()).then_some(&self.unknown_linktypes)
    }

    /// The block at the start of `bytes`; interfaces are entered into `registry`.
    #[inline]
    pub(super) fn step(&mut self, bytes: &[u8], registry: &mut Registry) -> Step {
        let Some(header) = bytes.first_chunk::<12>() else { return Step::More(12) };
        let [t0, t1, t2, t3, l0, l1, l2, l3, ..] = *header;
        if [t0, t1, t2, t3] == MAGIC
            && let Err(damage) = self.turn(header)
        {
            return Step::Damaged(damage);
        }
        let length = self.order.u32([l0, l1, l2, l3]);
        if !(12..=MAX_BLOCK).contains(&length) || !length.is_multiple_of(4) {
            return Step::Damaged(Damage::BlockLength(length));
        }
        let Some(block) = bytes.get(..length as usize) else { return Step::More(length as usize) };
        let body = &block[BLOCK_HEADER..block.len() - BLOCK_TRAILER];
        let behind = self.order.u32_at(block, block.len() - BLOCK_TRAILER);
        if behind != length {
            return Step::Damaged(Damage::BlockTrailer { front: length, behind });
        }
        let step = match self.order.u32([t0, t1, t2, t3]) {
            6 => self.enhanced_packet(body),
            3 => self.simple_packet(body),
            2 => self.obsolete_packet(body),
            1 => self.interface(body, registry).map(|()| Step::Skip(block.len())),
            0x0a0d_0d0a => self.section(body).map(|()| Step::Skip(block.len())),
            _ => Ok(Step::Skip(block.len())),
        };
        step.unwrap_or_else(Step::Damaged)
    }

    /// Takes the byte order of a new section.
    fn turn(&mut self, header: &[u8; 12]) -> Result<(), Damage> {
        let [.., m0, m1, m2, m3] = *header;
        self.order = match [m0, m1, m2, m3] {
            [0x4d, 0x3c, 0x2b, 0x1a] => ByteOrder::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => ByteOrder::Big,
            other => return Err(Damage::ByteOrder(u32::from_be_bytes(other))),
        };
        Ok(())
    }

    fn section(&mut self, body: &[u8]) -> Result<(), Damage> {
        if body.len() < 16 {
            return Err(short("section header", body));
        }
        let (major, minor) = (self.order.u16_at(body, 4), self.order.u16_at(body, 6));
        if (major, minor) != (1, 0) && (major, minor) != (1, 2) {
            return Err(Damage::Version { major, minor });
        }
        self.interfaces.clear();
        Ok(())
    }

    fn interface(&mut self, body: &[u8], registry: &mut Registry) -> Result<(), Damage> {
        let Some(options) = body.get(8..) else { return Err(short("interface description", body)) };
        let number = self.interfaces.len();
        if number == MAX_INTERFACES {
            return Err(Damage::TooManyInterfaces);
        }
        let linktype = Linktype::from_number(self.order.u16_at(body, 0));
        let mut description =
            Description { name: self.naming.unnamed(number), linktype, addresses: Vec::new(), mac: None };
        let mut clock = Clock::default();
        for option in (Options { order: self.order, rest: options }) {
            let option = option?;
            let bad = || Damage::BlockOption { code: option.code, length: option.length() };
            match option.code {
                2 => self.naming.own(option.value, &mut description.name),
                4 => {
                    let address = option.value.first_chunk::<4>().ok_or_else(bad)?;
                    description.addresses.push(IpAddr::from(*address));
                }
                5 => {
                    let address = option.value.first_chunk::<16>().ok_or_else(bad)?;
                    description.addresses.push(IpAddr::from(*address));
                }
                6 => description.mac = Some(<[u8; 6]>::try_from(option.value).map_err(|_| bad())?),
                9 => clock.set_resolution(*option.value.first().ok_or_else(bad)?),
                14 => {
                    let bytes = <[u8; 8]>::try_from(option.value).map_err(|_| bad())?;
                    clock.set_offset(match self.order {
                        ByteOrder::Little => i64::from_le_bytes(bytes),
                        ByteOrder::Big => i64::from_be_bytes(bytes),
                    });
                }
                _ => {}
            }
        }
        self.note(linktype);
        let id = registry.register(description).ok_or(Damage::TooManyInterfaces)?;
        self.interfaces.push(Interface { id, linktype, snaplen: self.order.u32_at(body, 4), clock });
        Ok(())
    }

    fn note(&mut self, linktype: Linktype) {
        self.known_linktype |= linktype.is_supported();
        let number = u32::from(linktype.number());
        if !linktype.is_supported() && !self.unknown_linktypes.contains(&number) && self.unknown_linktypes.len() < 64 {
            self.unknown_linktypes.push(number);
        }
    }

    #[inline]
    fn enhanced_packet(&mut self, body: &[u8]) -> Result<Step, Damage> {
        let Some(fields) = body.first_chunk() else { return Err(short("enhanced packet", body)) };
        self.packet(body, fields, self.order.u32_at(fields, 0))
    }

    /// As an enhanced packet, with a 16-bit interface number and a count of drops in place of the 32-bit number.
    fn obsolete_packet(&mut self, body: &[u8]) -> Result<Step, Damage> {
        let Some(fields) = body.first_chunk() else { return Err(short("packet", body)) };
        self.packet(body, fields, u32::from(self.order.u16_at(fields, 0)))
    }

    /// What both have in common: interface, time (high, low), captured and wire length, then data and options.
    #[inline]
    fn packet(&mut self, body: &[u8], fields: &[u8; 20], number: u32) -> Result<Step, Damage> {
        let interface = self.described(number)?;
        let order = self.order;
        let count = u64::from(order.u32_at(fields, 4)) << 32 | u64::from(order.u32_at(fields, 8));
        let (caplen, wire_len) = (order.u32_at(fields, 12), order.u32_at(fields, 16));
        let data = fields.len();
        check_caplen(caplen, body, data)?;
        let options = data + (caplen as usize).next_multiple_of(4);
        let direction = if options < body.len() { self.direction(&body[options..])? } else { None };
        let (timestamp, timed) = match interface.clock.timestamp(count) {
            Ok(timestamp) => {
                self.last = timestamp;
                (timestamp, true)
            }
            Err(clamped) => {
                self.bad_timestamps += 1;
                (clamped, false)
            }
        };
        let (interface, linktype) = (interface.id, interface.linktype);
        let meta = PacketMeta { timestamp, timed, interface, linktype, caplen, wire_len, direction, gso_size: 0 };
        Ok(record(meta, body, data))
    }

    /// Of interface 0, without a time; captured is what interface 0's snapshot length and the block leave.
    fn simple_packet(&mut self, body: &[u8]) -> Result<Step, Damage> {
        if body.len() < 4 {
            return Err(short("simple packet", body));
        }
        let interface = self.described(0)?;
        let wire_len = self.order.u32_at(body, 0);
        let snaplen = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
        let in_block = u32::try_from(body.len() - 4).unwrap_or(u32::MAX);
        let caplen = wire_len.min(snaplen).min(in_block);
        check_caplen(caplen, body, 4)?;
        let (interface, linktype) = (interface.id, interface.linktype);
        let (timestamp, timed, direction) = (self.last, false, None);
        let meta = PacketMeta { timestamp, timed, interface, linktype, caplen, wire_len, direction, gso_size: 0 };
        Ok(record(meta, body, 4))
    }

    #[inline]
    fn described(&self, number: u32) -> Result<Interface, Damage> {
        let found = usize::try_from(number).ok().and_then(|number| self.interfaces.get(number));
        found.copied().ok_or(Damage::Interface { number, described: self.interfaces.len() })
    }

    /// The direction in the flags option of a packet (bits 0 and 1: 1 inbound, 2 outbound).
    fn direction(&self, options: &[u8]) -> Result<Option<Direction>, Damage> {
        let mut direction = None;
        for option in (Options { order: self.order, rest: options }) {
            let option = option?;
            if option.code != 2 {
                continue;
            }
            let Ok(flags) = <[u8; 4]>::try_from(option.value) else {
                return Err(Damage::BlockOption { code: 2, length: option.length() });
            };
            direction = match self.order.u32(flags) & 3 {
                1 => Some(Direction::Receive),
                2 => Some(Direction::Transmit),
                _ => None,
            };
        }
        Ok(direction)
    }
}

impl Naming {
    fn unnamed(&self, number: usize) -> String {
        match (&self.fixed, number) {
            (Some(fixed), _) => fixed.clone(),
            (None, 0) => self.stem.clone(),
            (None, _) => format!("{}-{number}", self.stem),
        }
    }

    /// Takes the name that the interface has itself, unless it is empty or all are called the same.
    fn own(&self, option: &[u8], name: &mut String) {
        let own = String::from_utf8_lossy(option);
        let own = own.trim_end_matches('\0').trim();
        if self.fixed.is_none() && !own.is_empty() {
            own.clone_into(name);
        }
    }
}

/// The options behind the fields of a block: `code, length, value, padding`.
struct Options<'a> {
    order: ByteOrder,
    rest: &'a [u8],
}

struct BlockOption<'a> {
    code: u16,
    value: &'a [u8],
}

impl BlockOption<'_> {
    fn length(&self) -> u16 {
        u16::try_from(self.value.len()).unwrap_or(u16::MAX)
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<BlockOption<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&[c0, c1, l0, l1], rest) = self.rest.split_first_chunk::<4>()?;
        let (code, length) = (self.order.u16([c0, c1]), self.order.u16([l0, l1]));
        if code == 0 {
            self.rest = &[];
            return None;
        }
        let Some((value, _)) = rest.split_at_checked(usize::from(length)) else {
            self.rest = &[];
            return Some(Err(Damage::BlockOption { code, length }));
        };
        self.rest = rest.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(BlockOption { code, value }))
    }
}

#[inline]
fn check_caplen(caplen: u32, body: &[u8], data: usize) -> Result<(), Damage> {
    if caplen > MAX_CAPLEN {
        return Err(Damage::Caplen(caplen));
    }
    if body.len() - data < caplen as usize {
        return Err(Damage::BlockCaplen { caplen, length: block_length(body) });
    }
    Ok(())
}

#[inline]
fn record(meta: PacketMeta, body: &[u8], data: usize) -> Step {
    Step::Packet(Record { meta, data: BLOCK_HEADER + data, size: BLOCK_HEADER + body.len() + BLOCK_TRAILER })
}

fn short(block: &'static str, body: &[u8]) -> Damage {
    Damage::BlockShort { block, length: block_length(body) }
}

/// Length of the block around a body, which is at most [`MAX_BLOCK`].
fn block_length(body: &[u8]) -> u32 {
    u32::try_from(BLOCK_HEADER + body.len() + BLOCK_TRAILER).unwrap_or(u32::MAX)
}
