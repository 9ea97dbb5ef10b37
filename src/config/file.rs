//! The YAML as written: every key with its type, bounds and default.
//!
//! The parameters of a [`Setting`] are its least and greatest value and its default. The doc comment of a field is also
//! its description in the JSON Schema.

use super::alerts::AlertRule;
use super::exporting::{CollectorEntry, Export};
use super::otlp::Otlp;
use super::receivers::{MAX_RECEIVERS, ReceiverEntry};
use super::rules::{
    ApiControl, BindAddress, Bytes, CaptureBackend, Count, Directory, ExternalUrl, FilePath, Filter, HostName,
    InterfacePattern, LogFormat, LogLevel, Network, OptionalPeriod, Percent, Period, Port, ReceiverName, Sandbox,
    SeverityName, Switch, User, Window,
};
use super::setting::{ClassName, List, Maps, Setting};
use crate::alert::MAX_RULES;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The configuration of netmon.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, title = "netmon.yaml")]
pub struct File {
    /// Interfaces to capture on: names, globs ("veth*"), "!name" to exclude, "any" for all that are up. Empty: the
    /// interface of the default route.
    pub interfaces: List<InterfacePattern, 0, 64>,
    /// How frames are captured.
    pub capture: Capture,
    /// What is counted, over which time.
    pub aggregation: Aggregation,
    /// The table of flows.
    pub flows: Flows,
    /// Networks on this side. They tell receive from transmit where the capture does not, as on a mirror port.
    pub local_networks: List<Network, 0, 256>,
    /// Named sets of networks for the traffic matrix; what is in none is `other`. Each pair of classes is a series.
    #[schemars(extend("maxProperties" = ClassName::MAX_CLASSES))]
    pub address_classes: BTreeMap<ClassName, List<Network, 1, 64>>,
    /// The HTTP interface: metrics, REST, the page.
    pub api: Api,
    /// Named thresholds over what `netmon alerts metrics` lists, up to 50.
    pub alerts: Maps<AlertRule, MAX_RULES>,
    /// What goes for all alerts.
    pub alerting: Alerting,
    /// Who is told of alerts, up to 10.
    pub receivers: Maps<ReceiverEntry, MAX_RECEIVERS>,
    /// What is remembered.
    pub history: History,
    /// Ended flows that leave netmon: to collectors of IPFIX, and as lines of JSON.
    pub export: Export,
    /// Where netmon keeps what it remembers.
    pub state: State,
    /// What is given up once everything is open.
    pub privileges: Privileges,
    /// How a change of this file is noticed.
    pub reload: Reload,
    /// What netmon tells of itself: its log on stderr, and what it pushes.
    pub telemetry: Telemetry,
}

/// How frames are captured.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Capture {
    /// What captures: `pcap` is libpcap, on every system; `raw` is an AF_PACKET ring of netmon's own, on Linux.
    pub backend: Setting<CaptureBackend>,
    /// A BPF filter in the syntax of tcpdump, pcap-filter(7). Empty: everything is captured. What it leaves out is not
    /// counted anywhere.
    pub bpf: Setting<Filter>,
    /// Take frames that are not addressed to this machine too.
    pub promiscuous: Setting<Switch<true>>,
    /// Bytes captured of each frame. Headers need a few hundred; sizes are counted from the wire length in any case.
    pub snaplen: Setting<Bytes<64, 262_144, 512>>,
    /// Kernel buffer of each interface. A larger one bridges longer stalls without drops and takes that much memory.
    pub buffer: Setting<Bytes<{ 256 * KIB }, GIB, { 16 * MIB }>>,
    /// Rings of each interface with the backend `raw`: the flows are spread over them, and each has a thread and a
    /// share of the buffer. More than one is for hosts where one core is not enough.
    pub rings: Setting<Count<1, 16, 1>>,
    /// Packet sockets opened at the start for interfaces that come, or come back, when there is no privilege left to
    /// open more (Linux). One that is not in use costs a descriptor.
    pub spares: Setting<Count<0, 256, 32>>,
}

/// What is counted, over which time.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Aggregation {
    /// Lengths of the rolling windows, in whole seconds. Each is a set of gauges for every interface.
    pub windows: List<Window, 1, 6>,
    /// The most interfaces with their own series; further ones are counted together as `other`.
    pub max_interfaces: Setting<Count<1, 256, 24>>,
    /// The hosts and conversations that move most.
    pub talkers: Talkers,
    /// Series for each VLAN.
    pub vlans: Vlans,
    /// Ports with their own series; the others are counted together as `other`. Empty: no port series.
    pub ports: List<Port, 0, 20>,
    /// Measure round trips on data segments too, not only on handshakes. Takes 32 bytes more for each flow.
    pub continuous_rtt: Setting<Switch<false>>,
}

/// The hosts and conversations that move most.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Talkers {
    /// Rows of each list in the API.
    pub top: Setting<Count<1, 100, 20>>,
    /// Hosts, and conversations, told apart within one second; what does not fit is in the remainder. Bounds memory.
    pub keys: Setting<Count<64, 1_048_576, 16_384>>,
    /// Show the first 20 hosts on `/metrics` too. Addresses as labels make new series over time, so this is off.
    pub export: Setting<Switch<false>>,
}

/// Series for each VLAN.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Vlans {
    /// Whether there are any.
    pub enabled: Setting<Switch<false>>,
    /// The most VLANs with their own series; further ones are counted together as `other`.
    pub max: Setting<Count<1, 32, 32>>,
}

/// The table of flows.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Flows {
    /// The most flows at a time. When the table is full, half-open and idle flows make room first; bounds memory.
    pub max: Setting<Count<1024, { 1 << 26 }, { 1 << 21 }>>,
    /// How late a TCP segment may fill a gap and still count as out of order rather than retransmitted.
    pub reorder_limit: Setting<Period<0, SECOND, { 3 * MILLISECOND }>>,
    /// When silence ends a flow.
    pub timeouts: Timeouts,
}

/// When silence ends a flow.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Timeouts {
    /// TCP before the handshake is complete.
    pub tcp_opening: Setting<Idle<{ 30 * SECOND }>>,
    /// TCP after the handshake. Keepalives usually come every two hours; a flow that wakes later is a new record.
    pub tcp_established: Setting<Idle<HOUR>>,
    /// TCP after the first FIN.
    pub tcp_closing: Setting<Idle<{ 30 * SECOND }>>,
    /// TCP after both FINs or a RST: how long stray segments still join the record.
    pub tcp_closed: Setting<Idle<{ 10 * SECOND }>>,
    /// UDP seen in both directions.
    pub udp: Setting<Idle<{ 60 * SECOND }>>,
    /// UDP seen in one direction only.
    pub udp_one_way: Setting<Idle<{ 30 * SECOND }>>,
    /// ICMP and ICMPv6.
    pub icmp: Setting<Idle<{ 30 * SECOND }>>,
    /// Every other protocol.
    pub other: Setting<Idle<{ 60 * SECOND }>>,
    /// The longest a record may live; a flow that goes on then begins a new one. Records of long flows come in parts.
    pub active: Setting<OptionalPeriod<SECOND, DAY>>,
}

/// The HTTP interface.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Api {
    /// Where netmon listens, one or a list: `127.0.0.1:8080`, `[::1]:8080`, `:8080` for every address, `unix:/path`.
    pub bind: List<BindAddress, 1, 8>,
    /// Names under which it may be asked, beside `localhost` and the address of the connection. Others are refused, so
    /// that no web page can reach it through a name of its own.
    pub hosts: List<HostName, 0, 32>,
    /// Whether the API may change anything (reload, pause, filters, silences). `auto`: on loopback and unix sockets, and
    /// elsewhere for who is known by token or password; `true`: the same, and netmon does not start where nobody could
    /// be known; `false`: never.
    pub control: Setting<ApiControl>,
    /// Who is known.
    pub auth: Auth,
    /// TLS, and users that everything but the probes needs then, in the form of Prometheus's web configuration file.
    /// Certificates are read again when they change.
    pub web_config_file: Setting<FilePath>,
}

/// Who is known.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Auth {
    /// A file with a token of 16 characters or more. Who sends it (`Authorization: Bearer`) may change things on every
    /// listener.
    pub token_file: Setting<FilePath>,
}

/// What goes for all alerts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Alerting {
    /// When the numbers of an interface are not to be relied on. Alerts that need them say so, and with any rule there
    /// is an alert `CaptureBlind` for it.
    pub blind: Blind,
    /// Where people find the page of this daemon, for links in messages. Empty: no links.
    pub external_url: Setting<ExternalUrl>,
}

/// When the numbers of an interface are not to be relied on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Blind {
    /// More frames lost than this share of all, over the shortest window above 1 s.
    pub loss: Setting<Percent<10>>,
    /// Fewer bytes captured than this share of what the kernel counted, over the same window.
    pub coverage: Setting<Percent<900>>,
    /// Of the alert `CaptureBlind`.
    pub severity: Setting<SeverityName>,
    /// Receivers of the alert `CaptureBlind`.
    pub notify: List<ReceiverName, 0, 16>,
}

/// Where netmon keeps what it remembers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct State {
    /// An absolute path. Empty: `$STATE_DIRECTORY`, else `/var/lib/netmon` as root, else `$XDG_STATE_HOME/netmon` or
    /// `~/.local/state/netmon`.
    pub directory: Setting<Directory>,
}

/// What is remembered, in `history.redb` of the state directory.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct History {
    /// Whether anything is.
    pub enabled: Setting<Switch<true>>,
    /// The size that the store may reach. When it does, the oldest detail goes first.
    pub limit: Setting<Bytes<{ 16 * MIB }, TIB, GIB>>,
    /// How long each kind of record is kept.
    pub retention: Retention,
    /// Which ended flows are kept.
    pub flows: KeptFlows,
}

/// How long each kind of record is kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Retention {
    /// Series of seconds.
    #[serde(rename = "1s")]
    pub seconds: Setting<Kept<DAY>>,
    /// Series of ten seconds.
    #[serde(rename = "10s")]
    pub ten_seconds: Setting<Kept<{ 7 * DAY }>>,
    /// Series of minutes.
    #[serde(rename = "60s")]
    pub minutes: Setting<Kept<{ 92 * DAY }>>,
    /// Series of hours.
    #[serde(rename = "1h")]
    pub hours: Setting<Kept<{ 1_830 * DAY }>>,
    /// Ended flows.
    pub flows: Setting<Kept<{ 7 * DAY }>>,
    /// Alert events.
    pub alerts: Setting<Kept<{ 366 * DAY }>>,
}

/// Which ended flows are kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct KeptFlows {
    /// Whether any are.
    pub enabled: Setting<Switch<true>>,
    /// Flows that moved less than this are counted and left out.
    pub floor: Setting<Bytes<0, GIB, 10_000>>,
    /// The most flows kept that end in one second; further ones are counted and left out. Not in
    /// replay.
    pub rate: Setting<Count<1, 100_000, 200>>,
}

/// What is given up once everything is open.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Privileges {
    /// Who netmon becomes when it is started as root: a name, a number, `UID:GID`. Empty: `netmon` if there is such a
    /// user, else `nobody`.
    pub user: Setting<User>,
    /// `auto` confines as far as the system can and says what is missing, `strict` does not start without all of it,
    /// `off` confines neither files nor system calls. Root and capabilities are given up in any case.
    pub sandbox: Setting<Sandbox>,
    /// Keep CAP_NET_RAW, so that an interface that was deleted can be opened again when it comes back.
    pub keep_net_raw: Setting<Switch<false>>,
}

/// How a change of this file is noticed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Reload {
    /// How often the daemon looks whether the file says something else, and then reads it again: once it stayed the same
    /// from one look to the next. `off`: only when it is told to, by SIGHUP or `POST /api/v1/reload`.
    pub watch: Setting<OptionalPeriod<SECOND, HOUR>>,
}

/// What netmon tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Telemetry {
    /// The least important events that are logged, also by module: `info,netmon::capture=debug`.
    pub level: Setting<LogLevel>,
    /// One line of text for each event, or one JSON object.
    pub format: Setting<LogFormat>,
    /// Pushing to an OpenTelemetry collector.
    pub otlp: Otlp,
}

impl File {
    /// Every key: as the defaults, and what the items of lists of maps have.
    pub(super) fn known() -> serde_json::Value {
        let mut known = serde_json::to_value(Self::default()).unwrap_or_default();
        known["alerts"] = serde_json::Value::Array(vec![AlertRule::known()]);
        known["receivers"] = serde_json::Value::Array(vec![ReceiverEntry::known()]);
        known["export"]["ipfix"] = serde_json::Value::Array(vec![CollectorEntry::known()]);
        known
    }
}

/// An idle timeout with this default, in nanoseconds.
type Idle<const DEFAULT: u64> = Period<SECOND, DAY, DEFAULT>;

/// An age with this default, in nanoseconds.
type Kept<const DEFAULT: u64> = Period<{ 2 * HOUR }, { 36_600 * DAY }, DEFAULT>;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;
