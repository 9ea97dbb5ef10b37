//! Every key of the file, with what is known of it: for the reference pages.
//!
//! Taken from the JSON Schema, so that the descriptions, bounds and defaults are those of the types that read the file.

use super::changes::part;
use super::schema;
use super::setting::ALLOWED;
use serde_json::Value as Json;

/// One key of the file, or a section of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its path: `flows.timeouts.udp`; `alerts[].name` in the items of a list, `labels.NAME` where names are free.
    pub path: String,
    /// What it means, in paragraphs.
    pub description: String,
    /// What may be written, in words; empty where it depends on other keys, and for sections.
    pub allowed: String,
    /// As it would be written; `None` where nothing stands for a key that is left out, and for sections.
    pub default: Option<String>,
    /// Whether a reload takes a change of it.
    pub reloadable: bool,
    /// Whether it holds keys and has no value of its own.
    pub is_section: bool,
}

/// All keys; a section comes before its keys, and those with a value before the sections beside them.
pub fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    below("", schema().as_value(), &mut keys);
    keys
}

/// Walks the properties of a section. The depth is that of the file's types.
fn below(section: &str, schema: &Json, keys: &mut Vec<Key>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let mut properties: Vec<_> = properties.iter().map(|(name, schema)| (path(section, name), schema)).collect();
    properties.sort_by_key(|(_, schema)| inner(schema).is_some());
    for (path, schema) in properties {
        keys.push(key(&path, schema));
        if let Some((suffix, items)) = inner(schema) {
            below(&format!("{path}{suffix}"), items, keys);
        }
    }
}

fn path(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// What holds keys of its own, and what stands between its path and theirs.
fn inner(schema: &Json) -> Option<(&'static str, &Json)> {
    let items = &schema["items"];
    let within = if schema["type"] == "array" { ("[]", items) } else { ("", schema) };
    within.1["properties"].is_object().then_some(within)
}

fn key(path: &str, schema: &Json) -> Key {
    let is_section = inner(schema).is_some();
    Key {
        path: path.to_owned(),
        description: schema["description"].as_str().map(unwrapped).unwrap_or_default(),
        allowed: allowed(schema),
        default: (!is_section).then(|| schema.get("default").map(written)).flatten(),
        reloadable: part(&path.replace("[]", "")).is_some(),
        is_section,
    }
}

/// The lines of a paragraph as one.
fn unwrapped(description: &str) -> String {
    let paragraphs = description.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn allowed(schema: &Json) -> String {
    if let Some(allowed) = schema[ALLOWED].as_str() {
        return allowed.to_owned();
    }
    // A map of names that the user chooses: what each of its values may be.
    let by_pattern = schema["patternProperties"].as_object().and_then(|patterns| patterns.values().next());
    match by_pattern.or_else(|| schema.get("additionalProperties").filter(|values| values.is_object())) {
        Some(values) if allowed(values).is_empty() => "a map by name".to_owned(),
        Some(values) => format!("a map by name, of {}", allowed(values)),
        None => String::new(),
    }
}

/// A default as it stands in the file.
fn written(value: &Json) -> String {
    match value {
        Json::String(text) if text.is_empty() => "\"\"".to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str) -> Key {
        keys().into_iter().find(|key| key.path == path).unwrap()
    }

    #[test]
    fn every_key_is_described_and_has_a_default_or_is_of_a_list_of_maps() {
        for key in keys() {
            assert!(!key.description.is_empty(), "{}", key.path);
            let is_free = key.path.contains("[]") || key.is_section;
            assert!(is_free || key.default.is_some() && !key.allowed.is_empty(), "{key:?}");
        }
    }

    #[test]
    fn a_key_is_what_its_type_says() {
        let key = find("flows.timeouts.udp");
        assert_eq!((key.allowed.as_str(), key.default.as_deref()), ("1 s to 24 h", Some("60s")));
        assert!(key.reloadable && !find("flows.max").reloadable && find("flows").is_section);
        assert_eq!(
            find("address_classes").allowed,
            "a map by name, of a list of 1 to 64, each a network such as `10.0.0.0/8` or `fd00::/8`"
        );
        assert!(find("alerts[].for").reloadable && find("receivers[].webhook.url").reloadable);
    }
}
