//! VLAN tags: the kernel takes the outer one out of live frames, and it has to be back.

use crate::rig::launch::variable;
use crate::rig::metrics::Page;
use crate::rig::{Wire, can_run};
use crate::support::program::{netmon, replay_json, run};
use crate::support::running::poll;
use crate::support::savefile::{ETHERNET, Savefile};
use crate::support::text;
use crate::{TOOLS, with_each_backend};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

with_each_backend!(tag_stacks_count_live_as_from_a_file);

const CUSTOMER: u16 = 0x8100;
const SERVICE: u16 = 0x88a8;
/// VLANs get series of their own.
const VLANS: &str = "aggregation.vlans.enabled";
/// What has to be the same live and from a file.
const FAMILIES: [&str; 5] = [
    "netmon_vlan_",
    "netmon_parse_errors_",
    "netmon_flows_opened_",
    "netmon_interface_receive_",
    "netmon_protocol_receive_",
];

fn tag_stacks_count_live_as_from_a_file(backend: &str) {
    if !can_run(TOOLS) {
        return;
    }
    let frames = frames();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("m0.pcap");
    let mut savefile = Savefile::new(ETHERNET);
    (0..).zip(&frames).for_each(|(micros, frame)| savefile.push(micros, frame));
    savefile.write(&file);
    let document = replay_json(&[&file], &[]);
    let mut stacks: Vec<Value> =
        document["flows"].as_array().expect("a list").iter().map(|f| f["vlan"].clone()).collect();
    stacks.sort_by_key(Value::to_string);
    assert_eq!(json!(stacks), json!([[0], [1, 2, 3], [100, 7], [5], null]), "as sent; one flow each");

    let of_file = run(netmon().env(variable(VLANS), "true").args(["replay", text(&file), "--format", "openmetrics"]));
    let expected = totals(&Page::parse(&String::from_utf8(of_file.success()).expect("metrics are text")));
    assert!(expected.len() > 10, "{expected:?}");

    let wire = Wire::new();
    let _netmon = wire.netmon("m0").backend(backend).set(VLANS, "true").start();
    assert!(totals(&wire.metrics()).is_empty(), "the wire is quiet before");
    wire.send_raw(&frames);
    let live = poll(SETTLE, || totals(&wire.metrics()), |live| *live == expected);
    assert_eq!(live, expected, "live left, from the file right");
}

const SETTLE: Duration = Duration::from_secs(5);

/// The counters of [`FAMILIES`]: gauges depend on when they are looked at.
fn totals(page: &Page) -> BTreeMap<String, f64> {
    let mut counts = page.counts(&FAMILIES);
    counts.retain(|series, _| series.contains("_total "));
    counts
}

/// Ten datagrams each: untagged, VLAN 5, customer 7 in service 100, only a priority, three tags; and ten frames that end
/// behind the inner tag, where a type should be.
fn frames() -> Vec<Vec<u8>> {
    const PRIORITY: u16 = 5 << 13;
    let stacks: [&[(u16, u16)]; 5] = [
        &[],
        &[(CUSTOMER, 5)],
        &[(SERVICE, 100), (CUSTOMER, 7)],
        &[(CUSTOMER, PRIORITY)],
        &[(CUSTOMER, 1), (CUSTOMER, 2), (CUSTOMER, 3)],
    ];
    let whole = stacks.iter().map(|tags| datagram(tags));
    // The kernel itself drops a frame whose only tag is cut; it gets past a whole outer one.
    let cut = datagram(&[(CUSTOMER, 9), (CUSTOMER, 10)])[..20].to_vec();
    whole.chain([cut]).flat_map(|frame| std::iter::repeat_n(frame, 10)).collect()
}

/// A datagram of ten bytes behind `tags`, outermost first, in a frame of at least 60 bytes.
fn datagram(tags: &[(u16, u16)]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    for (kind, control) in tags {
        frame.extend(kind.to_be_bytes());
        frame.extend(control.to_be_bytes());
    }
    frame.extend([0x08, 0x00, 0x45, 0, 0, 38, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0x1b, 0x58, 0x1b, 0x59, 0, 18, 0, 0]);
    frame.resize(frame.len().max(60) + 10, 0);
    frame
}
