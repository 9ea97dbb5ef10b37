//! Sizes, durations, counts and switches.

use super::{Rule, Single};
use crate::config::mistake::quoted;
use crate::config::units::{Size, Span};
use schemars::{Schema, json_schema};
use serde_json::Value as Json;
use std::time::Duration;

/// A size in bytes; all three parameters are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes<const MIN: u64, const MAX: u64, const DEFAULT: u64>;

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Rule for Bytes<MIN, MAX, DEFAULT> {
    type Value = u64;

    fn parse(text: &str) -> Result<u64, String> {
        let size: Size = text.parse().map_err(|error| format!("{} ({error})", quoted(text)))?;
        if (MIN..=MAX).contains(&size.0) { Ok(size.0) } else { Err(size.to_string()) }
    }

    fn allowed() -> String {
        format!("{} to {}", Size(MIN), Size(MAX))
    }

    fn json(value: &u64) -> Json {
        let text = compact(&Size(*value));
        if text == format!("{value}B") { Json::from(*value) } else { Json::from(text) }
    }

    fn schema() -> Schema {
        json_schema!({
            "type": ["integer", "string"], "minimum": MIN, "maximum": MAX,
            "pattern": r"^[0-9]+(\.[0-9]+)? ?([kKMGT]B|[KMGT]iB|B)?$",
        })
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Single for Bytes<MIN, MAX, DEFAULT> {
    fn default() -> u64 {
        DEFAULT
    }

    fn default_text() -> String {
        Size(DEFAULT).to_string()
    }
}

/// A duration; all three parameters are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period<const MIN: u64, const MAX: u64, const DEFAULT: u64>;

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Rule for Period<MIN, MAX, DEFAULT> {
    type Value = Duration;

    fn parse(text: &str) -> Result<Duration, String> {
        parse_span(text, MIN, MAX)
    }

    fn allowed() -> String {
        span_range(MIN, MAX)
    }

    fn json(value: &Duration) -> Json {
        compact(&Span::from(*value)).into()
    }

    fn schema() -> Schema {
        json_schema!({
            "type": ["number", "string"], "minimum": in_seconds(MIN), "maximum": in_seconds(MAX), "pattern": SPAN_PATTERN,
        })
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Single for Period<MIN, MAX, DEFAULT> {
    fn default() -> Duration {
        Duration::from_nanos(DEFAULT)
    }

    fn default_text() -> String {
        Span::from_nanos(DEFAULT).to_string()
    }
}

/// A duration or `off`, which is the default; the parameters are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalPeriod<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Rule for OptionalPeriod<MIN, MAX> {
    type Value = Option<Duration>;

    fn parse(text: &str) -> Result<Option<Duration>, String> {
        if text == "off" { Ok(None) } else { parse_span(text, MIN, MAX).map(Some) }
    }

    fn allowed() -> String {
        format!("{}, or off", span_range(MIN, MAX))
    }

    fn json(value: &Option<Duration>) -> Json {
        value.map_or("off".into(), |period| compact(&Span::from(period)).into())
    }

    fn schema() -> Schema {
        json_schema!({
            "type": ["number", "string"], "minimum": in_seconds(MIN), "maximum": in_seconds(MAX),
            "pattern": format!("^off$|{SPAN_PATTERN}"),
        })
    }
}

impl<const MIN: u64, const MAX: u64> Single for OptionalPeriod<MIN, MAX> {
    fn default() -> Option<Duration> {
        None
    }

    fn default_text() -> String {
        "off".into()
    }
}

/// A window of whole seconds, because its length is a label value such as `10s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window;

impl Window {
    const MIN: u64 = 1_000_000_000;
    const MAX: u64 = 3_600_000_000_000;
}

impl Rule for Window {
    type Value = Duration;

    fn parse(text: &str) -> Result<Duration, String> {
        let window = parse_span(text, Self::MIN, Self::MAX)?;
        let is_whole = window.subsec_nanos() == 0;
        if is_whole { Ok(window) } else { Err(format!("{} (no whole seconds)", Span::from(window))) }
    }

    fn allowed() -> String {
        span_range(Self::MIN, Self::MAX)
    }

    fn json(value: &Duration) -> Json {
        value.as_secs().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": ["integer", "string"], "minimum": 1, "maximum": 3600, "pattern": SPAN_PATTERN})
    }

    fn default_list() -> Vec<Duration> {
        crate::stats::Config::default().windows
    }
}

/// A whole number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count<const MIN: u64, const MAX: u64, const DEFAULT: u64>;

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Rule for Count<MIN, MAX, DEFAULT> {
    type Value = u64;

    fn parse(text: &str) -> Result<u64, String> {
        parse_count(text, MIN, MAX)
    }

    fn allowed() -> String {
        format!("{MIN} to {MAX}")
    }

    fn json(value: &u64) -> Json {
        (*value).into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Single for Count<MIN, MAX, DEFAULT> {
    fn default() -> u64 {
        DEFAULT
    }

    fn default_text() -> String {
        DEFAULT.to_string()
    }
}

/// `true` or `false`; also `yes`, `no`, `on`, `off`, as YAML 1.1 had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch<const DEFAULT: bool>;

impl<const DEFAULT: bool> Rule for Switch<DEFAULT> {
    type Value = bool;

    fn parse(text: &str) -> Result<bool, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            _ => Err(quoted(text)),
        }
    }

    fn allowed() -> String {
        "true or false".into()
    }

    fn json(value: &bool) -> Json {
        (*value).into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "boolean"})
    }
}

impl<const DEFAULT: bool> Single for Switch<DEFAULT> {
    fn default() -> bool {
        DEFAULT
    }

    fn default_text() -> String {
        DEFAULT.to_string()
    }
}

/// A port with series of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port;

impl Rule for Port {
    type Value = u16;

    fn parse(text: &str) -> Result<u16, String> {
        let port = parse_count(text, 1, u16::MAX.into())?;
        u16::try_from(port).map_err(|_| port.to_string())
    }

    fn allowed() -> String {
        "1 to 65535".into()
    }

    fn json(value: &u16) -> Json {
        (*value).into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": u16::MAX})
    }
}

fn parse_span(text: &str, min: u64, max: u64) -> Result<Duration, String> {
    let span: Span = text.parse().map_err(|error| format!("{} ({error})", quoted(text)))?;
    if (min..=max).contains(&span.as_nanos()) { Ok(span.into()) } else { Err(span.to_string()) }
}

fn span_range(min: u64, max: u64) -> String {
    format!("{} to {}", Span::from_nanos(min), Span::from_nanos(max))
}

/// Only decimal digits: no sign, no exponent, and no leading zero, which some readers take for octal.
pub(super) fn parse_count(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number = text.parse().ok().filter(|_| is_number).ok_or_else(|| match text {
        "" => quoted(text),
        digits if is_number => quoted(digits),
        other => format!("{} (no whole number)", quoted(other)),
    })?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(number.to_string()) }
}

/// The printed form without its spaces.
fn compact(value: &impl ToString) -> String {
    value.to_string().replace(' ', "")
}

/// Exact for every bound in use.
fn in_seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

const SPAN_PATTERN: &str = r"^([0-9]+(\.[0-9]+)? ?(d|h|min|m|s|ms|us|µs|ns) ?)+$|^[0-9]+(\.[0-9]+)?$";
