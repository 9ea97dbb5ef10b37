//! The short way for usual frames reads what the long one does.

use super::*;
use crate::packet::{parse::read_layers, usual};
use proptest::prelude::*;

/// By each way; the short one may decline.
fn both_ways(frame: &Frame<'_>) -> (Option<ParsedPacket>, ParsedPacket) {
    let (mut short, mut long) = (ParsedPacket::default(), ParsedPacket::default());
    read_layers(frame, &mut long);
    (usual::read(frame, &mut short).then_some(short), long)
}

fn ack() -> TcpSegment {
    TcpSegment { sequence: 1, acknowledgement: 2, window: 3, flags: flag::ACK, window_scale: None }
}

/// A segment or a datagram, padded as on the wire.
fn plain(is_tcp: bool, payload: usize, options: usize) -> Vec<u8> {
    let ip = over_ipv4(Builder::ethernet());
    let headers = if is_tcp { ip.tcp(40_000, 443, ack()).tcp_options(&vec![1; options]) } else { ip.udp(5353, 53) };
    headers.payload(&vec![0xa5; payload]).pad_to(60).build()
}

#[test]
fn usual_frames_go_the_short_way() {
    for bytes in [plain(true, 0, 0), plain(true, 1400, 12), plain(false, 0, 0), plain(false, 18, 0)] {
        let (short, long) = both_ways(&build::frame(Linktype::Ethernet, &bytes));
        assert_eq!(short, Some(long), "{bytes:02x?}");
    }
}

#[test]
fn a_syn_goes_the_long_way_to_its_options() {
    let bytes = over_ipv4(Builder::ethernet()).tcp(40_000, 443, syn()).pad_to(60).build();
    let (short, long) = both_ways(&build::frame(Linktype::Ethernet, &bytes));
    assert_eq!((short, long.header), (None, Header::Tcp(syn())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn both_ways_read_the_same_of_any_frame(
        (is_tcp, payload, options) in (any::<bool>(), 0..40_usize, 0..=10_usize),
        changes in prop::collection::vec((0..60_usize, any::<u8>()), 0..4),
        (caplen, wire_len) in (prop::option::of(0..110_usize), prop::option::of(0..110_u32)),
    ) {
        let mut bytes = plain(is_tcp, payload, options * 4);
        changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        let mut frame = build::frame(Linktype::Ethernet, &bytes);
        frame.bytes = caplen.and_then(|caplen| bytes.get(..caplen)).unwrap_or(&bytes);
        frame.meta.caplen = u32::try_from(frame.bytes.len()).unwrap();
        frame.meta.wire_len = wire_len.unwrap_or(frame.meta.wire_len);
        let (short, long) = both_ways(&frame);
        prop_assert!(short.is_none_or(|short| short == long), "{short:?} {long:?}");
    }
}
