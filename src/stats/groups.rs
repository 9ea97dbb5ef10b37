//! The opt-in groups: address classes and listed ports.

use super::counters::Integers;
use super::{Config, Volume};
use crate::packet::{Address, Attribution, Network, ParsedPacket, Transport};
use ipnet::IpNet;

/// The traffic matrix between address classes: frames with a good IP header, by class of source and destination.
#[derive(Clone, Debug)]
pub(super) struct ClassMatrix {
    /// Longest first, so that the first match is the longest.
    prefixes: Vec<Prefix>,
    /// Configured classes and `other`.
    side: usize,
    cells: Vec<Volume>,
}

/// A prefix in the form of [`Address`].
#[derive(Clone, Copy, Debug)]
struct Prefix {
    bits: u128,
    mask: u128,
    network: Network,
    class: usize,
}

impl Prefix {
    fn new(prefix: IpNet, class: usize) -> Self {
        let (bits, network, host_bits) = match prefix {
            IpNet::V4(v4) => (u128::from(v4.network().to_bits()), Network::Ipv4, 32 - v4.prefix_len()),
            IpNet::V6(v6) => (v6.network().to_bits(), Network::Ipv6, 128 - v6.prefix_len()),
        };
        let mask = u128::MAX.checked_shl(u32::from(host_bits)).unwrap_or(0);
        Self { bits, mask, network, class }
    }

    fn contains(&self, network: Network, address: u128) -> bool {
        self.network == network && address & self.mask == self.bits
    }
}

impl ClassMatrix {
    /// `None` without classes. A prefix given twice belongs to the class that names it first.
    pub(super) fn new(config: &Config) -> Option<Self> {
        let of_class = |(class, of): (usize, &super::Class)| {
            of.prefixes.iter().map(move |prefix| (prefix.prefix_len(), Prefix::new(*prefix, class))).collect::<Vec<_>>()
        };
        let mut prefixes: Vec<_> = config.classes.iter().enumerate().flat_map(of_class).collect();
        prefixes.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        let side = config.classes.len() + 1;
        (side > 1).then(|| Self {
            prefixes: prefixes.into_iter().map(|(_, prefix)| prefix).collect(),
            side,
            cells: vec![Volume::default(); side * side],
        })
    }

    pub(super) fn count(&mut self, packet: &ParsedPacket) {
        if packet.network.is_ip() {
            let from = self.class_of(packet.network, packet.source);
            let to = self.class_of(packet.network, packet.destination);
            self.cells[from * self.side + to].count(packet.wire_len);
        }
    }

    fn class_of(&self, network: Network, address: Address) -> usize {
        let address = u128::from_be_bytes(address.0);
        let longest = self.prefixes.iter().find(|prefix| prefix.contains(network, address));
        longest.map_or(self.side - 1, |prefix| prefix.class)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.cells.iter_mut().zip(&other.cells).for_each(|(mine, theirs)| mine.add(theirs));
    }

    pub(super) fn clear(&mut self) {
        self.cells.fill(Volume::default());
    }

    /// By source class, then destination class.
    pub(super) fn rows(&self) -> Vec<Vec<Volume>> {
        self.cells.chunks(self.side).map(<[Volume]>::to_vec).collect()
    }
}

/// Bytes of TCP and UDP frames by listed port: by the smaller of the two ports if it is listed, else by the greater,
/// else under `other`, where frames go whose ports could not be read.
#[derive(Clone, Debug)]
pub(super) struct PortBytes {
    /// Ascending, with the column of each.
    listed: Vec<(u16, usize)>,
    columns: usize,
    /// TCP, then UDP; each by column.
    cells: Vec<u64>,
}

impl PortBytes {
    /// `None` without listed ports.
    pub(super) fn new(config: &Config) -> Option<Self> {
        let mut listed: Vec<_> = config.ports.iter().enumerate().map(|(column, port)| (*port, column)).collect();
        listed.sort_unstable();
        let columns = listed.len() + 1;
        (columns > 1).then(|| Self { listed, columns, cells: vec![0; 2 * columns] })
    }

    pub(super) fn count(&mut self, packet: &ParsedPacket) {
        let row = match packet.transport {
            Transport::Tcp => 0,
            Transport::Udp => 1,
            _ => return,
        };
        let column = if packet.attribution == Attribution::Ports {
            let (one, other) = (packet.source_port, packet.destination_port);
            self.column(one.min(other)).or_else(|| self.column(one.max(other)))
        } else {
            None
        };
        self.cells[row * self.columns + column.unwrap_or(self.columns - 1)] += u64::from(packet.wire_len);
    }

    fn column(&self, port: u16) -> Option<usize> {
        let at = self.listed.partition_point(|(listed, _)| *listed < port);
        self.listed.get(at).filter(|(listed, _)| *listed == port).map(|(_, column)| *column)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.cells.iter_mut().zip(&other.cells).for_each(|(mine, theirs)| *mine += theirs);
    }

    pub(super) fn clear(&mut self) {
        self.cells.fill(0);
    }

    /// By transport, then listed port in the order of the config, the last being `other`.
    pub(super) fn rows(&self) -> Vec<Vec<u64>> {
        self.cells.chunks(self.columns).map(<[u64]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Class;

    fn classes(prefixes: &[&[&str]]) -> Config {
        let class = |prefixes: &&[&str]| Class {
            name: String::new(),
            prefixes: prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect(),
        };
        Config { classes: prefixes.iter().map(class).collect(), ..Config::default() }
    }

    #[test]
    fn the_longest_prefix_decides_the_class() {
        let config = classes(&[&["10.0.0.0/8", "::/0"], &["10.1.0.0/16", "2001:db8::/32"], &["10.1.2.3/32"]]);
        let matrix = ClassMatrix::new(&config).unwrap();
        let v4 = |octets| matrix.class_of(Network::Ipv4, Address::v4(octets));
        assert_eq!([v4([10, 2, 0, 1]), v4([10, 1, 9, 9]), v4([10, 1, 2, 3]), v4([11, 0, 0, 1])], [0, 1, 2, 3]);
        let v6 = |ip: &str| matrix.class_of(Network::Ipv6, Address(ip.parse::<std::net::Ipv6Addr>().unwrap().octets()));
        assert_eq!([v6("2001:db8::1"), v6("fe80::1"), v6("::a01:203")], [1, 0, 0]);
    }

    #[test]
    fn a_frame_counts_under_one_listed_port_only() {
        let config = Config { ports: vec![443, 53, 80], ..Config::default() };
        let mut ports = PortBytes::new(&config).unwrap();
        let mut send = |transport, attribution, source_port, destination_port| {
            ports.count(&ParsedPacket {
                wire_len: 100,
                transport,
                attribution,
                source_port,
                destination_port,
                ..ParsedPacket::default()
            });
        };
        send(Transport::Tcp, Attribution::Ports, 443, 80);
        send(Transport::Tcp, Attribution::Ports, 443, 50_000);
        send(Transport::Udp, Attribution::Ports, 9999, 53);
        send(Transport::Udp, Attribution::Ports, 9999, 9998);
        send(Transport::Udp, Attribution::LaterFragment, 0, 0);
        send(Transport::Sctp, Attribution::Ports, 80, 80);
        assert_eq!(ports.rows(), [vec![100, 0, 100, 0], vec![0, 100, 0, 200]]);
    }
}
