//! What goes for all alerts.

use super::{Rule, Single};
use crate::alert::Severity;
use crate::config::alerts::share;
use crate::config::mistake::quoted;
use crate::telemetry::is_unsafe;
use schemars::{Schema, json_schema};
use serde_json::Value as Json;

/// A share, `1%` or `0.01`; the default is in thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Percent<const DEFAULT: u16>;

impl<const DEFAULT: u16> Rule for Percent<DEFAULT> {
    type Value = f64;

    fn parse(text: &str) -> Result<f64, String> {
        share(text).ok_or_else(|| quoted(text))
    }

    fn allowed() -> String {
        "0 to 1, or a percentage such as `5%`".into()
    }

    fn json(value: &f64) -> Json {
        (*value).into()
    }

    fn schema() -> Schema {
        json_schema!({
            "type": ["number", "string"], "minimum": 0, "maximum": 1, "pattern": r"^[0-9]+(\.[0-9]+)?%?$",
        })
    }
}

impl<const DEFAULT: u16> Single for Percent<DEFAULT> {
    fn default() -> f64 {
        f64::from(DEFAULT) / 1000.0
    }

    fn default_text() -> String {
        format!("{}%", f64::from(DEFAULT) / 10.0)
    }
}

/// How bad an alert is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeverityName;

impl Rule for SeverityName {
    type Value = Severity;

    fn parse(text: &str) -> Result<Severity, String> {
        Severity::ALL.into_iter().find(|severity| severity.name() == text).ok_or_else(|| quoted(text))
    }

    fn allowed() -> String {
        Severity::ALL.map(Severity::name).join(", ")
    }

    fn json(value: &Severity) -> Json {
        value.name().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "enum": Severity::ALL.map(Severity::name)})
    }
}

impl Single for SeverityName {
    fn default() -> Severity {
        Severity::default()
    }

    fn default_text() -> String {
        Severity::default().name().into()
    }
}

/// The name of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverName;

impl ReceiverName {
    const MAX_LEN: usize = 64;
}

impl Rule for ReceiverName {
    type Value = String;

    fn parse(text: &str) -> Result<String, String> {
        let is_bad = text.is_empty() || text.trim() != text || text.len() > Self::MAX_LEN || text.contains(is_unsafe);
        if is_bad { Err(quoted(text)) } else { Ok(text.into()) }
    }

    fn allowed() -> String {
        "the name of a receiver".into()
    }

    fn json(value: &String) -> Json {
        value.as_str().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": Self::MAX_LEN})
    }
}

/// Where people find the page of this daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUrl;

impl ExternalUrl {
    const MAX_LEN: usize = 2048;
}

impl Rule for ExternalUrl {
    type Value = Option<String>;

    fn parse(text: &str) -> Result<Option<String>, String> {
        let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let is_bad = |rest: &str| rest.is_empty() || text.len() > Self::MAX_LEN || text.contains([' ', '<', '>', '|']);
        match rest {
            None if text.is_empty() => Ok(None),
            Some(rest) if !is_bad(rest) && !text.contains(is_unsafe) => Ok(Some(text.trim_end_matches('/').into())),
            _ => Err(quoted(text)),
        }
    }

    fn allowed() -> String {
        "an address that begins with https:// or http://".into()
    }

    fn json(value: &Option<String>) -> Json {
        value.as_deref().unwrap_or_default().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "maxLength": Self::MAX_LEN})
    }
}

impl Single for ExternalUrl {
    fn default() -> Option<String> {
        None
    }

    fn default_text() -> String {
        "none".into()
    }
}
