//! Crash images: what could be on the disk after power went at any point.

use super::tools::{BIRTH, keeping_all, mix, records, second, summed};
use crate::history::batch::{self, Batch};
use crate::history::database;
use crate::history::prune;
use crate::history::shared::Shared;
use crate::history::{Reader, Second, Tier};
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex};

/// One thing that redb asked the file for.
#[derive(Clone, Debug)]
enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

/// A file in memory that remembers everything that was asked of it.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<(Vec<u8>, Vec<Op>)>>);

impl Recorder {
    fn holding(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new((image, Vec::new()))))
    }

    fn ops(&self) -> Vec<Op> {
        self.0.lock().unwrap().1.clone()
    }

    fn is_synced_to(&self) -> usize {
        let file = self.0.lock().unwrap();
        file.1.iter().rposition(|op| matches!(op, Op::Sync)).unwrap_or(0)
    }
}

fn apply(image: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(at, bytes) => {
            let at = usize::try_from(*at).unwrap();
            if image.len() < at + bytes.len() {
                image.resize(at + bytes.len(), 0);
            }
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
        Op::SetLen(len) => image.resize(usize::try_from(*len).unwrap(), 0),
        Op::Sync => {}
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().0.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let file = self.0.lock().unwrap();
        let at = usize::try_from(offset).unwrap();
        let bytes = file.0.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut file = self.0.lock().unwrap();
        apply(&mut file.0, &Op::SetLen(len));
        file.1.push(Op::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.lock().unwrap().1.push(Op::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut file, op) = (self.0.lock().unwrap(), Op::Write(offset, data.to_vec()));
        apply(&mut file.0, &op);
        file.1.push(op);
        Ok(())
    }
}

/// What was written, and up to where the disk had promised to have it when the commit returned.
struct Workload {
    ops: Vec<Op>,
    /// By batch number: the seconds that the store holds after it, and the sync that made it durable.
    commits: Vec<(u64, Vec<Second>, usize)>,
    /// The sync before which the store was still being made.
    made: usize,
}

/// Commits of some seconds each, over minute and hour ends, with pruning in between.
fn workload(seed: u64) -> Workload {
    let recorder = Recorder::default();
    let (database, mut state) = database::open(recorder.clone(), 4 << 20, false, BIRTH).unwrap();
    let (made, mut commits, mut seconds, mut config) = (recorder.is_synced_to(), Vec::new(), Vec::new(), keeping_all());
    config.retention[0] = std::time::Duration::from_secs(1 << 40);
    let mut start = 3_599_950 + seed % 7;
    for number in 0..60 {
        let mut batch = Batch::default();
        for _ in 0..=mix(seed + number) % 4 {
            batch.seconds.extend([second("eth0", start), second("eth1", start)]);
            start += 1;
        }
        seconds.extend(batch.seconds.iter().cloned());
        batch::commit(&database, &mut state, &batch, &config).unwrap();
        commits.push((state.batch, seconds.clone(), recorder.is_synced_to()));
        if number % 25 == 24 {
            // Nothing is old enough to go: only the commit itself can break something.
            prune::by_size(&database, &mut state, 0).unwrap();
            commits.push((state.batch, seconds.clone(), recorder.is_synced_to()));
        }
    }
    Workload { ops: recorder.ops(), commits, made }
}

/// Ways in which the writes since the last sync may have reached the disk.
fn survives(way: u64, at: usize, count: usize, choice: u64) -> bool {
    match way {
        0 => false,
        1 => true,
        way if way < 2 + count as u64 => at as u64 != way - 2,
        _ => mix(choice + at as u64).is_multiple_of(2),
    }
}

fn image(ops: &[Op], synced: usize, next: usize, way: u64, choice: u64) -> Vec<u8> {
    let mut image = Vec::new();
    ops[..synced].iter().for_each(|op| apply(&mut image, op));
    let pending = &ops[synced..next];
    let torn = (choice.is_multiple_of(3)).then(|| usize::try_from(choice / 3).unwrap() % pending.len().max(1));
    for (at, op) in pending.iter().enumerate() {
        match op {
            // Only the first sectors of it.
            Op::Write(offset, bytes) if torn == Some(at) => {
                let sectors = bytes.len().div_ceil(512);
                let kept = usize::try_from(mix(choice)).unwrap_or(0) % (sectors + 1) * 512;
                apply(&mut image, &Op::Write(*offset, bytes[..kept.min(bytes.len())].to_vec()));
            }
            op if survives(way, at, pending.len(), choice) => apply(&mut image, op),
            _ => {}
        }
    }
    image
}

fn check(work: &Workload, synced: usize, image: Vec<u8>, is_verified: bool) {
    let opened = database::open(Recorder::holding(image), 4 << 20, is_verified, BIRTH);
    let (database, state) = match opened {
        Ok(opened) => opened,
        Err(fault) => panic!("an image after sync {synced} does not open: {fault:?}"),
    };
    let promised = work.commits.iter().filter(|(_, _, durable)| *durable <= synced).map(|(batch, ..)| *batch).max();
    assert!(Some(state.batch) >= promised, "batch {promised:?} was acknowledged, {} is there", state.batch);
    let held = work.commits.iter().find(|(batch, ..)| *batch == state.batch).map_or(&[][..], |(_, seconds, _)| seconds);
    let reader = Reader::live(Arc::new(Shared::new(keeping_all(), Some(database))));
    for tier in Tier::ALL {
        assert_eq!(records(&reader, tier), summed(held, tier.seconds()), "{tier} after sync {synced}");
    }
}

/// 2,000 unless `HISTORY_IMAGES` says otherwise.
fn images() -> u64 {
    std::env::var("HISTORY_IMAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(2000)
}

#[test]
fn no_crash_image_loses_an_acknowledged_row_or_has_a_wrong_one() {
    let (images, mut made, mut seed) = (images(), 0, 1);
    'all: loop {
        let work = workload(seed);
        let syncs: Vec<_> = (0..work.ops.len()).filter(|at| matches!(work.ops[*at], Op::Sync)).collect();
        let after_birth = syncs.windows(2).filter(|pair| pair[0] >= work.made);
        for (turn, pair) in after_birth.enumerate() {
            let (synced, next) = (pair[0], pair[1]);
            let ways = 2 + (next - synced) as u64 + 4;
            // All ways at every interval would be many thousands: each round takes every seventh.
            for way in (0..ways).filter(|way| (way + turn as u64 + seed).is_multiple_of(7)) {
                let choice = mix(seed << 32 | made);
                check(&work, synced, image(&work.ops, synced, next, way, choice), made.is_multiple_of(2));
                made += 1;
                if made == images {
                    break 'all;
                }
            }
        }
        seed += 1;
    }
    println!("{made} crash images of {seed} workloads: nothing acknowledged was lost");
}

#[test]
fn a_store_that_was_cut_short_while_it_was_made_is_made_anew_or_set_aside() {
    let work = workload(1);
    for end in 0..=work.made {
        let mut image = Vec::new();
        work.ops[..end].iter().for_each(|op| apply(&mut image, op));
        // Either is fine, as nothing was in it yet; a panic would not be.
        let _ = database::open(Recorder::holding(image), 4 << 20, true, BIRTH);
    }
}
