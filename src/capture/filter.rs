//! Filter expressions in tcpdump syntax (pcap-filter(7)), compiled by libpcap.
//!
//! On a live handle the kernel runs the compiled program; on savefiles it is run here, for each link type its own.
//!
//! VLAN tags make a difference between the two. On Linux the kernel takes the outer tag out of a received frame before
//! the filter sees it, so live `udp port 53` passes tagged frames too. In a savefile the tag is in the bytes, and the
//! same text passes only untagged ones; `udp port 53 or (vlan and udp port 53)` says the same thing for both.

use super::bpf::{Instruction, Program};
use crate::packet::Linktype;
use pcap::{BpfProgram, Capture};

/// A compiled filter for frames of one link type.
#[derive(Clone, Debug)]
pub struct Filter(Program);

/// An expression that does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter `{expression}` does not compile for linktype {linktype}: libpcap: {message}")]
pub struct FilterError {
    /// As the user wrote it.
    pub expression: String,
    /// Link type of the frames.
    pub linktype: Linktype,
    /// libpcap's words.
    pub message: String,
}

impl FilterError {
    pub(super) fn new(expression: &str, linktype: Linktype, error: &pcap::Error) -> Self {
        Self { expression: expression.into(), linktype, message: message(error) }
    }

    /// What to do about it, for a line of its own.
    pub fn hint(&self) -> &'static str {
        "the grammar is in pcap-filter(7); `tcpdump -d` compiles an expression without capturing"
    }
}

/// libpcap's words without what the sentence around them says already.
fn message(error: &pcap::Error) -> String {
    let pcap::Error::PcapError(text) = error else { return error.to_string() };
    let known = ["can't parse filter expression: ", "syntax error in filter expression: "];
    let stripped = known.iter().find_map(|prefix| text.strip_prefix(prefix));
    stripped.unwrap_or(text).into()
}

impl Filter {
    /// Compiles an expression; needs no privilege.
    ///
    /// # Errors
    /// [`FilterError`] when libpcap refuses it for frames of this link type.
    pub fn compile(expression: &str, linktype: Linktype) -> Result<Self, FilterError> {
        let refused = |error| FilterError::new(expression, linktype, &error);
        let handle = Capture::dead(dlt(linktype)).map_err(refused)?;
        let program = handle.compile(expression, true).map_err(refused)?;
        let decoded = instructions(&program).and_then(|instructions| Program::decode(&instructions));
        decoded.map(Self).ok_or_else(|| FilterError {
            expression: expression.into(),
            linktype,
            message: "the program has instructions that only a kernel knows".into(),
        })
    }

    /// Whether the filter passes a frame of `wire_len` bytes, of which `bytes` were captured.
    ///
    /// As in the kernel: `len` is the wire length, and a test of bytes that were not captured fails the whole filter.
    pub fn passes(&self, bytes: &[u8], wire_len: u32) -> bool {
        self.0.matches(bytes, wire_len)
    }
}

/// The instructions of a program. The crate gives them only as text: code, jumps and k in decimal.
pub(super) fn instructions(program: &BpfProgram) -> Option<Vec<Instruction>> {
    let parse = |text: String| {
        let mut fields = text.split(' ');
        let mut next = || fields.next()?.parse::<u32>().ok();
        Some(Instruction {
            code: next()?.try_into().ok()?,
            jump_true: next()?.try_into().ok()?,
            jump_false: next()?.try_into().ok()?,
            k: next()?,
        })
    };
    program.get_instructions().iter().map(|instruction| parse(instruction.to_string())).collect()
}

/// libpcap's own number (DLT_) of a link type on this system.
pub(super) fn dlt(linktype: Linktype) -> pcap::Linktype {
    pcap::Linktype(match linktype {
        Linktype::Raw if cfg!(target_os = "openbsd") => 14,
        Linktype::Raw => 12,
        Linktype::Loop if cfg!(target_os = "openbsd") => 12,
        other => i32::from(other.number()),
    })
}

/// One expression for frames of any link type, compiled when the first frame of a type comes.
///
/// Frames of a link type that netmon does not read pass no filter.
#[derive(Debug)]
pub(super) struct FilterSet {
    expression: String,
    /// At most one for each link type that is read.
    filters: Vec<(Linktype, Filter)>,
    discarded: u64,
}

impl FilterSet {
    /// The link types that expressions are compiled for.
    const LINKTYPES: [Linktype; 8] = [
        Linktype::Ethernet,
        Linktype::LinuxSll,
        Linktype::LinuxSll2,
        Linktype::Raw,
        Linktype::Null,
        Linktype::Loop,
        Linktype::Ipv4,
        Linktype::Ipv6,
    ];

    /// Checks that the expression compiles for some link type.
    pub(super) fn new(expression: &str) -> Result<Self, FilterError> {
        let ethernet = Filter::compile(expression, Linktype::Ethernet);
        if let Err(error) = ethernet
            && Self::LINKTYPES.iter().all(|linktype| Filter::compile(expression, *linktype).is_err())
        {
            return Err(error);
        }
        Ok(Self { expression: expression.into(), filters: Vec::new(), discarded: 0 })
    }

    /// Frames that were not passed.
    pub(super) fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Whether the expression passes a frame.
    ///
    /// # Errors
    /// [`FilterError`] when it does not compile for the frame's link type.
    pub(super) fn passes(&mut self, linktype: Linktype, bytes: &[u8], wire_len: u32) -> Result<bool, FilterError> {
        let passes = match self.filter(linktype)? {
            Some(filter) => filter.passes(bytes, wire_len),
            None => false,
        };
        self.discarded += u64::from(!passes);
        Ok(passes)
    }

    fn filter(&mut self, linktype: Linktype) -> Result<Option<&Filter>, FilterError> {
        if let Some(at) = self.filters.iter().position(|(known, _)| *known == linktype) {
            return Ok(self.filters.get(at).map(|(_, filter)| filter));
        }
        if !linktype.is_supported() {
            return Ok(None);
        }
        self.filters.push((linktype, Filter::compile(&self.expression, linktype)?));
        Ok(self.filters.last().map(|(_, filter)| filter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXPRESSIONS: [&str; 14] = [
        "tcp",
        "udp port 53",
        "not port 22",
        "ip6 and tcp portrange 1-1024",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "vlan and ip",
        "vlan 5 and vlan 7 and udp",
        "net 10.0.0.0/8 and greater 100",
        "ip[0] & 0xf != 5",
        "less 64",
        "ether multicast or arp",
        "icmp[icmptype] == icmp-echo",
        "ip[2:2] % 7 = 3 or ip[2:2] / ip[9] > 3",
        "(tcp[2:2] << 3) - tcp[0:2] > (len | 1) * 2",
    ];

    /// Ethernet frames whose type, version and protocol are often ones that filters look for.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let ethertype = prop_oneof![Just([8, 0]), Just([0x86, 0xdd]), Just([0x81, 0]), Just([8, 6]), any::<[u8; 2]>()];
        (
            any::<[u8; 12]>(),
            ethertype,
            prop_oneof![Just(0x45), Just(0x60), any::<u8>()],
            prop::collection::vec(any::<u8>(), 0..90),
            prop_oneof![Just(6), Just(17), Just(1)],
        )
            .prop_map(|(addresses, ethertype, first, mut rest, protocol)| {
                if let Some(byte) = rest.get_mut(8) {
                    *byte = protocol;
                }
                [&addresses[..], &ethertype, &[first], &rest].concat()
            })
    }

    proptest! {
        #[test]
        fn whole_frames_pass_as_libpcap_passes_them(bytes in frame(), cut in 0_usize..120) {
            let bytes = &bytes[..bytes.len().min(cut)];
            let handle = Capture::dead(pcap::Linktype::ETHERNET).unwrap();
            for expression in EXPRESSIONS {
                let theirs = handle.compile(expression, true).unwrap().filter(bytes);
                let ours = Filter::compile(expression, Linktype::Ethernet).unwrap();
                prop_assert_eq!(ours.passes(bytes, u32::try_from(bytes.len()).unwrap()), theirs, "{}", expression);
            }
        }
    }

    #[test]
    fn len_is_the_wire_length() {
        let filter = Filter::compile("greater 1000", Linktype::Ethernet).unwrap();
        assert!(filter.passes(&[0; 60], 1500) && !filter.passes(&[0; 60], 999));
    }

    #[test]
    fn a_test_of_bytes_that_were_not_captured_fails_the_filter() {
        let mut frame = [0; 34];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[23] = 17;
        assert!(Filter::compile("udp", Linktype::Ethernet).unwrap().passes(&frame, 100));
        assert!(!Filter::compile("not udp port 53", Linktype::Ethernet).unwrap().passes(&frame, 100));
    }

    #[test]
    fn an_error_names_expression_linktype_and_reason() {
        let error = Filter::compile("tcp prot 443", Linktype::Ethernet).unwrap_err();
        assert_eq!(
            error.to_string(),
            "filter `tcp prot 443` does not compile for linktype EN10MB: libpcap: syntax error"
        );
        let error = Filter::compile("ether host 1:2:3:4:5:6", Linktype::Raw).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("filter `ether host 1:2:3:4:5:6` does not compile for linktype RAW: libpcap: ")
        );
        assert!(Filter::compile("tcp\0", Linktype::Ethernet).is_err());
    }

    #[test]
    fn every_link_type_that_is_read_has_programs_of_its_own() {
        let mut ipv4 = vec![0; 20];
        ipv4[0] = 0x45;
        ipv4[9] = 6;
        let sll = [&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], &ipv4[..]].concat();
        let sll2 = [&[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0], &ipv4[..]].concat();
        let null = [&2_u32.to_ne_bytes(), &ipv4[..]].concat();
        let loopback = [&[0, 0, 0, 2], &ipv4[..]].concat();
        for (linktype, bytes) in [
            (Linktype::LinuxSll, &sll),
            (Linktype::LinuxSll2, &sll2),
            (Linktype::Raw, &ipv4),
            (Linktype::Ipv4, &ipv4),
            (Linktype::Null, &null),
            (Linktype::Loop, &loopback),
        ] {
            let wire_len = u32::try_from(bytes.len()).unwrap();
            assert!(Filter::compile("tcp", linktype).unwrap().passes(bytes, wire_len), "{linktype}");
            assert!(!Filter::compile("udp", linktype).unwrap().passes(bytes, wire_len), "{linktype}");
        }
    }

    #[test]
    fn an_expression_for_no_link_type_is_refused_at_once_and_one_for_some_is_not() {
        assert_eq!(FilterSet::new("tcp prot 443").unwrap_err().linktype, Linktype::Ethernet);
        assert!(FilterSet::new("ether host 1:2:3:4:5:6").is_ok());
    }
}
