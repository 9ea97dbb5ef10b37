//! Silences: who does not want to hear of what, until when, and why.

use super::notification::Notice;
use crate::time::Timestamp;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One condition on a label, as in Alertmanager: `name=value`, `name!=value`, `name=~pattern`, `name!~pattern`.
///
/// A label that an alert does not have is empty. Patterns are matched as a whole. `alertname` and `severity` are labels
/// here.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    value: String,
    operator: Operator,
    /// Of a pattern, compiled.
    pattern: Option<Regex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Matches,
    MatchesNot,
}

impl Operator {
    /// The longer ones first, because `=` begins one of them.
    const ALL: [(Self, &'static str); 4] =
        [(Self::Matches, "=~"), (Self::MatchesNot, "!~"), (Self::IsNot, "!="), (Self::Is, "=")];

    fn text(self) -> &'static str {
        Self::ALL.into_iter().find(|(operator, _)| *operator == self).map_or("=", |(_, text)| text)
    }
}

impl Matcher {
    /// Whether an alert meets it.
    pub fn matches(&self, notice: &Notice) -> bool {
        let value = notice.label(&self.name).unwrap_or_default();
        let meets = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(value));
        match self.operator {
            Operator::Is => value == self.value,
            Operator::IsNot => value != self.value,
            Operator::Matches => meets(&self.pattern),
            Operator::MatchesNot => !meets(&self.pattern),
        }
    }

    /// Name and condition as the API has them: a plain value, or one behind `!=`, `=~`, `!~` or `=`.
    ///
    /// # Errors
    /// [`SilenceError::Matcher`].
    pub fn of(name: &str, condition: &str) -> Result<Self, SilenceError> {
        let has_operator = Operator::ALL.iter().any(|(_, sign)| condition.starts_with(sign));
        if has_operator { format!("{name}{condition}") } else { format!("{name}={condition}") }.parse()
    }

    /// Name and condition, for [`Matcher::of`].
    pub fn parts(&self) -> (&str, String) {
        (&self.name, self.condition())
    }

    fn condition(&self) -> String {
        let is_plain = self.operator == Operator::Is && !self.value.starts_with(['=', '!']);
        if is_plain { self.value.clone() } else { format!("{}{}", self.operator.text(), self.value) }
    }

    /// Whether it is met by an alert without the label, and so could silence nearly everything by itself.
    fn is_met_by_nothing(&self) -> bool {
        match self.operator {
            Operator::Is => self.value.is_empty(),
            Operator::IsNot => !self.value.is_empty(),
            Operator::Matches => self.pattern.as_ref().is_some_and(|pattern| pattern.is_match("")),
            Operator::MatchesNot => !self.pattern.as_ref().is_some_and(|pattern| pattern.is_match("")),
        }
    }
}

impl FromStr for Matcher {
    type Err = SilenceError;

    fn from_str(text: &str) -> Result<Self, SilenceError> {
        let wrong = |reason: &str| SilenceError::Matcher { matcher: text.to_owned(), reason: reason.to_owned() };
        let name_end = text.find(['=', '!']).ok_or_else(|| wrong("has no `=`, `!=`, `=~` or `!~`"))?;
        let (name, rest) = text.split_at(name_end);
        let (operator, value) = Operator::ALL
            .into_iter()
            .find_map(|(operator, sign)| Some((operator, rest.strip_prefix(sign)?)))
            .ok_or_else(|| wrong("has no `=`, `!=`, `=~` or `!~`"))?;
        let name = name.trim();
        if !is_label_name(name) {
            return Err(wrong("begins with no label name"));
        }
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
        if value.len() > MAX_TEXT {
            return Err(wrong("is longer than 1024 bytes"));
        }
        let pattern = match operator {
            Operator::Matches | Operator::MatchesNot => {
                Some(whole(value).map_err(|error| wrong(error.to_string().lines().last().unwrap_or_default()))?)
            }
            Operator::Is | Operator::IsNot => None,
        };
        Ok(Self { name: name.to_owned(), value: value.to_owned(), operator, pattern })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.name, self.operator.text(), self.value)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.value, self.operator) == (&other.name, &other.value, other.operator)
    }
}

impl Eq for Matcher {}

impl Serialize for Matcher {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A pattern for a whole value, whose automaton is bounded.
fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(1 << 18).dfa_size_limit(1 << 18).build()
}

/// As Prometheus has it.
fn is_label_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

/// A silence as somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSilence {
    /// All must be met; at least one.
    pub matchers: Vec<Matcher>,
    /// Who asks.
    pub author: String,
    /// Why.
    pub comment: String,
    /// From when; `None`: from now on.
    pub starts_at: Option<Timestamp>,
    /// Until when.
    pub ends: Ends,
}

/// When a silence is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// At this time.
    At(Timestamp),
    /// So long after its begin.
    After(Duration),
}

/// A silence as it is written in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// Labels and their conditions; see [`Matcher::of`].
    pub matchers: BTreeMap<String, String>,
    /// RFC 3339; now if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<String>,
    /// RFC 3339; this or `duration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    /// Such as `2h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Why.
    pub comment: String,
    /// Who.
    pub created_by: String,
}

impl Asked {
    /// What it asks for.
    ///
    /// # Errors
    /// A matcher or a time that is none.
    pub fn read(&self) -> Result<NewSilence, SilenceError> {
        let ends = match (&self.ends_at, &self.duration) {
            (Some(at), None) => Ends::At(time("ends_at", at)?),
            (None, Some(length)) => Ends::After(duration(length)?),
            _ => return Err(SilenceError::Missing("its end, as one of `ends_at` and `duration`,")),
        };
        let matchers = self.matchers.iter().map(|(name, condition)| Matcher::of(name, condition));
        Ok(NewSilence {
            matchers: matchers.collect::<Result<_, _>>()?,
            author: self.created_by.clone(),
            comment: self.comment.clone(),
            starts_at: self.starts_at.as_ref().map(|at| time("starts_at", at)).transpose()?,
            ends,
        })
    }
}

fn time(what: &'static str, text: &str) -> Result<Timestamp, SilenceError> {
    let nanos = text.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_nanosecond()).ok());
    let wrong = || SilenceError::Time { what, found: text.to_owned(), allowed: "a time such as 2026-01-02T03:04:05Z" };
    nanos.map(Timestamp::from_nanos).ok_or_else(wrong)
}

fn duration(text: &str) -> Result<Duration, SilenceError> {
    let length = text.parse::<jiff::SignedDuration>().ok().and_then(|length| Duration::try_from(length).ok());
    let wrong = || SilenceError::Time { what: "duration", found: text.to_owned(), allowed: "one such as 90m or 2h" };
    length.filter(|length| *length <= LONGEST).ok_or_else(wrong)
}

/// Whoever wants longer does not want the rule.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A silence that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// 16 hex digits.
    pub id: String,
    /// All must be met.
    pub matchers: Vec<Matcher>,
    /// Who asked for it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// When it was asked for, by the wall clock.
    #[serde(with = "nanos")]
    pub created_at: Timestamp,
    /// From when on.
    #[serde(with = "nanos")]
    pub starts_at: Timestamp,
    /// Until when.
    #[serde(with = "nanos")]
    pub ends_at: Timestamp,
}

impl Silence {
    /// Whether it holds.
    pub fn is_active(&self, now: Timestamp) -> bool {
        (self.starts_at..self.ends_at).contains(&now)
    }

    /// `pending`, `active` or `expired`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (now < self.starts_at, now < self.ends_at) {
            (true, _) => "pending",
            (false, true) => "active",
            (false, false) => "expired",
        }
    }

    /// Whether it is about an alert.
    pub fn matches(&self, notice: &Notice) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(notice))
    }

    /// As the API shows it: what was [`Asked`], with `id`, `created_at` and `state`.
    pub fn document(&self, now: Timestamp) -> serde_json::Value {
        let matchers: BTreeMap<&str, String> =
            self.matchers.iter().map(|matcher| (matcher.name.as_str(), matcher.condition())).collect();
        serde_json::json!({
            "id": self.id, "matchers": matchers, "created_by": self.author, "comment": self.comment,
            "created_at": self.created_at.to_string(), "starts_at": self.starts_at.to_string(),
            "ends_at": self.ends_at.to_string(), "state": self.state(now),
        })
    }
}

/// Why a silence is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// A matcher that is none.
    #[error("the matcher `{matcher}` {reason}")]
    Matcher {
        /// As given.
        matcher: String,
        /// What is wrong.
        reason: String,
    },
    /// Without matchers, or with those only that nothing meets, it would silence everything.
    #[error("at least one matcher must ask for a label that is there, such as `alertname=HighIngress`")]
    Everything,
    /// More than there may be.
    #[error("{what} of {found}, allowed {allowed}")]
    TooMany {
        /// What is too much.
        what: &'static str,
        /// How much it is.
        found: usize,
        /// How much it may be.
        allowed: usize,
    },
    /// No time, or no length of time.
    #[error("`{what}` is `{found}`, allowed {allowed}")]
    Time {
        /// The key.
        what: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// No author or no comment: whoever finds the silence later must know whom to ask.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Its end is not behind its begin and behind now.
    #[error("it ends at {ends_at}, which is over already or before it begins")]
    Over {
        /// Its end.
        ends_at: Timestamp,
    },
    /// No silence has this id.
    #[error("there is no silence `{0}`")]
    Unknown(String),
    /// The engine is over.
    #[error("notifications are being stopped")]
    Stopping,
}

/// All silences, bounded; those that are over are kept for a while, to be seen.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    by_id: BTreeMap<String, Silence>,
}

impl Silences {
    /// The most that are kept.
    pub const MAX: usize = 1_000;
    /// The most matchers of one.
    pub const MAX_MATCHERS: usize = 16;
    /// How long one that is over can still be seen.
    pub const SEEN: Duration = Duration::from_secs(5 * 24 * 3600);

    /// Takes back what was kept.
    pub fn restore(&mut self, silence: Silence) {
        self.by_id.insert(silence.id.clone(), silence);
    }

    /// Checks one and adds it under `id`.
    ///
    /// # Errors
    /// See [`SilenceError`].
    pub fn add(&mut self, new: NewSilence, id: String, now: Timestamp) -> Result<Silence, SilenceError> {
        let NewSilence { matchers, author, comment, starts_at, ends } = new;
        within("matchers", matchers.len(), Self::MAX_MATCHERS)?;
        within("silences", self.by_id.len() + 1, Self::MAX)?;
        if matchers.iter().all(Matcher::is_met_by_nothing) {
            return Err(SilenceError::Everything);
        }
        for (what, text) in [("the author", &author), ("the comment", &comment)] {
            within(what, text.len(), MAX_TEXT)?;
            if text.trim().is_empty() {
                return Err(SilenceError::Missing(what));
            }
        }
        let starts_at = starts_at.unwrap_or(now);
        let ends_at = match ends {
            Ends::At(at) => at,
            Ends::After(length) => starts_at.max(now).saturating_add(length),
        };
        if ends_at <= starts_at || ends_at <= now {
            return Err(SilenceError::Over { ends_at });
        }
        let silence = Silence { id: id.clone(), matchers, author, comment, created_at: now, starts_at, ends_at };
        self.by_id.insert(id, silence.clone());
        Ok(silence)
    }

    /// Ends one now; one that is over stays as it is.
    ///
    /// # Errors
    /// [`SilenceError::Unknown`].
    pub fn expire(&mut self, id: &str, now: Timestamp) -> Result<Silence, SilenceError> {
        let silence = self.by_id.get_mut(id).ok_or_else(|| SilenceError::Unknown(id.to_owned()))?;
        silence.ends_at = silence.ends_at.min(now);
        silence.starts_at = silence.starts_at.min(silence.ends_at);
        Ok(silence.clone())
    }

    /// All, those that end last first.
    pub fn list(&self) -> Vec<Silence> {
        let mut all: Vec<_> = self.by_id.values().cloned().collect();
        all.sort_by(|a, b| b.ends_at.cmp(&a.ends_at).then_with(|| a.id.cmp(&b.id)));
        all
    }

    /// Until when an alert is silenced; `None` if it is not.
    pub fn until(&self, notice: &Notice, now: Timestamp) -> Option<Timestamp> {
        let about = self.by_id.values().filter(|silence| silence.is_active(now) && silence.matches(notice));
        about.map(|silence| silence.ends_at).max()
    }

    /// Forgets those that nobody needs to see any more, and names them.
    pub fn forget(&mut self, now: Timestamp) -> Vec<String> {
        let is_old = |silence: &&Silence| silence.ends_at.saturating_add(Self::SEEN) < now;
        let old: Vec<String> = self.by_id.values().filter(is_old).map(|silence| silence.id.clone()).collect();
        old.iter().for_each(|id| drop(self.by_id.remove(id)));
        old
    }
}

/// The longest author, comment, value of a matcher.
const MAX_TEXT: usize = 1024;

fn within(what: &'static str, found: usize, allowed: usize) -> Result<(), SilenceError> {
    if found <= allowed { Ok(()) } else { Err(SilenceError::TooMany { what, found, allowed }) }
}

/// A time as nanoseconds.
mod nanos {
    pub use super::super::notification::nanos::{deserialize, serialize};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notification::tests::notice;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn asked(matchers: &[&str]) -> NewSilence {
        NewSilence {
            matchers: matchers.iter().map(|matcher| matcher.parse().unwrap()).collect(),
            author: "ann".into(),
            comment: "maintenance".into(),
            starts_at: None,
            ends: Ends::After(Duration::from_secs(60)),
        }
    }

    #[test]
    fn matchers_are_those_of_alertmanager() {
        let alert = notice("HighIngress", &[("interface", "eth0")]);
        let cases = [
            ("alertname=HighIngress", true),
            ("alertname = \"HighIngress\"", true),
            ("interface=~eth.", true),
            ("interface=~th", false),
            ("interface!~wlan.*", true),
            ("interface!=eth0", false),
            ("team=", true),
            ("team!=", false),
            ("severity=warning", true),
        ];
        for (text, expected) in cases {
            let matcher: Matcher = text.parse().unwrap();
            assert_eq!(matcher.matches(&alert), expected, "{text}");
        }
    }

    #[test]
    fn a_matcher_says_what_is_wrong_with_it() {
        let wrong = |text: &str| text.parse::<Matcher>().unwrap_err().to_string();
        assert_eq!(wrong("eth0"), "the matcher `eth0` has no `=`, `!=`, `=~` or `!~`");
        assert_eq!(wrong("=eth0"), "the matcher `=eth0` begins with no label name");
        assert!(wrong("a=~(").contains("unclosed group"), "{}", wrong("a=~("));
        assert!(wrong("a=~(((a{100}){100}){100})").contains("size limit"));
    }

    #[test]
    fn a_silence_needs_a_label_an_author_a_comment_and_an_end_to_come() {
        let mut silences = Silences::default();
        let mut add = |new| silences.add(new, "1".into(), at(100)).map(drop).map_err(|error| error.to_string());
        let everything =
            Err("at least one matcher must ask for a label that is there, such as `alertname=HighIngress`".into());
        assert_eq!(add(asked(&[])), everything);
        assert_eq!(add(asked(&["alertname=~.*"])), everything);
        assert_eq!(add(NewSilence { author: " ".into(), ..asked(&["a=b"]) }), Err("the author is missing".into()));
        assert_eq!(add(NewSilence { comment: String::new(), ..asked(&["a=b"]) }), Err("the comment is missing".into()));
        let over = add(NewSilence { ends: Ends::At(at(100)), ..asked(&["a=b"]) }).unwrap_err();
        assert!(over.starts_with("it ends at 1970-01-01T00:01:40"), "{over}");
        assert_eq!(add(asked(&["a=b"; 17])), Err("matchers of 17, allowed 16".into()));
        assert_eq!(add(asked(&["a=b"])), Ok(()));
    }

    #[test]
    fn it_holds_from_its_begin_to_its_end_and_can_be_ended_early() {
        let mut silences = Silences::default();
        let new = NewSilence { starts_at: Some(at(110)), ends: Ends::At(at(160)), ..asked(&["alertname=A"]) };
        silences.add(new, "1".into(), at(100)).unwrap();
        let until = |silences: &Silences, now| silences.until(&notice("A", &[]), at(now));
        assert_eq!([109, 110, 159, 160].map(|now| until(&silences, now)), [None, Some(at(160)), Some(at(160)), None]);
        assert_eq!(until(&silences, 120), Some(at(160)));
        silences.expire("1", at(120)).unwrap();
        assert_eq!(until(&silences, 120), None);
        assert_eq!(silences.list()[0].state(at(120)), "expired");
        assert_eq!(silences.expire("2", at(120)), Err(SilenceError::Unknown("2".into())));
        assert_eq!(silences.forget(at(121)), Vec::<String>::new());
        assert_eq!(silences.forget(at(1_000_000)), ["1"]);
    }

    #[test]
    fn a_document_says_what_was_asked_for() {
        let json = r#"{"matchers": {"alert": "A", "interface": "=~eth.*", "team": "!=net"}, "duration": "90m",
            "comment": "works", "created_by": "ann"}"#;
        let asked: Asked = serde_json::from_str(json).unwrap();
        let mut silences = Silences::default();
        let kept = silences.add(asked.read().unwrap(), "1".into(), at(100)).unwrap();
        let document = kept.document(at(100));
        assert_eq!(document["matchers"], serde_json::json!(asked.matchers));
        assert_eq!(
            (&document["ends_at"], &document["state"]),
            (&"1970-01-01T01:31:40.000000000Z".into(), &"active".into())
        );
        assert!(kept.matches(&notice("A", &[("interface", "eth1")])));
        let wrong = |asked: Asked| asked.read().unwrap_err().to_string();
        assert_eq!(wrong(Asked::default()), "its end, as one of `ends_at` and `duration`, is missing");
        assert_eq!(
            wrong(Asked { duration: Some("soon".into()), ..asked }),
            "`duration` is `soon`, allowed one such as 90m or 2h"
        );
    }

    #[test]
    fn it_comes_back_from_the_store_as_it_was() {
        let mut silences = Silences::default();
        let kept = silences.add(asked(&["interface=~eth[0-9]", "a!=b"]), "1".into(), at(100)).unwrap();
        let back: Silence = serde_json::from_slice(&serde_json::to_vec(&kept).unwrap()).unwrap();
        assert_eq!(back, kept);
        assert!(!back.matches(&notice("A", &[("interface", "eth")])));
        assert!(back.matches(&notice("A", &[("interface", "eth3")])));
    }
}
