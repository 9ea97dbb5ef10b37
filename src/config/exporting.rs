//! Flows that leave, as written, and the step to what cannot be wrong.

use super::rules::{Bytes, CollectorTarget, Count, OptionalPath, PartsPeriod, Period, Switch};
use super::setting::{Maps, Setting};
use crate::export::ipfix::{Collector, Transport};
use crate::export::{self, Config};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ended flows that leave netmon.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Export {
    /// Flows that go on for longer are told of in parts of about this length, in the log and to collectors; `off`: only
    /// when they end.
    pub active_timeout: Setting<PartsPeriod>,
    /// A file that a line of JSON is written to for each flow, or `-` for standard output. Opened anew on SIGHUP. Empty:
    /// none.
    pub flow_log: Setting<OptionalPath>,
    /// Collectors that are sent IPFIX, up to 8.
    pub ipfix: Maps<CollectorEntry, { Config::MAX_COLLECTORS }>,
}

/// A collector of IPFIX.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct CollectorEntry {
    /// Where it is: `udp://host:4739`, `tcp://host:4739` or `tls://host:4740`.
    pub to: Setting<CollectorTarget>,
    /// One record with reverse elements for each flow (RFC 5103) in place of one for each direction. Many collectors
    /// read the forward half only.
    pub biflow: Setting<Switch<false>>,
    /// The observation domain in messages' headers, which tells exporters of one address apart.
    pub domain: Setting<Count<0, { u32::MAX as u64 }, 1>>,
    /// How often templates are sent again over UDP; a collector that was started later understands nothing before.
    pub templates: Setting<Period<SECOND, { 600 * SECOND }, { 60 * SECOND }>>,
    /// The largest message. Over UDP it has to fit into a packet of the path, or it travels in fragments.
    pub message: Setting<Bytes<{ Collector::LEAST_MESSAGE_BYTES as u64 }, 65_535, { Collector::MESSAGE_BYTES as u64 }>>,
    /// The most flows that wait while the collector is slow or away; further ones are dropped and counted.
    pub queue: Setting<Count<1_024, 4_194_304, { Collector::QUEUE as u64 }>>,
    /// Certificates in PEM that the collector's has to come from, in place of this machine's own. For `tls://`.
    pub ca_file: Setting<OptionalPath>,
}

const SECOND: u64 = 1_000_000_000;

impl CollectorEntry {
    /// Its keys.
    pub(super) fn known() -> serde_json::Value {
        serde_json::to_value(Self::default()).unwrap_or_default()
    }
}

/// Everything wrong that no key is alone, as key path and message.
pub(super) fn mistakes(written: &Export) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    for (n, entry) in written.ipfix.0.iter().enumerate() {
        // What could not be read at all was reported, and left an empty entry.
        if *entry == CollectorEntry::default() {
            continue;
        }
        let Some(to) = &entry.to.0 else {
            let message = "is missing: where the collector is, such as `udp://collector:4739`";
            mistakes.push((format!("export.ipfix[{n}].to"), message.to_owned()));
            continue;
        };
        if entry.ca_file.0.is_some() && to.transport != Transport::Tls {
            let message = format!("is for `tls://`, and `to` is `{to}`");
            mistakes.push((format!("export.ipfix[{n}].ca_file"), message));
        }
        if let Some(first) = written.ipfix.0[..n].iter().position(|other| other.to == entry.to) {
            let message = format!("is `{to}`, which is where `export.ipfix[{first}]` is already");
            mistakes.push((format!("export.ipfix[{n}].to"), message));
        }
    }
    mistakes
}

/// The room's own config.
pub(super) fn config(written: &Export) -> export::Config {
    Config {
        active_timeout: written.active_timeout.0,
        flow_log: written.flow_log.0.clone(),
        ipfix: written.ipfix.0.iter().filter_map(collector).collect(),
    }
}

fn collector(entry: &CollectorEntry) -> Option<Collector> {
    Some(Collector {
        to: entry.to.0.clone()?,
        biflow: entry.biflow.0,
        domain: u32::try_from(entry.domain.0).unwrap_or(u32::MAX),
        templates: entry.templates.0,
        message_bytes: usize::try_from(entry.message.0).unwrap_or(usize::MAX),
        queue: usize::try_from(entry.queue.0).unwrap_or(usize::MAX),
        ca_file: entry.ca_file.0.clone(),
    })
}

#[cfg(test)]
mod tests {
    use crate::config::from_yaml;
    use crate::export::Config;
    use crate::export::ipfix::Collector;
    use std::time::Duration;

    fn mistakes(yaml: &str) -> String {
        from_yaml("netmon.yaml", yaml.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn nothing_leaves_unless_it_is_asked_for() {
        let config = from_yaml("netmon.yaml", b"").unwrap().config.export;
        assert_eq!(config, Config::default());
        assert!(config.is_empty());
    }

    #[test]
    fn what_is_written_is_what_is_done() {
        let yaml = "export:\n  active_timeout: off\n  flow_log: /var/log/netmon/flows.json\n  ipfix:\n    - to: tls://[2001:db8::1]\n      biflow: true\n      ca_file: /etc/ca.pem\n    - {to: collector, queue: 2048}\n";
        let config = from_yaml("netmon.yaml", yaml.as_bytes()).unwrap().config.export;
        assert_eq!((config.active_timeout, config.flow_log), (None, Some("/var/log/netmon/flows.json".into())));
        let [tls, udp] = &config.ipfix[..] else { panic!("{:?}", config.ipfix) };
        assert_eq!((tls.to.to_string().as_str(), tls.biflow), ("tls://[2001:db8::1]:4740", true));
        let expected = Collector { queue: 2048, ..Collector::new("udp://collector:4739".parse().unwrap()) };
        assert_eq!(*udp, expected);
        assert_eq!(expected.templates, Duration::from_secs(60));
    }

    #[test]
    fn what_is_wrong_is_said_at_its_place() {
        let yaml = "export:\n  active_timeout: 0\n  ipfix:\n    - biflow: true\n    - {to: 'sctp://a', queue: 1}\n    - {to: a, ca_file: /ca}\n    - {to: 'udp://a:4739'}\n";
        let expected = "\
config `netmon.yaml:2`: `export.active_timeout` is 0 s, allowed 1 s to 24 h, or off (default 30 min)
config `netmon.yaml:4`: `export.ipfix[0].to` is missing: where the collector is, such as `udp://collector:4739`
config `netmon.yaml:5`: `export.ipfix[1].to` is `sctp://a` (another transport than udp, tcp and tls), allowed the address of a collector such as `udp://host:4739`, `tcp://host` or `tls://host` (default none)
config `netmon.yaml:5`: `export.ipfix[1].queue` is 1, allowed 1024 to 4194304 (default 65536)
config `netmon.yaml:6`: `export.ipfix[2].ca_file` is for `tls://`, and `to` is `udp://a:4739`
config `netmon.yaml:7`: `export.ipfix[3].to` is `udp://a:4739`, which is where `export.ipfix[2]` is already";
        assert_eq!(mistakes(yaml), expected);
    }
}
