//! What a metric family is: its declaration, from which the walk, both encoders and the worst case are derived.

use super::export::LOSS_REASONS;
use super::history::{PRUNE_REASONS, TIERS};
use super::notifications::{DROP_REASONS, FAILURE_REASONS};
use super::process::{HANDLERS, LAYERS, TIMED_HANDLERS};
use super::pushes::{PUSH_FAILURES, SIGNALS};
use super::view::View;
use crate::alert::Standing;
use crate::flow::{EndReason, Failure, Phase, Side, State, Untracked, Victim};
use crate::packet::{Direction, IcmpMessage, Network, Reject, Transport};
use crate::stats::{Buckets, CONVERSATIONS, Config, DropStage, TCP_FLAGS};

/// The most dimensions of a family.
pub(crate) const MAX_DIMENSIONS: usize = 4;

/// Where a value sits: one index for each dimension of its family, in order; unused places are 0.
pub(crate) type At = [usize; MAX_DIMENSIONS];

/// Reads one value; `None` is "not available" and makes no series.
pub(crate) type Read = for<'v> fn(&'v View, At) -> Option<Value<'v>>;

/// One metric family, declared once.
///
/// Its series are the product of its dimensions, each read by `read`. So label values are from the declared sets by
/// construction, known series start at 0, and the most series it can have is the product of the sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    /// Name as in text 0.0.4: counters with `_total`, infos with `_info`.
    pub name: &'static str,
    /// Base unit, a suffix of the name; empty for none.
    pub unit: &'static str,
    /// One static sentence; the OpenMetrics encoder does not escape it.
    pub help: &'static str,
    /// Type.
    pub kind: Kind,
    /// What it depends on.
    pub basis: Basis,
    /// Labels, outermost first: the order of series.
    pub dimensions: &'static [Dimension],
    /// Whether it is declared under a configuration.
    pub declared: fn(&Config) -> bool,
    /// Declared only where there are alert rules.
    pub of_alerts: bool,
    /// Of an info, the labels behind those of its dimensions.
    pub carried: &'static [&'static str],
    /// Its values.
    pub read: Read,
}

/// Type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    /// A constant 1 whose labels are the message.
    Info,
    Histogram {
        /// Upper bounds in the integer unit of its values.
        bounds: &'static [u64],
        /// From that unit to the base unit.
        scale: Scale,
        /// Whether its buckets carry flow ids.
        exemplars: bool,
    },
}

/// How the integers of a histogram become base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Values are in the base unit.
    One,
    /// Values are nanoseconds, exposed as seconds.
    Nanoseconds,
}

/// What the values of a family depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Packets and the configuration only: the same file gives the same values.
    Packets,
    /// The process, the machine or the wall clock.
    Process,
}

/// One value of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'v> {
    Integer(u64),
    Real(f64),
    Histogram(&'v Buckets),
    /// The labels of an info, behind those of its dimensions.
    Info(Labels<'v>),
}

/// One label, or two that vary together, of a family.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dimension {
    /// `interface`: capped by the configuration, one more for `other`.
    Interface,
    /// `window`: every configured one.
    Window,
    /// `window`: those above 1 s.
    LongWindow,
    /// `window`: the one talkers are exported for.
    TalkerWindow,
    /// `source_class`: configured names and `other`.
    SourceClass,
    /// `destination_class`: configured names and `other`.
    DestinationClass,
    /// `vlan`: ids seen on the interface, `none` and `other`. Comes behind [`Dimension::Interface`].
    Vlan,
    /// `host`: the current top hosts.
    Host,
    /// `port`: listed ports and `other`.
    Port,
    /// `rule`: names of alert rules.
    Rule,
    /// `rule` and, where its metric has one, `interface`: what rules watch now.
    AlertInstance,
    /// `receiver`: who is told of alerts.
    Receiver,
    /// Label values fixed at compile time.
    Closed(ClosedSet),
}

/// A set of label values, or of pairs of them, known at compile time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClosedSet {
    pub names: &'static [&'static str],
    pub size: usize,
    /// The values at a place, one for each name.
    pub values: fn(usize) -> [&'static str; 2],
}

/// The label pairs of one series, in order of declaration.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Labels<'v> {
    pairs: [(&'static str, &'v str); MAX_LABELS],
    len: usize,
}

/// The most labels of a series, `le` not included.
pub(crate) const MAX_LABELS: usize = 5;

impl<'v> Labels<'v> {
    /// These labels and one more.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &'v str) -> Self {
        self.pairs[self.len] = (name, value);
        self.len += 1;
        self
    }

    /// These labels and all of `others`.
    #[must_use]
    pub(crate) fn and(self, others: Self) -> Self {
        others.pairs().iter().fold(self, |labels, (name, value)| labels.with(name, value))
    }

    pub(crate) fn pairs(&self) -> &[(&'static str, &'v str)] {
        &self.pairs[..self.len]
    }
}

impl Kind {
    /// Sample lines of one series: a classic histogram writes each bucket, `+Inf`, `_sum` and `_count`.
    pub(crate) const fn lines(self) -> u64 {
        match self {
            Self::Counter | Self::Gauge | Self::Info => 1,
            Self::Histogram { bounds, .. } => bounds.len() as u64 + 3,
        }
    }
}

impl Dimension {
    pub(crate) const DIRECTION: Self = closed(&["direction"], 2, |n| [Direction::ALL[n].name(), ""]);
    pub(crate) const STAGE: Self = closed(&["stage"], DropStage::ALL.len(), |n| [DropStage::ALL[n].name(), ""]);
    pub(crate) const REJECT: Self = closed(&["layer", "reason"], Reject::REAL.len(), |n| {
        let Reject { layer, reason } = Reject::REAL[n];
        [layer.name(), reason.name()]
    });
    pub(crate) const IP: Self = closed(&["network"], 2, |n| [[Network::Ipv4, Network::Ipv6][n].name(), ""]);
    pub(crate) const POSITION: Self = closed(&["position"], 2, |n| [["first", "later"][n], ""]);
    pub(crate) const CONVERSATION: Self = closed(&["network", "transport"], CONVERSATIONS.len(), |n| {
        let (network, transport) = CONVERSATIONS[n];
        [network.name(), transport.name()]
    });
    pub(crate) const ICMP_MESSAGE: Self =
        closed(&["message"], IcmpMessage::ALL.len(), |n| [IcmpMessage::ALL[n].name(), ""]);
    pub(crate) const FLAG: Self = closed(&["flag"], TCP_FLAGS.len(), |n| [TCP_FLAGS[n], ""]);
    pub(crate) const FAILURE: Self = closed(&["reason"], Failure::ALL.len(), |n| [Failure::ALL[n].name(), ""]);
    pub(crate) const PHASE: Self = closed(&["phase"], Phase::ALL.len(), |n| [Phase::ALL[n].name(), ""]);
    pub(crate) const SIDE: Self = closed(&["side"], Side::ALL.len(), |n| [Side::ALL[n].name(), ""]);
    pub(crate) const TRANSPORT: Self = closed(&["transport"], Transport::ALL.len(), |n| [Transport::ALL[n].name(), ""]);
    /// Only the transports with ports whose flows have a beginning and an end.
    pub(crate) const TCP_UDP: Self = closed(&["transport"], 2, |n| [Transport::ALL[n].name(), ""]);
    pub(crate) const FLOW_STATE: Self = closed(&["transport", "state"], 8, |n| {
        let (transport, state) = flow_state(n);
        [transport.name(), state.name()]
    });
    pub(crate) const FLOW_END: Self = closed(&["transport", "reason"], 24, |n| {
        let (transport, reason) = flow_end(n);
        [transport.name(), reason.name()]
    });
    pub(crate) const VICTIM: Self = closed(&["victim"], Victim::ALL.len(), |n| [Victim::ALL[n].name(), ""]);
    pub(crate) const UNTRACKED: Self = closed(&["reason"], Untracked::ALL.len(), |n| [Untracked::ALL[n].name(), ""]);
    pub(crate) const CAPPED_LABEL: Self =
        closed(&["label"], 5, |n| [["interface", "vlan", "class", "talker", "port"][n], ""]);
    pub(crate) const STEP: Self = closed(&["direction"], 2, |n| [["forward", "backward"][n], ""]);
    pub(crate) const HANDLER: Self = closed(&["handler"], HANDLERS.len(), |n| [HANDLERS[n], ""]);
    pub(crate) const TIMED_HANDLER: Self = closed(&["handler"], TIMED_HANDLERS.len(), |n| [TIMED_HANDLERS[n], ""]);
    pub(crate) const STATUS_CLASS: Self = closed(&["code"], 4, |n| [["2xx", "3xx", "4xx", "5xx"][n], ""]);
    pub(crate) const PRIVILEGE: Self =
        closed(&["state"], 4, |n| [["root", "capability", "dropped", "sandboxed"][n], ""]);

    pub(crate) const STANDING: Self = closed(&["state"], Standing::ALL.len(), |n| [Standing::ALL[n].name(), ""]);
    pub(crate) const TRANSITION: Self = closed(&["to"], 3, |n| [["pending", "firing", "resolved"][n], ""]);
    pub(crate) const SUPPRESSION: Self = closed(&["reason"], 3, |n| [["low_coverage", "startup", "silence"][n], ""]);
    pub(crate) const DELIVERY_FAILURE: Self = closed(&["reason"], FAILURE_REASONS.len(), |n| [FAILURE_REASONS[n], ""]);
    pub(crate) const GIVEN_UP: Self = closed(&["reason"], DROP_REASONS.len(), |n| [DROP_REASONS[n], ""]);

    pub(crate) const TIER: Self = closed(&["tier"], TIERS.len(), |n| [TIERS[n], ""]);
    pub(crate) const PRUNE_REASON: Self = closed(&["reason"], PRUNE_REASONS.len(), |n| [PRUNE_REASONS[n], ""]);
    pub(crate) const SIGNAL: Self = closed(&["signal"], SIGNALS.len(), |n| [SIGNALS[n], ""]);
    pub(crate) const PUSH_FAILURE: Self = closed(&["reason"], PUSH_FAILURES.len(), |n| [PUSH_FAILURES[n], ""]);
    pub(crate) const LOSS_REASON: Self = closed(&["reason"], LOSS_REASONS.len(), |n| [LOSS_REASONS[n], ""]);
    pub(crate) const LAYER: Self = closed(&["layer"], LAYERS.len(), |n| [LAYERS[n], ""]);

    /// The label names.
    pub(crate) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Interface => &["interface"],
            Self::Window | Self::LongWindow | Self::TalkerWindow => &["window"],
            Self::SourceClass => &["source_class"],
            Self::DestinationClass => &["destination_class"],
            Self::Vlan => &["vlan"],
            Self::Host => &["host"],
            Self::Port => &["port"],
            Self::Rule => &["rule"],
            Self::Receiver => &["receiver"],
            Self::AlertInstance => &["rule", "interface"],
            Self::Closed(set) => set.names,
        }
    }
}

/// The states that exist: four of TCP, one of every other transport. In the order of [`Dimension::FLOW_STATE`].
pub(crate) const fn flow_state(n: usize) -> (Transport, State) {
    if n < 4 { (Transport::Tcp, State::ALL[n]) } else { (Transport::ALL[n - 3], State::Active) }
}

/// The ends that exist: all of TCP, those without a handshake of every other transport. In the order of
/// [`Dimension::FLOW_END`].
pub(crate) const fn flow_end(n: usize) -> (Transport, EndReason) {
    const WITHOUT_HANDSHAKE: [EndReason; 4] =
        [EndReason::Idle, EndReason::ActiveTimeout, EndReason::Evicted, EndReason::Shutdown];
    if n < 8 { (Transport::Tcp, EndReason::ALL[n]) } else { (Transport::ALL[n / 4 - 1], WITHOUT_HANDSHAKE[n % 4]) }
}

const fn closed(names: &'static [&'static str], size: usize, values: fn(usize) -> [&'static str; 2]) -> Dimension {
    Dimension::Closed(ClosedSet { names, size, values })
}

/// Builders, so that a declaration reads as a row of the catalogue.
impl Family {
    const fn new(
        kind: Kind,
        name: &'static str,
        help: &'static str,
        dimensions: &'static [Dimension],
        read: Read,
    ) -> Self {
        assert!(dimensions.len() <= MAX_DIMENSIONS);
        Self {
            name,
            unit: "",
            help,
            kind,
            basis: Basis::Packets,
            dimensions,
            declared: |_| true,
            of_alerts: false,
            carried: &[],
            read,
        }
    }

    pub(crate) const fn counter(
        name: &'static str,
        help: &'static str,
        dimensions: &'static [Dimension],
        read: Read,
    ) -> Self {
        Self::new(Kind::Counter, name, help, dimensions, read)
    }

    pub(crate) const fn gauge(
        name: &'static str,
        help: &'static str,
        dimensions: &'static [Dimension],
        read: Read,
    ) -> Self {
        Self::new(Kind::Gauge, name, help, dimensions, read)
    }

    pub(crate) const fn info(
        name: &'static str,
        help: &'static str,
        dimensions: &'static [Dimension],
        read: Read,
    ) -> Self {
        Self::new(Kind::Info, name, help, dimensions, read)
    }

    /// The labels of an info behind those of its dimensions, as `read` gives them.
    pub(crate) const fn carrying(self, carried: &'static [&'static str]) -> Self {
        Self { carried, ..self }
    }

    /// A histogram of bytes.
    pub(crate) const fn bytes_histogram(
        name: &'static str,
        help: &'static str,
        bounds: &'static [u64],
        dimensions: &'static [Dimension],
        read: Read,
    ) -> Self {
        let kind = Kind::Histogram { bounds, scale: Scale::One, exemplars: false };
        Self::new(kind, name, help, dimensions, read).unit("bytes")
    }

    /// A histogram of nanoseconds, exposed as seconds.
    pub(crate) const fn seconds_histogram(
        name: &'static str,
        help: &'static str,
        bounds: &'static [u64],
        dimensions: &'static [Dimension],
        read: Read,
    ) -> Self {
        let kind = Kind::Histogram { bounds, scale: Scale::Nanoseconds, exemplars: false };
        Self::new(kind, name, help, dimensions, read).unit("seconds")
    }

    pub(crate) const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// Its buckets carry flow ids.
    pub(crate) const fn with_exemplars(self) -> Self {
        let Kind::Histogram { bounds, scale, .. } = self.kind else { panic!("only histograms have exemplars") };
        Self { kind: Kind::Histogram { bounds, scale, exemplars: true }, ..self }
    }

    /// Depends on the process, the machine or the wall clock.
    pub(crate) const fn of_process(self) -> Self {
        Self { basis: Basis::Process, ..self }
    }

    /// Declared only where there are alert rules.
    pub(crate) const fn of_alerts(self) -> Self {
        Self { of_alerts: true, ..self }
    }

    /// Declared only under a configuration that asks for it.
    pub(crate) const fn opt_in(self, declared: fn(&Config) -> bool) -> Self {
        Self { declared, ..self }
    }
}
