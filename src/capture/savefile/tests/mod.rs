//! Claims about reading capture files, one module each for what they are about.

mod bad;
mod classic;
#[cfg(not(windows))] // where the pcap crate leaves nanoseconds out
mod libpcap;
mod merging;
mod pcapng;
mod stream;
mod truth;
mod writer;

use super::record::ByteOrder;
use super::{Input, Options, Savefiles};
use crate::capture::{Adapter, CaptureError, FrameSink, Incomplete, Poll};
use crate::packet::{Frame, PacketMeta};
use std::time::Duration;

const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

/// Frames as they came, with a copy of their bytes.
#[derive(Debug, Default)]
struct Collected(Vec<(PacketMeta, Vec<u8>)>);

impl FrameSink for Collected {
    fn interface(&mut self, _: &crate::capture::InterfaceInfo) {}

    fn frames(&mut self, frames: &[Frame<'_>]) {
        assert!(frames.len() <= super::BATCH);
        for frame in frames {
            assert_eq!(frame.meta.caplen as usize, frame.bytes.len());
            self.0.push((frame.meta, frame.bytes.to_vec()));
        }
    }
}

impl Collected {
    fn nanos(&self) -> Vec<u64> {
        self.0.iter().map(|(meta, _)| meta.timestamp.as_nanos()).collect()
    }

    fn bytes(&self) -> Vec<&[u8]> {
        self.0.iter().map(|(_, bytes)| &bytes[..]).collect()
    }
}

/// Reads to the end.
fn drain(savefiles: &mut Savefiles) -> Result<Collected, CaptureError> {
    let mut collected = Collected::default();
    while savefiles.poll(Duration::from_secs(60), &mut collected)? != Poll::End {}
    Ok(collected)
}

fn read_with(bytes: &[u8], options: &Options) -> Result<(Collected, Savefiles), CaptureError> {
    let mut savefiles = Savefiles::from_reader("dir/test.pcap", std::io::Cursor::new(bytes.to_vec()), options)?;
    drain(&mut savefiles).map(|collected| (collected, savefiles))
}

fn read(bytes: &[u8]) -> (Collected, Savefiles) {
    read_with(bytes, &Options::default()).unwrap()
}

fn fault(bytes: &[u8]) -> String {
    read_with(bytes, &Options::default()).unwrap_err().to_string()
}

fn incomplete(savefiles: &Savefiles) -> Option<&Incomplete> {
    savefiles.incomplete().next()
}

/// Written to a file of this name in a new directory, as inputs that are merged.
fn files(contents: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, Vec<Input>) {
    let dir = tempfile::tempdir().unwrap();
    let inputs = contents.iter().map(|(name, bytes)| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Input::Path(path)
    });
    let inputs = inputs.collect();
    (dir, inputs)
}
