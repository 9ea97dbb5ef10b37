//! The templates: which elements a record is made of (IANA IPFIX registry, RFC 7012; reverse ones by RFC 5103).

/// The enterprise number that marks an element as of the reverse direction (RFC 5103 section 6.1).
pub(super) const REVERSE: u32 = 29_305;

/// One field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// The information element.
    pub(super) element: u16,
    /// Bytes that it takes; [`Field::VARIABLE`] where the record says.
    pub(super) length: u16,
    /// Of the direction from the responder.
    pub(super) is_reverse: bool,
}

impl Field {
    pub(super) const VARIABLE: u16 = u16::MAX;

    const fn new(element: u16, length: u16) -> Self {
        Self { element, length, is_reverse: false }
    }

    const fn reverse(element: u16, length: u16) -> Self {
        Self { element, length, is_reverse: true }
    }
}

const OCTET_DELTA_COUNT: u16 = 1;
const PACKET_DELTA_COUNT: u16 = 2;
const PROTOCOL_IDENTIFIER: Field = Field::new(4, 1);
const TCP_CONTROL_BITS: u16 = 6;
const SOURCE_TRANSPORT_PORT: Field = Field::new(7, 2);
const SOURCE_IPV4_ADDRESS: Field = Field::new(8, 4);
const INGRESS_INTERFACE: Field = Field::new(10, 4);
const DESTINATION_TRANSPORT_PORT: Field = Field::new(11, 2);
const DESTINATION_IPV4_ADDRESS: Field = Field::new(12, 4);
const SOURCE_IPV6_ADDRESS: Field = Field::new(27, 16);
const DESTINATION_IPV6_ADDRESS: Field = Field::new(28, 16);
const ICMP_TYPE_CODE_IPV4: u16 = 32;
const VLAN_ID: Field = Field::new(58, 2);
const INTERFACE_NAME: Field = Field::new(82, Field::VARIABLE);
const FLOW_END_REASON: Field = Field::new(136, 1);
const ICMP_TYPE_CODE_IPV6: u16 = 139;
const FLOW_ID: Field = Field::new(148, 8);
const OBSERVATION_DOMAIN_ID: Field = Field::new(149, 4);
const FLOW_START_MILLISECONDS: Field = Field::new(152, 8);
const FLOW_END_MILLISECONDS: Field = Field::new(153, 8);
const BIFLOW_DIRECTION: Field = Field::new(239, 1);
const SELECTOR_ALGORITHM: Field = Field::new(304, 2);
const SAMPLING_PACKET_INTERVAL: Field = Field::new(305, 4);
const SAMPLING_PACKET_SPACE: Field = Field::new(306, 4);

/// Names of interfaces; the first field is the scope.
pub(super) const INTERFACES: u16 = 260;
/// How packets were chosen; the first field is the scope.
pub(super) const SAMPLING: u16 = 261;

pub(super) const OF_INTERFACES: &[Field] = &[INGRESS_INTERFACE, INTERFACE_NAME];
pub(super) const OF_SAMPLING: &[Field] =
    &[OBSERVATION_DOMAIN_ID, SELECTOR_ALGORITHM, SAMPLING_PACKET_INTERVAL, SAMPLING_PACKET_SPACE];

/// What tells the templates of flows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) is_ipv6: bool,
    pub(super) is_icmp: bool,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [
        Self { is_ipv6: false, is_icmp: false },
        Self { is_ipv6: true, is_icmp: false },
        Self { is_ipv6: false, is_icmp: true },
        Self { is_ipv6: true, is_icmp: true },
    ];

    /// The template's number.
    pub(super) const fn template(self) -> u16 {
        256 + self.is_ipv6 as u16 + 2 * self.is_icmp as u16
    }

    /// The fields in the order in which [`record`](super::record) writes them.
    pub(super) fn fields(self, biflow: bool) -> Vec<Field> {
        let addresses = match self.is_ipv6 {
            true => [SOURCE_IPV6_ADDRESS, DESTINATION_IPV6_ADDRESS],
            false => [SOURCE_IPV4_ADDRESS, DESTINATION_IPV4_ADDRESS],
        };
        let control = match (self.is_icmp, self.is_ipv6) {
            // One byte, which RFC 7125 allows: pmacct reads two as none.
            (false, _) => (TCP_CONTROL_BITS, 1),
            (true, false) => (ICMP_TYPE_CODE_IPV4, 2),
            (true, true) => (ICMP_TYPE_CODE_IPV6, 2),
        };
        let mut fields = vec![FLOW_START_MILLISECONDS, FLOW_END_MILLISECONDS];
        fields.extend(addresses);
        if !self.is_icmp {
            fields.extend([SOURCE_TRANSPORT_PORT, DESTINATION_TRANSPORT_PORT]);
        }
        fields.extend([PROTOCOL_IDENTIFIER, FLOW_END_REASON, VLAN_ID, INGRESS_INTERFACE, FLOW_ID]);
        let direction = [(OCTET_DELTA_COUNT, 8), (PACKET_DELTA_COUNT, 8), control];
        fields.extend(direction.map(|(element, length)| Field::new(element, length)));
        if biflow {
            // The type of a reply would be taken for that of the flow: collectors map both to one column.
            let both = if self.is_icmp { &direction[..2] } else { &direction };
            fields.extend(both.iter().map(|(element, length)| Field::reverse(*element, *length)));
            fields.push(BIFLOW_DIRECTION);
        }
        fields
    }
}

/// Appends a template record (RFC 7011 section 3.4.1).
pub(super) fn append(bytes: &mut Vec<u8>, template: u16, fields: &[Field]) {
    bytes.extend(template.to_be_bytes());
    bytes.extend(count(fields).to_be_bytes());
    append_fields(bytes, fields);
}

/// Appends an options template record whose first field is the scope (section 3.4.2).
pub(super) fn append_options(bytes: &mut Vec<u8>, template: u16, fields: &[Field]) {
    bytes.extend(template.to_be_bytes());
    bytes.extend(count(fields).to_be_bytes());
    bytes.extend(1_u16.to_be_bytes());
    append_fields(bytes, fields);
}

fn append_fields(bytes: &mut Vec<u8>, fields: &[Field]) {
    for field in fields {
        let enterprise_bit = if field.is_reverse { 0x8000 } else { 0 };
        bytes.extend((field.element | enterprise_bit).to_be_bytes());
        bytes.extend(field.length.to_be_bytes());
        if field.is_reverse {
            bytes.extend(REVERSE.to_be_bytes());
        }
    }
}

/// Templates have a few fields.
fn count(fields: &[Field]) -> u16 {
    u16::try_from(fields.len()).unwrap_or(u16::MAX)
}
