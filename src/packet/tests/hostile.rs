//! Bytes that nobody sends in good faith.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::BTreeSet;

const LINKTYPES: [Linktype; 9] = [
    Linktype::Ethernet,
    Linktype::LinuxSll,
    Linktype::LinuxSll2,
    Linktype::Null,
    Linktype::Loop,
    Linktype::Raw,
    Linktype::Ipv4,
    Linktype::Ipv6,
    Linktype::Other(105),
];

/// Parses, checks what must always hold, and returns the reject.
fn survived(linktype: Linktype, bytes: &[u8], wire_len: usize) -> Option<Reject> {
    let mut frame = build::frame(linktype, bytes);
    frame.meta.wire_len = u32::try_from(wire_len).unwrap();
    let packet = parse(&frame, &Perspective::default());
    assert_consistent(&frame, &packet);
    packet.reject
}

/// Frames one step away from the good ones: a byte changed to what is odd there, and cut behind any byte.
fn mutations() -> BTreeSet<Reject> {
    let mut seen = BTreeSet::new();
    let deep_tags = (0..6).fold(Builder::ethernet(), Builder::vlan).ethertype(0x0806).build();
    let deep_labels = (0..20).fold(Builder::ethernet(), |deep, _| deep.mpls(16)).build();
    let deep_chain = (0..20).fold(over_ipv6(Builder::ethernet()), |deep, _| deep.extension(60, &[])).build();
    let mut frames = fixtures();
    frames.extend([deep_tags, deep_labels, deep_chain].map(|bytes| ("deep", Linktype::Ethernet, bytes)));
    for (_, linktype, bytes) in frames {
        seen.extend(survived(Linktype::Other(7), &bytes, bytes.len()));
        for at in 0..bytes.len() {
            seen.extend(survived(linktype, &bytes[..at], at));
            seen.extend(survived(linktype, &bytes[..at], bytes.len()));
            for value in [0, 1, 3, 4, 7, 0x0f, 0x40, 0x45, 0x4f, 0x60, 0x7f, 0x80, 0xf0, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                seen.extend(survived(linktype, &changed, changed.len()));
            }
        }
    }
    seen
}

#[test]
fn the_rejects_that_exist_are_exactly_those_that_the_parser_gives() {
    assert_eq!(mutations(), Reject::REAL.iter().copied().collect());
}

#[test]
fn no_pair_is_listed_twice() {
    assert_eq!(Reject::REAL.iter().collect::<BTreeSet<_>>().len(), Reject::REAL.len());
}

#[test]
fn random_bytes_are_survived_on_every_link_type() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut bytes = [0; 160];
    for round in 0..40_000 {
        random.fill_bytes(&mut bytes);
        let linktype = LINKTYPES[round % LINKTYPES.len()];
        let caplen = usize::from(bytes[159]) % 160;
        for (at, value) in [(12, 0x08), (13, 0x00), (14, 0x45)] {
            // Every other frame announces IPv4, so that random bytes reach the inner layers.
            bytes[at] = if round % 2 == 0 { bytes[at] } else { value };
        }
        survived(linktype, &bytes[..caplen], caplen);
        survived(linktype, &bytes[..caplen], 160);
        survived(linktype, &bytes[..caplen], caplen / 2);
    }
}

proptest! {
    #[test]
    fn several_changes_at_once_are_survived(
        fixture in 0..fixtures().len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        caplen in any::<prop::sample::Index>(),
        wire_len in 0_usize..200,
    ) {
        let (_, linktype, mut bytes) = fixtures().swap_remove(fixture);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let caplen = caplen.index(bytes.len() + 1);
        survived(linktype, &bytes[..caplen], wire_len);
        survived(linktype, &bytes[..caplen], bytes.len());
    }
}
