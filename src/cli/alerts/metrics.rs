//! `netmon alerts metrics`: the catalogue of what rules can watch.

use crate::alert::Metric;
use crate::cli::table::Table;
use crate::cli::{Failure, Format, print};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Form of the result
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const HELP: &str =
    "Labels in brackets are added up unless a rule's `where` names them; every other value of a label is an
alert of its own. A metric without a window is the value of the moment. Ratios and quantiles take `min_samples`;
with --format json it is said of what.";

pub(super) fn main(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.format {
        Format::Table => print(table().as_bytes()),
        Format::Json => {
            let rows: Vec<Value> = Metric::all().iter().map(row).collect();
            print(format!("{:#}\n", json!({ "schema": 1, "metrics": rows })).as_bytes())
        }
    }
}

fn table() -> String {
    let mut table = Table::new("", &["metric", "unit", "window", "labels", "what it is"]);
    for metric in Metric::all() {
        let summed: Vec<&str> = metric.summed_labels().collect();
        let label = |label: &str| if summed.contains(&label) { format!("[{label}]") } else { label.to_owned() };
        let labels: Vec<String> = metric.labels().map(label).collect();
        let (name, unit) = (metric.name.to_owned(), metric.unit.name().to_owned());
        table.row([name, unit, window(metric).to_owned(), labels.join(" "), metric.help.to_owned()]);
    }
    let mut out = String::new();
    table.print(&mut out);
    out.trim_start_matches('\n').to_owned()
}

/// Which windows a rule about it takes.
pub(in crate::cli) fn window(metric: &Metric) -> &'static str {
    match (metric.takes_window(), metric.takes_long_window(), metric.needs_full_window()) {
        (false, ..) => "-",
        (true, true, true) => "above 1s, full",
        (true, true, false) => "above 1s",
        (true, false, true) => "full",
        (true, false, false) => "yes",
    }
}

fn row(metric: &Metric) -> Value {
    json!({
        "metric": metric.name,
        "unit": metric.unit.name(),
        "limit": metric.unit.allowed(),
        "ratio": metric.unit == crate::alert::Unit::Ratio,
        "window": metric.takes_window(),
        "window_above_1s": metric.takes_long_window(),
        "needs_full_window": metric.needs_full_window(),
        "samples": metric.samples(),
        "labels": metric.labels().collect::<Vec<_>>(),
        "summed_labels": metric.summed_labels().collect::<Vec<_>>(),
        "help": metric.help,
    })
}
