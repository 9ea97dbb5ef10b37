//! The layers of the config: file, environment, flags, each over the one before it.
//!
//! The `config` crate merges them. What it merges are texts with their places kept beside them: its own readers of YAML
//! and of the environment would type the values (`010` becomes 10, `no` becomes false) and forget where they stood.
//! Before that each layer is cleared of keys that do not exist, so that every unknown key is reported from its own place.

use super::Finding;
use super::document::{Document, Keys, MAX_DEPTH, Node, Value};
use super::mistake::{Mistake, Place, nearest, quoted};
use super::otel;
use config::{ConfigError, Source, Value as Merged, ValueKind};
use std::collections::BTreeMap;
use std::ffi::OsString;

/// One value given on the command line; stands over everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The flag, as it is named in messages: `--bind`.
    pub flag: String,
    /// The key it sets: `api.bind`.
    pub key: String,
    /// Its value; several for a list, else the last one counts.
    pub values: Vec<String>,
}

/// What the layers say together.
#[derive(Debug)]
pub(super) struct Layers {
    /// Tables, arrays and texts; `Nil` only where a mistake was taken out.
    pub(super) merged: Merged,
    /// Where each path got its value.
    pub(super) places: BTreeMap<String, Place>,
    /// Unknown keys.
    pub(super) mistakes: Vec<Mistake>,
}

impl Layers {
    /// Merges the layers; `known` holds every key, a list where a list belongs, in it a map where each item is a map of
    /// these keys, and an empty map where names are free.
    pub(super) fn merge(
        document: Document,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &[Override],
        known: &serde_json::Value,
    ) -> Result<Self, Mistake> {
        let mut builder = ::config::Config::builder();
        let (mut places, mut mistakes) = (BTreeMap::new(), document.duplicates);
        let environment: Vec<_> = environment.into_iter().collect();
        let (standard, unreadable) = otel::variables(&environment);
        let (variables, foreign) = variables(environment, known);
        mistakes.extend(unreadable.into_iter().chain(foreign));
        for layer in [document.keys, standard, variables, flags(overrides, known)] {
            let mut cleared = Cleared { known, places: &mut places, mistakes: &mut mistakes };
            let values = cleared.map(layer, known, "");
            builder = builder.add_source(Layer(values));
        }
        // The layers are values in memory; collecting them does not fail.
        let merged = builder.build().map_err(|error| Mistake::new(Place::Default, error.to_string()))?.cache;
        Ok(Self { merged, places, mistakes })
    }

    /// A mistake about the key `path`.
    pub(super) fn mistake(&self, path: &str, message: &str) -> Mistake {
        Mistake::about(place_of(&self.places, path), path, message)
    }
}

/// A finding as a mistake.
pub(super) fn found(places: &BTreeMap<String, Place>, finding: Finding) -> Mistake {
    let Finding { key, message, hint } = finding;
    Mistake { place: place_of(places, &key), message, hint, key: Some(key) }
}

/// Where `path` was written, or the nearest list or map around it.
fn place_of(places: &BTreeMap<String, Place>, path: &str) -> Place {
    let mut at = path;
    loop {
        if let Some(place) = places.get(at) {
            return place.clone();
        }
        match at.rfind(['.', '[']) {
            Some(end) => at = &at[..end],
            None => return Place::Default,
        }
    }
}

/// A layer as the `config` crate takes it.
#[derive(Clone, Debug)]
struct Layer(config::Map<String, Merged>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, Merged>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// Walks one layer along the known keys.
struct Cleared<'a> {
    known: &'a serde_json::Value,
    places: &'a mut BTreeMap<String, Place>,
    mistakes: &'a mut Vec<Mistake>,
}

impl Cleared<'_> {
    /// The known keys of `keys`, which stand at `path`. A key without a value is as good as not there.
    fn map(&mut self, keys: Keys, known: &serde_json::Value, path: &str) -> config::Map<String, Merged> {
        let mut values = config::Map::new();
        let free = known.as_object().is_some_and(serde_json::Map::is_empty);
        for (key, node) in keys {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let below = known.get(&key);
            if below.is_none() && !free {
                self.mistakes.push(unknown_key(&node.place, &path, self.known));
                continue;
            }
            let value = self.value(node, below.unwrap_or(&serde_json::Value::Null), path);
            if value.kind != ValueKind::Nil {
                values.insert(key, value);
            }
        }
        values
    }

    fn value(&mut self, node: Node, known: &serde_json::Value, path: String) -> Merged {
        let kind = match node.value {
            Value::Null => ValueKind::Nil,
            Value::Text(text) => ValueKind::String(text),
            Value::List(items) => {
                let of_maps = known.get(0).filter(|item| item.is_object()).unwrap_or(&serde_json::Value::Null);
                let items = items.into_iter().enumerate();
                let items = items.map(|(n, item)| self.item(item, of_maps, format!("{path}[{n}]")));
                ValueKind::Array(items.collect())
            }
            // A map where a value belongs is refused when it is read, with what is allowed.
            Value::Map(_) if !known.is_object() => ValueKind::Table(config::Map::new()),
            Value::Map(keys) => ValueKind::Table(self.map(keys, known, &path)),
        };
        self.places.insert(path, node.place);
        Merged::new(None, kind)
    }

    /// An empty item is not left out, that would move the ones behind it: it is an empty text.
    fn item(&mut self, node: Node, known: &serde_json::Value, path: String) -> Merged {
        match self.value(node, known, path) {
            Merged { kind: ValueKind::Nil, .. } => Merged::new(None, ValueKind::String(String::new())),
            value => value,
        }
    }
}

/// The `NETMON_` variables as a layer, and the mistakes of those that cannot be one.
fn variables(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    known: &serde_json::Value,
) -> (Keys, Vec<Mistake>) {
    let (mut layer, mut mistakes) = (Keys::new(), Vec::new());
    for (name, value) in environment {
        let name = name.to_string_lossy().into_owned();
        let Some(key) = key_of_variable(&name) else { continue };
        let place = Place::Variable(name);
        let Ok(value) = value.into_string() else {
            mistakes.push(Mistake::about(place, &key, "is not valid UTF-8"));
            continue;
        };
        let is_list = is_list(known, &key);
        let values = if is_list { value.split(',').map(|item| item.trim().to_owned()).collect() } else { vec![value] };
        if values != [""] {
            insert(&mut layer, &key, Node { place: place.clone(), value: given(values, is_list, &place) });
        }
    }
    (layer, mistakes)
}

/// The key path that a variable sets: `NETMON_API__BIND` is `api.bind`. `None` for variables of others, those that
/// Kubernetes makes up for a service of the name `netmon` included.
fn key_of_variable(name: &str) -> Option<String> {
    let key = name.strip_prefix("NETMON_")?;
    let made_up = key == "PORT" || key.starts_with("PORT_") || key.starts_with("SERVICE_");
    (!made_up).then(|| key.to_lowercase().replace("__", "."))
}

/// The variable that sets a key path.
fn variable_of_key(key: &str) -> String {
    format!("NETMON_{}", key.to_uppercase().replace('.', "__"))
}

fn flags(overrides: &[Override], known: &serde_json::Value) -> Keys {
    let mut layer = Keys::new();
    for Override { flag, key, values } in overrides.iter().filter(|given| !given.values.is_empty()) {
        let place = Place::Flag(flag.clone());
        let value = given(values.clone(), is_list(known, key), &place);
        insert(&mut layer, key, Node { place, value });
    }
    layer
}

/// Values from outside the file: all of them for a list, else the last.
pub(super) fn given(mut values: Vec<String>, is_list: bool, place: &Place) -> Value {
    if is_list {
        Value::List(values.into_iter().map(|item| Node { place: place.clone(), value: Value::Text(item) }).collect())
    } else {
        values.pop().map_or(Value::Null, Value::Text)
    }
}

fn is_list(known: &serde_json::Value, key: &str) -> bool {
    // The lists under free names are those of the address classes; there is no other kind of value under one.
    let mut at = known;
    for part in key.split('.') {
        match at.get(part) {
            Some(below) => at = below,
            None => return at.as_object().is_some_and(serde_json::Map::is_empty),
        }
    }
    at.is_array()
}

/// Puts a value at a dotted path, with the maps on the way. Behind [`MAX_DEPTH`] dots the rest is one name, which no key
/// has, so that a long name makes no deep tree.
pub(super) fn insert(keys: &mut Keys, path: &str, node: Node) {
    let mut at = keys;
    let mut names = path.splitn(MAX_DEPTH, '.').peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            at.insert(name.into(), node);
            return;
        }
        let below = at.entry(name.into()).or_insert_with(|| map_at(&node.place));
        if !matches!(below.value, Value::Map(_)) {
            *below = map_at(&node.place);
        }
        let Value::Map(keys) = &mut below.value else { return };
        at = keys;
    }
}

fn map_at(place: &Place) -> Node {
    Node { place: place.clone(), value: Value::Map(Keys::new()) }
}

/// The message for a key that does not exist, with the one that was probably meant.
fn unknown_key(place: &Place, path: &str, known: &serde_json::Value) -> Mistake {
    let all = paths(known, "");
    let asked = of_any_item(path);
    let written = |key: &str| match place {
        Place::Variable(_) => format!("`{}`", variable_of_key(key)),
        // With the numbers of the items it is about.
        _ if section(key) == section(&asked) && section(key) != section(path) => {
            format!("`{}.{}`", section(path), last_name(key))
        }
        _ => format!("`{key}`"),
    };
    let advice = if all.contains(&asked) {
        "a path of keys is written as maps within maps".into()
    } else if let Some(key) = meant(&asked, &all) {
        format!("did you mean {}?", written(key))
    } else {
        let siblings: Vec<String> = siblings(&asked, &all).map(written).collect();
        format!("allowed {}", siblings.join(", "))
    };
    let mut mistake = Mistake::new(place.clone(), format!("unknown key {}, {advice}", quoted(path)));
    mistake.key = Some(path.into());
    match place {
        Place::Variable(name) if looks_like_kubernetes(name) => mistake.with_hint(
            "Kubernetes sets such variables for the services of a namespace; `enableServiceLinks: false` in the pod's \
             spec keeps them out",
        ),
        _ => mistake,
    }
}

/// A key of the same section with a name like it, or one of the same name elsewhere.
fn meant<'a>(path: &str, all: &'a [String]) -> Option<&'a str> {
    let name = last_name(path);
    let near = nearest(name, siblings(path, all).map(last_name));
    let sibling = near.and_then(|near| siblings(path, all).find(|known| last_name(known) == near));
    // A key of the items of a list is meant in its own kind of items only.
    let elsewhere = || all.iter().map(String::as_str).find(|known| last_name(known) == name && !known.contains("[]"));
    sibling.or_else(elsewhere)
}

/// The keys of the section that `path` is in.
fn siblings<'a>(path: &str, all: &'a [String]) -> impl Iterator<Item = &'a str> {
    let section = section(path).to_owned();
    all.iter().map(String::as_str).filter(move |known| self::section(known) == section)
}

fn section(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(section, _)| section)
}

fn last_name(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, name)| name)
}

/// `X_SERVICE_HOST`, `X_SERVICE_PORT…`, `X_PORT`, `X_PORT_…`.
fn looks_like_kubernetes(name: &str) -> bool {
    name.ends_with("_PORT") || ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"].iter().any(|part| name.contains(part))
}

/// A path without the numbers of its items: `alerts[].metric`.
fn of_any_item(path: &str) -> String {
    let mut parts = path.split('[');
    let mut any = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        any.push('[');
        any.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    any
}

/// Every path of the known keys, sections included, in order.
fn paths(known: &serde_json::Value, prefix: &str) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(item) = known.get(0) {
        all.extend(paths(item, &format!("{prefix}[]")));
    }
    for (key, below) in known.as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        all.push(path.clone());
        all.extend(paths(below, &path));
    }
    all
}
