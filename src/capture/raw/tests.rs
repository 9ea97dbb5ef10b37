//! The block reader on made-up blocks, hostile ones among them, and the fan-out program on frames.

use super::block::{Layout, Record, Records};
use super::fanout;
use crate::capture::Statistics;
use crate::capture::bpf::{Instruction, Program};
use crate::packet::build::Builder;
use crate::packet::{Linktype, TcpSegment};
use crate::time::Timestamp;
use std::collections::HashSet;

const BLOCK: usize = 4096;
const ETHERNET: Layout = Layout { vnet_header: false, ethernet: true };
const WITH_VNET: Layout = Layout { vnet_header: true, ethernet: true };
const VLAN_VALID: u32 = 0x10;
const TPID_VALID: u32 = 0x40;

/// A frame to put into a block; the numbers are those of linux/if_packet.h, written out as a second witness.
#[derive(Clone)]
struct Made {
    bytes: Vec<u8>,
    wire_len: u32,
    status: u32,
    tci: u32,
    tpid: u16,
    gso: (u8, u16),
}

fn made(bytes: &[u8]) -> Made {
    let wire_len = u32::try_from(bytes.len()).unwrap();
    Made { bytes: bytes.to_vec(), wire_len, status: 1, tci: 0, tpid: 0, gso: (0, 0) }
}

/// Where the bytes of a frame begin behind its header: 82 and room for a tag, as the kernel aligns it.
const START: usize = 98;
/// Where the first header of a block is.
const FIRST: usize = 48;

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

fn block(frames: &[Made]) -> Vec<u8> {
    let mut block = vec![0xaa; BLOCK];
    put(&mut block, 12, &u32::try_from(frames.len()).unwrap().to_ne_bytes());
    put(&mut block, 16, &u32::try_from(FIRST).unwrap().to_ne_bytes());
    let mut at = FIRST;
    for (n, frame) in frames.iter().enumerate() {
        let size = (START + frame.bytes.len()).next_multiple_of(16);
        let next = if n + 1 == frames.len() { 0 } else { size };
        let caplen = u32::try_from(frame.bytes.len()).unwrap();
        let words = [u32::try_from(next).unwrap(), 1_700_000_000, 123_456_789, caplen, frame.wire_len, frame.status];
        words.iter().enumerate().for_each(|(n, word)| put(&mut block, at + 4 * n, &word.to_ne_bytes()));
        put(&mut block, at + 24, &u16::try_from(START).unwrap().to_ne_bytes());
        put(&mut block, at + 32, &frame.tci.to_ne_bytes());
        put(&mut block, at + 36, &frame.tpid.to_ne_bytes());
        block[at + 58] = 4;
        block[at + START - 9] = frame.gso.0;
        put(&mut block, at + START - 6, &frame.gso.1.to_ne_bytes());
        put(&mut block, at + START, &frame.bytes);
        at += size;
    }
    block
}

/// Wire length, segment size and bytes of each frame, and whether the block was as it should be.
fn read(block: &mut [u8], layout: Layout) -> (Vec<(u32, u16, Vec<u8>)>, bool) {
    let mut records = Records::new(block, layout);
    let read = records.by_ref().map(|record| (record.wire_len, record.gso_size, record.bytes.to_vec())).collect();
    (read, records.is_whole())
}

/// Untagged Ethernet header and some payload.
fn frame(len: u8) -> Vec<u8> {
    (0..len).collect()
}

#[test]
fn each_frame_of_a_block_is_read_once_with_its_time_and_length() {
    let frames = [made(&frame(60)), Made { wire_len: 1500, ..made(&frame(61)) }, made(&[])];
    let mut memory = block(&frames);
    let mut records = Records::new(&mut memory, ETHERNET);
    let first = records.next().unwrap();
    let timestamp = Timestamp::from_nanos(1_700_000_000_123_456_789);
    assert_eq!(first, Record { timestamp, packet_type: 4, wire_len: 60, gso_size: 0, bytes: &frame(60) });
    let rest: Vec<_> = records.by_ref().map(|record| (record.wire_len, record.bytes.len())).collect();
    assert_eq!((rest, records.is_whole()), (vec![(1500, 61), (0, 0)], true));
    assert!(records.next().is_none());
    assert_eq!(read(&mut block(&[]), ETHERNET), (vec![], true));
}

#[test]
fn a_stripped_tag_is_put_back_and_counts_in_both_lengths() {
    let status = 1 | VLAN_VALID | TPID_VALID;
    let tagged = |tci, tpid, status| Made { wire_len: 100, tci, tpid, status, ..made(&frame(60)) };
    let frames = [
        tagged(0x602a, 0x8100, status),
        tagged(0x0064, 0x88a8, status),
        tagged(0, 0x8100, status),
        tagged(42, 0, 1 | VLAN_VALID),
        tagged(42, 0x8100, 1),
        Made { wire_len: 60, ..tagged(42, 0x8100, status) },
    ];
    let expected = |tag: &[u8]| [&frame(12)[..], tag, &frame(60)[12..]].concat();
    let (read, is_whole) = read(&mut block(&frames), ETHERNET);
    assert!(is_whole);
    assert_eq!(read[0], (104, 0, expected(&[0x81, 0, 0x60, 0x2a])));
    assert_eq!(read[1], (104, 0, expected(&[0x88, 0xa8, 0, 0x64])));
    assert_eq!(read[2], (104, 0, expected(&[0x81, 0, 0, 0])), "a priority tag");
    assert_eq!(read[3], (104, 0, expected(&[0x81, 0, 0, 42])), "the kernel does not say which kind of tag");
    assert_eq!(read[4], (100, 0, frame(60)), "no tag");
    assert_eq!(read[5], (64, 0, expected(&[0x81, 0, 0, 42])));
}

#[test]
fn a_frame_without_all_of_its_addresses_keeps_its_bytes_and_the_tag_its_length() {
    let status = 1 | VLAN_VALID | TPID_VALID;
    let cut = |len| Made { wire_len: 100, status, tci: 7, tpid: 0x8100, ..made(&frame(len)) };
    let (read, _) = read(&mut block(&[cut(11), cut(12)]), ETHERNET);
    assert_eq!(read[0], (104, 0, frame(11)));
    assert_eq!(read[1], (104, 0, [&frame(12)[..], &[0x81, 0, 0, 7]].concat()));
}

#[test]
fn bare_ip_keeps_its_bytes_whatever_the_tag_fields_hold() {
    let status = 1 | VLAN_VALID;
    let frames = [Made { status, tci: 7, ..made(&frame(40)) }];
    let layout = Layout { vnet_header: false, ethernet: false };
    assert_eq!(read(&mut block(&frames), layout), (vec![(40, 0, frame(40))], true));
}

#[test]
fn the_segment_size_of_a_super_frame_is_in_the_virtio_header() {
    let status = 1 | VLAN_VALID | TPID_VALID;
    let frames = [
        Made { gso: (1, 1448), ..made(&frame(60)) },
        Made { gso: (0, 1448), ..made(&frame(60)) },
        Made { gso: (4 | 0x80, 900), status, tci: 5, tpid: 0x8100, ..made(&frame(60)) },
    ];
    let sizes = |layout| read(&mut block(&frames), layout).0.iter().map(|read| read.1).collect::<Vec<_>>();
    assert_eq!(sizes(WITH_VNET), [1448, 0, 900]);
    assert_eq!(sizes(ETHERNET), [0, 0, 0]);
}

/// Offsets and lengths that are wrong, or right only somewhere else.
const HOSTILE: [u32; 18] =
    [0, 1, 4, 15, 16, 47, 48, 67, 68, 71, 72, 96, 4095, 4096, 4097, 0x7fff_ffff, u32::MAX - 47, u32::MAX];

#[test]
fn no_number_of_a_block_is_trusted_beyond_the_block() {
    let status = 1 | VLAN_VALID | TPID_VALID;
    let good = block(&[Made { status, tci: 9, tpid: 0x8100, ..made(&frame(60)) }, made(&frame(60)), made(&frame(14))]);
    for layout in [ETHERNET, WITH_VNET] {
        // Counts and offsets of the block, then those of the first frame.
        for at in [12, 16, FIRST, FIRST + 12, FIRST + 16, FIRST + 20] {
            for value in HOSTILE {
                let mut hostile = good.clone();
                put(&mut hostile, at, &value.to_ne_bytes());
                let (read, _) = read(&mut hostile, layout);
                assert!(read.iter().all(|(wire_len, _, bytes)| bytes.len() <= *wire_len as usize));
            }
        }
        for value in HOSTILE {
            let mut hostile = good.clone();
            put(&mut hostile, FIRST + 24, &value.to_ne_bytes()[..2]);
            read(&mut hostile, layout);
        }
    }
}

#[test]
fn a_frame_that_points_outside_ends_the_walk_and_is_reported() {
    let good = block(&[made(&frame(60)), made(&frame(60)), made(&frame(14))]);
    let second = FIRST + 160;
    let after = |at: usize, bytes: &[u8]| {
        let mut hostile = good.clone();
        put(&mut hostile, at, bytes);
        let (read, is_whole) = read(&mut hostile, ETHERNET);
        (read.len(), is_whole)
    };
    assert_eq!(after(second, &160_u32.to_ne_bytes()), (3, true), "as it was");
    assert_eq!(after(12, &4_u32.to_ne_bytes()), (2, false), "more frames than there are: the third has no next");
    assert_eq!(after(16, &4097_u32.to_ne_bytes()), (0, false), "first frame");
    assert_eq!(after(second, &u32::MAX.to_ne_bytes()), (1, false), "next frame");
    assert_eq!(after(second + 12, &61_u32.to_ne_bytes()), (1, false), "captured more than there was");
    assert_eq!(after(second + 24, &67_u16.to_ne_bytes()), (1, false), "inside its own header");
    assert_eq!(after(second + 24, &u16::MAX.to_ne_bytes()), (1, false), "behind the block");
}

#[test]
fn a_block_shorter_than_its_header_has_no_frames() {
    for len in 0..48 {
        assert_eq!(read(&mut vec![0xff; len], ETHERNET), (vec![], false));
    }
}

#[cfg(not(miri))]
mod generated {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_block_that_can_be_walked(
            mut memory in prop::collection::vec(prop_oneof![4 => Just(0_u8), 2 => 0..80_u8, 1 => any::<u8>()], 0..600),
            count in 0..9_u32,
            vnet_header: bool,
            ethernet: bool,
        ) {
            if let Some(field) = memory.get_mut(12..20) {
                field.copy_from_slice(&[count.to_ne_bytes(), 48_u32.to_ne_bytes()].concat());
            }
            let (read, _) = read(&mut memory, Layout { vnet_header, ethernet });
            prop_assert!(read.len() <= count.max(1) as usize || memory.len() < 20);
        }
    }
}

#[test]
fn drops_are_not_received_and_counts_go_beyond_32_bits() {
    let since = libc::tpacket_stats_v3 { tp_packets: u32::MAX, tp_drops: 5, tp_freeze_q_cnt: 2 };
    let mut sum = Statistics::default();
    for _ in 0..3 {
        super::add(&mut sum, &since);
    }
    let received = 3 * (u64::from(u32::MAX) - 5);
    assert_eq!(sum, Statistics { received, kernel_dropped: 15, interface_dropped: 0, freezes: 6 });
}

/// What the program makes of a frame that comes in: the kernel knows its type beside the bytes behind the header.
fn receive(frame: &[u8]) -> u32 {
    let ethertype = u32::from(u16::from_be_bytes([frame[12], frame[13]]));
    let load = Instruction { code: 0, jump_true: 0, jump_false: 0, k: ethertype };
    run(vec![fanout::constant_to_x(0), load], &frame[14..])
}

/// And of one that goes out.
fn transmit(frame: &[u8]) -> u32 {
    let load = Instruction { code: 0x28, jump_true: 0, jump_false: 0, k: 12 };
    run(vec![fanout::constant_to_x(14), load], frame)
}

/// Interprets the program without its first instructions, which ask the kernel.
fn run(start: Vec<Instruction>, bytes: &[u8]) -> u32 {
    let program = [start, fanout::walk_tags(), fanout::addresses()].concat();
    let program = Program::decode(&program).expect("every jump stays inside");
    // The kernel takes a load that is not possible for 0.
    program.run(bytes, u32::try_from(bytes.len()).unwrap()).unwrap_or(0)
}

/// The number of a frame, which is the same whichever way it goes.
fn number(builder: &Builder) -> u32 {
    let frame = builder.build();
    assert_eq!(receive(&frame), transmit(&frame));
    receive(&frame)
}

const A: [u8; 4] = [192, 0, 2, 1];
const B: [u8; 4] = [198, 51, 100, 77];
const A6: [u16; 8] = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1];
const B6: [u16; 8] = [0x2001, 0xdb8, 0xffff, 1, 2, 3, 4, 5];

#[test]
fn both_directions_have_the_same_number_and_ports_and_tags_none() {
    let ethernet = Builder::ethernet;
    let ack = TcpSegment::default();
    let expected = number(&ethernet().ipv4(A, B).udp(1000, 53));
    assert_ne!(expected, 0);
    assert_eq!(number(&ethernet().ipv4(B, A).udp(53, 1000)), expected);
    assert_eq!(number(&ethernet().ipv4(B, A).tcp(80, 4000, ack)), expected);
    let expected = number(&ethernet().ipv6(A6, B6).udp(1000, 53));
    assert_ne!(expected, 0);
    assert_eq!(number(&ethernet().ipv6(B6, A6).tcp(80, 4000, ack)), expected);
    let mut tagged = ethernet();
    for id in 1..=5 {
        tagged = tagged.vlan(id);
        assert_eq!(number(&tagged.clone().ipv6(A6, B6).udp(1, 2)), expected, "{id} tags");
    }
    assert_eq!(number(&tagged.vlan(6).ipv6(A6, B6).udp(1, 2)), 0, "more tags than are read");
}

#[test]
fn fragments_and_tunnels_go_with_their_outer_addresses() {
    let ethernet = Builder::ethernet;
    let expected = number(&ethernet().ipv4(A, B).udp(1000, 53));
    let inner = Builder::raw().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2).build();
    for fragment in [(0, true), (1, true), (100, false)] {
        assert_eq!(number(&ethernet().ipv4(B, A).fragment(fragment.0, fragment.1).payload(&[7; 64])), expected);
    }
    let gre = [&[0, 0, 8, 0], &inner[..]].concat();
    for (protocol, payload) in [(47, &gre), (4, &inner), (41, &inner)] {
        assert_eq!(number(&ethernet().ipv4(A, B).protocol(protocol).payload(payload)), expected, "protocol {protocol}");
    }
    assert_eq!(number(&ethernet().ipv4(A, B).ipv4_options(&[1; 8]).udp(1, 2)), expected);
    let expected = number(&ethernet().ipv6(A6, B6).udp(1000, 53));
    assert_eq!(number(&ethernet().ipv6(B6, A6).fragment(100, false).payload(&[7; 64])), expected);
    assert_eq!(number(&ethernet().ipv6(A6, B6).protocol(4).payload(&inner)), expected);
}

#[test]
fn what_has_no_ip_header_in_its_place_goes_to_the_first_ring() {
    let ethernet = Builder::ethernet;
    assert_eq!(number(&ethernet().ethertype(0x0806).payload(&[1; 28])), 0);
    assert_eq!(number(&ethernet().mpls(16).ipv4(A, B).udp(1, 2)), 0);
    assert_eq!(number(&ethernet().pppoe().ipv4(A, B).udp(1, 2)), 0);
    let whole = ethernet().vlan(3).ipv4(A, B).udp(1, 2).build();
    for len in 14..=18 + 20 {
        assert_eq!(receive(&whole[..len]), transmit(&whole[..len]));
        assert_eq!(receive(&whole[..len]) == 0, len < 18 + 20, "{len}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "interprets the program thousands of times")]
fn address_pairs_spread_over_two_to_eight_rings() {
    let pairs = |n: u16| {
        let [high, low] = n.to_be_bytes();
        let v4 = number(&Builder::ethernet().ipv4([10, 1, high, low], A).udp(1, 2));
        let v6 = number(&Builder::ethernet().ipv6([0x2001, 0xdb8, 0, 0, 0, 0, 0, n + 2], A6).udp(1, 2));
        [v4, v6]
    };
    let numbers: Vec<u32> = (0..1000).flat_map(pairs).collect();
    for rings in 2..=8 {
        for ring in 0..rings {
            let dealt = numbers.iter().filter(|number| *number % rings == ring).count();
            let even = numbers.len() / rings as usize;
            assert!((even * 3 / 4..=even * 5 / 4).contains(&dealt), "ring {ring} of {rings}: {dealt}");
        }
    }
    assert!(numbers.iter().collect::<HashSet<_>>().len() > numbers.len() * 9 / 10);
}

#[test]
fn the_whole_program_is_one_that_the_kernel_takes() {
    for linktype in [Linktype::Ethernet, Linktype::Raw] {
        assert!(Program::decode(&fanout::program(linktype)).is_some());
        assert!(fanout::program(linktype).len() < 4096);
    }
}
