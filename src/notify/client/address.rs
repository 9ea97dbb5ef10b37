//! From a name to addresses, and which of them may be asked.

use super::failure::Failure;
use super::url::Url;
use crate::notify::Reason;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

/// Asks for the addresses of a name and a port.
pub type Lookup = Arc<dyn Fn(String, u16) -> Found + Send + Sync>;
/// What was found.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Asks the system, on a thread that may block.
pub fn resolver() -> Lookup {
    Arc::new(|host, port| Box::pin(async move { tokio::net::lookup_host((host, port)).await.map(Iterator::collect) }))
}

/// The addresses to try for `url`, at least one. They are the ones connected to: the name is not asked for again.
pub(super) async fn resolve(url: &Url, lookup: &Lookup, allow_local: bool) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = url.host().parse::<IpAddr>() {
        return Ok(vec![(address, url.port()).into()]);
    }
    let found = lookup(url.host().to_owned(), url.port()).await;
    let found = found.map_err(|_| Failure::new(Reason::Connect, "the name cannot be resolved"))?;
    if found.is_empty() {
        return Err(Failure::new(Reason::Connect, "the name has no address"));
    }
    let as_written = allow_local || url.host() == "localhost";
    let allowed: Vec<_> = found.into_iter().filter(|address| as_written || !is_local(address.ip())).collect();
    if allowed.is_empty() {
        let why = "the name resolves to a loopback or link-local address, which `allow_local` would allow";
        return Err(Failure::new(Reason::Connect, why));
    }
    Ok(allowed)
}

/// Whether an address is of this machine or this link only, or where clouds answer questions about a machine.
pub(super) fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_local_v4(v4),
        IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| is_local_v6(v6), is_local_v4),
    }
}

fn is_local_v4(address: Ipv4Addr) -> bool {
    let is_metadata_elsewhere = address == Ipv4Addr::new(100, 100, 100, 200);
    let is_this_network = address.octets()[0] == 0;
    address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || is_this_network
        || is_metadata_elsewhere
}

fn is_local_v6(address: Ipv6Addr) -> bool {
    let is_metadata = address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || is_metadata
}

/// The IPv4 address that an IPv6 one stands for: mapped, or translated by NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => address.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_its_links_and_of_metadata_are_local_in_every_spelling() {
        for local in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "169.254.169.254",
            "100.100.100.200",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:a9fe:a9fe::",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(is_local(local.parse().expect(local)), "{local}");
        }
        for other in
            ["10.0.0.1", "192.168.1.1", "172.17.0.2", "192.0.2.1", "2001:db8::1", "fd00::1", "64:ff9b::c000:201"]
        {
            assert!(!is_local(other.parse().expect(other)), "{other}");
        }
    }
}
