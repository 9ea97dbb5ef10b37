//! Writes a large capture of many flows for the bench: the same bytes for the same options.
//!
//! Frames are 60 bytes (64 on the wire with the FCS that no capture has), three in four flows TCP and the rest UDP, all
//! IPv4. A TCP flow opens with its three segments and then sends in turn from both ends with right sequence numbers;
//! flows take turns in a fixed pseudo-random order. Checksums are zero.
//!
//! `cargo run --release --example genflows -- --packets 5000000 --flows 100000 --output min64.pcap`

use clap::Parser;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Write a capture of minimum-size frames from many flows.
#[derive(Parser)]
struct Options {
    /// Frames to write.
    #[arg(long, default_value_t = 5_000_000)]
    packets: u64,
    /// Flows that take turns.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    flows: u32,
    /// Frames per second in the time stamps.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// The file.
    #[arg(long)]
    output: PathBuf,
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(&options.output)?);
    out.write_all(&file_header())?;
    let mut flows: Vec<Flow> = (0..options.flows).map(Flow::new).collect();
    let mut order = Order(0x9e37_79b9_7f4a_7c15);
    for n in 0..options.packets {
        let index = order.next_below(options.flows);
        out.write_all(&record_header(n, options.rate))?;
        out.write_all(&flows[index].next_frame())?;
    }
    out.flush()
}

const FRAME: usize = 60;
const PAYLOAD: u32 = 6;

/// A classic little-endian file of microseconds and Ethernet frames.
fn file_header() -> [u8; 24] {
    let mut header = [0; 24];
    header[0..4].copy_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    header[4..6].copy_from_slice(&2_u16.to_le_bytes());
    header[6..8].copy_from_slice(&4_u16.to_le_bytes());
    header[16..20].copy_from_slice(&262_144_u32.to_le_bytes());
    header[20..24].copy_from_slice(&1_u32.to_le_bytes());
    header
}

/// Record `n` at `rate` records a second, from the beginning of 2024.
fn record_header(n: u64, rate: u64) -> [u8; 16] {
    const BEGINNING: u64 = 1_704_067_200;
    let word = |value: u64| u32::try_from(value).expect("the times stay below 2106").to_le_bytes();
    let mut header = [0; 16];
    header[0..4].copy_from_slice(&word(BEGINNING + n / rate));
    header[4..8].copy_from_slice(&word(n % rate * 1_000_000 / rate));
    header[8..12].copy_from_slice(&word(FRAME as u64));
    header[12..16].copy_from_slice(&word(FRAME as u64));
    header
}

/// One conversation, by how many frames it has sent.
struct Flow {
    number: u32,
    sent: u32,
}

impl Flow {
    fn new(number: u32) -> Self {
        Self { number, sent: 0 }
    }

    fn is_udp(&self) -> bool {
        self.number % 4 == 3
    }

    /// The client's end is told by the number of the flow, so no two flows have the same 5-tuple.
    fn next_frame(&mut self) -> [u8; FRAME] {
        let turn = self.sent;
        self.sent += 1;
        let from_client = turn.is_multiple_of(2);
        let [_, a, b, c] = self.number.to_be_bytes();
        let client = ([10, a, b, c], 1024 + (self.number % 60_000) as u16);
        let server = ([192, 0, 2, 1 + (self.number % 200) as u8], if self.is_udp() { 4433 } else { 443 });
        let (source, destination) = if from_client { (client, server) } else { (server, client) };
        let mut frame = ip_frame(source.0, destination.0, if self.is_udp() { 17 } else { 6 });
        frame[34..36].copy_from_slice(&source.1.to_be_bytes());
        frame[36..38].copy_from_slice(&destination.1.to_be_bytes());
        if self.is_udp() {
            frame[38..40].copy_from_slice(&26_u16.to_be_bytes());
        } else {
            write_tcp(&mut frame, turn);
        }
        frame
    }
}

/// Ethernet and IPv4 headers of a frame of [`FRAME`] bytes.
fn ip_frame(source: [u8; 4], destination: [u8; 4], protocol: u8) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    frame[0] = 2;
    frame[6] = 2;
    frame[12..14].copy_from_slice(&0x0800_u16.to_be_bytes());
    frame[14] = 0x45;
    frame[16..18].copy_from_slice(&46_u16.to_be_bytes());
    frame[22] = 64;
    frame[23] = protocol;
    frame[26..30].copy_from_slice(&source);
    frame[30..34].copy_from_slice(&destination);
    frame
}

/// The TCP header of a turn: SYN, SYN-ACK, ACK with the first data, and from then on data from each end in turn.
fn write_tcp(frame: &mut [u8; FRAME], turn: u32) {
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    let sent_by = |turns: u32| if turns == 0 { 0 } else { 1 + (turns - 1) * PAYLOAD };
    let (mine, theirs) = (turn / 2, turn.div_ceil(2));
    let flags = match turn {
        0 => SYN,
        1 => SYN | ACK,
        _ => ACK,
    };
    let length: u16 = if turn < 2 { 40 } else { 46 };
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    frame[38..42].copy_from_slice(&sent_by(mine).to_be_bytes());
    frame[42..46].copy_from_slice(&if turn == 0 { 0 } else { sent_by(theirs) }.to_be_bytes());
    frame[46] = 0x50;
    frame[47] = flags;
    frame[48..50].copy_from_slice(&0xfaf0_u16.to_be_bytes());
}

/// A fixed pseudo-random sequence (Marsaglia's xorshift64).
struct Order(u64);

impl Order {
    fn next_below(&mut self, limit: u32) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(limit)) >> 32) as usize
    }
}
