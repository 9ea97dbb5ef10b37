//! One receiver: its groups, whose turn it is, and what became of each attempt.
//!
//! Pure: time comes as an argument, and what must be stored is noted for whoever owns the store. One message at a time
//! is with the receiver, so that a kill can leave one that it took and netmon does not know of, and never two.

use super::config::Policy;
use super::group::{Group, Member, Message, Mono, Sent, Waiting};
use super::loss::Lost;
use super::notification::{Notice, Notification, Outcome, Reason, Status};
use super::retry::Backoff;
use super::silence::Silences;
use super::status::{Loss, ReceiverStatus};
use crate::time::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// This moment, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub mono: Mono,
    pub wall: Timestamp,
}

/// What has changed and is to be stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dirty {
    Group(Arc<str>),
    Member(Arc<str>, String),
    Message(Arc<str>),
    Lost,
}

/// One receiver.
#[derive(Debug)]
pub(super) struct Desk {
    pub policy: Policy,
    pub groups: BTreeMap<Arc<str>, Group>,
    pub lost: Lost,
    pub dirty: BTreeSet<Dirty>,
    /// Alerts kept back by a silence.
    pub silenced: u64,
    status: ReceiverStatus,
    /// Where each alert is; it stays there though the receiver's `group_by` became another.
    homes: BTreeMap<String, Arc<str>>,
    timers: BTreeSet<(Mono, Arc<str>)>,
    /// Groups whose message may be tried now.
    line: VecDeque<Arc<str>>,
    busy: Option<Arc<str>>,
    /// The receiver asked to be left alone until then.
    held_until: Mono,
    /// Changes of all groups that wait.
    waiting: usize,
    backoff: Backoff,
    /// Names this history of messages; part of their keys.
    instance: Arc<str>,
    external_url: Option<String>,
}

/// The most changes of one alert that wait.
const MAX_CHANGES: usize = 16;
/// How often silences are looked at again while they keep something back.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Desk {
    pub fn new(policy: Policy, instance: Arc<str>, external_url: Option<String>, seed: u64) -> Self {
        Self {
            status: ReceiverStatus::new(&policy.name),
            policy,
            groups: BTreeMap::new(),
            lost: Lost::default(),
            dirty: BTreeSet::new(),
            silenced: 0,
            homes: BTreeMap::new(),
            timers: BTreeSet::new(),
            line: VecDeque::new(),
            busy: None,
            held_until: Mono::ZERO,
            waiting: 0,
            backoff: Backoff::new(seed),
            instance,
            external_url,
        }
    }

    /// Takes back a group from the store. What it has to say is said at once.
    pub fn restore(&mut self, key: &Arc<str>, group: Group, now: Now) {
        for (id, member) in &group.members {
            self.homes.insert(id.clone(), Arc::clone(key));
            self.waiting += member.waiting.len();
        }
        let has_news = group.message.is_none() && group.members.values().any(|member| !member.waiting.is_empty());
        self.groups.insert(Arc::clone(key), Group { flush_at: has_news.then_some(now.mono), ..group });
        self.schedule(key);
    }

    /// How it stands.
    pub fn status(&self) -> ReceiverStatus {
        ReceiverStatus {
            queue_length: self.waiting as u64,
            queue_limit: self.policy.queue as u64,
            ..self.status.clone()
        }
    }

    /// Whether something is with the receiver or could be now.
    pub fn is_at_work(&self) -> bool {
        self.busy.is_some() || !self.line.is_empty()
    }

    /// An alert changed.
    pub fn tell(&mut self, notice: Notice, now: Now) {
        match notice.status {
            Status::Firing => self.begin(notice, now),
            Status::Resolved => self.end(notice, now),
        }
    }

    fn begin(&mut self, notice: Notice, now: Now) {
        let known = self.member(&notice.fingerprint);
        // It is told that it fires already, or will be: an evaluator that forgot begins anew.
        if known.is_some_and(Member::is_firing_at_last) {
            return;
        }
        let is_full = known.is_some_and(|member| member.waiting.len() >= MAX_CHANGES);
        if is_full || self.waiting >= self.policy.queue {
            return self.lose(Loss::QueueFull, 1, now);
        }
        let key = self.home(&notice, now);
        self.push(&key, notice, now);
    }

    fn end(&mut self, mut notice: Notice, now: Now) {
        let id = notice.fingerprint.clone();
        let Some(key) = self.homes.get(&id).cloned() else { return };
        let Some(member) = self.groups.get_mut(&key).and_then(|group| group.members.get_mut(&id)) else { return };
        if !member.is_firing_at_last() {
            return;
        }
        if member.is_muted && member.waiting.len() == 1 {
            // Nobody was told that it began, on purpose; so nobody hears that it ended.
            member.waiting.clear();
            self.waiting -= 1;
            return self.settle(&key, &[id], now);
        }
        let begun = member.waiting.back().map(|waiting| &waiting.notice).or(member.told.as_ref());
        notice.starts_at = begun.map_or(notice.starts_at, |begun| begun.starts_at);
        self.push(&key, notice, now);
    }

    fn push(&mut self, key: &Arc<str>, notice: Notice, now: Now) {
        let Some(group) = self.groups.get_mut(key) else { return };
        let id = notice.fingerprint.clone();
        let member = group.members.entry(id.clone()).or_default();
        member.waiting.push_back(Waiting { notice, since: now.mono, wall: now.wall });
        self.waiting += 1;
        self.dirty.insert(Dirty::Member(Arc::clone(key), id));
        self.news(key, now);
    }

    fn member(&self, id: &str) -> Option<&Member> {
        self.groups.get(self.homes.get(id)?)?.members.get(id)
    }

    /// The group of an alert, made if need be.
    fn home(&mut self, notice: &Notice, now: Now) -> Arc<str> {
        if let Some(key) = self.homes.get(&notice.fingerprint) {
            return Arc::clone(key);
        }
        let (key, labels) = Group::of(notice, &self.policy.group_by);
        self.settle_in(key.into(), labels, &notice.fingerprint, now)
    }

    /// A group counts on from the time it was made, so that one that was forgotten never uses a key again.
    fn settle_in(&mut self, key: Arc<str>, labels: BTreeMap<String, String>, id: &str, now: Now) -> Arc<str> {
        if !self.groups.contains_key(&key) {
            self.groups.insert(Arc::clone(&key), Group { labels, serial: now.wall.as_nanos(), ..Group::default() });
            self.dirty.insert(Dirty::Group(Arc::clone(&key)));
        }
        self.homes.insert(id.to_owned(), Arc::clone(&key));
        key
    }

    /// There may be something to say about a group: finds out when.
    fn news(&mut self, key: &Arc<str>, now: Now) {
        let Some(group) = self.groups.get_mut(key) else { return };
        let has_news = group.members.values().any(|member| !member.waiting.is_empty());
        if !has_news {
            group.flush_at = None;
            return self.schedule(key);
        }
        if group.message.as_ref().is_some_and(|message| message.is_repeat() && self.busy.as_ref() != Some(key)) {
            // What it repeats is not true any more.
            group.message = None;
            self.line.retain(|other| other != key);
        }
        // An end waits only behind its beginning, which is late if it was not said yet.
        let is_over = |member: &Member| {
            member.waiting.len() > 1 && member.waiting.front().is_some_and(|w| w.notice.status == Status::Firing)
        };
        let due = match group.members.values().any(is_over) {
            true => now.mono,
            false => group.due(&self.policy, now.mono),
        };
        group.flush_at = Some(group.flush_at.map_or(due, |before| before.min(due)));
        self.schedule(key);
    }

    /// Puts a group where it belongs in the timers.
    fn schedule(&mut self, key: &Arc<str>) {
        let Some(group) = self.groups.get_mut(key) else { return };
        let wake_at = if self.busy.as_ref() == Some(key) { None } else { group.wake_at(&self.policy) };
        let before = std::mem::replace(&mut group.timer, wake_at);
        if before != wake_at {
            if let Some(at) = before {
                self.timers.remove(&(at, Arc::clone(key)));
            }
            self.timers.extend(wake_at.map(|at| (at, Arc::clone(key))));
        }
    }

    /// When to be woken next.
    pub fn deadline(&self) -> Option<Mono> {
        let line = (self.busy.is_none() && !self.line.is_empty()).then_some(self.held_until);
        self.timers.first().map(|(at, _)| *at).into_iter().chain(line).min()
    }

    /// Makes the messages that are due.
    pub fn wake(&mut self, silences: &Silences, now: Now) {
        self.report_losses(now);
        while let Some((at, key)) = self.timers.pop_first() {
            if at > now.mono {
                self.timers.insert((at, key));
                break;
            }
            let Some(group) = self.groups.get_mut(&key) else { continue };
            group.timer = None;
            if let Some(message) = &mut group.message {
                message.is_in_line = true;
                self.line.push_back(key);
            } else if group.is_empty() {
                self.groups.remove(&key);
                self.dirty.insert(Dirty::Group(key));
            } else if group.flush_at.is_some_and(|at| at <= now.mono) {
                self.flush(&key, silences, now);
                self.schedule(&key);
            } else {
                self.repeat(&key, silences, now);
                self.schedule(&key);
            }
        }
    }

    /// All is to be stored, because the store is a new one.
    pub fn all_dirty(&mut self) {
        for (key, group) in &self.groups {
            self.dirty.extend([Dirty::Group(Arc::clone(key)), Dirty::Message(Arc::clone(key))]);
            self.dirty.extend(group.members.keys().map(|id| Dirty::Member(Arc::clone(key), id.clone())));
        }
        self.dirty.insert(Dirty::Lost);
    }

    /// Looks again at everything that a silence keeps back, because silences changed.
    pub fn silences_changed(&mut self, now: Now) {
        let is_muted = |group: &Group| group.members.values().any(|member| member.is_muted);
        let keys: Vec<_> =
            self.groups.iter().filter(|(_, group)| is_muted(group)).map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.flush_now(key, now));
    }

    /// Waits for nothing any more: there is little time left.
    pub fn hurry(&mut self, now: Now) {
        let keys: Vec<_> =
            self.groups.iter().filter(|(_, group)| group.flush_at.is_some()).map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.flush_now(key, now));
    }

    fn flush_now(&mut self, key: &Arc<str>, now: Now) {
        if let Some(group) = self.groups.get_mut(key) {
            group.flush_at = Some(now.mono);
        }
        self.schedule(key);
    }

    /// Makes the group's next message, unless all that it would say is silenced or too old.
    fn flush(&mut self, key: &Arc<str>, silences: &Silences, now: Now) {
        self.mute(key, silences, now);
        self.expire(key, now);
        let Some(group) = self.groups.get_mut(key) else { return };
        group.flush_at = None;
        let front = |(id, member): (&String, &Member)| {
            let front = member.waiting.front().filter(|_| !member.is_muted)?;
            Some((front.since, id.clone()))
        };
        let mut changes: Vec<_> = group.members.iter().filter_map(front).collect();
        changes.sort();
        changes.truncate(Notification::MAX_ALERTS);
        let Some(since) = changes.first().map(|(since, _)| *since) else {
            let is_muted = group.members.values().any(|member| member.is_muted);
            group.flush_at = is_muted.then(|| now.mono.saturating_add(LOOK_AGAIN));
            return self.repeat(key, silences, now);
        };
        let changes: Vec<String> = changes.into_iter().map(|(_, id)| id).collect();
        group.serial += 1;
        let serial = group.serial;
        self.put_in_line(key, "change", serial, changes, since, &|_| false, now);
        self.dirty.extend([Dirty::Group(Arc::clone(key)), Dirty::Message(Arc::clone(key))]);
    }

    /// Says again what still fires, unless all of it is silenced.
    fn repeat(&mut self, key: &Arc<str>, silences: &Silences, now: Now) {
        let Some(group) = self.groups.get_mut(key) else { return };
        if group.repeat_at(&self.policy).is_none_or(|at| at > now.mono) {
            return;
        }
        let is_silenced = |notice: &Notice| silences.until(notice, now.wall).is_some();
        if group.members.values().filter_map(|member| member.told.as_ref()).all(is_silenced) {
            group.sent = group.sent.map(|sent| Sent { at: now.mono, ..sent });
            return;
        }
        // Counted when it is accepted, so that it has the same key after a kill.
        let serial = group.serial + 1;
        self.put_in_line(key, "repeat", serial, Vec::new(), now.mono, &is_silenced, now);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a message, from its two makers above")]
    fn put_in_line(
        &mut self,
        key: &Arc<str>,
        kind: &str,
        serial: u64,
        changes: Vec<String>,
        since: Mono,
        but: &dyn Fn(&Notice) -> bool,
        now: Now,
    ) {
        let idempotency = self.key(key, kind, serial);
        let Some(group) = self.groups.get_mut(key) else { return };
        let (alerts, truncated_alerts) = group.alerts(&changes, but);
        let notification = Notification {
            key: idempotency,
            receiver: Arc::clone(&self.policy.name),
            group_key: key.to_string(),
            group_labels: group.labels.clone(),
            status: group.status_after(&changes),
            alerts,
            truncated_alerts,
            created: now.wall,
            external_url: self.external_url.clone(),
        };
        let notification = Arc::new(notification);
        group.message = Some(Message { notification, changes, since, failures: 0, next: now.mono, is_in_line: true });
        self.line.push_back(Arc::clone(key));
    }

    fn key(&self, group: &str, kind: &str, serial: u64) -> String {
        let parts = [&*self.instance, &*self.policy.name, group, kind, &serial.to_string()];
        let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part).chain_update([0xff]));
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Keeps back beginnings that are silenced, and lets go of those that are not any more.
    fn mute(&mut self, key: &Arc<str>, silences: &Silences, now: Now) {
        let Some(group) = self.groups.get_mut(key) else { return };
        let mut changed = Vec::new();
        let is_silenced = |waiting: &Waiting| {
            waiting.notice.status == Status::Firing && silences.until(&waiting.notice, now.wall).is_some()
        };
        for (id, member) in &mut group.members {
            // A beginning that ended while it was silenced is nobody's news.
            while member.waiting.len() > 1 && member.waiting.front().is_some_and(is_silenced) {
                self.silenced += u64::from(!std::mem::take(&mut member.is_muted));
                member.waiting.drain(..2);
                self.waiting -= 2;
                changed.push(id.clone());
            }
            let Some(front) = member.waiting.front_mut() else { continue };
            let is_muted = is_silenced(front);
            if is_muted != member.is_muted {
                self.silenced += u64::from(is_muted);
                // It could not be sent until now, so it is not late.
                (front.since, front.wall) = (now.mono, now.wall);
                member.is_muted = is_muted;
                changed.push(id.clone());
            }
        }
        self.settle(key, &changed, now);
    }

    /// Gives up what waited too long behind a message, or while netmon was not running.
    fn expire(&mut self, key: &Arc<str>, now: Now) {
        if Lost::is_report(key) {
            return;
        }
        let (mut expired, mut changed) = (0, Vec::new());
        let Some(group) = self.groups.get_mut(key) else { return };
        for (id, member) in &mut group.members {
            let is_old = |waiting: &Waiting| waiting.since.saturating_add(self.policy.max_age) <= now.mono;
            while !member.is_muted && member.waiting.front().is_some_and(is_old) {
                expired += member.give_up();
                changed.push(id.clone());
            }
        }
        self.waiting -= expired;
        self.settle(key, &changed, now);
        self.lose(Loss::Expired, expired, now);
    }

    /// After changes of these alerts: notes them, and forgets those of which nothing is left.
    fn settle(&mut self, key: &Arc<str>, ids: &[String], now: Now) {
        if ids.is_empty() {
            return;
        }
        let Some(group) = self.groups.get_mut(key) else { return };
        for id in ids {
            if group.members.get(id).is_some_and(|member| member.told.is_none() && member.waiting.is_empty()) {
                group.members.remove(id);
                self.homes.remove(id);
            }
            self.dirty.insert(Dirty::Member(Arc::clone(key), id.clone()));
        }
        if group.message.is_none() {
            self.news(key, now);
        }
    }

    fn lose(&mut self, loss: Loss, changes: usize, now: Now) {
        if changes > 0 {
            self.status.dropped[loss as usize] += changes as u64;
            self.lost.add(loss, changes, now.wall);
            self.dirty.insert(Dirty::Lost);
        }
    }

    /// Tells the receiver itself how much it was not told, once it listens again.
    fn report_losses(&mut self, now: Now) {
        let Some((notice, labels)) = self.lost.notice(&self.policy.name) else { return };
        if self.homes.contains_key(&notice.fingerprint) {
            return;
        }
        self.lost = Lost::default();
        self.dirty.insert(Dirty::Lost);
        let key = self.settle_in(Lost::GROUP.into(), labels, &notice.fingerprint, now);
        let over = Notice { status: Status::Resolved, ends_at: Some(now.wall), ..notice.clone() };
        self.push(&key, notice, now);
        self.push(&key, over, now);
    }

    /// Takes the message whose turn it is; its outcome must follow.
    pub fn next(&mut self, now: Now) -> Option<Arc<Notification>> {
        if self.busy.is_some() || self.held_until > now.mono {
            return None;
        }
        while let Some(key) = self.line.pop_front() {
            let Some(message) = self.groups.get(&key).and_then(|group| group.message.as_ref()) else { continue };
            let is_old = message.since.saturating_add(self.policy.max_age) <= now.mono;
            if is_old && !message.is_repeat() && !Lost::is_report(&key) {
                self.give_up(&key, Loss::Expired, now);
                continue;
            }
            self.status.attempts += 1;
            self.busy = Some(key);
            return Some(Arc::clone(&message.notification));
        }
        None
    }

    /// What became of the message with this key, if it is the one that was taken last.
    pub fn outcome(&mut self, message: &str, outcome: &Outcome, now: Now) {
        let is_this = |group: &Group| group.message.as_ref().is_some_and(|taken| taken.notification.key == message);
        let is_busy = |key: &&Arc<str>| self.groups.get(*key).is_some_and(is_this);
        if self.busy.as_ref().is_none_or(|key| !is_busy(&key)) {
            return;
        }
        let Some(key) = self.busy.take() else { return };
        match outcome {
            Outcome::Accepted => self.accepted(&key, now),
            Outcome::Retry { reason, after, detail } => {
                self.failed(*reason, detail);
                self.try_again(&key, *reason, *after, now);
            }
            Outcome::Refused { reason, detail } => {
                self.failed(*reason, detail);
                self.give_up(&key, Loss::Refused, now);
            }
        }
        self.schedule(&key);
    }

    fn failed(&mut self, reason: Reason, detail: &str) {
        self.status.failures[reason as usize] += 1;
        self.status.last_error = Some(format!("{}: {detail}", reason.name()));
    }

    fn accepted(&mut self, key: &Arc<str>, now: Now) {
        self.status.last_success = Some(now.wall);
        self.status.last_error = None;
        let Some(group) = self.groups.get_mut(key) else { return };
        let Some(message) = group.message.take() else { return };
        group.sent = Some(Sent { at: now.mono, wall: now.wall });
        group.flush_at = None;
        group.serial += u64::from(message.is_repeat());
        for id in &message.changes {
            let accepted = group.members.get_mut(id).and_then(Member::accept);
            let Some(accepted) = accepted else { continue };
            self.waiting -= 1;
            let nanos = now.mono.saturating_sub(accepted.since).as_nanos();
            self.status.latency.observe(u64::try_from(nanos).unwrap_or(u64::MAX), None);
        }
        let is_cut = message.changes.len() == Notification::MAX_ALERTS;
        self.dirty.extend([Dirty::Group(Arc::clone(key)), Dirty::Message(Arc::clone(key))]);
        self.settle(key, &message.changes, now);
        self.news(key, now);
        if is_cut {
            self.flush_now(key, now);
        }
    }

    fn try_again(&mut self, key: &Arc<str>, reason: Reason, after: Option<Duration>, now: Now) {
        let Some(message) = self.groups.get_mut(key).and_then(|group| group.message.as_mut()) else { return };
        message.failures = message.failures.saturating_add(1);
        message.is_in_line = false;
        let is_asked = after.is_some() || reason == Reason::RateLimited;
        let wait = match is_asked {
            true => self.backoff.asked(after, message.failures),
            false => self.backoff.after(message.failures),
        };
        message.next = now.mono.saturating_add(wait);
        if is_asked {
            self.held_until = message.next;
        }
        if message.is_repeat() {
            self.news(key, now);
        }
    }

    fn give_up(&mut self, key: &Arc<str>, loss: Loss, now: Now) {
        let Some(group) = self.groups.get_mut(key) else { return };
        let Some(message) = group.message.take() else { return };
        let members = &mut group.members;
        let given_up: usize = message.changes.iter().filter_map(|id| Some(members.get_mut(id)?.give_up())).sum();
        if message.is_repeat() {
            // It is said again at the next interval.
            group.sent = group.sent.map(|sent| Sent { at: now.mono, ..sent });
        }
        group.flush_at = None;
        self.waiting -= given_up;
        self.dirty.insert(Dirty::Message(Arc::clone(key)));
        self.settle(key, &message.changes, now);
        self.news(key, now);
        // A report that is refused is not reported.
        if !Lost::is_report(key) {
            self.lose(loss, given_up, now);
        }
    }
}
