//! The labels of alerts: which values they have, and which of them a rule selects.

use crate::flow::{Failure, Phase, Side};
use crate::packet::{Direction, Layer, Network, Reason, Transport};
use crate::stats::DropStage;

/// A label of a metric beside `interface`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    Protocol,
    Network,
    Transport,
    Direction,
    Side,
    Failure,
    Phase,
    Layer,
    Reject,
    Stage,
    SourceClass,
    DestinationClass,
    /// Addresses, as they come.
    Host,
}

/// The values of `protocol`: what a frame is to most people, whatever the IP version.
const PROTOCOLS: [&str; 6] = ["tcp", "udp", "icmp", "sctp", "arp", "other"];

/// Place in [`PROTOCOLS`].
pub(super) const fn protocol_of(network: Network, transport: Transport) -> usize {
    match (network, transport) {
        (Network::Arp, _) => 4,
        (Network::Other, _) | (_, Transport::Other) => 5,
        (_, transport) => transport as usize,
    }
}

impl Dimension {
    /// The name of the label.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Network => "network",
            Self::Transport => "transport",
            Self::Direction => "direction",
            Self::Side => "side",
            Self::Failure | Self::Reject => "reason",
            Self::Phase => "phase",
            Self::Layer => "layer",
            Self::Stage => "stage",
            Self::SourceClass => "source_class",
            Self::DestinationClass => "destination_class",
            Self::Host => "host",
        }
    }

    /// Whether each value is an alert of its own even if a rule does not name the label. Else they are added up.
    pub(super) const fn is_split(self) -> bool {
        matches!(
            self,
            Self::Protocol | Self::Network | Self::Side | Self::SourceClass | Self::DestinationClass | Self::Host
        )
    }

    /// Its values in order, at most 32; `None` where they are not known beforehand.
    pub(super) fn values(self, classes: &[String]) -> Option<Vec<String>> {
        let names: Vec<&str> = match self {
            Self::Protocol => PROTOCOLS.into(),
            Self::Network => [Network::Ipv4, Network::Ipv6, Network::Arp, Network::Other].map(Network::name).into(),
            Self::Transport => Transport::ALL.map(Transport::name).into(),
            Self::Direction => Direction::ALL.map(Direction::name).into(),
            Self::Side => Side::ALL.map(Side::name).into(),
            Self::Failure => Failure::ALL.map(Failure::name).into(),
            Self::Phase => Phase::ALL.map(Phase::name).into(),
            Self::Layer => Layer::ALL.map(Layer::name).into(),
            Self::Reject => Reason::ALL.map(Reason::name).into(),
            Self::Stage => DropStage::ALL.map(DropStage::name).into(),
            Self::SourceClass | Self::DestinationClass => classes.iter().map(String::as_str).chain(["other"]).collect(),
            Self::Host => return None,
        };
        Some(names.into_iter().map(str::to_owned).collect())
    }
}

/// Which values of a label a rule is about: texts with `*` (any run of characters) and `?` (any one), and of these behind
/// `!` those that it is not about. Without any that include, all are included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(pub Vec<String>);

impl Selector {
    /// Whether a value is selected.
    pub fn matches(&self, value: &str) -> bool {
        let (excluded, included): (Vec<&str>, Vec<&str>) =
            self.0.iter().map(String::as_str).partition(|pattern| pattern.starts_with('!'));
        let is_included = included.is_empty() || included.iter().any(|pattern| is_like(pattern, value));
        is_included && !excluded.iter().any(|pattern| is_like(&pattern[1..], value))
    }

    /// The values that are named in full.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str).filter(|pattern| !pattern.starts_with('!') && !pattern.contains(['*', '?']))
    }
}

/// Whether `text` is like `pattern`; O(pattern × text), both are short.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, taken)) = star {
            // The star takes one more.
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::CONVERSATIONS;

    #[test]
    fn stars_and_question_marks_stand_for_other_characters() {
        for (pattern, text) in [("eth*", "eth0"), ("*", ""), ("e?h0", "eth0"), ("*a*b", "xaxxab"), ("eth0", "eth0")] {
            assert!(is_like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("eth*", "veth0"), ("?", ""), ("*a*b", "xaxxa"), ("eth0", "eth01"), ("", "x")] {
            assert!(!is_like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_excluded_stays_out_wherever_it_stands() {
        let selector = |patterns: &[&str]| Selector(patterns.iter().map(|text| (*text).to_owned()).collect());
        assert!(selector(&["!eth1"]).matches("eth0") && !selector(&["!eth1"]).matches("eth1"));
        assert!(!selector(&["!eth1", "eth*"]).matches("eth1") && selector(&["eth*", "!eth1"]).matches("eth0"));
        assert!(selector(&[]).matches("anything"));
        assert_eq!(selector(&["eth0", "!eth1", "veth*"]).names().collect::<Vec<_>>(), ["eth0"]);
    }

    #[test]
    fn every_conversation_is_of_one_protocol() {
        let names = CONVERSATIONS.map(|(network, transport)| PROTOCOLS[protocol_of(network, transport)]);
        let of_ip = ["tcp", "udp", "icmp", "sctp", "other"];
        assert_eq!(names[..5], of_ip);
        assert_eq!(names[5..10], of_ip);
        assert_eq!(names[10..], ["arp", "other"]);
    }
}
