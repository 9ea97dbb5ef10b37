//! Prometheus text format 0.0.4: metadata on the sample name, classic histograms, no exemplars.

use super::decimal::{Bound, Decimal, Real};
use super::family::{Family, Kind, Labels, Value};
use super::view::View;
use crate::stats::Buckets;
use std::fmt::{self, Write};

/// Appends one family: HELP, TYPE and its samples; nothing if no series is available.
pub(crate) fn encode(page: &mut String, family: &Family, view: &View) -> fmt::Result {
    let mut described = false;
    let bounds = bounds(family.kind);
    view.walk(family, &mut |labels, value| {
        if !described {
            describe(page, family)?;
            described = true;
        }
        match (value, family.kind) {
            (Value::Histogram(buckets), Kind::Histogram { scale, .. }) => {
                histogram(page, family.name, &labels, buckets, &bounds)?;
                let sum = Decimal { value: buckets.sum(), scale };
                line(page, family.name, "_sum", &labels, &sum)?;
                line(page, family.name, "_count", &labels, &buckets.count())
            }
            (Value::Integer(value), _) => line(page, family.name, "", &labels, &value),
            (Value::Real(value), _) => line(page, family.name, "", &labels, &Real(value)),
            // A row of the catalogue with values of another type; the walk has turned infos into integers.
            (Value::Histogram(_) | Value::Info(_), _) => Err(fmt::Error),
        }
    })
}

fn describe(page: &mut String, family: &Family) -> fmt::Result {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Info => "gauge",
        Kind::Histogram { .. } => "histogram",
    };
    writeln!(page, "# HELP {} {}", family.name, family.help)?;
    writeln!(page, "# TYPE {} {kind}", family.name)
}

fn line(page: &mut String, name: &str, suffix: &str, labels: &Labels<'_>, value: &dyn fmt::Display) -> fmt::Result {
    page.push_str(name);
    page.push_str(suffix);
    label_set(page, labels, None);
    writeln!(page, " {value}")
}

/// The `le` values of a histogram, `+Inf` included; made once for all of its series.
fn bounds(kind: Kind) -> Vec<String> {
    let Kind::Histogram { bounds, scale, .. } = kind else { return Vec::new() };
    let finite = bounds.iter().map(|bound| Bound(Decimal { value: (*bound).into(), scale }).to_string());
    finite.chain(["+Inf".into()]).collect()
}

fn histogram(page: &mut String, name: &str, labels: &Labels<'_>, buckets: &Buckets, bounds: &[String]) -> fmt::Result {
    let mut cumulative = 0;
    for (bound, count) in bounds.iter().zip(buckets.counts()) {
        cumulative += count;
        page.push_str(name);
        page.push_str("_bucket");
        label_set(page, labels, Some(bound));
        writeln!(page, " {cumulative}")?;
    }
    Ok(())
}

fn label_set(page: &mut String, labels: &Labels<'_>, bound: Option<&str>) {
    let mut separator = '{';
    for (name, value) in labels.pairs() {
        page.push(separator);
        page.push_str(name);
        page.push_str("=\"");
        escaped(page, value);
        page.push('"');
        separator = ',';
    }
    if let Some(bound) = bound {
        page.push(separator);
        page.push_str("le=\"");
        page.push_str(bound);
        page.push('"');
        separator = ',';
    }
    if separator == ',' {
        page.push('}');
    }
}

fn escaped(page: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        return page.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            other => page.push(other),
        }
    }
}
