//! Several files as one stream of frames in the order of their record times.

use super::file::{File, Progressed, Stop, frame};
use super::record::Record;
use super::registry::Registry;
use super::source::Source;
use super::{Batch, passes};
use crate::capture::filter::FilterSet;
use crate::capture::{CaptureError, FrameSink, Poll};
use crate::time::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// The next record of every file, least time first; equal times in the order the files were named.
///
/// A file's own order stays: a record that is earlier than the one before it is simply next. A record without a usable
/// time goes by the last usable one of its file.
#[derive(Debug, Default)]
pub(super) struct Merge {
    order: BinaryHeap<Reverse<(Timestamp, usize)>>,
    heads: Vec<Head>,
}

/// Where one file stands.
#[derive(Debug, Default)]
struct Head {
    /// The record that is next, if it was found.
    record: Option<Record>,
    /// Where in the block it begins, or reading goes on.
    at: usize,
    /// The last usable time.
    time: Timestamp,
}

impl Merge {
    /// Hands out records until one of the files needs to be read on.
    pub(super) fn poll(
        &mut self,
        sources: &mut [Source],
        files: &mut [File],
        registry: &mut Registry,
        filters: Option<&mut FilterSet>,
        wait: Duration,
        sink: &mut dyn FrameSink,
    ) -> Result<Poll, CaptureError> {
        self.heads.resize_with(files.len(), Head::default);
        for (number, (source, file)) in sources.iter_mut().zip(files.iter_mut()).enumerate() {
            if !self.find_head(number, source, file, registry, wait)? {
                return Ok(Poll::Idle);
            }
        }
        if self.order.is_empty() {
            return Ok(Poll::End);
        }
        let stopped = self.hand_out(sources, files, registry, filters, sink)?;
        for (source, head) in sources.iter_mut().zip(&mut self.heads) {
            source.consume(std::mem::take(&mut head.at));
        }
        if let Some((number, stop)) = stopped
            && let (Some(source), Some(file)) = (sources.get(number), files.get_mut(number))
        {
            file.settle(source, stop)?;
        }
        Ok(Poll::Frames)
    }

    /// Finds the next record of a file that has none yet, reading on; `false` where nothing came within the wait.
    fn find_head(
        &mut self,
        number: usize,
        source: &mut Source,
        file: &mut File,
        registry: &mut Registry,
        wait: Duration,
    ) -> Result<bool, CaptureError> {
        let Some(head) = self.heads.get_mut(number) else { return Ok(true) };
        while head.record.is_none() {
            match file.advance(source, registry, wait)? {
                Progressed::Idle => return Ok(false),
                Progressed::End => return Ok(true),
                Progressed::Ready => {}
            }
            let next = file.next_record(source.bytes(), 0, registry);
            source.consume(next.at);
            match next.found {
                Ok(record) => self.order.push(head.take(record, number)),
                Err(stop) => file.settle(source, stop)?,
            }
        }
        Ok(true)
    }

    /// Hands out records in order until a file has no whole one in its block; that file and why.
    fn hand_out(
        &mut self,
        sources: &[Source],
        files: &mut [File],
        registry: &mut Registry,
        mut filters: Option<&mut FilterSet>,
        sink: &mut dyn FrameSink,
    ) -> Result<Option<(usize, Stop)>, CaptureError> {
        let mut batch = Batch::new();
        let mut stopped = None;
        registry.announce(&mut batch, sink);
        while let Some(Reverse((_, number))) = self.order.pop() {
            let (Some(source), Some(file), Some(head)) =
                (sources.get(number), files.get_mut(number), self.heads.get_mut(number))
            else {
                break;
            };
            let bytes = source.bytes();
            if let Some(record) = head.record.take() {
                let frame = frame(&record, bytes.get(head.at..).unwrap_or_default());
                head.at += record.size;
                match passes(filters.as_deref_mut(), frame) {
                    Ok(true) => batch.push(frame, sink),
                    Ok(false) => {}
                    Err(error) => {
                        batch.flush(sink);
                        return Err(error.into());
                    }
                }
            }
            let next = file.next_record(bytes, head.at, registry);
            registry.announce(&mut batch, sink);
            head.at = next.at;
            match next.found {
                Ok(record) => self.order.push(head.take(record, number)),
                Err(stop) => {
                    stopped = Some((number, stop));
                    break;
                }
            }
        }
        batch.flush(sink);
        Ok(stopped)
    }
}

impl Head {
    /// Makes `record` the next one of file `number`; its place in the order.
    fn take(&mut self, record: Record, number: usize) -> Reverse<(Timestamp, usize)> {
        if record.meta.timed {
            self.time = record.meta.timestamp;
        }
        self.record = Some(record);
        Reverse((self.time, number))
    }
}
