//! What netmon exports when everything is switched on and everything is known.

use crate::files::ending;
use crate::reader::{self, Sample};
use crate::snapshots;
use netmon::metrics::{Exposition, Form, Scope};
use netmon::stats::{Class, Config, TalkerConfig, VlanConfig};
use std::collections::HashSet;

/// Labels whose values are not of a closed set.
const OPEN: [&str; 8] = ["interface", "host", "port", "vlan", "source_class", "destination_class", "receiver", "rule"];

/// Labels that Prometheus adds.
const OF_TARGET: [&str; 2] = ["job", "instance"];

/// All series of a full page, and the names of families that are declared under configurations of other rooms.
pub struct Exported {
    names: HashSet<String>,
    declared: HashSet<String>,
    series: HashSet<Vec<(String, String)>>,
}

impl Exported {
    /// With every optional group.
    pub fn all() -> Self {
        let config = Config {
            talkers: TalkerConfig { export: true, ..TalkerConfig::default() },
            classes: vec![Class { name: "office".into(), prefixes: Vec::new() }],
            vlans: Some(VlanConfig { max: 2 }),
            ports: vec![443],
            continuous_rtt: true,
            max_interfaces: 1,
            ..Config::default()
        };
        let exposition = Exposition::new(&config);
        let page = exposition.render(&snapshots::flood(&config), &snapshots::own(), Form::Text, Scope::All);
        let samples = reader::read(&page);
        let names = samples.iter().map(|sample| sample.name.clone()).collect();
        let declared = declared();
        Self { names, declared, series: samples.iter().map(key).collect() }
    }

    /// Whether there is such a name, be it that of a bucket or a sum.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.contains(name) || self.declared.contains(name)
    }

    /// Whether a series written as in a query, without what the scrape adds, can be on the page. Of a family that is
    /// not on this page only the name is looked at.
    pub fn has_series(&self, written: &str) -> bool {
        let samples = reader::read(&format!("{} 0\n", written.replace(", ", ",")));
        let name = &samples[0].name;
        self.series.contains(&key(&samples[0])) || !self.names.contains(name) && self.has_name(name)
    }
}

/// The names of the families in the sources of the catalogue.
fn declared() -> HashSet<String> {
    let sources = ending("src/metrics/catalogue", ".rs");
    let texts = sources.iter().map(|source| std::fs::read_to_string(source).expect("a source can be read"));
    let names = |text: String| {
        let quoted = text.split('"').filter(|word| word.starts_with("netmon_") && !word.contains(' '));
        quoted.map(str::to_owned).collect::<Vec<_>>()
    };
    texts.flat_map(names).collect()
}

/// Name and labels, without the values that are not of a closed set.
fn key(sample: &Sample) -> Vec<(String, String)> {
    let labels = sample.labels.iter().filter(|(name, _)| !OF_TARGET.contains(&name.as_str()));
    let shown = labels
        .map(|(name, value)| (name.clone(), if OPEN.contains(&name.as_str()) { String::new() } else { value.clone() }));
    std::iter::once((String::new(), sample.name.clone())).chain(shown).collect()
}
