//! `alerts/netmon/capture.yaml` in a daemon that loses frames and then its interface.

use crate::daemon::{Daemon, flood};
use crate::files::project;
use crate::rig::{Wire, can_run};
use crate::support::running::wait_until;
use nix::sys::signal::Signal;
use std::time::Duration;

/// The window that losses are looked at over is 10 s, and the rules wait 5 s.
const SOON: Duration = Duration::from_secs(40);

#[test]
fn frames_that_are_lost_and_an_interface_that_is_gone_fire_and_resolve() {
    if !can_run(&["ip", "curl", "python3"]) {
        return;
    }
    let rules = std::fs::read_to_string(project("alerts/netmon/capture.yaml")).expect("the rules can be read");
    let wire = Wire::new();
    let daemon = Daemon::ready(&wire, &format!("capture: {{ buffer: 256KiB }}\n{rules}"));
    wait_for(&wire, "CaptureBlind", "inactive");
    wait_for(&wire, "CaptureDown", "inactive");

    let traffic = flood(&wire, 20_000);
    daemon.running.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_secs(1));
    daemon.running.signal(Signal::SIGCONT);
    wait_for(&wire, "CaptureBlind", "firing");
    drop(traffic);
    wait_for(&wire, "CaptureBlind", "inactive");

    wire.cut();
    wait_for(&wire, "CaptureDown", "firing");
    wire.connect();
    wait_for(&wire, "CaptureDown", "inactive");
}

fn wait_for(wire: &Wire, rule: &str, state: &str) {
    let is_so = || wire.metrics().find("netmon_alert_state", &[("rule", rule), ("state", state)]) == Some(1.0);
    wait_until(&format!("{rule} to be {state}"), SOON, || is_so().then_some(()));
}
