//! The summaries of rules, tried on an alert as each rule makes them.

use super::alerts::AlertRule;
use crate::alert::{Condition, Rule};
use crate::notify::template::{Fields, Template};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is wrong with the summaries of `rules`, as key path and message; `written` says where they stand.
pub(super) fn mistakes(written: &[AlertRule], rules: &[Arc<Rule>]) -> Vec<(String, String)> {
    let mistake = |rule: &Arc<Rule>| {
        let error = Template::for_fields(&rule.summary, &sample(rule)).err()?;
        let n = written.iter().position(|written| written.name.0.as_deref() == Some(&*rule.name))?;
        Some((format!("alerts[{n}].summary"), format!("is no template: {error}")))
    };
    rules.iter().filter_map(mistake).collect()
}

/// An alert with the labels that those of the rule have: its own, and those of the metric that are not added up.
fn sample(rule: &Rule) -> Fields {
    let summed: BTreeSet<_> = rule.metric.summed_labels().collect();
    let of_metric = rule.metric.labels().filter(|label| !summed.contains(label) || rule.selectors.contains_key(label));
    let labels: BTreeSet<String> = of_metric.map(str::to_owned).chain(rule.labels.keys().cloned()).collect();
    Fields::sample_of(
        labels.iter().map(String::as_str),
        rule.metric.name,
        rule.metric.unit.name(),
        rule.condition != Condition::Absent,
    )
}

#[cfg(test)]
mod tests {
    use crate::config::from_yaml;

    fn refusal(keys: &str) -> Option<String> {
        let yaml = format!("alerts:\n  - name: A\n    window: 10s\n    {}\n", keys.replace("; ", "\n    "));
        from_yaml("f", yaml.as_bytes()).err().map(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_summary_may_ask_for_what_the_alerts_of_its_rule_have() {
        for keys in [
            "metric: receive_bytes_per_second; above: 1; summary: '{{ interface }} {{ value|bits }} {{ threshold }}'",
            "metric: receive_bytes_per_second; above: 1; labels: {team: net}; summary: '{{ team }} {{ labels.team }}'",
            "metric: protocol_bytes_per_second; above: 1; summary: '{{ protocol }} {{ labels.protocol }}'",
            "metric: connection_failures_per_second; above: 1; where: {reason: '*'}; summary: '{{ reason }}'",
            "metric: receive_bytes_per_second; absent: true; summary: '{{ interface }} is silent'",
            "metric: receive_bytes_per_second; above: 1",
        ] {
            assert_eq!(refusal(keys), None, "{keys}");
        }
    }

    #[test]
    fn a_bad_summary_is_named_with_its_line() {
        for (keys, expected) in [
            (
                "metric: receive_bytes_per_second; above: 1; summary: '{{ interfce }}'",
                "config `f:6`: `alerts[0].summary` is no template: `interfce` is no field of an alert, did you mean \
                 `interface`? (line 1 of the template)",
            ),
            (
                "metric: connection_failures_per_second; above: 1; summary: '{{ reason }}'",
                "config `f:6`: `alerts[0].summary` is no template: `reason` is no field of an alert (line 1 of the template)",
            ),
            (
                "metric: receive_bytes_per_second; absent: true; summary: '{{ threshold|raw }}'",
                "config `f:6`: `alerts[0].summary` is no template: filter raw takes a number such as `value`, or `threshold` \
                 where there is one (line 1 of the template)",
            ),
            (
                "metric: receive_bytes_per_second; above: 1; summary: '{{ value'",
                "config `f:6`: `alerts[0].summary` is no template: unexpected end of input, expected end of variable block \
                 (line 1 of the template)",
            ),
        ] {
            assert_eq!(refusal(keys).as_deref(), Some(expected), "{keys}");
        }
    }
}
