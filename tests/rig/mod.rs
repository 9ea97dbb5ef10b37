//! Two hosts on one wire: network namespaces joined by a veth pair, real programs in them, all gone at the end.
//!
//! `generator` has `g0` with 192.0.2.1, `monitor` has `m0` with 192.0.2.2; what leaves `g0` arrives at `m0`. IPv6 is off
//! in both, or neighbour discovery would add frames of its own. Every port of a new namespace is free.
//!
//! Each test binary uses a part of it.
#![allow(dead_code)]

pub mod launch;
pub mod ledger;
pub mod memory;
pub mod metrics;
pub mod process;
pub mod sender;

use crate::support::program::run_with_input;
use crate::support::running::{Running, wait_until};
use launch::Launch;
use nix::sched::{CloneFlags, setns};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Address of the generator's end.
pub const GENERATOR: &str = "192.0.2.1";
/// Address of the monitor's end.
pub const MONITOR: &str = "192.0.2.2";
/// Where netmon listens in the monitor's namespace.
pub const BIND: &str = "127.0.0.1:9099";
/// The Python that has the Prometheus client library, as a name for [`tool`].
pub const PYTHON: &str = "venv/bin/python";
/// How long anything may take to start.
pub const START: Duration = Duration::from_secs(15);

/// Whether a test that needs root and `tools` can run; says that it is skipped where not.
///
/// With `TEST_REQUIRE_ALL` in the environment nothing may be skipped.
pub fn can_run(tools: &[&str]) -> bool {
    let root = nix::unistd::geteuid().is_root();
    let missing = tools.iter().find(|name| tool(name).is_none());
    let why = match missing {
        _ if !root => "needs root for network namespaces".to_owned(),
        Some(name) => format!("needs {name}; `make setup` gets it"),
        None => return true,
    };
    assert!(std::env::var_os("TEST_REQUIRE_ALL").is_none(), "nothing may be skipped, but this test {why}");
    eprintln!("skipped: {why}");
    false
}

/// A program that `scripts/setup.sh` put below `target/`, else one in the path. [`PYTHON`] is only in the first.
pub fn tool(name: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is below target/");
    let ours = ["tools/usr/bin", ""].map(|directory| target.join(directory));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = ours.into_iter().chain(std::env::split_paths(&path).collect::<Vec<_>>());
    directories.map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// A directory that others can go into, where a program that has given root up can have one of its own.
pub fn directory_for_all() -> TempDir {
    let all = std::fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().permissions(all).tempdir().expect("a directory")
}

/// A network namespace, deleted when it goes out of scope.
pub struct Namespace(String);

impl Namespace {
    fn new(role: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = Self(format!("netmon-{role}-{}-{number}", std::process::id()));
        must(Command::new("ip").args(["netns", "add", &namespace.0]));
        namespace.must("sh", &["-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"]);
        namespace.must("ip", &["link", "set", "lo", "up"]);
        namespace
    }

    /// The name that `ip netns` knows it by.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// `program` inside.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program.as_ref()).stdin(Stdio::null());
        command
    }

    /// Runs `program` inside; it has to end well. Gives its stdout.
    pub fn must(&self, program: &str, arguments: &[&str]) -> String {
        must(self.command(program).args(arguments))
    }

    /// What `make` gives on a thread inside; sockets that it opens and threads that it starts stay there.
    pub fn inside<T: Send>(&self, make: impl FnOnce() -> T + Send) -> T {
        let enter_and_make = || {
            let namespace = std::fs::File::open(format!("/run/netns/{}", self.0)).expect("the namespace is there");
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter it");
            make()
        };
        std::thread::scope(|scope| scope.spawn(enter_and_make).join().expect("it does not panic"))
    }

    /// The body that `url` answers with, or nothing unless the answer is 200.
    pub fn get(&self, url: &str, options: &[&str]) -> Option<String> {
        let mut curl = self.command("curl");
        curl.args(["--silent", "--fail", "--max-time", "5", "--noproxy", "*"]).args(options).arg(url);
        let output = curl.output().expect("curl starts");
        output.status.success().then(|| String::from_utf8(output.stdout).expect("the answer is text"))
    }

    /// The kernel's packet and byte counters of a device, received and transmitted.
    pub fn kernel_counters(&self, device: &str) -> [[f64; 2]; 2] {
        let count = |name: &str| -> f64 {
            let file = format!("/sys/class/net/{device}/statistics/{name}");
            self.must("cat", &[&file]).trim().parse().expect("a counter is a number")
        };
        ["rx", "tx"].map(|way| [count(&format!("{way}_packets")), count(&format!("{way}_bytes"))])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

/// Runs to the end, which has to be a good one; gives stdout.
fn must(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("its output is text")
}

/// The two namespaces and the pair between them.
pub struct Wire {
    /// Sends.
    pub generator: Namespace,
    /// Where netmon runs.
    pub monitor: Namespace,
}

impl Wire {
    /// Builds it.
    pub fn new() -> Self {
        let wire = Self { generator: Namespace::new("gen"), monitor: Namespace::new("mon") };
        wire.connect();
        wire
    }

    /// Makes the pair, which must not be there, and switches it on.
    pub fn connect(&self) {
        let (g, m) = (&self.generator.0, &self.monitor.0);
        let pair = ["link", "add", "g0", "netns", g, "type", "veth", "peer", "name", "m0", "netns", m];
        must(Command::new("ip").args(pair));
        for (namespace, device, address) in [(&self.generator, "g0", GENERATOR), (&self.monitor, "m0", MONITOR)] {
            namespace.must("ip", &["address", "add", &format!("{address}/24"), "dev", device]);
            namespace.must("ip", &["link", "set", device, "up"]);
        }
    }

    /// Deletes the pair; its counters are gone with it.
    pub fn cut(&self) {
        self.monitor.must("ip", &["link", "delete", "m0"]);
    }

    /// Switches the monitor's end `up` or `down`. The generator's end has no carrier while it is down.
    pub fn set_link(&self, state: &str) {
        self.monitor.must("ip", &["link", "set", "m0", state]);
    }

    /// `netmon run` on `interface` of the monitor, to be started.
    pub fn netmon(&self, interface: &str) -> Launch<'_> {
        Launch::new(self, interface)
    }

    /// Starts `netmon run` on `interface` of the monitor and waits until it is ready.
    pub fn run_netmon(&self, interface: &str) -> Running {
        self.netmon(interface).start()
    }

    /// The present metrics of netmon, in the text format.
    pub fn metrics(&self) -> metrics::Page {
        let page = self.monitor.get(&format!("http://{BIND}/metrics"), &["--header", "Accept: text/plain"]);
        metrics::Page::parse(&page.expect("/metrics answers"))
    }

    /// Serves files over HTTP on the monitor's port 80.
    pub fn serve_http(&self, directory: &Path) -> Running {
        let mut server = self.monitor.command("python3");
        server.args(["-m", "http.server", "80", "--directory"]).arg(directory);
        let running = Running::start(server.stdout(Stdio::null()).stderr(Stdio::null()));
        wait_until("the HTTP server", START, || self.monitor.get("http://127.0.0.1/", &[]));
        running
    }

    /// Sends `count` datagrams from `namespace` to a closed port of `address`.
    pub fn send_datagrams(&self, namespace: &Namespace, address: &str, count: u32) {
        let script = "import socket, sys\n\
                      sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                      for n in range(int(sys.argv[2])): sender.sendto(b'x' * (n % 1000), (sys.argv[1], 7099))";
        namespace.must("python3", &["-c", script, address, &count.to_string()]);
    }

    /// Sends frames as they are from `g0`, by a packet socket.
    pub fn send_raw(&self, frames: &[Vec<u8>]) {
        let script = "import socket, sys\n\
                      sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n\
                      sender.bind(('g0', 0))\n\
                      for line in sys.stdin: sender.send(bytes.fromhex(line))";
        let hex = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let lines: Vec<String> = frames.iter().map(hex).collect();
        let mut command = self.generator.command("python3");
        run_with_input(command.args(["-c", script]), lines.join("\n").as_bytes()).success();
    }
}
