//! pcapng.

use super::super::incomplete::Damage;
use super::super::record::ByteOrder::{Big, Little};
use super::super::registry::MAX_INTERFACES;
use super::writer::{Put, block, enhanced, interface, obsolete, section, section_of_version, simple};
use super::{ORDERS, fault, incomplete, read, read_with};
use crate::capture::{Adapter, Options};
use crate::packet::{Direction, Linktype};
use crate::time::Timestamp;

const ETHERNET: u16 = 1;
const SLL: u16 = 113;
const UNKNOWN: u16 = 147;

fn packet(interface: u32, time: u64) -> Vec<u8> {
    enhanced(Little, interface, time, &[7; 5], 60, &[])
}

/// Sections of both byte orders, interfaces of several link types and resolutions, all packet blocks, an unknown block.
fn mixed() -> Vec<u8> {
    let mut file = Vec::new();
    for order in ORDERS {
        file.extend(section(order));
        file.extend(interface(order, ETHERNET, 96, &[(2, b"eth0"), (9, &[9])]));
        file.extend(interface(order, SLL, 0, &[(2, b"any\0")]));
        file.extend(enhanced(order, 0, 5_000_000_001, &[1; 61], 90, &[]));
        file.extend(block(order, 0xbad, &[0; 33]));
        file.extend(enhanced(order, 1, 6_000_000, &[2; 20], 20, &[(1, b"comment"), (2, &[0; 4])]));
        file.extend(simple(order, &[3; 96], 300));
        file.extend(obsolete(order, 1, 7_000_000, &[4; 3], &[]));
    }
    file
}

#[test]
fn sections_of_either_byte_order_read_the_same_frames() {
    let (frames, savefiles) = read(&mixed());
    let one = [5_000_000_001, 6_000_000_000, 6_000_000_000, 7_000_000_000];
    assert_eq!(frames.nanos(), [one, one].concat());
    let (first, second) = frames.0.split_at(4);
    assert_eq!(first, second);
    let described: Vec<_> =
        first.iter().map(|(meta, bytes)| (meta.linktype, bytes.len(), meta.wire_len, meta.timed)).collect();
    assert_eq!(
        described,
        [
            (Linktype::Ethernet, 61, 90, true),
            (Linktype::LinuxSll, 20, 20, true),
            (Linktype::Ethernet, 96, 300, false),
            (Linktype::LinuxSll, 3, 3, true)
        ]
    );
    let names: Vec<_> = savefiles.interfaces().iter().map(|info| &info.name[..]).collect();
    assert_eq!((names, savefiles.linktypes()), (vec!["eth0", "any"], vec![Linktype::Ethernet, Linktype::LinuxSll]));
    assert_eq!((incomplete(&savefiles), savefiles.bad_timestamps()), (None, 0));
}

#[test]
fn blocks_straddle_reads_of_every_size() {
    let file = mixed();
    let whole = read(&file).0;
    for block_bytes in 1..200 {
        let options = Options { block_bytes: Some(block_bytes), ..Options::default() };
        assert_eq!(read_with(&file, &options).unwrap().0.0, whole.0, "{block_bytes}");
    }
}

#[test]
fn a_file_cut_at_every_length_gives_the_packets_before() {
    let file = mixed();
    let mut ends = vec![0];
    while let Some(length) = file.get(ends[ends.len() - 1] + 4..) {
        let order = if ends[ends.len() - 1] < file.len() / 2 { Little } else { Big };
        ends.push(ends[ends.len() - 1] + order.u32_at(length, 0) as usize);
    }
    for cut in 28..=file.len() {
        let (frames, savefiles) = read(&file[..cut]);
        let start = *ends.iter().rfind(|end| **end <= cut).unwrap();
        match incomplete(&savefiles) {
            None => assert_eq!(start, cut),
            Some(incomplete) => {
                assert_eq!((incomplete.offset, incomplete.frames), (start as u64, frames.0.len() as u64));
                assert!(matches!(incomplete.damage, Damage::CutShort { found, .. } if found == (cut - start) as u64));
            }
        }
    }
}

#[test]
fn flags_tell_the_direction() {
    for order in ORDERS {
        let mut file = section(order);
        file.extend(interface(order, ETHERNET, 0, &[]));
        for flags in [0_u32, 1, 2, 3, 0x1e6] {
            let mut value = Vec::new();
            value.put32(order, flags);
            file.extend(enhanced(order, 0, 1, &[0; 3], 60, &[(1, b"x"), (2, &value)]));
            file.extend(obsolete(order, 0, 1, &[0; 3], &[(2, &value)]));
        }
        let directions: Vec<_> = read(&file).0.0.iter().map(|(meta, _)| meta.direction).collect();
        let (receive, transmit) = (Some(Direction::Receive), Some(Direction::Transmit));
        let expected = [None, receive, transmit, None, transmit];
        assert_eq!(directions, expected.iter().flat_map(|direction| [*direction; 2]).collect::<Vec<_>>());
    }
}

#[test]
fn interfaces_without_a_name_are_called_as_the_file_and_numbered() {
    let mut file = section(Little);
    for name in [&b""[..], b"eth0", b" \0", b"eth0", b"x\n"] {
        file.extend(interface(Little, ETHERNET, 0, &[(2, name)]));
    }
    for number in 0..5 {
        file.extend(packet(number, 1));
    }
    let (frames, savefiles) = read(&file);
    let names: Vec<_> = savefiles.interfaces().iter().map(|info| info.name.clone()).collect();
    assert_eq!(names, ["test", "eth0", "test-2", "x"]);
    assert_eq!(frames.0.iter().map(|(meta, _)| meta.interface.0).collect::<Vec<_>>(), [0, 1, 2, 1, 3]);

    let (_, savefiles) = read_with(&file, &Options { interface: Some("all".into()), ..Options::default() }).unwrap();
    assert_eq!(savefiles.interfaces().len(), 1);
    assert_eq!(savefiles.interfaces()[0].name, "all");
}

#[test]
fn addresses_of_an_interface_become_its_perspective() {
    let ipv6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[9, 64]].concat();
    let options: [(u16, &[u8]); 4] =
        [(4, &[10, 0, 0, 1, 255, 0, 0, 0]), (4, &[10, 0, 0, 2, 255, 0, 0, 0]), (5, &ipv6), (6, &[2, 0, 0, 0, 0, 7])];
    let file =
        [section(Big), interface(Big, ETHERNET, 0, &options), interface(Big, ETHERNET, 0, &[(2, b"lo")])].concat();
    let (_, savefiles) = read(&file);
    let perspective = &savefiles.interfaces()[0].perspective;
    let addresses: Vec<_> = perspective.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "2001:db8::9"]);
    assert_eq!((perspective.mac, perspective.loopback), (Some([2, 0, 0, 0, 0, 7]), false));
    assert!(savefiles.interfaces()[1].perspective.loopback);
}

#[test]
fn an_offset_and_a_binary_resolution_are_read_in_either_byte_order() {
    for order in ORDERS {
        let offset = if order == Little { 100_i64.to_le_bytes() } else { 100_i64.to_be_bytes() };
        let mut file = section(order);
        file.extend(interface(order, ETHERNET, 0, &[(9, &[0x80 | 1]), (14, &offset)]));
        file.extend(enhanced(order, 0, 3, &[], 60, &[]));
        assert_eq!(read(&file).0.nanos(), [101_500_000_000]);
    }
}

#[test]
fn a_time_out_of_range_is_clamped_counted_and_not_trusted() {
    let mut file = section(Little);
    file.extend(interface(Little, ETHERNET, 0, &[]));
    file.extend(packet(0, 5));
    file.extend(packet(0, u64::MAX));
    file.extend(simple(Little, &[0; 4], 4));
    let (frames, savefiles) = read(&file);
    assert_eq!(frames.nanos(), [5000, Timestamp::MAX.as_nanos(), 5000]);
    assert_eq!(frames.0.iter().map(|(meta, _)| meta.timed).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(savefiles.bad_timestamps(), 1);
}

#[test]
fn frames_of_an_unknown_linktype_among_others_are_handed_out_and_alone_are_refused() {
    let unknown = [section(Little), interface(Little, UNKNOWN, 0, &[]), packet(0, 1)].concat();
    let error = read_with(&unknown, &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "`dir/test.pcap` has only the unknown linktype 147");
    assert!(error.is_usage());

    let both = [unknown, interface(Little, ETHERNET, 0, &[]), packet(1, 1)].concat();
    let linktypes = |options| {
        let (frames, _) = read_with(&both, &options).unwrap();
        frames.0.iter().map(|(meta, _)| meta.linktype).collect::<Vec<_>>()
    };
    assert_eq!(linktypes(Options::default()), [Linktype::Other(UNKNOWN), Linktype::Ethernet]);
    assert_eq!(linktypes(Options { bpf: Some("less 100".into()), ..Options::default() }), [Linktype::Ethernet]);
}

#[test]
fn a_filter_is_compiled_for_each_linktype() {
    let mut file = section(Little);
    for linktype in [ETHERNET, 101] {
        file.extend(interface(Little, linktype, 0, &[]));
    }
    let mut ip = vec![0; 20];
    (ip[0], ip[9]) = (0x45, 17);
    file.extend(enhanced(Little, 0, 1, &[&[0; 12][..], &[8, 0], &ip[..]].concat(), 60, &[]));
    file.extend(enhanced(Little, 1, 1, &ip, 60, &[]));
    let with = |bpf: &str| read_with(&file, &Options { bpf: Some(bpf.into()), ..Options::default() });
    assert_eq!(with("udp").unwrap().0.0.len(), 2);
    assert_eq!(with("tcp").unwrap().1.filtered(), 2);
    let error = with("ether src 1:2:3:4:5:6").unwrap_err().to_string();
    assert!(error.starts_with("filter `ether src 1:2:3:4:5:6` does not compile for linktype RAW"), "{error}");
}

#[test]
fn a_file_without_interfaces_or_packets_is_an_empty_capture() {
    let (frames, savefiles) = read(&section(Big));
    assert!(frames.0.is_empty() && savefiles.interfaces().is_empty() && incomplete(&savefiles).is_none());
}

#[test]
fn a_damaged_block_ends_reading_and_says_why() {
    let start = [section(Little), interface(Little, ETHERNET, 0, &[]), packet(0, 1)].concat();
    let with_length = |length: u32| [&6_u32.to_le_bytes()[..], &length.to_le_bytes(), &[0; 40]].concat();
    let mut trailer = packet(0, 1);
    *trailer.last_mut().unwrap() = 1;
    let mut caplen = packet(0, 1);
    caplen[20] = 100;
    let mut huge = packet(0, 1);
    huge[22] = 100;
    let long_option = [&[2, 0, 200, 0][..], &[0; 4]].concat();
    for (damaged, expected) in [
        (with_length(8), Damage::BlockLength(8)),
        (with_length(37), Damage::BlockLength(37)),
        (with_length(0xffff_fffc), Damage::BlockLength(0xffff_fffc)),
        (with_length((16 << 20) + 4), Damage::BlockLength((16 << 20) + 4)),
        (trailer, Damage::BlockTrailer { front: 40, behind: 0x0100_0028 }),
        (caplen, Damage::BlockCaplen { caplen: 100, length: 40 }),
        (huge, Damage::Caplen(0x0064_0005)),
        (packet(1, 1), Damage::Interface { number: 1, described: 1 }),
        (block(Little, 6, &[0; 16]), Damage::BlockShort { block: "enhanced packet", length: 28 }),
        (block(Little, 2, &[0; 16]), Damage::BlockShort { block: "packet", length: 28 }),
        (block(Little, 3, &[]), Damage::BlockShort { block: "simple packet", length: 12 }),
        (block(Little, 1, &[0; 4]), Damage::BlockShort { block: "interface description", length: 16 }),
        (block(Little, 1, &[&[0; 8], &long_option[..]].concat()), Damage::BlockOption { code: 2, length: 200 }),
        (interface(Little, 1, 0, &[(9, b"")]), Damage::BlockOption { code: 9, length: 0 }),
        (interface(Little, 1, 0, &[(14, &[0; 7])]), Damage::BlockOption { code: 14, length: 7 }),
        (interface(Little, 1, 0, &[(6, &[0; 8])]), Damage::BlockOption { code: 6, length: 8 }),
        (interface(Little, 1, 0, &[(4, &[0; 3])]), Damage::BlockOption { code: 4, length: 3 }),
        (interface(Little, 1, 0, &[(5, &[0; 15])]), Damage::BlockOption { code: 5, length: 15 }),
        (enhanced(Little, 0, 1, &[], 60, &[(2, &[0; 3])]), Damage::BlockOption { code: 2, length: 3 }),
        (block(Little, 0x0a0d_0d0a, &[9; 16]), Damage::ByteOrder(0x0909_0909)),
        (section_of_version(Big, (2, 0)), Damage::Version { major: 2, minor: 0 }),
        (
            block(Big, 0x0a0d_0d0a, &[0x1a, 0x2b, 0x3c, 0x4d]),
            Damage::BlockShort { block: "section header", length: 16 },
        ),
    ] {
        let (frames, savefiles) = read(&[&start[..], &damaged, &packet(0, 1)].concat());
        assert_eq!(frames.0.len(), 1, "{expected:?}");
        let incomplete = incomplete(&savefiles).unwrap();
        assert_eq!((incomplete.offset, incomplete.frames), (start.len() as u64, 1));
        assert_eq!(incomplete.damage, expected);
    }
}

#[test]
fn a_damaged_first_section_is_no_capture() {
    let mut magic = section(Little);
    magic[9] = 0;
    assert_eq!(
        fault(&magic),
        "`dir/test.pcap` has a bad pcapng section header: a section with byte-order magic 4d002b1a, allowed 1a2b3c4d"
    );
    assert_eq!(fault(&section_of_version(Big, (9, 1))), "`dir/test.pcap` is pcapng of version 9.1, not known");
    assert_eq!(
        fault(&section(Big)[..20]),
        "`dir/test.pcap` ends inside its pcapng header (28 bytes needed, 20 present)"
    );
}

#[test]
fn interfaces_beyond_the_bound_are_damage() {
    let mut file = section(Little);
    for number in 0..=MAX_INTERFACES {
        file.extend(interface(Little, ETHERNET, 0, &[(2, number.to_string().as_bytes())]));
    }
    let (_, savefiles) = read(&file);
    assert_eq!(savefiles.interfaces().len(), MAX_INTERFACES);
    assert_eq!(incomplete(&savefiles).unwrap().damage, Damage::TooManyInterfaces);
}

#[test]
fn a_block_of_16_mib_is_skipped() {
    let large = block(Little, 0xbad, &vec![0; (16 << 20) - 12]);
    let file = [section(Little), interface(Little, ETHERNET, 0, &[]), large, packet(0, 1)].concat();
    assert_eq!(read(&file).0.0.len(), 1);
}
