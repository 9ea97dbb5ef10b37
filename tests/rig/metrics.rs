//! Reading the Prometheus text format, as far as tests need it.

use std::collections::BTreeMap;

/// The samples of one page.
pub struct Page(Vec<Sample>);

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Page {
    /// Reads a page without timestamps and without commas or quotes inside label values, as netmon writes for plain names.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(Sample::parse).collect())
    }

    /// The sum of the samples of `name` that have all of `labels`; there has to be one.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("there is no {name} with {labels:?}"))
    }

    /// The sum of the samples of `name` that have all of `labels`, if there is one.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has =
            |sample: &&Sample| labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value));
        let found: Vec<f64> = self.0.iter().filter(|s| s.name == name).filter(has).map(|s| s.value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }

    /// What is not zero of the families whose name begins with one of `prefixes`, by series. Both directions of volume
    /// count together, as receive: a file does not tell them apart.
    pub fn counts(&self, prefixes: &[&str]) -> BTreeMap<String, f64> {
        let mut counts = BTreeMap::new();
        let wanted = |sample: &&Sample| prefixes.iter().any(|prefix| sample.name.starts_with(prefix));
        for sample in self.0.iter().filter(wanted).filter(|sample| sample.value != 0.0) {
            let series = format!("{} {:?}", sample.name.replace("_transmit_", "_receive_"), sample.labels);
            *counts.entry(series).or_default() += sample.value;
        }
        counts
    }
}

impl Sample {
    fn parse(line: &str) -> Self {
        // OpenMetrics may have an exemplar behind the value.
        let line = line.split(" # ").next().unwrap_or(line);
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value in `{line}`"));
        let value = value.parse().unwrap_or_else(|_| panic!("`{value}` is no number in `{line}`"));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).map(|label| {
            let (key, value) = label.split_once('=').unwrap_or_else(|| panic!("a label without value in `{line}`"));
            (key.to_owned(), value.trim_matches('"').to_owned())
        });
        Self { name: name.to_owned(), labels: labels.collect(), value }
    }
}
