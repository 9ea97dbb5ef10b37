//! Any bytes as a capture file: no panic, bounded frames, and of plain files the same result whatever the size of reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netmon::capture::{Adapter, FrameSink, InterfaceInfo, Options, Poll, Savefiles};
use netmon::packet::Frame;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Cursor;
use std::time::Duration;

/// Counts frames, and mixes all that is in them.
#[derive(Default)]
struct Digest {
    frames: u64,
    interfaces: usize,
    hasher: DefaultHasher,
}

impl FrameSink for Digest {
    fn interface(&mut self, info: &InterfaceInfo) {
        self.interfaces = self.interfaces.max(usize::from(info.id.0) + 1);
        (self.frames, info.id, &info.name).hash(&mut self.hasher);
    }

    fn frames(&mut self, frames: &[Frame<'_>]) {
        assert!(!frames.is_empty() && frames.len() <= 64);
        for Frame { meta, bytes } in frames {
            assert!(usize::from(meta.interface.0) < self.interfaces, "a frame before its interface");
            assert!(meta.caplen as usize == bytes.len() && bytes.len() <= 262_144);
            (meta.timestamp, meta.timed, meta.interface, meta.linktype, meta.wire_len).hash(&mut self.hasher);
            (meta.direction, bytes).hash(&mut self.hasher);
            self.frames += 1;
        }
    }
}

/// Digest and outcome of reading `bytes` to the end.
fn read(bytes: &[u8], options: &Options) -> (u64, u64, String) {
    let mut digest = Digest::default();
    let mut savefiles = Savefiles::from_reader("fuzz.pcap", Cursor::new(bytes.to_vec()), options).expect("a good filter");
    let outcome = loop {
        match savefiles.poll(Duration::ZERO, &mut digest) {
            Ok(Poll::End) => {
                let incomplete: Vec<String> = savefiles.incomplete().map(ToString::to_string).collect();
                break format!("{} {incomplete:?} {:?}", savefiles.bad_timestamps(), savefiles.interfaces());
            }
            Ok(Poll::Frames) => {}
            Ok(Poll::Idle) => unreachable!("a cursor is never idle"),
            Err(error) => break format!("{error} {:?}", error.hint()),
        }
    };
    (digest.frames, digest.hasher.finish(), outcome)
}

fuzz_target!(|input: (u16, bool, &[u8])| {
    let (block_bytes, filtered, bytes) = input;
    let bpf = filtered.then(|| "tcp port 80 or udp and len > 100 or vlan".to_owned());
    let options = Options { bpf, ..Options::default() };
    let whole = read(bytes, &options);
    // What a decoder gives out in front of damaged data depends on how much is asked of it.
    if bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return;
    }
    let block_bytes = Some(usize::from(block_bytes));
    assert_eq!(read(bytes, &Options { block_bytes, ..options }), whole);
});
