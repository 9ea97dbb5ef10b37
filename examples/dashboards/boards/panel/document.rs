//! A panel as Grafana reads it.

use super::{Kind, Panel};
use crate::boards::query::Query;
use serde_json::{Map, Value, json};

impl Panel {
    /// As Grafana wants it, with its number and its place.
    pub fn document(&self, id: u32, x: u32, y: u32) -> Value {
        assert!(!self.asked.is_empty(), "{} asks for nothing", self.title);
        let mut document = json!({
            "id": id,
            "type": self.kind.plugin(),
            "title": self.title,
            "description": self.description(),
            "datasource": datasource(),
            "gridPos": { "x": x, "y": y, "w": self.width, "h": self.height },
            "targets": self.asked.iter().enumerate().map(|(n, asked)| self.target(n, asked)).collect::<Vec<_>>(),
            "fieldConfig": { "defaults": self.defaults(), "overrides": self.overrides() },
            "options": self.options(),
        });
        if self.kind == Kind::Table {
            document["transformations"] = self.columns();
        }
        document
    }

    fn description(&self) -> String {
        let families = self.families().into_iter().map(|family| format!("- `{}`: {}", family.name, family.help));
        let head = if self.note.is_empty() { String::new() } else { format!("{}\n\n", self.note) };
        head + &families.collect::<Vec<_>>().join("\n")
    }

    fn target(&self, n: usize, (query, legend): &(Query, String)) -> Value {
        let instant = matches!(self.kind, Kind::Table | Kind::Bars);
        let format = match self.kind {
            Kind::Table => "table",
            Kind::Heat => "heatmap",
            _ => "time_series",
        };
        json!({
            "refId": letter(n),
            "datasource": datasource(),
            "editorMode": "code",
            "expr": query.text,
            "legendFormat": if self.kind == Kind::Table { "" } else { legend.as_str() },
            "format": format,
            "instant": instant,
            "range": !instant,
            "exemplar": query.exemplars && !instant,
        })
    }

    /// The unit of all its queries.
    fn common_unit(&self) -> &'static str {
        let first = self.unit.unwrap_or(self.asked[0].0.unit);
        let same = self.asked.iter().all(|(query, _)| query.unit == self.asked[0].0.unit);
        assert!(same || self.unit.is_some() || self.kind == Kind::Table, "{} mixes units", self.title);
        if self.kind == Kind::Table { "short" } else { first }
    }

    fn defaults(&self) -> Value {
        let steps = self.steps.iter().map(|(value, color)| json!({ "color": color, "value": value }));
        let mode = match self.kind {
            Kind::Lines => "palette-classic",
            Kind::Bars if self.steps.len() == 1 => "continuous-BlPu",
            _ => "thresholds",
        };
        let mut defaults = json!({
            "unit": self.common_unit(),
            "color": { "mode": mode },
            "thresholds": { "mode": "absolute", "steps": steps.collect::<Vec<_>>() },
            "mappings": self.mappings(),
            "custom": self.custom(),
            "links": self.links,
        });
        if matches!(self.kind, Kind::Lines | Kind::Bars) && self.mirrored.is_none() {
            defaults["min"] = json!(0);
        }
        if let Some(max) = self.max {
            defaults["max"] = json!(max);
        }
        defaults
    }

    fn mappings(&self) -> Value {
        let state = |(n, (value, text, color)): (usize, &(f64, &str, &str))| {
            (value.to_string(), json!({ "text": text, "color": color, "index": n }))
        };
        let options: Map<String, Value> = self.states.iter().enumerate().map(state).collect();
        if options.is_empty() { json!([]) } else { json!([{ "type": "value", "options": options }]) }
    }

    fn custom(&self) -> Value {
        let stacking = if self.stacked { "normal" } else { "none" };
        let thresholds = if self.steps.len() > 1 { "dashed" } else { "off" };
        match self.kind {
            Kind::Lines => json!({
                "drawStyle": "line",
                "lineInterpolation": "linear",
                "lineWidth": 1,
                "fillOpacity": if self.stacked { 30 } else { 8 },
                "showPoints": "auto",
                "pointSize": 4,
                "spanNulls": false,
                "axisPlacement": "auto",
                "stacking": { "mode": stacking, "group": "A" },
                "thresholdsStyle": { "mode": thresholds },
            }),
            Kind::States => json!({ "lineWidth": 0, "fillOpacity": 80 }),
            Kind::Heat => json!({ "scaleDistribution": { "type": "linear" } }),
            Kind::Table => json!({ "align": "auto", "cellOptions": { "type": "auto" }, "inspect": false }),
            Kind::Stat | Kind::Bars => json!({}),
        }
    }

    fn overrides(&self) -> Value {
        if self.kind == Kind::Table {
            let of = |(query, name): &(Query, String)| of_field("byName", name, "unit", &json!(query.unit));
            return self.asked.iter().filter(|(query, _)| query.unit != "short").map(of).collect();
        }
        let down = |text| of_field("byRegexp", &format!("/{text}/"), "custom.transform", &json!("negative-Y"));
        self.mirrored.into_iter().map(down).collect()
    }

    /// One row for each set of labels, one column for each query.
    fn columns(&self) -> Value {
        // What a query shows by its labels has no column for its 1.
        let (shown, hidden): (Vec<_>, Vec<_>) =
            self.asked.iter().enumerate().partition(|(_, (_, name))| !name.is_empty());
        let value = |n: usize| if self.asked.len() == 1 { "Value".to_owned() } else { format!("Value #{}", letter(n)) };
        let renamed: Map<String, Value> = shown.iter().map(|(n, (_, name))| (value(*n), json!(name))).collect();
        let mut excluded: Map<String, Value> = hidden.iter().map(|(n, _)| (value(*n), json!(true))).collect();
        excluded.insert("Time".into(), json!(true));
        let mut labels: Vec<&str> = Vec::new();
        for label in self.asked.iter().flat_map(|(query, _)| &query.labels) {
            if !labels.contains(label) {
                labels.push(label);
            }
        }
        let order = labels.into_iter().map(str::to_owned).chain((0..self.asked.len()).map(value));
        let index: Map<String, Value> = order.enumerate().map(|(n, name)| (name, json!(n))).collect();
        json!([
            { "id": "merge", "options": {} },
            { "id": "organize", "options": { "excludeByName": excluded, "indexByName": index, "renameByName": renamed } },
        ])
    }

    fn options(&self) -> Value {
        let reduced = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
        match self.kind {
            Kind::Lines => json!({
                "legend": {
                    "displayMode": "table", "placement": "bottom", "showLegend": true,
                    "calcs": ["mean", "max", "lastNotNull"],
                    "sortBy": "Max", "sortDesc": true,
                },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Kind::Stat => json!({
                "reduceOptions": reduced,
                "orientation": "auto",
                "textMode": if self.states.is_empty() && self.asked.len() == 1 { "value" } else { "auto" },
                "colorMode": "value",
                "graphMode": if self.states.is_empty() { "area" } else { "none" },
                "justifyMode": "auto",
                "wideLayout": true,
                "showPercentChange": false,
                "percentChangeColorMode": "standard",
            }),
            Kind::Bars => json!({
                "reduceOptions": reduced,
                "orientation": "horizontal",
                "displayMode": "gradient",
                "valueMode": "color",
                "namePlacement": "auto",
                "sizing": "auto",
                "showUnfilled": true,
                "minVizWidth": 8,
                "minVizHeight": 16,
                "maxVizHeight": 40,
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": [] },
            }),
            Kind::States => json!({
                "mergeValues": true,
                "showValue": "auto",
                "alignValue": "left",
                "rowHeight": 0.85,
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
                "tooltip": { "mode": "single", "sort": "none" },
            }),
            Kind::Heat => self.heat_options(),
            Kind::Table => json!({ "showHeader": true, "cellHeight": "sm", "frameIndex": 0, "sortBy": [] }),
        }
    }

    fn heat_options(&self) -> Value {
        let scheme = json!({
            "mode": "scheme", "scheme": "Blues", "fill": "dark-blue", "scale": "exponential", "exponent": 0.5,
            "steps": 64,
            "reverse": false,
        });
        json!({
            "calculate": false,
            "cellGap": 1,
            "color": scheme,
            "exemplars": { "color": "rgba(255,0,255,0.7)" },
            "filterValues": { "le": 1e-9 },
            "legend": { "show": true },
            "rowsFrame": { "layout": "auto" },
            "showValue": "never",
            "tooltip": { "mode": "single", "yHistogram": true, "showColorScale": false },
            "yAxis": { "axisPlacement": "left", "reverse": false, "unit": self.common_unit() },
        })
    }
}

impl Kind {
    const fn plugin(self) -> &'static str {
        match self {
            Self::Lines => "timeseries",
            Self::Stat => "stat",
            Self::Bars => "bargauge",
            Self::States => "state-timeline",
            Self::Heat => "heatmap",
            Self::Table => "table",
        }
    }
}

/// The data source that the dashboard's variable names.
pub fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn of_field(matcher: &str, field: &str, property: &str, value: &Value) -> Value {
    json!({
        "matcher": { "id": matcher, "options": field },
        "properties": [{ "id": property, "value": value }],
    })
}

/// The name of the nth query.
fn letter(n: usize) -> String {
    let n = u8::try_from(n).ok().filter(|n| *n < 26).expect("a panel has fewer queries than there are letters");
    char::from(b'A' + n).to_string()
}
