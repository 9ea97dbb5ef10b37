//! `netmon run` on a wire of its own, with real programs beside it: the kernel, curl, ping, Prometheus.
//!
//! The tests need root for network namespaces and say so where they are skipped. `SCRAPE_SECONDS` (default 20) is how
//! long Prometheus has to scrape without a failure.
#![cfg(target_os = "linux")]

mod rig;
mod support;

use nix::sys::signal::Signal;
use rig::metrics::Page;
use rig::{BIND, GENERATOR, MONITOR, PYTHON, START, Wire, can_run, tool};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::fixture;
use support::program::{netmon, run, run_with_input};
use support::running::{Running, poll, wait_until};

/// A counter of the last traffic is on the page well within this: ticks are 100 ms.
const SETTLE: Duration = Duration::from_secs(5);
/// An orderly end takes no longer.
const STOP: Duration = Duration::from_secs(5);

#[test]
fn counters_equal_those_of_the_kernel_to_the_packet_and_the_byte() {
    if !can_run(&["ip", "curl", "python3", "ping"]) {
        return;
    }
    let wire = Wire::new();
    let _netmon = wire.run_netmon("m0");
    let _server = wire.serve_http(&fixture(""));
    let before = Counts::now(&wire);
    let udp_before = udp_received(&wire.metrics(), "m0");

    for capture in ["http.pcap", "tcp-loss.pcap", "ipv6-fragments.pcap"] {
        let url = format!("http://{MONITOR}/{capture}");
        wire.generator.must("curl", &["--silent", "--fail", "--noproxy", "*", "--output", "/dev/null", &url]);
    }
    wire.send_datagrams(&wire.generator, MONITOR, 500);
    wire.generator.must("ping", &["-q", "-c", "20", "-i", "0.01", MONITOR]);
    wire.monitor.must("ping", &["-q", "-c", "3", "-i", "0.01", "-s", "4000", GENERATOR]);

    let since = || Counts::now(&wire).since(&before);
    let counts = poll(SETTLE, since, |counts| counts.kernel == counts.netmon);
    assert_eq!(counts.netmon, counts.kernel, "packets and bytes received, then transmitted; netmon left, kernel right");
    assert!(counts.kernel[0][0] > 530.0, "there was traffic");
    let page = wire.metrics();
    assert_eq!(udp_received(&page, "m0") - udp_before, 500.0);
    assert_eq!(page.sum("netmon_capture_dropped_packets_total", &[("interface", "m0")]), 0.0);
}

fn udp_received(page: &Page, interface: &str) -> f64 {
    page.sum("netmon_protocol_receive_packets_total", &[("interface", interface), ("transport", "udp")])
}

/// Packets and bytes that m0 received, then transmitted: by the far end's kernel counters, and by netmon.
struct Counts {
    kernel: [[f64; 2]; 2],
    netmon: [[f64; 2]; 2],
}

impl Counts {
    fn now(wire: &Wire) -> Self {
        let [received, transmitted] = wire.generator.kernel_counters("g0");
        let page = wire.metrics();
        let count = |name: &str| page.sum(&format!("netmon_interface_{name}_total"), &[("interface", "m0")]);
        let netmon =
            ["receive", "transmit"].map(|way| [count(&format!("{way}_packets")), count(&format!("{way}_bytes"))]);
        Self { kernel: [transmitted, received], netmon }
    }

    fn since(self, before: &Self) -> Self {
        Self { kernel: minus(self.kernel, before.kernel), netmon: minus(self.netmon, before.netmon) }
    }
}

fn minus(a: [[f64; 2]; 2], b: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    [0, 1].map(|way| [0, 1].map(|n| a[way][n] - b[way][n]))
}

#[test]
fn a_packet_on_loopback_counts_once() {
    if !can_run(&["ip", "curl", "python3"]) {
        return;
    }
    let wire = Wire::new();
    let _netmon = wire.run_netmon("lo");
    let before = udp_received(&wire.metrics(), "lo");
    wire.send_datagrams(&wire.monitor, "127.0.0.1", 100);
    let counted = poll(SETTLE, || udp_received(&wire.metrics(), "lo") - before, |counted| *counted >= 100.0);
    assert_eq!(counted, 100.0);
}

#[test]
fn prometheus_scrapes_without_a_failure_and_finds_every_family() {
    if !can_run(&["ip", "curl", "python3", "ping", "prometheus"]) {
        return;
    }
    let seconds = std::env::var("SCRAPE_SECONDS").map_or(20, |text| text.parse().expect("SCRAPE_SECONDS is a number"));
    let wire = Wire::new();
    let _netmon = wire.run_netmon("m0");
    let directory = tempfile::tempdir().expect("a directory");
    let _prometheus = start_prometheus(&wire, directory.path());
    wire.generator.must("ping", &["-q", "-c", "5", "-i", "0.01", MONITOR]);

    let scrapes = format!("count_over_time(up{{job=\"netmon\"}}[{seconds}s])");
    wait_until("enough scrapes", Duration::from_secs(2 * seconds) + START, || {
        query(&wire, &scrapes).filter(|count| *count >= seconds as f64 - 1.0)
    });
    assert_eq!(query(&wire, "min_over_time(up{job=\"netmon\"}[1h])"), Some(1.0), "a scrape failed");
    let absent: Vec<&str> = families().filter(|name| query(&wire, &format!("count({name})")).is_none()).collect();
    assert!(absent.is_empty(), "Prometheus has no {absent:?}");
    let echoes = "netmon_icmp_messages_total{network=\"ipv4\",message=\"echo\"}";
    assert_eq!(query(&wire, echoes), Some(5.0));
}

const PROMETHEUS: &str = "127.0.0.1:9090";

fn start_prometheus(wire: &Wire, directory: &Path) -> Running {
    let config = directory.join("prometheus.yml");
    let job = format!("[{{ job_name: netmon, scrape_interval: 1s, static_configs: [{{ targets: ['{BIND}'] }}] }}]");
    std::fs::write(&config, format!("scrape_configs: {job}\n")).expect("the directory can be written to");
    let mut command = wire.monitor.command(tool("prometheus").expect("it was looked for"));
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
    command.arg(format!("--web.listen-address={PROMETHEUS}"));
    let running = Running::start(command.current_dir(directory).stderr(Stdio::null()));
    wait_until("Prometheus", START, || wire.monitor.get(&format!("http://{PROMETHEUS}/-/ready"), &[]));
    running
}

/// The value of a query that gives at most one series.
fn query(wire: &Wire, expression: &str) -> Option<f64> {
    let url = format!("http://{PROMETHEUS}/api/v1/query");
    let answer = wire.monitor.get(&url, &["--get", "--data-urlencode", &format!("query={expression}")])?;
    let answer: Value = serde_json::from_str(&answer).expect("Prometheus answers JSON");
    answer.pointer("/data/result/0/value/1")?.as_str()?.parse().ok()
}

/// What a daemon that sees traffic exports; families that need TCP, errors or a known link speed have their zeros.
fn families() -> impl Iterator<Item = &'static str> {
    const FAMILIES: &str = "
        netmon_build_info netmon_start_time_seconds netmon_series netmon_series_limit netmon_label_overflow_total
        netmon_interface_receive_bytes_total netmon_interface_transmit_bytes_total
        netmon_interface_receive_packets_total netmon_interface_transmit_packets_total
        netmon_interface_receive_bytes_per_second netmon_interface_transmit_bytes_per_second
        netmon_interface_receive_packets_per_second netmon_interface_transmit_packets_per_second
        netmon_interface_receive_peak_bytes_per_second netmon_interface_transmit_peak_bytes_per_second
        netmon_interface_receive_peak_packets_per_second netmon_interface_transmit_peak_packets_per_second
        netmon_interface_packet_size_bytes_bucket netmon_interface_packet_size_bytes_count
        netmon_interface_broadcast_packets_total netmon_interface_multicast_packets_total
        netmon_interface_last_packet_timestamp_seconds
        netmon_capture_up netmon_capture_packets_total netmon_capture_dropped_packets_total
        netmon_capture_truncated_packets_total netmon_capture_backend_info netmon_capture_restarts_total
        netmon_parse_errors_total netmon_ip_fragments_total
        netmon_protocol_receive_bytes_total netmon_protocol_transmit_bytes_total
        netmon_protocol_receive_packets_total netmon_protocol_transmit_packets_total
        netmon_protocol_bytes_per_second netmon_icmp_messages_total
        netmon_tcp_segments_total netmon_tcp_retransmitted_segments_total netmon_tcp_retransmitted_bytes_total
        netmon_tcp_out_of_order_segments_total netmon_tcp_duplicate_acks_total netmon_tcp_zero_window_total
        netmon_tcp_flag_packets_total netmon_tcp_connections_opened_total netmon_tcp_connection_failures_total
        netmon_tcp_resets_total netmon_tcp_handshake_rtt_seconds_bucket
        netmon_flows netmon_flows_opened_total netmon_flows_closed_total netmon_flow_duration_seconds_bucket
        netmon_flow_size_bytes_bucket netmon_flow_table_entries netmon_flow_table_limit
        netmon_flow_table_evictions_total netmon_flow_untracked_packets_total netmon_flow_one_sided_total
        netmon_time_steps_total netmon_late_packets_total";
    FAMILIES.split_whitespace()
}

#[test]
fn the_text_page_is_clean_for_promtool() {
    if !can_run(&["ip", "curl", "promtool"]) {
        return;
    }
    let wire = Wire::new();
    let _netmon = wire.run_netmon("m0");
    let page = wire.monitor.get(&format!("http://{BIND}/metrics"), &["--header", "Accept: text/plain"]);
    let (ended_well, said) = judge(tool("promtool").expect("it was looked for"), &["check", "metrics"], page);
    assert!(ended_well && said.is_empty(), "{said}");
}

#[test]
fn the_openmetrics_page_is_clean_for_the_parser_of_the_python_client() {
    if !can_run(&["ip", "curl", PYTHON]) {
        return;
    }
    let wire = Wire::new();
    let _netmon = wire.run_netmon("m0");
    let accept = "Accept: application/openmetrics-text; version=1.0.0";
    let page = wire.monitor.get(&format!("http://{BIND}/metrics"), &["--header", accept]);
    let script = "import sys\n\
                  from prometheus_client.openmetrics.parser import text_string_to_metric_families as families\n\
                  sys.exit(0 if len(list(families(sys.stdin.read()))) > 40 else 'there are hardly any families')";
    let (ended_well, said) = judge(tool(PYTHON).expect("it was looked for"), &["-c", script], page);
    assert!(ended_well && said.is_empty(), "{said}");
}

/// Gives `page` to a program on stdin: whether it ended well, and all it said.
fn judge(program: PathBuf, arguments: &[&str], page: Option<String>) -> (bool, String) {
    let page = page.expect("/metrics answers");
    let ended = run_with_input(Command::new(program).args(arguments), page.as_bytes());
    (ended.code == Some(0), String::from_utf8_lossy(&ended.stdout).into_owned() + &ended.stderr)
}

#[test]
fn a_signal_to_end_is_obeyed_with_exit_0() {
    if !can_run(&["ip", "curl", "ping"]) {
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let wire = Wire::new();
        let mut netmon = wire.run_netmon("m0");
        wire.generator.must("ping", &["-q", "-c", "3", "-i", "0.01", MONITOR]);
        netmon.signal(signal);
        assert_eq!(netmon.end_within(STOP).code(), Some(0), "{signal}");
    }
}

#[test]
fn an_interface_that_is_not_there_is_exit_2_and_named() {
    if !can_run(&["ip"]) {
        return;
    }
    let wire = Wire::new();
    let mut command = wire.monitor.command(netmon().get_program());
    command.args(["run", "--interface", "m1", "--bind", BIND]).current_dir(env!("CARGO_TARGET_TMPDIR"));
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("`m1`") && ended.stderr.contains("m0"), "the nearest is named: {}", ended.stderr);
}
