//! Snapshots made by hand.

use netmon::flow::{State, Untracked, Victim};
use netmon::metrics::{
    BuildInfo, ExportState, HistoryState, MAX_RECEIVERS, NotificationState, PUSH_FAILURES, Privileges, Process,
    PushState, RENDER_BOUNDS, ReceiverState, Reloads, SelfState, SignalState,
};
use netmon::packet::{Ethertype, Linktype, Transport};
use netmon::stats::{
    Buckets, CONVERSATIONS, Capture, Config, Counters, InterfaceSnapshot, Peak, Quantiles, Snapshot, Talker, TalkerKey,
    TalkerTable, Volume, WindowSnapshot,
};
use netmon::time::{Tick, Timestamp};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// 2004-05-13T10:17:07.311224Z.
pub const SEEN: Timestamp = Timestamp::from_nanos(1_084_443_427_311_224_000);

/// An interface that has seen nothing, with the windows of `config`.
pub fn silent(name: &str, config: &Config) -> InterfaceSnapshot {
    let windows = config.windows.iter().map(|&length| WindowSnapshot {
        length,
        sums: Counters::default(),
        peak: Peak::default(),
        full: true,
        handshake_rtt: [Quantiles::default(); 2],
    });
    InterfaceSnapshot {
        name: name.into(),
        totals: Counters::default(),
        windows: windows.collect(),
        peak: Peak::default(),
        packet_size: Buckets::new(Buckets::PACKET_SIZE),
        handshake_rtt: [Buckets::new(Buckets::RTT), Buckets::new(Buckets::RTT)],
        rtt: None,
        ethertypes: BTreeMap::new(),
        ip_protocols: BTreeMap::new(),
        vlans: BTreeMap::new(),
        vlans_other: Volume::default(),
        ports: Vec::new(),
        flows: [[0; State::ALL.len()]; Transport::ALL.len()],
        first_seen: None,
        last_seen: None,
        capture: Capture::default(),
    }
}

/// A snapshot of these interfaces and nothing else.
pub fn of(interfaces: Vec<InterfaceSnapshot>) -> Arc<Snapshot> {
    Arc::new(Snapshot { interfaces: interfaces.into_iter().map(Arc::new).collect(), ..Snapshot::default() })
}

/// Two web requests on `eth0`: 12 frames received, 9 transmitted, one handshake round trip for each side.
pub fn two_requests(config: &Config) -> Arc<Snapshot> {
    let mut eth0 = silent("eth0", config);
    let volume = [Volume { packets: 12, bytes: 9_430 }, Volume { packets: 9, bytes: 1_215 }];
    for counters in std::iter::once(&mut eth0.totals).chain(eth0.windows.iter_mut().map(|window| &mut window.sums)) {
        counters.volume = volume;
        counters.protocols[0][0] = volume[0];
        counters.protocols[1][0] = volume[1];
        counters.tcp.segments = [12, 9];
        counters.tcp.flags[0][1] = 2;
        counters.tcp.flags[1][0] = 2;
        counters.tcp.connections_opened = 2;
        counters.flows_opened[0] = 2;
        counters.flows_closed[0][0] = 1;
    }
    for length in [60, 60, 66, 1514, 1514] {
        eth0.packet_size.observe(length, None);
    }
    eth0.handshake_rtt[1].observe(53_250_000, Some(0x00c0_ffee_0000_0001));
    eth0.handshake_rtt[0].observe(80_000, Some(0x00c0_ffee_0000_0002));
    eth0.flows[0][State::Open as usize] = 1;
    eth0.first_seen = Some(SEEN);
    eth0.last_seen = Some(SEEN);
    eth0.capture = Capture {
        up: true,
        backend: "libpcap",
        linktype: Some(Linktype::Ethernet),
        lag: Some(Duration::from_micros(250)),
        link_up: Some(true),
        speed: Some(125_000_000),
        mtu: Some(1500),
        rings: 1,
        ..Capture::default()
    };
    let mut durations = [Buckets::new(Buckets::DURATION), Buckets::new(Buckets::DURATION)];
    durations[0].observe(1_500_000_000, Some(0x00c0_ffee_0000_0001));
    let mut sizes = [Buckets::new(Buckets::FLOW_SIZE), Buckets::new(Buckets::FLOW_SIZE)];
    sizes[0].observe(5_322, None);
    let mut snapshot = Snapshot {
        tick: Some(Tick::of(SEEN)),
        interfaces: vec![Arc::new(eth0)],
        flow_duration: Some(durations),
        flow_size: Some(sizes),
        ..Snapshot::default()
    };
    snapshot.own.flow_table_entries = 1;
    snapshot.own.flow_table_limit = 1 << 21;
    Arc::new(snapshot)
}

/// Everything at its cap, everything available, no counter at 0.
pub fn flood(config: &Config) -> Arc<Snapshot> {
    let names = (0..config.max_interfaces).map(|n| format!("veth{n:03}")).chain(["other".into()]);
    let interfaces = names.map(|name| Arc::new(flooded(&name, config))).collect();
    let volume = Volume { packets: 3, bytes: 5 };
    let classes = config.classes.len() + 1;
    let full = |bounds| {
        let mut buckets = Buckets::new(bounds);
        bounds.iter().chain([&u64::MAX]).for_each(|value| buckets.observe(*value, Some(*value)));
        buckets
    };
    let host = |n| Talker { key: TalkerKey::Host(Ipv4Addr::from_bits(n).into()), from_bytes: 7, to_bytes: 9 };
    let talkers = config.windows.iter().map(|&length| TalkerTable {
        length,
        hosts: (0..config.talkers.top).map(|n| host(u32::try_from(n).unwrap_or(0))).collect(),
        pairs: Vec::new(),
        ports: Vec::new(),
        other: [[1, 2]; 3],
        error_bound: [4; 3],
    });
    let mut snapshot = Snapshot {
        tick: Some(Tick(1)),
        interfaces,
        talkers: talkers.collect(),
        flow_duration: Some([full(Buckets::DURATION), full(Buckets::DURATION)]),
        flow_size: Some([full(Buckets::FLOW_SIZE), full(Buckets::FLOW_SIZE)]),
        classes: vec![vec![volume; classes]; classes],
        ..Snapshot::default()
    };
    snapshot.own.evictions = [1; Victim::ALL.len()];
    snapshot.own.untracked = [1; Untracked::ALL.len()];
    snapshot.own.label_overflow = [u64::MAX; 5];
    Arc::new(snapshot)
}

fn flooded(name: &str, config: &Config) -> InterfaceSnapshot {
    let mut interface = silent(name, config);
    let volume = Volume { packets: 11, bytes: u64::MAX / 2 };
    let totals = &mut interface.totals;
    totals.volume = [volume; 2];
    totals.protocols = [[volume; CONVERSATIONS.len()]; 2];
    totals.parse_errors.iter_mut().flatten().for_each(|n| *n = 13);
    totals.icmp.iter_mut().flatten().for_each(|n| *n = 17);
    totals.tcp.flags.iter_mut().flatten().for_each(|n| *n = 19);
    totals.flows_closed.iter_mut().flatten().for_each(|n| *n = 23);
    let counters = interface.totals;
    interface.windows.iter_mut().for_each(|window| window.sums.tcp = counters.tcp);
    interface.rtt = config.continuous_rtt.then(|| Buckets::new(Buckets::RTT));
    interface.ethertypes.insert(Ethertype::IPV4, volume);
    if let Some(vlans) = config.vlans {
        let ids = (1..=u16::try_from(vlans.max).unwrap_or(u16::MAX)).map(Some).chain([None]);
        interface.vlans = ids.map(|id| (id, volume)).collect();
    }
    if !config.ports.is_empty() {
        interface.ports = vec![vec![29; config.ports.len() + 1]; 2];
    }
    interface.first_seen = Some(SEEN);
    interface.last_seen = Some(SEEN);
    interface.capture = Capture {
        software: false,
        loopback: true,
        up: true,
        backend: "af_packet",
        linktype: Some(Linktype::Other(999)),
        restarts: 31,
        paused: false,
        filter: None,
        rings: 2,
        ring_freezes: Some(43),
        gaps: Vec::new(),
        gaps_total: 47,
        overlaps: vec!["br0".into()],
        lag: Some(Duration::ZERO),
        link_up: Some(false),
        speed: Some(1),
        mtu: Some(1500),
        kernel: Some(Default::default()),
        coverage: config.windows.iter().map(|&length| (length, 0.5)).collect(),
    };
    interface
}

/// A process about which everything is known.
pub fn own() -> SelfState {
    SelfState {
        build: BuildInfo { version: "0.1.0", revision: "0123abc", target: "x86_64-unknown-linux-gnu", features: "" },
        started: Some(SEEN),
        reloads: Reloads { generation: 1, last_successful: true, last_success: Some(SEEN), ..Reloads::default() },
        layers: Some([true, true, true, false, true]),
        privileges: Some(Privileges { capability: true, ..Privileges::default() }),
        process: Some(Process {
            cpu_seconds: Some(1.25),
            open_fds: Some(17),
            max_fds: Some(1024),
            resident_bytes: Some(20 << 20),
            virtual_bytes: Some(300 << 20),
            virtual_max_bytes: Some(1 << 40),
            threads: Some(5),
        }),
        http_requests: Some([[37; 4]; 5]),
        http_durations: Some(std::array::from_fn(|_| Buckets::new(Buckets::ANSWER))),
        websockets: Some([53, 59]),
        scrapes: Some(Buckets::new(RENDER_BOUNDS)),
        alerts: None,
        notifications: None,
        history: Some(HistoryState {
            size_bytes: 53,
            limit_bytes: 59,
            oldest: [Some(61); 4],
            write_duration: Buckets::new(Buckets::COMMIT),
            write_failures: 67,
            pruned_records: [[71; 2]; 4],
            dropped_records: 73,
            flows_left_out: 79,
            quarantined: 83,
        }),
        pushes: Some(pushes()),
        exports: ExportState { ipfix: Some((89, [97; 3])), flow_log: Some((101, [103; 3])) },
    }
}

/// Both signals.
fn pushes() -> PushState {
    let signal =
        |n: u64| SignalState { exports: 89 + n, failures: [97 + n; PUSH_FAILURES.len()], last_success: Some(101.5) };
    PushState { signals: [Some(signal(0)), Some(signal(1))], dropped_spans: 103 }
}

/// As many receivers as there can be.
pub fn notifications() -> NotificationState {
    let receiver = |n| ReceiverState {
        name: format!("receiver-{n}"),
        attempts: 53,
        failures: [59; 6],
        queue_length: 61,
        queue_limit: 1000,
        dropped: [67; 3],
        latency: Buckets::new(Buckets::DELIVERY),
        last_success: Some(1.5),
    };
    NotificationState {
        receivers: (0..MAX_RECEIVERS).map(receiver).collect(),
        silenced: 71,
        undurable: 73,
        overrun: 79,
    }
}
