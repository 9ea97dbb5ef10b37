//! A new configuration while running: everything is read, checked and opened first, then all of it holds at once, or
//! nothing changes.

use super::opener::Adapters;
use super::operate;
use super::supervisor::Supervisor;
use super::{Control, Daemon, patterns};
use crate::capture::CaptureError;
use crate::capture::interfaces::{self, Change, Interface, Selection};
use crate::config::{self, Config, Part};
use crate::http::Known;
use crate::notify::engine::Receiver;
use crate::otlp::Targets;
use crate::packet::InterfaceId;
use crate::telemetry::trace_span;
use anyhow::Context;
use serde_json::{Value, json};
use tracing::field::Empty;

impl Daemon {
    /// Reads the configuration again. One that cannot be taken is logged and counted, and the one before holds.
    /// Gives the number of the new one and what changed, or why it is not taken.
    ///
    /// # Errors
    /// The reasons, as they are logged.
    pub(super) fn reload(&mut self, control: &Control<'_>) -> Result<Value, String> {
        let span = trace_span!("config.reload", generation = Empty, error = Empty, otel.status_code = Empty).entered();
        self.notifier.reloading();
        let done = self.try_reload(control).map_err(|error| {
            self.server.reload_failed();
            let text = format!("{error:#}");
            let lines: Vec<_> = text.lines().map(str::trim).collect();
            let reasons = lines.join("; ");
            span.record("otel.status_code", "ERROR").record("error", reasons.as_str());
            tracing::error!(error = reasons, "the configuration was rejected, the one before stays in force");
            reasons
        });
        self.watch.tried(done.is_ok());
        if let Ok(told) = &done {
            span.record("generation", told["generation"].as_u64());
        }
        self.say_ready();
        done
    }

    fn try_reload(&mut self, control: &Control<'_>) -> anyhow::Result<Value> {
        let loaded = self.loaded.reread(control.overrides, config::NO_CHECKS)?;
        let changes = self.loaded.changes(&loaded)?;
        let known = Known::load(&loaded.config.api)?;
        let receivers = self.prepare_receivers(&loaded.config)?;
        let targets = changes.has(Part::Push).then(|| self.prepare_targets(&loaded.config)).transpose()?;
        let prepared = self.supervisor.prepare(&loaded.config)?;
        // From here on nothing is refused.
        if changes.has(Part::Level) {
            control.log.set_level(&(control.levels)(&loaded.config));
        }
        let generation = self.server.reloaded(&loaded, known);
        // Before the rules that name them.
        if let Some(notifying) = &self.notifying {
            notifying.adopt(receivers);
        }
        if let Some((pushing, targets)) = self.pushing.as_ref().zip(targets.flatten()) {
            pushing.adopt(targets);
        }
        if changes.has(Part::Alerts) {
            self.alerting.reload(&loaded.config.alerts);
        }
        self.supervisor.adopt(&loaded.config, prepared, generation)?;
        let keys: Vec<_> = changes.keys().collect();
        tracing::info!(generation, changed = keys.join(" "), "the configuration was read again");
        let told = json!({ "generation": generation, "changed": keys });
        self.loaded = loaded;
        Ok(told)
    }
}

impl Daemon {
    /// Opens what is pushed to.
    fn prepare_targets(&self, config: &Config) -> anyhow::Result<Option<Targets>> {
        match &self.pushing {
            Some(pushing) => pushing.prepare(&config.otlp).map(Some),
            None if !config.otlp.is_on() => Ok(None),
            None => anyhow::bail!("nothing was pushed to a collector so far: restart netmon to begin"),
        }
    }

    /// Opens the receivers, also where none of their keys changed: their secrets may have.
    fn prepare_receivers(&self, config: &Config) -> anyhow::Result<Vec<Receiver>> {
        match &self.notifying {
            Some(notifying) => notifying.prepare(&config.notify),
            None if config.notify.receivers.is_empty() => Ok(Vec::new()),
            None => anyhow::bail!("the first receivers need a state directory: restart netmon to use them"),
        }
    }
}

/// What a new configuration needs, opened: it can hold at once.
pub(super) struct Prepared {
    selection: Selection,
    changes: Vec<Change>,
    opened: Vec<(InterfaceId, Interface, Adapters)>,
}

impl Supervisor {
    /// Checks and opens what `config` asks for. Interfaces that join are open, and filters are set, when it returns.
    ///
    /// # Errors
    /// A name that no interface has, a filter that does not compile, an interface that cannot be opened; nothing has
    /// changed then.
    fn prepare(&mut self, config: &Config) -> anyhow::Result<Prepared> {
        let (old, new) = (patterns(&self.config), patterns(config));
        let added: Vec<String> = new.iter().filter(|pattern| !old.contains(pattern)).cloned().collect();
        interfaces::check_names(&added, self.monitor.links())?;
        let filter = config.capture.bpf.as_deref();
        self.check_filter(filter)?;
        let mut selection = self.selection.clone();
        selection.set_patterns(&new);
        let changes = selection.update(self.monitor.links());
        let before = self.config.capture.bpf.clone();
        self.opener.set_filter(filter);
        let prepared = self.open_joining(&changes).and_then(|opened| {
            self.set_filters(before.as_deref(), filter)?;
            Ok(Prepared { selection, changes, opened })
        });
        if prepared.is_err() {
            self.opener.set_filter(before.as_deref());
        }
        prepared
    }

    fn check_filter(&self, filter: Option<&str>) -> Result<(), CaptureError> {
        let Some(expression) = filter else { return Ok(()) };
        let linktypes =
            self.watched.iter().flat_map(|watched| &watched.rings).filter_map(|ring| ring.status().linktype);
        linktypes.into_iter().try_for_each(|linktype| self.opener.check(expression, linktype))
    }

    fn open_joining(&mut self, changes: &[Change]) -> anyhow::Result<Vec<(InterfaceId, Interface, Adapters)>> {
        let joining = changes.iter().filter_map(|change| match change {
            Change::Joined(interface) => Some(interface),
            _ => None,
        });
        let mut opened: Vec<(InterfaceId, Interface, Adapters)> = Vec::new();
        for interface in joining {
            let taken: Vec<InterfaceId> = opened.iter().map(|(id, ..)| *id).collect();
            let id = self.free_id(&taken).context("there are as many interfaces as can be captured")?;
            opened.push((id, interface.clone(), self.opener.open(interface, id)?));
        }
        Ok(opened)
    }

    /// Sets the filter of all rings, or of none.
    fn set_filters(&self, before: Option<&str>, filter: Option<&str>) -> anyhow::Result<()> {
        if before == filter && self.watched.iter().all(|watched| watched.filter.is_none()) {
            return Ok(());
        }
        let set = operate::order(&self.watched, |_| filter.map(str::to_owned));
        if set.is_err() {
            // It was in force until now, so there is room for it.
            drop(operate::order(&self.watched, |watched| self.filter_of(watched)));
        }
        set
    }

    /// Lets a prepared configuration hold.
    ///
    /// # Errors
    /// When the system refuses a thread.
    fn adopt(&mut self, config: &Config, prepared: Prepared, generation: u64) -> anyhow::Result<()> {
        let Prepared { selection, changes, opened } = prepared;
        self.selection = selection;
        self.config = config.clone();
        // What operators set on single interfaces gives way to the configuration.
        self.watched.iter_mut().for_each(|watched| watched.filter = None);
        for (id, interface, adapters) in opened {
            tracing::info!(interface = interface.name, "capturing");
            self.watch(&interface, id, self.opener.rings())?;
            self.attach(id, adapters);
        }
        let others = changes.into_iter().filter(|change| !matches!(change, Change::Joined(_))).collect();
        self.take_over(others)?;
        self.share_flows();
        self.watched.iter().for_each(|watched| watched.set_perspective(&self.config.local_networks));
        let captures = self.watched.iter().map(|watched| (watched.id, self.capture(watched))).collect();
        self.publisher.reloaded(generation, captures);
        Ok(())
    }
}
