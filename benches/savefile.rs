//! Reading capture files: netmon's reader beside libpcap's, on the same file in the page cache.
//!
//! `cargo bench --bench savefile`. Each line is a whole file of one million packets of 64 bytes; divide by a million for
//! the time of a packet. The file is written to the temporary directory first.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use divan::{Bencher, black_box};
use netmon::capture::{Adapter, FrameSink, Input, Options, Poll, Savefiles};
use netmon::packet::Frame;
use std::io::Write;
use std::time::Duration;

const PACKETS: u32 = 1_000_000;

fn main() {
    divan::main();
}

/// A classic file of TCP segments, in little-endian order.
fn classic() -> Vec<u8> {
    let mut file = Vec::new();
    for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file.extend(field.to_le_bytes());
    }
    for n in 0..PACKETS {
        for field in [1_700_000_000 + n / 1_000_000, n % 1_000_000, 64, 64] {
            file.extend(field.to_le_bytes());
        }
        file.extend(frame(n));
    }
    file
}

fn pcapng() -> Vec<u8> {
    let mut file = Vec::new();
    for field in [0x0a0d_0d0a_u32, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28, 1, 20, 1, 0, 20] {
        file.extend(field.to_le_bytes());
    }
    for n in 0..PACKETS {
        for field in [6, 96, 0, 395_000, n, 64, 64] {
            file.extend(field.to_le_bytes());
        }
        file.extend(frame(n));
        file.extend(96_u32.to_le_bytes());
    }
    file
}

fn frame(n: u32) -> [u8; 64] {
    let mut frame = [0; 64];
    (frame[12], frame[14], frame[23], frame[36]) = (8, 0x45, 6, 1);
    frame[26..30].copy_from_slice(&n.to_be_bytes());
    frame
}

fn stored(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Looks at one byte of every frame.
struct Touch(u64);

impl FrameSink for Touch {
    fn interface(&mut self, _: &netmon::capture::InterfaceInfo) {}

    fn frames(&mut self, frames: &[Frame<'_>]) {
        self.0 += frames.iter().map(|frame| u64::from(frame.bytes[12])).sum::<u64>();
    }
}

fn read(inputs: &[Input], options: &Options) -> u64 {
    let mut savefiles = Savefiles::open(inputs, options).unwrap();
    let mut touch = Touch(0);
    while savefiles.poll(Duration::ZERO, &mut touch).unwrap() != Poll::End {}
    touch.0
}

fn bench(bencher: Bencher<'_, '_>, files: &[Vec<u8>], bpf: Option<&str>) {
    let files: Vec<_> = files.iter().map(|bytes| stored(bytes)).collect();
    let inputs: Vec<_> = files.iter().map(|file| Input::Path(file.path().into())).collect();
    let options = Options { bpf: bpf.map(Into::into), ..Options::default() };
    bencher.bench_local(|| read(black_box(&inputs), &options));
}

#[divan::bench]
fn netmon_classic(bencher: Bencher<'_, '_>) {
    bench(bencher, &[classic()], None);
}

#[divan::bench]
fn netmon_classic_filtered(bencher: Bencher<'_, '_>) {
    bench(bencher, &[classic()], Some("tcp port 443 or udp port 53"));
}

#[divan::bench]
fn netmon_pcapng(bencher: Bencher<'_, '_>) {
    bench(bencher, &[pcapng()], None);
}

/// Two million packets: every other one is of the other file.
#[divan::bench]
fn netmon_two_classic_merged(bencher: Bencher<'_, '_>) {
    bench(bencher, &[classic(), classic()], None);
}

#[divan::bench]
fn libpcap_classic(bencher: Bencher<'_, '_>) {
    libpcap(bencher, &classic(), None);
}

#[divan::bench]
fn libpcap_classic_filtered(bencher: Bencher<'_, '_>) {
    libpcap(bencher, &classic(), Some("tcp port 443 or udp port 53"));
}

#[divan::bench]
fn libpcap_pcapng(bencher: Bencher<'_, '_>) {
    libpcap(bencher, &pcapng(), None);
}

fn libpcap(bencher: Bencher<'_, '_>, bytes: &[u8], bpf: Option<&str>) {
    let file = stored(bytes);
    bencher.bench_local(|| {
        let mut capture = pcap::Capture::from_file(file.path()).unwrap();
        if let Some(expression) = bpf {
            capture.filter(expression, true).unwrap();
        }
        let mut sum = 0;
        capture.dispatch(None, |packet| sum += u64::from(packet.data[12])).unwrap();
        sum
    });
}
