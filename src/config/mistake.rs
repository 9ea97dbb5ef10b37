//! What is wrong with a config, and where.

use crate::telemetry::Escaped;
use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// One mistake, in the words for the person who made it.
///
/// ```text
/// config `netmon.yaml:14`: `flows.timeouts.udp` is 0 s, allowed 1 s to 24 h (default 60 s)
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mistake {
    /// Where it was written.
    #[serde(flatten)]
    pub place: Place,
    /// The path of the key, as far as it is about one.
    pub key: Option<String>,
    /// What is wrong, what was found, what is allowed; without the place.
    pub message: String,
    /// What to do about it, where that is not plain from the message.
    pub hint: Option<String>,
}

impl Mistake {
    /// A mistake about the whole of `place`.
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, key: None, message: message.into(), hint: None }
    }

    /// A mistake about one key: the message goes on behind its path.
    pub(super) fn about(place: Place, key: &str, message: impl fmt::Display) -> Self {
        let message = format!("{} {message}", quoted(key));
        Self { place, key: Some(key.into()), message, hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

/// Where a value was written. Sorted as they are listed: the file by line, then variables, then flags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A file as a whole: it could not be read, or a value that stands nowhere.
    File(Arc<str>),
    /// A line and column of a file, both from 1.
    Line {
        /// The file as it was named.
        file: Arc<str>,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// Whether the column is shown: it helps where YAML itself is broken, not where a value is wrong.
        exact: bool,
    },
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
    /// Nowhere: a default that does not suit this machine.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "config `{}`", Escaped(file)),
            Self::Line { file, line, column, exact: true } => write!(f, "config `{}:{line}:{column}`", Escaped(file)),
            Self::Line { file, line, .. } => write!(f, "config `{}:{line}`", Escaped(file)),
            Self::Variable(name) => write!(f, "environment `{}`", Escaped(name)),
            Self::Flag(name) => write!(f, "flag `{}`", Escaped(name)),
            Self::Default => f.write_str("config defaults"),
        }
    }
}

/// An object with the keys that the place has: `file`, `line`, `column`, `variable`, `flag`.
impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::File(file) => map.serialize_entry("file", &**file)?,
            Self::Line { file, line, column, .. } => {
                map.serialize_entry("file", &**file)?;
                map.serialize_entry("line", line)?;
                map.serialize_entry("column", column)?;
            }
            Self::Variable(name) => map.serialize_entry("variable", name)?,
            Self::Flag(name) => map.serialize_entry("flag", name)?,
            Self::Default => {}
        }
        map.end()
    }
}

/// All that is wrong with a config, in the order of its places; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistakes {
    /// The first [`Mistakes::MAX_LISTED`].
    #[serde(rename = "mistakes")]
    pub listed: Vec<Mistake>,
    /// How many more there are.
    pub omitted: usize,
}

impl Mistakes {
    /// The most mistakes that are listed.
    pub const MAX_LISTED: usize = 100;

    /// `Err` with these mistakes if there are any.
    pub(super) fn none(mut mistakes: Vec<Mistake>) -> Result<(), Self> {
        if mistakes.is_empty() {
            return Ok(());
        }
        mistakes.sort();
        let omitted = mistakes.len().saturating_sub(Self::MAX_LISTED);
        mistakes.truncate(Self::MAX_LISTED);
        Err(Self { listed: mistakes, omitted })
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self { listed: vec![mistake], omitted: 0 }
    }
}

impl std::error::Error for Mistakes {}

/// One mistake per line, hints on lines of their own.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.listed.iter().enumerate() {
            write!(f, "{}{mistake}", if n == 0 { "" } else { "\n" })?;
        }
        if self.omitted == 0 { Ok(()) } else { write!(f, "\nand {} more mistakes", self.omitted) }
    }
}

/// A value found, for a message: one line, at most 60 characters, in backquotes.
pub(super) fn quoted(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    if text.is_empty() {
        return "empty".into();
    }
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("`{}…`", Escaped(&text[..end])),
        None => format!("`{}`", Escaped(text)),
    }
}

/// The one of `known` that `name` was probably meant to be: of like letters in like order, and at most every second one
/// to be changed.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const MAX_LEN: usize = 64;
    const LIKENESS: f64 = 0.7;
    if name.len() > MAX_LEN {
        return None;
    }
    let likely = known.into_iter().filter(|candidate| strsim::levenshtein(name, candidate) <= candidate.len() / 2);
    let scored = likely.map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(likeness, _)| *likeness >= LIKENESS).map(|(_, candidate)| candidate)
}
