//! `metrics.md`: every metric family.

use super::markdown::{code, heading, page, table};
use crate::metrics::{Listed, families};

const ABOUT: &str = "Every family of `/metrics`. Counters come with every rate, so that Prometheus can take its own; gauges per \
second are means over a rolling window of `aggregation.windows`, which a scrape cannot see. Histograms have the usual \
`_bucket`, `_sum` and `_count`. A series is there from the start with 0 where its labels are known, and absent where there is \
nothing to know. *Needs* names the configuration key that asks for the family; without one it is always there.

Label values that are not listed: `interface` are names, up to `aggregation.max_interfaces`, and `other`; `window` is written \
`10s`; `source_class` and `destination_class` are those of `address_classes` and `other`; `vlan` is an id, `none` or `other`; \
`port` is one of `aggregation.ports` or `other`; `host` is an address among the first 20; `rule` and `receiver` are names of \
the configuration. `netmon check` prints how many series a configuration can make at most.";

/// The page.
pub(super) fn reference() -> String {
    let families: Vec<Listed> = families().collect();
    let mut out = page("Metrics", ABOUT);
    let mut rest = &families[..];
    while let Some(first) = rest.first() {
        let of_group = rest.iter().take_while(|family| family.group == first.group).count();
        let (group, others) = rest.split_at(of_group);
        heading(&mut out, 2, &capitalised(first.group));
        let rows: Vec<_> = group.iter().map(row).collect();
        table(&mut out, ["family", "type", "unit", "labels", "needs", "meaning"], &rows);
        rest = others;
    }
    out
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn row(family: &Listed) -> [String; 6] {
    let labels: Vec<String> = family.labels.iter().map(|(name, values)| label(name, values)).collect();
    let needs = family.needs.map(code).unwrap_or_default();
    let (kind, unit) = (family.kind.name().to_owned(), family.unit.to_owned());
    [code(family.name), kind, unit, labels.join("; "), needs, family.help.to_owned()]
}

fn label(name: &str, values: &[&str]) -> String {
    if values.is_empty() { code(name) } else { format!("{}: {}", code(name), values.join(", ")) }
}
