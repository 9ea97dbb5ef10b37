//! Every query and every rule, asked of a real Prometheus.

use crate::answers::{Answer, ask};
use crate::documents::{Asked, Choices, asked};
use crate::expected::{self, Expected};
use crate::rig::{BIND, START, can_run};
use crate::scene::{PROMETHEUS, Scene};
use crate::support::running::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Seconds between the points of a picture, and between scrapes as the data source has it. Prometheus scrapes every second:
/// the windows of rates have room for scrapes that fail on a busy machine.
const STEP: u64 = 3;

/// Alerts that the scene raises: they fire after two minutes, and before that they may still be pending.
const RAISED: [&str; 7] = [
    "NetmonAlertRuleFailing",
    "NetmonCaptureDown",
    "NetmonConfigReloadFailed",
    "NetmonLabelCapReached",
    "NetmonLinkDown",
    "NetmonPortScan",
    "NetmonReceiverDead",
];

/// What depends on how busy the machine is.
const MAYBE: [&str; 5] =
    ["NetmonDown", "NetmonCaptureLoss", "NetmonCaptureLagging", "NetmonCaptureCoverageLow", "NetmonHistoryLosing"];

#[test]
fn every_query_and_every_rule_says_what_it_should_under_mixed_traffic() {
    if !can_run(&["ip", "curl", "ping", "python3", "iperf3", "prometheus"]) {
        return;
    }
    let long = std::env::var_os("SOAK").is_some();
    let seconds = if long { 120 } else { 40 };
    let scene = Scene::set();
    let start = now(&scene);
    scene.play(seconds);
    let span = [start, now(&scene)];
    let rules = rules(&scene);
    let answers = answers(&scene, span);
    assert_exemplars_name_flows(&scene, span);
    keep(&answers, &rules, span);
    check_rules(&rules, long);
    let wrong: Vec<String> = answers.iter().filter_map(|(asked, answer)| complaint(asked, answer, long)).collect();
    let idle = expected::idle(answers.iter().map(|(asked, _)| asked));
    println!("figure: {} queries answered after {seconds} s, {} rules evaluated", answers.len(), rules.len());
    assert!(wrong.is_empty() && idle.is_empty(), "{}\nnothing is like {idle:?}", wrong.join("\n"));
}

/// The clock of Prometheus, in seconds of Unix time.
fn now(scene: &Scene) -> u64 {
    let answer = ask(&scene.wire.monitor, "query", "time()", &[]);
    let text = answer["data"]["result"][1].as_str().expect("a time is text").to_owned();
    text.split('.').next().and_then(|whole| whole.parse().ok()).expect("a time is a number")
}

fn answers(scene: &Scene, span: [u64; 2]) -> Vec<(Asked, Answer)> {
    let range = span[1] - span[0];
    let choices = |asked: &Asked| {
        let instance = if asked.board == "netmon-host" { BIND } else { ".+" };
        Choices { job: "netmon", instance, interface: ".*", range, step: STEP, scrape: STEP }
    };
    let answer = |asked: &Asked| {
        let query = choices(asked).fill(&asked.written);
        let namespace = &scene.wire.monitor;
        if asked.instant { Answer::at(namespace, &query, span[1]) } else { Answer::over(namespace, &query, span, STEP) }
    };
    asked().into_iter().map(|asked| (asked.clone(), answer(&asked))).collect()
}

fn complaint(asked: &Asked, answer: &Answer, long: bool) -> Option<String> {
    let (expected, values) = (expected::of(asked), answer.values());
    let what = match values.len() {
        0 => "nothing".to_owned(),
        count => format!("{count} samples up to {}", values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    };
    let place = format!("{} / {} / {}", asked.board, asked.panel, asked.reference);
    (!expected.fits(&values, long))
        .then(|| format!("{place}: {expected:?} was expected, but there is {what}: {}", asked.written))
}

/// The marks in the panels of round trips.
fn assert_exemplars_name_flows(scene: &Scene, [start, end]: [u64; 2]) {
    let span = [format!("start={start}"), format!("end={end}")];
    let answer = ask(&scene.wire.monitor, "query_exemplars", "netmon_tcp_handshake_rtt_seconds_bucket", &span);
    let series = answer["data"].as_array().expect("there are series").iter();
    let marks: Vec<&Value> = series.flat_map(|series| series["exemplars"].as_array()).flatten().collect();
    assert!(!marks.is_empty() && marks.iter().all(|mark| mark["labels"]["flow_id"].is_string()), "{answer}");
}

/// All rules, recording and alerting.
fn rules(scene: &Scene) -> Vec<Value> {
    let url = format!("http://{PROMETHEUS}/api/v1/rules");
    let answer = wait_until("the rules", START, || scene.wire.monitor.get(&url, &[]));
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let groups = answer["data"]["groups"].as_array().expect("there are groups").clone();
    groups.iter().flat_map(|group| group["rules"].as_array().cloned().expect("a group has rules")).collect()
}

fn check_rules(rules: &[Value], long: bool) {
    let mut states = BTreeMap::new();
    for rule in rules {
        assert_eq!((&rule["health"], &rule["lastError"]), (&json!("ok"), &Value::Null), "{}", rule["name"]);
        if let (Some(name), Some(state)) = (rule["name"].as_str(), rule["state"].as_str()) {
            states.insert(name, state);
        }
    }
    println!(
        "figure: alerts of Prometheus: {:?}",
        states.iter().filter(|(_, state)| **state != "inactive").collect::<Vec<_>>()
    );
    for name in RAISED {
        let state = states.remove(name).unwrap_or_else(|| panic!("there is no rule {name}"));
        assert!(state == "firing" || state == "pending" && !long, "{name} is {state}");
    }
    for (name, state) in states {
        assert!(state == "inactive" || MAYBE.contains(&name), "{name} is {state}");
    }
}

/// Writes the answers down, for `scripts/draw_dashboards.py`.
fn keep(answers: &[(Asked, Answer)], rules: &[Value], span: [u64; 2]) {
    let one = |(asked, answer): &(Asked, Answer)| {
        let (panel, target) = (asked.panel_id, &asked.reference);
        json!({ "board": asked.board, "panel": panel, "target": target, "series": answer.series() })
    };
    let document = json!({ "span": span, "answers": answers.iter().map(one).collect::<Vec<_>>(), "rules": rules });
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboards.json");
    std::fs::write(file, document.to_string()).expect("the answers can be written down");
}

#[test]
fn a_listed_expectation_is_met_by_what_it_says() {
    use Expected::{Either, Later, Something, Zero};
    assert!(Zero.fits(&[0.0, 0.0], true) && !Zero.fits(&[], true) && !Zero.fits(&[0.0, 1.0], true));
    assert!(Something.fits(&[0.0, 1.0], true) && !Something.fits(&[f64::NAN, 0.0], true));
    assert!(Later.fits(&[], false) && !Later.fits(&[], true) && Later.fits(&[1.0], true));
    assert!(Either.fits(&[0.0], true) && !Either.fits(&[], true));
}
