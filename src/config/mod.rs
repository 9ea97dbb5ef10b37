//! The configuration: layers of text in, a [`Config`] that cannot be wrong out.
//!
//! Defaults, then a YAML file, then the standard `OTEL_` variables, then `NETMON_` variables, then flags: each stands over the one before. Everything that is
//! wrong in any of them is reported in one run, with its place and what is allowed. Each room owns its own `Config`;
//! here they are made from the text.
//!
//! ```
//! use netmon::config::{Config, from_yaml};
//!
//! assert_eq!(from_yaml("netmon.yaml", b"")?.config, Config::default());
//! let mistakes = from_yaml("netmon.yaml", b"flows:\n  timeouts: {udp: 0}\n").unwrap_err();
//! assert_eq!(
//!     mistakes.to_string(),
//!     "config `netmon.yaml:2`: `flows.timeouts.udp` is 0 s, allowed 1 s to 24 h (default 60 s)"
//! );
//! # Ok::<(), netmon::config::Mistakes>(())
//! ```

mod alerts;
mod changes;
mod check;
mod document;
mod exporting;
mod file;
mod keys;
mod kinds;
mod layers;
mod mistake;
pub(crate) mod otel;
mod otlp;
mod read;
mod receivers;
mod reread;
mod rules;
mod setting;
mod source;
mod state;
mod summaries;
pub mod units;

pub use alerts::AlertRule;
pub use changes::{Changes, Part};
pub use document::{MAX_BYTES, MAX_DEPTH, MAX_INDICATORS, MAX_NODES};
pub use file::File;
pub use keys::{Key, keys};
pub use layers::Override;
pub use mistake::{Mistake, Mistakes, Place};
pub use otlp::{Otlp, PushedMetrics, Traces};
pub use receivers::{MAX_RECEIVERS, ReceiverEntry};
pub use setting::{Given, Maps, Texts};
pub use source::DEFAULT_FILES;
pub use state::state_directory;

use crate::{alert, capture, export, flow, history, http, notify, privilege, stats, telemetry};
use document::Document;
use ipnet::IpNet;
use layers::Layers;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything a daemon needs; cannot be wrong once made by [`load`] or [`from_yaml`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Names, globs, `!name`, `any`; empty: the interface of the default route.
    pub interfaces: Vec<String>,
    /// Capture.
    pub capture: capture::Config,
    /// Flow table.
    pub flows: flow::Config,
    /// Windows and what is counted.
    pub aggregation: stats::Config,
    /// Networks on this side, to tell receive from transmit.
    pub local_networks: Vec<IpNet>,
    /// HTTP.
    pub api: http::Config,
    /// What is watched.
    pub alerts: alert::Config,
    /// Who is told of alerts.
    pub notify: notify::Config,
    /// What is remembered.
    pub history: history::Settings,
    /// What leaves.
    pub export: export::Config,
    /// Where what is remembered is kept; `None`: as [`state_directory`] finds it.
    pub state_directory: Option<PathBuf>,
    /// What is given up at the start.
    pub privileges: privilege::Config,
    /// How often the file is looked at for changes; `None`: only when somebody asks for it.
    pub watch: Option<Duration>,
    /// Logs.
    pub telemetry: telemetry::Config,
    /// What is pushed to a collector.
    pub otlp: crate::otlp::Config,
}

/// A config and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    /// The file that was read; `None` when there was none.
    pub file: Option<PathBuf>,
    /// The same in the form of the file, every key with its value, to be shown. Holds no secrets.
    pub effective: File,
    /// What the file said; empty where there was none.
    written: Vec<u8>,
    places: BTreeMap<String, Place>,
}

impl Loaded {
    /// A finding with the place where its key was written.
    pub fn place(&self, finding: Finding) -> Mistake {
        layers::found(&self.places, finding)
    }
}

/// What another room finds wrong with a config whose values are all allowed, such as a filter that does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The path of the key.
    pub key: String,
    /// What is wrong, as a sentence of its own.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Looks at a config for what other rooms know. Where a value was not allowed it sees the default.
pub type Checks<'a> = &'a dyn Fn(&Config) -> Vec<Finding>;

/// No [`Checks`].
pub const NO_CHECKS: Checks<'static> = &|_| Vec::new();

/// Reads the config of this machine: the file, the process environment and `overrides`.
///
/// Without `file` the first of [`DEFAULT_FILES`] that exists is read, and without any of them the defaults stand.
///
/// # Errors
/// All mistakes of all layers, and all findings of `checks`.
pub fn load(file: Option<&Path>, overrides: &[Override], checks: Checks<'_>) -> Result<Loaded, Mistakes> {
    load_with(file, std::env::vars_os(), overrides, checks)
}

/// [`load`] with an environment given.
///
/// # Errors
/// All mistakes of all layers, and all findings of `checks`.
pub fn load_with(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    overrides: &[Override],
    checks: Checks<'_>,
) -> Result<Loaded, Mistakes> {
    from_source(source::find(file), environment, overrides, checks)
}

/// The config whose file, if there is one, has these bytes.
fn from_source(
    found: Result<Option<(PathBuf, Vec<u8>)>, Mistake>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    overrides: &[Override],
    checks: Checks<'_>,
) -> Result<Loaded, Mistakes> {
    let (file, written, document) = match found {
        Ok(Some((path, bytes))) => {
            let document = Document::parse(&path.to_string_lossy().into(), &bytes);
            (Some(path), bytes, document)
        }
        Ok(None) => (None, Vec::new(), Ok(Document::default())),
        Err(mistake) => (None, Vec::new(), Err(mistake)),
    };
    let loaded = from_layers(document, environment, overrides, checks)?;
    Ok(Loaded { file, written, ..loaded })
}

/// Reads a config from the bytes of a YAML file alone; `name` is for the messages.
///
/// # Errors
/// All mistakes.
pub fn from_yaml(name: &str, bytes: &[u8]) -> Result<Loaded, Mistakes> {
    from_layers(Document::parse(&name.into(), bytes), [], &[], NO_CHECKS)
}

/// A YAML file of another kind than the config, read by the same rules.
#[derive(Clone, Debug)]
pub struct Written<T> {
    /// What it says.
    pub value: T,
    places: BTreeMap<String, Place>,
}

impl<T> Written<T> {
    /// Something wrong with the value of a key; the message goes on behind its path.
    pub fn mistake(&self, key: &str, message: &str) -> Mistake {
        let message = format!("{} {message}", mistake::quoted(key));
        layers::found(&self.places, Finding { key: key.into(), message, hint: None })
    }
}

/// Reads the bytes of a YAML file of its own kind. `known` has its keys: a list where a list belongs, in it a map where
/// its items are maps of these keys, and an empty map where names are free.
///
/// # Errors
/// All mistakes.
pub fn read_yaml<T>(name: &str, bytes: &[u8], known: &serde_json::Value) -> Result<Written<T>, Mistakes>
where
    T: serde::de::DeserializeOwned + Default,
{
    let mut layers = Layers::merge(Document::parse(&name.into(), bytes)?, [], &[], known)?;
    let (value, misfits) = read::read::<T>(&mut layers.merged, Mistakes::MAX_LISTED);
    let mut mistakes = std::mem::take(&mut layers.mistakes);
    mistakes.extend(misfits.iter().map(|misfit| layers.mistake(&misfit.key(), &misfit.message)));
    Mistakes::none(mistakes)?;
    Ok(Written { value, places: layers.places })
}

/// The JSON Schema (2020-12) of the file.
pub fn schema() -> schemars::Schema {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<File>()
}

fn from_layers(
    document: Result<Document, Mistake>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    overrides: &[Override],
    checks: Checks<'_>,
) -> Result<Loaded, Mistakes> {
    // The other layers are read even when the file cannot be, so that their mistakes are not left for the next run.
    let (document, unreadable) = match document {
        Ok(document) => (document, None),
        Err(mistake) => (Document::default(), Some(mistake)),
    };
    let mut layers = Layers::merge(document, environment, overrides, &File::known())?;
    let (file, misfits) = read::read::<File>(&mut layers.merged, Mistakes::MAX_LISTED);
    let config = check::config(&file);
    let mut mistakes = std::mem::take(&mut layers.mistakes);
    mistakes.extend(unreadable);
    mistakes.extend(misfits.iter().map(|misfit| layers.mistake(&misfit.key(), &misfit.message)));
    // Where something below is unknown or could not be read, what is said of the whole may only follow from that.
    let is_whole = |key: &str, mistakes: &[Mistake]| {
        let mut below = mistakes.iter().filter_map(|mistake| mistake.key.as_deref()?.strip_prefix(key));
        !below.any(|rest| rest.starts_with('.'))
    };
    let mut across = check::across(&file);
    across.retain(|(key, _)| is_whole(key, &mistakes));
    mistakes.extend(across.iter().map(|(key, message)| layers.mistake(key, message)));
    mistakes.extend(checks(&config).into_iter().map(|finding| layers::found(&layers.places, finding)));
    Mistakes::none(mistakes)?;
    Ok(Loaded { config, file: None, effective: file, written: Vec::new(), places: layers.places })
}
