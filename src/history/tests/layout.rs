//! The layout, byte by byte.

use super::tools::second;
use crate::flow::EndReason;
use crate::history::layout::{self, Tag};
use crate::history::{Flow, Gap, GapReason, LeftOut, Measures, Tier};
use crate::packet::VlanStack;
use crate::stats::Volume;
use crate::time::Timestamp;
use proptest::prelude::*;
use std::sync::Arc;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// CRC-32 bit by bit, as ISO 3309 has it.
fn crc32(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.into_iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

/// The value with the checksum that the documentation gives it.
fn with_checksum(tag: u8, key: &[u8], value: &str) -> String {
    let bytes = (0..value.len() / 2).map(|at| u8::from_str_radix(&value[2 * at..2 * at + 2], 16).unwrap());
    let crc = crc32([tag].into_iter().chain(key.iter().copied()).chain(bytes));
    format!("{value}{}", hex(&crc.to_le_bytes()))
}

#[test]
fn a_record_is_its_mask_and_the_numbers_that_are_not_zero() {
    let mut measures = Measures { seconds: 1, kernel_bytes: 0x1234, flows_active: 3, ..Measures::default() };
    measures.protocols[0][0] = Volume { packets: 2, bytes: 300 };
    measures.protocols[1][11] = Volume { packets: 1, bytes: 60 };
    measures.tcp.segments = [2, 0];
    measures.peak = [Volume { packets: 2, bytes: 300 }, Volume { packets: 1, bytes: 60 }];
    let key = layout::key(1_700_000_000, 5);
    assert_eq!(key, 1_700_000_000 * 65_536 + 5);
    // Bits 0, 1, 2 (receive, IPv4 TCP), 47 and 48 (transmit, other), 49 (segments received), 85 (kernel bytes), 86.
    let mask = "07000000008003000000".to_owned() + "6000";
    let value = format!("{mask}01 02 ac02 01 3c 02 b424 03").replace(' ', "");
    let expected = with_checksum(1, &key.to_be_bytes(), &value);
    assert_eq!(hex(&layout::record(Tier::Second, key, &measures)), expected);
}

#[test]
fn a_peak_is_stored_as_what_it_is_below_the_sum() {
    let mut measures = Measures { seconds: 10, ..Measures::default() };
    measures.protocols[0][1] = Volume { packets: 9, bytes: 900 };
    measures.peak[0] = Volume { packets: 4, bytes: 500 };
    let key = layout::key(20, 0);
    // Bits 0, 3, 4 (receive, IPv4 UDP), 87 and 88.
    let value =
        with_checksum(2, &key.to_be_bytes(), "1900000000000000000080010a0984070590 03".replace(' ', "").as_str());
    assert_eq!(hex(&layout::record(Tier::TenSeconds, key, &measures)), value);
}

fn flow() -> Flow {
    Flow {
        interface: Arc::from("eth0"),
        id: 0x0102_0304_0506_0708,
        protocol: 6,
        has_ports: true,
        source: "192.0.2.1".parse().unwrap(),
        source_port: 49_152,
        destination: "198.51.100.7".parse().unwrap(),
        destination_port: 443,
        vlan: VlanStack::default().push(5).unwrap(),
        first_seen: Timestamp::from_nanos(1_000_000_000),
        last_seen: Timestamp::from_nanos(1_000_000_300),
        packets_c2s: 1,
        bytes_c2s: 60,
        packets_s2c: 200,
        bytes_s2c: 300_000,
        end_reason: EndReason::Rst,
    }
}

#[test]
fn a_flow_has_its_fixed_part_and_then_its_numbers() {
    let key = layout::flow_key(&flow());
    assert_eq!(key, 1_000_000_300 << 64 | 0x0102_0304_0506_0708);
    let value = "0300 06 02 01 01 00c0 bb01 c0000201 c6336407 0500 ac02 01 3c c801 e0a712".replace(' ', "");
    let expected = with_checksum(5, &key.to_be_bytes(), &value);
    let written = layout::flow(key, 3, &flow());
    assert_eq!(hex(&written), expected);
    assert_eq!(layout::read_flow(key, &written, |series| (series == 3).then(|| Arc::from("eth0"))), Some(flow()));
}

#[test]
fn gaps_left_out_flows_and_names_are_fixed() {
    let gap = Gap { from: 100, to: 130, reason: GapReason::Io, records: 7 };
    let value = "8200000000000000070000000000000001";
    assert_eq!(hex(&layout::gap(&gap)), with_checksum(7, &100u64.to_be_bytes(), value));
    let left_out = LeftOut { below_floor: 1, below_floor_bytes: 2, over_rate: 3, over_rate_bytes: 256 };
    let value = "0100000000000000020000000000000003000000000000000001000000000000";
    assert_eq!(hex(&layout::left_out(60, &left_out)), with_checksum(8, &60u64.to_be_bytes(), value));
    let name = layout::sealed(Tag::Series, &2u16.to_be_bytes(), b"eth0".to_vec());
    assert_eq!(hex(&name), with_checksum(9, &[0, 2], "65746830"));
    let schema = layout::sealed(Tag::Meta, b"schema", layout::SCHEMA.to_le_bytes().to_vec());
    assert_eq!(hex(&schema), with_checksum(10, b"schema", "01000000"));
}

proptest! {
    #[test]
    fn a_record_reads_back_as_what_was_written(start in 0u64..1 << 40, series: u16, tier in 0usize..4) {
        let (tier, key) = (Tier::ALL[tier], layout::key(start, series));
        let measures = second("eth0", start).measures;
        prop_assert_eq!(layout::read_record(tier, key, &layout::record(tier, key, &measures)), Some(measures));
    }

    #[test]
    fn an_altered_record_or_one_under_another_key_is_not_served(start in 0u64..1 << 40, bit in 0usize..10_000) {
        let key = layout::key(start, 0);
        let mut value = layout::record(Tier::Minute, key, &second("eth0", start).measures);
        prop_assert_eq!(layout::read_record(Tier::Minute, key + 1, &value), None);
        prop_assert_eq!(layout::read_record(Tier::Hour, key, &value), None);
        let bit = bit % (value.len() * 8);
        value[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(layout::read_record(Tier::Minute, key, &value), None);
        prop_assert_eq!(layout::read_record(Tier::Minute, key, &value[..value.len() / 2]), None);
    }
}
