//! `netmon replay` against captures made elsewhere, whose counts are known from another reader.
//!
//! `PCAP_TRUTH_DIR` names a directory of captures with `truth/<path of the capture>.json` beside them. Without it there
//! is nothing to do, and the test says so. A truth has totals (`frames`), types behind the tags (`link`), and what the
//! outermost IP header of each frame says, once for frames where only tags stand before it (`direct`) and once for
//! those with another header between (`behind_shim`).

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use support::facts::{Facts, add_interface, flow_volumes, list, number};
use support::program::{Ended, replay};
use support::text;

#[test]
fn captures_of_others_agree_with_their_truth() {
    let Some(directory) = std::env::var_os("PCAP_TRUTH_DIR").map(PathBuf::from) else {
        eprintln!("skipped: PCAP_TRUTH_DIR is not set");
        return;
    };
    let truths = files_below(&directory.join("truth"));
    assert!(!truths.is_empty(), "no truth below {}", directory.display());
    let (mut compared, mut wrong) = (0, Vec::new());
    for path in &truths {
        let name = path.strip_prefix(directory.join("truth")).expect("it was found there").with_extension("");
        let truth: Value = serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
        let ended = replay(&[text(&directory.join(&name)), "--format", "json", "--flows", "all"]);
        assert!(ended.code.is_some_and(|code| code <= 2), "{} ended with {ended:?}", name.display());
        if witness_is_wrong(&truth) {
            continue;
        }
        compared += 1;
        wrong.extend(differences(&truth, &ended).into_iter().map(|line| format!("{}: {line}", name.display())));
    }
    eprintln!("{compared} of {} captures compared", truths.len());
    assert!(compared > 0 && wrong.is_empty(), "{compared} compared; netmon disagrees:\n{}", wrong.join("\n"));
}

/// Every JSON file below `directory`, in order.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.extension().is_some_and(|end| end == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Whether the other reader is known to be wrong about this file, so that only ending cleanly can be asked for.
fn witness_is_wrong(truth: &Value) -> bool {
    let status = truth["read"]["status"].as_str().expect("a truth says how reading ended");
    let headers = &truth["container"]["record_headers"];
    let whole = headers["whole_records"].as_u64();
    let old_version = truth["container"]["version"].as_str().is_some_and(|version| version < "2.3");
    let ports_lost =
        ["direct", "behind_shim"].iter().any(|part| set(&truth[part]["selfcheck"]["ports_missing_in_tshark"]));
    status == "unsupported"
        || set(&headers["wire_len_over_2g"])
        || (status != "ok" && whole.is_some_and(|whole| whole != number(truth, "/frames/packets")))
        || (status == "damaged" && number(truth, "/frames/packets") == 0)
        || old_version
        || ports_lost
}

/// Whether a counter that may be missing is there and not zero.
fn set(value: &Value) -> bool {
    value.as_u64().is_some_and(|count| count > 0) || value.as_bool() == Some(true)
}

fn differences(truth: &Value, ended: &Ended) -> Vec<String> {
    let in_scope = set(&truth["container"]["in_scope"]);
    if !in_scope && ended.code == Some(2) {
        return Vec::new();
    }
    let whole = truth["read"]["status"] == "ok";
    let document = ended.document();
    let mut wrong = Vec::new();
    if in_scope && ended.code != Some(i32::from(!whole)) {
        wrong.push(format!("exit {:?}", ended.code));
    }
    if whole != document["capture"]["incomplete"].is_null() {
        wrong.push(format!("`incomplete` is {}", document["capture"]["incomplete"]));
    }
    wrong.extend(totals_of_truth(truth).differences(&totals_of_netmon(&document)));
    if in_scope && !set(&truth["link"]["out_of_scope_packets"]) {
        wrong.extend(content_differences(truth, &document));
    }
    wrong
}

fn totals_of_truth(truth: &Value) -> Facts {
    let mut facts = Facts::default();
    facts.add(
        "capture",
        &["packets", "captured_bytes", "wire_bytes"].map(|name| number(&truth["frames"], &format!("/{name}"))),
    );
    facts
}

fn totals_of_netmon(document: &Value) -> Facts {
    let mut facts = Facts::default();
    facts.add(
        "capture",
        &["packets", "captured_bytes", "wire_bytes"].map(|name| number(&document["capture"], &format!("/{name}"))),
    );
    facts
}

/// Frames behind a header that netmon walks count with the direct ones; of the others a reader may see either.
fn content_differences(truth: &Value, document: &Value) -> Vec<String> {
    let netmon = content_of_netmon(document);
    let readings = [vec!["direct"], vec!["direct", "behind_shim"]];
    let allowed = if walks_all(truth) { &readings[1..] } else { &readings[..] };
    let differences = allowed.iter().map(|parts| (content_of_truth(truth, parts).differences(&netmon), parts));
    let closest = differences.min_by_key(|(wrong, _)| wrong.len());
    let (mut wrong, parts) = closest.expect("there is at least one reading");
    if types_of_truth(truth).keys().any(|name| name.starts_with("other")) {
        wrong.retain(|line| !line.starts_with("ethertype"));
    }
    if times_are_good(truth) {
        wrong.extend(time_differences(truth, parts, document));
    }
    wrong
}

/// Whether every header between link and IP is one that netmon walks through.
fn walks_all(truth: &Value) -> bool {
    const WALKED: [&str; 10] =
        ["eth", "ethertype", "vlan", "ieee8021ad", "llc", "mpls", "pppoes", "ppp", "sll", "sll2"];
    let Some(kinds) = truth["behind_shim"]["kinds"].as_object() else { return true };
    kinds.keys().all(|kind| {
        let layers: Vec<&str> = kind.split(':').collect();
        layers.iter().all(|layer| WALKED.contains(layer)) && layers.iter().filter(|layer| **layer == "eth").count() <= 1
    })
}

fn content_of_truth(truth: &Value, parts: &[&str]) -> Facts {
    let mut facts = Facts::default();
    for (name, entry) in types_of_truth(truth) {
        facts.add(format_args!("ethertype \"{name}\""), &wire_volume(entry));
    }
    facts.add("tagged packets", &[number(truth, "/vlan/tagged_packets")]);
    for part in parts.iter().map(|part| &truth[part]) {
        for (protocol, entry) in part["ip_protocols"].as_object().expect("protocols by number") {
            facts.add(format_args!("protocol {protocol}"), &wire_volume(entry));
        }
        for (network, entry) in part["ip_versions"].as_object().expect("versions by name") {
            facts.add(format_args!("network \"{network}\""), &wire_volume(entry));
        }
        let fragments =
            |place: &str| ["ipv4", "ipv6"].map(|ip| number(part, &format!("/fragments/{ip}_{place}"))).iter().sum();
        facts.add("fragments", &[fragments("first"), fragments("later")]);
        for flow in list(part, "/flows") {
            let [ab, ba] = [wire_volume(&flow["ab"]), wire_volume(&flow["ba"])];
            facts.add(truth_flow(flow), &[ab[0], ab[1], ba[0], ba[1]]);
            for flag in ["syn", "synack", "fin", "rst"].iter().filter(|flag| flow["tcp"][**flag].is_array()) {
                let both: u64 = list(flow, &format!("/tcp/{flag}")).iter().filter_map(Value::as_u64).sum();
                facts.add(format_args!("tcp {flag}"), &[both]);
            }
        }
    }
    facts
}

/// Volume by the type behind the tags; `other...` is what the other reader does not take for Ethernet.
fn types_of_truth(truth: &Value) -> &serde_json::Map<String, Value> {
    truth["link"]["network_ethertypes"].as_object().expect("types by name")
}

fn wire_volume(entry: &Value) -> [u64; 2] {
    [number(entry, "/packets"), number(entry, "/wire_bytes")]
}

/// What netmon says, under the names of [`content_of_truth`].
fn content_of_netmon(document: &Value) -> Facts {
    let mut facts = Facts::default();
    for interface in list(document, "/interfaces") {
        let mut counted = interface.clone();
        let protocols = counted["protocols"].take();
        counted["protocols"] = Value::Array(Vec::new());
        add_interface(&mut facts, &counted);
        for entry in protocols.as_array().expect("a list").iter().filter(|entry| !entry["protocol"].is_null()) {
            let volume = [number(entry, "/packets"), number(entry, "/bytes")];
            facts.add(format_args!("protocol {}", entry["protocol"]), &volume);
            facts.add(format_args!("network {}", entry["network"]), &volume);
        }
    }
    for flow in list(document, "/flows").iter().filter(|flow| has_ports(flow)) {
        let [a, b, c, d] = flow_volumes(flow);
        let (name, from_a) = netmon_flow(flow);
        let same_ends = flow["src_ip"] == flow["dst_ip"] && flow["src_port"] == flow["dst_port"];
        let volumes = if same_ends {
            [a + c, b + d, 0, 0]
        } else if from_a {
            [a, b, c, d]
        } else {
            [c, d, a, b]
        };
        facts.add(name, &volumes);
    }
    facts
}

fn has_ports(flow: &Value) -> bool {
    (flow["protocol"] == "tcp" || flow["protocol"] == "udp") && !flow["src_port"].is_null()
}

fn truth_flow(flow: &Value) -> String {
    let end = |ip: &str, port: &str| (address(&flow[ip]), number(flow, &format!("/{port}")));
    flow_name(&flow["proto"], end("a", "a_port"), end("b", "b_port"))
}

/// The name of a flow, and whether its initiator is the smaller end.
fn netmon_flow(flow: &Value) -> (String, bool) {
    let end = |ip: &str, port: &str| (address(&flow[ip]), number(flow, &format!("/{port}")));
    let (source, destination) = (end("src_ip", "src_port"), end("dst_ip", "dst_port"));
    if source <= destination {
        (flow_name(&flow["protocol"], source, destination), true)
    } else {
        (flow_name(&flow["protocol"], destination, source), false)
    }
}

fn flow_name(protocol: &Value, a: (IpAddr, u64), b: (IpAddr, u64)) -> String {
    format!("flow {protocol} {} {} and {} {}", a.0, a.1, b.0, b.1)
}

fn address(value: &Value) -> IpAddr {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no address"))
}

/// Whether the record times of the file can be compared at all.
fn times_are_good(truth: &Value) -> bool {
    let frames = &truth["frames"];
    let in_range = |name: &str| frames[name].as_i64().is_some_and(|nanos| nanos >= 0);
    frames["timestamps_reliable"] == true
        && !set(&frames["without_timestamp"])
        && in_range("min_ns")
        && in_range("max_ns")
}

/// First and last time of the capture and of each 5-tuple. RFC 3339 with nine digits sorts as the times do.
fn time_differences(truth: &Value, parts: &[&str], document: &Value) -> Vec<String> {
    let mut expected = Times::new();
    let time = |value: &Value| netmon::time::Timestamp::from_nanos(value.as_u64().expect("nanoseconds")).to_string();
    let frames = &truth["frames"];
    widen(&mut expected, "capture".into(), time(&frames["min_ns"]), time(&frames["max_ns"]));
    for flow in parts.iter().flat_map(|part| list(&truth[part], "/flows")) {
        widen(&mut expected, truth_flow(flow), time(&flow["first_ns"]), time(&flow["last_ns"]));
    }
    let mut found = Times::new();
    let text = |value: &Value| value.as_str().expect("a time").to_owned();
    let mut seen = |name, entry: &Value| widen(&mut found, name, text(&entry["first_seen"]), text(&entry["last_seen"]));
    seen("capture".into(), &document["capture"]);
    for flow in list(document, "/flows").iter().filter(|flow| has_ports(flow)) {
        seen(netmon_flow(flow).0, flow);
    }
    let line = |(name, times): (&String, &(String, String))| {
        let other = expected.get(name).filter(|other| *other != times)?;
        Some(format!("times of {name}: expected {other:?}, found {times:?}"))
    };
    found.iter().filter_map(line).collect()
}

type Times = BTreeMap<String, (String, String)>;

fn widen(times: &mut Times, name: String, first: String, last: String) {
    let span = times.entry(name).or_insert_with(|| (first.clone(), last.clone()));
    span.0 = span.0.clone().min(first);
    span.1 = span.1.clone().max(last);
}
