//! Texts of messages: templates over the fields of an alert.
//!
//! The language is that of Jinja, as far as it can neither hang nor fill memory: `{{ … }}` with filters, `if` and `for`.
//! A field that there is not is an error and not an empty text, so a template is tried on a sample when it is read.
//!
//! ```
//! use netmon::notify::template::{Fields, Template};
//!
//! let template = Template::new("{{ interface }} receives {{ value }} (limit {{ threshold }})")?;
//! let text = template.render(&Fields::sample())?;
//! assert_eq!(text, "eth0 receives 120 MiB/s (limit 100 MiB/s)");
//! # Ok::<(), netmon::notify::template::TemplateError>(())
//! ```

mod fields;
mod filters;
mod grammar;
mod quantity;

pub use fields::Fields;
pub(super) use fields::sentence;
pub use quantity::Quantity;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, LazyLock};

/// A text with places for the fields of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: Arc<str>,
}

/// Why a text is no template, or gives no text for an alert.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (line {line} of the template)")]
pub struct TemplateError {
    /// What is wrong.
    pub what: String,
    /// Where, from 1.
    pub line: usize,
}

/// How values are made harmless in the text around them; the template's own text is as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// Not at all.
    None,
    /// `&`, `<` and `>`, for Slack's mrkdwn.
    Slack,
}

impl Template {
    /// Bytes of a template.
    pub const MAX_LEN: usize = 4096;
    /// Bytes of a text made from one; what is longer is an error.
    pub const MAX_TEXT: usize = 32 << 10;
    /// Steps of one rendering, a few milliseconds.
    const FUEL: u64 = 100_000;

    /// Reads a template and tries it on [`Fields::sample`].
    ///
    /// # Errors
    /// It is no template, has statements that could run away, or asks for fields that an alert has not.
    pub fn new(source: &str) -> Result<Self, TemplateError> {
        Self::for_fields(source, &Fields::sample())
    }

    /// Reads a template and tries it on an alert like those it is for.
    ///
    /// # Errors
    /// As [`Template::new`].
    pub fn for_fields(source: &str, sample: &Fields) -> Result<Self, TemplateError> {
        if source.len() > Self::MAX_LEN {
            return Err(TemplateError { what: format!("it is longer than {} bytes", Self::MAX_LEN), line: 1 });
        }
        grammar::check(source)?;
        let template = Self { source: source.into() };
        template.render(sample)?;
        Ok(template)
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text for one alert.
    ///
    /// # Errors
    /// The alert has not all that is asked for, or the text does not end.
    pub fn render(&self, fields: &Fields) -> Result<String, TemplateError> {
        self.render_escaped(fields, Escaping::None)
    }

    /// The text for one alert, with its values escaped.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_escaped(&self, fields: &Fields, escaping: Escaping) -> Result<String, TemplateError> {
        let environment = match escaping {
            Escaping::None => &*PLAIN,
            Escaping::Slack => &*SLACK,
        };
        let template = environment.template_from_str(&self.source).map_err(|error| failed(&error))?;
        let mut text = Bounded(Vec::new());
        template.render_captured_to(fields.context(), &mut text).map_err(|error| {
            let unknown = || template.undeclared_variables(false).into_iter().filter(|name| !fields.has(name)).min();
            match error.kind() {
                ErrorKind::UndefinedError => undefined(&error, unknown(), fields),
                _ => failed(&error),
            }
        })?;
        Ok(String::from_utf8_lossy(&text.0).into_owned())
    }
}

static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(environment);
static SLACK: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = environment();
    environment.set_formatter(|out, _, value| {
        if value.is_undefined() {
            return Err(ErrorKind::UndefinedError.into());
        }
        // A value is printed as it is without a formatter; only the text is then made harmless.
        Ok(fmt::Write::write_str(out, &super::receiver::escaped(&value.to_string()))?)
    });
    environment
});

fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(Template::FUEL));
    environment.set_recursion_limit(16);
    filters::add(&mut environment);
    environment
}

fn undefined(error: &minijinja::Error, unknown: Option<String>, fields: &Fields) -> TemplateError {
    let line = error.line().unwrap_or(1);
    let what = match unknown {
        Some(name) => {
            let near = fields.names().min_by_key(|known| strsim::damerau_levenshtein(known, &name));
            let near = near.filter(|known| strsim::damerau_levenshtein(known, &name) <= known.len() / 2);
            let advice = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
            format!("`{name}` is no field of an alert{advice}")
        }
        None => "a label that this alert has not; `labels.name|default(\"\")` allows for that".into(),
    };
    TemplateError { what, line }
}

fn failed(error: &minijinja::Error) -> TemplateError {
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too long".into(),
        ErrorKind::WriteFailure => format!("its text is longer than {} bytes", Template::MAX_TEXT),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
    };
    TemplateError { what, line: error.line().unwrap_or(1) }
}

/// Refuses to grow beyond [`Template::MAX_TEXT`].
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > Template::MAX_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> Result<String, String> {
        let fields = Fields::sample();
        let made = Template::new(source).and_then(|template| template.render(&fields));
        made.map_err(|error| error.to_string())
    }

    #[test]
    fn fields_and_labels_stand_by_their_names() {
        assert_eq!(text("{{ rule }} {{ severity }} {{ status }}").as_deref(), Ok("HighIngress critical firing"));
        assert_eq!(text("{{ labels.interface }} {{ window }}").as_deref(), Ok("eth0 10 s"));
        assert_eq!(text("{% if threshold %}over {{ threshold }}{% endif %}").as_deref(), Ok("over 100 MiB/s"));
        assert_eq!(text("{% for name in labels %}{{ name }} {% endfor %}").as_deref(), Ok("interface protocol "));
        assert_eq!(text("{{ labels.team|default('none') }}").as_deref(), Ok("none"));
    }

    #[test]
    fn values_are_for_people_and_raw_is_for_programs() {
        assert_eq!(text("{{ value }}, {{ value|bits }}").as_deref(), Ok("120 MiB/s, 1.007 Gbit/s"));
        assert_eq!(text("{{ value|raw }}").as_deref(), Ok("125829120.0"));
        assert_eq!(text("{{ value|raw|int }}").as_deref(), Ok("125829120"));
        assert_eq!(text("{% if value|raw > threshold|raw %}over{% endif %}").as_deref(), Ok("over"));
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (source, expected) in [
            (
                "{{ interfce }}",
                "`interfce` is no field of an alert, did you mean `interface`? (line 1 of the template)",
            ),
            (
                "a\nb {{ labels.tem }}",
                "a label that this alert has not; `labels.name|default(\"\")` allows for that (line 2 of the template)",
            ),
            ("a\n\n{{ value", "unexpected end of input, expected end of variable block (line 3 of the template)"),
            ("{% if value %}", "unexpected end of input, expected end of block (line 1 of the template)"),
            ("{{ value|hex }}", "filter hex is unknown (line 1 of the template)"),
            (
                "{% set a = 1 %}",
                "`set` is not allowed here, only `if`, `elif`, `else` and `for` (line 1 of the template)",
            ),
            ("\n{{ 'a' * 1000000 }}", "`*` is not allowed here (line 2 of the template)"),
            ("{{ range(10) }}", "range is unknown (line 1 of the template)"),
        ] {
            assert_eq!(text(source), Err(expected.to_owned()), "{source}");
        }
    }

    #[test]
    fn no_template_hangs_or_fills_memory() {
        let nested = |body: &str| {
            let depth = 12;
            format!("{}{body}{}", "{% for a in 'abcdefghijklmnop' %}".repeat(depth), "{% endfor %}".repeat(depth))
        };
        let loops = nested("");
        assert_eq!(text(&loops), Err("it takes too long (line 1 of the template)".into()));
        let long = format!("{{% for a in 'abcdefghijklmnop' %}}{}{{% endfor %}}", "x".repeat(4000));
        assert_eq!(text(&long), Err("its text is longer than 32768 bytes (line 1 of the template)".into()));
        assert!(text(&"(".repeat(3000)).is_ok() && text(&format!("{{{{ {} }}}}", "(".repeat(3000))).is_err());
        assert!(text(&format!("{{{{ {}1{} }}}}", "[".repeat(2000), "]".repeat(2000))).is_err());
    }

    #[test]
    fn escaping_changes_values_and_leaves_the_text() {
        let template = Template::new("<{{ page }}|page> {{ labels.team|default('a<b & c>d') }}").unwrap();
        let text = template.render_escaped(&Fields::sample(), Escaping::Slack).unwrap();
        assert_eq!(text, "<http://127.0.0.1:8080/|page> a&lt;b &amp; c&gt;d");
    }
}
