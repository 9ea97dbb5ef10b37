//! What a single value may be. Each rule states in one place what it reads, what it allows and how it prints, for the
//! messages, the JSON Schema and the view of the config in force alike.

mod addresses;
mod alerting;
mod exporting;
mod numbers;
mod otlp;
mod privileges;
mod receivers;
mod texts;
mod web;

pub use addresses::{BindAddress, HostName, Network};
pub use alerting::{ExternalUrl, Percent, ReceiverName, SeverityName};
pub use exporting::{CollectorTarget, PartsPeriod};
pub use numbers::{Bytes, Count, OptionalPeriod, Period, Port, Switch, Window};
pub use otlp::{Choice, ResourceAttribute, ServiceName};
pub use privileges::{Sandbox, User};
pub use receivers::{HeaderText, OptionalPath, OptionalTemplate, OptionalText, OptionalUrl, UrlItem, Variable};
pub use texts::{CaptureBackend, Directory, Filter, InterfacePattern, LogFormat, LogLevel};
pub use web::{ApiControl, FilePath};

use schemars::Schema;
use serde_json::Value as Json;
use std::fmt::Debug;

/// How one kind of value is read, printed and described.
pub trait Rule: Clone + Debug + PartialEq + 'static {
    /// What it is to the program.
    type Value: Clone + Debug + PartialEq;

    /// Reads the text of a value.
    ///
    /// # Errors
    /// How the message names what was found: "0 s", "`abc` (no duration such as `10s`)".
    fn parse(text: &str) -> Result<Self::Value, String>;

    /// What may stand there, as it follows "allowed".
    fn allowed() -> String;

    /// The value as it would be written.
    fn json(value: &Self::Value) -> Json;

    /// The JSON Schema of what may be written.
    fn schema() -> Schema;

    /// The value of a list of these that is not given.
    fn default_list() -> Vec<Self::Value> {
        Vec::new()
    }
}

/// A rule for a key with one value, which has a default.
pub trait Single: Rule {
    /// The value of a key that is not given.
    fn default() -> Self::Value;

    /// The default, for messages.
    fn default_text() -> String;
}
