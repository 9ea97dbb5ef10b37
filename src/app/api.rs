//! The rooms behind the API: what is handed to the server, and what operators' commands become.

use super::{Control, Daemon};
use crate::config::Loaded;
use crate::http::{Command, Hook, Refusal, Rooms, Seconds};
use crate::pipeline::{FlowDesk, Watcher};
use crate::stats::Snapshot;
use crate::time::{Step, Tick};
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Commands that may wait for the daemon's loop.
const WAITING: usize = 8;
/// How long a command may take; a filter takes a round of a capture thread, a reload may open interfaces.
const PATIENCE: Duration = Duration::from_secs(8);

/// The server's side of what the daemon does for the API.
#[derive(Clone, Debug)]
pub(super) struct Api {
    /// Where flows are asked for.
    pub(super) desk: FlowDesk,
    /// The last minutes.
    pub(super) seconds: Seconds,
    /// The configuration in force, as its file would have it.
    config: Arc<ArcSwap<Value>>,
    commands: Sender<Asked>,
    asked: Receiver<Asked>,
}

/// A command, and where its answer goes.
#[derive(Debug)]
struct Asked {
    command: Command,
    answer: Sender<Result<Value, Refusal>>,
}

impl Api {
    pub(super) fn new() -> Self {
        let (commands, asked) = bounded(WAITING);
        let config = Arc::new(ArcSwap::from_pointee(Value::Null));
        Self { desk: FlowDesk::default(), seconds: Seconds::default(), config, commands, asked }
    }

    /// This configuration holds from now on. Secrets are in files, so it has none.
    pub(super) fn set_config(&self, loaded: &Loaded) {
        // The file is plain maps, lists, texts, numbers and switches; such a value always has a form in JSON.
        self.config.store(Arc::new(serde_json::to_value(&loaded.effective).unwrap_or_default()));
    }

    /// What the server is given.
    pub(super) fn rooms(&self) -> Rooms {
        let config = Arc::clone(&self.config);
        Rooms { config: Some(Box::new(move || config.load_full())), flows: Some(self.desk.clone()), ..Rooms::default() }
    }

    /// What gives commands to a daemon's loop; a replay has none.
    pub(super) fn control(&self) -> Hook<Command> {
        let commands = self.commands.clone();
        Box::new(move |command| {
            let (answer, answers) = bounded(1);
            let busy = |_| Refusal::Unavailable("other commands are being carried out".into());
            commands.try_send(Asked { command, answer }).map_err(busy)?;
            let late = |_| Refusal::Unavailable("the command takes longer than expected; it may still be done".into());
            answers.recv_timeout(PATIENCE).map_err(late)?
        })
    }
}

impl Daemon {
    /// Does what operators asked for since the last time.
    pub(super) fn obey(&mut self, control: &Control<'_>) {
        while let Ok(Asked { command, answer }) = self.server.api().asked.try_recv() {
            let done = match command {
                Command::Reload => self.reload(control).map_err(Refusal::Conflict),
                Command::Pause(interface) => self.supervisor.pause(&interface),
                Command::Resume(interface) => self.supervisor.resume(&interface),
                Command::Filter(interface, filter) => self.supervisor.set_filter(&interface, filter),
            };
            // Whoever asked may have given up.
            drop(answer.send(done));
        }
    }
}

/// Feeds the last minutes.
#[derive(Debug)]
pub(super) struct Past(pub(super) Seconds);

impl Watcher for Past {
    fn picture(&mut self, snapshot: &Arc<Snapshot>) {
        self.0.observe(snapshot);
    }

    fn step(&mut self, _: Step) {}

    fn deadline(&self) -> Option<Tick> {
        None
    }
}
