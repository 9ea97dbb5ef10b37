//! What can be watched: every gauge and ratio of a snapshot that a rule may name.
//!
//! ```
//! use netmon::alert::Metric;
//!
//! let metric = Metric::find("retransmit_ratio").expect("it is in the catalogue");
//! assert_eq!(metric.unit.name(), "ratio");
//! ```

mod catalogue;

pub(super) use catalogue::{is_gone, part};

use super::label::Dimension;
use crate::stats::{Counters, InterfaceSnapshot, Quantiles, Snapshot, Volume};
use crate::time::Tick;
use std::collections::BTreeMap;

/// Values of up to two labels, each as a set of bits by place in [`Dimension::values`].
pub(super) type Sets = [u32; 2];

/// One quantity that rules can watch.
#[derive(Debug)]
pub struct Metric {
    /// As in a rule's `metric`.
    pub name: &'static str,
    /// Unit of its values.
    pub unit: Unit,
    /// What it is, in one sentence.
    pub help: &'static str,
    /// Labels beside `interface`.
    pub(super) dimensions: &'static [Dimension],
    pub(super) read: Read,
}

/// Unit of a metric and of the limits of its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes per second.
    BytesPerSecond,
    /// Events per second: packets, flows, failures.
    PerSecond,
    /// A number of things that are there now.
    Count,
    /// 0 to 1.
    Ratio,
    /// Seconds.
    Seconds,
    /// 1 for yes, 0 for no.
    State,
}

impl Unit {
    /// As in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BytesPerSecond => "bytes_per_second",
            Self::PerSecond => "per_second",
            Self::Count => "count",
            Self::Ratio => "ratio",
            Self::Seconds => "seconds",
            Self::State => "state",
        }
    }

    /// How a limit is written, as it follows "allowed".
    pub const fn allowed(self) -> &'static str {
        match self {
            Self::BytesPerSecond => "bytes per second such as `100MiB`, `100MiB/s` or `800Mbit/s`",
            Self::PerSecond => "a number per second such as `1000` or `0.5`",
            Self::Count => "a number such as `1000`",
            Self::Ratio => "0 to 1, or a percentage such as `5%`",
            Self::Seconds => "a duration such as `50ms`",
            Self::State => "0 to 1",
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    /// A sum over the window, per second.
    Rate(fn(&Counters, Sets) -> u64),
    /// A part and the whole, over the window.
    Share(fn(&Counters, Sets) -> [u64; 2]),
    /// The greatest second of the window.
    Peak(fn([Volume; 2]) -> u64),
    /// Of round trips in the window, in nanoseconds, by side.
    Quantile(fn(&Quantiles) -> u64),
    /// By window above 1 s, from the capture.
    Coverage,
    /// Over the window, by the speed of the link, in this direction.
    Utilization(usize),
    /// What an interface is like now.
    Now(fn(&InterfaceSnapshot, Tick, Sets) -> Option<f64>),
    /// What its capture is like now, also when the interface is gone.
    Capture(fn(&InterfaceSnapshot) -> Option<f64>),
    /// Whether its numbers are not to be relied on.
    Blind,
    /// What netmon itself is like now; of no interface.
    Own(fn(&Snapshot) -> Option<f64>),
    /// Of a host in the list of the window: bytes per second, or its share of all bytes.
    Host { share: bool },
    /// Between classes of addresses over the window.
    Class(fn(&Volume) -> u64),
}

impl Metric {
    /// All, in the order of `netmon alerts metrics`.
    pub const fn all() -> &'static [Self] {
        catalogue::METRICS
    }

    /// The metric of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|metric| metric.name == name)
    }

    /// Whether it is looked at over a window; what is not is the value of the moment.
    pub const fn takes_window(&self) -> bool {
        !matches!(self.read, Read::Now(_) | Read::Capture(_) | Read::Blind | Read::Own(_))
    }

    /// Whether the window has to be longer than 1 s.
    pub const fn takes_long_window(&self) -> bool {
        matches!(self.read, Read::Peak(_) | Read::Coverage)
    }

    /// Whether it says nothing until the window has passed once since the start or a time step.
    pub const fn needs_full_window(&self) -> bool {
        matches!(self.read, Read::Share(_) | Read::Coverage | Read::Host { share: true })
    }

    /// Whether each interface has its own value, with the label `interface`.
    pub const fn by_interface(&self) -> bool {
        !matches!(self.read, Read::Own(_) | Read::Host { .. } | Read::Class(_))
    }

    /// Whether it counts what was captured, so that losses make it wrong.
    pub const fn needs_capture(&self) -> bool {
        !matches!(self.read, Read::Coverage | Read::Capture(_) | Read::Blind | Read::Own(_)) && !self.is_loss()
    }

    /// Whether its label sets come and go with the traffic, so that only `above` makes sense.
    pub const fn comes_and_goes(&self) -> bool {
        matches!(self.read, Read::Host { .. })
    }

    /// Whether it is about address classes, of which there have to be some.
    pub fn needs_classes(&self) -> bool {
        matches!(self.read, Read::Class(_))
    }

    /// What its values are made of, where few of them make a value that says little: the whole of a share, the round
    /// trips of a quantile.
    pub fn samples(&self) -> Option<&'static str> {
        let is_of_bytes = self.name.ends_with("bytes_ratio");
        match self.read {
            Read::Share(_) | Read::Host { share: true } if is_of_bytes => Some("bytes"),
            Read::Share(_) if self.name == "connection_failure_ratio" => Some("connection attempts"),
            Read::Share(_) if self.dimensions.iter().any(|d| matches!(d, Dimension::Direction | Dimension::Phase)) => {
                Some("TCP segments")
            }
            Read::Share(_) => Some("frames"),
            Read::Quantile(_) => Some("handshakes"),
            _ => None,
        }
    }

    /// Whether the history keeps the sums that its mean over a past time is made of.
    pub fn is_remembered(&self) -> bool {
        const NOT_KEPT: [&str; 7] = [
            "broadcast_packets_per_second",
            "multicast_packets_per_second",
            "duplicate_ack_ratio",
            "syns_per_second",
            "unanswered_syns_per_second",
            "parse_errors_per_second",
            "parse_error_ratio",
        ];
        matches!(self.read, Read::Rate(_) | Read::Share(_)) && !NOT_KEPT.contains(&self.name)
    }

    /// Whether the history keeps what its values are made of, so that a rule about it can be tried on what was: all that is
    /// remembered, peaks of whole seconds, coverage and blindness, and the flows of all transports together.
    pub fn is_recorded(&self) -> bool {
        let is_kept = matches!(self.read, Read::Peak(_) | Read::Coverage | Read::Blind);
        is_kept || self.is_remembered() || self.name == "active_flows"
    }

    /// Its value over a time of so many seconds in which this was counted, for an alert of these labels; `None` where it
    /// is not [`Metric::is_remembered`], or is a share of nothing.
    pub fn over(&self, labels: &BTreeMap<String, String>, counted: &Counters, seconds: u64) -> Option<f64> {
        let mut sets = [u32::MAX; 2];
        for (set, dimension) in sets.iter_mut().zip(self.dimensions) {
            if let Some(value) = labels.get(dimension.name()) {
                *set = 1 << dimension.values(&[])?.iter().position(|of| of == value)?;
            }
        }
        match self.read {
            Read::Rate(read) => part(read(counted, sets), seconds),
            Read::Share(read) => {
                let [some, whole] = read(counted, sets);
                part(some, whole)
            }
            _ => None,
        }
    }

    /// Whether its value grows with nothing but time.
    pub(super) fn grows_with_time(&self) -> bool {
        self.name == "last_packet_age_seconds"
    }

    /// The names of its labels.
    pub fn labels(&self) -> impl Iterator<Item = &'static str> + '_ {
        let interface = self.by_interface().then_some("interface");
        interface.into_iter().chain(self.dimensions.iter().map(|dimension| dimension.name()))
    }

    /// Of these, the ones that are added up unless a rule names them.
    pub fn summed_labels(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.dimensions.iter().filter(|dimension| !dimension.is_split()).map(|dimension| dimension.name())
    }

    /// The values that a label of it can have; `None` where they are not known beforehand. `classes` are the address
    /// classes, without `other`.
    pub fn label_values(&self, label: &str, classes: &[String]) -> Option<Vec<String>> {
        self.dimensions.iter().find(|dimension| dimension.name() == label)?.values(classes)
    }

    /// Loss is known even where the rest is lost.
    const fn is_loss(&self) -> bool {
        matches!(self.name.as_bytes(), b"capture_loss_ratio")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_metric_is_there_once_and_says_what_it_is() {
        let names: BTreeSet<&str> = Metric::all().iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), Metric::all().len());
        for metric in Metric::all() {
            assert!(metric.help.ends_with('.') && metric.help.len() > 10, "{}", metric.name);
            assert!(metric.dimensions.len() <= 2, "{}", metric.name);
        }
    }

    #[test]
    fn the_name_of_a_metric_ends_in_its_unit() {
        for metric in Metric::all() {
            let end = match metric.unit {
                Unit::BytesPerSecond => "_bytes_per_second",
                Unit::PerSecond => "_per_second",
                Unit::Ratio => "_ratio",
                Unit::Seconds => "_seconds",
                Unit::Count | Unit::State => "",
            };
            assert!(metric.name.ends_with(end) || metric.name == "bytes_per_second", "{}", metric.name);
        }
    }
}
