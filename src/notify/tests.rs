//! The machine against a plain ledger: whatever fails and whenever it is killed, each change arrives once and in order.

use super::config::{GroupBy, Policy};
use super::desk::Now;
use super::machine::Machine;
use super::notification::tests::notice;
use super::notification::{Notice, Notification, Outcome, Reason, Status};
use super::silence::{Ends, NewSilence};
use super::store::{Contents, Writes};
use crate::time::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A machine, what it stored, and what its receivers took.
struct World {
    machine: Machine,
    policies: Vec<Policy>,
    disk: Contents,
    now: Now,
    /// With the receivers, and not answered yet.
    out: Vec<Arc<Notification>>,
    /// What receivers took, in order.
    ledger: Vec<Arc<Notification>>,
}

const OPS: &str = "ops";

fn second(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn policy(name: &str) -> Policy {
    Policy { group_wait: second(10), group_interval: second(60), repeat_interval: None, ..Policy::new(name) }
}

fn alert(rule: &str, interface: &str, status: Status, at: u64) -> Notice {
    let (starts_at, ends_at) = match status {
        Status::Firing => (at, None),
        Status::Resolved => (0, Some(Timestamp::from_nanos(at))),
    };
    let starts_at = Timestamp::from_nanos(starts_at);
    Notice { status, starts_at, ends_at, ..notice(rule, &[("interface", interface)]) }
}

impl World {
    fn new(policies: Vec<Policy>) -> Self {
        let now = Now { mono: second(1 << 30), wall: Timestamp::from_nanos(1 << 60) };
        let machine = Machine::new(policies.clone(), None, &Contents::new(), [1, 2], now);
        let mut world = Self { machine, policies, disk: Contents::new(), now, out: Vec::new(), ledger: Vec::new() };
        world.turn();
        world
    }

    fn commit(&mut self, writes: Writes) {
        for (key, value) in writes {
            match value {
                Some(value) => drop(self.disk.insert(key, value)),
                None => drop(self.disk.remove(&key)),
            }
        }
    }

    fn turn(&mut self) {
        self.machine.wake(self.now);
        let writes = self.machine.take_writes();
        self.commit(writes);
        let next = self.machine.next(self.now);
        self.out.extend(next);
        let writes = self.machine.take_writes();
        self.commit(writes);
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall = self.now.wall.saturating_add(time);
        self.turn();
    }

    fn tell(&mut self, notice: &Notice) {
        let names: Vec<String> = self.policies.iter().map(|policy| policy.name.to_string()).collect();
        self.machine.tell(notice, &names, self.now);
        self.turn();
    }

    /// A kill: what is in memory is gone, and answers with it.
    fn kill(&mut self) {
        self.out.clear();
        self.machine = Machine::new(self.policies.clone(), None, &self.disk, [3, 4], self.now);
        self.turn();
    }

    /// Answers what is with a receiver; what it takes goes into the ledger.
    #[expect(clippy::needless_pass_by_value, reason = "each outcome is made for its call")]
    fn answer(&mut self, receiver: &str, outcome: Outcome, takes: bool) -> Option<Arc<Notification>> {
        let at = self.out.iter().position(|notification| &*notification.receiver == receiver)?;
        let notification = self.out.remove(at);
        if takes {
            self.ledger.push(Arc::clone(&notification));
        }
        self.machine.outcome(receiver, &notification.key, &outcome, self.now);
        self.turn();
        Some(notification)
    }

    fn accept(&mut self, receiver: &str) -> Option<Arc<Notification>> {
        self.answer(receiver, Outcome::Accepted, true)
    }

    /// All receivers listen from here on.
    fn drain(&mut self) {
        let names: Vec<_> = self.policies.iter().map(|policy| Arc::clone(&policy.name)).collect();
        for _ in 0..400 {
            names.iter().for_each(|name| while self.accept(name).is_some() {});
            self.pass(second(60));
        }
    }

    /// The changes of one alert as a receiver saw them: each message once, and what did not change left out.
    fn seen(&self, receiver: &str, fingerprint: &str) -> Vec<(Status, u64)> {
        let (mut keys, mut seen) = (BTreeSet::new(), Vec::new());
        for notification in self.ledger.iter().filter(|notification| &*notification.receiver == receiver) {
            if !keys.insert(&notification.key) {
                continue;
            }
            let about = notification.alerts.iter().filter(|alert| alert.fingerprint == fingerprint);
            seen.extend(about.map(|alert| (alert.status, alert.starts_at.as_nanos())));
        }
        seen.dedup();
        seen
    }
}

fn retry(reason: Reason, after: Option<u64>) -> Outcome {
    Outcome::Retry { reason, after: after.map(second), detail: String::new() }
}

fn refused() -> Outcome {
    Outcome::Refused { reason: Reason::Http4xx, detail: String::new() }
}

#[test]
fn alerts_of_one_group_share_a_message_after_group_wait() {
    let mut world = World::new(vec![policy(OPS)]);
    world.tell(&alert("A", "eth1", Status::Firing, 1));
    world.pass(second(9));
    world.tell(&alert("A", "eth0", Status::Firing, 2));
    world.tell(&alert("B", "eth0", Status::Firing, 3));
    assert!(world.out.is_empty());
    world.pass(second(1));
    let first = world.accept(OPS).unwrap();
    let names: Vec<_> = first.alerts.iter().map(|alert| (&*alert.rule, alert.label("interface").unwrap())).collect();
    assert_eq!(names, [("A", "eth0"), ("A", "eth1")]);
    assert_eq!(first.group_key, r#"{alertname="A"}"#);
    world.pass(second(9));
    assert_eq!(world.accept(OPS).unwrap().group_key, r#"{alertname="B"}"#);
}

#[test]
fn a_group_that_changes_is_said_again_at_its_interval_with_what_still_fires() {
    let mut world = World::new(vec![policy(OPS)]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    world.tell(&alert("A", "eth1", Status::Firing, 1));
    world.pass(second(10));
    world.accept(OPS).unwrap();
    world.tell(&alert("A", "eth0", Status::Resolved, 2));
    world.pass(second(59));
    assert!(world.out.is_empty());
    world.pass(second(1));
    let news = world.accept(OPS).unwrap();
    assert_eq!(news.status, Status::Firing, "one of the two still fires");
    assert_eq!(news.alerts.iter().map(|alert| alert.status).collect::<Vec<_>>(), [Status::Resolved, Status::Firing]);
    world.tell(&alert("A", "eth1", Status::Resolved, 3));
    world.pass(second(60));
    let last = world.accept(OPS).unwrap();
    assert_eq!((last.status, last.alerts.len()), (Status::Resolved, 1), "what is over is said once");
    world.pass(second(60));
    assert!(world.disk.keys().all(|(table, _)| *table == super::store::Table::Meta), "{:?}", world.disk.keys());
}

#[test]
fn an_alert_shorter_than_the_wait_is_told_from_its_beginning_to_its_end() {
    let mut world = World::new(vec![policy(OPS)]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    world.tell(&alert("A", "eth0", Status::Resolved, 2));
    assert_eq!(world.accept(OPS).unwrap().status, Status::Firing, "its beginning does not wait any more");
    world.pass(second(60));
    let end = world.accept(OPS).unwrap();
    assert_eq!((end.status, end.alerts[0].starts_at.as_nanos()), (Status::Resolved, 1));
}

#[test]
fn an_attempt_again_is_the_same_message_and_news_wait_behind_it() {
    let mut world = World::new(vec![Policy { group_wait: second(0), group_interval: second(0), ..policy(OPS) }]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    let first = world.answer(OPS, retry(Reason::Http5xx, None), false).unwrap();
    world.tell(&alert("A", "eth0", Status::Resolved, 2));
    world.pass(second(1));
    let second_try = world.answer(OPS, retry(Reason::Timeout, None), false).unwrap();
    assert_eq!(first, second_try);
    world.kill();
    let after_kill = world.accept(OPS).unwrap();
    assert_eq!(first, after_kill);
    assert_eq!(world.accept(OPS).unwrap().status, Status::Resolved);
}

#[test]
fn a_receiver_that_says_too_many_is_left_alone_as_long_as_it_asks() {
    let mut world = World::new(vec![Policy { group_wait: second(0), ..policy(OPS) }]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    world.answer(OPS, retry(Reason::RateLimited, Some(30)), false).unwrap();
    world.tell(&alert("B", "eth0", Status::Firing, 1));
    world.pass(Duration::from_millis(29_999));
    assert!(world.out.is_empty());
    world.pass(Duration::from_millis(1));
    assert!(world.accept(OPS).is_some() && world.accept(OPS).is_some());
}

#[test]
fn one_group_that_fails_does_not_hold_up_another() {
    let mut world = World::new(vec![Policy { group_wait: second(0), ..policy(OPS) }]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    for _ in 0..12 {
        world.answer(OPS, retry(Reason::Http5xx, None), false);
        world.pass(second(300));
    }
    world.answer(OPS, retry(Reason::Http5xx, None), false);
    world.tell(&alert("B", "eth0", Status::Firing, 1));
    assert_eq!(world.accept(OPS).unwrap().alerts[0].rule, "B");
}

#[test]
fn what_is_too_old_is_given_up_and_that_is_reported() {
    let mut world = World::new(vec![Policy { group_wait: second(0), max_age: second(600), ..policy(OPS) }]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    world.tell(&alert("A", "eth0", Status::Resolved, 2));
    world.tell(&alert("B", "eth0", Status::Firing, 3));
    for _ in 0..100 {
        world.answer(OPS, retry(Reason::Connect, None), false);
        world.pass(second(20));
    }
    assert_eq!(world.machine.status().receivers[0].dropped, [0, 3, 0]);
    world.kill();
    world.drain();
    let reports: Vec<_> = world.ledger.iter().map(|message| &message.alerts[0]).collect();
    assert!(reports.iter().all(|report| report.rule == "NotificationsNotDelivered"));
    assert_eq!(reports.iter().map(|report| report.value).collect::<Vec<_>>(), [2.0, 2.0, 1.0, 1.0], "with their ends");
    assert!(reports[0].summary.ends_with("were not delivered here: 2 expired"), "{}", reports[0].summary);
    assert_eq!(world.machine.status().receivers[0].queue_length, 0);
}

#[test]
fn an_end_whose_beginning_was_refused_is_not_told() {
    let mut world = World::new(vec![Policy { group_wait: second(0), group_interval: second(0), ..policy(OPS) }]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    world.answer(OPS, refused(), false).unwrap();
    world.tell(&alert("A", "eth0", Status::Resolved, 2));
    world.drain();
    assert!(world.ledger.iter().all(|message| message.alerts[0].rule == "NotificationsNotDelivered"));
    assert_eq!(world.ledger.len(), 2);
}

#[test]
fn a_full_queue_takes_no_new_alert_but_the_end_of_one_that_it_has() {
    let mut world = World::new(vec![Policy { queue: 2, ..policy(OPS) }]);
    for (n, interface) in ["eth0", "eth1", "eth2"].into_iter().enumerate() {
        world.tell(&alert("A", interface, Status::Firing, n as u64));
    }
    for interface in ["eth0", "eth2"] {
        world.tell(&alert("A", interface, Status::Resolved, 9));
    }
    let status = world.machine.status();
    assert_eq!((status.receivers[0].dropped, status.receivers[0].queue_length), ([1, 0, 0], 5), "with its report");
    world.drain();
    let seen = |interface| world.seen(OPS, &alert("A", interface, Status::Firing, 0).fingerprint).len();
    assert_eq!(["eth0", "eth1", "eth2"].map(seen), [2, 1, 0]);
}

#[test]
fn what_still_fires_is_said_again_and_news_overtake_that() {
    let mut world = World::new(vec![Policy { repeat_interval: Some(second(600)), ..policy(OPS) }]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    world.pass(second(10));
    let first = world.accept(OPS).unwrap();
    world.pass(second(599));
    assert!(world.out.is_empty());
    world.kill();
    assert!(world.out.is_empty(), "a restart is no reason to repeat");
    world.pass(second(1));
    let repeated = world.answer(OPS, retry(Reason::Http5xx, None), false).unwrap();
    assert_eq!(repeated.alerts, first.alerts);
    assert_ne!(repeated.key, first.key);
    world.kill();
    world.pass(second(1));
    assert_eq!(world.out[0].key, repeated.key, "the same repetition has the same key after a kill");
    world.answer(OPS, retry(Reason::Http5xx, None), false).unwrap();
    world.tell(&alert("A", "eth0", Status::Resolved, 2));
    world.pass(second(10));
    assert_eq!(world.accept(OPS).unwrap().status, Status::Resolved);
    world.pass(second(3600));
    assert!(world.out.is_empty());
}

fn silence(world: &mut World, matcher: &str, length: u64) -> String {
    let new = NewSilence {
        matchers: vec![matcher.parse().unwrap()],
        author: "ann".into(),
        comment: "works".into(),
        starts_at: None,
        ends: Ends::After(second(length)),
    };
    let id = format!("{matcher}{length}");
    let silence = world.machine.silence(new, id, world.now).unwrap();
    world.turn();
    silence.id
}

#[test]
fn a_silenced_alert_is_told_when_the_silence_ends_if_it_still_fires() {
    let mut world = World::new(vec![policy(OPS)]);
    silence(&mut world, "interface=eth0", 1000);
    let id = silence(&mut world, "interface=eth1", 5000);
    for interface in ["eth0", "eth1", "eth2"] {
        world.tell(&alert("A", interface, Status::Firing, 1));
    }
    world.pass(second(10));
    assert_eq!(world.accept(OPS).unwrap().alerts.len(), 1);
    assert_eq!(world.machine.status().silenced, 2);
    world.kill();
    world.pass(second(900));
    assert!(world.out.is_empty());
    world.pass(second(90));
    assert_eq!(world.accept(OPS).unwrap().alerts.len(), 2);
    world.tell(&alert("A", "eth1", Status::Resolved, 2));
    world.machine.expire(&id, world.now).unwrap();
    world.pass(second(100));
    assert!(world.out.is_empty(), "it began and ended in silence");
}

#[test]
fn a_silence_does_not_keep_back_the_end_of_what_was_told() {
    let mut world = World::new(vec![Policy { repeat_interval: Some(second(600)), ..policy(OPS) }]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    world.pass(second(10));
    world.accept(OPS).unwrap();
    silence(&mut world, "alertname=A", 10_000);
    world.pass(second(601));
    assert!(world.out.is_empty(), "it is not repeated");
    world.tell(&alert("A", "eth0", Status::Resolved, 2));
    world.pass(second(60));
    assert_eq!(world.accept(OPS).unwrap().status, Status::Resolved);
}

#[test]
fn a_hundred_alerts_fit_into_a_message_and_the_rest_comes_at_once() {
    let mut world = World::new(vec![policy(OPS)]);
    for n in 0..250 {
        world.tell(&alert("A", &format!("eth{n}"), Status::Firing, 1));
    }
    world.pass(second(10));
    let sizes: Vec<_> = std::iter::from_fn(|| world.accept(OPS)).map(|message| message.alerts.len()).collect();
    assert_eq!(sizes, [100, 100, 100], "the last is filled up with what fires already");
    let all: BTreeSet<_> = world.ledger.iter().flat_map(|message| &message.alerts).map(|a| &a.fingerprint).collect();
    assert_eq!(all.len(), 250);
}

#[test]
fn another_group_by_keeps_alerts_where_they_were_told() {
    let mut world = World::new(vec![Policy { group_wait: second(0), ..policy(OPS) }]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    let first = world.accept(OPS).unwrap();
    world.policies[0].group_by = GroupBy::Each;
    world.machine.set_policies(world.policies.clone());
    world.tell(&alert("A", "eth0", Status::Resolved, 2));
    world.tell(&alert("A", "eth1", Status::Firing, 2));
    assert_eq!(world.accept(OPS).unwrap().group_key, r#"{alertname="A",interface="eth1",severity="warning"}"#);
    world.pass(second(60));
    assert_eq!(world.accept(OPS).unwrap().group_key, first.group_key);
}

#[test]
fn a_receiver_that_is_gone_leaves_nothing_behind() {
    let mut world = World::new(vec![policy(OPS), policy("old")]);
    world.tell(&alert("A", "eth0", Status::Firing, 1));
    world.policies.pop();
    world.kill();
    assert!(world.disk.keys().all(|(_, key)| !key.contains("old")), "{:?}", world.disk.keys());
    world.drain();
    assert_eq!(world.ledger.len(), 1);
}

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Event {
    Toggle(usize),
    Pass(u64),
    /// A receiver takes the message and says so.
    Accept(usize),
    /// It takes the message and its answer is lost.
    Lose(usize),
    Fail(usize),
    Limit(usize, u64),
    Kill,
    /// It takes the message, and netmon is killed before it hears of it.
    KillTaken(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..6_usize).prop_map(Event::Toggle),
        4 => (0..100_u64).prop_map(Event::Pass),
        6 => (0..2_usize).prop_map(Event::Accept),
        1 => (0..2_usize).prop_map(Event::Lose),
        3 => (0..2_usize).prop_map(Event::Fail),
        1 => (0..2_usize, 0..9_u64).prop_map(|(receiver, after)| Event::Limit(receiver, after)),
        1 => Just(Event::Kill),
        1 => (0..2_usize).prop_map(Event::KillTaken),
    ]
}

const NAMES: [&str; 2] = ["first", "second"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn every_change_arrives_in_order_and_duplicates_have_the_same_key(
        events in prop::collection::vec(event(), 1..120),
        waits in prop::collection::vec((0..20_u64, 0..90_u64), 2),
        each in any::<bool>(),
    ) {
        let by = if each { GroupBy::Each } else { GroupBy::default() };
        let policies = NAMES.iter().zip(&waits).map(|(name, (wait, interval))| Policy {
            group_by: by.clone(),
            group_wait: second(*wait),
            group_interval: second(*interval),
            ..policy(name)
        });
        let mut world = World::new(policies.collect());
        let mut expected: BTreeMap<usize, Vec<(Status, u64)>> = BTreeMap::new();
        let (mut lost_answers, mut kills) = (0, 0);
        for (n, event) in events.iter().enumerate() {
            match *event {
                Event::Toggle(which) => {
                    let history = expected.entry(which).or_default();
                    // The bound of changes that wait is the matter of another test.
                    if history.len() < 12 {
                        let (status, started) = match history.last() {
                            Some((Status::Firing, started)) => (Status::Resolved, *started),
                            _ => (Status::Firing, n as u64),
                        };
                        history.push((status, started));
                        let rule = ["A", "B"][which % 2];
                        let at = if status == Status::Firing { started } else { n as u64 };
                        world.tell(&alert(rule, &format!("eth{which}"), status, at));
                    }
                }
                Event::Pass(seconds) => world.pass(second(seconds)),
                Event::Accept(r) => drop(world.accept(NAMES[r])),
                Event::Lose(r) => {
                    let lost = world.answer(NAMES[r], retry(Reason::Connect, None), true);
                    lost_answers += usize::from(lost.is_some());
                }
                Event::Fail(r) => drop(world.answer(NAMES[r], retry(Reason::Http5xx, None), false)),
                Event::Limit(r, after) => drop(world.answer(NAMES[r], retry(Reason::RateLimited, Some(after)), false)),
                Event::Kill => world.kill(),
                Event::KillTaken(r) => {
                    let taken = world.out.iter().find(|message| &*message.receiver == NAMES[r]).cloned();
                    kills += usize::from(taken.is_some());
                    world.ledger.extend(taken);
                    world.kill();
                }
            }
        }
        world.drain();
        for (which, history) in &expected {
            let fingerprint = alert(["A", "B"][which % 2], &format!("eth{which}"), Status::Firing, 0).fingerprint;
            for name in NAMES {
                prop_assert_eq!(&world.seen(name, &fingerprint), history, "{} at {}", which, name);
            }
        }
        let mut by_key: BTreeMap<&str, Vec<&Notification>> = BTreeMap::new();
        world.ledger.iter().for_each(|message| by_key.entry(&message.key).or_default().push(message));
        let duplicates: usize = by_key.values().map(|messages| messages.len() - 1).sum();
        prop_assert!(duplicates <= lost_answers + kills, "{} duplicates", duplicates);
        for messages in by_key.values() {
            prop_assert!(messages.windows(2).all(|pair| pair[0] == pair[1]), "one key, one message");
        }
        prop_assert_eq!(world.machine.status().receivers.iter().map(|r| r.queue_length).sum::<u64>(), 0);
    }
}
