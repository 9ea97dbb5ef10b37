//! What is asked of a receiver, whatever its kind.

use super::receiver;
use std::sync::Arc;
use std::time::Duration;

/// Who is told of alerts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// With names that differ.
    pub receivers: Vec<Configured>,
    /// Where people find the page of this daemon.
    pub external_url: Option<String>,
}

/// A receiver as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Configured {
    /// When it is told.
    pub policy: Policy,
    /// What it is, and how it is reached.
    pub receiver: receiver::Config,
}

/// How alerts become messages to one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The receiver's name.
    pub name: Arc<str>,
    /// Which alerts share a message.
    pub group_by: GroupBy,
    /// How long the first message of a group, and the first of each later burst, waits for further alerts.
    pub group_wait: Duration,
    /// The least time between two messages about one group that say something new.
    pub group_interval: Duration,
    /// When what still fires is said again; `None`: never.
    pub repeat_interval: Option<Duration>,
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// How long a change is tried before it is given up and reported.
    pub max_age: Duration,
    /// The most changes that wait. Further alerts are then not told to this receiver, counted and reported; the end of
    /// one that was told always has room.
    pub queue: usize,
}

impl Policy {
    /// The defaults, under a name.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            group_by: GroupBy::default(),
            group_wait: Self::GROUP_WAIT,
            group_interval: Self::GROUP_INTERVAL,
            repeat_interval: Some(Self::REPEAT_INTERVAL),
            timeout: Self::TIMEOUT,
            max_age: Self::MAX_AGE,
            queue: Self::QUEUE,
        }
    }

    /// Long enough for the alerts of one cause to come together, short enough for people.
    pub const GROUP_WAIT: Duration = Duration::from_secs(10);
    /// A group that changes all the time is not news every second.
    pub const GROUP_INTERVAL: Duration = Duration::from_secs(60);
    /// Twice in a working day.
    pub const REPEAT_INTERVAL: Duration = Duration::from_secs(4 * 3600);
    /// A receiver that takes longer is overloaded.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
    /// A receiver may be gone for a night.
    pub const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
    /// About 1 MiB.
    pub const QUEUE: usize = 1_000;
}

/// Which alerts share a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Those with the same values of these labels; a label that is not there is left out. None: all of them.
    Labels(Vec<String>),
    /// Each is alone.
    Each,
}

impl Default for GroupBy {
    /// By rule.
    fn default() -> Self {
        Self::Labels(vec!["alertname".into()])
    }
}
