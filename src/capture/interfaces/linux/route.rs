//! Where packets to the rest of the world leave by: the routes in /proc/net, which are those of the reader's own network
//! namespace. Read at start, before /proc is out of reach.

use std::fs;

const RTF_UP: u32 = 0x1;
const RTF_REJECT: u32 = 0x200;

/// Name of the interface of the default route with the least metric, of IPv4 before IPv6.
pub(in crate::capture::interfaces) fn of_default_route() -> Option<String> {
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
}
