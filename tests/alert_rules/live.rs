//! `alerts/prometheus` in a real Prometheus that scrapes a real netmon.

use crate::files::{ending, project};
use crate::rig::{BIND, START, Wire, can_run, tool};
use crate::support::running::{Running, wait_until};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

const PROMETHEUS: &str = "127.0.0.1:9090";

#[test]
fn prometheus_evaluates_every_rule_on_what_a_daemon_exports() {
    if !can_run(&["ip", "curl", "prometheus"]) {
        return;
    }
    let wire = Wire::new();
    let _netmon = wire.run_netmon("m0");
    let directory = tempfile::tempdir().expect("a directory");
    let _prometheus = start_prometheus(&wire, directory.path());
    let before = rules(&wire);
    let again = |now: &Vec<Value>| now.iter().zip(&before).all(|(now, then)| now[EVALUATED] != then[EVALUATED]);
    for rule in wait_until("every rule", START, || Some(rules(&wire)).filter(again)) {
        assert_eq!((&rule["health"], &rule["lastError"]), (&"ok".into(), &Value::Null), "{}", rule["name"]);
        assert_eq!(rule["state"], "inactive", "{} on an idle link", rule["name"]);
    }
}

const EVALUATED: &str = "lastEvaluation";

/// Evaluates every second; netmon was scraped once when this returns.
fn start_prometheus(wire: &Wire, directory: &Path) -> Running {
    let config = directory.join("prometheus.yml");
    let written = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
         scrape_configs: [{{ job_name: netmon, static_configs: [{{ targets: ['{BIND}'] }}] }}]\n\
         rule_files: ['{}/*.rules.yaml']\n",
        project("alerts/prometheus").display()
    );
    std::fs::write(&config, written).expect("the directory can be written to");
    let mut command = wire.monitor.command(tool("prometheus").expect("it was looked for"));
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
    command.arg(format!("--web.listen-address={PROMETHEUS}"));
    let running = Running::start(command.current_dir(directory).stderr(Stdio::null()));
    wait_until("a scrape", START, || {
        let url = format!("http://{PROMETHEUS}/api/v1/query?query=netmon_capture_up");
        wire.monitor.get(&url, &[]).filter(|answer| answer.contains("\"m0\""))
    });
    running
}

/// All rules of all files as Prometheus sees them, in their order.
fn rules(wire: &Wire) -> Vec<Value> {
    let answer = wire.monitor.get(&format!("http://{PROMETHEUS}/api/v1/rules"), &[]).expect("Prometheus answers");
    let answer: Value = serde_json::from_str(&answer).expect("Prometheus answers JSON");
    let groups = answer.pointer("/data/groups").and_then(Value::as_array).expect("there are groups");
    assert_eq!(groups.len(), ending("alerts/prometheus", ".rules.yaml").len());
    groups.iter().flat_map(|group| group["rules"].as_array().cloned()).flatten().collect()
}
