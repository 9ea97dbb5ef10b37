//! One snapshot made ready for exposition: label texts, and the walk over the series of a family.

use super::family::{At, Dimension, Family, Labels, MAX_DIMENSIONS, Value};
use super::notifications::{MAX_RECEIVERS, ReceiverState};
use super::process::SelfState;
use super::settings::Settings;
use crate::alert::{RuleState, Standing};
use crate::stats::{InterfaceSnapshot, Snapshot, TalkerTable, Volume, WindowSnapshot};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What the values of one exposition are read from.
#[derive(Debug)]
pub(crate) struct View {
    pub settings: Arc<Settings>,
    pub snapshot: Arc<Snapshot>,
    pub own: SelfState,
    /// By interface, in the order of the snapshot.
    interfaces: Vec<InterfaceTexts>,
    /// Addresses of the exported hosts.
    hosts: Vec<String>,
    /// What alert rules watch.
    alerts: Vec<AlertInstance>,
    /// Sample lines of this exposition.
    pub series: u64,
}

/// One thing that an alert rule watches.
#[derive(Debug)]
struct AlertInstance {
    /// Its place in the settings.
    rule: usize,
    interface: Option<String>,
    standing: Standing,
}

/// Label texts of one interface.
#[derive(Debug)]
struct InterfaceTexts {
    name: String,
    link: String,
    vlans: Vec<(String, Volume)>,
}

impl View {
    pub(crate) fn new(settings: &Arc<Settings>, snapshot: &Arc<Snapshot>, own: &SelfState) -> Self {
        let names = label_texts(snapshot.interfaces.iter().map(|interface| &*interface.name));
        let interfaces =
            names.into_iter().zip(&snapshot.interfaces).map(|(name, from)| InterfaceTexts::new(name, from)).collect();
        let mut view = Self {
            settings: Arc::clone(settings),
            snapshot: Arc::clone(snapshot),
            own: own.clone(),
            interfaces,
            hosts: Vec::new(),
            alerts: Vec::new(),
            series: 0,
        };
        view.hosts = view.host_texts();
        view.alerts = view.alert_instances();
        view
    }

    /// Counts the sample lines of `families`, for the exposition's own size.
    pub(crate) fn count<'f>(&self, families: impl Iterator<Item = &'f Family>) -> u64 {
        families
            .map(|family| {
                let mut series = 0;
                let walked = self.walk(family, &mut |_, _| {
                    series += 1;
                    Ok(())
                });
                debug_assert!(walked.is_ok());
                series * family.kind.lines()
            })
            .sum()
    }

    /// Visits the series of `family` in order: each dimension in the order of its set, the last one fastest.
    pub(crate) fn walk<'v>(&'v self, family: &Family, visit: &mut Visit<'_, 'v>) -> fmt::Result {
        self.descend(family, 0, [0; MAX_DIMENSIONS], Labels::default(), visit)
    }

    fn descend<'v>(
        &'v self,
        family: &Family,
        depth: usize,
        mut at: At,
        labels: Labels<'v>,
        visit: &mut Visit<'_, 'v>,
    ) -> fmt::Result {
        let Some(&dimension) = family.dimensions.get(depth) else {
            return match (family.read)(self, at) {
                Some(Value::Info(more)) => visit(labels.and(more), Value::Integer(1)),
                Some(value) => visit(labels, value),
                None => Ok(()),
            };
        };
        for place in self.places(dimension, at) {
            at[depth] = place;
            self.descend(family, depth + 1, at, self.label(labels, dimension, at, place), visit)?;
        }
        Ok(())
    }

    /// The indices that exist in a dimension. Windows ascend, so those above 1 s are the last ones.
    fn places(&self, dimension: Dimension, at: At) -> Range<usize> {
        let settings = &self.settings;
        match dimension {
            Dimension::Interface => 0..self.interfaces.len(),
            Dimension::Window => 0..settings.windows.len(),
            Dimension::LongWindow => settings.first_long_window()..settings.windows.len(),
            Dimension::TalkerWindow => settings.talker_window()..settings.talker_window() + 1,
            Dimension::SourceClass | Dimension::DestinationClass => 0..settings.classes.len(),
            Dimension::Vlan => 0..self.interfaces[at[0]].vlans.len(),
            Dimension::Host => 0..self.hosts.len(),
            Dimension::Port => 0..settings.ports.len(),
            Dimension::Rule => 0..settings.rules.len(),
            Dimension::Receiver => 0..self.receivers().len(),
            Dimension::AlertInstance => 0..self.alerts.len(),
            Dimension::Closed(set) => 0..set.size,
        }
    }

    fn label<'v>(&'v self, labels: Labels<'v>, dimension: Dimension, at: At, place: usize) -> Labels<'v> {
        let settings = &self.settings;
        let text = match dimension {
            Dimension::Interface => &self.interfaces[place].name,
            Dimension::Window | Dimension::LongWindow | Dimension::TalkerWindow => &settings.windows[place].text,
            Dimension::SourceClass | Dimension::DestinationClass => &settings.classes[place],
            Dimension::Vlan => &self.interfaces[at[0]].vlans[place].0,
            Dimension::Host => &self.hosts[place],
            Dimension::Port => &settings.ports[place],
            Dimension::Rule => &settings.rules[place].text,
            Dimension::Receiver => &self.receivers()[place].name,
            Dimension::AlertInstance => {
                let alert = &self.alerts[place];
                let labels = labels.with("rule", &settings.rules[alert.rule].text);
                return alert.interface.iter().fold(labels, |labels, interface| labels.with("interface", interface));
            }
            Dimension::Closed(set) => {
                let values = (set.values)(place);
                return set.names.iter().zip(values).fold(labels, |labels, (name, value)| labels.with(name, value));
            }
        };
        labels.with(dimension.names()[0], text)
    }

    /// Who is told of alerts, as far as there are series for them. Their names are plain texts that differ.
    fn receivers(&self) -> &[ReceiverState] {
        let receivers = self.own.notifications.as_ref().map_or(&[][..], |state| &state.receivers);
        &receivers[..receivers.len().min(MAX_RECEIVERS)]
    }

    /// The interface at a place.
    pub(crate) fn interface(&self, place: usize) -> &InterfaceSnapshot {
        &self.snapshot.interfaces[place]
    }

    /// A window of an interface, by its length; `None` while the snapshot is of other windows (after a reload).
    pub(crate) fn window(&self, interface: usize, place: usize) -> Option<&WindowSnapshot> {
        let length = self.settings.windows[place].length;
        self.interface(interface).windows.iter().find(|window| window.length == length)
    }

    /// The name of an interface's link type; empty where it is not known.
    pub(crate) fn link_text(&self, interface: usize) -> &str {
        &self.interfaces[interface].link
    }

    /// Volume of an interface's VLAN.
    pub(crate) fn vlan(&self, interface: usize, place: usize) -> Volume {
        self.interfaces[interface].vlans[place].1
    }

    /// The talkers of the exported window.
    pub(crate) fn talkers(&self) -> Option<&TalkerTable> {
        let length = self.settings.windows.get(self.settings.talker_window())?.length;
        self.snapshot.talkers.iter().find(|table| table.length == length)
    }

    /// Where a rule stands; `None` while the picture is of other rules (after a reload).
    pub(crate) fn rule(&self, place: usize) -> Option<&RuleState> {
        let name = &self.settings.rules.get(place)?.name;
        self.own.alerts.as_ref()?.rules.iter().find(|state| state.rule.name == *name)
    }

    /// How what a rule watches stands.
    pub(crate) fn standing(&self, alert: usize) -> Standing {
        self.alerts[alert].standing
    }

    fn alert_instances(&self) -> Vec<AlertInstance> {
        let of_rule = |rule: usize| {
            let states = self.rule(rule).into_iter().flat_map(|state| &state.states);
            let states: Vec<_> = states.take(self.settings.rules[rule].instances).collect();
            let names = label_texts(states.iter().map(|(interface, _)| interface.as_deref().unwrap_or_default()));
            let instance = move |(name, (interface, standing)): (String, (&Option<Arc<str>>, &Standing))| {
                AlertInstance { rule, interface: interface.as_ref().map(|_| name), standing: *standing }
            };
            names.into_iter().zip(states).map(instance).collect::<Vec<_>>()
        };
        (0..self.settings.rules.len()).flat_map(of_rule).collect()
    }

    fn host_texts(&self) -> Vec<String> {
        use crate::stats::TalkerKey;
        let hosts = self.talkers().map_or(&[][..], |table| &table.hosts);
        let text = |key| match key {
            TalkerKey::Host(address) => address.to_string(),
            TalkerKey::Pair(..) | TalkerKey::Port(..) => String::new(),
        };
        hosts.iter().take(self.settings.exported_hosts).map(|host| text(host.key)).collect()
    }
}

/// Takes one series.
pub(crate) type Visit<'f, 'v> = dyn FnMut(Labels<'v>, Value<'v>) -> fmt::Result + 'f;

impl InterfaceTexts {
    fn new(name: String, from: &InterfaceSnapshot) -> Self {
        let known = from.vlans.iter().map(|(id, volume)| (id.map_or("none".into(), |id| id.to_string()), *volume));
        let mut vlans: Vec<_> = known.collect();
        if !vlans.is_empty() {
            vlans.push(("other".into(), from.vlans_other));
        }
        let link = from.capture.linktype.map(|link| link.to_string()).unwrap_or_default();
        Self { name, link, vlans }
    }
}

/// Texts from outside as label values: no control characters, a bounded length, and no two alike.
///
/// The encoders escape `\`, `"` and newline; a bare carriage return or a NUL is legal there but breaks parsers, so
/// every control character becomes U+FFFD. Two names that become one get `~2`, `~3`, … in their order.
pub(crate) fn label_texts<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    names
        .map(|name| {
            let text = label_text(name);
            let numbered = (2..).map(|n| format!("{text}~{n}"));
            let mut candidates = std::iter::once(text.to_string()).chain(numbered);
            candidates.find(|candidate| taken.insert(candidate.clone())).unwrap_or_default()
        })
        .collect()
}

/// The most characters of a label value; names of interfaces have at most 15 on Linux, but a file may say anything.
const MAX_CHARACTERS: usize = 128;

fn label_text(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_CHARACTERS && !name.chars().any(char::is_control) {
        return Cow::Borrowed(name);
    }
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    Cow::Owned(name.chars().take(MAX_CHARACTERS).map(visible).collect())
}

/// Sample lines that `families` can have at most under `settings`: the product of each one's dimensions.
pub(crate) fn limit<'f>(settings: &Settings, families: impl Iterator<Item = &'f Family>) -> u64 {
    let size = |dimension: &Dimension| match *dimension {
        Dimension::Interface => settings.max_interfaces + 1,
        Dimension::Window => settings.windows.len(),
        Dimension::LongWindow => settings.windows.len() - settings.first_long_window(),
        Dimension::TalkerWindow => 1,
        Dimension::SourceClass | Dimension::DestinationClass => settings.classes.len(),
        Dimension::Vlan => settings.max_vlans + 2,
        Dimension::Host => settings.exported_hosts,
        Dimension::Port => settings.ports.len(),
        Dimension::Rule => settings.rules.len(),
        Dimension::Receiver => MAX_RECEIVERS,
        Dimension::AlertInstance => settings.rules.iter().map(|rule| rule.instances).sum(),
        Dimension::Closed(set) => set.size,
    };
    families.map(|family| family.dimensions.iter().map(|d| size(d) as u64).product::<u64>() * family.kind.lines()).sum()
}
