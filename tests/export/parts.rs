//! Long flows in parts.

use crate::support::program::{netmon, run};
use crate::support::savefile::{ETHERNET, Savefile, tcp_frame};
use crate::support::text;
use serde_json::Value;
use std::collections::BTreeMap;

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 5000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 2], 80);

/// A connection that goes on for a minute, with a pause in the middle, and many short ones beside it.
fn capture() -> Savefile {
    let mut file = Savefile::new(ETHERNET);
    file.push(0, &tcp_frame(CLIENT, SERVER, 1, 0x02));
    file.push(10, &tcp_frame(SERVER, CLIENT, 1, 0x12));
    for tenth in 1..600_u32 {
        if !(200..400).contains(&tenth) {
            file.push(tenth * 100_000, &tcp_frame(CLIENT, SERVER, 2, 0x10));
        }
        let [_, _, high, low] = tenth.to_be_bytes();
        let stranger = ([10, 0, high, low], 1024);
        file.push(tenth * 100_000 + 5, &tcp_frame(stranger, SERVER, 1, 0x02));
    }
    file
}

#[test]
fn parts_of_a_long_flow_add_up_to_it_for_any_number_of_shards() {
    let directory = tempfile::tempdir().unwrap();
    let [file, config] = ["long.pcap", "netmon.yaml"].map(|name| directory.path().join(name));
    capture().write(&file);
    std::fs::write(&config, "export: {active_timeout: 5s}\n").unwrap();
    let of_shards = |shards: &str| {
        let arguments = ["replay", text(&file), "--flow-log", "-", "--shards", shards, "--config", text(&config)];
        let out = String::from_utf8(run(netmon().args(arguments)).success()).unwrap();
        let mut lines: Vec<String> = out.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let lines = of_shards("1");
    assert_eq!(lines, of_shards("3"));
    let flows: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut parts: Vec<&Value> = flows.iter().filter(|flow| flow["src_port"] == 5000).collect();
    parts.sort_by_key(|part| part["counted_since"].as_str().unwrap().to_owned());
    // Four parts in each of the two halves, and the rest at the end; none in the pause.
    assert!((8..=10).contains(&parts.len()), "{}", parts.len());
    let packets: u64 = parts.iter().map(|part| part["packets_c2s"].as_u64().unwrap()).sum();
    assert_eq!(packets, 1 + 399);
    let (last, before) = parts.split_last().unwrap();
    assert_eq!(last["end_reason"], "shutdown");
    assert!(before.iter().all(|part| part["end_reason"] == "active_timeout" && part["packets_c2s"] != 0));
    let ids: BTreeMap<_, _> =
        parts.iter().map(|part| (part["id"].to_string(), part["first_seen"].to_string())).collect();
    assert_eq!(ids.len(), 1);
    for pair in parts.windows(2) {
        assert!(pair[0]["last_seen"].as_str() <= pair[1]["counted_since"].as_str());
    }
}
