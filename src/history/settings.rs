//! What a user says of the history, before it is known where it lies.

use super::{Config, FlowConfig, Pace, Tier};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The configuration without the place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether anything is kept.
    pub enabled: bool,
    /// The most bytes of the file.
    pub limit_bytes: u64,
    /// How long records are kept, by [`Tier`].
    pub retention: [Duration; Tier::ALL.len()],
    /// Ended flows.
    pub flows: FlowConfig,
    /// How long alert events are kept.
    pub alert_retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let Config { limit_bytes, retention, flows, alert_retention, .. } = Config::at("");
        Self { enabled: true, limit_bytes, retention, flows, alert_retention }
    }
}

impl Settings {
    /// The history that a daemon keeps in its state directory.
    pub fn in_directory(&self, directory: &Path) -> Config {
        self.at(directory.join(Config::FILE))
    }

    /// The history of a replay, in the file that the user named. The writer is waited for, so no flow is one too many.
    pub fn of_replay(&self, file: PathBuf) -> Config {
        let flows = FlowConfig { max_per_second: u32::MAX, ..self.flows };
        Config { private_directory: false, pace: Pace::Replay, flows, ..self.at(file) }
    }

    fn at(&self, path: PathBuf) -> Config {
        let Self { enabled: _, limit_bytes, retention, flows, alert_retention } = self.clone();
        Config { limit_bytes, retention, flows, alert_retention, ..Config::at(path) }
    }
}
