//! A collector of our own that forgives nothing: lengths, sequence numbers and templates have to be right (RFC 7011).

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::net::IpAddr;

/// Octets, packets, TCP flags by element, forth and back.
const OCTETS: u16 = 1;
const PACKETS: u16 = 2;
const PROTOCOL: u16 = 4;
const REVERSE: u32 = 29_305;

/// The values of a data record by element and whether it is a reverse one.
pub type Record = BTreeMap<(u16, bool), Vec<u8>>;

/// One direction of a flow as both sides can name it: addresses, ports, packets, bytes.
pub type Direction = (IpAddr, u64, IpAddr, u64, u64, u64);

/// What was received in one session.
#[derive(Default)]
pub struct Decoder {
    templates: HashMap<u16, Vec<(u16, u16, bool)>>,
    /// Templates with a scope.
    options: Vec<u16>,
    sequence: u32,
    pub messages: usize,
    pub longest: usize,
    /// Of flows.
    pub records: Vec<Record>,
    /// Interfaces by number.
    pub names: BTreeMap<u64, String>,
    /// samplingPacketInterval, samplingPacketSpace.
    pub sampling: Option<(u64, u64)>,
}

impl Decoder {
    /// All messages of a stream.
    pub fn read(mut stream: impl Read) -> Self {
        let mut decoder = Self::default();
        while decoder.next(&mut stream) {}
        decoder
    }

    /// The next message of a stream, unless it has ended.
    pub fn next(&mut self, stream: &mut impl Read) -> bool {
        let mut header = [0; 16];
        if stream.read_exact(&mut header).is_err() {
            return false;
        }
        let mut message = header.to_vec();
        message.resize(usize::from(u16::from_be_bytes([header[2], header[3]])), 0);
        stream.read_exact(&mut message[16..]).expect("a message comes whole");
        self.message(&message);
        true
    }

    /// One message.
    pub fn message(&mut self, message: &[u8]) {
        assert_eq!(number(&message[..2]), 10, "the version");
        assert_eq!(number(&message[2..4]), message.len() as u64, "the length");
        assert_eq!(number(&message[8..12]), u64::from(self.sequence), "the sequence number");
        assert_eq!(number(&message[12..16]), 1, "the observation domain");
        self.messages += 1;
        self.longest = self.longest.max(message.len());
        let mut sets = &message[16..];
        assert!(!sets.is_empty(), "a message has sets");
        while !sets.is_empty() {
            let (id, length) = (number(&sets[..2]), usize::try_from(number(&sets[2..4])).unwrap());
            assert!(length > 4 && length <= sets.len(), "a set of {length} bytes in {}", sets.len());
            self.set(u16::try_from(id).unwrap(), &sets[4..length]);
            sets = &sets[length..];
        }
    }

    fn set(&mut self, id: u16, mut rest: &[u8]) {
        match id {
            2 | 3 => {
                while !rest.is_empty() {
                    rest = self.template(id == 3, rest);
                }
            }
            256.. => {
                let fields = self.templates.get(&id).unwrap_or_else(|| panic!("no template {id} came before")).clone();
                while !rest.is_empty() {
                    let record = record(&fields, &mut rest);
                    self.sequence += 1;
                    self.keep(id, record);
                }
            }
            _ => panic!("a set {id}"),
        }
    }

    fn template<'a>(&mut self, has_scope: bool, bytes: &'a [u8]) -> &'a [u8] {
        let id = u16::try_from(number(&bytes[..2])).unwrap();
        assert!(id >= 256);
        let count = number(&bytes[2..4]);
        let mut rest = &bytes[4..];
        if has_scope {
            assert_eq!(number(&rest[..2]), 1, "fields of the scope");
            rest = &rest[2..];
            self.options.push(id);
        }
        let mut fields = Vec::new();
        for _ in 0..count {
            let (element, length) = (u16::from_be_bytes([rest[0], rest[1]]), u16::from_be_bytes([rest[2], rest[3]]));
            let is_reverse = element & 0x8000 != 0;
            rest = &rest[4..];
            if is_reverse {
                assert_eq!(number(&rest[..4]), u64::from(REVERSE));
                rest = &rest[4..];
            }
            fields.push((element & 0x7fff, length, is_reverse));
        }
        self.templates.insert(id, fields);
        rest
    }

    fn keep(&mut self, template: u16, record: Record) {
        let value = |element: u16| number(&record[&(element, false)]);
        if !self.options.contains(&template) {
            self.records.push(record);
        } else if let Some(name) = record.get(&(82, false)) {
            self.names.insert(value(10), String::from_utf8(name.clone()).unwrap());
        } else {
            self.sampling = Some((value(305), value(306)));
        }
    }

    /// Every direction that was reported, in order.
    pub fn directions(&self) -> Vec<Direction> {
        let mut all: Vec<_> = self.records.iter().flat_map(directions).collect();
        all.sort_unstable();
        all
    }

    /// Packets and bytes of all.
    pub fn totals(&self) -> [u64; 2] {
        self.directions().iter().fold([0; 2], |[p, b], (.., packets, bytes)| [p + packets, b + bytes])
    }
}

fn record(fields: &[(u16, u16, bool)], rest: &mut &[u8]) -> Record {
    let mut record = Record::new();
    for (element, length, is_reverse) in fields {
        let length = match length {
            0xffff => {
                let length = usize::from(rest[0]);
                *rest = &rest[1..];
                length
            }
            length => usize::from(*length),
        };
        record.insert((*element, *is_reverse), rest[..length].to_vec());
        *rest = &rest[length..];
    }
    record
}

/// Both directions of a biflow, or the one of another record; none for one without packets.
fn directions(record: &Record) -> Vec<Direction> {
    let value = |element, is_reverse| record.get(&(element, is_reverse)).map_or(0, |bytes| number(bytes));
    let address = |v4: u16, v6: u16| match (record.get(&(v4, false)), record.get(&(v6, false))) {
        (Some(bytes), _) => IpAddr::from(<[u8; 4]>::try_from(&bytes[..]).unwrap()),
        (None, Some(bytes)) => IpAddr::from(<[u8; 16]>::try_from(&bytes[..]).unwrap()),
        (None, None) => panic!("a record without an address"),
    };
    assert!(record.contains_key(&(PROTOCOL, false)));
    let (source, destination) = (address(8, 27), address(12, 28));
    let (from, to) = (value(7, false), value(11, false));
    let forth = (source, from, destination, to, value(PACKETS, false), value(OCTETS, false));
    let back = (destination, to, source, from, value(PACKETS, true), value(OCTETS, true));
    [forth, back].into_iter().filter(|(.., packets, _)| *packets > 0).collect()
}

/// An unsigned integer of any length.
pub fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
