//! Panels, in the types that Grafana has now: timeseries, stat, bargauge, state-timeline, heatmap, table.

mod document;

pub use document::datasource;

use super::query::Query;
use netmon::metrics::Listed;
use serde_json::{Value, json};

/// One panel, without its place.
pub struct Panel {
    pub title: &'static str,
    /// Columns of 24.
    pub width: u32,
    /// Rows of about 36 pixels.
    pub height: u32,
    kind: Kind,
    note: &'static str,
    asked: Vec<(Query, String)>,
    unit: Option<&'static str>,
    steps: Vec<(Option<f64>, &'static str)>,
    states: Vec<(f64, &'static str, &'static str)>,
    max: Option<f64>,
    stacked: bool,
    /// Text in legends of what is drawn downwards.
    mirrored: Option<&'static str>,
    links: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lines,
    Stat,
    Bars,
    States,
    Heat,
    Table,
}

const GREEN: &str = "green";
const ORANGE: &str = "orange";
const RED: &str = "red";

impl Panel {
    /// Lines over time.
    pub fn lines(title: &'static str) -> Self {
        Self::new(Kind::Lines, title, 12, 8)
    }

    /// The last value, large.
    pub fn stat(title: &'static str) -> Self {
        Self::new(Kind::Stat, title, 4, 4)
    }

    /// The last values as bars.
    pub fn bars(title: &'static str) -> Self {
        Self::new(Kind::Bars, title, 12, 8)
    }

    /// States over time.
    pub fn timeline(title: &'static str) -> Self {
        Self::new(Kind::States, title, 12, 8)
    }

    /// A histogram over time.
    pub fn heat(title: &'static str) -> Self {
        Self::new(Kind::Heat, title, 12, 8)
    }

    /// The last values as rows.
    pub fn table(title: &'static str) -> Self {
        Self::new(Kind::Table, title, 24, 8)
    }

    fn new(kind: Kind, title: &'static str, width: u32, height: u32) -> Self {
        Self {
            title,
            width,
            height,
            kind,
            note: "",
            asked: Vec::new(),
            unit: None,
            steps: vec![(None, GREEN)],
            states: Vec::new(),
            max: None,
            stacked: false,
            mirrored: None,
            links: Vec::new(),
        }
    }

    /// What to know beside what the catalogue says of the families.
    pub fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    /// A query and its legend, in a table the name of its column. A legend can only show labels that the answer has.
    pub fn ask(mut self, query: Query, legend: &str) -> Self {
        for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
            assert!(query.labels.contains(&label), "{}: there is no label {label} in {}", self.title, query.text);
        }
        self.asked.push((query, legend.to_owned()));
        self
    }

    /// In columns of 24 and rows.
    pub fn size(self, width: u32, height: u32) -> Self {
        Self { width, height, ..self }
    }

    /// Not the unit of its queries, which are counts that have a name of their own.
    pub fn unit(self, unit: &'static str) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// Orange from one value on, red from another.
    pub fn bad_from(self, orange: f64, red: f64) -> Self {
        Self { steps: vec![(None, GREEN), (Some(orange), ORANGE), (Some(red), RED)], ..self }
    }

    /// Red from a value on.
    pub fn red_from(self, red: f64) -> Self {
        Self { steps: vec![(None, GREEN), (Some(red), RED)], ..self }
    }

    /// Orange from a value on.
    pub fn orange_from(self, orange: f64) -> Self {
        Self { steps: vec![(None, GREEN), (Some(orange), ORANGE)], ..self }
    }

    /// Red below one value, orange below another.
    pub fn bad_below(self, red: f64, orange: f64) -> Self {
        Self { steps: vec![(None, RED), (Some(red), ORANGE), (Some(orange), GREEN)], ..self }
    }

    /// Nothing that is good or bad.
    pub fn plain(self) -> Self {
        Self { steps: vec![(None, "blue")], ..self }
    }

    /// Values that are states, with their words and colours.
    pub fn states(self, states: &[(f64, &'static str, &'static str)]) -> Self {
        Self { states: states.to_vec(), ..self }
    }

    /// The top of the scale.
    pub fn max(self, max: f64) -> Self {
        Self { max: Some(max), ..self }
    }

    /// Lines on top of each other.
    pub fn stacked(self) -> Self {
        Self { stacked: true, ..self }
    }

    /// Lines whose legend has this text go downwards.
    pub fn mirrored(self, text: &'static str) -> Self {
        Self { mirrored: Some(text), ..self }
    }

    /// A link of each value to another dashboard; the host is that of the value.
    pub fn leading_to(mut self, title: &str, uid: &str) -> Self {
        let instance =
            if self.kind == Kind::Table { "${__data.fields.instance}" } else { "${__field.labels.instance}" };
        let variables = "${datasource:queryparam}&${job:queryparam}";
        let url = format!("/d/{uid}?var-instance={instance}&{variables}&${{__url_time_range}}");
        self.links.push(json!({ "title": title, "url": url, "targetBlank": false }));
        self
    }

    /// The families it asks for, each once.
    pub fn families(&self) -> Vec<&Listed> {
        let mut families: Vec<&Listed> = Vec::new();
        for family in self.asked.iter().flat_map(|(query, _)| &query.families) {
            if !families.contains(&family) {
                families.push(family);
            }
        }
        families
    }
}
