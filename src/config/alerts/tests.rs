//! Rules are taken or refused with the words a person needs.

use super::*;
use crate::config::from_yaml;
use proptest::prelude::*;

fn rules(yaml: &str) -> Result<Vec<Arc<Rule>>, String> {
    from_yaml("f", yaml.as_bytes()).map(|loaded| loaded.config.alerts.rules).map_err(|mistakes| mistakes.to_string())
}

/// What is wrong with one rule of these keys beside a name.
fn refusal(keys: &str) -> String {
    rules(&format!("alerts:\n  - {{ name: A, {keys} }}\n")).unwrap_err()
}

#[test]
fn the_rule_of_the_documentation_is_taken() {
    let yaml = r#"
alerts:
  - name: HighIngress
    metric: receive_bytes_per_second
    where: { interface: "eth*" }
    window: 10s
    above: 100MiB
    clear: 80MiB
    for: 5s
    keep_firing_for: 30s
    severity: critical
    labels: { team: net }
    summary: "{{ interface }} receives {{ value }} (limit {{ threshold }})"
    runbook_url: https://example.net/runbook
    notify: [ops]
receivers: [{ name: ops, slack: { url_env: SLACK } }]
"#;
    let rules = rules(yaml).unwrap();
    let rule = &rules[0];
    assert_eq!((&*rule.name, rule.metric.name), ("HighIngress", "receive_bytes_per_second"));
    assert_eq!((rule.window, rule.hold, rule.keep_firing), (secs(10), secs(5), secs(30)));
    let level = |mib: f64| Level::Absolute(mib * 1_048_576.0);
    assert_eq!(rule.condition, Condition::Above { limit: level(100.0), clear: level(80.0) });
    assert_eq!(
        (rule.severity, &rule.labels["team"], &*rule.notify),
        (Severity::Critical, &"net".to_owned(), &["ops".to_owned()][..])
    );
    assert!(rule.watches("eth1") && !rule.watches("lo"));
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn labels_that_are_named_make_alerts_of_their_own() {
    let sets =
        |keys: &str| rules(&format!("alerts: [{{ name: A, window: 10s, above: 1, {keys} }}]")).unwrap()[0].label_sets();
    assert_eq!(sets("metric: protocol_bytes_per_second"), 6);
    assert_eq!(sets("metric: protocol_bytes_per_second, where: {protocol: [tcp, udp]}"), 2);
    assert_eq!(sets("metric: connection_failures_per_second"), 1);
    assert_eq!(sets("metric: connection_failures_per_second, where: {reason: '*'}"), 3);
    assert_eq!(sets("metric: connection_failures_per_second, where: {reason: '!rejected'}"), 2);
    assert_eq!(sets("metric: parse_errors_per_second, where: {layer: 'ip*', reason: '*'}"), 10);
}

#[test]
fn each_mistake_has_its_message() {
    for (keys, message) in [
        (
            "metric: recieve_bytes_per_second, window: 10s, above: 1",
            "`alerts[0].metric` is `recieve_bytes_per_second`, which is no metric, did you mean `receive_bytes_per_second`?",
        ),
        (
            "metric: weather, above: 1",
            "`alerts[0].metric` is `weather`, which is no metric, `netmon alerts metrics` lists what can be watched",
        ),
        ("above: 1", "`alerts[0].metric` is missing: `netmon alerts metrics` lists what can be watched"),
        (
            "metric: bytes_per_second, window: 10s, above: 5%",
            "`alerts[0].above` is `5%`, allowed bytes per second such as `100MiB`, `100MiB/s` or `800Mbit/s`, or a multiple of the past such as `3x` (`bytes_per_second`)",
        ),
        (
            "metric: retransmit_ratio, window: 10s, above: 50ms",
            "`alerts[0].above` is `50ms`, allowed 0 to 1, or a percentage such as `5%`, or a multiple of the past such as `3x` (`retransmit_ratio`)",
        ),
        (
            "metric: bytes_per_second, window: 5s, above: 1",
            "`alerts[0].window` is 5 s, allowed 1 s, 10 s or 60 s (`aggregation.windows`)",
        ),
        (
            "metric: bytes_per_second, above: 1",
            "`alerts[0].window` is missing, allowed 1 s, 10 s or 60 s (`aggregation.windows`)",
        ),
        (
            "metric: receive_peak_bytes_per_second, window: 1s, above: 1",
            "`alerts[0].window` is 1 s, allowed 10 s or 60 s (`aggregation.windows`)",
        ),
        (
            "metric: active_flows, window: 1s, above: 1",
            "`alerts[0].window` is given, and `active_flows` is a value of the moment, which has no window",
        ),
        (
            "metric: bytes_per_second, window: 10s, above: 100MiB, clear: 120MiB",
            "`alerts[0].clear` is `120MiB`, allowed at most `100MiB`, where `above` begins",
        ),
        (
            "metric: bytes_per_second, window: 10s, below: 100, clear: 80",
            "`alerts[0].clear` is `80`, allowed at least `100`, where `below` begins",
        ),
        (
            "metric: bytes_per_second, window: 10s, above: 3x, clear: 80",
            "`alerts[0].clear` is `80` and `above` is `3x`, allowed a multiple of the past too",
        ),
        (
            "metric: bytes_per_second, window: 10s",
            "`alerts[0]` has none of `above`, `below` and `absent`, allowed exactly one",
        ),
        (
            "metric: bytes_per_second, window: 10s, above: 1, absent: true",
            "`alerts[0]` has above and absent of `above`, `below` and `absent`, allowed exactly one",
        ),
        ("metric: bytes_per_second, window: 10s, absent: no", "`alerts[0].absent` is `no`, allowed true"),
        (
            "metric: bytes_per_second, window: 10s, absent: true, clear: 1",
            "`alerts[0].clear` is given, and `absent` has no limit",
        ),
        (
            "metric: bytes_per_second, window: 10s, above: 1, where: {side: client}",
            "`alerts[0].where.side` is no label of `bytes_per_second`, allowed `interface`",
        ),
        (
            "metric: flow_table_fill_ratio, above: 1, where: {interface: eth0}",
            "`alerts[0].where.interface` is no label of `flow_table_fill_ratio`, which has none",
        ),
        (
            "metric: class_bytes_per_second, window: 10s, above: 1",
            "`alerts[0].metric` is `class_bytes_per_second`, which needs `address_classes`, and there are none",
        ),
        (
            "metric: handshake_rtt_p99_seconds, window: 10s, above: 1s, where: {side: both}",
            "`alerts[0].where.side` is `both`, allowed client or server",
        ),
        (
            "metric: host_bytes_per_second, window: 10s, below: 1",
            "`alerts[0].below` is given, allowed `above`: hosts are known by `host_bytes_per_second` while they are on top",
        ),
        (
            "metric: syns_per_second, window: 10s, above: 3x, baseline: same hour yesterday",
            "`alerts[0].baseline` is `same hour yesterday`, and the history does not keep `syns_per_second`",
        ),
        (
            "metric: bytes_per_second, window: 10s, above: 3x, baseline: 1s",
            "`alerts[0].baseline` is `1s`, allowed 60 s to 24 h (default 1 h), or `same hour yesterday`",
        ),
        (
            "metric: bytes_per_second, window: 10s, above: 3, baseline: 1h",
            "`alerts[0].baseline` is given, and `above` is no multiple of the past such as `3x`",
        ),
        (
            "metric: bytes_per_second, window: 10s, above: 1, min_samples: 100",
            "`alerts[0].min_samples` is given, and `bytes_per_second` is made of no samples: it is for ratios of counts and for quantiles",
        ),
        (
            "metric: retransmit_ratio, window: 10s, above: 5%, min_samples: 0",
            "`alerts[0].min_samples` is `0`, allowed a number of TCP segments in the window such as `100` (`retransmit_ratio`)",
        ),
        (
            "metric: handshake_rtt_p95_seconds, window: 10s, above: 1s, min_samples: 1MiB",
            "`alerts[0].min_samples` is `1MiB`, allowed a number of handshakes in the window such as `100` (`handshake_rtt_p95_seconds`)",
        ),
        (
            "metric: protocol_bytes_ratio, window: 10s, above: 5%, min_samples: many",
            "`alerts[0].min_samples` is `many`, allowed bytes in the window such as `1MiB` (`protocol_bytes_ratio`)",
        ),
        (
            "metric: retransmit_ratio, window: 10s, absent: true, min_samples: 5",
            "`alerts[0].min_samples` is given, and `absent` has no limit",
        ),
        (
            "metric: active_flows, above: 1, for: soon",
            "`alerts[0].for` is `soon` (no duration such as `10s` or `1h30min`), allowed 0 s to 24 h (default 0 s)",
        ),
        (
            "metric: active_flows, above: 1, keep_firing_for: 48h",
            "`alerts[0].keep_firing_for` is 48 h, allowed 0 s to 24 h (default 0 s)",
        ),
        (
            "metric: active_flows, above: 1, severity: bad",
            "`alerts[0].severity` is `bad`, allowed info, warning or critical (default warning)",
        ),
        (
            "metric: active_flows, above: 1, labels: {1a: b}",
            "`alerts[0].labels.1a` is no name of a label, allowed 1 to 64 letters, digits and _, no digit first",
        ),
        (
            "metric: active_flows, above: 1, labels: {interface: b}",
            "`alerts[0].labels.interface` is a label that the alert has already",
        ),
        (
            "metric: active_flows, above: 1, runbook_url: wiki",
            "`alerts[0].runbook_url` is `wiki`, allowed an address that begins with https:// or http://",
        ),
        ("metrics: active_flows, above: 1", "unknown key `alerts[0].metrics`, did you mean `alerts[0].metric`?"),
    ] {
        let found = refusal(keys);
        let found = found.strip_prefix("config `f:2`: ").unwrap_or(&found);
        assert_eq!(found.lines().last().map(|line| line.trim_start_matches("config `f:2`: ")), Some(message), "{keys}");
    }
}

#[test]
fn all_mistakes_of_all_rules_are_told_at_once_with_their_lines() {
    let yaml = "alerts:\n  - name: A\n    metric: bytes_per_second\n    window: 7s\n    above: much\n  - just text\n  - name: A\n    metric: active_flows\n    above: 5\n    colour: red\n";
    let expected = "\
config `f:4`: `alerts[0].window` is 7 s, allowed 1 s, 10 s or 60 s (`aggregation.windows`)
config `f:5`: `alerts[0].above` is `much`, allowed bytes per second such as `100MiB`, `100MiB/s` or `800Mbit/s`, or a multiple of the past such as `3x` (`bytes_per_second`)
config `f:6`: `alerts[1]` is `just text`, allowed a map with the keys `name`, `metric`, `where`, `window`, `above`, `below`, `absent`, `baseline`, `min_samples`, `clear`, `for`, `keep_firing_for`, `severity`, `labels`, `summary`, `runbook_url`, `notify`
config `f:7`: `alerts[2].name` is `A`, which is the name of `alerts[0]` already
config `f:10`: unknown key `alerts[2].colour`, allowed `alerts[2].above`, `alerts[2].absent`, `alerts[2].baseline`, `alerts[2].below`, `alerts[2].clear`, `alerts[2].for`, `alerts[2].keep_firing_for`, `alerts[2].labels`, `alerts[2].metric`, `alerts[2].min_samples`, `alerts[2].name`, `alerts[2].notify`, `alerts[2].runbook_url`, `alerts[2].severity`, `alerts[2].summary`, `alerts[2].where`, `alerts[2].window`";
    assert_eq!(rules(yaml).unwrap_err(), expected);
}

#[test]
fn a_receiver_that_does_not_exist_is_refused_where_receivers_are_known() {
    let rule = AlertRule {
        name: Given(Some("A".into())),
        metric: Given(Some("active_flows".into())),
        above: Given(Some("5".into())),
        notify: Texts(vec!["opps".into()]),
        ..AlertRule::default()
    };
    let known = |receivers: Option<&[&str]>| Known {
        receivers: receivers.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        ..Known::default()
    };
    let found = |receivers| mistakes(std::slice::from_ref(&rule), &known(receivers));
    let mistake =
        |advice: &str| vec![("alerts[0].notify[0]".to_owned(), format!("is `opps`, which is no receiver, {advice}"))];
    assert_eq!(found(None), []);
    assert_eq!(found(Some(&["ops"])), mistake("did you mean `ops`?"));
    assert_eq!(found(Some(&["pager", "slack"])), mistake("allowed pager or slack"));
    assert_eq!(found(Some(&[])), mistake("`receivers` has none"));
}

#[test]
fn more_than_fifty_rules_are_refused() {
    let many: String = (0..51).map(|n| format!("  - {{ name: A{n}, metric: active_flows, above: 1 }}\n")).collect();
    assert_eq!(rules(&format!("alerts:\n{many}")).unwrap_err(), "config `f:1`: `alerts` has 51 items, allowed 0 to 50");
}

#[test]
fn the_known_keys_are_those_of_the_rule() {
    let schema = schemars::schema_for!(AlertRule);
    let described: Vec<&String> = schema.as_value()["properties"].as_object().unwrap().keys().collect();
    let known = AlertRule::known();
    let mut known: Vec<&String> = known.as_object().unwrap().keys().collect();
    known.sort();
    let mut sorted = described;
    sorted.sort();
    assert_eq!(known, sorted);
}

proptest! {
    #[test]
    fn any_text_of_a_rule_is_taken_or_refused(
        key in 0_usize..15,
        text in r#"[0-9.]{0,8}(x|%|MiB|s|min|bit/s)?|\PC{0,24}|same hour yesterday|[a-z_*?!]{0,16}"#,
        metric in 0..Metric::all().len(),
    ) {
        let mut rule = AlertRule {
            name: Given(Some("A".into())),
            metric: Given(Some(Metric::all()[metric].name.into())),
            window: Given(Some("10s".into())),
            above: Given(Some("1".into())),
            ..AlertRule::default()
        };
        let given = Given(Some(text.clone()));
        match key {
            0 => rule.name = given,
            1 => rule.metric = given,
            2 => rule.window = given,
            3 => rule.above = given,
            4 => rule.below = given,
            5 => rule.absent = given,
            6 => rule.baseline = given,
            7 => rule.clear = given,
            8 => rule.hold = given,
            9 => rule.keep_firing_for = given,
            10 => rule.severity = given,
            11 => drop(rule.labels.insert(text, Given(Some("v".into())))),
            12 => rule.min_samples = given,
            13 => drop(rule.selectors.insert("interface".into(), Texts(vec![text]))),
            _ => rule.runbook_url = given,
        }
        let known = Known { windows: vec![secs(1), secs(10)], has_history: true, ..Known::default() };
        let refused = !mistakes(std::slice::from_ref(&rule), &known).is_empty();
        prop_assert_eq!(refused, super::rules(&[rule], &known).is_empty());
    }
}
