//! Queries that can only name what the catalogue has.
//!
//! ```ignore
//! let lost = series("netmon_capture_dropped_packets_total").rate(&["interface"]);
//! let seen = series("netmon_capture_packets_total").rate(&["interface"]);
//! let ratio = lost.clone().over(lost.plus(seen));
//! ```

use netmon::metrics::{Listed, ListedKind, families};

/// A query in PromQL with Grafana's variables, and what is known of its answer.
#[derive(Clone)]
pub struct Query {
    pub text: String,
    /// Grafana's name of the unit.
    pub unit: &'static str,
    /// Labels that every series of the answer has.
    pub labels: Vec<&'static str>,
    /// What it asks for.
    pub families: Vec<Listed>,
    /// Whether exemplars come with it.
    pub exemplars: bool,
    /// Whether it needs parentheses as a part of another.
    compound: bool,
}

/// The series of one family that the variables of a dashboard select.
pub struct Series {
    family: Listed,
    matchers: Vec<String>,
}

/// The series of `name`.
///
/// # Panics
/// If neither the catalogue nor Prometheus itself has such a family.
pub fn series(name: &str) -> Series {
    let family = families().chain(of_prometheus()).find(|family| family.name == name);
    let family = family.unwrap_or_else(|| panic!("there is no family {name}"));
    let mut matchers = vec![r#"job=~"$job""#.to_owned(), r#"instance=~"$instance""#.to_owned()];
    if family.labels.iter().any(|(name, _)| *name == "interface") {
        matchers.push(r#"interface=~"$interface""#.to_owned());
    }
    Series { family, matchers }
}

/// What Prometheus makes of its own.
pub fn of_prometheus() -> [Listed; 2] {
    let made = |name, help, labels: &[&'static str]| {
        let labels = labels.iter().map(|name| (*name, Vec::new())).collect();
        Listed { name, unit: "", help, kind: ListedKind::Gauge, labels, group: "Prometheus", needs: None }
    };
    [
        made("up", "Whether Prometheus could scrape the target.", &[]),
        made(
            "ALERTS",
            "Alerts of Prometheus that are pending or firing.",
            &["alertname", "alertstate", "severity", "interface"],
        ),
    ]
}

impl Series {
    /// Only those with this value of a label.
    pub fn with(self, label: &str, value: &str) -> Self {
        self.matching(label, "=", value)
    }

    /// Only those with a value of the label that the pattern matches.
    pub fn like(self, label: &str, pattern: &str) -> Self {
        self.matching(label, "=~", pattern)
    }

    fn matching(mut self, label: &str, operator: &str, value: &str) -> Self {
        self.must_have(label);
        self.matchers.push(format!(r#"{label}{operator}"{value}""#));
        self
    }

    /// Of a counter: how much a second, added up by labels.
    pub fn rate(self, by: &[&'static str]) -> Query {
        self.must_be(self.family.kind == ListedKind::Counter, "a counter");
        let unit = match self.family.unit {
            "bytes" => "Bps",
            "seconds" => "percentunit",
            _ if self.family.name.ends_with("_packets_total") => "pps",
            _ => "cps",
        };
        let text = format!("sum{}(rate({}[$__rate_interval]))", self.by(by), self.selector(""));
        self.query(text, unit, by)
    }

    /// Of a counter: how much was added in the time shown, added up by labels. In whole numbers, though Prometheus
    /// reckons with what came before the first sample and after the last.
    pub fn increase(self, by: &[&'static str]) -> Query {
        self.must_be(self.family.kind == ListedKind::Counter, "a counter");
        let unit = if self.family.unit == "bytes" { "bytes" } else { "short" };
        let text = format!("round(sum{}(increase({}[$__range])))", self.by(by), self.selector(""));
        self.query(text, unit, by)
    }

    /// Of a gauge or an info: the sum by labels.
    pub fn sum(self, by: &[&'static str]) -> Query {
        self.folded("sum", by)
    }

    /// Of a gauge or an info: the greatest by labels.
    pub fn max(self, by: &[&'static str]) -> Query {
        self.folded("max", by)
    }

    /// Of a gauge: the least by labels.
    pub fn min(self, by: &[&'static str]) -> Query {
        self.folded("min", by)
    }

    fn folded(self, how: &str, by: &[&'static str]) -> Query {
        self.must_be(matches!(self.family.kind, ListedKind::Gauge | ListedKind::Info), "a gauge or an info");
        let text = format!("{how}{}({})", self.by(by), self.selector(""));
        let unit = self.unit();
        self.query(text, unit, by)
    }

    /// Of a gauge: how many series compare so; 0 where none does.
    pub fn count(self, comparison: &str) -> Query {
        self.must_be(self.family.kind == ListedKind::Gauge, "a gauge");
        let text = format!("count({} {comparison}) or vector(0)", self.selector(""));
        Query { compound: true, ..self.query(text, "short", &[]) }
    }

    /// Of a histogram: a quantile by labels; nothing while nothing is observed.
    pub fn quantile(self, quantile: f64, by: &[&'static str]) -> Query {
        let exemplars = self.exemplars();
        let buckets = [&["le"], by].concat();
        let rate = format!("sum{}(rate({}[$__rate_interval]))", self.by(&buckets), self.selector("_bucket"));
        let unit = self.unit();
        Query { exemplars, ..self.query(format!("histogram_quantile({quantile}, {rate})"), unit, by) }
    }

    /// Of a histogram: observations a second in each bucket.
    pub fn buckets(self) -> Query {
        let exemplars = self.exemplars();
        let text = format!("sum{}(rate({}[$__rate_interval]))", self.by(&["le"]), self.selector("_bucket"));
        let unit = self.unit();
        Query { exemplars, ..self.query(text, unit, &["le"]) }
    }

    fn exemplars(&self) -> bool {
        match self.family.kind {
            ListedKind::Histogram { exemplars } => exemplars,
            _ => panic!("{} is not a histogram", self.family.name),
        }
    }

    fn unit(&self) -> &'static str {
        match self.family.unit {
            "bytes" => "bytes",
            "bytes_per_second" => "Bps",
            "seconds" => "s",
            "ratio" => "percentunit",
            _ if self.family.name.ends_with("_packets_per_second") => "pps",
            _ => "short",
        }
    }

    fn selector(&self, suffix: &str) -> String {
        format!("{}{suffix}{{{}}}", self.family.name, self.matchers.join(", "))
    }

    fn by(&self, labels: &[&'static str]) -> String {
        for label in labels.iter().filter(|label| !["job", "instance", "le"].contains(label)) {
            self.must_have(label);
        }
        if labels.is_empty() { String::new() } else { format!(" by ({}) ", labels.join(", ")) }
    }

    fn query(self, text: String, unit: &'static str, labels: &[&'static str]) -> Query {
        Query { text, unit, labels: labels.to_vec(), families: vec![self.family], exemplars: false, compound: false }
    }

    /// Labels of an info beyond those of the catalogue are its message.
    fn must_have(&self, label: &str) {
        let has = self.family.labels.iter().any(|(name, _)| *name == label) || self.family.kind == ListedKind::Info;
        assert!(has, "{} has no label {label}", self.family.name);
    }

    fn must_be(&self, is: bool, what: &str) {
        assert!(is, "{} is not {what}", self.family.name);
    }
}

impl Query {
    /// In bits in place of bytes.
    pub fn bits(self) -> Self {
        assert_eq!(self.unit, "Bps", "{}", self.text);
        Self { text: format!("8 * {}", self.part()), unit: "bps", compound: true, ..self }
    }

    /// Its share of `whole`; nothing where that is zero.
    pub fn over(self, whole: Self) -> Self {
        let same = [self.unit, whole.unit].iter().all(|unit| ["cps", "pps"].contains(unit)) || self.unit == whole.unit;
        assert!(same, "{} is no share of {}", self.text, whole.text);
        let text = format!("{} / ({} > 0)", self.part(), whole.part());
        Self { unit: "percentunit", ..self.joined(whole, text) }
    }

    /// How many times `other`; nothing where that is zero.
    pub fn times(self, other: Self) -> Self {
        Self { unit: "none", ..self.over(other) }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        let text = format!("{} + {}", self.part(), other.part());
        self.joined(other, text)
    }

    /// This and `factor` times the other: states become one number.
    pub fn plus_times(self, factor: u32, other: Self) -> Self {
        let text = format!("{} + {factor} * {}", self.part(), other.part());
        self.joined(other, text)
    }

    /// Twice as much: one state above another.
    pub fn doubled(self) -> Self {
        Self { text: format!("2 * {}", self.part()), compound: true, ..self }
    }

    /// This, and `other` for labels that this has nothing for.
    pub fn or(self, other: Self) -> Self {
        let text = format!("{} or {}", self.part(), other.part());
        self.joined(other, text)
    }

    /// As a bare number.
    pub fn bare(self) -> Self {
        Self { unit: "none", ..self }
    }

    /// 0 where there is nothing.
    pub fn or_zero(self) -> Self {
        assert!(self.labels.is_empty(), "{} has labels, which zero has not", self.text);
        Self { text: format!("{} or vector(0)", self.text), compound: true, ..self }
    }

    /// The greatest `n`.
    pub fn top(self, n: u32) -> Self {
        Self { text: format!("topk({n}, {})", self.text), compound: false, ..self }
    }

    /// Of a time: how long ago.
    pub fn age(self) -> Self {
        assert!(self.unit == "s" && self.families[0].name.contains("time"), "{} is no time", self.text);
        Self { text: format!("time() - {}", self.part()), compound: true, ..self }
    }

    /// Of a time: milliseconds of Unix time, as Grafana reads dates.
    pub fn date(self) -> Self {
        Self { text: format!("1000 * {}", self.part()), unit: "dateTimeAsIso", compound: true, ..self }
    }

    /// Only where it is above nothing.
    pub fn if_any(self) -> Self {
        Self { text: format!("{} > 0", self.part()), compound: true, ..self }
    }

    /// The least of all.
    pub fn least(self) -> Self {
        Self { text: format!("min({})", self.text), labels: Vec::new(), compound: false, ..self }
    }

    fn part(&self) -> String {
        if self.compound { format!("({})", self.text) } else { self.text.clone() }
    }

    fn joined(self, other: Self, text: String) -> Self {
        assert_eq!(self.labels, other.labels, "{text}");
        let known = |family: &Listed| self.families.contains(family);
        let more: Vec<Listed> = other.families.into_iter().filter(|family| !known(family)).collect();
        Self { text, families: [self.families, more].concat(), exemplars: false, compound: true, ..self }
    }
}
