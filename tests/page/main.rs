//! The live page in a real browser: what it shows is what the API and the kernel say, and it survives what happens.
//!
//! Needs Chromium and the driver's modules below `target/browser` (`scripts/setup.sh browser`), and root for namespaces.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../rig/daemon.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod daemon;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

use daemon::Daemon;
use rig::{BIND, GENERATOR, Wire, can_run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;
use support::running::{Running, wait_until};

const TOOLS: [&str; 4] = ["ip", "python3", "node", "chromium"];

/// A browser that is told what to do.
struct Browser {
    child: Child,
    orders: ChildStdin,
    findings: BufReader<ChildStdout>,
    pictures: PathBuf,
}

impl Browser {
    fn start(wire: &Wire) -> Self {
        let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
        std::fs::create_dir_all(&pictures).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/page.mjs");
        let mut command = wire.monitor.command("node");
        command.arg(script).arg(modules()).arg(format!("http://{BIND}/")).arg(&pictures);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node starts");
        let orders = child.stdin.take().expect("it is piped");
        let findings = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, orders, findings, pictures }
    }

    /// Gives an order and waits for what was found.
    fn tell(&mut self, order: &str) -> Value {
        writeln!(self.orders, "{order}").expect("the browser listens");
        let mut line = String::new();
        self.findings.read_line(&mut line).expect("the browser answers");
        let found: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{order}: `{line}`"));
        assert!(found["failed"].is_null(), "{found}");
        found
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn modules() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is below target/").join("browser")
}

/// Whether there is a browser to drive. With `TEST_REQUIRE_BROWSER` there has to be.
fn has_browser() -> bool {
    let there = modules().join("node_modules/playwright-core").is_dir();
    assert!(there || std::env::var_os("TEST_REQUIRE_BROWSER").is_none(), "`scripts/setup.sh browser` gets the driver");
    if !there {
        eprintln!("skipped: needs a browser and its driver; `scripts/setup.sh browser` gets them");
    }
    there && can_run(&TOOLS)
}

/// 2,000 datagrams of 1,000 bytes a second each way, and a connection every 200 ms that moves some bytes.
const TRAFFIC: &str = r#"
import socket, sys, threading, time
here, there = sys.argv[1:]
def serve():
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((here, 7000)); s.listen(16)
    while True:
        c, _ = s.accept()
        c.sendall(c.recv(4096)); c.close()
def connect():
    while True:
        try:
            c = socket.create_connection((there, 7000), 1); c.sendall(b"x" * 2000); c.recv(4096); c.close()
        except OSError:
            pass
        time.sleep(.2)
threading.Thread(target=serve, daemon=True).start()
threading.Thread(target=connect, daemon=True).start()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind((here, 7001))
begun, sent = time.time(), 0
while True:
    while sent < (time.time() - begun) * 500:
        u.sendto(b"u" * 958, (there, 7001)); sent += 1
    time.sleep(.01)
"#;

fn traffic(wire: &Wire) -> [Running; 2] {
    let of = |namespace: &rig::Namespace, here: &str, there: &str| {
        let mut command = namespace.command("python3");
        Running::start(command.args(["-c", TRAFFIC, here, there]).stderr(Stdio::null()))
    };
    [of(&wire.generator, GENERATOR, rig::MONITOR), of(&wire.monitor, rig::MONITOR, GENERATOR)]
}

fn texts(found: &Value) -> Vec<&str> {
    found.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The number of bytes a second behind a word or an arrow, as the page prints it.
fn shown_rate(words: &str, mark: &str) -> f64 {
    let after = words.split(mark).nth(1).unwrap_or_else(|| panic!("no {mark} in {words}")).trim();
    let mut parts = after.split_whitespace();
    let value: f64 = parts.next().unwrap().parse().unwrap();
    value
        * match parts.next().unwrap() {
            "B/s" => 1.0,
            "kB/s" => 1e3,
            "MB/s" => 1e6,
            unit => panic!("{unit}"),
        }
}

fn cells(row: &Value) -> Vec<&str> {
    texts(row)
}

#[test]
fn the_page_shows_what_the_api_and_the_kernel_say_and_survives_a_restart() {
    if !has_browser() {
        return;
    }
    let wire = Wire::new();
    let config = "local_networks: [192.0.2.2/32]\n";
    let mut daemon = Daemon::ready(&wire, config);
    let _traffic = traffic(&wire);
    let mut browser = Browser::start(&wire);
    assert_eq!(browser.tell("open")["title"], format!("netmon {BIND}"));
    std::thread::sleep(Duration::from_secs(12));

    numbers_are_those_of_the_api(&mut browser, &daemon);
    flows_can_be_filtered_and_sorted(&mut browser);
    the_chart_moves_can_be_read_and_held(&mut browser);
    assert_eq!(browser.tell("keyboard"), serde_json::json!({ "theme": "light", "focus": "flows-words" }));

    daemon.running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(daemon.running.end_within(Duration::from_secs(10)).code(), Some(0));
    let lost = browser.tell("lost")["link"].as_str().unwrap().to_owned();
    assert!(lost.contains("last data") && lost.contains("ago"), "{lost}");
    drop(daemon);
    // What a lost connection writes to the console is the browser's own.
    let before = browser.tell("complaints");
    let daemon = Daemon::ready(&wire, config);
    assert_eq!(browser.tell("back")["link"], "live");

    for look in ["desktop-dark", "desktop-light", "phone-dark", "phone-light"] {
        let found = browser.tell(&format!("look {look}"));
        assert_eq!(found["serious"], serde_json::json!([]), "{look}: what axe finds");
        assert_eq!(found["wide"], 0, "{look}: nothing sticks out to the side");
        assert!(browser.pictures.join(format!("{look}.png")).is_file());
    }
    let complaints = browser.tell("complaints");
    assert_eq!(complaints["foreign"], serde_json::json!([]), "requests to others");
    // The browser notes refused connections while the daemon is away, and the answer to the port that was wrong.
    let expected = |line: &&&str| line.contains("ERR_CONNECTION_REFUSED") || line.contains("status of 400");
    for found in [&before, &complaints] {
        let errors = texts(&found["errors"]);
        assert_eq!(errors.iter().find(|line| !expected(line)), None, "in the console");
    }
    drop(daemon);
}

fn numbers_are_those_of_the_api(browser: &mut Browser, daemon: &Daemon<'_>) {
    let answer = daemon.get("/api/v1/interfaces/m0").expect("it answers");
    let api: Value = serde_json::from_str(&answer).unwrap();
    let second = &api["windows"][0];
    let shown = browser.tell("bytes");
    let now = texts(&shown["now"])[0].to_owned();
    // Both are of a steady stream, a moment apart.
    for (mark, side) in [("▲", "receive"), ("▼", "transmit")] {
        let expected = second[side]["bytes_per_second"].as_f64().unwrap();
        let found = shown_rate(&now, mark);
        assert!(
            found > 300_000.0 && (found / expected - 1.0).abs() < 0.15,
            "{side}: {found} on the page, {expected} by the API"
        );
    }
    let found = browser.tell("numbers");
    assert_eq!(texts(&found["interfaces"]), ["m0"]);
    let truth = texts(&found["truth"])[0];
    assert!(truth.contains("coverage 100") && truth.contains("nothing lost"), "{truth}");
    let protocols: Vec<_> = found["protocols"].as_array().unwrap().iter().map(|row| cells(row)[0].to_owned()).collect();
    assert!(protocols.starts_with(&["ipv4 udp".into(), "ipv4 tcp".into()]), "{protocols:?}");
    let talkers: Vec<_> = found["talkers"].as_array().unwrap().iter().map(|row| cells(row)[0].to_owned()).collect();
    assert!(talkers.contains(&GENERATOR.to_owned()) && talkers.contains(&rig::MONITOR.to_owned()), "{talkers:?}");
    assert!(texts(&found["health"]).iter().any(|gauge| gauge.contains("retransmitted")), "{found}");
    for side in ["receive", "transmit"] {
        assert!(found["ink"][side].as_u64() > Some(50), "the chart has a line for {side}: {}", found["ink"]);
    }
}

/// In the middle of each second some datagrams, another number and size of them in each. At the end of each second, unless
/// something moved around that moment: the second, and the bytes that the kernel counted in it, received and transmitted.
const BURSTS: &str = r#"
import socket, sys, time
here, there, device, seed = sys.argv[1:]
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind((here, 7002))
def counted():
    return [int(open(f"/sys/class/net/{device}/statistics/{way}_bytes").read()) for way in ("rx", "tx")]
def wait(moment):
    time.sleep(max(0, moment - time.time()))
second, last = int(time.time()) + 1, None
while True:
    wait(second - .15)
    before, is_before = counted(), time.time() < second
    wait(second + .15)
    after = counted()
    is_clean = is_before and before == after
    if is_clean and last:
        print(second, *(new - old for new, old in zip(after, last)), flush=True)
    last = after if is_clean else None
    wait(second + .4)
    for _ in range(5 + second * int(seed) % 47):
        u.sendto(b"u" * (100 + second * 131 % 1100), (there, 7002))
    second = max(second + 1, int(time.time()) + 1)
"#;

/// As the page tells the time, and in bytes: received and transmitted by the far end of the wire.
fn counted_by_the_kernel(lines: &str) -> BTreeMap<String, [f64; 2]> {
    let of = |line: &str| {
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let [hour, minute, second] = [numbers[0] / 3600 % 24, numbers[0] / 60 % 60, numbers[0] % 60];
        (format!("{hour:02}:{minute:02}:{second:02}"), [numbers[1], numbers[2]].map(|bytes| bytes as f64))
    };
    lines.lines().map(of).collect()
}

#[test]
fn every_second_of_the_chart_is_what_the_kernel_counted_at_the_far_end() {
    if !has_browser() {
        return;
    }
    let (wire, directory) = (Wire::new(), tempfile::tempdir().expect("a directory"));
    let _daemon = Daemon::ready(&wire, "local_networks: [192.0.2.2/32]\n");
    let mut browser = Browser::start(&wire);
    browser.tell("open");
    browser.tell("bytes");
    let bursts = |namespace: &rig::Namespace, arguments: [&str; 4], file: &str| {
        let mut command = namespace.command("python3");
        let said = std::fs::File::create(directory.path().join(file)).unwrap();
        Running::start(command.args(["-c", BURSTS]).args(arguments).stdout(said))
    };
    let _sending = [
        bursts(&wire.generator, [GENERATOR, rig::MONITOR, "g0", "17"], "far"),
        bursts(&wire.monitor, [rig::MONITOR, GENERATOR, "m0", "29"], "near"),
    ];
    let kernel = || counted_by_the_kernel(&std::fs::read_to_string(directory.path().join("far")).unwrap());
    wait_until("some quiet ends of seconds", Duration::from_secs(90), || (kernel().len() >= 20).then_some(()));
    let said = browser.tell("seconds");
    let (kernel, mut compared) = (kernel(), 0);
    for words in texts(&said["said"]) {
        let Some([taken, sent]) = words.split_whitespace().next().and_then(|time| kernel.get(time)) else { continue };
        for (mark, counted) in [("receive", sent), ("transmit", taken)] {
            let shown = shown_rate(words, mark);
            // Three digits are shown.
            assert!((shown - counted).abs() <= counted * 0.005, "{mark}: `{words}`, the kernel counted {counted}");
        }
        compared += 1;
    }
    assert!(compared >= 10, "{said}, {kernel:?}");
}

fn flows_can_be_filtered_and_sorted(browser: &mut Browser) {
    let all = |found: &Value, what: fn(&[&str]) -> bool| {
        let rows = found["flows"].as_array().unwrap().clone();
        !rows.is_empty() && rows.iter().all(|row| what(&cells(row)))
    };
    let udp = browser.tell("filter protocol=udp port=7001");
    assert!(all(&udp, |cells| cells[1] == "udp" && cells[2].ends_with(":7001")), "{udp}");
    let tcp = browser.tell("filter tcp 7000");
    assert!(all(&tcp, |cells| cells[1] == "tcp" && cells[3].ends_with(":7000")), "{tcp}");
    let wrong = browser.tell("filter colour=red");
    assert!(wrong["problem"].as_str().unwrap().contains("is no filter"), "{wrong}");
    let wrong = browser.tell("filter port=99999");
    assert!(wrong["problem"].as_str().unwrap().contains("port"), "{wrong}");
    browser.tell("filter protocol=tcp");
    let packets = |found: &Value| -> Vec<u64> {
        found["flows"].as_array().unwrap().iter().map(|row| cells(row)[5].replace(',', "").parse().unwrap()).collect()
    };
    let down = browser.tell("sort Packets");
    assert_eq!(down["order"], "descending");
    assert!(packets(&down).is_sorted_by(|a, b| a >= b), "{:?}", packets(&down));
    let up = browser.tell("sort Packets");
    assert_eq!(up["order"], "ascending");
    assert!(packets(&up).is_sorted(), "{:?}", packets(&up));
    browser.tell("filter ");
}

fn the_chart_moves_can_be_read_and_held(browser: &mut Browser) {
    assert_eq!(browser.tell("moving")["moved"], true);
    let legend = browser.tell("hover")["legend"].as_str().unwrap().to_owned();
    assert!(legend.contains("receive") && legend.contains("transmit") && legend.contains("B/s"), "{legend}");
    let held = browser.tell("pause");
    assert_eq!(held["same"], true, "{held}");
    assert!(held["link"].as_str().unwrap().starts_with("held at"), "{held}");
    for range in ["600", "3600", "60"] {
        assert!(browser.tell(&format!("range {range}"))["ink"]["receive"].as_u64() > Some(0), "{range} s");
    }
}

#[test]
fn an_alert_appears_and_can_be_silenced() {
    if !has_browser() {
        return;
    }
    let wire = Wire::new();
    let rules = "local_networks: [192.0.2.2/32]\nalerts:\n  - name: AnyTraffic\n    metric: receive_bytes_per_second\n    \
                 window: 10s\n    above: 1kB\n    severity: critical\nstate: {directory: STATE}\n";
    let state = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::ready(&wire, &rules.replace("STATE", state.path().to_str().unwrap()));
    let _traffic = traffic(&wire);
    let mut browser = Browser::start(&wire);
    browser.tell("open");
    wait_until("the alert to fire", Duration::from_secs(30), || {
        daemon.get("/api/v1/alerts").filter(|alerts| alerts.contains("\"firing\""))
    });
    let found = browser.tell("silence AnyTraffic");
    assert!(texts(&found["alerts"]).iter().any(|alert| alert.to_lowercase().contains("silenced")), "{found}");
    let silences = daemon.get("/api/v1/silences").expect("it answers");
    assert!(silences.contains("night shift") && silences.contains("AnyTraffic"), "{silences}");
    assert_eq!(browser.tell("complaints")["errors"], serde_json::json!([]));
}
