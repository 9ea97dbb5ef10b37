//! Flows that leave: IPFIX to real collectors and to one of our own that forgives nothing, and the log of JSON lines.
//!
//! nfcapd, nfdump, tshark and openssl are the witnesses. `PCAP_TRUTH_DIR` adds captures of others, `SOAK` the long form.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may")]

#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

mod collectors;
mod decoder;
mod journal;
mod parts;
mod streams;

use decoder::Direction;
use serde_json::Value;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use support::facts::{flow_volumes, list};

/// The captures that come with the project.
fn captures() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(support::fixture("")).unwrap();
    let is_capture = |path: &PathBuf| path.extension().is_some_and(|end| end == "pcap" || end == "pcapng");
    let mut captures: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(is_capture).collect();
    captures.sort();
    assert!(captures.len() >= 20, "{captures:?}");
    captures
}

/// What the document of a replay says of each direction that had packets, in order.
fn directions(document: &Value) -> Vec<Direction> {
    let mut all = Vec::new();
    for flow in list(document, "/flows") {
        let address = |key: &str| flow[key].as_str().unwrap().parse::<IpAddr>().unwrap();
        let port = |key: &str| flow[key].as_u64().unwrap_or(0);
        let [packets_c2s, bytes_c2s, packets_s2c, bytes_s2c] = flow_volumes(flow);
        let (source, destination) = (address("src_ip"), address("dst_ip"));
        let (from, to) = (port("src_port"), port("dst_port"));
        all.push((source, from, destination, to, packets_c2s, bytes_c2s));
        all.push((destination, to, source, from, packets_s2c, bytes_s2c));
    }
    all.retain(|(.., packets, _)| *packets > 0);
    all.sort_unstable();
    all
}

/// A port that is free for datagrams and connections.
fn free_port() -> u16 {
    loop {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
