//! Any bytes as one frame: nothing panics, and what always holds of a packet holds.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz frame`. The first byte chooses the link type, the second how the wire
//! length relates to the captured one; the rest is the frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netmon::packet::build;
use netmon::packet::{
    Address, Attribution, Fragment, Frame, Header, Linktype, ParsedPacket, Perspective, Reject, Transport, parse,
};
use std::sync::LazyLock;

static PERSPECTIVE: LazyLock<Perspective> = LazyLock::new(|| Perspective {
    mac: Some([2, 0, 0, 0, 0, 1]),
    addresses: vec![[192, 0, 2, 1].into()],
    local_networks: vec!["10.0.0.0/8", "fe80::/10"].into_iter().flat_map(str::parse).collect(),
    loopback: false,
});

fuzz_target!(|data: &[u8]| {
    let [linktype, relation, bytes @ ..] = data else { return };
    let linktypes = [0, 1, 1, 1, 101, 108, 113, 228, 229, 276, 105];
    let mut frame = build::frame(Linktype::from_number(linktypes[usize::from(*linktype) % linktypes.len()]), bytes);
    let whole = frame.meta.caplen;
    frame.meta.wire_len = match relation {
        0..=99 => whole,
        100..=199 => whole.saturating_add(u32::from(*relation - 99) * 8),
        200..=229 => whole / 2,
        230..=254 => whole.saturating_add(1 << (*relation - 223)),
        255 => u32::MAX,
    };
    let packet = parse(&frame, &PERSPECTIVE);
    check(&frame, &packet);
    check_cut(&frame, &packet);
});

fn check(frame: &Frame<'_>, packet: &ParsedPacket) {
    assert!(packet.payload_len <= packet.ip_octets && packet.ip_octets <= packet.wire_len);
    assert_eq!((packet.wire_len, packet.caplen), (frame.meta.wire_len, frame.meta.caplen));
    assert!(packet.reject.is_none_or(|reject| Reject::REAL.contains(&reject)));
    assert!(!(packet.truncated && packet.reject.is_some()));
    assert!(!packet.truncated || packet.caplen < packet.wire_len);
    assert_eq!(packet.network.is_ip(), packet.attribution != Attribution::NotIp);
    assert_eq!(packet.transport, Transport::of(packet.network, packet.protocol));
    assert_eq!(packet.attribution == Attribution::LaterFragment, packet.fragment == Fragment::Later);
    if packet.attribution != Attribution::Ports {
        assert_eq!((packet.source_port, packet.destination_port), (0, 0));
        assert!(matches!(packet.header, Header::None | Header::Icmp(_)));
    }
    if packet.attribution == Attribution::Unreadable {
        assert!(packet.truncated || packet.reject.is_some());
    }
    if !packet.network.is_ip() {
        assert_eq!((packet.protocol, packet.ip_octets, packet.payload_len), (0, 0, 0));
        assert_eq!((packet.source, packet.destination), (Address::default(), Address::default()));
    }
    assert!(packet.vlan.ids().all(|id| id < 4096));
}

/// A shorter snapshot of a good frame is truncated, or reads the same; it never becomes bad.
fn check_cut(frame: &Frame<'_>, whole: &ParsedPacket) {
    if whole.reject.is_some() || frame.meta.wire_len < frame.meta.caplen {
        return;
    }
    let mut cut = *frame;
    cut.bytes = &frame.bytes[..frame.bytes.len() / 2];
    cut.meta.caplen /= 2;
    let packet = parse(&cut, &PERSPECTIVE);
    check(&cut, &packet);
    assert_eq!(packet.reject, None);
    if !packet.truncated {
        assert_eq!(ParsedPacket { caplen: whole.caplen, ..packet }, *whole);
    }
}
