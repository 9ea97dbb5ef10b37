//! A wire for adapters: a veth pair between two network namespaces, and tests that run inside one of them.
//!
//! A test starts its own binary again in the namespace that captures; the tests marked ignored are what runs there.
//! Both namespaces are removed at the end.
#![allow(dead_code)]

use netmon::capture::{Adapter, FrameSink, InterfaceInfo, Poll};
use netmon::packet::{Frame, PacketMeta};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Names the namespace that sends; set where the inner tests run.
pub const SENDER: &str = "NETMON_TEST_SENDER";
/// Names the namespace that captures.
pub const MONITOR: &str = "NETMON_TEST_MONITOR";
/// How long one poll waits.
pub const WAIT: Duration = Duration::from_millis(100);
/// Waits without a frame after which a test gives up.
pub const PATIENCE: u32 = 100;
/// Waits in a row in which surplus frames would come: several times what the kernel keeps frames back.
const SURPLUS_WAITS: u32 = 3;

/// Two namespaces: `g0` with 192.0.2.1 in the one that sends, `m0` in the one that captures.
pub struct Namespaces {
    sender: String,
    monitor: String,
}

impl Namespaces {
    /// Makes them; `name` tells apart what tests side by side make.
    pub fn new(name: &str) -> Self {
        let id = std::process::id();
        let pair = Self { sender: format!("nm-{name}-g{id}"), monitor: format!("nm-{name}-m{id}") };
        ip(&["netns", "add", &pair.sender]);
        ip(&["netns", "add", &pair.monitor]);
        // Without IPv6 there is no neighbour discovery, so every frame is one that was sent on purpose.
        for namespace in [&pair.sender, &pair.monitor] {
            let off = "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6";
            ip(&["netns", "exec", namespace, "sh", "-c", off]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
        }
        make_pair(&pair.sender, &pair.monitor);
        pair
    }

    /// Runs an ignored test of this file where the monitor is.
    pub fn run(&self, test: &str) {
        let exe = std::env::current_exe().unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.monitor]).arg(exe).args(["--ignored", "--exact", "--nocapture", test]);
        let output = command.env(SENDER, &self.sender).env(MONITOR, &self.monitor).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in [&self.sender, &self.monitor] {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

/// Lays the wire between two namespaces.
pub fn make_pair(sender: &str, monitor: &str) {
    ip(&["-n", sender, "link", "add", "g0", "type", "veth", "peer", "name", "m0", "netns", monitor]);
    ip(&["-n", sender, "addr", "add", "192.0.2.1/24", "dev", "g0"]);
    ip(&["-n", sender, "link", "set", "g0", "up"]);
    bring_up(sender, monitor);
    // Nobody has this address: nothing is asked, nothing answered.
    ip(&["-n", sender, "neigh", "add", "192.0.2.99", "lladdr", "02:00:00:00:00:99", "dev", "g0"]);
}

/// Brings `m0` up and waits until the other end may send: the kernel opens its queue a moment later.
pub fn bring_up(sender: &str, monitor: &str) {
    ip(&["-n", monitor, "link", "set", "m0", "up"]);
    wait_for_carrier(sender);
}

/// Waits until `g0` may send.
pub fn wait_for_carrier(sender: &str) {
    let is_up = || {
        let output = Command::new("ip").args(["-n", sender, "link", "show", "g0"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).contains("state UP")
    };
    for _ in 0..PATIENCE {
        if is_up() {
            return;
        }
        std::thread::sleep(WAIT / 10);
    }
    panic!("g0 has no carrier");
}

/// Runs ip(8), which has to end well.
pub fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
}

/// Whether namespaces can be made here; says so where they cannot. Tests run side by side, hence `name`.
///
/// With `TEST_REQUIRE_ALL` in the environment nothing may be skipped.
pub fn can_make_namespaces(name: &str) -> bool {
    let probe = format!("nm-{name}-p{}", std::process::id());
    let run =
        |verb| Command::new("ip").args(["netns", verb, &probe]).output().is_ok_and(|output| output.status.success());
    let can = nix::unistd::geteuid().is_root() && run("add");
    if can {
        run("del");
    } else {
        assert!(
            std::env::var_os("TEST_REQUIRE_ALL").is_none(),
            "nothing may be skipped, but this needs root and ip(8)"
        );
        println!("skipped: network namespaces need root and ip(8)");
    }
    can
}

/// Whether this process was started inside a namespace by a test.
pub fn is_inside() -> bool {
    std::env::var_os(SENDER).is_some()
}

/// The namespace that sends.
pub fn sender() -> String {
    std::env::var(SENDER).unwrap()
}

/// The namespace that captures, which this process is in.
pub fn monitor() -> String {
    std::env::var(MONITOR).unwrap()
}

/// Sends from the other namespace by running the test `inside_sender` there.
pub fn send() {
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &sender()]).arg(exe).args(["--ignored", "--exact", "inside_sender"]);
    assert!(command.output().unwrap().status.success());
}

/// Puts frames on a wire byte for byte.
pub fn send_frames<'a>(namespace: &str, device: &str, frames: impl IntoIterator<Item = &'a Vec<u8>>) {
    const SCRIPT: &str = "import socket, sys\n\
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n\
        wire.bind((sys.argv[1], 0))\n\
        for line in sys.stdin: wire.send(bytes.fromhex(line))";
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "python3", "-c", SCRIPT, device]).stdin(Stdio::piped());
    let mut python = command.spawn().unwrap();
    let mut input = python.stdin.take().unwrap();
    for frame in frames {
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(input, "{hex}").unwrap();
    }
    drop(input);
    assert!(python.wait().unwrap().success());
}

/// Keeps what comes.
#[derive(Default)]
pub struct Collected(pub Vec<(PacketMeta, Vec<u8>)>);

impl Collected {
    /// The bytes alone.
    pub fn bytes(&self) -> Vec<&[u8]> {
        self.0.iter().map(|(_, bytes)| &bytes[..]).collect()
    }
}

impl FrameSink for Collected {
    fn interface(&mut self, _: &InterfaceInfo) {}

    fn frames(&mut self, frames: &[Frame<'_>]) {
        self.0.extend(frames.iter().map(|frame| (frame.meta, frame.bytes.to_vec())));
    }
}

/// Polls until `count` frames came or nothing more does, and a little longer, so that surplus ones are seen.
pub fn collect(adapter: &mut dyn Adapter, count: usize) -> Collected {
    let mut collected = Collected::default();
    let mut idle = 0;
    while collected.0.len() < count && idle < PATIENCE {
        match adapter.poll(WAIT, &mut collected).unwrap() {
            Poll::Frames => idle = 0,
            Poll::Idle => idle += 1,
            Poll::End => panic!("a live source has no end"),
        }
    }
    let mut surplus = 0;
    while surplus < SURPLUS_WAITS {
        surplus = if adapter.poll(WAIT, &mut collected).unwrap() == Poll::Idle { surplus + 1 } else { 0 };
    }
    collected
}
