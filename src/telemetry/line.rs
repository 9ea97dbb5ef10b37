//! One event as one line.

use super::Format;
use super::escape::{Escaping, is_unsafe};
use crate::time::Timestamp;
use serde_json::{Map, Value};
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// An event with the spans it happened in.
pub(super) struct Line {
    timestamp: Timestamp,
    level: Level,
    target: String,
    fields: Fields,
    spans: Vec<(&'static str, Fields)>,
}

impl Line {
    pub(super) fn new(timestamp: Timestamp, level: Level, target: &str, fields: Fields) -> Self {
        Self { timestamp, level, target: target.into(), fields, spans: Vec::new() }
    }

    /// The line that stands for `lines` others of the cause `metadata`.
    pub(super) fn suppressed(timestamp: Timestamp, metadata: &Metadata<'_>, lines: u64) -> Self {
        let mut fields = Fields { message: "similar lines were suppressed".into(), ..Fields::default() };
        fields.push("suppressed", Value::from(lines));
        if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
            fields.push("cause", Value::from(format!("{file}:{line}")));
        }
        Self::new(timestamp, *metadata.level(), metadata.target(), fields)
    }

    /// Adds the next span, from the outside in.
    pub(super) fn push_span(&mut self, name: &'static str, fields: Option<&Fields>) {
        self.spans.push((name, fields.cloned().unwrap_or_default()));
    }

    /// The line with its end.
    pub(super) fn render(&self, format: Format) -> String {
        let mut line = match format {
            Format::Text => self.text(),
            Format::Json => self.json(),
        };
        line.push('\n');
        line
    }

    fn text(&self) -> String {
        let mut line = format!("{} {:<5} ", self.timestamp, self.level);
        let mut escaped = Escaping(&mut line);
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut escaped);
        line
    }

    fn write_text(&self, f: &mut impl Write) -> fmt::Result {
        write!(f, "{}:", self.target)?;
        for (name, fields) in &self.spans {
            write!(f, " {name}{{")?;
            for (n, (key, value)) in fields.values.iter().enumerate() {
                write!(f, "{}{key}={}", if n == 0 { "" } else { " " }, Word(value))?;
            }
            f.write_str("}:")?;
        }
        write!(f, " {}", self.fields.message)?;
        self.fields.values.iter().try_for_each(|(key, value)| write!(f, " {key}={}", Word(value)))
    }

    fn json(&self) -> String {
        let mut object = Map::new();
        object.insert("timestamp".into(), self.timestamp.to_string().into());
        object.insert("level".into(), self.level.as_str().into());
        object.insert("target".into(), self.target.as_str().into());
        object.insert("message".into(), self.fields.message.as_str().into());
        object.insert("fields".into(), self.fields.to_json());
        if !self.spans.is_empty() {
            let spans =
                self.spans.iter().map(|(name, fields)| serde_json::json!({"name": name, "fields": fields.to_json()}));
            object.insert("spans".into(), spans.collect());
        }
        escape_json(&Value::Object(object).to_string())
    }
}

/// What an event or a span says: its message and its fields in the order of the code.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    message: String,
    values: Vec<(&'static str, Value)>,
}

impl Fields {
    /// The longest text of one field, in bytes; the rest is replaced by `…`.
    const MAX_TEXT: usize = 2048;

    /// A field set again replaces its value (spans record into themselves).
    fn push(&mut self, key: &'static str, value: Value) {
        match self.values.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.values.push((key, value)),
        }
    }

    fn push_text(&mut self, field: &Field, text: String) {
        if field.name() == "message" {
            self.message = text;
        } else {
            self.push(field.name(), Value::String(text));
        }
    }

    fn to_json(&self) -> Value {
        self.values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<Map<_, _>>().into()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded { text: String::new(), left: Self::MAX_TEXT };
        // Fails when the bound is reached, which the text then shows.
        let _ = write!(text, "{value:?}");
        self.push_text(field, text.text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Bounded { text: String::new(), left: Self::MAX_TEXT };
        let _ = text.write_str(value);
        self.push_text(field, text.text);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field.name(), value.into());
    }
}

/// A string that stops growing.
struct Bounded {
    text: String,
    left: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.left {
            self.left -= text.len();
            self.text.push_str(text);
            return Ok(());
        }
        self.text.push_str(&text[..text.floor_char_boundary(self.left)]);
        self.text.push('…');
        self.left = 0;
        Err(fmt::Error)
    }
}

/// A value in a line of text: quoted where it could be taken for something else.
struct Word<'a>(&'a Value);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Value::String(text) = self.0 else { return write!(f, "{}", self.0) };
        if !text.is_empty() && !text.contains([' ', '"', '=', '{', '}']) {
            return f.write_str(text);
        }
        write!(f, "\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
    }
}

/// JSON escapes only what JSON must; the rest of what is unsafe can stand inside strings only, so it is escaped there.
fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_unsafe(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}
