//! All receivers and all silences: what goes in, what is to be stored, what is to be sent. Pure; see
//! [`engine`](super::engine) for the thread that runs it.

use super::config::Policy;
use super::desk::{Desk, Dirty, Now};
use super::group::{Group, Member, Message, Mono, SavedGroup, SavedMember, SavedMessage, Sent, Waiting};
use super::loss::Lost;
use super::notification::{self, Notice, Notification, Outcome};
use super::silence::{NewSilence, Silence, SilenceError, Silences};
use super::status::Status;
use super::store::{Contents, Table, Writes};
use crate::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    desks: BTreeMap<Arc<str>, Desk>,
    silences: Silences,
    instance: Arc<str>,
    external_url: Option<String>,
    seed: u64,
    writes: Writes,
}

/// Stands between the parts of a key; no name has it.
const SEPARATOR: char = '\u{1f}';
const INSTANCE: &str = "instance";

impl Machine {
    /// Takes up where `contents` left off. Values that cannot be understood are left out, and named in the log.
    ///
    /// `draw` is 128 random bits: they name this history of messages if the store names none.
    pub fn new(
        policies: Vec<Policy>,
        external_url: Option<String>,
        contents: &Contents,
        draw: [u64; 2],
        now: Now,
    ) -> Self {
        let [high, seed] = draw;
        let mut writes = Writes::new();
        let kept =
            contents.get(&(Table::Meta, INSTANCE.to_owned())).and_then(|value| String::from_utf8(value.clone()).ok());
        let instance = kept.unwrap_or_else(|| {
            let instance = format!("{high:016x}{seed:016x}");
            writes.insert((Table::Meta, INSTANCE.to_owned()), Some(instance.clone().into_bytes()));
            instance
        });
        let mut machine = Self {
            desks: BTreeMap::new(),
            silences: Silences::default(),
            instance: instance.into(),
            external_url,
            seed,
            writes,
        };
        machine.set_policies(policies);
        machine.restore(contents, now);
        machine
    }

    /// Other receivers from here on. What waits for one that is not among them is given up.
    pub fn set_policies(&mut self, policies: Vec<Policy>) {
        let names: Vec<_> = policies.iter().map(|policy| Arc::clone(&policy.name)).collect();
        let gone: Vec<_> = self.desks.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in gone {
            if let Some(desk) = self.desks.remove(&name) {
                self.forget(&name, &desk);
            }
        }
        for policy in policies {
            let name = Arc::clone(&policy.name);
            match self.desks.get_mut(&name) {
                Some(desk) => desk.policy = policy,
                None => {
                    self.seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
                    let (instance, url) = (Arc::clone(&self.instance), self.external_url.clone());
                    drop(self.desks.insert(name, Desk::new(policy, instance, url, self.seed)));
                }
            }
        }
    }

    fn forget(&mut self, name: &str, desk: &Desk) {
        let waiting = desk.status().queue_length;
        if waiting > 0 {
            tracing::warn!(receiver = name, waiting, "the receiver is gone; what waited for it is given up");
        }
        for (key, group) in &desk.groups {
            for table in [Table::Groups, Table::Outbox] {
                self.writes.insert((table, joined(&[name, key])), None);
            }
            for id in group.members.keys() {
                self.writes.insert((Table::Members, joined(&[name, key, id])), None);
            }
        }
    }

    /// An alert changed. Its end is told to whoever was told of its beginning, whatever the rule says by now.
    pub fn tell(&mut self, notice: &Notice, receivers: &[String], now: Now) {
        if notice.status == notification::Status::Resolved {
            return self.desks.values_mut().for_each(|desk| desk.tell(notice.clone(), now));
        }
        for name in receivers {
            match self.desks.get_mut(name.as_str()) {
                Some(desk) => desk.tell(notice.clone(), now),
                None => {
                    tracing::warn!(receiver = name, rule = notice.rule, "an alert names a receiver that is not there")
                }
            }
        }
    }

    /// What the evaluator wants back after a restart.
    pub fn save(&mut self, saved: Vec<(String, Option<Vec<u8>>)>) {
        self.writes.extend(saved.into_iter().map(|(key, value)| ((Table::Alerts, key), value)));
    }

    /// What became of a message; one of a receiver that is gone is nobody's business.
    pub fn outcome(&mut self, receiver: &str, message: &str, outcome: &Outcome, now: Now) {
        if let Some(desk) = self.desks.get_mut(receiver) {
            desk.outcome(message, outcome, now);
        }
    }

    /// Makes what is due.
    pub fn wake(&mut self, now: Now) {
        let Self { desks, silences, .. } = self;
        desks.values_mut().for_each(|desk| desk.wake(silences, now));
    }

    /// When to be woken next.
    pub fn deadline(&self) -> Option<Mono> {
        self.desks.values().filter_map(Desk::deadline).min()
    }

    /// The messages whose turn it is.
    pub fn next(&mut self, now: Now) -> Vec<Arc<Notification>> {
        self.desks.values_mut().filter_map(|desk| desk.next(now)).collect()
    }

    /// How long an attempt at a receiver may take.
    pub fn timeout(&self, receiver: &str) -> Duration {
        self.desks.get(receiver).map_or(Policy::TIMEOUT, |desk| desk.policy.timeout)
    }

    /// Waits for nothing any more.
    pub fn hurry(&mut self, now: Now) {
        self.desks.values_mut().for_each(|desk| desk.hurry(now));
    }

    /// Whether a message is with a receiver, or could be now.
    pub fn is_at_work(&self) -> bool {
        self.desks.values().any(Desk::is_at_work)
    }

    /// Adds a silence.
    ///
    /// # Errors
    /// See [`SilenceError`].
    pub fn silence(&mut self, new: NewSilence, id: String, now: Now) -> Result<Silence, SilenceError> {
        for id in self.silences.forget(now.wall) {
            self.writes.insert((Table::Silences, id), None);
        }
        let silence = self.silences.add(new, id, now.wall)?;
        self.keep(&silence, now);
        Ok(silence)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// [`SilenceError::Unknown`].
    pub fn expire(&mut self, id: &str, now: Now) -> Result<Silence, SilenceError> {
        let silence = self.silences.expire(id, now.wall)?;
        self.keep(&silence, now);
        Ok(silence)
    }

    fn keep(&mut self, silence: &Silence, now: Now) {
        self.writes.insert((Table::Silences, silence.id.clone()), Some(bytes(silence)));
        self.desks.values_mut().for_each(|desk| desk.silences_changed(now));
    }

    /// All silences.
    pub fn silences(&self) -> &Silences {
        &self.silences
    }

    /// How it stands; what the engine knows is added there.
    pub fn status(&self) -> Status {
        Status {
            receivers: self.desks.values().map(Desk::status).collect(),
            silenced: self.desks.values().map(|desk| desk.silenced).sum(),
            ..Status::default()
        }
    }

    /// All is to be stored, because the store is a new one. Only the evaluator's part comes with its next change.
    pub fn all_dirty(&mut self) {
        let instance = self.instance.as_bytes().to_vec();
        self.writes.insert((Table::Meta, INSTANCE.to_owned()), Some(instance));
        let silences = self.silences.list();
        self.writes.extend(silences.iter().map(|kept| ((Table::Silences, kept.id.clone()), Some(bytes(kept)))));
        self.desks.values_mut().for_each(Desk::all_dirty);
    }

    /// What is to be stored before anything is sent.
    pub fn take_writes(&mut self) -> Writes {
        for (name, desk) in &mut self.desks {
            let dirty = std::mem::take(&mut desk.dirty);
            self.writes.extend(dirty.iter().map(|dirty| write(name, desk, dirty)));
        }
        std::mem::take(&mut self.writes)
    }

    fn restore(&mut self, contents: &Contents, now: Now) {
        let mut groups: BTreeMap<(String, Arc<str>), Group> = BTreeMap::new();
        for ((table, key), value) in contents {
            let parts: Vec<&str> = key.split(SEPARATOR).collect();
            let understood = match (table, &parts[..]) {
                (Table::Groups | Table::Members | Table::Outbox, [receiver, key, rest @ ..]) => {
                    let group = groups.entry(((*receiver).to_owned(), (*key).into())).or_default();
                    restore(group, *table, rest.first().copied(), value, now)
                }
                (Table::Silences, _) => parsed(value).map(|silence| self.silences.restore(silence)),
                (Table::Meta, ["lost", receiver]) => parsed(value).map(|lost: Lost| {
                    self.desks.get_mut(*receiver).into_iter().for_each(|desk| desk.lost = lost.clone())
                }),
                (Table::Alerts | Table::Meta, _) => Some(()),
                _ => None,
            };
            if understood.is_none() {
                tracing::error!(?table, "a value of the store cannot be understood and is left out");
            }
        }
        for ((receiver, key), group) in groups {
            match self.desks.get_mut(receiver.as_str()) {
                Some(desk) => desk.restore(&key, group, now),
                None => {
                    let mut desk = Desk::new(Policy::new(&receiver), Arc::clone(&self.instance), None, 0);
                    desk.restore(&key, group, now);
                    self.forget(&receiver, &desk);
                }
            }
        }
    }
}

/// One value as it is to be stored now.
fn write(name: &str, desk: &Desk, dirty: &Dirty) -> ((Table, String), Option<Vec<u8>>) {
    let group = |key: &Arc<str>| desk.groups.get(key);
    match dirty {
        Dirty::Group(key) => {
            let saved = group(key).map(|Group { labels, serial, sent, .. }| {
                let sent = sent.map(|sent| sent.wall.as_nanos());
                bytes(&SavedGroup { labels: labels.clone(), serial: *serial, sent })
            });
            ((Table::Groups, joined(&[name, key])), saved)
        }
        Dirty::Member(key, id) => {
            let saved = group(key).and_then(|group| group.members.get(id)).map(|member| {
                let waiting = member.waiting.iter().map(|waiting| (waiting.notice.clone(), waiting.wall.as_nanos()));
                bytes(&SavedMember { told: member.told.clone(), waiting: waiting.collect(), is_muted: member.is_muted })
            });
            ((Table::Members, joined(&[name, key, id])), saved)
        }
        Dirty::Message(key) => {
            let message = group(key).and_then(|group| group.message.as_ref().map(|message| (group, message)));
            let saved = message.filter(|(_, message)| !message.is_repeat()).map(|(group, message)| {
                let oldest =
                    message.changes.iter().filter_map(|id| Some(group.members.get(id)?.waiting.front()?.wall)).min();
                bytes(&SavedMessage {
                    notification: (*message.notification).clone(),
                    changes: message.changes.clone(),
                    since: oldest.unwrap_or(message.notification.created).as_nanos(),
                })
            });
            ((Table::Outbox, joined(&[name, key])), saved)
        }
        Dirty::Lost => {
            let saved = (!desk.lost.is_empty()).then(|| bytes(&desk.lost));
            ((Table::Meta, joined(&["lost", name])), saved)
        }
    }
}

/// Puts a value of the store into its group; `None` if it cannot be understood.
fn restore(group: &mut Group, table: Table, id: Option<&str>, value: &[u8], now: Now) -> Option<()> {
    match table {
        Table::Groups => {
            let SavedGroup { labels, serial, sent } = parsed(value)?;
            let sent = sent.map(|wall| Sent { at: before(now, wall), wall: Timestamp::from_nanos(wall) });
            (group.labels, group.serial, group.sent) = (labels, serial, sent);
        }
        Table::Members => {
            let SavedMember { told, waiting, is_muted } = parsed(value)?;
            let waiting = waiting.into_iter().map(|(notice, wall)| Waiting {
                notice,
                since: before(now, wall),
                wall: Timestamp::from_nanos(wall),
            });
            let member = Member { told, waiting: waiting.collect(), is_muted };
            group.members.insert(id?.to_owned(), member);
        }
        _ => {
            let SavedMessage { notification, changes, since } = parsed(value)?;
            let since = before(now, since);
            let notification = Arc::new(notification);
            group.message =
                Some(Message { notification, changes, since, failures: 0, next: now.mono, is_in_line: false });
        }
    }
    Some(())
}

/// The monotonic time of a moment before this process, as far as the wall clock tells; never later than now.
fn before(now: Now, wall: u64) -> Mono {
    let age = now.wall.nanos_since(Timestamp::from_nanos(wall));
    now.mono.saturating_sub(Duration::from_nanos(age))
}

fn joined(parts: &[&str]) -> String {
    parts.join(SEPARATOR.encode_utf8(&mut [0; 4]))
}

/// Plain maps, lists, texts and numbers always have a form in JSON.
fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn parsed<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}
