//! What one collector is sent: flows gathered into messages, templates before them, and another try when it was away.

use super::collector::{Collector, Transport};
use super::message::{self, Body, Session};
use super::record;
use super::wire::{self, Trust, Wire};
use crate::export::counts::{Counts, Loss};
use crate::export::outlet::{Ending, Inbox, Next, now};
use crate::export::{Error, Flow, Pressure};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a flow may wait for others to fill its message.
const GATHER: Duration = Duration::from_secs(1);
/// The pause before a collector that is away is tried again: doubled up to the second.
const PAUSE: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];
/// How long a replay waits for a collector before it goes on without.
const REPLAY_PATIENCE: Duration = Duration::from_secs(10);
/// Messages over UDP after which a replay leaves the collector a moment: it reads faster than any collector.
const BURST: u32 = 8;
/// That moment.
const BREATH: Duration = Duration::from_millis(4);
/// Messages over UDP after which templates are sent again, however soon.
const TEMPLATE_MESSAGES: u32 = 4_096;

/// Sends flows to one collector.
pub(in crate::export) struct Sender {
    collector: Collector,
    pressure: Pressure,
    wall_clock: fn() -> Timestamp,
    trust: Trust,
    wire: Option<(Wire, Session)>,
    /// Flows that are yet to be sent.
    body: Body,
    /// When they have to be.
    due: Instant,
    /// Names of interfaces that flows gave so far.
    names: BTreeMap<u32, Arc<str>>,
    /// When the templates were sent last, and messages since then.
    templates: (Instant, u32),
    /// Records of the message before, which UDP may yet bring back as refused.
    before: u32,
    pause: Duration,
    /// Since when it is away, and what was said of it.
    away: Option<(Instant, String)>,
    /// It was given up.
    failed: Option<String>,
}

impl Sender {
    /// One that is not connected yet.
    ///
    /// # Errors
    /// Certificates that cannot be read.
    pub(in crate::export) fn new(
        collector: &Collector,
        pressure: Pressure,
        wall_clock: fn() -> Timestamp,
    ) -> Result<Self, Error> {
        let (trust, body) = (wire::trust(collector)?, Body::new(collector.message_bytes));
        Ok(Self {
            collector: collector.clone(),
            pressure,
            wall_clock,
            trust,
            wire: None,
            body,
            due: now(),
            names: BTreeMap::new(),
            templates: (now(), 0),
            before: 0,
            pause: PAUSE[0],
            away: None,
            failed: None,
        })
    }

    /// Sends until the end; gives why a collector was given up.
    pub(in crate::export) fn run(mut self, inbox: &Inbox, counts: &Counts) -> Option<String> {
        loop {
            let patience = if self.body.is_empty() { GATHER } else { self.due.saturating_duration_since(now()) };
            match inbox.next(patience) {
                Next::Flow(flow) => self.gather(&flow, inbox, counts),
                Next::Quiet => self.send(inbox, counts),
                Next::End => break,
            }
            if !self.body.is_empty() && now() >= self.due {
                self.send(inbox, counts);
            }
        }
        self.send(inbox, counts);
        counts.lost(Loss::Shutdown, inbox.abandon() + u64::from(self.body.records()));
        if let Some((wire, _)) = self.wire {
            wire.finish();
        }
        self.failed
    }

    fn gather(&mut self, flow: &Flow, inbox: &Inbox, counts: &Counts) {
        let number = record::interface(flow.record.interface());
        if self.names.get(&number) != Some(&flow.interface) {
            self.send(inbox, counts);
            self.names.insert(number, Arc::clone(&flow.interface));
            self.introduce(number, &flow.interface, &inbox.ending);
        }
        if self.body.is_empty() {
            self.due = now() + GATHER;
        }
        if !self.body.push(flow, self.collector.biflow) {
            self.send(inbox, counts);
            if !self.body.push(flow, self.collector.biflow) {
                // Only where the message before could not be sent, at the end or for good.
                counts.lost(if self.failed.is_some() { Loss::Write } else { Loss::Shutdown }, 1);
            }
        }
    }

    /// Tells of a new interface; a new session tells of all of them anyway.
    fn introduce(&mut self, number: u32, name: &Arc<str>, ending: &Ending) {
        let named = (number, Arc::clone(name));
        let Some((wire, session)) = &mut self.wire else { return };
        for mut body in message::interfaces(std::iter::once(&named), self.collector.message_bytes) {
            if wire.send(session.seal(&mut body, (self.wall_clock)()), ending).is_err() {
                self.wire = None;
                return;
            }
        }
    }

    /// Sends what was gathered, as soon as the collector is there. Comes back without at the end, or when it was given
    /// up.
    fn send(&mut self, inbox: &Inbox, counts: &Counts) {
        while !self.body.is_empty() && !inbox.ending.is_over() {
            if self.failed.is_some() {
                counts.lost(Loss::Write, u64::from(self.body.records()));
                self.body.clear();
                return;
            }
            match self.try_send(counts, &inbox.ending) {
                Ok(()) => {
                    counts.sent(u64::from(self.body.records()));
                    self.before = self.body.records();
                    self.body.clear();
                    self.arrived();
                }
                Err(error) => self.missed(&error, inbox),
            }
        }
    }

    fn try_send(&mut self, counts: &Counts, ending: &Ending) -> io::Result<()> {
        let is_udp = self.collector.to.transport == Transport::Udp;
        let (since, messages) = self.templates;
        let is_stale = is_udp && (now() - since >= self.collector.templates || messages >= TEMPLATE_MESSAGES);
        if self.wire.is_none() {
            let wire = wire::connect(&self.collector.to, &self.trust)?;
            self.wire = Some((wire, Session::new(self.collector.domain)));
            self.before = 0;
            self.describe(ending)?;
        } else if is_stale {
            self.describe(ending)?;
        }
        let Some((wire, session)) = &mut self.wire else { return Ok(()) };
        self.templates.1 += 1;
        if is_udp && self.pressure == Pressure::Wait && self.templates.1.is_multiple_of(BURST) {
            std::thread::sleep(BREATH);
        }
        let message = session.seal(&mut self.body, (self.wall_clock)());
        match wire.send(message, ending) {
            // The port of the message before was closed; this one did not leave, and may find it open.
            Err(error) if is_udp && error.kind() == ErrorKind::ConnectionRefused => {
                counts.lost(Loss::Write, u64::from(std::mem::take(&mut self.before)));
                self.templates.1 = TEMPLATE_MESSAGES;
                wire.send(message, ending)
            }
            sent => sent,
        }
    }

    /// Sends templates and options: what a collector has to know first.
    fn describe(&mut self, ending: &Ending) -> io::Result<()> {
        let Some((wire, session)) = &mut self.wire else { return Ok(()) };
        let Collector { biflow, domain, message_bytes: limit, .. } = self.collector;
        let named: Vec<_> = self.names.iter().map(|(number, name)| (*number, Arc::clone(name))).collect();
        let first = [Body::templates(biflow, limit), Body::sampling(domain, limit)];
        for mut body in first.into_iter().chain(message::interfaces(named.iter(), limit)) {
            wire.send(session.seal(&mut body, (self.wall_clock)()), ending)?;
        }
        self.templates = (now(), 0);
        Ok(())
    }

    fn arrived(&mut self) {
        self.pause = PAUSE[0];
        if self.away.take().is_some() {
            tracing::info!(collector = %self.collector.to, "flows are sent to the collector again");
        }
    }

    /// Waits a while before the next try. A replay gives up at some time.
    fn missed(&mut self, error: &io::Error, inbox: &Inbox) {
        let is_first = self.wire.take().is_some() && self.away.is_none();
        let complaint = error.to_string();
        let (since, said) = self.away.take().unwrap_or((now(), String::new()));
        if said != complaint {
            tracing::warn!(collector = %self.collector.to, error = complaint, "flows cannot be sent to the collector");
        }
        if self.pressure == Pressure::Wait && now() - since >= REPLAY_PATIENCE {
            self.failed = Some(format!("flows cannot be sent to `{}`: {complaint}", self.collector.to));
        }
        self.away = Some((since, complaint));
        // A session that broke is begun anew at once: the collector may only have been started again.
        if !is_first && self.failed.is_none() {
            inbox.ending.sleep(self.pause.min(if self.pressure == Pressure::Wait { PAUSE[0] } else { PAUSE[1] }));
            self.pause = (self.pause * 2).min(PAUSE[1]);
        }
    }
}
