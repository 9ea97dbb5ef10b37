//! Classic pcap.

use super::super::incomplete::Damage;
use super::super::record::{ByteOrder, MAX_CAPLEN};
use super::writer::{KUZNETZOV, MICRO, NANO, Put, classic_header, classic_header_of_version, classic_record};
use super::{ORDERS, fault, incomplete, read, read_with};
use crate::capture::Options;
use crate::packet::{Direction, Linktype};

fn three_records(order: ByteOrder, magic: u32) -> Vec<u8> {
    let mut file = classic_header(order, magic, 1);
    for (n, size) in [0_u8, 60, 5].into_iter().enumerate() {
        let time = (1_700_000_000 + u32::try_from(n).unwrap(), 999_999);
        file.extend(classic_record(order, time, &vec![size; usize::from(size)], u32::from(size) + 1000));
    }
    file
}

#[test]
fn every_byte_order_and_unit_reads_the_same_frames() {
    for order in ORDERS {
        for (magic, fraction) in [(MICRO, 999_999_000), (NANO, 999_999)] {
            let (frames, savefiles) = read(&three_records(order, magic));
            assert_eq!(frames.nanos(), [0, 1, 2].map(|s| (1_700_000_000 + s) * 1_000_000_000 + fraction));
            assert_eq!(frames.bytes(), [&[][..], &[60; 60], &[5; 5]]);
            let metas: Vec<_> =
                frames.0.iter().map(|(meta, _)| (meta.wire_len, meta.linktype, meta.direction)).collect();
            assert_eq!(metas, [1000, 1060, 1005].map(|wire_len| (wire_len, Linktype::Ethernet, None)));
            assert!(frames.0.iter().all(|(meta, _)| meta.timed));
            assert_eq!((incomplete(&savefiles), savefiles.bad_timestamps()), (None, 0));
        }
    }
}

#[test]
fn records_straddle_blocks_of_every_size() {
    let file = three_records(ByteOrder::Big, MICRO);
    let whole = read(&file).0;
    for block_bytes in 1..file.len() + 2 {
        let options = Options { block_bytes: Some(block_bytes), ..Options::default() };
        assert_eq!(read_with(&file, &options).unwrap().0.0, whole.0, "{block_bytes}");
    }
}

#[test]
fn a_file_cut_at_every_length_gives_the_whole_records_before() {
    let file = three_records(ByteOrder::Little, MICRO);
    let ends = [24, 40, 116, 137];
    for cut in 24..=file.len() {
        let (frames, savefiles) = read(&file[..cut]);
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        assert_eq!(frames.0.len(), whole);
        let Some(incomplete) = incomplete(&savefiles) else {
            assert!(ends.contains(&cut));
            continue;
        };
        assert_eq!((incomplete.frames, incomplete.offset), (whole as u64, ends[whole] as u64));
        let found = cut - ends[whole];
        let needed = if found < 16 { 16 } else { ends[whole + 1] - ends[whole] };
        assert_eq!(incomplete.damage, Damage::CutShort { needed: needed as u64, found: found as u64 });
    }
    for cut in 4..24 {
        let expected = format!("`dir/test.pcap` ends inside its pcap header (24 bytes needed, {cut} present)");
        assert_eq!(fault(&file[..cut]), expected);
    }
}

#[test]
fn the_largest_record_is_read_and_a_larger_one_is_damage() {
    let size = MAX_CAPLEN as usize;
    for (size, whole) in [(size, true), (size + 1, false)] {
        let mut file = classic_header(ByteOrder::Little, MICRO, 1);
        file.extend(classic_record(ByteOrder::Little, (1, 0), &[1; 7], 7));
        file.extend(classic_record(ByteOrder::Little, (2, 0), &vec![2; size], MAX_CAPLEN));
        let (frames, savefiles) = read(&file);
        assert_eq!(frames.0.len(), if whole { 2 } else { 1 });
        let damage = incomplete(&savefiles).map(|incomplete| (incomplete.offset, incomplete.damage.clone()));
        assert_eq!(damage, (!whole).then_some((47, Damage::Caplen(MAX_CAPLEN + 1))));
    }
}

#[test]
fn a_fraction_of_a_second_or_more_is_clamped_and_counted() {
    for (magic, over, expected) in [(MICRO, 1_000_000, 999_999_000), (NANO, u32::MAX, 999_999_999)] {
        let mut file = classic_header(ByteOrder::Little, magic, 1);
        file.extend(classic_record(ByteOrder::Little, (3, over), &[], 60));
        let (frames, savefiles) = read(&file);
        assert_eq!((frames.nanos(), savefiles.bad_timestamps()), (vec![3_000_000_000 + expected], 1));
    }
}

#[test]
fn times_after_2038_are_later_not_negative() {
    let mut file = classic_header(ByteOrder::Little, MICRO, 1);
    file.extend(classic_record(ByteOrder::Little, (u32::MAX, 0), &[], 60));
    assert_eq!(read(&file).0.0[0].0.timestamp.to_string(), "2106-02-07T06:28:15.000000000Z");
}

#[test]
fn before_version_2_4_the_lengths_stand_the_other_way_round() {
    for (minor, captured_first) in [(0, false), (2, false), (3, false), (3, true), (4, true)] {
        let mut file = classic_header_of_version(ByteOrder::Big, MICRO, (2, minor), 1);
        for field in if captured_first { [1, 0, 4, 90] } else { [1, 0, 90, 4] } {
            file.put32(ByteOrder::Big, field);
        }
        file.extend([9; 4]);
        let (frames, _) = read(&file);
        assert_eq!((frames.bytes(), frames.0[0].0.wire_len), (vec![&[9; 4][..]], 90));
    }
}

#[test]
fn the_variant_with_packet_types_tells_directions() {
    let mut file = classic_header(ByteOrder::Little, KUZNETZOV, 1);
    for packet_type in [0, 3, 4, 7] {
        for field in [1, 0, 2, 60, 1, 0] {
            file.put32(ByteOrder::Little, field);
        }
        let at = file.len() - 2;
        file[at] = packet_type;
        file.extend([packet_type; 2]);
    }
    let directions: Vec<_> = read(&file).0.0.iter().map(|(meta, bytes)| (bytes[0], meta.direction)).collect();
    let receive = Some(Direction::Receive);
    assert_eq!(directions, [(0, receive), (3, receive), (4, Some(Direction::Transmit)), (7, None)]);
}

#[test]
fn the_length_of_an_fcs_in_the_linktype_field_does_not_hide_the_linktype() {
    let file = classic_header(ByteOrder::Little, MICRO, 0x2400_0071);
    assert_eq!(read(&file).1.linktypes(), [Linktype::LinuxSll]);
}

#[test]
fn the_interface_is_called_as_the_file_or_as_asked() {
    let file = three_records(ByteOrder::Little, MICRO);
    let names = |options| {
        let (_, savefiles) = read_with(&file, &options).unwrap();
        crate::capture::Adapter::interfaces(&savefiles).iter().map(|info| info.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(Options::default()), ["test"]);
    assert_eq!(names(Options { interface: Some("wan".into()), ..Options::default() }), ["wan"]);
}

#[test]
fn a_filter_hands_out_what_it_passes_and_counts_the_rest() {
    let file = three_records(ByteOrder::Little, MICRO);
    let with = |bpf: &str| read_with(&file, &Options { bpf: Some(bpf.into()), ..Options::default() });
    let (frames, savefiles) = with("greater 1005").unwrap();
    assert_eq!((frames.bytes().len(), savefiles.filtered()), (2, 1));
    let error = with("tcp prot 443").unwrap_err();
    assert!(error.is_usage() && error.hint().is_some_and(|hint| hint.contains("pcap-filter(7)")));
}
