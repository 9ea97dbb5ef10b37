//! Where flows go.

use super::{OptionalPeriod, Rule, Single};
use crate::config::mistake::quoted;
use crate::export::Config;
use crate::export::ipfix::{Target, TargetError};
use schemars::{Schema, json_schema};
use serde_json::Value as Json;
use std::time::Duration;

/// The address of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorTarget;

impl Rule for CollectorTarget {
    type Value = Option<Target>;

    fn parse(text: &str) -> Result<Option<Target>, String> {
        let wrong = |error: TargetError| format!("{} ({error})", quoted(text));
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wrong) }
    }

    fn allowed() -> String {
        "the address of a collector such as `udp://host:4739`, `tcp://host` or `tls://host`".into()
    }

    fn json(value: &Option<Target>) -> Json {
        value.as_ref().map(Target::to_string).unwrap_or_default().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^((udp|tcp|tls)://)?[^/]*$", "maxLength": 270})
    }
}

impl Single for CollectorTarget {
    fn default() -> Option<Target> {
        None
    }

    fn default_text() -> String {
        "none".into()
    }
}

/// The active timeout of exports, or off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartsPeriod;

/// What it has in common with that of the table.
type Common = OptionalPeriod<1_000_000_000, 86_400_000_000_000>;

impl Rule for PartsPeriod {
    type Value = Option<Duration>;

    fn parse(text: &str) -> Result<Option<Duration>, String> {
        Common::parse(text)
    }

    fn allowed() -> String {
        Common::allowed()
    }

    fn json(value: &Option<Duration>) -> Json {
        Common::json(value)
    }

    fn schema() -> Schema {
        Common::schema()
    }
}

impl Single for PartsPeriod {
    fn default() -> Option<Duration> {
        Config::default().active_timeout
    }

    fn default_text() -> String {
        crate::config::units::Span::from(Config::ACTIVE_TIMEOUT).to_string()
    }
}
