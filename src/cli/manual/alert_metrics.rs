//! `alert-metrics.md`: what alert rules can watch.

use super::markdown::{code, page, table};
use crate::alert::Metric;
use crate::cli::alerts::metrics::window;

const ABOUT: &str = "What the `metric` of an alert rule can be, as `netmon alerts metrics` prints it. Each has the label `interface` \
unless its meaning says that it is over all interfaces or of netmon itself. Labels in brackets are added up unless a rule's \
`where` names them; every other value of a label is an alert of its own. *Window*: `-` is a value of the moment, which has none; \
`above 1s` has to be a longer one; `full` says nothing until the window has passed once. Limits are written in the unit: \
`bytes_per_second` as `100MiB` or `800Mbit/s`, `ratio` as `5%` or `0.05`, `seconds` as `50ms`.";

/// The page.
pub(super) fn reference() -> String {
    let mut out = page("What alert rules can watch", ABOUT);
    let rows: Vec<_> = Metric::all().iter().map(row).collect();
    table(&mut out, ["metric", "unit", "window", "labels", "meaning"], &rows);
    out
}

fn row(metric: &Metric) -> [String; 5] {
    let summed: Vec<&str> = metric.summed_labels().collect();
    let label = |label: &str| if summed.contains(&label) { format!("[{}]", code(label)) } else { code(label) };
    let labels: Vec<String> = metric.labels().map(label).collect();
    [code(metric.name), metric.unit.name().into(), window(metric).into(), labels.join(" "), metric.help.into()]
}
