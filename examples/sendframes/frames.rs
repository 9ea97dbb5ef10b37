//! The frames of each profile, made on the fly: the n-th is the same for the same options.

use clap::ValueEnum;

/// The least Ethernet frame without its FCS.
const LEAST: usize = 60;
/// The least frame behind two VLAN tags.
pub const LONGEST: usize = LEAST + 2 * TAG;
const TAG: usize = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Kinds of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Segments and datagrams of --flows conversations in pseudo-random order, three in four of them TCP, from both ends
    Min64,
    /// SYNs from random addresses, ports and sequence numbers to one server
    Synflood,
    /// One source: SYNs to 65,535 ports of 16 addresses in turn, then to random addresses
    Scan,
    /// As min64 in 64 to 68 bytes: tagged for VLAN 1 to 100, each fourth conversation inside a service tag as well
    Vlan,
}

impl Profile {
    /// Whether it has conversations whose number can be chosen.
    pub fn has_flows(self) -> bool {
        matches!(self, Self::Min64 | Self::Vlan)
    }
}

/// A frame and what it is counted as.
#[derive(Clone, Copy)]
pub struct Frame {
    bytes: [u8; LONGEST],
    length: usize,
    protocol: u8,
}

impl Frame {
    /// Without content.
    pub const EMPTY: Self = Self { bytes: [0; LONGEST], length: 0, protocol: 0 };

    /// What goes onto the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Whether it carries a TCP segment; the others carry a UDP datagram.
    pub fn is_tcp(&self) -> bool {
        self.protocol == TCP
    }
}

/// Makes the frames of a profile one after the other.
pub struct Source {
    profile: Profile,
    flows: u32,
    random: Random,
    made: u64,
}

impl Source {
    /// `flows` conversations, where the profile has any.
    pub fn new(profile: Profile, flows: u32, seed: u64) -> Self {
        Self { profile, flows, random: Random::new(seed), made: 0 }
    }

    /// The next frame, in place of what `frame` was.
    #[inline]
    pub fn fill(&mut self, frame: &mut Frame) {
        let number = self.made;
        self.made += 1;
        match self.profile {
            Profile::Min64 | Profile::Vlan => {
                let flow = conversation(self.random.next(), self.flows, number, frame);
                if self.profile == Profile::Vlan {
                    tag(flow, frame);
                }
            }
            Profile::Synflood => {
                let [random, sequence] = [self.random.next(), self.random.next()];
                let [a, b, c, d, e, f, ..] = random.to_be_bytes();
                // No source is in 0/8 or above the unicast addresses.
                let source = ([1 + a % 223, b, c, d], u16::from_be_bytes([e, f]).max(1024));
                segment(frame, source, ([198, 18, 0, 1], 80), SYN, (sequence >> 32) as u32);
            }
            Profile::Scan => {
                let destination = scanned(number).unwrap_or_else(|| {
                    let [a, b, c, d, e, f, ..] = self.random.next().to_be_bytes();
                    ([1 + a % 223, b, c, d], u16::from_be_bytes([e, f]).max(1))
                });
                segment(frame, ([10, 66, 66, 66], 40_000), destination, SYN, number as u32);
            }
        }
    }
}

/// An address and a port.
type End = ([u8; 4], u16);

/// The destinations that a scan takes in turn.
fn scanned(number: u64) -> Option<End> {
    const PORTS: u64 = 65_535;
    let address = u8::try_from(number / PORTS).ok().filter(|address| *address < 16)?;
    Some(([198, 18, 0, 1 + address], 1 + (number % PORTS) as u16))
}

/// A frame of one of `flows` conversations, either way; gives the number of the conversation.
///
/// The client's end is told by that number, so no two have the same 5-tuple. Sequence numbers only grow: nothing looks
/// sent twice.
fn conversation(random: u64, flows: u32, number: u64, frame: &mut Frame) -> u32 {
    let flow = (((random >> 32) * u64::from(flows)) >> 32) as u32;
    let [_, a, b, c] = flow.to_be_bytes();
    let is_udp = flow % 4 == 3;
    let client = ([10, a, b, c], 1024 + (flow % 60_000) as u16);
    let server = ([198, 18, 0, 1 + (flow % 200) as u8], if is_udp { 4433 } else { 443 });
    let (from, to) = if random & 1 == 0 { (client, server) } else { (server, client) };
    if is_udp {
        datagram(frame, from, to);
    } else {
        segment(frame, from, to, ACK, number as u32);
    }
    flow
}

/// Puts the tags of a conversation behind the addresses.
fn tag(flow: u32, frame: &mut Frame) {
    const CUSTOMER: u16 = 0x8100;
    const SERVICE: u16 = 0x88a8;
    let mut insert = |kind: u16, vlan: u16| {
        frame.bytes.copy_within(12..frame.length, 12 + TAG);
        frame.bytes[12..14].copy_from_slice(&kind.to_be_bytes());
        frame.bytes[14..16].copy_from_slice(&vlan.to_be_bytes());
        frame.length += TAG;
    };
    insert(CUSTOMER, 1 + (flow / 4 % 100) as u16);
    if flow.is_multiple_of(4) {
        insert(SERVICE, 1000);
    }
}

/// A TCP segment without payload. Its checksum is zero.
fn segment(frame: &mut Frame, from: End, to: End, flags: u8, sequence: u32) {
    const LENGTH: u16 = 40;
    packet(frame, from, to, TCP, LENGTH);
    frame.bytes[38..42].copy_from_slice(&sequence.to_be_bytes());
    let acknowledgement = if flags & ACK == 0 { 0 } else { sequence };
    frame.bytes[42..46].copy_from_slice(&acknowledgement.to_be_bytes());
    frame.bytes[46..50].copy_from_slice(&[0x50, flags, 0xfa, 0xf0]);
}

/// A UDP datagram with 18 bytes of payload. Its checksum is zero, which means none.
fn datagram(frame: &mut Frame, from: End, to: End) {
    const LENGTH: u16 = 46;
    packet(frame, from, to, UDP, LENGTH);
    frame.bytes[38..40].copy_from_slice(&(LENGTH - 20).to_be_bytes());
}

/// Ethernet and IPv4 headers and the ports; the rest is zero.
fn packet(frame: &mut Frame, from: End, to: End, protocol: u8, length: u16) {
    const HEADERS: [u8; 26] =
        [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 0, 0, 0];
    let bytes = &mut frame.bytes;
    bytes.fill(0);
    bytes[..26].copy_from_slice(&HEADERS);
    bytes[16..18].copy_from_slice(&length.to_be_bytes());
    bytes[23] = protocol;
    bytes[26..30].copy_from_slice(&from.0);
    bytes[30..34].copy_from_slice(&to.0);
    let checksum = checksum(length, protocol, from.0, to.0);
    bytes[24..26].copy_from_slice(&checksum.to_be_bytes());
    bytes[34..36].copy_from_slice(&from.1.to_be_bytes());
    bytes[36..38].copy_from_slice(&to.1.to_be_bytes());
    frame.length = LEAST;
    frame.protocol = protocol;
}

/// The checksum of the IPv4 header (RFC 1071), from what differs between headers.
fn checksum(length: u16, protocol: u8, from: [u8; 4], to: [u8; 4]) -> u16 {
    // The words that are the same in each: version, flags, time to live.
    const SAME: u32 = 0x4500 + 0x4000 + 0x4000;
    let words = |[a, b, c, d]: [u8; 4]| u32::from(u16::from_be_bytes([a, b])) + u32::from(u16::from_be_bytes([c, d]));
    let sum = SAME + u32::from(length) + u32::from(protocol) + words(from) + words(to);
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

/// A pseudo-random sequence (Marsaglia's xorshift64*).
struct Random(u64);

impl Random {
    /// Neighbouring seeds give unlike sequences.
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
