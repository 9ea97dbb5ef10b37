//! What Linux says of interfaces and privileges, in /proc and /sys.
//!
//! Counters and routes come from /proc/net, which is always of the reader's own network namespace; /sys/class/net is of
//! the namespace that mounted it.

use super::Link;
use crate::capture::Missing;
use crate::stats::KernelCounters;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::{User, geteuid};
use std::fs;

const RTF_UP: u32 = 0x1;
const RTF_REJECT: u32 = 0x200;

/// Whether CAP_NET_RAW is missing, by asking for a packet socket. Its protocol is 0: it receives nothing.
pub(super) fn missing() -> Option<Missing> {
    match socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None) {
        Err(Errno::EPERM | Errno::EACCES) => Some(Missing::NetRaw { user: user() }),
        _ => None,
    }
}

/// Name of the effective user, or its number where it has none.
fn user() -> String {
    let uid = geteuid();
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

pub(super) fn of_default_route() -> Option<String> {
    let ipv4 = fs::read_to_string("/proc/net/route").ok().and_then(|table| default_route_ipv4(&table));
    ipv4.or_else(|| fs::read_to_string("/proc/net/ipv6_route").ok().and_then(|table| default_route_ipv6(&table)))
}

/// Lines of `Iface Destination Gateway Flags RefCnt Use Metric Mask ...`, numbers in hexadecimal but the metric.
fn default_route_ipv4(table: &str) -> Option<String> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [name, destination, _, flags, _, _, metric, mask, ..] = fields[..] else { return None };
        let default = destination == "00000000" && mask == "00000000" && leads_out(flags);
        default.then_some((metric.parse::<u32>().ok()?, name))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, name)| name.to_owned())
}

/// Lines of `destination length source length next-hop metric references use flags name`, all in hexadecimal.
fn default_route_ipv6(table: &str) -> Option<String> {
    let routes = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [destination, "00", _, _, _, metric, _, _, flags, name] = fields[..] else { return None };
        let default = destination.bytes().all(|digit| digit == b'0') && leads_out(flags);
        default.then_some((u32::from_str_radix(metric, 16).ok()?, name))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, name)| name.to_owned())
}

fn leads_out(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & RTF_UP != 0 && flags & RTF_REJECT == 0)
}

pub(super) fn kernel_counters(name: &str) -> Option<KernelCounters> {
    counters(&fs::read_to_string("/proc/net/dev").ok()?, name)
}

/// Lines of `name: bytes packets errs drop fifo frame compressed multicast`, then the same to send. "drop" of the
/// receiving side includes what the device itself missed.
fn counters(table: &str, name: &str) -> Option<KernelCounters> {
    let numbers = table.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
    let numbers: Vec<u64> = numbers.split_ascii_whitespace().map_while(|number| number.parse().ok()).collect();
    let &[rx_bytes, rx_packets, rx_errors, rx_dropped, _, _, _, _, tx_bytes, tx_packets, tx_errors, tx_dropped, ..] =
        &numbers[..]
    else {
        return None;
    };
    Some(KernelCounters {
        bytes: [rx_bytes, tx_bytes],
        packets: [rx_packets, tx_packets],
        dropped: [rx_dropped, tx_dropped],
        errors: [rx_errors, tx_errors],
    })
}

pub(super) fn link(name: &str) -> Link {
    let read = |attribute| {
        let text = fs::read_to_string(format!("/sys/class/net/{name}/{attribute}")).ok()?;
        Some(text.trim_end().to_owned())
    };
    Link {
        up: read("operstate").as_deref().and_then(operational),
        speed: read("speed").as_deref().and_then(bytes_per_second),
        mtu: read("mtu").and_then(|mtu| mtu.parse().ok()),
    }
}

/// Operational states of RFC 2863; `unknown` is what drivers without carrier detection say.
fn operational(state: &str) -> Option<bool> {
    match state {
        "up" => Some(true),
        "unknown" => None,
        _ => Some(false),
    }
}

/// From megabits per second; drivers write -1 for "not known".
fn bytes_per_second(megabits: &str) -> Option<u64> {
    megabits
        .parse::<u64>()
        .ok()
        .filter(|megabits| *megabits > 0 && *megabits < u64::from(u32::MAX))
        .map(|m| m * 125_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_with_the_least_metric_wins() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth1\t00000000\t0100000A\t0002\t0\t0\t1\t00000000\t0\t0\t0\n\
            eth2\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n";
        assert_eq!(default_route_ipv4(table).as_deref(), Some("eth0"));
        assert_eq!(default_route_ipv4("Iface\n"), None);
    }

    #[test]
    fn an_ipv6_default_route_that_rejects_leads_nowhere() {
        let zero = "0".repeat(32);
        let reject = format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n");
        assert_eq!(default_route_ipv6(&reject), None);
        let hop = "fe800000000000000000000000000001";
        let table = format!("{reject}{zero} 00 {zero} 00 {hop} 00000400 00000001 00000000 00000003     eth0\n");
        assert_eq!(default_route_ipv6(&table).as_deref(), Some("eth0"));
    }

    #[test]
    fn counters_are_those_of_the_whole_name() {
        let table = "Inter-|   Receive    |  Transmit\n face |bytes packets errs drop ...\n\
            veth10: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  veth1:18446744073709551615 20 30 40 0 0 0 0 90 100 110 120 0 0 0 0\n";
        let counters = |name| counters(table, name);
        let expected =
            KernelCounters { bytes: [u64::MAX, 90], packets: [20, 100], dropped: [40, 120], errors: [30, 110] };
        assert_eq!(counters("veth1"), Some(expected));
        assert_eq!((counters("veth"), counters("eth1")), (None, None));
    }

    #[test]
    fn a_speed_is_in_bytes_per_second_and_minus_one_is_none() {
        assert_eq!((bytes_per_second("1000"), bytes_per_second("-1")), (Some(125_000_000), None));
        assert_eq!(
            (operational("up"), operational("unknown"), operational("lowerlayerdown")),
            (Some(true), None, Some(false))
        );
    }
}
