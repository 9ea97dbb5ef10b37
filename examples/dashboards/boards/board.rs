//! A dashboard: panels in rows, variables, links.

use super::panel::{Panel, datasource};
use super::query::series;
use netmon::metrics::Listed;
use serde_json::{Value, json};

/// The form of the document: that of Grafana 12. Older ones since 11 read it too.
const SCHEMA_VERSION: u32 = 42;

/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;

/// One dashboard.
pub struct Board {
    /// Part of its address, and the name of its file.
    pub uid: &'static str,
    title: &'static str,
    description: &'static str,
    one_host: bool,
    rows: Vec<(&'static str, Vec<Panel>)>,
}

impl Board {
    /// An empty one for any number of hosts.
    pub fn new(uid: &'static str, title: &'static str, description: &'static str) -> Self {
        Self { uid, title, description, one_host: false, rows: Vec::new() }
    }

    /// For one host at a time.
    pub fn of_one_host(self) -> Self {
        Self { one_host: true, ..self }
    }

    /// Panels under a heading, side by side while there is room; no heading where it is empty.
    pub fn row(mut self, heading: &'static str, panels: Vec<Panel>) -> Self {
        self.rows.push((heading, panels));
        self
    }

    /// The name of its file.
    pub fn file(&self) -> String {
        format!("{}.json", self.uid)
    }

    /// Every family it asks for.
    pub fn families(&self) -> impl Iterator<Item = &Listed> {
        self.rows.iter().flat_map(|(_, panels)| panels).flat_map(Panel::families)
    }

    /// The document, with a line break at its end. Grafana gives it its number.
    pub fn document(&self) -> String {
        let document = json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["netmon"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": true,
            "graphTooltip": 1,
            "time": { "from": "now-1h", "to": "now" },
            "refresh": "30s",
            "timezone": "browser",
            "timepicker": {},
            "weekStart": "",
            "fiscalYearStartMonth": 0,
            "preload": false,
            "annotations": { "list": [builtin_annotation(), starts()] },
            "links": [links()],
            "templating": { "list": self.variables() },
            "panels": self.panels(),
        });
        format!("{document:#}\n")
    }

    fn panels(&self) -> Vec<Value> {
        let mut documents = Vec::new();
        let (mut id, mut y) = (1, 0);
        for (heading, panels) in &self.rows {
            if !heading.is_empty() {
                documents.push(heading_of_row(heading, id, y));
                (id, y) = (id + 1, y + 1);
            }
            let (mut x, mut height) = (0, 0);
            for panel in panels {
                if x + panel.width > COLUMNS {
                    (x, y, height) = (0, y + height, 0);
                }
                documents.push(panel.document(id, x, y));
                (id, x, height) = (id + 1, x + panel.width, height.max(panel.height));
            }
            y += height;
        }
        documents
    }

    fn variables(&self) -> Vec<Value> {
        let jobs = "label_values(netmon_build_info, job)";
        let instances = r#"label_values(netmon_build_info{job=~"$job"}, instance)"#;
        let interfaces = r#"label_values(netmon_capture_up{job=~"$job", instance=~"$instance"}, interface)"#;
        vec![
            json!({
                "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "regex": "",
                "hide": 0, "refresh": 1, "includeAll": false, "multi": false, "options": [],
            }),
            // All that netmon has, by name: `up` and `process_*` are also of other jobs.
            variable("job", "Job", jobs, Choice::Any(None)),
            variable("instance", "Host", instances, if self.one_host { Choice::One } else { Choice::Any(Some(".+")) }),
            // `.*` also has what belongs to no interface, such as alerts of the flow table.
            variable("interface", "Interface", interfaces, Choice::Any(Some(".*"))),
        ]
    }
}

#[derive(Clone, Copy)]
enum Choice {
    One,
    /// Any number, and all, which is this pattern, or else all of them by name.
    Any(Option<&'static str>),
}

fn variable(name: &str, label: &str, definition: &str, choice: Choice) -> Value {
    let mut document = json!({
        "type": "query",
        "name": name,
        "label": label,
        "datasource": datasource(),
        "definition": definition,
        "query": { "qryType": 1, "query": definition, "refId": "PrometheusVariableQueryEditor-VariableQuery" },
        // At each change of the time shown: hosts and interfaces come and go.
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "hide": 0,
        "includeAll": false,
        "multi": false,
        "options": [],
    });
    if let Choice::Any(all) = choice {
        document["includeAll"] = json!(true);
        document["multi"] = json!(true);
        if let Some(all) = all {
            document["allValue"] = json!(all);
        }
        document["current"] = json!({ "selected": true, "text": ["All"], "value": ["$__all"] });
    }
    document
}

fn heading_of_row(heading: &str, id: u32, y: u32) -> Value {
    json!({
        "id": id, "type": "row", "title": heading, "collapsed": false, "panels": [],
        "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 },
    })
}

/// To all other dashboards of netmon, with the same time and variables.
fn links() -> Value {
    json!({
        "type": "dashboards", "title": "netmon", "tags": ["netmon"], "asDropdown": false, "icon": "external link",
        "includeVars": true, "keepTime": true, "targetBlank": false, "tooltip": "", "url": "",
    })
}

fn builtin_annotation() -> Value {
    json!({
        "builtIn": 1, "name": "Annotations & Alerts", "type": "dashboard", "enable": true, "hide": true,
        "iconColor": "rgba(0, 211, 255, 1)", "datasource": { "type": "grafana", "uid": "-- Grafana --" },
    })
}

/// A mark where a netmon started: counters begin anew and windows are empty.
fn starts() -> Value {
    let started = series("netmon_start_time_seconds").max(&["instance"]).age();
    json!({
        "name": "netmon started", "enable": true, "hide": false, "iconColor": "purple", "datasource": datasource(),
        "expr": format!("{} < 60", started.text), "step": "60s",
        "titleFormat": "netmon started", "textFormat": "{{instance}}",
    })
}
