//! Access to the API.

use super::{Rule, Single};
use crate::config::mistake::quoted;
use crate::http::Control;
use crate::telemetry::is_unsafe;
use schemars::{Schema, json_schema};
use serde_json::Value as Json;
use std::path::PathBuf;

/// `auto`, `true` or `false`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiControl;

impl Rule for ApiControl {
    type Value = Control;

    fn parse(text: &str) -> Result<Control, String> {
        Control::ALL.into_iter().find(|control| control.name() == text).ok_or_else(|| quoted(text))
    }

    fn allowed() -> String {
        Control::ALL.map(|control| format!("`{}`", control.name())).join(", ")
    }

    fn json(value: &Control) -> Json {
        match value {
            Control::Auto => "auto".into(),
            Control::On => true.into(),
            Control::Off => false.into(),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": ["string", "boolean"], "enum": ["auto", true, false]})
    }
}

impl Single for ApiControl {
    fn default() -> Control {
        Control::default()
    }

    fn default_text() -> String {
        Control::default().name().into()
    }
}

/// The absolute path of a file, or nothing. Whether it can be read is known at the start only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath;

impl FilePath {
    const MAX_LEN: usize = 4096;
}

impl Rule for FilePath {
    type Value = Option<PathBuf>;

    fn parse(text: &str) -> Result<Option<PathBuf>, String> {
        let path = PathBuf::from(text);
        let is_good = path.is_absolute() && text.len() <= Self::MAX_LEN && !text.contains(is_unsafe);
        match text {
            "" => Ok(None),
            _ if is_good => Ok(Some(path)),
            _ => Err(quoted(text)),
        }
    }

    fn allowed() -> String {
        "the absolute path of a file".into()
    }

    fn json(value: &Option<PathBuf>) -> Json {
        value.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "maxLength": Self::MAX_LEN})
    }
}

impl Single for FilePath {
    fn default() -> Option<PathBuf> {
        None
    }

    fn default_text() -> String {
        "none".into()
    }
}
