//! Names, filters and choices.

use super::{Rule, Single};
use crate::capture::Backend;
use crate::config::mistake::quoted;
use crate::config::units::Size;
use crate::telemetry::{self, Levels, is_unsafe};
use schemars::{Schema, json_schema};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// What captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureBackend;

impl Rule for CaptureBackend {
    type Value = Backend;

    fn parse(text: &str) -> Result<Backend, String> {
        match text {
            "pcap" => Ok(Backend::Pcap),
            "raw" if cfg!(target_os = "linux") => Ok(Backend::Raw),
            "raw" => Err("`raw` (the AF_PACKET ring, which only Linux has)".into()),
            "replay" => {
                Err("`replay` (reads capture files, which `netmon replay FILE` does with this same config)".into())
            }
            _ => Err(quoted(text)),
        }
    }

    fn allowed() -> String {
        "`pcap` or `raw`".into()
    }

    fn json(value: &Backend) -> Json {
        match value {
            Backend::Pcap => "pcap".into(),
            Backend::Raw => "raw".into(),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "enum": ["pcap", "raw"]})
    }
}

impl Single for CaptureBackend {
    fn default() -> Backend {
        Backend::Pcap
    }

    fn default_text() -> String {
        "pcap".into()
    }
}

/// A BPF expression, or nothing. Its grammar is libpcap's business, when it is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter;

impl Filter {
    const MAX_LEN: usize = 4096;
}

impl Rule for Filter {
    type Value = Option<String>;

    fn parse(text: &str) -> Result<Option<String>, String> {
        let expression = text.trim();
        if expression.len() > Self::MAX_LEN {
            return Err(format!("{} long", Size(expression.len() as u64)));
        }
        if expression.chars().any(|c| is_unsafe(c) && !c.is_ascii_whitespace()) {
            return Err(quoted(expression));
        }
        Ok((!expression.is_empty()).then(|| expression.into()))
    }

    fn allowed() -> String {
        format!("a pcap-filter(7) expression of at most {} without control characters", Size(Self::MAX_LEN as u64))
    }

    fn json(value: &Option<String>) -> Json {
        value.as_deref().unwrap_or_default().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "maxLength": Self::MAX_LEN})
    }
}

impl Single for Filter {
    fn default() -> Option<String> {
        None
    }

    fn default_text() -> String {
        "none: everything".into()
    }
}

/// The name of an interface, a glob, `!` and one of these, or `any`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfacePattern;

impl InterfacePattern {
    /// Windows names its interfaces by GUID and a prefix; Linux stops at 15.
    const MAX_LEN: usize = 255;
}

impl Rule for InterfacePattern {
    type Value = String;

    fn parse(text: &str) -> Result<String, String> {
        let name = text.strip_prefix('!').unwrap_or(text);
        let is_bad = name.is_empty() || name.trim() != name || text.len() > Self::MAX_LEN || name.contains(is_unsafe);
        if is_bad { Err(quoted(text)) } else { Ok(text.into()) }
    }

    fn allowed() -> String {
        "a name, a glob (\"veth*\"), \"!name\" to exclude, or \"any\"".into()
    }

    fn json(value: &String) -> Json {
        value.as_str().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": Self::MAX_LEN})
    }
}

/// An absolute path of a directory, or nothing. Whether it can be made is known at the start only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory;

impl Directory {
    /// PATH_MAX of Linux, less room for the names of the files in it.
    const MAX_LEN: usize = 3840;
}

impl Rule for Directory {
    type Value = Option<PathBuf>;

    fn parse(text: &str) -> Result<Option<PathBuf>, String> {
        let path = Path::new(text);
        let is_bad = !path.is_absolute() || text.len() > Self::MAX_LEN || text.contains(is_unsafe);
        match text {
            "" => Ok(None),
            _ if is_bad => Err(quoted(text)),
            _ => Ok(Some(path.to_owned())),
        }
    }

    fn allowed() -> String {
        "an absolute path".into()
    }

    fn json(value: &Option<PathBuf>) -> Json {
        value.as_deref().map(Path::to_string_lossy).unwrap_or_default().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "maxLength": Self::MAX_LEN})
    }
}

impl Single for Directory {
    fn default() -> Option<PathBuf> {
        None
    }

    fn default_text() -> String {
        "`$STATE_DIRECTORY`, `/var/lib/netmon` or `$XDG_STATE_HOME/netmon`".into()
    }
}

/// A level, or levels by module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel;

impl Rule for LogLevel {
    type Value = Levels;

    fn parse(text: &str) -> Result<Levels, String> {
        text.parse().map_err(|error| format!("{} ({error})", quoted(text)))
    }

    fn allowed() -> String {
        format!("{}, or levels by module (`info,netmon::capture=debug`)", Levels::NAMES.join(", "))
    }

    fn json(value: &Levels) -> Json {
        value.to_string().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^([A-Za-z0-9_:-]+=)?(off|error|warn|info|debug|trace)(, *([A-Za-z0-9_:-]+=)?(off|error|warn|info|debug|trace))*$"})
    }
}

impl Single for LogLevel {
    fn default() -> Levels {
        Levels::default()
    }

    fn default_text() -> String {
        Levels::default().to_string()
    }
}

/// `text` or `json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat;

impl Rule for LogFormat {
    type Value = telemetry::Format;

    fn parse(text: &str) -> Result<telemetry::Format, String> {
        telemetry::Format::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| quoted(text))
    }

    fn allowed() -> String {
        telemetry::Format::ALL.map(telemetry::Format::name).join(" or ")
    }

    fn json(value: &telemetry::Format) -> Json {
        value.name().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "enum": telemetry::Format::ALL.map(telemetry::Format::name)})
    }
}

impl Single for LogFormat {
    fn default() -> telemetry::Format {
        telemetry::Format::default()
    }

    fn default_text() -> String {
        telemetry::Format::default().name().into()
    }
}
