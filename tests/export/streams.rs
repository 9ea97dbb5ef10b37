//! TCP and TLS: what comes is whole and complete, collectors go and come back, and 10,000 flows a second are no loss.

use crate::decoder::Decoder;
use crate::rig::{Wire, can_run};
use crate::support::program::{netmon, replay_json, run};
use crate::support::running::{Running, wait_until};
use crate::support::text;
use crate::{captures, directions, free_port};
use nix::sys::signal::Signal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// Takes one connection and everything that comes.
fn collect(listener: TcpListener) -> JoinHandle<Decoder> {
    std::thread::spawn(move || Decoder::read(listener.accept().unwrap().0))
}

#[test]
fn a_stream_has_every_flow_of_the_document_once() {
    let all: Vec<_> = captures().into_iter().step_by(2).collect();
    for capture in &all {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = format!("tcp://{}", listener.local_addr().unwrap());
        let collector = collect(listener);
        let document = replay_json(&[capture], &["--ipfix", &to]);
        let decoder = collector.join().unwrap();
        assert_eq!(decoder.directions(), directions(&document), "{}", capture.display());
        assert!(decoder.longest <= 1400);
    }
    assert!(all.len() >= 10);
}

/// A certificate for 127.0.0.1 and its key, signed by itself.
fn certificate(directory: &Path) -> [std::path::PathBuf; 2] {
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| directory.join(name));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=collector", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", text(&key), "-out", text(&certificate)])
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    [certificate, key]
}

#[test]
fn over_tls_a_collector_that_is_trusted_gets_everything_and_another_nothing() {
    if !can_run(&["openssl"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let [certificate, key] = certificate(directory.path());
    let (config, out) = (directory.path().join("netmon.yaml"), directory.path().join("received"));
    let capture = crate::support::fixture("http.pcap");
    for is_trusted in [true, false] {
        let port = free_port();
        let mut server = Command::new("openssl");
        server.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-naccept", "1"]);
        server.args(["-cert", text(&certificate), "-key", text(&key)]).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut server = Running::start(server.stdout(std::fs::File::create(&out).unwrap()));
        wait_until("the server to listen", crate::rig::START, || listens(port));
        let ca = if is_trusted { format!(", ca_file: {}", text(&certificate)) } else { String::new() };
        std::fs::write(&config, format!("export: {{ipfix: [{{to: 'tls://127.0.0.1:{port}'{ca}}}]}}\n")).unwrap();
        let arguments =
            ["replay", text(&capture), "--format", "json", "--flows", "all", "--export", "--config", text(&config)];
        let ended = run(netmon().args(arguments));
        if is_trusted {
            server.end_within(crate::rig::START);
            let decoder = Decoder::read(&std::fs::read(&out).unwrap()[..]);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            assert_eq!(decoder.directions(), directions(&ended.document()));
        } else {
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            let stderr = &ended.stderr;
            assert!(stderr.contains("cannot be sent") || stderr.contains("no CA certificate"), "{stderr}");
            assert!(std::fs::read(&out).unwrap().is_empty(), "an untrusted server got something");
        }
    }
}

/// Whether somebody listens, without connecting.
fn listens(port: u16) -> Option<()> {
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    sockets.lines().any(|line| line.contains(&format!("0100007F:{port:04X} 00000000:0000 0A"))).then_some(())
}

/// One datagram from as many ports and addresses as there are datagrams, at a rate.
const FLOWS: &str = "
import socket, struct, sys, time
link = bytes.fromhex('020000000002' '020000000001' '0800')
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(('g0', 0))
sent, begun, rate, count = 0, time.monotonic(), int(sys.argv[1]), int(sys.argv[2])
while sent < count:
    due = min(count, int((time.monotonic() - begun) * rate))
    while sent < due:
        ip = struct.pack('!BBHHHBBH4sI', 0x45, 0, 46, 0, 0, 64, 17, 0, bytes([192, 0, 2, 1]), 0x0a000000 + sent)
        frame = link + ip + struct.pack('!HHHH', 4000, 4001, 26, 0) + bytes(18)
        try:
            sender.send(frame)
            sent += 1
        except OSError:
            time.sleep(0.001)
    time.sleep(0.001)
print(time.monotonic() - begun)
";

#[test]
fn ten_thousand_flows_a_second_reach_a_collector_over_tcp_and_none_is_lost() {
    if !can_run(&["python3"]) {
        return;
    }
    const RATE: u64 = 10_000;
    let seconds: u64 = if std::env::var_os("SOAK").is_some() { 60 } else { 4 };
    let wire = Wire::new();
    let listener = wire.monitor.inside(|| TcpListener::bind("127.0.0.1:4739").unwrap());
    let collector = collect(listener);
    let mut netmon = run_exporting(&wire, "tcp://127.0.0.1", &["flows: {timeouts: {udp_one_way: 1s}}"]);
    let count = (RATE * seconds).to_string();
    let took: f64 = wire.generator.must("python3", &["-c", FLOWS, &RATE.to_string(), &count]).trim().parse().unwrap();
    let page = wire.metrics();
    let captured = page.sum("netmon_capture_packets_total", &[]);
    let dropped = page.sum("netmon_capture_dropped_packets_total", &[]);
    netmon.running.signal(Signal::SIGTERM);
    assert!(netmon.running.end_within(Duration::from_secs(6)).success());
    let decoder = collector.join().unwrap();
    eprintln!(
        "{} flows in {took:.1} s, {} messages; {captured} captured, {dropped} dropped by then",
        decoder.records.len(),
        decoder.messages
    );
    assert_eq!(decoder.records.len() as u64, RATE * seconds, "at the collector (the kernel dropped {dropped})");
    assert_eq!(decoder.totals(), [RATE * seconds, RATE * seconds * 60]);
}

/// A daemon that sends flows somewhere.
pub struct Exporting {
    pub running: Running,
    /// Has the config; goes with it.
    _directory: tempfile::TempDir,
}

/// Starts it on the monitor's end of a wire with further lines of configuration.
pub fn run_exporting(wire: &Wire, to: &str, more: &[&str]) -> Exporting {
    let directory = crate::rig::directory_for_all();
    let config = directory.path().join("netmon.yaml");
    std::fs::write(&config, format!("export: {{ipfix: [{{to: '{to}'}}]}}\n{}\n", more.join("\n"))).unwrap();
    let running = wire.netmon("m0").option("--config", text(&config)).start();
    Exporting { running, _directory: directory }
}

#[test]
fn a_collector_that_is_away_holds_nothing_up_and_gets_what_waited_when_it_is_back() {
    if !can_run(&["python3"]) {
        return;
    }
    let wire = Wire::new();
    let mut netmon = run_exporting(&wire, "tcp://127.0.0.1", &["flows: {timeouts: {udp_one_way: 1s}}"]);
    let send = |count: u32| wire.generator.must("python3", &["-c", FLOWS, "5000", &count.to_string()]);
    let sent = || wire.metrics().sum("netmon_ipfix_records_total", &[]);
    // Nobody is there.
    send(1_000);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(sent(), 0.0);
    assert!(wire.monitor.get("http://127.0.0.1:9099/readyz", &[]).is_some());
    let listen = || wire.monitor.inside(|| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 4739))).unwrap());
    let arrived = |count: f64| {
        wait_until("flows to be sent", Duration::from_secs(40), || (sent() == count).then_some(()));
    };
    // It comes, takes what waited, and is gone.
    let listener = listen();
    let first = std::thread::spawn(move || take(&listener, 1_000));
    arrived(1_000.0);
    assert_eq!(first.join().unwrap().records.len(), 1_000);
    // Nothing is lost while it is away, and the next session begins with templates and number 0.
    send(1_000);
    std::thread::sleep(Duration::from_millis(1500));
    let second = collect(listen());
    arrived(2_000.0);
    let lost = |reason: &str| wire.metrics().sum("netmon_ipfix_records_lost_total", &[("reason", reason)]);
    assert_eq!(lost("queue_full") + lost("write"), 0.0);
    netmon.running.signal(Signal::SIGTERM);
    assert!(netmon.running.end_within(Duration::from_secs(5)).success());
    assert_eq!(second.join().unwrap().records.len(), 1_000);
}

/// Takes one connection until so many flows have come, and closes everything.
fn take(listener: &TcpListener, flows: usize) -> Decoder {
    let (mut stream, _) = listener.accept().unwrap();
    let mut decoder = Decoder::default();
    while decoder.records.len() < flows {
        decoder.next(&mut stream);
    }
    decoder
}

#[test]
fn netmon_ends_in_time_with_flows_for_a_collector_that_is_away() {
    if !can_run(&["python3"]) {
        return;
    }
    let wire = Wire::new();
    let mut netmon = run_exporting(&wire, "tcp://127.0.0.1", &[]);
    wire.generator.must("python3", &["-c", FLOWS, "5000", "1000"]);
    netmon.running.signal(Signal::SIGTERM);
    assert!(netmon.running.end_within(Duration::from_secs(5)).success());
}
