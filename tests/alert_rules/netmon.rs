//! `alerts/netmon`, run by netmon.

use crate::files::{alerts_of_runbooks, ending, items, project, runbooks, text, yaml};
use crate::support::facts::list;
use crate::support::program::{netmon, run};
use crate::support::{fixture, text as path_text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use yaml_rust2::Yaml;

const DIRECTORY: &str = "alerts/netmon";

/// What no capture can show, because a file has all of its frames, the table has room for them and nothing is remembered:
/// shown in this file, in that of the daemon and, for the history, in `tests/alerts_arrive`.
const SHOWN_OTHERWISE: [&str; 4] = ["CaptureDown", "FlowTableNearlyFull", "HistoryNotWritten", "HistorySetAside"];

fn test_files() -> Vec<PathBuf> {
    ending(DIRECTORY, "_test.yaml")
}

fn rule_files() -> Vec<PathBuf> {
    let files = ending(DIRECTORY, ".yaml").into_iter();
    files.filter(|path| !path_text(path).ends_with("_test.yaml")).collect()
}

/// Every rule of every file.
pub fn rules() -> Vec<Yaml> {
    rule_files().iter().flat_map(|path| items(&yaml(path)["alerts"]).to_vec()).collect()
}

#[test]
fn check_has_nothing_to_say_about_the_rules() {
    for file in rule_files() {
        let ended = run(netmon().args(["check", "--config", path_text(&file)]));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", file.display());
    }
}

#[test]
fn every_rule_fires_and_resolves_at_the_ticks_that_its_test_says() {
    for file in test_files() {
        let test = |shards: &str| {
            let ended = run(netmon().args(["alerts", "test", "--shards", shards]).arg(&file));
            assert_eq!(ended.code, Some(0), "{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
            ended.stdout
        };
        assert_eq!(test("1"), test("5"));
    }
}

#[test]
fn the_timeline_of_a_capture_is_the_same_for_any_number_of_shards_and_at_any_pace() {
    for capture in ["syn-flood.pcap.gz", "port-scan.pcap.gz", "retransmit-storm.pcap.gz", "silence.pcapng.gz"] {
        let capture = fixture("alerts").join(capture);
        let timeline = |more: &[&str]| replay(&project("alerts/netmon/tcp.yaml"), &capture, more, &[]);
        let one = timeline(&[]);
        for more in [&["--shards", "2"][..], &["--shards", "7"], &["--shards", "3", "--pace", "2000x"]] {
            assert_eq!(timeline(more), one, "{} {more:?}", capture.display());
        }
    }
}

/// What alerts did in a capture under a configuration.
fn replay(config: &Path, capture: &Path, more: &[&str], settings: &[(&str, &str)]) -> Vec<Value> {
    let arguments = ["replay", "--config", path_text(config), path_text(capture), "--format", "json"];
    let ended = run(netmon().args(arguments).args(more).envs(settings.iter().copied()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    list(&ended.document(), "/alerts").to_vec()
}

#[test]
fn a_flow_table_that_fills_up_fires_until_the_flows_are_gone() {
    let small = [("NETMON_FLOWS__MAX", "1024")];
    let alerts = replay(&project("alerts/netmon/capture.yaml"), &fixture("alerts/syn-flood.pcap.gz"), &[], &small);
    let told = |alert: &Value| format!("{} {} {}", alert["alert"], alert["state"], alert["at"]).replace('"', "");
    // 200 a second come and more than 921 are many, which is so after 4.6 s at the earliest: the table is shared out to 64
    // partitions, of which some are full before the others. The last SYNs end 30 s after they came, and half a minute passes.
    let expected = [
        "FlowTableNearlyFull pending 2024-01-01T00:00:35.000000000Z",
        "FlowTableNearlyFull firing 2024-01-01T00:00:40.000000000Z",
        "FlowTableNearlyFull resolved 2024-01-01T00:01:46.600000000Z",
    ];
    assert_eq!(alerts.iter().map(told).collect::<Vec<_>>(), expected);
}

#[test]
fn every_rule_says_how_bad_it_is_what_it_means_and_what_to_do() {
    let (runbooks, listed) = (runbooks(), alerts_of_runbooks());
    for rule in rules() {
        let name = text(&rule["name"]);
        assert!(["info", "warning", "critical"].contains(&text(&rule["severity"])), "{name}");
        let interface_or_value =
            ["{{ interface }}", "{{ value }}"].iter().any(|field| text(&rule["summary"]).contains(field));
        assert!(interface_or_value, "{name}");
        let runbook = format!("docs/runbooks.md#{}", text(&rule["labels"]["runbook"]));
        assert!(runbooks.contains(&runbook), "{name}: there is no {runbook}");
        assert!(listed.contains(name), "{name} is under no heading of the runbooks");
    }
}

#[test]
fn every_rule_is_tested_to_fire_and_to_resolve() {
    let tests: Vec<Yaml> = test_files().iter().flat_map(|path| items(&yaml(path)["tests"]).to_vec()).collect();
    let expected: Vec<(&str, &str)> = tests
        .iter()
        .flat_map(|test| items(&test["alerts"]))
        .map(|row| (text(&row["alert"]), text(&row["state"])))
        .collect();
    for rule in rules() {
        let name = text(&rule["name"]);
        for state in ["firing", "resolved"] {
            let is_tested = expected.contains(&(name, state));
            assert_ne!(is_tested, SHOWN_OTHERWISE.contains(&name), "{name} {state}: tested is {is_tested}");
        }
    }
}
