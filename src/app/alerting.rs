//! Alert rules on the pictures of a pipeline: collected in replay, handed on while live.

use super::Keeper;
use super::resolved::Resolved;
use crate::alert::{self, Evaluator, Picture, State, Transition};
use crate::history::{AlertEvent, Feed};
use crate::metrics::EVALUATION_BOUNDS;
use crate::pipeline::Watcher;
use crate::stats::{Buckets, Snapshot};
use crate::telemetry::trace_span;
use crate::time::{Step, Tick};
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, TrySendError, unbounded};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tracing::Span;
use tracing::field::Empty;

/// Where readers look for rules and alerts.
pub type Board = Arc<ArcSwap<Picture>>;

/// Transitions that wait while nobody takes them: more than all label sets that fit into a few rules, 8 MiB at most.
const MAX_WAITING: usize = 16_384;

/// Everything that alerts did in a replay, in packet time.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Arc<Mutex<Vec<Transition>>>);

impl Timeline {
    /// What evaluates rules, notes their transitions here and in a history if there is one, and where they stand on
    /// `board`.
    pub fn of(&self, evaluator: Evaluator, board: Board, history: Option<Feed>) -> Box<dyn Watcher> {
        Box::new(Recorder { rules: Rules::new(evaluator, board), timeline: self.clone(), history })
    }

    /// What was noted so far, in order.
    pub fn take(&self) -> Vec<Transition> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Notes transitions. They are the result of the replay, so all are kept: about 0.5 KiB each.
#[derive(Debug)]
struct Recorder {
    rules: Rules,
    timeline: Timeline,
    history: Option<Feed>,
}

impl Watcher for Recorder {
    fn picture(&mut self, snapshot: &Arc<Snapshot>) {
        let changed = self.rules.picture(snapshot);
        if let Some(history) = &self.history {
            changed.iter().for_each(|transition| history.alert(AlertEvent::from(transition)));
        }
        if !changed.is_empty() {
            self.timeline.0.lock().unwrap_or_else(PoisonError::into_inner).extend(changed);
        }
    }

    fn step(&mut self, step: Step) {
        self.rules.evaluator.step(step);
    }

    fn deadline(&self) -> Option<Tick> {
        self.rules.evaluator.deadline()
    }
}

impl Drop for Recorder {
    /// The end of the replay: the last states are those of its end.
    fn drop(&mut self) {
        self.rules.show();
    }
}

/// The rules of a running daemon.
#[derive(Debug)]
pub struct Alerting {
    orders: Sender<alert::Config>,
}

impl Alerting {
    /// What evaluates the rules on each picture, and how it is told of others. Transitions go to `out` and to the
    /// history, which are never waited for, and to the log.
    pub fn new(
        evaluator: Evaluator,
        board: Board,
        out: Option<Sender<Transition>>,
        history: Option<Keeper>,
    ) -> (Self, Box<dyn Watcher>) {
        let (orders, ordered) = unbounded();
        let rules = Rules::new(evaluator, board);
        (Self { orders }, Box::new(Live { rules, orders: ordered, out, history, waiting: VecDeque::new() }))
    }

    /// Other rules, from the next picture on.
    pub fn reload(&self, config: &alert::Config) {
        // The collector ends with the daemon, which asks nothing of it then.
        drop(self.orders.send(config.clone()));
    }
}

/// Hands transitions on.
#[derive(Debug)]
struct Live {
    rules: Rules,
    orders: Receiver<alert::Config>,
    out: Option<Sender<Transition>>,
    history: Option<Keeper>,
    /// What could not be handed on yet, in order.
    waiting: VecDeque<Transition>,
}

impl Watcher for Live {
    fn picture(&mut self, snapshot: &Arc<Snapshot>) {
        let mut changed = Vec::new();
        for config in self.orders.try_iter() {
            changed.extend(self.rules.reload(&config));
        }
        changed.extend(self.rules.picture(snapshot));
        for transition in changed {
            log(&transition);
            self.history.iter().for_each(|history| history.alert(&transition));
            self.take(transition);
        }
        self.hand_on();
        self.rules.waiting = self.waiting.len() as u64;
    }

    fn step(&mut self, step: Step) {
        self.rules.evaluator.step(step);
    }

    /// Live every tick is shown anyway.
    fn deadline(&self) -> Option<Tick> {
        None
    }
}

impl Live {
    fn take(&mut self, transition: Transition) {
        if self.out.is_none() {
            return;
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(transition);
        } else {
            self.rules.lost += 1;
        }
    }

    /// As many as there is room for, in order.
    fn hand_on(&mut self) {
        let Some(out) = &self.out else { return };
        while let Some(transition) = self.waiting.pop_front() {
            match out.try_send(transition) {
                Ok(()) => {}
                Err(TrySendError::Full(transition)) => return self.waiting.push_front(transition),
                // Whoever was told is gone: the daemon stops.
                Err(TrySendError::Disconnected(_)) => return self.waiting.clear(),
            }
        }
    }
}

fn log(Transition { alert, .. }: &Transition) {
    let labels: Vec<String> = alert.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (labels, state) = (labels.join(" "), alert.state.name());
    match alert.state {
        State::Firing => {
            tracing::warn!(alert = &*alert.rule, labels, state, value = alert.value, blind = alert.blind, "alert");
        }
        State::Resolved => tracing::info!(alert = &*alert.rule, labels, state, value = alert.value, "alert"),
        State::Pending | State::Inactive => tracing::debug!(alert = &*alert.rule, labels, state, "alert"),
    }
}

/// An evaluator that is measured and shown.
#[derive(Debug)]
struct Rules {
    evaluator: Evaluator,
    board: Board,
    durations: Buckets,
    resolved: Resolved,
    /// The tick that the board shows.
    shown: Option<Tick>,
    waiting: u64,
    lost: u64,
}

impl Rules {
    fn new(evaluator: Evaluator, board: Board) -> Self {
        let durations = Buckets::new(EVALUATION_BOUNDS);
        Self { evaluator, board, durations, resolved: Resolved::default(), shown: None, waiting: 0, lost: 0 }
    }

    /// Other rules; shown with the next picture.
    fn reload(&mut self, config: &alert::Config) -> Vec<Transition> {
        let changed = self.evaluator.reload(config);
        self.resolved.note(&changed);
        self.shown = None;
        changed
    }

    /// Shown is every change at once, and once a second what else there is.
    fn picture(&mut self, snapshot: &Snapshot) -> Vec<Transition> {
        #[expect(clippy::disallowed_methods, reason = "measures itself; no value from packets depends on it")]
        let begun = Instant::now();
        let has_rules = self.evaluator.has_rules();
        let span = if has_rules { trace_span!("alerts.evaluate", transitions = Empty) } else { Span::none() }.entered();
        let changed = self.evaluator.picture(snapshot);
        span.record("transitions", changed.len());
        drop(span);
        self.durations.observe(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX), None);
        let is_old = |shown: Tick| snapshot.tick.is_none_or(|now| now.0.abs_diff(shown.0) >= Tick::PER_SECOND);
        if !changed.is_empty() || self.shown.is_none_or(is_old) {
            self.shown = snapshot.tick;
            self.resolved.note(&changed);
            self.resolved.forget(snapshot.tick.unwrap_or_default());
            self.show();
        }
        changed
    }

    fn show(&self) {
        let Self { durations, waiting, lost, .. } = self;
        let (durations, waiting, lost) = (Some(durations.clone()), *waiting, *lost);
        let resolved = self.resolved.alerts();
        self.board.store(Arc::new(Picture { resolved, durations, waiting, lost, ..self.evaluator.show() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_yaml;
    use crate::packet::{InterfaceId, ParsedPacket};
    use crate::stats::{StatsAggregator, Tally};
    use crossbeam_channel::bounded;

    /// Rules over an interface whose bytes are given tick by tick.
    fn feed(watcher: &mut dyn Watcher, ticks: &[(u64, u32)]) {
        let config = crate::stats::Config::default();
        let mut aggregator = StatsAggregator::new(config.clone());
        aggregator.add_interface(InterfaceId(0), "eth0");
        for (tick, bytes) in ticks {
            let mut tally = Tally::new(&config);
            tally.packets(&[ParsedPacket { wire_len: *bytes, caplen: *bytes, ..ParsedPacket::default() }]);
            aggregator.fold(Tick(*tick), &tally);
            watcher.picture(&aggregator.snapshot());
        }
    }

    fn config(limit: u32) -> alert::Config {
        let yaml = format!("alerts: [{{ name: A, metric: bytes_per_second, window: 1s, above: {limit} }}]");
        from_yaml("f", yaml.as_bytes()).unwrap().config.alerts
    }

    #[test]
    fn what_cannot_be_handed_on_waits_and_keeps_its_order() {
        let (out, taken) = bounded(1);
        let board = Board::default();
        let (_alerting, mut watcher) =
            Alerting::new(Evaluator::new(&config(1000), None), Arc::clone(&board), Some(out), None);
        // Fires and resolves twice, 1 s apart.
        let ticks: Vec<(u64, u32)> = (100..150).map(|tick| (tick, if tick % 25 == 0 { 2000 } else { 1 })).collect();
        feed(&mut *watcher, &ticks);
        let states = || taken.try_iter().map(|transition| transition.alert.state).collect::<Vec<_>>();
        assert_eq!(states(), [State::Firing]);
        feed(&mut *watcher, &[(151, 1)]);
        assert_eq!(states(), [State::Resolved]);
        feed(&mut *watcher, &[(152, 1)]);
        assert_eq!(states(), [State::Firing]);
        feed(&mut *watcher, &[(153, 1)]);
        assert_eq!(states(), [State::Resolved]);
    }

    #[test]
    fn other_rules_hold_from_the_next_picture_on_and_the_board_shows_them() {
        let board = Board::default();
        let (alerting, mut watcher) =
            Alerting::new(Evaluator::new(&config(1000), None), Arc::clone(&board), None, None);
        feed(&mut *watcher, &[(100, 500)]);
        assert!(board.load().alerts.is_empty() && board.load().rules.len() == 2);
        alerting.reload(&config(100));
        feed(&mut *watcher, &[(101, 500)]);
        assert_eq!(board.load().alerts[0].threshold, Some(100.0));
        alerting.reload(&alert::Config::default());
        feed(&mut *watcher, &[(102, 500)]);
        assert!(board.load().alerts.is_empty() && board.load().rules.is_empty());
    }

    #[test]
    fn what_resolved_is_shown_for_a_quarter_of_an_hour_unless_it_is_active_again() {
        let board = Board::default();
        let (alerting, mut watcher) =
            Alerting::new(Evaluator::new(&config(1000), None), Arc::clone(&board), None, None);
        let shown = || (board.load().alerts.len(), board.load().resolved.len());
        // 16 minutes, with a burst of a second at the beginning and at the end.
        let minutes = 600;
        let feed_to = |watcher: &mut dyn Watcher, from: u64, to: u64, bytes: u32| {
            feed(watcher, &(from..to).map(|tick| (tick, bytes)).collect::<Vec<_>>());
        };
        feed_to(&mut *watcher, 100, 101, 2000);
        assert_eq!(shown(), (1, 0));
        feed_to(&mut *watcher, 101, 130, 1);
        assert_eq!(shown(), (0, 1));
        let resolved = board.load().resolved[0].clone();
        assert_eq!((resolved.state, resolved.resolved_at), (State::Resolved, Some(Tick(110).end())));
        feed_to(&mut *watcher, 130, 110 + 15 * minutes, 1);
        assert_eq!(shown(), (0, 1));
        feed_to(&mut *watcher, 110 + 15 * minutes, 130 + 15 * minutes, 1);
        assert_eq!(shown(), (0, 0));

        feed_to(&mut *watcher, 20_000, 20_001, 2000);
        feed_to(&mut *watcher, 20_001, 20_030, 1);
        assert_eq!(shown(), (0, 1));
        feed_to(&mut *watcher, 20_030, 20_031, 2000);
        assert_eq!(shown(), (1, 0), "it fires again");
        let other = "alerts: [{ name: Other, metric: bytes_per_second, window: 1s, above: 1 }]";
        alerting.reload(&from_yaml("f", other.as_bytes()).unwrap().config.alerts);
        feed_to(&mut *watcher, 20_031, 20_032, 1);
        assert_eq!(&*board.load().resolved[0].rule, "A", "its rule is gone");
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_counted() {
        let (out, _taken) = bounded(1);
        let board = Board::default();
        let rules = Rules::new(Evaluator::new(&config(1000), None), Arc::clone(&board));
        let (_orders, orders) = unbounded();
        let mut live = Live { rules, orders, out: Some(out), history: None, waiting: VecDeque::new() };
        let alert = {
            feed(&mut live, &[(100, 2000)]);
            board.load().alerts[0].clone()
        };
        (0..MAX_WAITING + 5).for_each(|_| live.take(Transition { alert: alert.clone(), at: Tick(1).end() }));
        assert_eq!((live.waiting.len(), live.rules.lost), (MAX_WAITING, 5));
    }
}
