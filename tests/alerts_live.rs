//! Alert rules in a running daemon, over real traffic between two network namespaces. Needs root, and says so.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "the tests of the life cycle use all of it")]
#[path = "rig/daemon.rs"]
mod daemon;
mod rig;
mod support;

use daemon::{Daemon, flood, write_config};
use nix::sys::signal::Signal;
use rig::metrics::Page;
use rig::{Wire, can_run};
use std::time::Duration;
use support::running::wait_until;

const SOON: Duration = Duration::from_secs(10);

const RULES: &str = "\
alerts:
  - { name: Busy, metric: packets_per_second, window: 1s, above: 500, clear: 100, keep_firing_for: 1s }
  - { name: Silent, metric: receive_packets_per_second, window: 1s, absent: true, where: { interface: m0 } }
";

#[test]
fn a_running_daemon_evaluates_shows_logs_and_reloads_its_rules() {
    if !can_run(&["ip", "curl", "python3"]) {
        return;
    }
    let wire = Wire::new();
    let mut daemon = Daemon::ready(&wire, RULES);
    wait_for(&wire, "silence", |page| is(page, "Silent", "firing") && is(page, "Busy", "inactive"));
    let traffic = flood(&wire, 2000);
    let page = wait_for(&wire, "traffic", |page| is(page, "Busy", "firing") && is(page, "Silent", "inactive"));
    let limit = page.sum("netmon_series_limit", &[]);
    assert!(page.sum("netmon_series", &[]) <= limit);
    assert!(page.sum("netmon_alert_evaluation_duration_seconds_count", &[]) > 0.0);

    // Rules that cannot be are refused, and what fires goes on.
    reload(
        &daemon,
        &RULES.replace("packets_per_second, window: 1s, above", "packets_per_secund, window: 1s, above"),
        1,
    );
    let page = wait_for(&wire, "a refusal", |page| page.sum("netmon_config_reload_failures_total", &[]) == 1.0);
    assert!(is(&page, "Busy", "firing"));
    assert!(daemon.log().contains("did you mean `packets_per_second`?"), "{}", daemon.log());

    // Another severity leaves the state alone, another rule begins, one that is gone ends.
    let fired = transitions(&page, "Busy", "firing");
    let other = "  - { name: Full, metric: flow_table_fill_ratio, above: 0 }\n";
    let busy = RULES.lines().nth(1).expect("the rule").replace("name: Busy", "name: Busy, severity: critical");
    reload(&daemon, &format!("alerts:\n{busy}\n{other}"), 2);
    let page = wait_for(&wire, "the other rules", |page| is(page, "Full", "firing"));
    assert_eq!((is(&page, "Busy", "firing"), transitions(&page, "Busy", "firing")), (true, fired));
    assert_eq!(page.find("netmon_alert_state", &[("rule", "Silent")]), None);

    drop(traffic);
    wait_for(&wire, "the end of the traffic", |page| is(page, "Busy", "inactive"));
    let log = daemon.log();
    for (level, alert, state) in
        [("WARN", "Silent", "firing"), ("INFO", "Silent", "resolved"), ("WARN", "Busy", "firing")]
    {
        let is_it = |line: &str| [level, alert, state].iter().all(|part| line.contains(part));
        assert!(log.lines().any(is_it), "no {level} of {alert} {state} in\n{log}");
    }
    reload(&daemon, "", 3);
    wait_for(&wire, "no rules", |page| page.find("netmon_alert_state", &[]).is_none());
    daemon.running.signal(Signal::SIGTERM);
    assert_eq!(daemon.running.end_within(SOON).code(), Some(0), "{}", daemon.log());
}

fn reload(daemon: &Daemon<'_>, yaml: &str, way: usize) {
    // An empty file is refused, as one that is being written.
    write_config(&daemon.config(), &format!("telemetry: {{level: info}}\n{yaml}"), way);
    daemon.running.signal(Signal::SIGHUP);
}

fn wait_for(wire: &Wire, what: &str, good: impl Fn(&Page) -> bool) -> Page {
    wait_until(what, SOON, || Some(wire.metrics()).filter(&good))
}

fn is(page: &Page, rule: &str, state: &str) -> bool {
    page.find("netmon_alert_state", &[("rule", rule), ("state", state)]) == Some(1.0)
}

fn transitions(page: &Page, rule: &str, to: &str) -> f64 {
    page.sum("netmon_alert_transitions_total", &[("rule", rule), ("to", to)])
}
