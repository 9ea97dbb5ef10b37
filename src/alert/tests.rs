//! Rules over the pictures of an aggregator that is fed by hand.

use super::*;
use crate::config::from_yaml;
use crate::packet::{Direction, InterfaceId, Network, ParsedPacket, Transport};
use crate::stats::{Capture, Config as Aggregation, DropStage, KernelCounters, StatsAggregator, Tally};
use crate::time::{Step, Tick};

/// An aggregator and rules, at a tick.
struct Rig {
    aggregator: StatsAggregator,
    aggregation: Aggregation,
    evaluator: Evaluator,
    now: u64,
    seen: Vec<Transition>,
}

/// The ticks of the tests begin here, far from the epoch.
const START: u64 = 1_000_000;

impl Rig {
    fn new(rules: &str) -> Self {
        let config = config(rules);
        let mut aggregator = StatsAggregator::new(config.aggregation.clone());
        aggregator.add_interface(InterfaceId(0), "eth0");
        aggregator.add_interface(InterfaceId(1), "eth1");
        let evaluator = Evaluator::new(&config.alerts, None);
        Self { aggregator, aggregation: config.aggregation, evaluator, now: START, seen: Vec::new() }
    }

    /// A tick with so many bytes received on `eth0`.
    fn tick(&mut self, bytes: u32) -> &mut Self {
        self.tick_with(|tally| receive(tally, 0, bytes))
    }

    fn tick_with(&mut self, fill: impl FnOnce(&mut Tally)) -> &mut Self {
        let mut tally = Tally::new(&self.aggregation);
        fill(&mut tally);
        self.now += 1;
        self.aggregator.fold(Tick(self.now), &tally);
        let picture = self.aggregator.snapshot();
        self.seen.extend(self.evaluator.picture(&picture));
        self
    }

    fn ticks(&mut self, count: u64, bytes: u32) -> &mut Self {
        for _ in 0..count {
            self.tick(bytes);
        }
        self
    }

    fn step(&mut self, to: u64) -> &mut Self {
        let step = Step { from: Tick(self.now).end(), to: Tick(to).end() };
        self.aggregator.step(step);
        self.evaluator.step(step);
        self.now = to - 1;
        self
    }

    /// The process ends and begins again, with empty windows.
    fn restart(&mut self, rules: &str) -> &mut Self {
        let stored = serde_json::to_string(&self.evaluator.save()).unwrap();
        let mut again = Self::new(rules);
        again.now = self.now;
        again.evaluator = again.evaluator.restored(&serde_json::from_str(&stored).unwrap());
        again.seen = std::mem::take(&mut self.seen);
        *self = again;
        self
    }

    /// What changed since the last call: ticks after the start, the rule or label set, the state.
    fn changes(&mut self) -> Vec<(u64, String, State)> {
        let row = |transition: Transition| {
            let Transition { alert, at } = transition;
            let labels: Vec<String> = alert.labels.into_values().collect();
            (Tick::of(at).0 - START, format!("{} {}", alert.rule, labels.join(" ")), alert.state)
        };
        self.seen.drain(..).map(row).collect()
    }
}

fn config(rules: &str) -> crate::config::Config {
    from_yaml("rules", rules.as_bytes()).unwrap().config
}

fn receive(tally: &mut Tally, interface: u16, bytes: u32) {
    if bytes > 0 {
        let frame = ParsedPacket {
            interface: InterfaceId(interface),
            wire_len: bytes,
            caplen: bytes,
            direction: Direction::Receive,
            ..ParsedPacket::default()
        };
        tally.packets(&[frame]);
    }
}

fn change(tick: u64, alert: &str, state: State) -> (u64, String, State) {
    (tick, alert.to_owned(), state)
}

use State::{Firing, Inactive, Pending, Resolved};

/// More than 1000 bytes in a second on `eth0`.
fn above(more: &str) -> String {
    format!(
        "alerts: [{{ name: A, metric: receive_bytes_per_second, window: 1s, above: 1000, where: {{interface: eth0}}, {more} }}]\n\
         receivers: [{{ name: ops, slack: {{ url_env: SLACK }} }}]"
    )
}

#[test]
fn above_fires_in_the_tick_that_passes_it_and_resolves_when_the_window_has_emptied() {
    let mut rig = Rig::new(&above(""));
    rig.ticks(20, 0).tick(1000).tick(1).ticks(20, 0);
    assert_eq!(rig.changes(), [change(22, "A eth0", Firing), change(31, "A eth0", Resolved)]);
}

#[test]
fn the_value_and_the_limit_are_told_with_the_times() {
    let mut rig = Rig::new(&above("for: 200ms, severity: critical, labels: {team: net}, notify: [ops]"));
    rig.ticks(20, 0).tick(1500).ticks(2, 0);
    let Transition { alert, at } = rig.seen.pop().unwrap();
    assert_eq!(
        (alert.state, alert.value, alert.threshold, alert.unit),
        (Firing, 1500.0, Some(1000.0), "bytes_per_second")
    );
    assert_eq!((at, alert.fired_at, alert.active_since), (Tick(START + 23).end(), Some(at), Tick(START + 21).end()));
    assert_eq!((alert.severity, &*alert.notify, alert.blind), (Severity::Critical, &["ops".to_owned()][..], false));
    assert_eq!(alert.labels["team"], "net");
}

#[test]
fn it_has_to_hold_for_as_long_as_the_rule_says_without_a_break() {
    let mut rig = Rig::new(&above("for: 1s"));
    // Above for nine ticks only, then for long.
    rig.ticks(20, 0).tick(2000).ticks(20, 0);
    assert_eq!(rig.changes(), [change(21, "A eth0", Pending), change(31, "A eth0", Inactive)]);
    rig.ticks(20, 2000);
    assert_eq!(rig.changes(), [change(42, "A eth0", Pending), change(52, "A eth0", Firing)]);
}

#[test]
fn between_the_limit_and_the_clear_level_nothing_changes() {
    let mut rig = Rig::new(&above("clear: 500"));
    rig.ticks(20, 60).ticks(10, 150).ticks(30, 60);
    assert_eq!(rig.changes().iter().map(|(_, _, state)| *state).collect::<Vec<_>>(), [Firing]);
    // 500 bytes in a second are no longer above 500.
    rig.ticks(20, 50);
    assert_eq!(rig.changes().iter().map(|(_, _, state)| *state).collect::<Vec<_>>(), [Resolved]);
}

#[test]
fn it_keeps_firing_for_as_long_as_the_rule_says() {
    let mut rig = Rig::new(&above("keep_firing_for: 1s"));
    // Clear from tick 32 on for five ticks, above again, clear for good ten ticks after.
    rig.ticks(20, 0).tick(2000).ticks(14, 0).tick(2000).ticks(30, 0);
    assert_eq!(rig.changes(), [change(21, "A eth0", Firing), change(56, "A eth0", Resolved)]);
}

#[test]
fn below_waits_for_a_full_window_and_says_that_it_was_held() {
    let rule = "alerts: [{ name: B, metric: receive_packets_per_second, window: 1s, below: 5, clear: 8, where: {interface: eth0} }]";
    let mut rig = Rig::new(rule);
    rig.tick(100).ticks(9, 0);
    assert_eq!(rig.changes(), []);
    assert_eq!(rig.evaluator.rules()[1].counts.suppressed, [0, 1]);
    rig.tick(0);
    assert_eq!(rig.changes(), [change(11, "B eth0", Firing)]);
    rig.ticks(7, 100);
    assert_eq!(rig.changes(), []);
    rig.tick(100);
    assert_eq!(rig.changes(), [change(19, "B eth0", Resolved)]);
}

#[test]
fn a_share_without_a_whole_is_no_data_and_fires_nothing() {
    let rule = "alerts: [{ name: S, metric: protocol_bytes_ratio, window: 1s, above: 50%, where: {protocol: other, interface: eth0} }]";
    let mut rig = Rig::new(rule);
    // The frames of these tests are of no protocol.
    rig.ticks(10, 100);
    assert_eq!(rig.changes(), []);
    rig.tick(100);
    assert_eq!(rig.changes(), [change(11, "S other eth0", Firing)].map(|c| change(c.0, "S eth0 other", c.2)));
    rig.ticks(30, 0);
    assert_eq!(rig.changes(), [change(21, "S eth0 other", Resolved)]);
}

#[test]
fn a_ratio_or_quantile_of_fewer_samples_than_asked_for_is_no_data() {
    // 150 bytes are too few for a share of 200, and 1,500 are not; a share of few ends what fired, as no data does.
    let rule = "alerts: [{ name: S, metric: protocol_bytes_ratio, window: 1s, above: 50%, min_samples: 200, where: {protocol: other, interface: eth0} }]";
    let mut rig = Rig::new(rule);
    rig.ticks(40, 15);
    assert_eq!(rig.changes(), []);
    rig.ticks(10, 150);
    assert_eq!(rig.changes(), [change(41, "S eth0 other", Firing)]);
    rig.ticks(20, 15);
    assert_eq!(rig.changes(), [change(60, "S eth0 other", Resolved)]);

    let rule = "alerts: [{ name: Q, metric: handshake_rtt_p95_seconds, window: 1s, above: 100ms, min_samples: 3, where: {interface: eth0, side: client} }]";
    let mut picture = Rig::new(rule).tick(0).aggregator.snapshot().as_ref().clone();
    let mut evaluator = Evaluator::new(&config(rule).alerts, None);
    let mut fires_with = |tick: u64, count: u64| {
        let mut interface = crate::stats::InterfaceSnapshot::clone(&picture.interfaces[0]);
        let quantiles = crate::stats::Quantiles { count, p95: 200_000_000, ..Default::default() };
        interface.windows[0].handshake_rtt = [quantiles; 2];
        (picture.tick, picture.interfaces) = (Some(Tick(START + tick)), vec![interface.into()]);
        !evaluator.picture(&picture).is_empty()
    };
    assert_eq!([fires_with(1, 1), fires_with(2, 2), fires_with(3, 3)], [false, false, true]);

    let host = "alerts: [{ name: H, metric: host_bytes_ratio, window: 1s, above: 50%, min_samples: LEAST, where: {host: '!10.9.*'} }]";
    for (least, fires) in [("1kB", true), ("1001", false)] {
        let mut evaluator = Evaluator::new(&config(&host.replace("LEAST", least)).alerts, None);
        let picture = |tick| crate::stats::Snapshot {
            tick: Some(Tick(tick)),
            talkers: vec![talkers([800, 100])],
            ..Default::default()
        };
        assert_eq!((1..=20).any(|tick| !evaluator.picture(&picture(tick)).is_empty()), fires, "{least}");
    }
}

#[test]
fn what_is_usual_is_also_what_few_samples_said() {
    // A quiet minute of shares of 40 %, each of few bytes; then all of many bytes.
    let rule = "alerts: [{ name: S, metric: protocol_bytes_ratio, window: 1s, above: 2x, baseline: 60s, min_samples: 2kB, where: {protocol: other, interface: eth0} }]";
    let mut rig = Rig::new(rule);
    let mut shares = |ticks: u64, other: u32, tcp: u32| {
        for _ in 0..ticks {
            rig.tick_with(|tally| {
                receive(tally, 0, other);
                let frame = ParsedPacket {
                    wire_len: tcp,
                    caplen: tcp,
                    network: Network::Ipv4,
                    transport: Transport::Tcp,
                    ..ParsedPacket::default()
                };
                tally.packets(&[frame]);
            });
        }
        rig.changes()
    };
    assert_eq!(shares(700, 40, 60), []);
    assert_eq!(shares(20, 2000, 1), [change(701, "S eth0 other", Firing)]);
}

#[test]
fn what_the_history_says_of_itself_can_be_watched_and_is_no_data_without_one() {
    let rules = "alerts: [{ name: F, metric: history_failing, above: 0, for: 500ms }, { name: D, metric: history_quarantined, above: 0 }]";
    let mut rig = Rig::new(rules);
    rig.ticks(20, 100);
    assert_eq!(rig.changes(), []);
    let mut health = crate::stats::HistoryHealth::default();
    let mut says = |rig: &mut Rig, failing, quarantined| {
        (health.failing, health.quarantined) = (failing, quarantined);
        rig.aggregator.set_history(health);
        rig.ticks(10, 100);
        rig.changes()
    };
    assert_eq!(says(&mut rig, false, 0), []);
    assert_eq!(says(&mut rig, true, 0), [change(31, "F ", Pending), change(36, "F ", Firing)]);
    assert_eq!(says(&mut rig, false, 1), [change(41, "F ", Resolved), change(41, "D ", Firing)]);
    assert_eq!(says(&mut rig, false, 2), []);
}

#[test]
fn absent_fires_for_silence_and_for_a_named_interface_that_never_came() {
    let rule = "alerts: [{ name: N, metric: receive_packets_per_second, window: 1s, absent: true, where: {interface: [eth0, wan]} }]";
    let mut rig = Rig::new(rule);
    rig.tick(700).ticks(30, 0);
    assert_eq!(rig.seen[0].alert.value, 1.0, "the last value that was something");
    assert_eq!(rig.changes(), [change(11, "N eth0", Firing), change(11, "N wan", Firing)]);
    rig.tick(100);
    assert_eq!(rig.changes(), [change(32, "N eth0", Resolved)]);
}

#[test]
fn a_time_step_fires_and_resolves_nothing_by_itself() {
    let mut rig = Rig::new(&above("for: 1s, keep_firing_for: 1s"));
    rig.ticks(20, 0).ticks(5, 2000).step(START + 900_000);
    rig.changes();
    // Pending goes on waiting from the step on while the condition holds.
    rig.ticks(11, 2000);
    assert_eq!(rig.changes(), [change(900_010, "A eth0", Firing)]);
    // Backward; the window is not full for a second, and then has to be clear for another.
    rig.step(START + 50).ticks(40, 0);
    assert_eq!(rig.changes(), [change(70, "A eth0", Resolved)]);
}

#[test]
fn a_restart_goes_on_in_every_state() {
    let rules = above("for: 1s, keep_firing_for: 1s");
    let mut rig = Rig::new(&rules);
    rig.ticks(20, 0).restart(&rules).ticks(5, 2000).restart(&rules);
    assert_eq!(rig.changes(), [change(21, "A eth0", Pending)]);
    // Pending before: it waits anew, and does not fire for what was not watched.
    rig.ticks(10, 2000);
    assert_eq!(rig.changes(), []);
    rig.tick(2000);
    assert_eq!(rig.changes(), [change(36, "A eth0", Firing)]);
    let fired_at = rig.evaluator.alerts()[0].fired_at;
    // Firing before: the window is empty, which is no reason to resolve until it is full.
    rig.restart(&rules).ticks(10, 0);
    assert_eq!(rig.changes(), []);
    assert_eq!(rig.evaluator.alerts()[0].fired_at, fired_at);
    // Clear for half of the time, then restarted: that counts anew too.
    rig.ticks(5, 0).restart(&rules).ticks(20, 0);
    assert_eq!(rig.changes(), []);
    rig.tick(0);
    assert_eq!(rig.changes(), [change(72, "A eth0", Resolved)]);
    rig.restart(&rules).ticks(30, 0);
    assert_eq!(rig.changes(), []);
}

#[test]
fn after_a_restart_an_interface_is_waited_for_before_its_alerts_end() {
    let rules = above("");
    let mut rig = Rig::new(&rules);
    let without_interfaces = StatsAggregator::new(rig.aggregation.clone());
    rig.ticks(20, 2000).restart(&rules).aggregator = without_interfaces;
    assert_eq!(rig.changes(), [change(1, "A eth0", Firing)]);
    rig.ticks(3, 0).aggregator.add_interface(InterfaceId(0), "eth0");
    rig.ticks(20, 2000);
    assert_eq!(rig.changes(), []);
    // One that does not come is gone.
    let without_interfaces = StatsAggregator::new(rig.aggregation.clone());
    rig.restart(&rules).aggregator = without_interfaces;
    rig.ticks(100, 0);
    assert_eq!(rig.changes(), []);
    rig.tick(0);
    assert_eq!(rig.changes(), [change(144, "A eth0", Resolved)]);
}

#[test]
fn an_alert_whose_rule_is_gone_resolves_at_the_first_tick_after_a_restart() {
    let mut rig = Rig::new(&above(""));
    rig.ticks(20, 2000).restart("alerts: [{ name: Z, metric: active_flows, above: 1 }]").tick(0);
    assert_eq!(rig.changes()[1..], [change(21, "A eth0", Resolved)]);
}

#[test]
fn a_reload_leaves_the_state_of_rules_that_watch_the_same_and_ends_the_others() {
    let rule = |name: &str, limit: u32, severity: &str| {
        format!(
            "{{ name: {name}, metric: receive_bytes_per_second, window: 1s, above: {limit}, severity: {severity}, where: {{interface: eth0}} }}"
        )
    };
    let rules = |rules: &[String]| config(&format!("alerts: [{}]", rules.join(", "))).alerts;
    let mut rig = Rig::new(&format!("alerts: [{}, {}]", rule("A", 1000, "info"), rule("B", 1000, "info")));
    rig.ticks(20, 2000);
    rig.changes();
    let ended = rig.evaluator.reload(&rules(&[rule("C", 1000, "info"), rule("A", 1000, "critical")]));
    rig.seen.extend(ended);
    assert_eq!(rig.changes(), [change(20, "B eth0", Resolved)]);
    rig.tick(2000);
    assert_eq!(rig.changes(), [change(21, "C eth0", Firing)]);
    let severities: Vec<Severity> = rig.evaluator.alerts().iter().map(|alert| alert.severity).collect();
    assert_eq!(severities, [Severity::Info, Severity::Critical]);
    // Another limit watches something else.
    let ended = rig.evaluator.reload(&rules(&[rule("A", 1, "critical")]));
    assert_eq!(
        ended.iter().map(|t| (&*t.alert.rule, t.alert.state)).collect::<Vec<_>>(),
        [("A", Resolved), ("C", Resolved)]
    );
    assert_eq!(rig.evaluator.reload(&Config::default()), []);
}

#[test]
fn while_frames_are_lost_alerts_of_the_interface_say_so_and_one_of_its_own_fires() {
    let mut rig = Rig::new(&above(""));
    rig.ticks(100, 0);
    let lossy = |tally: &mut Tally| {
        receive(tally, 0, 2000);
        receive(tally, 1, 2000);
        tally.dropped(InterfaceId(0), DropStage::Kernel, 5);
    };
    rig.tick_with(lossy);
    let blind: Vec<bool> = rig.seen.iter().map(|transition| transition.alert.blind).collect();
    assert_eq!(blind, [false, true], "the loss itself is known");
    assert_eq!(rig.changes(), [change(101, "CaptureBlind eth0", Firing), change(101, "A eth0", Firing)]);
    rig.ticks(200, 0);
    assert_eq!(rig.changes(), [change(111, "A eth0", Resolved), change(201, "CaptureBlind eth0", Resolved)]);
}

#[test]
fn while_nothing_is_captured_silence_is_not_news() {
    let rules = "alerts: [{ name: B, metric: receive_packets_per_second, window: 1s, below: 5, where: {interface: eth0} }, { name: U, metric: capture_up, below: 1, where: {interface: eth0} }]";
    let mut rig = Rig::new(rules);
    let kernel = Some(KernelCounters::default());
    let state = |up| Capture { up, backend: "af_packet", link_up: Some(true), kernel, ..Capture::default() };
    rig.aggregator.capture(InterfaceId(0), state(true));
    rig.ticks(20, 1000);
    rig.aggregator.capture(InterfaceId(0), state(false));
    rig.ticks(20, 0);
    assert_eq!(rig.changes(), [change(21, "CaptureBlind eth0", Firing), change(21, "U eth0", Firing)]);
    assert_eq!(
        rig.evaluator.rules()[1].counts.suppressed,
        [1, 1],
        "once while nothing was captured, once at the start"
    );
    assert_eq!(rig.evaluator.rules()[1].states.values().max(), Some(&Standing::Suppressed));
    // Once it is captured again, the silence is real.
    rig.aggregator.capture(InterfaceId(0), state(true));
    rig.tick(0);
    let resolved =
        [change(41, "CaptureBlind eth0", Resolved), change(41, "B eth0", Firing), change(41, "U eth0", Resolved)];
    assert_eq!(rig.changes(), resolved);
    // It leaves the machine: nothing is below anything there, and nothing is lost.
    let gone = Capture { link_up: Some(false), kernel: None, ..state(false) };
    rig.aggregator.capture(InterfaceId(0), gone);
    rig.ticks(20, 0);
    assert_eq!(rig.changes(), [change(42, "B eth0", Resolved), change(42, "U eth0", Firing)]);
    // Nobody asks for it any more.
    rig.aggregator.remove_interface(InterfaceId(0));
    rig.ticks(20, 0);
    assert_eq!(rig.changes(), [change(62, "U eth0", Resolved)]);
}

#[test]
fn a_multiple_of_the_past_waits_until_the_past_is_known() {
    let mut rig = Rig::new(
        "alerts: [{ name: M, metric: receive_bytes_per_second, window: 1s, above: 3x, baseline: 60s, where: {interface: eth0} }]",
    );
    rig.ticks(300, 100).ticks(50, 500).ticks(251, 100);
    assert_eq!(rig.changes(), []);
    rig.ticks(20, 500);
    let Transition { alert, .. } = &rig.seen[0];
    let (value, limit) = (alert.value, alert.threshold.unwrap());
    assert!(value > limit && (3900.0..4100.0).contains(&limit), "{value} {limit}");
}

/// Answers with what it was asked for, once.
#[derive(Debug)]
struct Yesterday;

impl Past for Yesterday {
    fn mean(
        &self,
        metric: &'static Metric,
        labels: &std::collections::BTreeMap<String, String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Remembered {
        assert_eq!((metric.name, to.nanos_since(from)), ("receive_bytes_per_second", 3_600_000_000_000));
        // Tick 1,000,000 is in hour 27.
        assert_eq!(from.as_nanos(), 3 * 3_600_000_000_000);
        if labels["interface"] == "eth0" { Remembered::Mean(100.0) } else { Remembered::Nothing }
    }
}

#[test]
fn the_same_hour_yesterday_is_asked_of_the_history() {
    let mut config = config("alerts: [{ name: Y, metric: receive_bytes_per_second, window: 1s, above: 3x }]").alerts;
    let rule = std::sync::Arc::make_mut(&mut config.rules[0]);
    let limit = Level::Times(3.0, Baseline::SameHourYesterday);
    rule.condition = Condition::Above { limit, clear: limit };
    let mut rig = Rig::new("");
    rig.evaluator = Evaluator::new(&config, Some(Arc::new(Yesterday)));
    let both = |tally: &mut Tally| (0..2).for_each(|interface| receive(tally, interface, 301));
    rig.tick_with(both).tick_with(both);
    assert_eq!(rig.changes(), [change(1, "Y eth0", Firing)]);
    assert_eq!(rig.evaluator.rules()[1].counts.failures, 1, "eth1 has no past, which was asked for once");
}

/// Knows everything from the third question on.
#[derive(Debug, Default)]
struct Slow(std::sync::atomic::AtomicU32);

impl Past for Slow {
    fn mean(
        &self,
        _: &'static Metric,
        _: &std::collections::BTreeMap<String, String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Remembered {
        assert_eq!((from.as_nanos() % 60_000_000_000, to.nanos_since(from)), (0, 3_600_000_000_000));
        let asked = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if asked < 2 { Remembered::NotYet } else { Remembered::Mean(100.0) }
    }
}

#[test]
fn the_time_before_the_start_is_asked_of_the_history_each_second_until_it_answers() {
    let yaml =
        "alerts: [{ name: S, metric: receive_bytes_per_second, window: 1s, above: 3x, where: {interface: eth0} }]";
    let mut rig = Rig::new("");
    let past = Arc::new(Slow::default());
    rig.evaluator = Evaluator::new(&config(yaml).alerts, Some(Arc::<Slow>::clone(&past)));
    rig.ticks(40, 100);
    assert_eq!(rig.changes(), [change(21, "S eth0", Firing)]);
    assert_eq!(past.0.load(std::sync::atomic::Ordering::Relaxed), 3);
}

#[test]
fn silence_grows_until_its_limit_and_says_when_that_will_be() {
    let mut rig = Rig::new(
        "alerts: [{ name: Q, metric: last_packet_age_seconds, above: 5s, where: {interface: eth0}, for: 2s }]",
    );
    let seen = |tally: &mut Tally| {
        let timestamp = Tick(START + 1).end();
        let frame = ParsedPacket { timestamp, wire_len: 60, caplen: 60, ..ParsedPacket::default() };
        tally.packets(&[frame]);
    };
    rig.tick_with(seen);
    assert_eq!(rig.evaluator.deadline(), Some(Tick(START + 52)));
    rig.now = START + 51;
    rig.tick(0);
    assert_eq!(rig.changes(), [change(52, "Q eth0", Pending)]);
    assert_eq!(rig.evaluator.deadline(), Some(Tick(START + 72)));
    rig.now = START + 71;
    rig.tick(0);
    assert_eq!(rig.changes(), [change(72, "Q eth0", Firing)]);
    assert_eq!(rig.evaluator.deadline(), None);
}

#[test]
fn a_tick_counts_once_however_often_it_is_shown() {
    let mut rig = Rig::new(&above(""));
    rig.ticks(20, 2000);
    let picture = rig.aggregator.snapshot();
    assert_eq!(rig.evaluator.picture(&picture), []);
}

#[test]
fn label_sets_beyond_the_bound_are_counted() {
    let mut rig = Rig::new(
        "aggregation: {max_interfaces: 256}\nalerts: [{ name: P, metric: protocol_bytes_per_second, window: 1s, above: 1 }]",
    );
    (2..100).for_each(|n| rig.aggregator.add_interface(InterfaceId(n), &format!("veth{n:03}")));
    rig.tick(0);
    let state = &rig.evaluator.rules()[1];
    // Six protocols each: 42 interfaces fit into 256 label sets, 58 do not.
    assert_eq!((state.states.len(), state.counts.dropped_label_sets), (42, 58 * 6));
}

#[test]
fn an_interface_that_comes_later_is_watched_from_then_on() {
    let mut rig = Rig::new(
        "alerts: [{ name: A, metric: receive_bytes_per_second, window: 1s, above: 1000, where: {interface: 'w*'} }]",
    );
    rig.ticks(20, 5000);
    rig.aggregator.add_interface(InterfaceId(2), "wan");
    rig.tick_with(|tally| receive(tally, 2, 5000));
    assert_eq!(rig.changes(), [change(21, "A wan", Firing)]);
}

#[test]
fn traffic_between_classes_is_over_the_window_and_hosts_are_watched_while_they_are_on_top() {
    let yaml = "address_classes: {lan: 10.0.0.0/8}\nalerts: [{ name: C, metric: class_bytes_per_second, window: 1s, above: 1000, where: {source_class: lan} }]";
    let classes: Vec<String> = vec!["lan".into()];
    let rule = &config(yaml).alerts.rules[0];
    assert_eq!((rule.label_sets(), &*rule.classes), (2, &classes[..]));
    let mut evaluator = Evaluator::new(&config(yaml).alerts, None);
    let mut rates = Vec::new();
    for tick in 1..=40 {
        let bytes = if tick < 20 { tick * 200 } else { 4000 };
        let to_other = crate::stats::Volume { packets: tick, bytes };
        let none = crate::stats::Volume::default();
        let classes = vec![vec![none, to_other], vec![none; 2]];
        let snapshot = crate::stats::Snapshot { tick: Some(Tick(tick)), classes, ..Default::default() };
        rates.extend(evaluator.picture(&snapshot).into_iter().map(|t| (tick, t.alert.state, t.alert.value)));
    }
    assert_eq!(rates, [(6, Firing, 1200.0), (25, Resolved, 1000.0)]);

    let yaml = "alerts: [{ name: H, metric: host_bytes_ratio, window: 1s, above: 50%, keep_firing_for: 300ms, where: {host: '!10.9.*'} }]";
    let mut evaluator = Evaluator::new(&config(yaml).alerts, None);
    let mut seen = Vec::new();
    for tick in 1..=40 {
        let bytes = if tick <= 20 { [800, 100] } else { [100, 100] };
        let talkers = vec![talkers(bytes)];
        let snapshot = crate::stats::Snapshot { tick: Some(Tick(tick)), talkers, ..Default::default() };
        seen.extend(
            evaluator.picture(&snapshot).into_iter().map(|t| (tick, t.alert.labels["host"].clone(), t.alert.state)),
        );
        assert_eq!(evaluator.deadline().is_some(), (11..24).contains(&tick), "{tick}");
    }
    let host = "10.0.0.1".to_owned();
    assert_eq!(seen, [(11, host.clone(), Firing), (24, host, Resolved)]);
}

/// What 10.0.0.1 and 10.9.0.1 sent of 1000 bytes; the second also received all of it.
fn talkers(bytes: [u64; 2]) -> crate::stats::TalkerTable {
    use crate::stats::{Talker, TalkerKey, TalkerTable};
    let row =
        |host: &str, from_bytes, to_bytes| Talker { key: TalkerKey::Host(host.parse().unwrap()), from_bytes, to_bytes };
    TalkerTable {
        length: std::time::Duration::from_secs(1),
        hosts: vec![row("10.9.0.1", bytes[1], 900), row("10.0.0.1", bytes[0], 0)],
        pairs: Vec::new(),
        ports: Vec::new(),
        other: [[1000 - bytes[0] - bytes[1], 100]; 3],
        error_bound: [0; 3],
    }
}
