//! The text of `/metrics`: compared with golden pages, read by other people's parsers, held to its worst case.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod push;
mod reader;
#[path = "../otlp/samples.rs"]
mod samples;
mod snapshots;

use netmon::alert::{Evaluator, Picture};
use netmon::metrics::{EVALUATION_BOUNDS, Exposition, Form, Scope, SelfState};
use netmon::stats::{Buckets, Capture, Class, Config, InterfaceSnapshot, Snapshot, TalkerConfig, VlanConfig};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

fn render(config: &Config, snapshot: &Arc<Snapshot>, form: Form, scope: Scope) -> String {
    Exposition::new(config).render(snapshot, &snapshots::own(), form, scope)
}

/// One interface, windows of 1 s and 10 s.
fn small() -> Config {
    Config { windows: [1, 10].map(Duration::from_secs).to_vec(), max_interfaces: 1, ..Config::default() }
}

/// Every optional group, more windows than the default.
fn everything() -> Config {
    let class = |n| Class { name: format!("class{n}"), prefixes: Vec::new() };
    Config {
        windows: [1, 5, 10, 60].map(Duration::from_secs).to_vec(),
        max_interfaces: 3,
        talkers: TalkerConfig { export: true, top: 25, ..TalkerConfig::default() },
        classes: (0..8).map(class).collect(),
        vlans: Some(VlanConfig { max: 32 }),
        ports: vec![53, 80, 443],
        continuous_rtt: true,
    }
}

/// Compares with a file of `fixtures/metrics`, which `UPDATE_GOLDEN=1` writes anew.
fn assert_golden(name: &str, page: &str) {
    let path = format!("{}/fixtures/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (number, (ours, theirs)) in page.lines().zip(golden.lines()).enumerate() {
        assert_eq!(ours, theirs, "{name}, line {}", number + 1);
    }
    assert_eq!(page.len(), golden.len(), "{name}: one page is longer");
}

#[test]
fn text_matches_its_golden_page() {
    let config = small();
    let snapshot = snapshots::two_requests(&config);
    assert_golden("two-requests.prom", &render(&config, &snapshot, Form::Text, Scope::All));
}

#[test]
fn open_metrics_matches_its_golden_page() {
    let config = small();
    let snapshot = snapshots::two_requests(&config);
    assert_golden("two-requests.openmetrics", &render(&config, &snapshot, Form::OpenMetrics, Scope::All));
}

#[test]
fn a_flooded_page_has_exactly_the_announced_number_of_lines() {
    for config in [small(), Config::default(), everything()] {
        let limit = Exposition::new(&config).series_limit();
        let snapshot = snapshots::flood(&config);
        for form in [Form::Text, Form::OpenMetrics] {
            let page = render(&config, &snapshot, form, Scope::All);
            let samples = reader::read(&page);
            assert_eq!(samples.len() as u64, limit, "{form:?}");
            let exported = |name| samples.iter().find(|sample| sample.name == name).unwrap().value;
            assert_eq!(exported("netmon_series"), limit as f64);
            assert_eq!(exported("netmon_series_limit"), limit as f64);
            let distinct: HashSet<_> = samples.iter().map(reader::Sample::series).collect();
            assert_eq!(distinct.len(), samples.len(), "a series comes twice");
        }
    }
}

#[test]
fn a_page_with_alert_rules_has_exactly_the_announced_number_of_lines() {
    let yaml = "alerts:\n\
                - { name: A, metric: protocol_bytes_per_second, window: 10s, above: 1MiB }\n\
                - { name: 'B \"quoted\"', metric: flow_table_fill_ratio, above: 0.5 }\n\
                - { name: C, metric: bytes_per_second, window: 10s, absent: true, where: { interface: ['*', gone0] } }\n";
    let alerts = netmon::config::from_yaml("rules", yaml.as_bytes()).unwrap().config.alerts;
    let config = small();
    let (snapshot, exposition) = (snapshots::flood(&config), Exposition::with_alerts(&config, &alerts));
    let mut evaluator = Evaluator::new(&alerts, None);
    evaluator.picture(&snapshot);
    let picture = Picture { durations: Some(Buckets::new(EVALUATION_BOUNDS)), ..evaluator.show() };
    let notifications = Some(snapshots::notifications());
    let own = SelfState { alerts: Some(Arc::new(picture)), notifications, ..snapshots::own() };
    for form in [Form::Text, Form::OpenMetrics] {
        let page = exposition.render(&snapshot, &own, form, Scope::All);
        let samples = reader::read(&page);
        assert_eq!(samples.len() as u64, exposition.series_limit(), "{form:?}");
        let of = |rule: &str| {
            samples.iter().filter(|s| s.name == "netmon_alert_state" && s.label("rule") == Some(rule)).count()
        };
        // Two interfaces and four states; without interfaces the states alone; one more interface that is not there.
        assert_eq!([of("CaptureBlind"), of("A"), of("B \"quoted\""), of("C")], [8, 8, 4, 12], "{form:?}");
    }
}

#[test]
fn the_limit_is_the_sum_of_its_groups() {
    let exposition = Exposition::new(&everything());
    let sum: u64 = exposition.series_limit_by_group().iter().map(|(_, limit)| limit).sum();
    assert_eq!(sum, exposition.series_limit());
}

#[test]
fn an_empty_snapshot_stays_below_the_limit_and_counts_itself() {
    let config = Config::default();
    let page = render(&config, &Arc::default(), Form::Text, Scope::All);
    let samples = reader::read(&page);
    let series = samples.iter().find(|sample| sample.name == "netmon_series").unwrap();
    assert_eq!(series.value, samples.len() as f64);
}

#[test]
fn both_forms_say_the_same() {
    let config = everything();
    let snapshot = snapshots::flood(&config);
    let read = |form| {
        let samples = reader::read(&render(&config, &snapshot, form, Scope::All));
        samples.into_iter().map(|sample| (sample.series(), sample.value)).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(read(Form::Text), read(Form::OpenMetrics));
}

#[test]
fn the_packet_scope_does_not_depend_on_the_process() {
    let config = everything();
    let snapshot = snapshots::flood(&config);
    let exposition = Exposition::new(&config);
    for form in [Form::Text, Form::OpenMetrics] {
        let page = exposition.render(&snapshot, &snapshots::own(), form, Scope::Packets);
        assert_eq!(page, exposition.render(&snapshot, &Default::default(), form, Scope::Packets));
        let names: HashSet<_> = reader::read(&page).into_iter().map(|sample| sample.name).collect();
        assert!(names.contains("netmon_interface_receive_bytes_total"));
        for of_process in ["netmon_build_info", "netmon_series", "process_threads", "netmon_processing_lag_seconds"] {
            assert!(!names.contains(of_process), "{of_process}");
        }
    }
}

#[test]
fn what_is_not_available_is_absent_and_what_is_known_starts_at_zero() {
    let config = small();
    let snapshot = snapshots::of(vec![snapshots::silent("eth0", &config)]);
    let samples = reader::read(&render(&config, &snapshot, Form::Text, Scope::All));
    let has = |name: &str| samples.iter().find(|sample| sample.name == name).map(|sample| sample.value);
    for absent in [
        "netmon_capture_up",
        "netmon_capture_backend_info",
        "netmon_capture_gaps_total",
        "netmon_capture_ring_freezes_total",
        "netmon_interface_up",
        "netmon_interface_mtu_bytes",
        "netmon_interface_speed_bytes_per_second",
        "netmon_interface_utilization_ratio",
        "netmon_interface_last_packet_timestamp_seconds",
        "netmon_kernel_interface_receive_bytes_total",
        "netmon_capture_coverage_ratio",
        "netmon_processing_lag_seconds",
        "netmon_flow_duration_seconds_count",
    ] {
        assert_eq!(has(absent), None, "{absent}");
    }
    for zero in [
        "netmon_parse_errors_total",
        "netmon_capture_dropped_packets_total",
        "netmon_capture_superframes_total",
        "netmon_tcp_handshake_rtt_seconds_count",
        "netmon_flows",
    ] {
        assert_eq!(has(zero), Some(0.0), "{zero}");
    }
}

/// The value of a series of `eth0` whose capture says this.
fn said_of(capture: Capture, name: &str) -> Option<f64> {
    let config = small();
    let interface = InterfaceSnapshot { capture, ..snapshots::silent("eth0", &config) };
    let samples = reader::read(&render(&config, &snapshots::of(vec![interface]), Form::Text, Scope::All));
    samples.iter().find(|sample| sample.name == name).map(|sample| sample.value)
}

#[test]
fn an_interface_that_is_gone_is_not_captured_and_one_whose_link_is_down_is() {
    let gone = Capture { backend: "libpcap", restarts: 2, gaps_total: 1, ..Capture::default() };
    let down = Capture { up: true, link_up: Some(false), kernel: Some(Default::default()), ..gone.clone() };
    for (name, when_gone, when_down) in [
        ("netmon_capture_up", Some(0.0), Some(1.0)),
        ("netmon_interface_up", None, Some(0.0)),
        ("netmon_kernel_interface_receive_bytes_total", None, Some(0.0)),
        ("netmon_capture_restarts_total", Some(2.0), Some(2.0)),
        ("netmon_capture_gaps_total", Some(1.0), Some(1.0)),
        ("netmon_capture_ring_freezes_total", None, None),
        ("netmon_interface_receive_bytes_total", Some(0.0), Some(0.0)),
    ] {
        assert_eq!((said_of(gone.clone(), name), said_of(down.clone(), name)), (when_gone, when_down), "{name}");
    }
}

#[test]
fn a_ring_that_can_tell_says_that_it_never_froze() {
    let ring = Capture { up: true, backend: "af_packet", ring_freezes: Some(0), ..Capture::default() };
    assert_eq!(said_of(ring, "netmon_capture_ring_freezes_total"), Some(0.0));
}

#[test]
fn families_over_all_interfaces_warn_of_packets_that_are_seen_twice() {
    let config = everything();
    let page = render(&config, &snapshots::flood(&config), Form::Text, Scope::All);
    for family in
        ["class_bytes_total", "class_packets_total", "talker_bytes_per_second", "talker_other_bytes_per_second"]
    {
        let start = format!("# HELP netmon_{family} ");
        let help = page.lines().find(|line| line.starts_with(&start)).unwrap();
        assert!(help.ends_with("packets seen on two monitored interfaces (bridge and port) count twice."), "{help}");
    }
}

#[test]
fn exemplars_are_in_open_metrics_only_and_inside_their_bucket() {
    let config = everything();
    let snapshot = snapshots::flood(&config);
    let exemplars = |form| {
        let samples = reader::read(&render(&config, &snapshot, form, Scope::All));
        samples.into_iter().filter(|sample| sample.exemplar.is_some()).collect::<Vec<_>>()
    };
    assert!(exemplars(Form::Text).is_empty());
    let found = exemplars(Form::OpenMetrics);
    assert_eq!(found.len(), 30, "15 buckets of flow durations for TCP and for UDP");
    for sample in found {
        let text = sample.exemplar.clone().unwrap();
        let (labels, value) = text.rsplit_once(' ').unwrap();
        assert!(labels.starts_with("{flow_id=\"") && labels.len() == "{flow_id=\"\"}".len() + 16, "{text}");
        let bound: f64 = sample.label("le").unwrap().parse().unwrap();
        assert!(value.parse::<f64>().unwrap() <= bound, "{text} above {bound}");
    }
}

#[test]
fn talkers_beyond_the_exported_ones_are_in_the_rest() {
    let config = everything();
    let samples = reader::read(&render(&config, &snapshots::flood(&config), Form::Text, Scope::All));
    let named = |name: &str, direction: &str| {
        let of = samples.iter().filter(|s| s.name == name && s.label("direction") == Some(direction));
        of.map(|sample| sample.value * 60.0).collect::<Vec<_>>()
    };
    assert_eq!(named("netmon_talker_bytes_per_second", "transmit").len(), 20);
    // Five hosts of the 25 are not listed: 5 · 7 bytes sent and 5 · 9 received, beside 1 and 2 of no list.
    assert_eq!(named("netmon_talker_other_bytes_per_second", "transmit"), [36.0]);
    assert_eq!(named("netmon_talker_other_bytes_per_second", "receive"), [47.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_interface_names_come_back_unique_and_without_control_characters(
        names in prop::collection::vec("(?s)[\\x00-\\x1f\"\\\\{}=,# a\u{7f}\u{85}\u{2028}\u{fffd}é~2]{0,9}|\\PC{0,200}", 1..6)
    ) {
        let config = small();
        let snapshot = snapshots::of(names.iter().map(|name| snapshots::silent(name, &config)).collect());
        for form in [Form::Text, Form::OpenMetrics] {
            let samples = reader::read(&render(&config, &snapshot, form, Scope::All));
            let of_one = samples.iter().filter(|sample| sample.name == "netmon_interface_receive_bytes_total");
            let read: Vec<_> = of_one.map(|sample| sample.label("interface").unwrap()).collect();
            prop_assert_eq!(read.len(), names.len());
            prop_assert_eq!(read.iter().collect::<HashSet<_>>().len(), names.len(), "{:?}", read);
            for (read, name) in read.iter().zip(&names) {
                prop_assert!(!read.chars().any(char::is_control));
                if name.chars().count() <= 128 && !name.chars().any(char::is_control) {
                    prop_assert!(read.starts_with(name.as_str()), "{:?} became {:?}", name, read);
                }
            }
        }
    }
}

/// Pages that parsers shall read: ordinary, at the cap, with nothing, with names that need escaping.
fn pages() -> Vec<(Config, Arc<Snapshot>)> {
    let nasty = ["a\"b", "a\\", "a\\n", "a\nb", "a\rb", "\u{0}", "a} 1 # {x=\"y\"} 1", "ü€𝄞", "", "\u{2028}", "# EOF"];
    let named = |name: &&str| snapshots::silent(name, &small());
    vec![
        (small(), snapshots::two_requests(&small())),
        (everything(), snapshots::flood(&everything())),
        (small(), Arc::default()),
        (small(), snapshots::of(nasty.iter().map(named).collect())),
    ]
}

#[test]
fn python_reads_both_forms_strictly_and_finds_them_equal() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exposition/parsers.py");
    let folder = tempfile::tempdir().unwrap();
    for (config, snapshot) in pages() {
        let write = |form, name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, render(&config, &snapshot, form, Scope::All)).unwrap();
            path
        };
        let (modern, plain) = (write(Form::OpenMetrics, "openmetrics"), write(Form::Text, "text"));
        let output = match Command::new("python3").arg(script).arg(modern).arg(plain).output() {
            Ok(output) if output.status.code() == Some(77) => {
                return println!("skipped: python3 has no module prometheus_client");
            }
            Ok(output) => output,
            Err(error) => return println!("skipped: python3: {error}"),
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn promtool_has_nothing_to_say() {
    for (config, snapshot) in pages() {
        let page = render(&config, &snapshot, Form::Text, Scope::All);
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut promtool = match promtool.spawn() {
            Ok(promtool) => promtool,
            Err(error) => return println!("skipped: promtool: {error}"),
        };
        promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}
