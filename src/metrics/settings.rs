//! What the exposition takes from the configuration: which families exist, and the texts of configured labels.

use super::catalogue;
use super::family::Family;
use super::view;
use crate::alert;
use crate::stats::Config;
use std::sync::Arc;
use std::time::Duration;

/// The most hosts on `/metrics`, however long the lists of a snapshot are.
const EXPORTED_HOSTS: usize = 20;

/// Fixed between two reloads.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Ascending.
    pub windows: Vec<WindowText>,
    /// Interfaces with their own series; one more may be `other`.
    pub max_interfaces: usize,
    /// VLAN ids with their own series.
    pub max_vlans: usize,
    /// Listed ports, and `other`.
    pub ports: Vec<String>,
    /// Names of the classes, and `other`.
    pub classes: Vec<String>,
    /// Rows of the host list that become series.
    pub exported_hosts: usize,
    /// Alert rules.
    pub rules: Vec<RuleText>,
    /// By group, the families that are declared.
    pub groups: Vec<(&'static str, Vec<&'static Family>)>,
}

/// A configured window and its label value.
#[derive(Debug)]
pub(crate) struct WindowText {
    pub length: Duration,
    pub text: String,
}

/// An alert rule and its label value.
#[derive(Debug)]
pub(crate) struct RuleText {
    pub name: Arc<str>,
    pub text: String,
    /// The most interfaces that it has a series for; 1 where its metric has none.
    pub instances: usize,
}

impl Settings {
    pub(crate) fn new(config: &Config, alerts: &alert::Config) -> Self {
        let rules = rules(config, alerts);
        // What alerts do is declared where there are rules.
        let is_declared = |family: &Family| !family.of_alerts || !rules.is_empty();
        let declared = |families: &'static [Family]| {
            families.iter().filter(|family| (family.declared)(config) && is_declared(family)).collect()
        };
        let class_names = config.classes.iter().map(|class| &*class.name).chain(["other"]);
        Self {
            windows: config.windows.iter().map(|&length| WindowText { length, text: window_text(length) }).collect(),
            max_interfaces: config.max_interfaces,
            max_vlans: config.vlans.map_or(0, |vlans| vlans.max),
            ports: config.ports.iter().map(u16::to_string).chain(["other".into()]).collect(),
            classes: view::label_texts(class_names),
            exported_hosts: config.talkers.top.min(EXPORTED_HOSTS),
            groups: catalogue::GROUPS.iter().map(|(group, families)| (*group, declared(families))).collect(),
            rules,
        }
    }

    /// All declared families, in order of exposition.
    pub(crate) fn families(&self) -> impl Iterator<Item = &'static Family> {
        self.groups.iter().flat_map(|(_, families)| families.iter().copied())
    }

    /// The most sample lines an exposition can have.
    pub(crate) fn series_limit(&self) -> u64 {
        view::limit(self, self.families())
    }

    /// Index of the first window above 1 s; the number of windows if there is none.
    pub(crate) fn first_long_window(&self) -> usize {
        self.windows.partition_point(|window| window.length <= Duration::from_secs(1))
    }

    /// Index of the window talkers are exported for: 60 s where configured, else the longest.
    pub(crate) fn talker_window(&self) -> usize {
        let minute = self.windows.iter().position(|window| window.length == Duration::from_secs(60));
        minute.unwrap_or(self.windows.len().saturating_sub(1))
    }
}

/// The alert of blind interfaces comes with any rule.
fn rules(config: &Config, alerts: &alert::Config) -> Vec<RuleText> {
    let interfaces = config.max_interfaces + 1;
    let instances = |rule: &alert::Rule| {
        if rule.metric.by_interface() { interfaces + rule.named_absent_interfaces() } else { 1 }
    };
    let blind = (!alerts.rules.is_empty()).then(|| (Arc::from(alert::CAPTURE_BLIND), interfaces));
    let own = alerts.rules.iter().map(|rule| (Arc::clone(&rule.name), instances(rule)));
    let named: Vec<(Arc<str>, usize)> = blind.into_iter().chain(own).collect();
    let texts = view::label_texts(named.iter().map(|(name, _)| &**name));
    named.into_iter().zip(texts).map(|((name, instances), text)| RuleText { name, text, instances }).collect()
}

/// `10s`, or `1.5s` for a length that is not whole seconds.
fn window_text(length: Duration) -> String {
    let fraction = format!("{:09}", length.subsec_nanos());
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{}{dot}{fraction}s", length.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_named_by_their_seconds() {
        assert_eq!(window_text(Duration::from_secs(3600)), "3600s");
        assert_eq!(window_text(Duration::from_millis(1500)), "1.5s");
    }

    #[test]
    fn a_class_that_is_called_other_does_not_clash_with_the_rest() {
        let class = crate::stats::Class { name: "other".into(), prefixes: Vec::new() };
        let settings = Settings::new(&Config { classes: vec![class], ..Config::default() }, &alert::Config::default());
        assert_eq!(settings.classes, ["other", "other~2"]);
    }
}
