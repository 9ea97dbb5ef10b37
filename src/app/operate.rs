//! What operators ask for while netmon runs: pause, resume, another filter on one interface.
//!
//! The handle is the capture thread's own; it gets orders. A pause is a filter that nothing passes: it needs no privilege
//! to end, and what the kernel counts meanwhile shows as missing coverage and as a gap.

use super::live::Order;
use super::supervisor::Supervisor;
use super::watched::Watched;
use crate::http::Refusal;
use anyhow::Context;
use crossbeam_channel::unbounded;
use serde_json::{Value, json};
use std::time::Duration;

/// No frame has so many bytes.
const NOTHING: &str = "greater 2147483647";
/// How long a ring may take to set a filter: it looks for orders twenty times a second.
const ANSWER: Duration = Duration::from_secs(2);

impl Supervisor {
    /// Captures nothing on an interface until it is resumed, whatever becomes of it meanwhile.
    ///
    /// # Errors
    /// When there is no such interface, or its capture does not answer.
    pub(super) fn pause(&mut self, name: &str) -> Result<Value, Refusal> {
        let at = self.find(name)?;
        self.watched[at].paused = true;
        if let Err(error) = self.apply(at) {
            self.watched[at].paused = false;
            return Err(conflict(&error));
        }
        self.watched[at].begin_gap("paused");
        tracing::warn!(interface = name, "capture is paused");
        Ok(self.told(at))
    }

    /// Captures on it again.
    ///
    /// # Errors
    /// When there is no such interface, or its capture does not answer.
    pub(super) fn resume(&mut self, name: &str) -> Result<Value, Refusal> {
        let at = self.find(name)?;
        let was_paused = std::mem::replace(&mut self.watched[at].paused, false);
        if let Err(error) = self.apply(at) {
            self.watched[at].paused = was_paused;
            return Err(conflict(&error));
        }
        if was_paused {
            tracing::info!(interface = name, "capture is resumed");
            self.watched[at].note_state();
        }
        Ok(self.told(at))
    }

    /// Sets the filter of one interface until the configuration is read again; `None` is what the configuration says.
    ///
    /// # Errors
    /// When there is no such interface, it is not captured, or the filter does not compile for it.
    pub(super) fn set_filter(&mut self, name: &str, filter: Option<String>) -> Result<Value, Refusal> {
        let at = self.find(name)?;
        if let Some(expression) = &filter {
            self.check_filter_of(at, expression)?;
        }
        let before = std::mem::replace(&mut self.watched[at].filter, filter);
        if let Err(error) = self.apply(at) {
            self.watched[at].filter = before;
            return Err(conflict(&error));
        }
        tracing::info!(interface = name, filter = self.watched[at].filter, "the capture filter was set");
        Ok(self.told(at))
    }

    fn find(&self, name: &str) -> Result<usize, Refusal> {
        self.position(name).ok_or_else(|| Refusal::Unknown {
            field: "interface".into(),
            value: name.into(),
            allowed: self.names(),
        })
    }

    fn check_filter_of(&self, at: usize, expression: &str) -> Result<(), Refusal> {
        let linktype = self.watched[at].rings.iter().find_map(|ring| ring.status().linktype);
        let absent = || Refusal::Conflict("the interface is not captured, so the filter cannot be checked".into());
        self.opener.check(expression, linktype.ok_or_else(absent)?).map_err(|error| Refusal::Invalid {
            field: "bpf".into(),
            value: expression.into(),
            allowed: format!("a filter in the syntax of pcap-filter(7): {error}"),
        })
    }

    fn told(&self, at: usize) -> Value {
        let watched = &self.watched[at];
        self.publish(at);
        json!({
            "interface": watched.interface.name,
            "paused": watched.paused,
            "filter": self.filter_of(watched),
        })
    }

    /// The filter of an interface, pauses aside.
    pub(super) fn filter_of(&self, watched: &Watched) -> Option<String> {
        watched.filter.clone().or_else(|| self.config.capture.bpf.clone())
    }

    /// Sets what is to hold for an interface.
    pub(super) fn apply(&self, at: usize) -> anyhow::Result<()> {
        let filter = self.filter_of(&self.watched[at]);
        order(std::slice::from_ref(&self.watched[at]), |_| filter.clone())
    }
}

/// Sets the filters of all rings, and waits for each; interfaces that are paused stay so.
///
/// # Errors
/// What a capture says of the filter, or that one does not answer.
pub(super) fn order(watched: &[Watched], filter: impl Fn(&Watched) -> Option<String>) -> anyhow::Result<()> {
    let (answer, answers) = unbounded();
    let mut asked = 0;
    for watched in watched {
        let filter = if watched.paused { Some(NOTHING.to_owned()) } else { filter(watched) };
        for ring in &watched.rings {
            ring.order(Order::Filter(filter.clone(), answer.clone()));
            asked += 1;
        }
    }
    for _ in 0..asked {
        answers.recv_timeout(ANSWER).context("a capture thread does not set its filter")??;
    }
    Ok(())
}

fn conflict(error: &anyhow::Error) -> Refusal {
    Refusal::Conflict(format!("{error:#}"))
}
