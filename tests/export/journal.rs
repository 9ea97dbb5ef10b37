//! The log of JSON lines.

use crate::captures;
use crate::rig::{Wire, can_run};
use crate::support::program::{netmon, replay_json, run};
use crate::support::running::wait_until;
use crate::support::text;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

#[test]
fn the_log_has_the_flows_of_the_document_field_by_field() {
    let directory = tempfile::tempdir().unwrap();
    for (n, capture) in captures().iter().enumerate() {
        let log = directory.path().join(n.to_string());
        let mut document = replay_json(&[capture], &["--flow-log", text(&log)]);
        let mut expected: Vec<Value> = document["flows"].as_array_mut().unwrap().drain(..).collect();
        for flow in &mut expected {
            if flow["end_reason"].is_null() {
                flow["end_reason"] = "shutdown".into();
            }
        }
        let mut found = lines(&log);
        for flow in &mut found {
            let flow = flow.as_object_mut().unwrap();
            assert_eq!(flow.remove("counted_since").unwrap(), flow["first_seen"]);
            let community = flow.remove("community_id").unwrap();
            let is_known =
                flow["protocol"] != "icmp" && flow["protocol"] != "ipv6-icmp" || flow.contains_key("icmp_id");
            assert_eq!(is_known, community.as_str().is_some_and(|id| id.starts_with("1:")), "{flow:?}");
        }
        let sorted = |flows: &mut Vec<Value>| flows.sort_by_key(ToString::to_string);
        sorted(&mut found);
        sorted(&mut expected);
        assert_eq!(found, expected, "{}", capture.display());
    }
}

#[test]
fn on_standard_output_the_log_stands_in_place_of_the_result() {
    let capture = crate::support::fixture("http.pcap");
    let out = run(netmon().args(["replay", text(&capture), "--flow-log", "-"])).success();
    let lines: Vec<Value> = out
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_log_that_cannot_be_opened_or_written_is_said() {
    let capture = crate::support::fixture("http.pcap");
    let ended = run(netmon().args(["replay", text(&capture), "--flow-log", "/no/such/directory/flows.json"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("cannot open the flow log `/no/such/directory/flows.json`"), "{}", ended.stderr);
    let ended = run(netmon().args(["replay", text(&capture), "--flow-log", "/dev/full"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("3 flows are not in the flow log"), "{}", ended.stderr);
}

#[test]
fn a_daemon_in_its_sandbox_writes_each_second_and_follows_a_rotation() {
    if !can_run(&["python3"]) {
        return;
    }
    let wire = Wire::new();
    let directory = crate::rig::directory_for_all();
    let logs = directory.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    nix::unistd::chown(&logs, Some(nobody.uid), Some(nobody.gid)).unwrap();
    let (log, old) = (logs.join("flows.json"), logs.join("flows.json.1"));
    let config = directory.path().join("netmon.yaml");
    let yaml = format!(
        "export: {{flow_log: {}}}\nflows: {{timeouts: {{udp_one_way: 1s}}}}\nprivileges: {{user: nobody}}\n",
        text(&log)
    );
    std::fs::write(&config, yaml).unwrap();
    let mut netmon = wire.netmon("m0").option("--config", text(&config)).start();
    let flows = |file: &Path| lines(file).iter().filter(|flow| flow["dst_port"] == 7099).count();
    wire.send_datagrams(&wire.generator, crate::rig::MONITOR, 10);
    wait_until("a flow in the log", Duration::from_secs(10), || (flows(&log) == 1).then_some(()));
    std::fs::rename(&log, &old).unwrap();
    netmon.signal(Signal::SIGHUP);
    wait_until("a new file", Duration::from_secs(10), || log.is_file().then_some(()));
    wire.send_datagrams(&wire.generator, crate::rig::MONITOR, 10);
    wait_until("a flow in the new log", Duration::from_secs(10), || (flows(&log) == 1).then_some(()));
    assert_eq!(flows(&old), 1);
    assert!(wire.metrics().sum("netmon_flow_log_records_total", &[]) >= 2.0);
    netmon.signal(Signal::SIGTERM);
    assert!(netmon.end_within(Duration::from_secs(6)).success());
}
