//! Messages: a header and sets of records (RFC 7011 section 3).

use super::record;
use super::template::{self, Kind};
use crate::export::Flow;
use crate::time::Timestamp;
use std::sync::Arc;

const VERSION: u16 = 10;
const HEADER: usize = 16;
const SET_HEADER: usize = 4;
const TEMPLATES: u16 = 2;
const OPTIONS_TEMPLATES: u16 = 3;

/// What is behind the header: the same in whichever session it is sent, so that it can be sent again.
#[derive(Debug)]
pub(super) struct Body {
    /// Room for the header, then sets.
    bytes: Vec<u8>,
    /// Which set is open, and where it begins.
    set: Option<(u16, usize)>,
    /// Data records.
    records: u32,
    limit: usize,
    /// One flow's records, for as long as it takes to see whether they fit.
    scratch: Vec<u8>,
}

impl Body {
    /// An empty one for messages of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        let bytes = Vec::with_capacity(limit);
        let mut body = Self { bytes, set: None, records: 0, limit: limit.min(u16::MAX.into()), scratch: Vec::new() };
        body.clear();
        body
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(HEADER, 0);
        (self.set, self.records) = (None, 0);
    }

    /// Data records in it.
    pub(super) fn records(&self) -> u32 {
        self.records
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER
    }

    /// Appends the records of a flow, unless they do not fit any more.
    pub(super) fn push(&mut self, flow: &Flow, biflow: bool) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let (kind, records) = record::append(&mut scratch, flow, biflow);
        let fits = self.push_records(kind.template(), &scratch, records);
        self.scratch = scratch;
        fits
    }

    fn push_records(&mut self, set: u16, records: &[u8], count: u32) -> bool {
        let is_open = self.set.is_some_and(|(open, _)| open == set);
        let more = records.len() + if is_open { 0 } else { SET_HEADER };
        if self.bytes.len() + more > self.limit {
            return false;
        }
        self.open(set);
        self.bytes.extend_from_slice(records);
        self.records += count;
        true
    }

    fn open(&mut self, set: u16) {
        if self.set.is_none_or(|(open, _)| open != set) {
            self.close();
            self.set = Some((set, self.bytes.len()));
            self.bytes.extend(set.to_be_bytes());
            self.bytes.extend([0; 2]);
        }
    }

    fn close(&mut self) {
        if let Some((_, start)) = self.set.take() {
            let length = length(self.bytes.len() - start);
            self.bytes[start + 2..start + SET_HEADER].copy_from_slice(&length.to_be_bytes());
        }
    }

    /// All templates.
    pub(super) fn templates(biflow: bool, limit: usize) -> Self {
        let mut body = Self::new(limit);
        body.open(TEMPLATES);
        for kind in Kind::ALL {
            template::append(&mut body.bytes, kind.template(), &kind.fields(biflow));
        }
        body.open(OPTIONS_TEMPLATES);
        template::append_options(&mut body.bytes, template::INTERFACES, template::OF_INTERFACES);
        template::append_options(&mut body.bytes, template::SAMPLING, template::OF_SAMPLING);
        body
    }

    /// How packets were chosen in this domain: each of them.
    pub(super) fn sampling(domain: u32, limit: usize) -> Self {
        let mut record = Vec::new();
        record.extend(domain.to_be_bytes());
        // Systematic count-based sampling (IANA psamp-parameters), one packet of every one, none left out.
        record.extend(1_u16.to_be_bytes());
        record.extend(1_u32.to_be_bytes());
        record.extend(0_u32.to_be_bytes());
        let mut body = Self::new(limit);
        body.push_records(template::SAMPLING, &record, 1);
        body
    }

    /// Appends the name of an interface, unless it does not fit any more.
    pub(super) fn push_interface(&mut self, number: u32, name: &str) -> bool {
        let mut record = Vec::from(number.to_be_bytes());
        let name = &name.as_bytes()[..name.floor_char_boundary(MAX_NAME)];
        // Section 7: below 255 the length is one byte.
        record.extend(u8::try_from(name.len()));
        record.extend(name);
        self.push_records(template::INTERFACES, &record, 1)
    }
}

/// Bytes of an interface's name; those of systems are shorter, those of files can be anything.
const MAX_NAME: usize = 250;

/// Messages of one session, which count their data records.
#[derive(Debug)]
pub(super) struct Session {
    domain: u32,
    sequence: u32,
}

impl Session {
    pub(super) fn new(domain: u32) -> Self {
        Self { domain, sequence: 0 }
    }

    /// The whole message, stamped with `now`.
    pub(super) fn seal<'b>(&mut self, body: &'b mut Body, now: Timestamp) -> &'b [u8] {
        body.close();
        let seconds = u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX);
        let mut header = Vec::with_capacity(HEADER);
        header.extend(VERSION.to_be_bytes());
        header.extend(length(body.bytes.len()).to_be_bytes());
        for word in [seconds, self.sequence, self.domain] {
            header.extend(word.to_be_bytes());
        }
        body.bytes[..HEADER].copy_from_slice(&header);
        self.sequence = self.sequence.wrapping_add(body.records);
        &body.bytes
    }
}

/// A body is never longer than its limit.
fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// An interface's name and the number that flows give.
pub(super) type Named = (u32, Arc<str>);

/// Bodies that name these interfaces.
pub(super) fn interfaces<'a>(named: impl Iterator<Item = &'a Named>, limit: usize) -> Vec<Body> {
    let mut bodies = vec![Body::new(limit)];
    for (number, name) in named {
        let is_in = bodies.last_mut().is_some_and(|body| body.push_interface(*number, name));
        if !is_in {
            let mut body = Body::new(limit);
            body.push_interface(*number, name);
            bodies.push(body);
        }
    }
    bodies.retain(|body| !body.is_empty());
    bodies
}
