//! What is watched: a netmon with everything switched on, a Prometheus with the shipped configuration, and traffic.

use crate::committed::lay_out_prometheus;
use crate::documents::project;
use crate::rig::{BIND, GENERATOR, MONITOR, START, Wire, directory_for_all, tool};
use crate::support::running::{Running, wait_until};
use nix::sys::signal::Signal;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

pub const PROMETHEUS: &str = "127.0.0.1:9090";

/// Everything that runs; it ends when this goes out of scope.
pub struct Scene {
    pub wire: Wire,
    netmon: Running,
    directory: TempDir,
    _others: Vec<Running>,
}

/// Every optional group, a receiver that listens and one that does not, rules in each state, and all that leaves. Who gets the
/// hook takes what is pushed and the flows too.
const CONFIG: &str = "
aggregation:
  talkers: { export: true }
  vlans: { enabled: true, max: 2 }
  ports: [53, 80]
  continuous_rtt: true
address_classes:
  hosts: [192.0.2.0/24]
flows:
  timeouts: { tcp_opening: 5s, tcp_closed: 1s, udp: 5s, udp_one_way: 5s, icmp: 5s }
alerts:
  - { name: SomeTraffic, metric: receive_bytes_per_second, window: 10s, above: 1kB, notify: [hook, nobody] }
  - { name: MuchTraffic, metric: receive_bytes_per_second, window: 10s, above: 100GB }
  - { name: LongTraffic, metric: receive_bytes_per_second, window: 10s, above: 1kB, for: 1h }
  - { name: MoreThanYesterday, metric: receive_bytes_per_second, window: 10s, above: 3x, baseline: same hour yesterday }
receivers:
  - { name: hook, group_wait: 0s, webhook: { url: 'http://192.0.2.2/hook' } }
  - { name: nobody, group_wait: 0s, webhook: { url: 'http://127.0.0.1:9/' } }
export:
  ipfix: [{ to: 'udp://192.0.2.2:4739' }]
telemetry:
  otlp: { endpoint: 'http://192.0.2.2', metrics: { interval: 5s } }
";

impl Scene {
    /// netmon is ready and was scraped when this returns. Beside `m0` it watches `d0`, which will go,
    /// `f0`, which will go and come back, `e0`, whose other end is down, and whatever will be called `n...`.
    pub fn set() -> Self {
        let wire = Wire::new();
        for name in ["d", "e", "f"] {
            make_pair(&wire, name);
        }
        wire.monitor.must("ip", &["link", "set", "e1", "down"]);
        let directory = directory_for_all();
        let mut others = vec![serve(&wire), iperf_server(&wire, "5201"), iperf_server(&wire, "5202")];
        let config = directory.path().join("netmon.yaml");
        std::fs::write(&config, CONFIG).expect("the directory can be written to");
        let launch =
            ["d0", "e0", "f0", "n*"].iter().fold(wire.netmon("m0"), |launch, name| launch.option("--interface", name));
        let launch = launch.backend("raw").set("capture.buffer", "256KiB");
        let state = directory.path().join("state");
        let launch = launch.option("--config", config.to_str().expect("a path is text")).set("history.enabled", "true");
        let flows = directory_of_anyone(directory.path()).join("flows.jsonl");
        let launch = launch.set("export.flow_log", flows.to_str().expect("a path is text"));
        let netmon = launch.set("state.directory", state.to_str().expect("a path is text")).start();
        others.push(start_prometheus(&wire, directory.path()));
        Self { wire, netmon, directory, _others: others }
    }

    /// Mixed traffic for this long; meanwhile an interface goes and a configuration is refused.
    pub fn play(&self, seconds: u64) {
        let text = seconds.to_string();
        let mut traffic = self.wire.generator.command("python3");
        let mut traffic = Running::start(traffic.arg(project("tests/dashboards/traffic.py")).args(["send", &text]));
        let _pings =
            Running::start(self.wire.generator.command("ping").args(["-i", "0.2", MONITOR]).stdout(Stdio::null()));
        let _downloads = iperf(&self.wire, seconds, &["-b", "40M", "-R"]);
        let _stream = self.follow();
        std::thread::sleep(Duration::from_secs(seconds / 3));
        for gone in ["d0", "f0"] {
            self.wire.monitor.must("ip", &["link", "delete", gone]);
        }
        self.refuse_a_configuration();
        self.wire.monitor.get(&format!("http://{BIND}/api/v1/status"), &[]).expect("the API answers");
        let mut uploads = iperf(&self.wire, seconds / 3, &["-p", "5202", "-b", "80M"]);
        std::thread::sleep(Duration::from_secs(seconds / 8));
        for name in ["f", "n"] {
            make_pair(&self.wire, name);
        }
        self.lose_frames();
        assert!(uploads.end_within(Duration::from_secs(seconds)).success(), "iperf3 ends well");
        assert!(traffic.end_within(Duration::from_secs(seconds)).success(), "the traffic ends well");
    }

    /// For a second netmon does not run, and the buffer is too small for what comes.
    fn lose_frames(&self) {
        self.netmon.signal(Signal::SIGSTOP);
        std::thread::sleep(Duration::from_secs(1));
        self.netmon.signal(Signal::SIGCONT);
    }

    /// Follows the stream of the API.
    fn follow(&self) -> Running {
        let mut client = self.wire.monitor.command("curl");
        for header in [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: bmV0bW9uIGlzIHdhdGNoZWQ=",
        ] {
            client.args(["--header", header]);
        }
        let url = format!("http://{BIND}/api/v1/stream");
        let options = ["--silent", "--no-buffer", "--http1.1", "--noproxy", "*", &url];
        Running::start(client.args(options).stdout(Stdio::null()))
    }

    fn refuse_a_configuration(&self) {
        std::fs::write(self.directory.path().join("netmon.yaml"), "no_such_key: 1\n").expect("it can be written");
        self.netmon.signal(Signal::SIGHUP);
    }
}

/// Two ends of one wire in the monitor's namespace, both up.
/// Where the user that netmon becomes may write.
fn directory_of_anyone(within: &Path) -> PathBuf {
    let path = within.join("flows");
    std::fs::create_dir(&path).expect("the directory can be written to");
    std::fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("it is ours");
    path
}

fn make_pair(wire: &Wire, name: &str) {
    let [near, far] = [format!("{name}0"), format!("{name}1")];
    wire.monitor.must("ip", &["link", "add", &near, "type", "veth", "peer", "name", &far]);
    for end in [near, far] {
        wire.monitor.must("ip", &["link", "set", &end, "up"]);
    }
}

fn serve(wire: &Wire) -> Running {
    let mut server = wire.monitor.command("python3");
    let running = Running::start(server.arg(project("tests/dashboards/traffic.py")).arg("serve"));
    wait_until("the servers", START, || wire.generator.get(&format!("http://{MONITOR}/small"), &[]));
    running
}

/// One of its servers takes one client at a time; the second is started by its first client.
fn iperf_server(wire: &Wire, port: &str) -> Running {
    let mut server = wire.monitor.command("iperf3");
    Running::start(server.args(["-s", "-B", MONITOR, "-p", port]).stdout(Stdio::null()))
}

fn iperf(wire: &Wire, seconds: u64, options: &[&str]) -> Running {
    let mut client = wire.generator.command("iperf3");
    client.args(["-c", MONITOR, "-B", GENERATOR, "-t", &seconds.to_string()]).args(options);
    Running::start(client.stdout(Stdio::null()))
}

/// With the shipped configuration, but for where netmon is and how often it is asked.
fn start_prometheus(wire: &Wire, directory: &Path) -> Running {
    let config = directory.join("prometheus.yml");
    lay_out_prometheus(directory);
    let shipped = std::fs::read_to_string(&config).expect("it is there");
    std::fs::remove_file(&config).expect("the link");
    let mut written = shipped.clone();
    let changes = [
        ("netmon:8080", BIND),
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("scrape_timeout: 10s", "scrape_timeout: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
    ];
    for (from, to) in changes {
        assert!(written.contains(from), "the configuration has {from}");
        written = written.replace(from, to);
    }
    std::fs::write(&config, written).expect("the directory can be written to");
    let mut command = wire.monitor.command(tool("prometheus").expect("it was looked for"));
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
    command.args([&format!("--web.listen-address={PROMETHEUS}"), "--enable-feature=exemplar-storage"]);
    let running = Running::start(command.current_dir(directory).stderr(Stdio::null()));
    wait_until("a scrape", START, || {
        let url = format!("http://{PROMETHEUS}/api/v1/query?query=netmon_capture_up");
        wire.monitor.get(&url, &[]).filter(|answer| answer.contains("\"m0\""))
    });
    running
}
