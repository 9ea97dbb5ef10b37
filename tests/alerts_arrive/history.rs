//! `alerts/netmon/history.yaml` in a daemon whose disk is full, and whose history is damaged while it is down.

use crate::SOON;
use crate::fate::Fate;
use crate::hook::Hook;
use crate::place::Place;
use crate::rig::{MONITOR, Wire, can_run};
use crate::support::running::{Running, wait_until};
use nix::sys::signal::Signal;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The rule waits 15 s, and the store is tried again after 4 s at the latest.
const KNOWN: Duration = Duration::from_secs(60);
/// 8 MiB for the history beside those that the outbox takes at once.
const SIZE: &str = "size=16m,mode=755";

#[test]
fn a_history_that_cannot_be_written_and_one_that_is_damaged_are_told_to_a_receiver() {
    if !can_run(&["ip", "curl", "python3", "mount", "umount"]) {
        return;
    }
    let wire = Wire::new();
    let (place, hook) = (Place::new(&wire), Hook::start(&wire.monitor, |_| Fate::Accept));
    let disk = Disk::at(place.path(""));
    place.configure(&config(&hook));

    let mut netmon = place.start_remembering();
    let commits = || wire.metrics().sum("netmon_history_write_duration_seconds_count", &[]);
    wait_until("records to be kept", SOON, || (commits() > 2.0).then_some(()));
    assert!(hook.entries().is_empty());
    disk.fill();
    // One commit of them is more than what is free inside the file.
    wire.generator.must("python3", &["-c", FLOWS, MONITOR]);
    let told = |alert: &str, status: &str| hook.told(alert).into_iter().any(|told| told.status == status);
    wait_until("the full disk to be told", KNOWN, || told("HistoryNotWritten", "firing").then_some(()));
    assert!(wire.metrics().find("netmon_capture_up", &[("interface", "m0")]) == Some(1.0), "capture goes on");
    disk.make_room();
    wait_until("its end", KNOWN, || told("HistoryNotWritten", "resolved").then_some(()));

    stop(&mut netmon);
    let state = place.path("state");
    damage(&state.join("history.redb"));
    let _netmon = place.start_remembering();
    wait_until("the damage to be told", SOON, || told("HistorySetAside", "firing").then_some(()));
    let names = std::fs::read_dir(state).expect("a directory").filter_map(Result::ok);
    let aside = names.filter(|entry| entry.file_name().to_string_lossy().starts_with("history.redb.damaged-")).count();
    assert_eq!((aside, hook.told("HistoryNotWritten").len()), (1, 2), "{:?}", hook.told("HistoryNotWritten"));
}

/// Datagrams to one port after the other, each a flow that ends a second later.
const FLOWS: &str = "
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(10000, 16000):
    sender.sendto(b'x', (sys.argv[1], port))
";

/// The rules as they are, with somebody to tell.
fn config(hook: &Hook) -> String {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts/netmon/history.yaml");
    let rules = std::fs::read_to_string(rules).expect("the rules can be read");
    format!(
        "history: {{flows: {{floor: 0, rate: 100000}}}}\nflows: {{timeouts: {{udp: 1s, udp_one_way: 1s}}}}\n{}receivers:\n  - {{name: hook, webhook: {{url: '{}'}}, group_by: ['...'], group_wait: 0s, group_interval: 0s}}\n",
        rules.replace("    severity:", "    notify: [hook]\n    severity:"),
        hook.url()
    )
}

fn stop(netmon: &mut Running) {
    netmon.signal(Signal::SIGTERM);
    assert_eq!(netmon.end_within(SOON).code(), Some(0));
}

/// Another 4 KiB in every 16.
fn damage(file: &Path) {
    let store = OpenOptions::new().write(true).open(file).expect("the store can be opened");
    let length = store.metadata().expect("it has a length").len();
    for at in (4096..length).step_by(16_384) {
        store.write_all_at(&[0x5a; 4096], at).expect("it can be written to");
    }
}

/// A small file system of its own over a directory, gone at the end.
struct Disk(PathBuf);

impl Disk {
    fn at(directory: PathBuf) -> Self {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "netmon-test"]).arg(&directory);
        assert!(mount.status().is_ok_and(|status| status.success()), "a small file system can be mounted");
        Self(directory)
    }

    fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).expect("a file");
        for size in [65_536, 4096] {
            while ballast.write_all(&vec![0xaa; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A daemon that is still there keeps what is under it until it ends.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
