//! The notifications of the daemon: its state directory, its receivers, and what brings alerts there.
//!
//! While there is privilege, the directory is made and given to the user that netmon becomes, and secrets are read for
//! the first time, which tells what ports will be connected to. When there is none any more they are read again, as they
//! will be from then on; the store is opened, and what it kept of alerts goes back to their evaluator.

use super::server::Bound;
use super::{spawn, state, wall_clock};
use crate::alert::{Saved, SavedAlert, State, Transition};
use crate::config::Config;
use crate::metrics::{NotificationState, ReceiverState};
use crate::notify::engine::{Engine, Handle, Opened, Receiver, SavedAlerts, Setup};
use crate::notify::receiver::{self, OpenError};
use crate::notify::secret::Surroundings;
use crate::notify::{self, Configured, fingerprint};
use crate::privilege::{Identity, Needs};
use anyhow::Context;
use crossbeam_channel::{Receiver as Inbox, Sender, bounded};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Transitions between the evaluator and the outbox; more wait at the evaluator, which counts them.
const WAITING: usize = 1_024;
/// How long the store may stand still before `/healthz` says so: a slow disk is no stuck thread.
const STALLED: Duration = Duration::from_secs(30);
/// How long the end waits for messages that can be sent now.
const LAST_MESSAGES: Duration = Duration::from_secs(2);

/// What notifications will need, made ready while netmon has its privileges.
pub(super) struct Prepared {
    directory: PathBuf,
    ports: BTreeSet<u16>,
    /// Where secrets and certificates are.
    sources: BTreeSet<PathBuf>,
    uid: Option<u32>,
}

impl Prepared {
    /// Makes the state directory and looks at the secrets. `None` where there is nothing to tell, or nobody.
    ///
    /// # Errors
    /// No directory, or a receiver that cannot be used.
    pub(super) fn new(config: &Config, identity: &Identity) -> anyhow::Result<Option<Self>> {
        if config.alerts.rules.is_empty() && config.notify.receivers.is_empty() {
            return Ok(None);
        }
        let directory = state::directory(config)
            .context("there is no home directory for the state of alerts: set `state.directory`")?;
        state::make_private(&directory, identity)
            .with_context(|| format!("cannot make the state directory `{}`", directory.display()))?;
        let uid = identity.user_id();
        let opened = open(&config.notify, uid)?;
        let ports = opened.iter().flat_map(|(_, receiver)| receiver.ports()).collect();
        let sources = config.notify.receivers.iter().flat_map(|configured| configured.receiver.directories());
        Ok(Some(Self { directory, ports, sources: sources.collect(), uid }))
    }

    /// What must be within reach later.
    pub(super) fn needs(&self) -> Needs {
        let own = Needs {
            read: self.sources.iter().cloned().collect(),
            write: vec![self.directory.clone()],
            connect: self.ports.iter().copied().collect(),
            ..Needs::default()
        };
        if self.ports.is_empty() { own } else { own.and(Needs::for_resolving()) }
    }

    /// Opens the store, without any privilege.
    ///
    /// # Errors
    /// Another process has the store, the system refuses it, or a secret cannot be read as the present user.
    pub(super) fn open(self, config: &notify::Config) -> anyhow::Result<Ready> {
        let receivers = receivers(open(config, self.uid)?);
        let setup =
            Setup { directory: self.directory, receivers, external_url: config.external_url.clone(), wall_clock };
        let opened = setup.open().map_err(anyhow::Error::new)?;
        Ok(Ready { opened, ports: self.ports, uid: self.uid })
    }
}

/// Notifications with their store open and nothing running.
pub(super) struct Ready {
    opened: Opened,
    ports: BTreeSet<u16>,
    uid: Option<u32>,
}

impl Ready {
    /// What the evaluator wants back.
    pub(super) fn saved(&self) -> Saved {
        let mut alerts = Vec::new();
        for value in self.opened.alerts().values() {
            match serde_json::from_slice::<SavedAlert>(value) {
                Ok(alert) => alerts.push(alert),
                Err(error) => tracing::error!(%error, "the state of an alert cannot be understood; it begins anew"),
            }
        }
        Saved { alerts }
    }

    /// Starts the threads. Transitions are to be sent to what this gives; when that is dropped no more are taken.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(self, server: &Bound) -> anyhow::Result<(Notifying, Sender<Transition>)> {
        let heartbeat = server.health().thread("notifications", STALLED);
        let engine = self.opened.start(move || heartbeat.beat()).context("cannot start the thread notify-outbox")?;
        let (transitions, inbox) = bounded(WAITING);
        let handle = engine.handle().clone();
        let feeder = spawn("notify-alerts", move || feed(&inbox, &handle))?;
        let asked = engine.handle().clone();
        server.notifies(move || shown(&asked.status()));
        Ok((Notifying { engine, feeder, ports: self.ports, uid: self.uid }, transitions))
    }
}

/// Notifications that run.
pub(super) struct Notifying {
    engine: Engine,
    feeder: JoinHandle<()>,
    /// That may be connected to.
    ports: BTreeSet<u16>,
    uid: Option<u32>,
}

impl Notifying {
    /// Opens other receivers; they hold once they are given to [`Notifying::adopt`].
    ///
    /// # Errors
    /// A receiver that cannot be used, or that is behind a port that was not asked for at the start.
    pub(super) fn prepare(&self, config: &notify::Config) -> anyhow::Result<Vec<Receiver>> {
        let opened = open(config, self.uid)?;
        for (configured, receiver) in &opened {
            if let Some(port) = receiver.ports().find(|port| !self.ports.contains(port)) {
                let name = &configured.policy.name;
                anyhow::bail!(
                    "the receiver `{name}` is at port {port}, to which nothing was sent so far: restart netmon to use it"
                );
            }
        }
        Ok(receivers(opened))
    }

    /// To look at it, and for what operators do.
    pub(super) fn handle(&self) -> Handle {
        self.engine.handle().clone()
    }

    /// Tells these from here on.
    pub(super) fn adopt(&self, receivers: Vec<Receiver>) {
        self.engine.handle().set_receivers(receivers);
    }

    /// Whether its thread is over, which only a panic brings about.
    pub(super) fn is_broken(&self) -> bool {
        self.engine.is_finished()
    }

    /// Sends what can be sent at once; the rest is stored for the next start. No transitions come any more.
    pub(super) fn begin_stop(self) -> JoinHandle<()> {
        super::live::join(self.feeder);
        self.engine.begin_stop(LAST_MESSAGES)
    }
}

fn open(config: &notify::Config, uid: Option<u32>) -> anyhow::Result<Vec<(&Configured, receiver::Receiver)>> {
    let factory = notify::client::Factory::default();
    let around = Surroundings { user: uid, ..Surroundings::of_process() };
    let open = |configured: &'_ Configured| -> Result<receiver::Receiver, OpenError> {
        receiver::Receiver::open(&configured.receiver, &factory, around)
    };
    let opened = config.receivers.iter().map(|configured| {
        let receiver =
            open(configured).with_context(|| format!("cannot use the receiver `{}`", configured.policy.name))?;
        Ok((configured, receiver))
    });
    opened.collect()
}

fn receivers(opened: Vec<(&Configured, receiver::Receiver)>) -> Vec<Receiver> {
    let pair = |(configured, receiver): (&Configured, receiver::Receiver)| Receiver {
        policy: configured.policy.clone(),
        deliver: Arc::new(receiver),
    };
    opened.into_iter().map(pair).collect()
}

/// Takes what there is at a time, so that it shares a commit.
fn feed(inbox: &Inbox<Transition>, handle: &Handle) {
    while let Ok(first) = inbox.recv() {
        let all: Vec<Transition> = std::iter::once(first).chain(inbox.try_iter()).collect();
        let saved = all.iter().map(kept).collect();
        handle.changed(all.into_iter().map(|transition| transition.alert).collect(), saved);
    }
}

/// What a restart needs of an alert after a change.
fn kept(transition: &Transition) -> <SavedAlerts as IntoIterator>::Item {
    let alert = &transition.alert;
    let mut saved = SavedAlert::from(alert);
    // JSON has no infinities; the next picture has the value.
    saved.value = if saved.value.is_finite() { saved.value } else { 0.0 };
    let is_active = matches!(alert.state, State::Pending | State::Firing);
    let bytes = is_active.then(|| serde_json::to_vec(&saved).unwrap_or_default());
    (fingerprint(&alert.rule, &alert.labels), bytes)
}

fn shown(status: &notify::status::Status) -> NotificationState {
    let receivers = status.receivers.iter().map(|receiver| ReceiverState {
        name: receiver.name.to_string(),
        attempts: receiver.attempts,
        failures: receiver.failures,
        queue_length: receiver.queue_length,
        queue_limit: receiver.queue_limit,
        dropped: receiver.dropped,
        latency: receiver.latency.clone(),
        last_success: receiver.last_success.map(|at| at.as_secs_f64()),
    });
    NotificationState {
        receivers: receivers.collect(),
        silenced: status.silenced,
        undurable: status.undurable,
        overrun: status.overrun,
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::{DROP_REASONS, FAILURE_REASONS};
    use crate::notify::Reason;
    use crate::notify::status::Loss;

    #[test]
    fn the_page_has_the_reasons_that_notifications_count_by() {
        assert_eq!(FAILURE_REASONS, Reason::ALL.map(Reason::name));
        assert_eq!(DROP_REASONS, Loss::ALL.map(Loss::name));
    }
}
