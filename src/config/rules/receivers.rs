//! What a key of a receiver may be. Secrets are not among them, but what may hold one is shown as little as a secret.

use super::{Rule, Single};
use crate::config::mistake::quoted;
use crate::notify::client::Url;
use crate::notify::secret::Secret;
use crate::notify::template::Template;
use crate::telemetry::is_unsafe;
use schemars::{Schema, json_schema};
use serde_json::Value as Json;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::sync::LazyLock;

/// One of several URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlItem;

impl UrlItem {
    const PATTERN: &str = "^https?://[^@#]+$";
}

impl Rule for UrlItem {
    type Value = Url;

    fn parse(text: &str) -> Result<Url, String> {
        text.parse().map_err(|error: crate::notify::client::UrlError| error.to_string())
    }

    fn allowed() -> String {
        "an `http` or `https` URL".into()
    }

    fn json(value: &Url) -> Json {
        marked(&value.to_string(), value.expose()).into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": Self::PATTERN, "maxLength": Url::MAX_LEN})
    }
}

/// A URL, or nothing. Its path may be as good as a password, so it is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalUrl;

impl Rule for OptionalUrl {
    type Value = Option<Url>;

    fn parse(text: &str) -> Result<Option<Url>, String> {
        if text.is_empty() { Ok(None) } else { UrlItem::parse(text).map(Some) }
    }

    fn allowed() -> String {
        UrlItem::allowed()
    }

    fn json(value: &Option<Url>) -> Json {
        value.as_ref().map_or_else(|| "".into(), UrlItem::json)
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^(https?://[^@#]+)?$", "maxLength": Url::MAX_LEN})
    }
}

impl Single for OptionalUrl {
    fn default() -> Option<Url> {
        None
    }

    fn default_text() -> String {
        "none".into()
    }
}

/// A header's value: nobody keeps tokens out of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderText;

impl Rule for HeaderText {
    type Value = Secret;

    fn parse(text: &str) -> Result<Secret, String> {
        let fits = text.len() <= 4096 && text.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
        if fits { Ok(Secret::new(text.into())) } else { Err("more than a header can have".into()) }
    }

    fn allowed() -> String {
        "a text of at most 4096 bytes without control characters".into()
    }

    fn json(value: &Secret) -> Json {
        marked("…", value.expose()).into()
    }

    fn schema() -> Schema {
        json_schema!({"type": ["string", "number", "boolean"], "maxLength": 4096})
    }
}

impl Single for HeaderText {
    fn default() -> Secret {
        Secret::new(String::new())
    }

    fn default_text() -> String {
        "empty".into()
    }
}

/// A file, or nothing. Whether it is there is known at the start only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalPath;

impl Rule for OptionalPath {
    type Value = Option<PathBuf>;

    fn parse(text: &str) -> Result<Option<PathBuf>, String> {
        if text.contains(is_unsafe) || text.len() > 4096 {
            return Err(quoted(text));
        }
        Ok((!text.is_empty()).then(|| text.into()))
    }

    fn allowed() -> String {
        "the path of a file".into()
    }

    fn json(value: &Option<PathBuf>) -> Json {
        value.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "maxLength": 4096})
    }
}

impl Single for OptionalPath {
    fn default() -> Option<PathBuf> {
        None
    }

    fn default_text() -> String {
        "none".into()
    }
}

/// The name of an environment variable, or nothing. Those that begin with `NETMON_` are keys of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable;

impl Rule for Variable {
    type Value = Option<String>;

    fn parse(text: &str) -> Result<Option<String>, String> {
        let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_key = text.starts_with("NETMON_");
        if !is_name || is_key || text.len() > 255 || text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(quoted(text));
        }
        Ok((!text.is_empty()).then(|| text.into()))
    }

    fn allowed() -> String {
        "the name of an environment variable that does not begin with `NETMON_`".into()
    }

    fn json(value: &Option<String>) -> Json {
        value.as_deref().unwrap_or_default().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^(?!NETMON_)([A-Za-z_][A-Za-z0-9_]*)?$", "maxLength": 255})
    }
}

impl Single for Variable {
    fn default() -> Option<String> {
        None
    }

    fn default_text() -> String {
        "none".into()
    }
}

/// A short text, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalText;

impl Rule for OptionalText {
    type Value = Option<String>;

    fn parse(text: &str) -> Result<Option<String>, String> {
        let is_bad = text.len() > 255 || text.trim() != text || text.contains(is_unsafe);
        if is_bad { Err(quoted(text)) } else { Ok((!text.is_empty()).then(|| text.into())) }
    }

    fn allowed() -> String {
        "a text of at most 255 bytes without control characters".into()
    }

    fn json(value: &Option<String>) -> Json {
        value.as_deref().unwrap_or_default().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": ["string", "number", "boolean"], "maxLength": 255})
    }
}

impl Single for OptionalText {
    fn default() -> Option<String> {
        None
    }

    fn default_text() -> String {
        "none".into()
    }
}

/// A template over the fields of an alert, or nothing; tried on a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalTemplate;

impl Rule for OptionalTemplate {
    type Value = Option<Template>;

    fn parse(text: &str) -> Result<Option<Template>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        Template::new(text).map(Some).map_err(|error| format!("{}: {error}", quoted(text)))
    }

    fn allowed() -> String {
        "a template over the fields of an alert".into()
    }

    fn json(value: &Option<Template>) -> Json {
        value.as_ref().map(Template::source).unwrap_or_default().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "maxLength": Template::MAX_LEN})
    }
}

impl Single for OptionalTemplate {
    fn default() -> Option<Template> {
        None
    }

    fn default_text() -> String {
        "none".into()
    }
}

/// What may be shown, and a mark that differs where what is hidden differs, so that a change is seen as one. The mark is
/// made with a random key of this process: nobody can try guesses on it.
fn marked(shown: &str, hidden: &str) -> String {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    format!("{shown} ({:08x})", KEY.hash_one(hidden) >> 32)
}
