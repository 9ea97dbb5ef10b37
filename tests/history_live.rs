//! The history of a running daemon: killed, started again, asked by another, full of traffic.
//!
//! The tests need root for network namespaces and say so where they are skipped.
#![cfg(target_os = "linux")]

mod rig;
mod support;

use nix::sys::signal::Signal;
use rig::launch::Launch;
use rig::{BIND, MONITOR, START, Wire, can_run, directory_for_all};
use serde_json::Value;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::program::{Ended, netmon, run};
use support::running::{Running, wait_until};
use support::savefile::{ETHERNET, Savefile, tcp_frame};
use support::text;
use tempfile::TempDir;

const TOOLS: [&str; 3] = ["ip", "curl", "python3"];
/// An orderly end takes no longer.
const STOP: Duration = Duration::from_secs(5);
/// What came is committed within this, on a busy machine too.
const KEPT: Duration = Duration::from_secs(10);

/// A state directory for a daemon that gives root up.
struct State(TempDir);

impl State {
    fn new() -> Self {
        Self(directory_for_all())
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("netmon")
    }

    fn store(&self) -> PathBuf {
        self.directory().join("history.redb")
    }

    /// A daemon on the wire that remembers here.
    fn launch<'w>(&self, wire: &'w Wire) -> Launch<'w> {
        let launch = wire.netmon("m0").set("history.enabled", "true").set("history.flows.floor", "0");
        launch.set("state.directory", text(&self.directory()))
    }

    /// A configuration with this rule.
    fn rules(&self, rule: &str) -> PathBuf {
        let file = self.0.path().join("netmon.yaml");
        std::fs::write(&file, format!("alerts:\n  - {rule}\n")).expect("it can be written");
        file
    }

    fn ask(&self, topic: &str, arguments: &[&str]) -> Ended {
        run(netmon().args(["history", topic, "--store", text(&self.store())]).args(arguments))
    }

    /// The document of the same question to the daemon.
    fn ask_daemon(wire: &Wire, topic: &str, arguments: &[&str]) -> Ended {
        let mut command = wire.monitor.command(netmon().get_program());
        run(command.args(["history", topic, "--url", &format!("http://{BIND}"), "--format", "json"]).args(arguments))
    }

    /// Packets received as recorded, and the seconds that were.
    fn recorded(&self) -> [u64; 2] {
        let document = self.ask("bandwidth", &["--from", "0", "--step", "1h", "--format", "json"]).document();
        let points = document["series"].as_array().into_iter().flatten().flat_map(|series| series["points"].as_array());
        points.flatten().fold([0, 0], |[packets, seconds], point| {
            let number = |name: &str| point[name].as_u64().unwrap_or(0);
            [packets + number("receive_packets"), seconds + number("recorded_seconds")]
        })
    }
}

/// Sends datagrams and waits until they are committed.
fn send_and_keep(wire: &Wire, netmon: &Running, count: u32) {
    assert!(Path::new(&format!("/proc/{}", netmon.id())).exists());
    let commits = || wire.metrics().sum("netmon_history_write_duration_seconds_count", &[]);
    wire.send_datagrams(&wire.generator, MONITOR, count);
    // One may be of the second before, and one of the second in which it began.
    let before = commits();
    wait_until("three more commits", KEPT, || (commits() >= before + 3.0).then_some(()));
}

#[test]
fn what_was_committed_is_there_after_a_kill_and_a_restart_goes_on() {
    if !can_run(&TOOLS) {
        return;
    }
    let (wire, state) = (Wire::new(), State::new());
    let mut daemon = state.launch(&wire).start();
    send_and_keep(&wire, &daemon, 200);
    let seen = wire.metrics().sum("netmon_interface_receive_packets_total", &[("interface", "m0")]);
    daemon.signal(Signal::SIGKILL);
    daemon.end_within(STOP);
    let [packets, seconds] = state.recorded();
    assert_eq!(packets as f64, seen, "all packets of committed seconds");
    assert!(seconds >= 2, "{seconds} s");

    let mut daemon = state.launch(&wire).start();
    send_and_keep(&wire, &daemon, 100);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end_within(STOP).code(), Some(0));
    let [after, _] = state.recorded();
    assert!(after >= packets + 100, "{after} after {packets}");
    let flows = state.ask("flows", &["--from", "0", "--format", "json"]).document();
    let is_shutdown = |flow: &&Value| flow["end_reason"] == "shutdown" && flow["interface"] == "m0";
    let open = flows["flows"].as_array().into_iter().flatten().filter(is_shutdown).count();
    assert!(open >= 1, "what was open at the end is kept: {flows}");
}

#[test]
fn every_flow_that_is_open_at_the_end_is_kept_however_many_there_are() {
    const FLOWS: u16 = 20_000;
    if !can_run(&TOOLS) {
        return;
    }
    let (wire, state) = (Wire::new(), State::new());
    let mut daemon = state.launch(&wire).start();
    let frame = |port: u16| tcp_frame(([192, 0, 2, 1], 1000 + port), ([192, 0, 2, 2], 80), 1, 2);
    wire.send_raw(&(0..FLOWS).map(frame).collect::<Vec<_>>());
    let active = || wire.metrics().sum("netmon_flow_table_entries", &[]);
    wait_until("the flows", KEPT, || (active() >= f64::from(FLOWS)).then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end_within(STOP).code(), Some(0));
    let arguments = ["--from", "0", "--host", "192.0.2.1", "--limit", "1", "--format", "json"];
    let document = state.ask("flows", &arguments).document();
    assert_eq!(document["matched"], FLOWS, "{}", document["left_out"]);
    assert_eq!(document["flows"][0]["end_reason"], "shutdown");
}

/// The topics whose answers are of the range alone; totals are of whole days, which go on.
const TOPICS: [&str; 6] = ["bandwidth", "protocols", "flows", "hosts", "alerts", "percentile"];

#[test]
fn a_daemon_answers_with_the_documents_that_its_store_gives_at_rest() {
    if !can_run(&TOOLS) {
        return;
    }
    let (wire, state) = (Wire::new(), State::new());
    let rules = state.rules("{name: Busy, metric: receive_packets_per_second, window: 1s, above: 50}");
    let short = [("flows.timeouts.udp", "1s"), ("flows.timeouts.udp_one_way", "1s")];
    let launch = short.iter().fold(state.launch(&wire), |launch, (key, value)| launch.set(key, value));
    let mut daemon = launch.option("--config", text(&rules)).start();
    send_and_keep(&wire, &daemon, 200);
    let is_there = |topic: &str, list: &str| {
        let found = State::ask_daemon(&wire, topic, &[]).document();
        found[list].as_array().is_some_and(|rows| !rows.is_empty()).then_some(())
    };
    wait_until("the flow to end", KEPT, || is_there("flows", "flows"));
    let resolved = |document: Value| document["alerts"].as_array().is_some_and(|rows| rows.len() >= 2).then_some(());
    wait_until("the alert to resolve", KEPT, || resolved(State::ask_daemon(&wire, "alerts", &[]).document()));
    // What is of these seconds is committed and stays as it is.
    let end = jiff::Timestamp::now().as_second();
    let (from, to) = ((end - 60).to_string(), end.to_string());
    send_and_keep(&wire, &daemon, 1);
    let range = ["--from", &from, "--to", &to];
    let live = TOPICS.map(|topic| State::ask_daemon(&wire, topic, &range).document());
    let info = State::ask_daemon(&wire, "info", &[]).document();
    assert_eq!((&info["interfaces"], info["alerts"].as_u64() >= Some(2)), (&serde_json::json!(["m0"]), true), "{info}");
    let unknown = State::ask_daemon(&wire, "bandwidth", &["--interface", "m9", "--from", "0"]).document();
    assert_eq!(unknown["series"], serde_json::json!([]));
    let sent = State::ask_daemon(&wire, "totals", &["--per", "month"]).document();
    assert!(sent["totals"][0]["receive_packets"].as_u64() >= Some(201), "{sent}");
    daemon.signal(Signal::SIGKILL);
    daemon.end_within(STOP);
    for (topic, live) in TOPICS.into_iter().zip(live) {
        let document = state.ask(topic, &[&range[..], &["--format", "json"]].concat()).document();
        assert_eq!(document, live, "{topic}");
    }
}

#[test]
fn the_api_tells_a_history_that_is_off_from_one_that_is_away_and_checks_questions() {
    if !can_run(&TOOLS) {
        return;
    }
    let (wire, state) = (Wire::new(), State::new());
    let ask = |query: &str| -> (String, Value) {
        let url = format!("http://{BIND}/api/v1/history/{query}");
        let said = wire.monitor.must("curl", &["--silent", "--noproxy", "*", "--write-out", "\n%{http_code}", &url]);
        let (body, status) = said.rsplit_once('\n').expect("a status");
        (status.to_owned(), serde_json::from_str(body).expect("JSON"))
    };
    let mut daemon = state.launch(&wire).start();
    for (query, status, field, detail) in [
        ("bandwidth?from=yesterday", "400", "from", "`from` is `yesterday`, allowed RFC 3339"),
        ("bandwidth?rate=5", "400", "rate", "`rate` is no parameter of bandwidth, allowed `from`"),
        ("bandwidth?step=1s&step=1s", "400", "step", "more than once"),
        ("bandwidth?form=-1h", "400", "form", "there is no parameter `form`"),
        ("weather", "404", "kind", "there is no history of `weather`"),
    ] {
        let (found, problem) = ask(query);
        assert_eq!((found.as_str(), &problem["field"]), (status, &Value::from(field)), "{query}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|said| said.contains(detail)), "{query}: {problem}");
    }
    assert_eq!(ask("info").0, "200");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end_within(STOP).code(), Some(0));

    let mut off = state.launch(&wire).flag("--no-history").start();
    let (status, problem) = ask("info");
    assert_eq!((status.as_str(), &problem["detail"]), ("404", &Value::from("the history is not in use here")));
    off.signal(Signal::SIGTERM);
    assert_eq!(off.end_within(STOP).code(), Some(0));
}

/// A capture of a frame every 30 s, of the hour before yesterday's now and the two after it.
fn yesterday(directory: &Path) -> PathBuf {
    let now = u32::try_from(jiff::Timestamp::now().as_second()).expect("before 2106");
    let begin = (now / 3600 - 25) * 3600;
    let (mut file, frame) = (Savefile::new(ETHERNET), tcp_frame(([192, 0, 2, 1], 1000), ([192, 0, 2, 2], 80), 1, 2));
    let length = u32::try_from(frame.len()).expect("a short frame");
    for second in (begin..begin + 4 * 3600).step_by(30) {
        for word in [second, 500_000, length, length] {
            file.push_raw(&word.to_le_bytes());
        }
        file.push_raw(&frame);
    }
    let path = directory.join("yesterday.pcap");
    file.write(&path);
    path
}

#[test]
fn a_rule_is_compared_with_the_same_hour_yesterday_as_a_replay_wrote_it() {
    if !can_run(&TOOLS) {
        return;
    }
    let (wire, state) = (Wire::new(), State::new());
    let capture = yesterday(state.0.path());
    std::fs::create_dir(state.directory()).expect("it is new");
    let replay = ["replay", text(&capture), "--interface", "m0", "--store", text(&state.store())].map(str::to_owned);
    run(netmon().args(replay)).success();
    std::fs::set_permissions(state.directory(), PermissionsExt::from_mode(0o700)).expect("it is ours");
    let files = std::fs::read_dir(state.directory()).expect("it is there");
    let files = files.map(|file| file.expect("it is there").path()).chain([state.directory()]);
    files.for_each(|path| std::os::unix::fs::chown(path, Some(65534), Some(65534)).expect("root may"));

    let limit = "window: 10s, above: 3x, baseline: same hour yesterday";
    let rules = state.rules(&format!("{{name: More, metric: receive_packets_per_second, {limit}}}"));
    let launch = state.launch(&wire).set("privileges.user", "65534:65534");
    let _daemon = launch.option("--config", text(&rules)).start();
    wire.send_datagrams(&wire.generator, MONITOR, 500);
    let fired = || {
        let document = State::ask_daemon(&wire, "alerts", &["--alert", "More"]).document();
        document["alerts"].as_array()?.iter().find(|event| event["state"] == "firing").cloned()
    };
    let event = wait_until("the alert to fire and to be remembered", KEPT, fired);
    // Two frames a minute, three times.
    let threshold = event["threshold"].as_f64().expect("a limit");
    assert!((0.09..0.11).contains(&threshold), "{event}");
}

#[test]
fn the_store_is_private_and_of_the_user_that_netmon_becomes() {
    if !can_run(&TOOLS) {
        return;
    }
    let (wire, state) = (Wire::new(), State::new());
    let _daemon = state.launch(&wire).set("privileges.user", "65534:65534").start();
    let [directory, file] = [state.directory(), state.store()].map(|path| path.metadata().expect("it is there"));
    assert_eq!([directory.uid(), file.uid()], [65534, 65534]);
    assert_eq!([directory.permissions().mode() & 0o777, file.permissions().mode() & 0o777], [0o700, 0o600]);
}

#[test]
fn a_second_process_is_refused_with_the_name_of_the_first_and_captures_all_the_same() {
    if !can_run(&TOOLS) {
        return;
    }
    let (wire, state) = (Wire::new(), State::new());
    let mut first = state.launch(&wire).start();
    let holder = child_of(first.id()).unwrap_or(first.id());
    let ended = state.ask("bandwidth", &["--from", "0"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("is in use by process {holder}")), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: ask the running netmon by --url"), "{}", ended.stderr);

    // Another one on another address: it counts, and says what it is waiting for.
    let other = "127.0.0.1:9098";
    let mut command = wire.monitor.command(netmon().get_program());
    command.args(["run", "--interface", "m0", "--bind", other]).current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.env("NETMON_STATE__DIRECTORY", state.directory());
    let mut second = Running::start(&mut command);
    let seen = || wire.monitor.get(&format!("http://{other}/metrics"), &[]);
    wait_until("the second one to capture", START, || seen().filter(|page| page.contains("netmon_capture_up{")));
    let status = ["--write-out", "%{http_code}", "--output", "/dev/null"];
    let curl = |path: &str| {
        let mut curl = wire.monitor.command("curl");
        let output =
            curl.args(["--silent", "--noproxy", "*"]).args(status).arg(format!("http://{other}{path}")).output();
        String::from_utf8(output.expect("curl starts").stdout).expect("a number")
    };
    assert_eq!(curl("/healthz"), "200");
    assert_eq!(curl("/readyz"), "503");

    // It takes over once the store is free.
    first.signal(Signal::SIGTERM);
    assert_eq!(first.end_within(STOP).code(), Some(0));
    wait_until("the second one to have the store", START, || (curl("/readyz") == "200").then_some(()));
    second.signal(Signal::SIGTERM);
    assert_eq!(second.end_within(STOP).code(), Some(0));
}

/// `ip netns exec` becomes the program, so that there is usually none.
fn child_of(id: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[test]
fn a_state_directory_that_cannot_be_made_stops_neither_the_start_nor_the_capture() {
    if !can_run(&TOOLS) {
        return;
    }
    let (wire, state) = (Wire::new(), State::new());
    std::fs::write(state.directory(), "a file in its place").expect("it can be written");
    let mut command = wire.monitor.command(netmon().get_program());
    command.args(["run", "--interface", "m0", "--bind", BIND]).current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.env("NETMON_STATE__DIRECTORY", state.directory());
    let mut daemon = Running::start(&mut command);
    wait_until("it to capture", START, || {
        let page = wire.monitor.get(&format!("http://{BIND}/metrics"), &[])?;
        page.contains("netmon_capture_up{").then_some(())
    });
    wire.send_datagrams(&wire.generator, MONITOR, 100);
    let received = || wire.metrics().sum("netmon_interface_receive_packets_total", &[("interface", "m0")]);
    wait_until("the datagrams", START, || (received() >= 100.0).then_some(()));
    let dropped = || wire.metrics().sum("netmon_history_dropped_records_total", &[]);
    wait_until("what is not kept to be counted", START, || (dropped() >= 1.0).then_some(()));
    let refused = State::ask_daemon(&wire, "info", &[]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("history.redb` is closed"), "{}", refused.stderr);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end_within(STOP).code(), Some(0));
}

#[test]
fn without_history_nothing_is_written_and_no_series_speaks_of_it() {
    if !can_run(&TOOLS) {
        return;
    }
    let (wire, state) = (Wire::new(), State::new());
    let _daemon = state.launch(&wire).flag("--no-history").start();
    let page = wire.monitor.get(&format!("http://{BIND}/metrics"), &[]).expect("a page");
    assert!(!page.contains("netmon_history_"), "{page}");
    assert!(!state.directory().exists());
}

#[test]
fn a_second_in_which_the_interface_was_down_is_a_gap_and_one_without_traffic_is_a_zero() {
    if !can_run(&TOOLS) {
        return;
    }
    let (wire, state) = (Wire::new(), State::new());
    let mut daemon = state.launch(&wire).start();
    std::thread::sleep(Duration::from_secs(4));
    wire.set_link("down");
    std::thread::sleep(Duration::from_secs(5));
    wire.set_link("up");
    std::thread::sleep(Duration::from_secs(4));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end_within(STOP).code(), Some(0));
    let document = state.ask("bandwidth", &["--from", "0", "--tier", "1s", "--format", "json"]).document();
    let points = document["series"][0]["points"].as_array().expect("points");
    let at =
        |point: &Value| point["time"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).expect("a time");
    let apart: Vec<i64> = points.windows(2).map(|pair| at(&pair[1]).as_second() - at(&pair[0]).as_second()).collect();
    let gap = apart.iter().copied().max().unwrap_or(0);
    assert!((4..=7).contains(&gap), "one gap of about five seconds: {apart:?}");
    assert_eq!(apart.iter().filter(|seconds| **seconds > 1).count(), 1, "{apart:?}");
    assert!(points.iter().any(|point| point["receive_packets"] == 0), "zeros while nothing came");
}
