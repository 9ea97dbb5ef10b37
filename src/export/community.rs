//! Community ID, version 1: one hash of a flow's tuple for many monitors (corelight/community-id-spec).

use crate::flow::FlowRecord;
use crate::packet::{Address, Network, Transport};
use sha1::{Digest, Sha1};

/// The Community ID of a flow with the usual seed 0; `None` for ICMP without an identifier, whose record does not tell
/// the types that the hash needs.
///
/// An echo is type 8 answered by 0 (128 and 129 in IPv6), whoever was seen first.
///
/// Source: <https://github.com/corelight/community-id-spec>, version 1.
pub fn community_id(record: &FlowRecord) -> Option<String> {
    let (source, source_port) = record.initiator();
    let (destination, destination_port) = record.responder();
    let ports = match (record.transport(), record.key.has_ports()) {
        (Transport::Icmp, false) => return None,
        (Transport::Icmp, true) => Some(echo(record.network())),
        (_, has_ports) => has_ports.then_some((source_port, destination_port)),
    };
    Some(hash(record.network(), record.key.protocol, [source, destination], ports))
}

/// Request and reply, in place of ports.
fn echo(network: Network) -> (u16, u16) {
    if network == Network::Ipv6 { (128, 129) } else { (8, 0) }
}

fn hash(network: Network, protocol: u8, [source, destination]: [Address; 2], ports: Option<(u16, u16)>) -> String {
    let (source_port, destination_port) = ports.unwrap_or_default();
    let (one, other) = ((octets(network, &source), source_port), (octets(network, &destination), destination_port));
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    let mut sha = Sha1::new();
    sha.update(0_u16.to_be_bytes());
    sha.update(low.0);
    sha.update(high.0);
    sha.update([protocol, 0]);
    if ports.is_some() {
        sha.update(low.1.to_be_bytes());
        sha.update(high.1.to_be_bytes());
    }
    format!("1:{}", base64(&sha.finalize()))
}

/// The bytes of an address as they are on the wire.
pub(super) fn octets(network: Network, address: &Address) -> Vec<u8> {
    match address.to_ip(network) {
        std::net::IpAddr::V4(address) => address.octets().to_vec(),
        std::net::IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().chain(&[0; 2]).take(3).fold(0, |word, byte| word << 8 | usize::from(*byte));
        let digits = (0..4).map(|n| char::from(DIGITS[word >> (18 - 6 * n) & 63]));
        text.extend(digits.take(group.len() + 1));
        text.extend(std::iter::repeat_n('=', 3 - group.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const V6: [&str; 2] = ["fe80:1:203:405:607:809:a0b:c0d", "fe80:1011:1213:1415:1617:1819:1a1b:1c1d"];

    fn address(text: &str) -> Address {
        match text.parse().unwrap() {
            std::net::IpAddr::V4(address) => Address::v4(address.octets()),
            std::net::IpAddr::V6(address) => Address(address.octets()),
        }
    }

    /// Both ways round, which have to agree.
    fn id(protocol: u8, ends: [&str; 2], ports: Option<(u16, u16)>) -> String {
        let network = if ends[0].contains(':') { Network::Ipv6 } else { Network::Ipv4 };
        let [one, other] = ends.map(address);
        let forth = hash(network, protocol, [one, other], ports);
        let back = hash(network, protocol, [other, one], ports.map(|(one, other)| (other, one)));
        assert_eq!(forth, back);
        forth
    }

    #[test]
    fn ids_are_those_of_the_public_vectors() {
        let v4 = ["1.2.3.4", "5.6.7.8"];
        let ports = Some((1122, 3344));
        assert_eq!(id(6, v4, ports), "1:wCb3OG7yAFWelaUydu0D+125CLM=");
        assert_eq!(id(17, v4, ports), "1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg=");
        assert_eq!(id(132, v4, ports), "1:EKt4MsxuyaE6mL+hmrEkQ9csDD8=");
        assert_eq!(id(46, v4, None), "1:ikv3kmf89luf73WPz1jOs49S768=");
        assert_eq!(id(1, v4, Some(echo(Network::Ipv4))), "1:crodRHL2FEsHjbv3UkRrfbs4bZ0=");
        assert_eq!(id(58, V6, Some(echo(Network::Ipv6))), "1:0bf7hyMJUwt3fMED7z8LIfRpBeo=");
    }
}
