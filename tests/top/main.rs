//! `netmon top` in a real terminal: what it shows of a daemon and of a file, and how it leaves the terminal behind.
//!
//! The terminal is tmux, which tells what is on it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../rig/daemon.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod daemon;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;
mod terminal;

use daemon::Daemon;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rig::{BIND, GENERATOR, MONITOR, Namespace, Wire, can_run};
use std::process::Stdio;
use std::time::Duration;
use support::program::{netmon, run};
use support::running::{Running, wait_until};
use terminal::{NETMON, Terminal};

const HTTP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/http.pcap");

/// 500 datagrams of 1,000 bytes on the wire a second.
const TRAFFIC: &str = "
import socket, sys, time
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind((sys.argv[1], 7001))
begun, sent = time.time(), 0
while True:
    while sent < (time.time() - begun) * 500:
        try:
            u.sendto(b'u' * 958, (sys.argv[2], 7001))
        except OSError:
            pass
        sent += 1
    time.sleep(.01)
";

fn traffic(wire: &Wire) -> [Running; 2] {
    let send = |namespace: &Namespace, from: &str, to: &str| {
        Running::start(namespace.command("python3").args(["-c", TRAFFIC, from, to]).stderr(Stdio::null()))
    };
    // Each has the port open that the other sends to, so that nobody refuses.
    [send(&wire.generator, GENERATOR, MONITOR), send(&wire.monitor, MONITOR, GENERATOR)]
}

/// The received rate that is shown, in Mbit/s.
fn received(screen: &str) -> Option<f64> {
    let line = screen.lines().find(|line| line.starts_with("m0"))?;
    let words: Vec<&str> = line.split('▲').nth(1)?.split_whitespace().collect();
    (words.get(1) == Some(&"Mbit/s")).then(|| words[0].parse().ok())?
}

#[test]
fn a_daemon_is_shown_as_it_is_through_resizing_filters_and_a_restart() {
    if !can_run(&["ip", "python3", "tmux"]) {
        return;
    }
    let wire = Wire::new();
    let config = "local_networks: [192.0.2.2/32]\n";
    let daemon = Daemon::ready(&wire, config);
    let _traffic = traffic(&wire);
    let terminal = Terminal::start(Some(&wire.monitor), (80, 24));
    let before = terminal.settings();
    terminal.enter(&format!("{NETMON} top --url http://{BIND}; echo code=$?"));
    terminal.shows(&["netmon top http://127.0.0.1:9099", "live", "✓ m0", "coverage", "nothing lost"]);
    terminal.shows(&["Top hosts", GENERATOR, MONITOR, "ipv4 udp", "Flows:", "192.0.2.1:7001", "TCP health", "Alerts"]);
    let rate =
        wait_until("the rate", Duration::from_secs(20), || received(&terminal.screen()).filter(|rate| *rate > 3.0));
    assert!((3.4..4.6).contains(&rate), "{rate} Mbit/s where 4 are sent\n{}", terminal.screen());
    terminal.keep("top-80x24");

    terminal.press("u");
    terminal.shows(&["kB/s"]);
    terminal.press("u");
    terminal.press("/");
    terminal.press("port=1");
    terminal.press("Enter");
    terminal.shows(&["only port=1", "no flow matches"]);
    terminal.resize((140, 45));
    terminal.shows(&["► Flows", "TCP health"]);
    for key in ["/", "BSpace", "7", "0", "0", "1", "Enter"] {
        terminal.press(key);
    }
    terminal.shows(&["only port=7001", "first seen", "192.0.2.1:7001"]);
    terminal.keep("top-140x45");
    terminal.resize((40, 10));
    terminal.shows(&["needs 60 x 16"]);
    terminal.resize((80, 24));
    terminal.shows(&["m0", "live"]);

    drop(daemon);
    terminal.shows(&["last data", "s ago", "refused", "192.0.2.1:7001"]);
    let _again = Daemon::ready(&wire, config);
    terminal.shows(&["live", "✓ m0"]);

    terminal.press("q");
    terminal.shows(&["code=0"]);
    terminal.is_given_back(&before);
}

#[test]
fn a_capture_file_is_shown_and_the_terminal_is_given_back_however_it_ends() {
    if !can_run(&["tmux"]) {
        return;
    }
    let terminal = Terminal::start(None, (100, 30));
    let before = terminal.settings();
    for (n, way) in ["q", "C-c", "SIGTERM"].into_iter().enumerate() {
        terminal.enter(&format!("sh -c 'echo $$ > pid; exec {NETMON} top {HTTP}'; echo code=$?:{n}"));
        terminal.shows(&["netmon top http.pcap", "at the end", "http", "Flows: 3", "192.0.2.1:46052", "192.0.2.2:80"]);
        assert!(terminal.is_taken_over());
        if way == "SIGTERM" {
            kill(Pid::from_raw(terminal.pid()), Signal::SIGTERM).unwrap();
        } else {
            terminal.press(way);
        }
        terminal.shows(&[&format!("code=0:{n}")]);
        terminal.is_given_back(&before);
    }
    terminal.enter(&format!("{NETMON} top {HTTP}"));
    terminal.shows(&["at the end"]);
    assert_eq!(terminal.leftovers().len(), 1, "the socket that it asks itself on");
    terminal.close();
    wait_until("nothing to be left", Duration::from_secs(20), || terminal.leftovers().is_empty().then_some(()));
}

#[test]
fn what_is_no_capture_and_where_there_is_no_terminal_is_wrong_input() {
    let ended = run(netmon().args(["top", HTTP]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("standard output is no terminal"), "{}", ended.stderr);
    assert!(ended.stdout.is_empty());
    let ended = run(netmon().args(["top", HTTP, "--url", "http://127.0.0.1:1"]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    if !can_run(&["tmux"]) {
        return;
    }
    let terminal = Terminal::start(None, (100, 30));
    let before = terminal.settings();
    let bad = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/bad/text.pcap");
    terminal.enter(&format!("{NETMON} top {bad}; echo code=$?"));
    terminal.shows(&["text.pcap", "code=2"]);
    terminal.enter(&format!("TERM=dumb {NETMON} top; echo code=$?"));
    terminal.shows(&["TERM=dumb"]);
    terminal.is_given_back(&before);
}
