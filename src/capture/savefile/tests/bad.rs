//! One small file per kind of bad capture, in `fixtures/bad`, with its exact message.
//!
//! The files are what [`fixtures`] writes; a test compares every byte. `UPDATE_FIXTURES=1 cargo test --lib bad` writes
//! them anew.

use super::super::record::ByteOrder::{Big, Little};
use super::writer::{
    MICRO, NANO, Put, block, classic_header, classic_header_of_version, classic_record, enhanced, interface, section,
    section_of_version,
};
use super::{Collected, drain, incomplete};
use crate::capture::{Input, Options, Savefiles};
use std::io::Write;
use std::path::PathBuf;

/// A file and the message that reading it gives.
struct Fixture {
    name: &'static str,
    bytes: Vec<u8>,
    message: &'static str,
}

fn fixture(name: &'static str, bytes: Vec<u8>, message: &'static str) -> Fixture {
    Fixture { name, bytes, message }
}

/// An ARP request: 42 bytes of Ethernet.
fn arp() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend([2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2]);
    frame
}

/// A classic file with two good records of 58 bytes.
fn classic() -> Vec<u8> {
    let record = |seconds| classic_record(Little, (seconds, 0), &arp(), 42);
    [classic_header(Little, MICRO, 1), record(1_700_000_000), record(1_700_000_001)].concat()
}

/// A pcapng file with one good packet of 76 bytes, in big-endian order.
fn pcapng() -> Vec<u8> {
    let packet = enhanced(Big, 0, 1_700_000_000_000_000, &arp(), 42, &[]);
    [section(Big), interface(Big, 1, 0, &[(2, b"eth0")]), packet].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Stored, not deflated, so that every version of the library writes the same bytes.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn fixtures() -> Vec<Fixture> {
    [not_captures(), classic_files(), pcapng_files()].into_iter().flatten().collect()
}

fn not_captures() -> Vec<Fixture> {
    vec![
        fixture("empty.pcap", Vec::new(), "`empty.pcap` is empty, not a capture"),
        fixture(
            "text.pcap",
            b"no capture at all\n".to_vec(),
            "`text.pcap` is not a capture: it begins with 6e 6f 20 63",
        ),
        fixture(
            "bzip2.pcap",
            b"BZh91AY&SY".to_vec(),
            "`bzip2.pcap` is not a capture: it begins with 42 5a 68 39 (bzip2)",
        ),
        fixture(
            "header-cut.pcap",
            classic()[..10].to_vec(),
            "`header-cut.pcap` ends inside its pcap header (24 bytes needed, 10 present)",
        ),
        fixture(
            "version-1.4.pcap",
            classic_header_of_version(Little, MICRO, (1, 4), 1),
            "`version-1.4.pcap` is pcap of version 1.4, not known",
        ),
        fixture(
            "linktype-147.pcap",
            classic_header(Big, NANO, 147),
            "`linktype-147.pcap` has only the unknown linktype 147",
        ),
        fixture(
            "gzip-header.pcap.gz",
            gzip(&classic())[..6].to_vec(),
            "`gzip-header.pcap.gz` has bad compressed data: cut short",
        ),
        fixture(
            "section-cut.pcapng",
            pcapng()[..20].to_vec(),
            "`section-cut.pcapng` ends inside its pcapng header (28 bytes needed, 20 present)",
        ),
        fixture(
            "section-magic.pcapng",
            block(Little, 0x0a0d_0d0a, &[7; 16]),
            "`section-magic.pcapng` has a bad pcapng section header: a section with byte-order magic 07070707, allowed \
             1a2b3c4d",
        ),
        fixture(
            "version-2.0.pcapng",
            section_of_version(Big, (2, 0)),
            "`version-2.0.pcapng` is pcapng of version 2.0, not known",
        ),
        fixture(
            "linktypes.pcapng",
            [section(Little), interface(Little, 147, 0, &[]), interface(Little, 148, 0, &[])].concat(),
            "`linktypes.pcapng` has only unknown linktypes 147, 148",
        ),
    ]
}

fn classic_files() -> Vec<Fixture> {
    let mut caplen = classic();
    caplen.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    caplen.put32(Little, 262_145);
    caplen.put32(Little, 262_145);
    let compressed = gzip(&classic());
    let mut checksum = compressed.clone();
    let at = checksum.len() - 8;
    checksum[at] ^= 0xff;
    vec![
        fixture(
            "record-header-cut.pcap",
            classic()[..90].to_vec(),
            "replay of `record-header-cut.pcap` stopped after 1 frame: at byte 82 record cut short (16 bytes needed, 8 \
             present)",
        ),
        fixture(
            "record-cut.pcap",
            classic()[..139].to_vec(),
            "replay of `record-cut.pcap` stopped after 1 frame: at byte 82 record cut short (58 bytes needed, 57 present)",
        ),
        fixture(
            "caplen.pcap",
            caplen,
            "replay of `caplen.pcap` stopped after 2 frames: at byte 140 a record of 262145 captured bytes, allowed 262144",
        ),
        fixture(
            "gzip-cut.pcap.gz",
            compressed[..compressed.len() - 4].to_vec(),
            "replay of `gzip-cut.pcap.gz` stopped after 2 frames: at byte 140 compressed data cut short",
        ),
        fixture(
            "gzip-checksum.pcap.gz",
            checksum,
            "replay of `gzip-checksum.pcap.gz` stopped after 2 frames: at byte 140 compressed data corrupt gzip stream \
             does not have a matching checksum",
        ),
    ]
}

fn pcapng_files() -> Vec<Fixture> {
    let then = |block: Vec<u8>| [pcapng(), block].concat();
    let packet = |interface| enhanced(Big, interface, 0, &arp(), 42, &[]);
    let with_length = |length: u32| [&[0, 0, 0, 6][..], &length.to_be_bytes(), &[0; 28]].concat();
    let mut trailer = packet(0);
    trailer[75] = 80;
    let mut caplen = packet(0);
    caplen[23] = 99;
    vec![
        fixture(
            "block-cut.pcapng",
            then(packet(0)[..50].to_vec()),
            "replay of `block-cut.pcapng` stopped after 1 frame: at byte 136 record cut short (76 bytes needed, 50 \
             present)",
        ),
        fixture(
            "block-length-4g.pcapng",
            then(with_length(0xffff_fffc)),
            "replay of `block-length-4g.pcapng` stopped after 1 frame: at byte 136 a block of 4294967292 bytes, allowed \
             12 to 16777216 in steps of 4",
        ),
        fixture(
            "block-length-odd.pcapng",
            then(with_length(33)),
            "replay of `block-length-odd.pcapng` stopped after 1 frame: at byte 136 a block of 33 bytes, allowed 12 to \
             16777216 in steps of 4",
        ),
        fixture(
            "block-trailer.pcapng",
            then(trailer),
            "replay of `block-trailer.pcapng` stopped after 1 frame: at byte 136 a block of 76 bytes that ends as one of \
             80",
        ),
        fixture(
            "block-short.pcapng",
            then(block(Big, 6, &[0; 8])),
            "replay of `block-short.pcapng` stopped after 1 frame: at byte 136 enhanced packet block of 20 bytes, too \
             short for its fields",
        ),
        fixture(
            "packet-caplen.pcapng",
            then(caplen),
            "replay of `packet-caplen.pcapng` stopped after 1 frame: at byte 136 a packet of 99 captured bytes in a \
             block of 76",
        ),
        fixture(
            "packet-interface.pcapng",
            then(packet(7)),
            "replay of `packet-interface.pcapng` stopped after 1 frame: at byte 136 a packet of interface 7, the section \
             describes 1",
        ),
        fixture(
            "option-length.pcapng",
            then(block(Big, 1, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 40, b'x', 0, 0, 0])),
            "replay of `option-length.pcapng` stopped after 1 frame: at byte 136 option 2 with a bad length of 40 bytes",
        ),
        fixture(
            "later-section.pcapng",
            then(section_of_version(Little, (3, 1))),
            "replay of `later-section.pcapng` stopped after 1 frame: at byte 136 a section of version 3.1, allowed 1.0 \
             and 1.2",
        ),
    ]
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fixtures", "bad"].iter().collect()
}

#[test]
fn fixtures_are_what_their_generator_writes() {
    for Fixture { name, bytes, .. } in fixtures() {
        let path = folder().join(name);
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
    }
}

#[test]
fn every_bad_capture_gives_its_message() {
    for Fixture { name, message, .. } in fixtures() {
        let path = folder().join(name);
        let shown = path.display().to_string();
        let read = Savefiles::open(&[Input::Path(path)], &Options::default())
            .and_then(|mut savefiles| drain(&mut savefiles).map(|collected| (collected, savefiles)));
        let said = match read {
            Err(error) => {
                assert!(error.is_usage(), "{name}");
                error.to_string()
            }
            Ok((Collected(frames), savefiles)) => {
                let incomplete = incomplete(&savefiles).unwrap_or_else(|| panic!("{name} was read to its end"));
                assert_eq!(incomplete.frames, frames.len() as u64, "{name}");
                incomplete.to_string()
            }
        };
        assert_eq!(said.replace(&shown, name), message);
    }
}

#[test]
fn every_file_of_the_folder_is_one_that_is_tested() {
    let known: Vec<&str> = fixtures().iter().map(|fixture| fixture.name).collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || known.contains(&&name[..]), "{name}");
    }
}
