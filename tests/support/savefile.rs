//! Writing classic capture files, and the frames of a flood.

use std::path::Path;

/// LINKTYPE_ETHERNET.
pub const ETHERNET: u32 = 1;
/// LINKTYPE_IEEE802_5, which netmon does not read.
pub const TOKEN_RING: u32 = 6;

/// Size of the file header.
pub const FILE_HEADER: usize = 24;
/// Size of a record header.
pub const RECORD_HEADER: usize = 16;

/// A little-endian file of microseconds, held in memory.
pub struct Savefile(Vec<u8>);

impl Savefile {
    /// Without records.
    pub fn new(linktype: u32) -> Self {
        let mut bytes = Vec::new();
        bytes.extend(0xa1b2_c3d4_u32.to_le_bytes());
        bytes.extend(2_u16.to_le_bytes());
        bytes.extend(4_u16.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(262_144_u32.to_le_bytes());
        bytes.extend(linktype.to_le_bytes());
        Self(bytes)
    }

    /// Adds a whole frame, `micros` after the beginning of 2024.
    pub fn push(&mut self, micros: u32, frame: &[u8]) {
        let length = u32::try_from(frame.len()).expect("a frame is short");
        self.push_header(micros, length, length);
        self.0.extend(frame);
    }

    /// Adds a record header alone.
    pub fn push_header(&mut self, micros: u32, caplen: u32, wire_len: u32) {
        const BEGINNING: u32 = 1_704_067_200;
        for word in [BEGINNING + micros / 1_000_000, micros % 1_000_000, caplen, wire_len] {
            self.0.extend(word.to_le_bytes());
        }
    }

    /// Adds bytes as they are.
    pub fn push_raw(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Writes it out.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, &self.0).expect("the directory of the tests can be written to");
    }
}

/// An Ethernet frame with a TCP segment without payload. Checksums are zero, netmon does not judge them.
/// It acknowledges 2 when `flags` have ACK: the number after a SYN of sequence 1.
pub fn tcp_frame(source: ([u8; 4], u16), destination: ([u8; 4], u16), sequence: u32, flags: u8) -> Vec<u8> {
    const ACK: u8 = 0x10;
    let acknowledgement: u32 = if flags & ACK != 0 { 2 } else { 0 };
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    frame.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
    frame.extend(source.0);
    frame.extend(destination.0);
    frame.extend(source.1.to_be_bytes());
    frame.extend(destination.1.to_be_bytes());
    frame.extend(sequence.to_be_bytes());
    frame.extend(acknowledgement.to_be_bytes());
    frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.resize(60, 0);
    frame
}

/// `strangers` single SYNs from as many addresses over four seconds, with a few long connections kept alive among them.
pub fn flood(strangers: u32) -> Savefile {
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    const SERVER: ([u8; 4], u16) = ([192, 0, 2, 2], 80);
    const FRIENDS: u8 = 16;
    let friend = |n: u8| ([192, 0, 2, 100 + n], 5000 + u16::from(n));
    let mut file = Savefile::new(ETHERNET);
    for n in 0..FRIENDS {
        file.push(0, &tcp_frame(friend(n), SERVER, 1, SYN));
        file.push(1, &tcp_frame(SERVER, friend(n), 1, SYN | ACK));
        file.push(2, &tcp_frame(friend(n), SERVER, 2, ACK));
    }
    for n in 0..strangers {
        let micros = 10 + u32::try_from(u64::from(n) * 4_000_000 / u64::from(strangers)).expect("below four seconds");
        let [_, a, b, c] = n.to_be_bytes();
        file.push(micros, &tcp_frame(([10, a, b, c], 1024 + (n % 50_000) as u16), SERVER, n, SYN));
        if n % 64 == 0 {
            let n = u8::try_from(n / 64 % u32::from(FRIENDS)).expect("there are few friends");
            file.push(micros, &tcp_frame(friend(n), SERVER, 2, ACK));
        }
    }
    file
}
