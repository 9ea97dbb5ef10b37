//! Which events are logged: a level for everything, and other levels for parts of the program.

use std::fmt;
use std::str::FromStr;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// A level (`info`), or levels by target (`info,netmon::capture=debug`).
///
/// A target means itself and everything below it, the longest match wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    default: LevelFilter,
    targets: Vec<(String, LevelFilter)>,
}

/// Why a text gives no levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// A word that is no level.
    #[error("no level")]
    Level,
    /// A target that is no module path.
    #[error("no module path before `=`")]
    Target,
    /// More than [`Levels::MAX_TARGETS`].
    #[error("more than {} targets", Levels::MAX_TARGETS)]
    TooMany,
}

impl Levels {
    /// The levels from least to most.
    pub const NAMES: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    /// The most targets with a level of their own.
    pub const MAX_TARGETS: usize = 32;

    /// These levels with the one for everything moved: up for each `-v`, down for each `-q`.
    #[must_use]
    pub fn adjusted(mut self, steps: i32) -> Self {
        let at = LEVELS.iter().position(|level| *level == self.default).unwrap_or_default();
        let steps_up = usize::try_from(steps.unsigned_abs()).unwrap_or(LEVELS.len());
        let moved = if steps < 0 { at.saturating_sub(steps_up) } else { at.saturating_add(steps_up) };
        self.default = LEVELS[moved.min(LEVELS.len() - 1)];
        self
    }

    /// The filter for a subscriber. Spans of work are no part of the log.
    pub(super) fn targets(&self) -> Targets {
        Targets::new()
            .with_default(self.default)
            .with_targets(self.targets.clone())
            .with_target(super::spans::TARGET, LevelFilter::OFF)
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self { default: LevelFilter::INFO, targets: Vec::new() }
    }
}

impl FromStr for Levels {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let mut levels = Self::default();
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                None => levels.default = level(part)?,
                Some((target, name)) if is_module_path(target) => levels.targets.push((target.into(), level(name)?)),
                Some(_) => return Err(LevelError::Target),
            }
        }
        if levels.targets.len() > Self::MAX_TARGETS { Err(LevelError::TooMany) } else { Ok(levels) }
    }
}

/// As it is written in the config; the level for everything comes first.
impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.default)?;
        self.targets.iter().try_for_each(|(target, level)| write!(f, ",{target}={level}"))
    }
}

fn level(name: &str) -> Result<LevelFilter, LevelError> {
    let at = Levels::NAMES.iter().position(|known| *known == name).ok_or(LevelError::Level)?;
    Ok(LEVELS[at])
}

fn is_module_path(target: &str) -> bool {
    !target.is_empty() && target.len() <= 128 && target.chars().all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c))
}

/// In the order of [`Levels::NAMES`].
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_print_as_they_read() {
        for text in ["info", "off", "warn,netmon::capture=trace", "info,hyper=off,netmon=debug"] {
            assert_eq!(text.parse::<Levels>().map(|levels| levels.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_rather_than_taken_for_a_target() {
        for text in ["", "warm", "INFO", "netmon", "netmon=", "=info", "info,", "a b=info", "netmon[span]=info"] {
            assert!(text.parse::<Levels>().is_err(), "{text}");
        }
    }

    #[test]
    fn more_and_less_verbose_stop_at_the_ends() {
        let default = Levels::default();
        assert_eq!(default.clone().adjusted(1).to_string(), "debug");
        assert_eq!(default.clone().adjusted(-1).to_string(), "warn");
        assert_eq!(default.clone().adjusted(i32::MAX).to_string(), "trace");
        assert_eq!(default.adjusted(i32::MIN).to_string(), "off");
    }

    #[test]
    fn many_targets_are_refused() {
        let text = vec!["a=info"; Levels::MAX_TARGETS + 1].join(",");
        assert_eq!(text.parse::<Levels>(), Err(LevelError::TooMany));
    }
}
