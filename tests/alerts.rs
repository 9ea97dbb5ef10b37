//! Alert rules from the outside: captures and rules in, timelines, differences and exit codes out.

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use support::facts::list;
use support::program::{Ended, netmon, run};
use support::savefile::{ETHERNET, Savefile, tcp_frame};
use support::text;
use tempfile::TempDir;

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 2], 80);
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A capture and rules, in a directory of their own.
struct Case(TempDir);

/// Ten seconds of one frame of 1000 bytes each tenth of a second, three times as many from 4 s to 6 s, then one each
/// second until 20 s.
fn burst() -> Savefile {
    let mut file = Savefile::new(ETHERNET);
    let mut frame = tcp_frame(CLIENT, SERVER, 1, ACK);
    frame.resize(1000, 0);
    for tenth in 0..200 {
        let count = match tenth {
            40..60 => 3,
            0..100 => 1,
            _ => u32::from(tenth % 10 == 0),
        };
        (0..count).for_each(|n| file.push(50_000 + tenth * 100_000 + n, &frame));
    }
    file
}

const RULES: &str = "\
aggregation: {windows: [1, 5]}
local_networks: [192.0.2.2/32]
alerts:
  - name: Burst
    metric: receive_bytes_per_second
    window: 1s
    above: 15kB
    clear: 12kB
    for: 500ms
    severity: critical
    labels: {team: net}
  - name: Quiet
    metric: receive_packets_per_second
    window: 5s
    below: 3
    keep_firing_for: 1s
";

impl Case {
    fn new(capture: &Savefile, rules: &str) -> Self {
        let case = Self(tempfile::tempdir().expect("a directory"));
        capture.write(&case.path("burst.pcap"));
        case.write("rules.yaml", rules);
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, contents: &str) -> PathBuf {
        std::fs::write(self.path(name), contents).expect("it can be written");
        self.path(name)
    }

    fn replay(&self, arguments: &[&str]) -> Ended {
        let (rules, capture) = (self.path("rules.yaml"), self.path("burst.pcap"));
        run(netmon().args(["replay", "-c", text(&rules), text(&capture)]).args(arguments))
    }

    fn test(&self, tests: &str, arguments: &[&str]) -> Ended {
        let file = self.write("rules_test.yaml", tests);
        run(netmon().args(["alerts", "test", text(&file)]).args(arguments))
    }
}

/// Seconds after 2024 began, alert, state.
fn timeline(alerts: &[Value]) -> Vec<(String, String, String)> {
    let row = |alert: &Value| {
        let field = |name: &str| alert[name].as_str().expect("a text").to_owned();
        let at = field("at");
        let at = at.strip_prefix("2024-01-01T00:00:").and_then(|at| at.strip_suffix("00000000Z"));
        (at.expect("a tick of the first minute").to_owned(), field("alert"), field("state"))
    };
    alerts.iter().map(row).collect()
}

fn row(at: &str, alert: &str, state: &str) -> (String, String, String) {
    (at.to_owned(), alert.to_owned(), state.to_owned())
}

#[test]
fn replay_lists_what_alerts_did_at_the_ticks_of_packet_time() {
    let case = Case::new(&burst(), RULES);
    let document = case.replay(&["--format", "json"]).document();
    let alerts = list(&document, "/alerts");
    // (3.3 s, 4.3 s] has 16 frames, (5.9 s, 6.9 s] the last 3 of the burst and 9 others. (9 s, 14 s] has 10 frames of the
    // first rate and 4 of the last, which are the first fewer than 15 in five seconds.
    let expected = [
        row("04.3", "Burst", "pending"),
        row("04.8", "Burst", "firing"),
        row("06.9", "Burst", "resolved"),
        row("14.0", "Quiet", "firing"),
    ];
    assert_eq!(timeline(alerts), expected);
    let fired = &alerts[1];
    assert_eq!((&fired["value"], &fired["threshold"]), (&Value::from(26_000.0), &Value::from(15_000.0)));
    assert_eq!(fired["labels"], serde_json::json!({"interface": "burst", "team": "net"}));
    assert_eq!((&fired["severity"], &fired["unit"]), (&Value::from("critical"), &Value::from("bytes_per_second")));
}

#[test]
fn the_timeline_is_the_same_for_any_number_of_shards_and_at_any_pace() {
    let case = Case::new(&burst(), RULES);
    let one = case.replay(&["--format", "json"]).success();
    for arguments in
        [&["--shards", "2"][..], &["--shards", "7"], &["--pace", "100x"], &["--shards", "3", "--pace", "200x"]]
    {
        let other = case.replay(&[&["--format", "json"], arguments].concat()).success();
        assert_eq!(String::from_utf8_lossy(&other), String::from_utf8_lossy(&one), "{arguments:?}");
    }
}

#[test]
fn tables_and_metrics_of_a_replay_have_the_alerts_too() {
    let case = Case::new(&burst(), RULES);
    let table = String::from_utf8(case.replay(&[]).success()).expect("text");
    let fired = "2024-01-01T00:00:04.800000000Z  Burst  interface=\"burst\" team=\"net\"  firing    critical   208 kbit/s  120 kbit/s";
    assert!(table.contains("\nAlerts\n") && table.contains(fired), "{table}");
    let page = String::from_utf8(case.replay(&["--format", "openmetrics"]).success()).expect("text");
    for line in [
        "netmon_alert_state{rule=\"Quiet\",interface=\"burst\",state=\"firing\"} 1",
        "netmon_alert_state{rule=\"Burst\",interface=\"burst\",state=\"inactive\"} 1",
        "netmon_alert_transitions_total{rule=\"Burst\",to=\"resolved\"} 1",
        "netmon_alert_suppressed_total{reason=\"startup\"} 1",
    ] {
        assert!(page.contains(line), "no {line} in\n{page}");
    }
    let without = Case::new(&burst(), "");
    let page = String::from_utf8(without.replay(&["--format", "openmetrics"]).success()).expect("text");
    assert!(!page.contains("netmon_alert"), "without rules there are no families of alerts");
}

const TESTS: &str = "\
rules: rules.yaml
tests:
  - name: a burst fires and is over
    captures: [burst.pcap]
    interface: wan
    local_networks: [192.0.2.0/24]
    alerts: []
  - name: a burst is seen from outside
    captures: burst.pcap
    interface: wan
    alerts:
      - { alert: Burst, labels: { interface: wan, team: net }, state: firing, at: 4.75s, value: 26000 }
      - { alert: Burst, labels: { interface: wan, team: net }, state: resolved, at: \"2024-01-01T00:00:06.9Z\" }
      - { alert: Quiet, labels: { interface: wan }, state: firing, at: 13.95s, value: 2.8 }
";

#[test]
fn a_rule_test_that_is_met_ends_well() {
    let case = Case::new(&burst(), RULES);
    let tests = TESTS.replace("    alerts: []\n", &TESTS[TESTS.find("    alerts:\n").expect("it is there")..]);
    let ended = case.test(&tests, &["--shards", "3"]);
    let expected = format!(
        "{}\n  ok      a burst fires and is over\n  ok      a burst is seen from outside\n",
        text(&case.path("rules_test.yaml"))
    );
    assert_eq!(String::from_utf8_lossy(&ended.success()), expected);
}

#[test]
fn a_rule_test_that_is_not_met_shows_the_difference_and_exits_with_1() {
    let case = Case::new(&burst(), RULES);
    let ended = case.test(&TESTS.replace("value: 26000", "value: 26001").replace("13.95s", "14.05s"), &[]);
    let expected = "  FAILED  a burst fires and is over
            - expected, + seen
          + 2024-01-01T00:00:04.800000000Z (+4.750s) Burst {interface=\"wan\" team=\"net\"} firing value 26000
          + 2024-01-01T00:00:06.900000000Z (+6.850s) Burst {interface=\"wan\" team=\"net\"} resolved value 12000
          + 2024-01-01T00:00:14.000000000Z (+13.950s) Quiet {interface=\"wan\"} firing value 2.8
  FAILED  a burst is seen from outside
            - expected, + seen
          - 2024-01-01T00:00:04.800000000Z (+4.750s) Burst {interface=\"wan\" team=\"net\"} firing value 26001
          + 2024-01-01T00:00:04.800000000Z (+4.750s) Burst {interface=\"wan\" team=\"net\"} firing value 26000
            2024-01-01T00:00:06.900000000Z (+6.850s) Burst {interface=\"wan\" team=\"net\"} resolved value 12000
          + 2024-01-01T00:00:14.000000000Z (+13.950s) Quiet {interface=\"wan\"} firing value 2.8
          - 2024-01-01T00:00:14.100000000Z (+14.050s) Quiet {interface=\"wan\"} firing value 2.8
";
    let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
    let (_, shown) = stdout.split_once('\n').expect("the file's name");
    assert_eq!((ended.code, shown), (Some(1), expected));
}

#[test]
fn pending_alerts_count_where_they_are_expected() {
    let case = Case::new(&burst(), RULES);
    let tests = "\
rules: rules.yaml
tests:
  - name: with all states
    captures: burst.pcap
    alerts:
      - { alert: Burst, labels: { interface: burst, team: net }, state: pending, at: 4.25s, value: 16000 }
      - { alert: Burst, labels: { interface: burst, team: net }, state: firing, at: 4.75s }
      - { alert: Burst, labels: { interface: burst, team: net }, state: resolved, at: 6.85s }
      - { alert: Quiet, labels: { interface: burst }, state: firing, at: 13.95s }
";
    let ended = case.test(tests, &[]);
    assert_eq!(ended.code, Some(0), "{}", String::from_utf8_lossy(&ended.stdout));
}

#[test]
fn every_mistake_of_a_file_of_tests_is_told_with_its_line_and_exits_with_2() {
    let case = Case::new(&burst(), RULES);
    let tests = "\
rules: [rules.yaml]
tests:
  - name: wrong
    capture: burst.pcap
    local_networks: [here]
    alerts:
      - { alert: Brust, state: firing, at: 1s }
      - { alert: Burst, state: on, at: 1s }
      - { alert: Burst, state: firing, at: soon }
      - { alert: Burst, state: firing, at: 1s, value: much }
";
    let ended = case.test(tests, &[]);
    assert_eq!((ended.code, ended.stdout.len()), (Some(2), 0));
    assert!(
        ended.stderr.contains("unknown key `tests[0].capture`, did you mean `tests[0].captures`?"),
        "{}",
        ended.stderr
    );
    let ended = case.test(&tests.replace("capture:", "captures:"), &[]);
    let found: Vec<&str> =
        ended.stderr.lines().filter_map(|line| line.split_once("rules_test.yaml:")).map(|(_, line)| line).collect();
    let expected = [
        "5`: `tests[0].local_networks[0]` is `here`, allowed a network such as 10.0.0.0/8",
        "7`: `tests[0].alerts[0].alert` is `Brust`, which is no rule of these files",
        "8`: `tests[0].alerts[1].state` is `on`, allowed pending, firing, resolved or inactive",
        "9`: `tests[0].alerts[2].at` is `soon`, allowed a time such as 2023-11-14T22:13:31Z, or a duration after the first frame such as 5.2s",
        "10`: `tests[0].alerts[3].value` is `much`, allowed a number in the unit of the metric",
    ];
    assert_eq!(found, expected);
    for (tests, message) in [
        ("rules: [none.yaml]\ntests: []\n", "cannot read"),
        ("rules: [rules.yaml]\n", "`tests` is missing: a list of tests"),
        ("tests:\n  - {name: a, captures: burst.pcap}\n", "`rules` has no rule in any of its files"),
        ("rules: rules.yaml\ntests:\n  - {name: a, captures: none.pcap}\n", "none.pcap"),
        ("tests: [", "rules_test.yaml:2"),
    ] {
        let ended = case.test(tests, &[]);
        assert!(ended.code == Some(2) && ended.stderr.contains(message), "{tests}: {:?} {}", ended.code, ended.stderr);
    }
}

#[test]
fn a_capture_that_is_cut_short_fails_its_test() {
    let mut cut = burst();
    cut.push_header(19_000_000, 100, 100);
    let case = Case::new(&cut, RULES);
    let rows = &TESTS[TESTS.find("  - name: a burst is seen").expect("it is there")..];
    let ended = case.test(&format!("rules: rules.yaml\ntests:\n{rows}"), &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cut short"), "{}", ended.stderr);
}

#[test]
fn a_backtest_has_the_timeline_and_a_count_for_each_rule() {
    let case = Case::new(&burst(), RULES);
    let (rules, capture) = (case.path("rules.yaml"), case.path("burst.pcap"));
    let backtest = |arguments: &[&str]| {
        run(netmon().args(["alerts", "backtest", "-c", text(&rules), text(&capture)]).args(arguments))
    };
    let document = backtest(&["--format", "json"]).document();
    assert_eq!(list(&document, "/alerts").len(), 4);
    let burst = &document["rules"][0];
    assert_eq!((&burst["fired"], &burst["resolved"]), (&Value::from(1), &Value::from(1)));
    assert!((burst["firing_seconds"].as_f64().expect("a number") - 2.1).abs() < 1e-9, "{burst}");
    let table = String::from_utf8(backtest(&[]).success()).expect("text");
    assert!(table.starts_with("Timeline\n") && table.contains("\nRules\n"), "{table}");

    let rule = "{ name: Any, metric: bytes_per_second, window: 5s, above: 1 }";
    let document = backtest(&["--format", "json", "--rule", rule, "--rule", &rule.replace("Any", "Other")]).document();
    assert_eq!(list(&document, "/rules").len(), 2, "those of the configuration are left out");
    let ended = backtest(&["--rule", &rule.replace("5s", "10s")]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("`alerts[0].window` is 10 s, allowed 1 s or 5 s"), "{}", ended.stderr);
    let ended = run(netmon().args(["alerts", "backtest", text(&capture)]));
    assert!(ended.code == Some(2) && ended.stderr.contains("there is no rule to try"), "{}", ended.stderr);
}

#[test]
fn a_backtest_on_the_history_of_a_capture_is_that_of_the_capture_to_the_second() {
    // Steps are of a second, so a rule that waits half of one would fire a step later.
    let case = Case::new(&burst(), &RULES.replace("    for: 500ms\n", ""));
    let (rules, capture, store) = (case.path("rules.yaml"), case.path("burst.pcap"), case.path("burst.redb"));
    run(netmon().args(["replay", "-c", text(&rules), text(&capture), "--store", text(&store)])).success();
    let backtest = |arguments: &[&str]| {
        let on_store = ["alerts", "backtest", "-c", text(&rules), "--format", "json", "--store", text(&store)];
        run(netmon().args(on_store).args(arguments))
    };
    let of_capture = run(netmon().args(["alerts", "backtest", "-c", text(&rules), "--format", "json", text(&capture)]));
    let (history, capture_said) = (backtest(&[]).document(), of_capture.document());
    let states = |document: &Value| -> Vec<(Value, Value)> {
        list(document, "/alerts").iter().map(|row| (row["alert"].clone(), row["state"].clone())).collect()
    };
    assert_eq!(states(&history), states(&capture_said));
    let seconds = |row: &Value| {
        let at = row["at"].as_str().expect("a time");
        at.split(':').next_back().and_then(|rest| rest.trim_end_matches('Z').parse::<f64>().ok()).expect("seconds")
    };
    for (said, expected) in list(&history, "/alerts").iter().zip(list(&capture_said, "/alerts")) {
        assert!((seconds(said) - seconds(expected)).abs() <= 1.0, "{said} {expected}");
    }
    let looked = &history["looked_at"][0];
    assert_eq!((&looked["tier"], &looked["missing_seconds"]), (&"1s".into(), &0.into()), "{history}");

    let quantile = "{ name: Slow, metric: handshake_rtt_p95_seconds, window: 1s, above: 1s }";
    let ended = backtest(&["--rule", quantile]);
    assert_eq!(ended.code, Some(2));
    let said = "rule `Slow`: the history does not keep `handshake_rtt_p95_seconds`";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let ended = backtest(&["--interface", "eth0"]);
    assert_eq!(ended.code, Some(2), "an option of captures: {}", ended.stderr);
}

#[test]
fn what_can_be_watched_is_listed_with_units() {
    let table = String::from_utf8(run(netmon().args(["alerts", "metrics"])).success()).expect("text");
    assert!(table.contains("receive_bytes_per_second") && table.contains("Mean rate of received bytes."), "{table}");
    let document = run(netmon().args(["alerts", "metrics", "--format", "json"])).document();
    let metrics = list(&document, "/metrics");
    let retransmits = metrics.iter().find(|metric| metric["metric"] == "retransmit_ratio").expect("it is there");
    assert_eq!((&retransmits["unit"], &retransmits["needs_full_window"]), (&Value::from("ratio"), &Value::from(true)));
    assert_eq!(retransmits["summed_labels"], serde_json::json!(["direction"]));
    // Every one of them can stand in a rule.
    let rules: String = metrics.iter().take(50).enumerate().map(|(n, metric)| rule_of(n, metric)).collect();
    let case = Case::new(&burst(), &format!("alerts:\n{rules}"));
    let rules = case.path("rules.yaml");
    assert_eq!(run(netmon().args(["check", "-c", text(&rules)])).code, Some(0));
    case.replay(&[]).success();
}

fn rule_of(n: usize, metric: &Value) -> String {
    let window = if metric["window"] == true { ", window: 10s" } else { "" };
    let limit = if metric["unit"] == "seconds" { "1s" } else { "1" };
    format!("  - {{ name: R{n}, metric: {}, above: {limit}{window} }}\n", metric["metric"].as_str().expect("a text"))
}

#[test]
fn a_flood_of_unanswered_syns_fires_once_however_many_sources_it_has() {
    let rules = "alerts:\n  - { name: SynFlood, metric: unanswered_syns_per_second, window: 1s, above: 100, keep_firing_for: 5s }\n";
    let case = Case::new(&support::savefile::flood(5000), rules);
    let document = case.replay(&["--format", "json", "--shards", "4"]).document();
    assert_eq!(timeline(list(&document, "/alerts")), [row("00.1", "SynFlood", "firing")]);
}

#[test]
fn silence_in_the_middle_of_a_capture_is_noticed_while_it_lasts() {
    let mut file = Savefile::new(ETHERNET);
    for second in [0, 1, 2, 40, 41] {
        file.push(second * 1_000_000, &tcp_frame(CLIENT, SERVER, 1, SYN));
    }
    let rules = "\
aggregation: {windows: [1, 5]}
alerts:
  - { name: Silent, metric: last_packet_age_seconds, above: 10s, for: 3s }
  - { name: Nothing, metric: packets_per_second, window: 5s, absent: true, for: 10s }
";
    let case = Case::new(&file, rules);
    let document = case.replay(&["--format", "json"]).document();
    let expected = [
        row("07.0", "Nothing", "pending"),
        row("12.1", "Silent", "pending"),
        row("15.1", "Silent", "firing"),
        row("17.0", "Nothing", "firing"),
        row("40.0", "Silent", "resolved"),
        row("40.0", "Nothing", "resolved"),
    ];
    assert_eq!(timeline(list(&document, "/alerts")), expected);
}

/// The receiver that the rule of the sample names.
const OPS: &str = "receivers: [{ name: ops, webhook: { url: \"https://ops.example.net/hook\" } }]\n";

#[test]
fn the_rules_of_the_sample_are_what_they_say() {
    let sample = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sample-config.yaml"))
        .expect("the sample");
    let begin = sample.find("#   - name: HighIngress").expect("it shows a rule");
    let rule: String = sample[begin..]
        .lines()
        .take_while(|line| line.starts_with('#'))
        .map(|line| format!("{}\n", &line[1..]))
        .collect();
    let case = Case::new(&burst(), &format!("{OPS}alerts:\n{rule}"));
    let rules = case.path("rules.yaml");
    let ended = run(netmon().args(["check", "-c", text(&rules)]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
