//! The API of the built program: flows against the report of the same replay, control of a daemon on a wire, and the
//! description against what is answered.
#![cfg(target_os = "linux")]

#[path = "../rig/daemon.rs"]
#[expect(dead_code, reason = "shared with other tests, each of which uses a part")]
mod daemon;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

use daemon::Daemon;
use nix::sys::signal::Signal;
use rig::{BIND, MONITOR, Wire, can_run, tool};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::program::{netmon, replay_json, run};
use support::running::{Running, poll, wait_until};
use support::{fixture, text};

/// Ticks are 100 ms and live pictures 300 ms behind.
const SETTLE: Duration = Duration::from_secs(5);

/// `netmon replay --serve` of a fixture, after it was read.
struct Served {
    running: Running,
    address: String,
}

impl Served {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let file = fixture(name);
        let mut command = netmon();
        command.args(["replay", text(&file), "--serve", "--bind", "127.0.0.1:0", "--format", "json"]).args(arguments);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let (mut report, stdout) = std::io::pipe().expect("a pipe");
        let running = Running::start(command.stdout(stdout).stderr(writer));
        drop(command);
        let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("serving at http://")).expect("it says where it serves");
        let address = line.split("http://").nth(1).expect("an address").trim_end_matches('/').to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        // Its report is out once all is read.
        let mut first = [0];
        report.read_exact(&mut first).expect("a report");
        std::thread::spawn(move || drop(report.read_to_end(&mut Vec::new())));
        Self { running, address }
    }

    fn ask(&self, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).expect("JSON"))
    }

    fn get(&self, path: &str) -> Value {
        let (status, document) = self.ask(path);
        assert_eq!(status, 200, "{path}: {document}");
        document
    }
}

fn ids(document: &Value) -> Vec<String> {
    let flows = document["flows"].as_array().expect("a list of flows");
    flows.iter().map(|flow| flow["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn flows_are_those_of_the_report_of_the_same_replay() {
    for (name, shards) in [("http.pcap", "1"), ("tags.pcap", "2"), ("ping.pcap", "1"), ("http-ipv6.pcap", "2")] {
        let report = replay_json(&[&fixture(name)], &[]);
        let all = report["flows"].as_array().expect("flows");
        let by_id: HashMap<&str, &Value> = all.iter().map(|flow| (flow["id"].as_str().unwrap_or(""), flow)).collect();
        let served = Served::start(name, &["--shards", shards]);
        let answer = served.get("/api/v1/flows?limit=1000");
        let flows = answer["flows"].as_array().expect("flows");
        assert_eq!(answer["matched"], json!(flows.len()), "{name}");
        let open = all.iter().filter(|flow| flow["end_reason"].is_null()).count();
        assert!(flows.len() >= open && !flows.is_empty(), "{name}: {} of {open}", flows.len());
        for flow in flows {
            let id = flow["id"].as_str().expect("an id");
            assert_eq!(Some(&flow), by_id.get(id), "{name}");
            assert_eq!(&served.get(&format!("/api/v1/flows/{id}")), flow, "{name}");
        }
        assert_eq!(served.ask("/api/v1/flows/0123456789abcdef").0, 404);
    }
}

#[test]
fn flows_are_sorted_filtered_and_paged() {
    let served = Served::start("http.pcap", &[]);
    let all = served.get("/api/v1/flows?limit=1000");
    let times = |document: &Value| -> Vec<String> {
        let flows = document["flows"].as_array().expect("flows");
        flows.iter().map(|flow| flow["first_seen"].as_str().unwrap_or("").to_owned()).collect()
    };
    assert!(times(&served.get("/api/v1/flows?sort=first_seen&order=asc")).is_sorted());

    let (mut paged, mut query) = (Vec::new(), "/api/v1/flows?limit=1".to_owned());
    loop {
        let page = served.get(&query);
        paged.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => query = format!("/api/v1/flows?limit=1&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, ids(&all));
    assert_eq!(served.ask("/api/v1/flows?cursor=999.0").0, 410);

    let flow = &all["flows"][0];
    let of = |query: String| ids(&served.get(&format!("/api/v1/flows?limit=1000&{query}")));
    let id = flow["id"].as_str().expect("an id").to_owned();
    for query in [
        format!("host={}", flow["src_ip"].as_str().expect("an address")),
        format!("port={}", flow["dst_port"]),
        format!("state={}", flow["state"].as_str().expect("a state")),
        "protocol=tcp&interface=http".to_owned(),
        "protocol=6&host=0.0.0.0/0".to_owned(),
    ] {
        assert!(of(query.clone()).contains(&id), "{query}");
    }
    assert!(of("protocol=udp&port=1".into()).is_empty());
    assert_eq!(served.ask("/api/v1/flows?interface=eth9").0, 404);
}

#[test]
fn a_replay_that_is_written_down_answers_from_its_history() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("history.redb");
    let served = Served::start("http.pcap", &["--store", text(&store)]);
    assert_eq!(served.ask("/api/v1/history/flows?from=yesterday").0, 400);
    // The last hour is that of the capture. The command line opens the same file meanwhile.
    for topic in ["bandwidth", "protocols", "flows", "hosts", "totals", "alerts", "percentile", "info"] {
        let command = ["history", topic, "--store", text(&store), "--format", "json"];
        let expected = run(netmon().args(command)).document();
        assert_eq!(served.get(&format!("/api/v1/history/{topic}")), expected, "{topic}");
    }
    let packets = |point: &Value| point["receive_packets"].as_u64().zip(point["transmit_packets"].as_u64());
    let series = served.get("/api/v1/history/bandwidth")["series"].clone();
    let points = series[0]["points"].as_array().expect("points");
    let sum: u64 = points.iter().filter_map(packets).map(|(receive, transmit)| receive + transmit).sum();
    let counted = served.get("/api/v1/interfaces/http");
    let rows = counted["protocols"].as_array().expect("protocols");
    assert_eq!(sum, rows.iter().filter_map(|row| row["packets"].as_u64()).sum::<u64>(), "{series}");
    assert!(sum > 0);
    drop(served);
    assert_eq!(Served::start("http.pcap", &[]).ask("/api/v1/history/info").0, 404, "without a store there is none");
}

#[test]
fn a_replay_is_read_only() {
    let mut served = Served::start("http.pcap", &[]);
    let mut stream = TcpStream::connect(&served.address).expect("it listens");
    let request = "POST /api/v1/reload HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.0 404") && answer.contains("control is not in use here"), "{answer}");
    assert_eq!(served.get("/api/v1/config")["aggregation"]["windows"], json!([1, 10, 60]));
    served.running.signal(Signal::SIGINT);
    assert!(served.running.end_within(SETTLE).success());
}

fn change(daemon: &Daemon<'_>, method: &str, path: &str, body: &str) -> Value {
    let url = format!("http://{BIND}/api/v1/{path}");
    let options = ["--silent", "--max-time", "10", "--noproxy", "*", "--header", "Content-Type: application/json"];
    let more = ["--request", method, "--data", body, &url];
    let answer = daemon.wire.monitor.must("curl", &[&options[..], &more].concat());
    serde_json::from_str(&answer).expect("JSON")
}

fn interface(daemon: &Daemon<'_>) -> Value {
    let answer = daemon.get("/api/v1/interfaces/m0").expect("m0 is monitored");
    serde_json::from_str(&answer).expect("JSON")
}

#[test]
fn pause_resume_and_filter_hold_on_the_wire() {
    if !can_run(&["ip", "curl", "ping", "python3"]) {
        return;
    }
    let wire = Wire::new();
    let daemon = Daemon::ready(&wire, "telemetry: {level: info}\n");
    let udp = || {
        let interface = interface(&daemon);
        let rows = interface["protocols"].as_array().cloned().unwrap_or_default();
        rows.iter().filter(|row| row["transport"] == "udp").map(|row| row["packets"].as_u64().unwrap_or(0)).sum::<u64>()
    };
    let send = || wire.send_datagrams(&wire.generator, MONITOR, 200);
    send();
    assert_eq!(poll(SETTLE, udp, |packets| *packets == 200), 200);

    assert_eq!(
        change(&daemon, "POST", "interfaces/m0/pause", ""),
        json!({ "interface": "m0", "paused": true, "filter": null })
    );
    send();
    let paused = poll(SETTLE, || interface(&daemon), |now| now["capture"]["paused"] == true);
    assert_eq!(
        (&paused["capture"]["gaps"][0]["reason"], &paused["capture"]["gaps"][0]["to"]),
        (&json!("paused"), &Value::Null)
    );

    assert_eq!(change(&daemon, "POST", "interfaces/m0/resume", "{}")["paused"], false);
    send();
    assert_eq!(poll(SETTLE, udp, |packets| *packets == 400), 400, "nothing of the pause was counted");
    assert!(interface(&daemon)["capture"]["gaps"][0]["to"].is_string());

    assert_eq!(change(&daemon, "PUT", "interfaces/m0/filter", r#"{"bpf":"icmp"}"#)["filter"], "icmp");
    send();
    wire.generator.must("ping", &["-q", "-c", "5", "-i", "0.01", MONITOR]);
    let filtered = poll(SETTLE, || interface(&daemon), |now| now["capture"]["filter"] == "icmp");
    assert_eq!(filtered["capture"]["filtered"], true);
    let wrong = change(&daemon, "PUT", "interfaces/m0/filter", r#"{"bpf":"imcp"}"#);
    assert_eq!((&wrong["status"], &wrong["field"]), (&json!(400), &json!("bpf")));

    let reloaded = change(&daemon, "POST", "reload", "");
    assert_eq!(reloaded, json!({ "generation": 2, "changed": [] }));
    send();
    assert_eq!(poll(SETTLE, udp, |packets| *packets == 600), 600, "the configuration's filter is back in force");
    std::fs::write(daemon.config(), "flows: {max: 4096}\n").expect("a config");
    let refused = change(&daemon, "POST", "reload", "");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("`flows.max` cannot change")), "{refused}");
}

/// The Python that has schemathesis, as a name for [`tool`].
const SCHEMATHESIS: &str = "venv/bin/schemathesis";

#[test]
fn answers_are_those_of_the_description() {
    if !can_run(&[SCHEMATHESIS]) {
        return;
    }
    let served = Served::start("http.pcap", &[]);
    let mut command = Command::new(tool(SCHEMATHESIS).expect("it was looked for"));
    command
        .args(["run", &format!("http://{}/api/openapi.json", served.address), "--max-examples", "20", "--seed", "1"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        .args(["--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--no-color"])
        .args(["--exclude-path", "/api/v1/stream", "--request-timeout", "10"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null());
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(0), "{}", String::from_utf8_lossy(&ended.stdout));
    wait_until("it to be alive", SETTLE, || (served.ask("/healthz").0 == 200).then_some(()));
}
