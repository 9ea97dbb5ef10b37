//! What differs between two configs, and whether it can change while netmon runs.
//!
//! Compared are the values of every key of the file, so a key that is added later is refused until it is listed here as
//! one that can change.

use super::mistake::{Mistakes, quoted};
use super::{Finding, Loaded};
use serde_json::Value as Json;

/// What a change of a key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Which interfaces are captured.
    Interfaces,
    /// The filter of the capture.
    Filter,
    /// What is on this side.
    LocalNetworks,
    /// Timeouts of flows, and what counts as out of order.
    Flows,
    /// Names the server answers to.
    Hosts,
    /// Who may do what over HTTP.
    Access,
    /// What is logged.
    Level,
    /// What is watched.
    Alerts,
    /// Who is told.
    Receivers,
    /// How a change of the file is noticed.
    Watch,
    /// What is pushed to a collector, and where.
    Push,
}

/// The keys that can change while netmon runs; a section stands for all its keys.
const CHANGEABLE: [(&str, Part); 25] = [
    ("interfaces", Part::Interfaces),
    ("capture.bpf", Part::Filter),
    ("local_networks", Part::LocalNetworks),
    ("flows.timeouts", Part::Flows),
    ("flows.reorder_limit", Part::Flows),
    ("api.hosts", Part::Hosts),
    ("api.control", Part::Access),
    ("api.auth", Part::Access),
    ("api.web_config_file", Part::Access),
    ("telemetry.level", Part::Level),
    ("alerts", Part::Alerts),
    ("alerting", Part::Alerts),
    ("receivers", Part::Receivers),
    ("reload", Part::Watch),
    ("telemetry.otlp.enabled", Part::Push),
    ("telemetry.otlp.endpoint", Part::Push),
    ("telemetry.otlp.protocol", Part::Push),
    ("telemetry.otlp.headers_file", Part::Push),
    ("telemetry.otlp.headers_env", Part::Push),
    ("telemetry.otlp.ca_file", Part::Push),
    ("telemetry.otlp.compression", Part::Push),
    ("telemetry.otlp.timeout", Part::Push),
    ("telemetry.otlp.metrics", Part::Push),
    ("telemetry.otlp.traces.enabled", Part::Push),
    ("telemetry.otlp.traces.endpoint", Part::Push),
];

/// The keys whose values differ, all of which can change while netmon runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(Vec<(String, Part)>);

impl Changes {
    /// Whether the configs mean the same.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any key about `part` changed.
    pub fn has(&self, part: Part) -> bool {
        self.0.iter().any(|(_, changed)| *changed == part)
    }

    /// The keys that changed, in alphabetical order within their section.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

impl Loaded {
    /// What `new` changes of this config.
    ///
    /// # Errors
    /// Every key that cannot change while netmon runs; then nothing of `new` is to be applied.
    pub fn changes(&self, new: &Self) -> Result<Changes, Mistakes> {
        // The file is plain maps, lists, texts, numbers and switches; such a value always has a form in JSON.
        let [old, of_new] = [self, new].map(|loaded| serde_json::to_value(&loaded.effective).unwrap_or_default());
        let mut compared = Compared::default();
        compared.compare("", &old, &of_new);
        Mistakes::none(compared.refused.into_iter().map(|finding| new.place(finding)).collect())?;
        Ok(Changes(compared.changed))
    }
}

#[derive(Debug, Default)]
struct Compared {
    changed: Vec<(String, Part)>,
    refused: Vec<Finding>,
}

impl Compared {
    /// Walks both along their keys. Lists count as one value each. The depth is that of the file's types.
    fn compare(&mut self, key: &str, old: &Json, new: &Json) {
        let (Json::Object(was), Json::Object(is)) = (old, new) else {
            return self.judge(key, old, new);
        };
        let added = is.keys().filter(|name| !was.contains_key(*name));
        for name in was.keys().chain(added) {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            let [old, new] = [was, is].map(|map| map.get(name).unwrap_or(&Json::Null));
            self.compare(&key, old, new);
        }
    }

    fn judge(&mut self, key: &str, old: &Json, new: &Json) {
        if old == new {
            return;
        }
        match part(key) {
            Some(part) => self.changed.push((key.into(), part)),
            None => self.refused.push(Finding { key: key.into(), message: refusal(key, old, new), hint: None }),
        }
    }
}

/// What a change of a key is about; `None` where a change needs a restart.
pub(super) fn part(key: &str) -> Option<Part> {
    let is_under =
        |section: &str| key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    CHANGEABLE.iter().find(|(changeable, _)| is_under(changeable)).map(|(_, part)| *part)
}

fn refusal(key: &str, old: &Json, new: &Json) -> String {
    let (old, new) = (written(old), written(new));
    format!("{} cannot change while running, from {old} to {new}: restart netmon to apply it", quoted(key))
}

/// A value as it would be written in the file.
fn written(value: &Json) -> String {
    match value {
        Json::Null => "nothing".into(),
        Json::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{File, from_yaml};
    use serde_json::json;

    fn loaded(yaml: &str) -> Loaded {
        from_yaml("netmon.yaml", yaml.as_bytes()).unwrap()
    }

    fn changes(old: &str, new: &str) -> Result<Vec<String>, String> {
        let changes = loaded(old).changes(&loaded(new));
        changes.map(|changes| changes.keys().map(str::to_owned).collect()).map_err(|mistakes| mistakes.to_string())
    }

    /// Every value of the file: paths to whatever is not a map with keys of its own.
    fn keys(value: &Json, path: &str, keys: &mut Vec<String>) {
        match value.as_object().filter(|map| !map.is_empty()) {
            Some(map) => map.iter().for_each(|(name, below)| self::keys(below, &format!("{path}/{name}"), keys)),
            None => keys.push(path.to_owned()),
        }
    }

    #[test]
    fn every_key_either_can_change_or_is_refused() {
        let file = serde_json::to_value(File::default()).unwrap();
        let mut all = Vec::new();
        keys(&file, "", &mut all);
        let (mut changeable, mut refused) = (Vec::new(), Vec::new());
        for path in &all {
            let (mut other, key) = (file.clone(), path[1..].replace('/', "."));
            // A free map gets an entry, anything else another value.
            let value = other.pointer_mut(path).unwrap();
            *value = if value.is_object() { json!({"dmz": ["192.0.2.0/24"]}) } else { json!("other") };
            let mut compared = Compared::default();
            compared.compare("", &file, &other);
            match (&compared.changed[..], &compared.refused[..]) {
                ([(changed, _)], []) => assert_eq!(changed, &key),
                ([], [finding]) => assert!(finding.key.starts_with(&key), "{finding:?}"),
                other => panic!("a change of {key} gives {other:?}"),
            }
            if compared.refused.is_empty() { changeable.push(key) } else { refused.push(key) }
        }
        assert!(changeable.len() >= CHANGEABLE.len() && !refused.is_empty());
        for (listed, _) in CHANGEABLE {
            let is_listed = |key: &String| key == listed || key.starts_with(&format!("{listed}."));
            assert!(changeable.iter().any(is_listed), "there is no key {listed}");
        }
    }

    #[test]
    fn the_same_config_in_other_words_changes_nothing() {
        let new = "flows: {timeouts: {udp: 1min}}\ncapture: {buffer: 16384KiB}\napi: {bind: '127.0.0.1:8080'}\n";
        assert_eq!(changes("", new), Ok(Vec::new()));
    }

    #[test]
    fn changes_are_told_apart_by_what_they_are_about() {
        let yaml = "interfaces: [eth0]\nflows: {timeouts: {udp: 5s, active: 1h}}\ntelemetry: {level: debug}\n";
        let found = loaded("").changes(&loaded(yaml)).unwrap();
        let keys: Vec<_> = found.keys().collect();
        assert_eq!(keys, ["flows.timeouts.active", "flows.timeouts.udp", "interfaces", "telemetry.level"]);
        for part in [Part::Interfaces, Part::Flows, Part::Level] {
            assert!(found.has(part), "{part:?}");
        }
        for part in [Part::Filter, Part::LocalNetworks, Part::Hosts] {
            assert!(!found.has(part), "{part:?}");
        }
    }

    #[test]
    fn all_that_cannot_change_is_named_at_its_place_and_hides_what_could() {
        let new = "capture:\n  bpf: tcp\n  snaplen: 1KiB\naggregation:\n  windows: [1, 60]\naddress_classes:\n  dmz: 192.0.2.0/24\n";
        let expected = "\
config `netmon.yaml:3`: `capture.snaplen` cannot change while running, from `512` to `1KiB`: restart netmon to apply it
config `netmon.yaml:5`: `aggregation.windows` cannot change while running, from `[1,10,60]` to `[1,60]`: restart netmon to apply it
config `netmon.yaml:7`: `address_classes.dmz` cannot change while running, from nothing to `[\"192.0.2.0/24\"]`: restart netmon to apply it";
        assert_eq!(changes("", new), Err(expected.into()));
    }

    #[test]
    fn a_key_that_was_left_out_goes_back_to_its_default() {
        assert_eq!(changes("capture: {bpf: tcp}\n", ""), Ok(vec!["capture.bpf".into()]));
        let refused = changes("flows: {max: 4096}\n", "").unwrap_err();
        assert!(refused.contains("`flows.max` cannot change while running, from `4096` to `2097152`"), "{refused}");
    }
}
