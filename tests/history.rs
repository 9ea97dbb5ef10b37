//! The history as its users meet it: what a replay wrote down, asked for in every way, against the replay's own report.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use support::program::{Ended, netmon, run};
use support::savefile::{ETHERNET, Savefile, tcp_frame};
use support::{fixture, text};
use tempfile::TempDir;

/// Captures whose flows, protocols and interfaces differ; in one the clock is set back and forth.
const CAPTURES: [&str; 8] = [
    "http.pcap",
    "http-ipv6.pcap",
    "two-interfaces.pcapng",
    "tcp-bulk.pcap",
    "ping.pcap",
    "udp-dns.pcap",
    "tunnels.pcap",
    "tags.pcap",
];

/// A store that a replay of one capture wrote, and the report of that replay.
struct Replayed {
    directory: TempDir,
    report: Value,
}

impl Replayed {
    fn of(capture: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("history.redb");
        let arguments = ["--format", "json", "--flows", "all", "--store", text(&store)];
        // Every flow is kept, however small, and everything however old: some of these captures jump by days.
        let mut command = netmon();
        command.arg("replay").arg(capture).args(arguments).env("NETMON_HISTORY__FLOWS__FLOOR", "0");
        for kept in ["1S", "10S", "60S", "1H", "FLOWS"] {
            command.env(format!("NETMON_HISTORY__RETENTION__{kept}"), "36600d");
        }
        let report = run(&mut command).document();
        Self { directory, report }
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("history.redb")
    }

    fn ask(&self, topic: &str, arguments: &[&str]) -> Ended {
        run(netmon().args(["history", topic, "--store", text(&self.store())]).args(arguments))
    }

    /// The document over everything that is kept.
    fn all(&self, topic: &str, arguments: &[&str]) -> Value {
        let ended = self.ask(topic, &[&["--from", "0", "--format", "json"], arguments].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.document()
    }
}

/// Sums of volumes, by what tells them apart.
type Sums = BTreeMap<String, [u64; 4]>;

const VOLUMES: [&str; 4] = ["receive_bytes", "receive_packets", "transmit_bytes", "transmit_packets"];

/// The sums over the points of each series, named by these keys of it.
fn sums_of_series(document: &Value, keys: &[&str]) -> Sums {
    let mut sums = Sums::new();
    for series in document["series"].as_array().unwrap() {
        for point in series["points"].as_array().unwrap() {
            add(&mut sums, name(series, keys), VOLUMES.map(|volume| number(&point[volume])));
        }
    }
    sums
}

fn name(row: &Value, keys: &[&str]) -> String {
    keys.iter().map(|key| row[key].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn add(sums: &mut Sums, name: String, volumes: [u64; 4]) {
    let sum = sums.entry(name).or_default();
    sum.iter_mut().zip(volumes).for_each(|(sum, volume)| *sum += volume);
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// The same of the report: every interface with its volume.
fn interfaces(report: &Value) -> Sums {
    let volumes = |of: &Value| {
        [&of["receive"]["bytes"], &of["receive"]["packets"], &of["transmit"]["bytes"], &of["transmit"]["packets"]]
            .map(number)
    };
    let all = report["interfaces"].as_array().unwrap().iter();
    all.map(|of| (of["interface"].as_str().unwrap().to_owned(), volumes(of))).collect()
}

#[test]
fn bandwidth_of_every_tier_and_step_adds_up_to_what_the_replay_counted() {
    for capture in CAPTURES {
        let replayed = Replayed::of(&fixture(capture));
        let counted = interfaces(&replayed.report);
        assert!(counted.values().flatten().any(|volume| *volume > 0), "{capture}");
        for arguments in [
            &["--tier", "1s"][..],
            &["--tier", "10s"],
            &["--tier", "60s"],
            &["--tier", "1h"],
            &["--step", "1s"],
            &["--step", "5min"],
            &["--step", "1d"],
            &[],
        ] {
            let document = replayed.all("bandwidth", arguments);
            assert_eq!(sums_of_series(&document, &["interface"]), counted, "{capture} {arguments:?}");
        }
    }
}

#[test]
fn protocols_add_up_to_those_of_the_replay() {
    for capture in CAPTURES {
        let replayed = Replayed::of(&fixture(capture));
        let mut counted: BTreeMap<String, [u64; 2]> = BTreeMap::new();
        for interface in replayed.report["interfaces"].as_array().unwrap() {
            for row in interface["protocols"].as_array().unwrap() {
                let name =
                    format!("{} {}", interface["interface"].as_str().unwrap(), name(row, &["network", "transport"]));
                let sum = counted.entry(name).or_default();
                *sum = [sum[0] + number(&row["bytes"]), sum[1] + number(&row["packets"])];
            }
        }
        let document = replayed.all("protocols", &["--step", "1h"]);
        let found = sums_of_series(&document, &["interface", "network", "transport"]);
        let found: BTreeMap<_, _> = found
            .into_iter()
            .map(|(name, [bytes, packets, more, others])| (name, [bytes + more, packets + others]))
            .collect();
        assert_eq!(found, counted, "{capture}");
    }
}

#[test]
fn every_flow_of_the_replay_is_kept_once_and_open_ones_end_by_the_shutdown() {
    for capture in CAPTURES {
        let replayed = Replayed::of(&fixture(capture));
        let mut expected = replayed.report["flows"].as_array().unwrap().clone();
        for flow in &mut expected {
            let flow = flow.as_object_mut().unwrap();
            // Where it stood is said by why it ended.
            flow.remove("state");
            if flow["end_reason"].is_null() {
                flow.insert("end_reason".into(), "shutdown".into());
            }
        }
        let document = replayed.all("flows", &["--limit", "100000", "--to", "2100-01-01"]);
        let mut found = document["flows"].as_array().unwrap().clone();
        assert_eq!(number(&document["matched"]), expected.len() as u64, "{capture}");
        for flows in [&mut expected, &mut found] {
            flows.sort_by_key(|flow| flow["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(found, expected, "{capture}");
    }
}

#[test]
fn hosts_are_the_sums_of_their_flows() {
    let replayed = Replayed::of(&fixture("http.pcap"));
    let mut expected: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    for flow in replayed.report["flows"].as_array().unwrap() {
        let [c2s, s2c] = ["bytes_c2s", "bytes_s2c"].map(|name| number(&flow[name]));
        for (end, sent, received) in [("src_ip", c2s, s2c), ("dst_ip", s2c, c2s)] {
            let host = expected.entry(flow[end].as_str().unwrap().into()).or_default();
            *host = [host[0] + sent, host[1] + received, host[2] + 1];
        }
    }
    let document = replayed.all("hosts", &["--to", "2100-01-01"]);
    let row = |host: &Value| {
        let sums = ["bytes_sent", "bytes_received", "flows"].map(|name| number(&host[name]));
        (host["host"].as_str().unwrap().to_owned(), sums)
    };
    let found: BTreeMap<_, _> = document["hosts"].as_array().unwrap().iter().map(row).collect();
    assert_eq!(found, expected);
}

#[test]
fn totals_of_hours_days_and_months_add_up_in_every_zone() {
    let replayed = Replayed::of(&fixture("two-interfaces.pcapng"));
    let counted = interfaces(&replayed.report);
    for zone in ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"] {
        for per in ["hour", "day", "month"] {
            let document = replayed.all("totals", &["--per", per, "--timezone", zone]);
            let mut sums = Sums::new();
            for row in document["totals"].as_array().unwrap() {
                add(&mut sums, name(row, &["interface"]), VOLUMES.map(|volume| number(&row[volume])));
            }
            assert_eq!(sums, counted, "{zone} {per}");
        }
    }
}

/// Unix time of the beginning of 2024.
const BEGINNING: u32 = 1_704_067_200;

/// Frames at these milliseconds of 2024.
fn capture_at(millis: &[u64], directory: &Path) -> PathBuf {
    let mut file = Savefile::new(ETHERNET);
    for (n, millis) in millis.iter().enumerate() {
        let port = 1000 + u16::try_from(n).unwrap();
        let frame = tcp_frame(([192, 0, 2, 1], port), ([192, 0, 2, 2], 80), 1, 2);
        let [seconds, micros] = [millis / 1000, millis % 1000 * 1000].map(|part| u32::try_from(part).unwrap());
        let length = u32::try_from(frame.len()).unwrap();
        for word in [BEGINNING + seconds, micros, length, length] {
            file.push_raw(&word.to_le_bytes());
        }
        file.push_raw(&frame);
    }
    let path = directory.join("made.pcap");
    file.write(&path);
    path
}

/// Seconds of 2024 and their packets, as recorded.
fn seconds(replayed: &Replayed) -> Vec<(u64, u64)> {
    let arguments = ["--tier", "1s", "--step", "1s", "--limit", "100000"];
    let document = replayed.all("bandwidth", &arguments);
    let Some(series) = document["series"].as_array().unwrap().first() else { return Vec::new() };
    let point = |point: &Value| {
        let at: jiff::Timestamp = point["time"].as_str().unwrap().parse().unwrap();
        (u64::try_from(at.as_second()).unwrap() - u64::from(BEGINNING), number(&point["receive_packets"]))
    };
    series["points"].as_array().unwrap().iter().map(point).collect()
}

#[test]
fn a_silent_second_is_a_zero_for_a_minute_and_then_a_gap_until_the_next_frame() {
    let made = tempfile::tempdir().unwrap();
    // A second ends at its whole second: 3.000 is of the one that starts at 2.
    let replayed = Replayed::of(&capture_at(&[500, 1_500, 3_000, 3_001, 200_000], made.path()));
    let found = seconds(&replayed);
    let expected: Vec<(u64, u64)> = [(0, 1), (1, 1), (2, 1), (3, 1)]
        .into_iter()
        .chain((4..64).map(|second| (second, 0)))
        .chain([(199, 1)])
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_capture_of_years_makes_records_by_its_frames_not_by_its_span() {
    let made = tempfile::tempdir().unwrap();
    // A frame every 50 minutes for two days, which is silence to the packet clock, then one every day for a month.
    let millis = (0..58).map(|n| n * 3_000_000 + 500).chain((3..33).map(|day| day * 86_400_000 + 500));
    let millis: Vec<u64> = millis.collect();
    let replayed = Replayed::of(&capture_at(&millis, made.path()));
    let found = seconds(&replayed);
    assert_eq!(found.iter().map(|(_, packets)| packets).sum::<u64>(), millis.len() as u64);
    assert!(found.len() <= millis.len() * 61, "{} records", found.len());
}

#[test]
fn alerts_of_a_replay_are_in_its_history_as_they_are_in_its_report() {
    let made = tempfile::tempdir().unwrap();
    // Ten frames in one second, then one a second.
    let millis: Vec<u64> = (0..10).map(|n| 5_001 + n * 90).chain((6..30).map(|n| n * 1000 + 500)).collect();
    let (capture, store) = (capture_at(&millis, made.path()), made.path().join("history.redb"));
    let mut command = netmon();
    command.arg("replay").arg(&capture).args(["--format", "json", "--store", text(&store)]);
    let (rules, rule) = (made.path().join("netmon.yaml"), "metric: packets_per_second, window: 1s, above: 5");
    std::fs::write(&rules, format!("alerts: [{{name: Burst, {rule}, severity: critical}}]\n")).unwrap();
    command.args(["--config", text(&rules)]);
    let report = run(&mut command).document();
    let ended = run(netmon().args(["history", "alerts", "--from", "0", "--format", "json", "--store", text(&store)]));
    let events = ended.document()["alerts"].clone();
    assert_eq!(events.as_array().unwrap().len(), 2, "{events}");
    for (event, reported) in events.as_array().unwrap().iter().zip(report["alerts"].as_array().unwrap()) {
        for key in ["at", "alert", "state", "severity", "labels", "value", "threshold", "unit"] {
            assert_eq!(event[key], reported[key], "{key}: {event} {reported}");
        }
    }
    let table = run(netmon().args(["history", "alerts", "--from", "0", "--store", text(&store)])).success();
    let table = String::from_utf8(table).unwrap();
    assert!(table.contains("Burst  firing") && table.contains("Burst  resolved"), "{table}");
}

#[test]
fn steps_of_the_clock_lose_and_double_nothing() {
    let replayed = Replayed::of(&fixture("clock-steps.pcap"));
    let document =
        replayed.all("bandwidth", &["--tier", "1s", "--step", "1s", "--to", "2262-01-01", "--limit", "100000"]);
    assert_eq!(sums_of_series(&document, &["interface"]), interfaces(&replayed.report));
}

#[test]
fn a_store_takes_several_replays_one_after_the_other() {
    let replayed = Replayed::of(&fixture("http.pcap"));
    let again = ["replay", text(&fixture("udp-dns.pcap")), "--store", text(&replayed.store())].map(str::to_owned);
    run(netmon().args(again)).success();
    let document = replayed.all("bandwidth", &["--step", "1d"]);
    let names: Vec<_> = document["series"].as_array().unwrap().iter().map(|series| &series["interface"]).collect();
    assert_eq!(names, [&json!("http"), &json!("udp-dns")]);
}

#[test]
fn now_of_a_store_at_rest_is_the_end_of_what_it_holds() {
    let replayed = Replayed::of(&fixture("http.pcap"));
    let ended = replayed.ask("bandwidth", &["--from", "-10s", "--format", "json"]);
    assert_eq!(sums_of_series(&ended.document(), &["interface"]), interfaces(&replayed.report));
}

#[test]
fn csv_has_a_line_for_each_point_and_the_numbers_of_the_document() {
    let replayed = Replayed::of(&fixture("two-interfaces.pcapng"));
    let points = replayed.all("bandwidth", &["--tier", "1s"]);
    let points: usize =
        points["series"].as_array().unwrap().iter().map(|of| of["points"].as_array().unwrap().len()).sum();
    let csv =
        String::from_utf8(replayed.ask("bandwidth", &["--from", "0", "--tier", "1s", "--format", "csv"]).success());
    let csv = csv.unwrap();
    let mut lines = csv.split_terminator("\r\n");
    let columns: Vec<_> = lines.next().unwrap().split(',').collect();
    assert_eq!(columns[..4], ["interface", "time", "recorded_seconds", "receive_bytes"]);
    let mut sums = Sums::new();
    let place = |name| columns.iter().position(|column| *column == name).unwrap();
    let mut count = 0;
    for line in lines {
        let cells: Vec<_> = line.split(',').collect();
        assert_eq!(cells.len(), columns.len(), "{line}");
        add(&mut sums, cells[0].to_owned(), VOLUMES.map(|volume| cells[place(volume)].parse().unwrap()));
        count += 1;
    }
    assert_eq!((sums, count), (interfaces(&replayed.report), points));
}

#[test]
fn tables_are_plain_text_in_a_pipe_and_have_no_picture() {
    let replayed = Replayed::of(&fixture("http.pcap"));
    for topic in ["bandwidth", "protocols", "flows", "hosts", "totals", "alerts", "percentile", "info"] {
        let range: &[&str] = if topic == "info" { &[] } else { &["--from", "0"] };
        let table = String::from_utf8(replayed.ask(topic, range).success()).unwrap();
        assert!(table.lines().count() >= 2, "{table}");
        assert!(!table.contains(['\u{1b}', '█', '▁', '▂']), "{table}");
    }
    let table = String::from_utf8(replayed.ask("bandwidth", &["--from", "0"]).success()).unwrap();
    assert!(table.contains("http") && table.contains("8.52 KiB"), "{table}");
}

#[test]
fn a_percentile_is_that_of_the_samples_and_counts_seconds_over_a_rate() {
    let made = tempfile::tempdir().unwrap();
    // 20 seconds with one frame of 60 bytes, then one second with 100 of them.
    let millis: Vec<u64> = (0..20).map(|n| n * 1000 + 500).chain((0..100).map(|n| 20_001 + n * 9)).collect();
    let replayed = Replayed::of(&capture_at(&millis, made.path()));
    let document = replayed.all("percentile", &["--step", "1s", "--percentile", "95", "--rate", "1kB/s"]);
    let usage = &document["usage"][0];
    assert_eq!(usage["receive_bytes_per_second"], json!(60.0), "{usage}");
    assert_eq!((&usage["receive_seconds_over"], &usage["transmit_seconds_over"]), (&json!(1), &json!(0)));
    let most = replayed.all("percentile", &["--step", "1s", "--percentile", "100"]);
    assert_eq!(most["usage"][0]["receive_bytes_per_second"], json!(6000.0));
    assert_eq!(most["usage"][0]["receive_seconds_over"], Value::Null);
}

#[test]
fn wrong_questions_are_exit_2_and_say_what_is_allowed() {
    let replayed = Replayed::of(&fixture("http.pcap"));
    for (topic, arguments, expected) in [
        ("bandwidth", &["--from", "yesterday"][..], "`from` is `yesterday`, allowed RFC 3339 (`2026-11-21T00:00:00Z`)"),
        ("bandwidth", &["--from", "now", "--to", "-1h"], ", the end"),
        ("bandwidth", &["--step", "7s"], "`step` is `7s`, allowed whole seconds that a day is a multiple of, 1s to 1d"),
        ("bandwidth", &["--tier", "5s"], "`tier` is `5s`, allowed `1s`, `10s`, `60s`, `1h`"),
        ("bandwidth", &["--rate", "5"], "`rate` is no parameter of bandwidth, allowed `from`, `to`, `step`"),
        ("totals", &["--per", "week"], "`per` is `week`, allowed `hour`, `day`, `month`"),
        ("totals", &["--timezone", "Mars/Olympus"], "`timezone` is `Mars/Olympus`, allowed a name of the tz database"),
        ("flows", &["--host", "example.org"], "`host` is `example.org`, allowed an address such as `192.0.2.1`"),
        ("flows", &["--port", "65536"], "`port` is `65536`, allowed 0 to 65535"),
        ("flows", &["--limit", "0"], "`limit` is `0`, allowed 1 to 100000"),
        ("percentile", &["--percentile", "0"], "`percentile` is `0`, allowed a number above 0 and up to 100"),
    ] {
        let ended = replayed.ask(topic, arguments);
        assert_eq!((ended.code, ended.stdout.len()), (Some(2), 0), "{topic} {arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{topic} {arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn a_store_that_is_not_there_and_a_daemon_that_does_not_answer_are_exit_1() {
    let ended = run(netmon().args(["history", "info", "--store", "/no/such/store"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("/no/such/store"), "{}", ended.stderr);
    // Nobody listens on the port of tcpmux.
    let ended = run(netmon().args(["history", "info", "--url", "http://127.0.0.1:1"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot ask the daemon at http://127.0.0.1:1: "), "{}", ended.stderr);
}

#[test]
fn a_daemon_is_asked_with_the_same_names_and_its_problems_are_passed_on() {
    let document = json!({
        "from": "2026-11-21T00:00:00Z", "to": "2026-11-21T01:00:00Z", "step": "60s", "tier": "60s",
        "series": [{ "interface": "eth0", "points": [{ "time": "2026-11-21T00:00:00Z", "recorded_seconds": 60,
            "receive_bytes": 7500, "receive_packets": 10, "transmit_bytes": 0, "transmit_packets": 0 }] }],
    });
    let (url, asked) = daemon_that_says("200 OK", &document);
    let arguments = ["--url", &url, "--from", "-1h", "--step", "60s", "--timezone", "Europe/Berlin"];
    let table = String::from_utf8(run(netmon().args(["history", "bandwidth"]).args(arguments)).success()).unwrap();
    let expected = "GET /api/v1/history/bandwidth?from=-1h&step=60s&timezone=Europe%2FBerlin HTTP/1.1\r\n";
    assert!(asked.join().unwrap().starts_with(expected));
    assert!(table.contains("2026-11-21 01:00:00+01:00  eth0") && table.contains("1.00 kbit/s"), "{table}");

    let problem = json!({ "title": "the store is closed", "detail": "it will be opened again" });
    let (url, asked) = daemon_that_says("503 Service Unavailable", &problem);
    let ended = run(netmon().args(["history", "info", "--url", &url]));
    asked.join().unwrap();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("says: it will be opened again"), "{}", ended.stderr);
}

/// Answers one request with a document. Gives its address, and what it was asked.
fn daemon_that_says(status: &str, document: &Value) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = document.to_string();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            asked.extend(byte);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(asked).unwrap()
    });
    (url, serving)
}

#[test]
fn a_file_that_is_no_store_is_never_taken_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("office.pcap");
    std::fs::copy(fixture("http.pcap"), &capture).unwrap();
    let ended = run(netmon().args(["replay", text(&fixture("http.pcap")), "--store", text(&capture)]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("office.pcap` is no history store"), "{}", ended.stderr);
    assert_eq!(std::fs::read(&capture).unwrap(), std::fs::read(fixture("http.pcap")).unwrap());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing was set aside");
}

/// Sums of a dataset's columns as DuckDB reads them.
fn by_duckdb(python: &Path, query: &str) -> Value {
    let script = "import duckdb, json, sys; print(json.dumps(duckdb.sql(sys.argv[1]).fetchall(), default=str))";
    let output = Command::new(python).args(["-c", script, query]).output().unwrap();
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The Python that has DuckDB; says so where there is none.
fn duckdb() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("venv/bin/python");
    let has_it =
        Command::new(&python).args(["-c", "import duckdb"]).output().is_ok_and(|output| output.status.success());
    if !has_it {
        assert!(std::env::var_os("TEST_REQUIRE_ALL").is_none(), "nothing may be skipped, but there is no DuckDB");
        eprintln!("skipped: there is no DuckDB; `make setup` gets it");
    }
    has_it.then_some(python)
}

#[test]
fn duckdb_reads_the_export_in_every_form_with_the_same_sums() {
    let Some(python) = duckdb() else { return };
    let replayed = Replayed::of(&fixture("two-interfaces.pcapng"));
    let counted = interfaces(&replayed.report);
    let flows = replayed.report["flows"].as_array().unwrap();
    let bytes: u64 = flows.iter().map(|flow| number(&flow["bytes_c2s"]) + number(&flow["bytes_s2c"])).sum();
    for (form, read) in [
        ("parquet", "read_parquet('DIR/*/*.parquet', hive_partitioning=true)"),
        ("csv", "read_csv('DIR/*/*.csv', hive_partitioning=true)"),
        ("json", "read_json('DIR/*/*.jsonl', hive_partitioning=true)"),
    ] {
        let output = replayed.directory.path().join(form);
        let arguments = ["--format", form, "--output", text(&output), "--tier", "1s"];
        let said = String::from_utf8(replayed.ask("export", &arguments).success()).unwrap();
        assert!(said.contains(&format!("{} flows in ", flows.len())), "{said}");

        let of = |dataset: &str| read.replace("DIR", text(&output.join(dataset)));
        let sums = VOLUMES.map(|volume| format!("sum({volume})::BIGINT")).join(", ");
        let rows = by_duckdb(&python, &format!("SELECT interface, {sums} FROM {} GROUP BY ALL", of("series")));
        let found: Sums = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row[0].as_str().unwrap().to_owned(), [1, 2, 3, 4].map(|column| number(&row[column]))))
            .collect();
        assert_eq!(found, counted, "{form}");
        let query =
            format!("SELECT count(*), sum(bytes_c2s + bytes_s2c)::BIGINT, count(DISTINCT id) FROM {}", of("flows"));
        assert_eq!(by_duckdb(&python, &query), json!([[flows.len(), bytes, flows.len()]]), "{form}");
        let days = format!("SELECT count(*) FROM {} WHERE date != last_seen::TIMESTAMP::DATE", of("flows"));
        assert_eq!(by_duckdb(&python, &days), json!([[0]]), "{form}: the directory is the day");
    }
    let types = by_duckdb(
        &python,
        &format!(
            "SELECT typeof(time), typeof(receive_bytes), typeof(coverage_ratio), typeof(interface) FROM read_parquet('{}/*/*.parquet') LIMIT 1",
            text(&replayed.directory.path().join("parquet/series"))
        ),
    );
    assert_eq!(types, json!([["TIMESTAMP WITH TIME ZONE", "UBIGINT", "DOUBLE", "VARCHAR"]]));
    let again = replayed.ask("export", &["--output", text(&replayed.directory.path().join("parquet")), "--tier", "1s"]);
    again.success();
    let files = format!("{}/*/*.parquet", text(&replayed.directory.path().join("parquet/flows")));
    let count = by_duckdb(&python, &format!("SELECT count(*) FROM read_parquet('{files}')"));
    assert_eq!(count, json!([[flows.len()]]), "the same export twice is there once");
}
