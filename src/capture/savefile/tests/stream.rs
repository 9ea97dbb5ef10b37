//! Where the bytes come from: compression, slow readers, FIFOs, progress.

use super::super::incomplete::Damage;
use super::super::record::ByteOrder::Little;
use super::writer::{MICRO, classic_header, classic_record};
use super::{Collected, drain, fault, files, incomplete, read};
use crate::capture::{Adapter, Input, Options, Poll, Progress, Savefiles};
use std::io::{self, Read, Write};
use std::time::Duration;

fn capture() -> Vec<u8> {
    let mut file = classic_header(Little, MICRO, 1);
    for n in 0..200_u8 {
        file.extend(classic_record(Little, (u32::from(n), 0), &vec![n; usize::from(n)], 60));
    }
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 0).unwrap()
}

/// Gives one byte, then has nothing, then gives the next.
struct Dripping {
    bytes: io::Cursor<Vec<u8>>,
    dry: bool,
}

impl Read for Dripping {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.dry = !self.dry;
        if self.dry { Err(io::ErrorKind::WouldBlock.into()) } else { self.bytes.read(&mut into[..1]) }
    }
}

#[test]
fn compressed_captures_in_several_parts_read_like_plain_ones() {
    let plain = capture();
    let whole = read(&plain).0;
    for compress in [gzip, zstd] {
        assert_eq!(read(&compress(&plain)).0.0, whole.0);
        let (front, back) = plain.split_at(1000);
        assert_eq!(read(&[compress(front), compress(back)].concat()).0.0, whole.0);
    }
}

#[test]
fn a_source_that_drips_is_idle_between_and_loses_nothing() {
    let plain = capture();
    let whole = read(&plain).0;
    for bytes in [plain.clone(), gzip(&plain), zstd(&plain)] {
        let drip = Dripping { bytes: io::Cursor::new(bytes), dry: false };
        let mut savefiles = Savefiles::from_reader("x", drip, &Options::default()).unwrap();
        let mut collected = Collected::default();
        let mut idle = 0;
        loop {
            match savefiles.poll(Duration::ZERO, &mut collected).unwrap() {
                Poll::Idle => idle += 1,
                Poll::Frames => {}
                Poll::End => break,
            }
        }
        assert!(idle > 100);
        assert_eq!(collected.0, whole.0);
        assert_eq!(incomplete(&savefiles), None);
    }
}

#[test]
fn compressed_data_that_end_early_leave_what_came_before() {
    // Long enough for several blocks of the compression.
    let plain = [capture(), capture()[24..].repeat(50)].concat();
    for (name, whole) in [("gzip", gzip(&plain)), ("zstd", zstd(&plain))] {
        let (frames, savefiles) = read(&whole[..whole.len() - 3]);
        let incomplete = incomplete(&savefiles).unwrap();
        assert_eq!(incomplete.damage, Damage::Compression("cut short".into()), "{name}");
        assert_eq!(incomplete.frames, frames.0.len() as u64);
        assert!(incomplete.frames > 1000);
        assert_eq!(fault(&whole[..4]), "`dir/test.pcap` has bad compressed data: cut short", "{name}");
    }
}

#[test]
fn damaged_compressed_data_are_told_from_a_damaged_capture() {
    let plain = capture();
    let mut damaged = gzip(&plain);
    let crc = damaged.len() - 8;
    damaged[crc] ^= 1;
    let (frames, savefiles) = read(&damaged);
    assert_eq!(frames.0.len(), 200);
    assert!(matches!(&incomplete(&savefiles).unwrap().damage, Damage::Compression(why) if why.contains("checksum")));
}

#[test]
fn a_failing_disk_is_no_damaged_capture() {
    struct Failing(bool);
    impl Read for Failing {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(io::Error::other("disk on fire"));
            }
            into[..24].copy_from_slice(&classic_header(Little, MICRO, 1));
            Ok(24)
        }
    }
    let mut savefiles = Savefiles::from_reader("x", io::BufReader::new(Failing(false)), &Options::default()).unwrap();
    let error = drain(&mut savefiles).unwrap_err();
    assert_eq!(error.to_string(), "reading `x` failed at byte 24");
    assert!(!error.is_usage());
}

#[test]
fn progress_counts_stored_bytes_up_to_the_total() {
    let stored = gzip(&capture());
    let total = stored.len() as u64;
    let (_dir, inputs) = files(&[("a.pcap.gz", stored), ("b.pcap", capture())]);
    let mut savefiles = Savefiles::open(&inputs[..1], &Options::default()).unwrap();
    drain(&mut savefiles).unwrap();
    assert_eq!(savefiles.progress(), Progress { read: total, total: Some(total) });

    let mut savefiles = Savefiles::open(&inputs, &Options::default()).unwrap();
    drain(&mut savefiles).unwrap();
    let both = total + capture().len() as u64;
    assert_eq!(savefiles.progress(), Progress { read: both, total: Some(both) });
}

#[test]
fn what_is_no_file_of_captures_is_refused_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str, contents: Option<&[u8]>| {
        let path = dir.path().join(name);
        if let Some(contents) = contents {
            std::fs::write(&path, contents).unwrap();
        }
        let error = Savefiles::open(&[Input::Path(path)], &Options::default()).unwrap_err();
        assert!(error.is_usage());
        error.to_string().replace(&format!("{}{}", dir.path().display(), std::path::MAIN_SEPARATOR), "")
    };
    assert_eq!(open("missing", None), "cannot open `missing`");
    assert_eq!(open("empty", Some(b"")), "`empty` is empty, not a capture");
    assert_eq!(open("short", Some(b"abc")), "`short` is not a capture: it begins with 61 62 63");
    assert_eq!(open("x.xz", Some(b"\xfd7zXZ\0")), "`x.xz` is not a capture: it begins with fd 37 7a 58 (xz)");
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    assert_eq!(open("folder", None), "`folder` is a directory, not a capture");
    assert_eq!(Savefiles::open(&[], &Options::default()).unwrap_err().to_string(), "0 capture files, allowed 1 to 512");
}

#[cfg(unix)]
#[test]
fn a_fifo_is_idle_until_its_writer_comes_and_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut savefiles = Savefiles::open(&[Input::Path(path.clone())], &Options::default()).unwrap();
    let mut collected = Collected::default();
    assert_eq!(savefiles.poll(Duration::ZERO, &mut collected).unwrap(), Poll::Idle);
    let mut writer = std::fs::File::options().write(true).open(&path).unwrap();
    assert_eq!(savefiles.poll(Duration::ZERO, &mut collected).unwrap(), Poll::Idle);
    let capture = capture();
    writer.write_all(&capture[..10]).unwrap();
    assert_eq!(savefiles.poll(Duration::ZERO, &mut collected).unwrap(), Poll::Idle);
    writer.write_all(&capture[10..]).unwrap();
    drop(writer);
    let rest = drain(&mut savefiles).unwrap();
    assert_eq!(rest.0.len(), 200);
    assert_eq!(savefiles.progress().total, None);
}
