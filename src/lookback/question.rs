//! What is asked of the history, by flags or by the parameters of a URL: the same names, the same messages.

use crate::config::units::{Rate, Span};
use crate::history::{Calendar, Range, Tier, Zone};
use crate::telemetry::Escaped;
use crate::time::{NANOS_PER_SECOND, Timestamp};
use jiff::tz::TimeZone;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A parameter that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{parameter}` {found}, allowed {allowed}")]
pub struct BadQuery {
    /// Its name: `from`.
    pub parameter: String,
    /// What was found, as it follows the name.
    pub found: String,
    /// What may stand there.
    pub allowed: String,
}

impl BadQuery {
    /// A value that is not allowed there.
    fn value(parameter: &str, found: &str, allowed: &str) -> Self {
        Self::about(parameter, format!("is `{}`", Escaped(found)), allowed)
    }

    /// Anything else about a parameter.
    fn about(parameter: &str, found: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { parameter: parameter.into(), found: found.into(), allowed: allowed.into() }
    }
}

/// The documents there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Bytes and packets over time.
    Bandwidth,
    /// Bytes and packets over time by protocol.
    Protocols,
    /// Ended flows, the largest first.
    Flows,
    /// Addresses by what they moved in ended flows.
    Hosts,
    /// Sums by hour, day or month of a time zone.
    Totals,
    /// Alert events.
    Alerts,
    /// The 95th percentile as links are billed by, and time over a rate.
    Percentile,
    /// What the store holds.
    Info,
}

impl Topic {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Bandwidth,
        Self::Protocols,
        Self::Flows,
        Self::Hosts,
        Self::Totals,
        Self::Alerts,
        Self::Percentile,
        Self::Info,
    ];

    /// As in the path of a URL and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bandwidth => "bandwidth",
            Self::Protocols => "protocols",
            Self::Flows => "flows",
            Self::Hosts => "hosts",
            Self::Totals => "totals",
            Self::Alerts => "alerts",
            Self::Percentile => "percentile",
            Self::Info => "info",
        }
    }

    /// The parameters it takes.
    pub const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Bandwidth | Self::Protocols => &["from", "to", "step", "tier", "interface", "timezone", "limit"],
            Self::Flows | Self::Hosts => &["from", "to", "interface", "host", "port", "protocol", "timezone", "limit"],
            Self::Totals => &["from", "to", "per", "interface", "timezone"],
            Self::Alerts => &["from", "to", "alert", "timezone", "limit"],
            Self::Percentile => &["from", "to", "step", "interface", "percentile", "rate", "timezone"],
            Self::Info => &[],
        }
    }
}

/// A question, checked. What is not given is `None` or the default.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is asked for.
    pub topic: Topic,
    /// The beginning, included.
    pub from: Timestamp,
    /// The end, not included.
    pub to: Timestamp,
    /// Seconds of one point; `None`: as fits the range.
    pub step: Option<u64>,
    /// The tier to be read; `None`: the coarsest that gives the step.
    pub tier: Option<Tier>,
    /// Only this interface.
    pub interface: Option<String>,
    /// Of the totals.
    pub per: Calendar,
    /// Days and months are of this zone.
    pub zone: Zone,
    /// The same, for writing times.
    pub timezone: TimeZone,
    /// Only flows of this address.
    pub host: Option<IpAddr>,
    /// Only flows with this port at either end.
    pub port: Option<u16>,
    /// Only flows of this IP protocol number.
    pub protocol: Option<u8>,
    /// Only alerts of this name.
    pub alert: Option<String>,
    /// Between 0 and 100.
    pub percentile: f64,
    /// The rate in bytes per second above which seconds are counted.
    pub rate: Option<u64>,
    /// The most rows or points of the answer; `None`: the default of the topic.
    pub limit: Option<usize>,
}

/// The longest step: a day.
const MOST_STEP: u64 = 86_400;
/// The most that `limit` may be.
pub const MOST_ROWS: usize = 100_000;

impl Question {
    /// Reads parameters by name; each may be given once. `now` is by the clock of the store: packet time where a replay
    /// wrote it.
    ///
    /// # Errors
    /// The first parameter that is unknown, given twice, or has a value that is not allowed; `from` after `to`.
    pub fn parse<'p>(
        topic: Topic,
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
        now: Timestamp,
    ) -> Result<Self, BadQuery> {
        let given = Given::collect(topic, parameters)?;
        let zone = given.get("timezone").unwrap_or("UTC");
        let timezone = given.read("timezone", timezone)?.unwrap_or(TimeZone::UTC);
        let time = |name: &str, default: &str| {
            time(given.get(name).unwrap_or(default), now, &timezone)
                .ok_or_else(|| BadQuery::value(name, given.get(name).unwrap_or(default), TIMES))
        };
        let (from, to) = (time("from", "-1h")?, time("to", "now")?);
        if from > to {
            return Err(BadQuery::about("from", format!("is {from}"), format!("up to {to}, the end")));
        }
        Ok(Self {
            topic,
            from,
            to,
            step: given.read("step", step)?,
            tier: given.read("tier", |text| Tier::named(text).ok_or_else(|| names(Tier::ALL.map(Tier::name))))?,
            interface: given.get("interface").map(str::to_owned),
            per: given.read("per", per)?.unwrap_or(Calendar::Day),
            zone: Zone::named(zone).map_err(|_| BadQuery::value("timezone", zone, ZONES))?,
            host: given.read("host", |text| text.parse().map_err(|_| "an address such as `192.0.2.1`".into()))?,
            port: given.read("port", |text| text.parse().map_err(|_| "0 to 65535".into()))?,
            protocol: given.read("protocol", protocol)?,
            alert: given.get("alert").map(str::to_owned),
            percentile: given.read("percentile", percentile)?.unwrap_or(95.0),
            rate: given.read("rate", rate)?,
            limit: given.read("limit", limit)?,
            timezone,
        })
    }

    /// The range in whole seconds.
    pub fn range(&self) -> Range {
        Range { from: self.from.as_nanos() / NANOS_PER_SECOND, to: self.to.as_nanos().div_ceil(NANOS_PER_SECOND) }
    }
}

/// Parameters as they came, each known and given once.
struct Given<'p>(Vec<(&'p str, &'p str)>);

impl<'p> Given<'p> {
    fn collect(topic: Topic, all: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<Self, BadQuery> {
        let mut given = Vec::new();
        for (name, value) in all {
            if !topic.parameters().contains(&name) {
                let allowed = match topic.parameters() {
                    [] => "no parameters".to_owned(),
                    some => some.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
                };
                let found = format!("is no parameter of {topic}");
                return Err(BadQuery::about(&Escaped(name).to_string(), found, allowed));
            }
            if given.iter().any(|(before, _)| *before == name) {
                return Err(BadQuery::about(name, "is given twice", "once"));
            }
            given.push((name, value));
        }
        Ok(Self(given))
    }

    fn get(&self, name: &str) -> Option<&'p str> {
        self.0.iter().find(|(given, _)| *given == name).map(|(_, value)| *value)
    }

    /// Reads a value; what `read` refuses with says what is allowed.
    fn read<T>(&self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, BadQuery> {
        let value = self.get(name);
        value.map(|text| read(text).map_err(|allowed| BadQuery::value(name, text, &allowed))).transpose()
    }
}

const TIMES: &str = "RFC 3339 (`2026-11-21T00:00:00Z`), a date (`2026-11-21`), seconds since 1970, `-1h` or `now`";

/// A time, as people and programs write one; a date is its first instant in the zone.
fn time(text: &str, now: Timestamp, timezone: &TimeZone) -> Option<Timestamp> {
    if text == "now" {
        return Some(now);
    }
    if let Some(ago) = text.strip_prefix('-') {
        let ago: Span = ago.parse().ok()?;
        return Some(Timestamp::from_nanos(now.as_nanos().saturating_sub(ago.as_nanos())));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
        return unix(text);
    }
    if text.len() == "2026-11-21".len() {
        let date = jiff::civil::Date::from_str(text).ok()?;
        return in_range(date.to_zoned(timezone.clone()).ok()?.timestamp());
    }
    in_range(text.parse().ok()?)
}

/// Seconds, with a fraction or without; exact to the nanosecond.
fn unix(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    let at = whole.parse::<u64>().ok()?.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)?;
    (at <= Timestamp::MAX.as_nanos()).then(|| Timestamp::from_nanos(at))
}

fn in_range(at: jiff::Timestamp) -> Option<Timestamp> {
    let nanos = u64::try_from(at.as_nanosecond()).ok()?;
    (nanos <= Timestamp::MAX.as_nanos()).then(|| Timestamp::from_nanos(nanos))
}

fn timezone(text: &str) -> Result<TimeZone, String> {
    let found = match text {
        "UTC" | "utc" | "Z" => Ok(TimeZone::UTC),
        "local" => TimeZone::try_system(),
        name => TimeZone::get(name),
    };
    found.map_err(|_| ZONES.into())
}

const ZONES: &str = "a name of the tz database such as `Europe/Berlin`, `local` or `UTC`";

fn protocol(text: &str) -> Result<u8, String> {
    const NAMED: [(&str, u8); 9] = [
        ("icmp", 1),
        ("igmp", 2),
        ("tcp", 6),
        ("udp", 17),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("icmpv6", 58),
        ("sctp", 132),
    ];
    let named = NAMED.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, number)| number);
    named.or_else(|| text.parse().ok()).ok_or_else(|| format!("{} or 0 to 255", names(NAMED.map(|(name, _)| name))))
}

fn names<const N: usize>(names: [&str; N]) -> String {
    names.map(|name| format!("`{name}`")).join(", ")
}

fn step(text: &str) -> Result<u64, String> {
    let seconds = text.parse::<Span>().ok().map(Span::as_nanos).filter(|nanos| nanos % NANOS_PER_SECOND == 0);
    let seconds = seconds.map(|nanos| nanos / NANOS_PER_SECOND);
    seconds
        .filter(|seconds| (1..=MOST_STEP).contains(seconds) && 86_400 % seconds == 0)
        .ok_or_else(|| "whole seconds that a day is a multiple of, 1s to 1d".into())
}

fn per(text: &str) -> Result<Calendar, String> {
    let named = Calendar::ALL.into_iter().find(|per| per.name() == text);
    named.ok_or_else(|| names(Calendar::ALL.map(Calendar::name)))
}

fn percentile(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= 100.0);
    number.ok_or_else(|| "a number above 0 and up to 100".into())
}

fn rate(text: &str) -> Result<u64, String> {
    let rate = text.parse::<Rate>().map_err(|error| format!("a rate such as `100Mbit/s` ({error})"))?;
    Ok(rate.bits_per_second / 8)
}

fn limit(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_ROWS).contains(number));
    number.ok_or_else(|| format!("1 to {MOST_ROWS}"))
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_500_000_000);

    fn parse(parameters: &[(&str, &str)]) -> Result<Question, String> {
        Question::parse(Topic::Bandwidth, parameters.iter().copied(), NOW).map_err(|error| error.to_string())
    }

    fn nanos(from: &str) -> u64 {
        parse(&[("from", from), ("to", "2200-01-01"), ("timezone", "Europe/Berlin")]).unwrap().from.as_nanos()
    }

    #[test]
    fn a_time_may_be_written_in_five_ways() {
        assert_eq!(nanos("now"), NOW.as_nanos());
        assert_eq!(nanos("-1h30min"), NOW.as_nanos() - 5_400_000_000_000);
        assert_eq!(nanos("1699999999"), 1_699_999_999_000_000_000);
        assert_eq!(nanos("1699999999.25"), 1_699_999_999_250_000_000);
        assert_eq!(nanos("2023-11-14T22:13:20+01:00"), 1_699_996_400_000_000_000);
        // The day begins at its first instant in the zone.
        assert_eq!(nanos("2023-11-14"), 1_699_916_400_000_000_000);
        assert_eq!(nanos("1970-01-01T00:00:00Z"), 0);
        // Before everything is the beginning, not an error.
        assert_eq!(nanos("-36500d"), 0);
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_is() {
        for bad in ["", "tomorrow", "-", "-1", "1.5.2", "1e9", "1969-12-31T23:59:59Z", "2023-13-01", "99999999999"] {
            let refused = parse(&[("from", bad)]);
            if bad == "-1" {
                assert!(refused.is_ok(), "a second ago");
                continue;
            }
            assert!(refused.unwrap_err().starts_with(&format!("`from` is `{bad}`, allowed RFC 3339")), "{bad}");
        }
    }

    #[test]
    fn a_range_is_whole_seconds_that_cover_it() {
        let question = parse(&[("from", "10.5"), ("to", "11.5")]).unwrap();
        assert_eq!(question.range(), Range { from: 10, to: 12 });
        assert_eq!(parse(&[]).unwrap().range(), Range { from: 1_699_996_400, to: 1_700_000_001 });
    }

    #[test]
    fn a_parameter_that_is_unknown_or_given_twice_is_refused_by_name() {
        assert_eq!(parse(&[("step", "1s"), ("step", "1s")]).unwrap_err(), "`step` is given twice, allowed once");
        let unknown = parse(&[("st\u{1b}ep", "1s")]).unwrap_err();
        assert!(!unknown.contains('\u{1b}') && unknown.contains("is no parameter of bandwidth"), "{unknown}");
    }

    #[test]
    fn steps_divide_a_day() {
        for (step, seconds) in [("1s", 1), ("90s", 90), ("15min", 900), ("1h", 3600), ("1d", 86_400), ("60", 60)] {
            assert_eq!(parse(&[("step", step)]).unwrap().step, Some(seconds), "{step}");
        }
        for bad in ["0", "7s", "2d", "500ms", "fast"] {
            assert!(parse(&[("step", bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn protocols_go_by_name_or_number_and_rates_by_bits_or_bytes() {
        assert_eq!(["tcp", "UDP", "47", "icmpv6"].map(protocol), [Ok(6), Ok(17), Ok(47), Ok(58)]);
        assert_eq!(
            protocol("256").unwrap_err(),
            "`icmp`, `igmp`, `tcp`, `udp`, `gre`, `esp`, `ah`, `icmpv6`, `sctp` or 0 to 255"
        );
        assert_eq!([rate("8Mbit/s"), rate("1MB/s"), rate("5")], [Ok(1_000_000), Ok(1_000_000), Ok(5)]);
    }
}
