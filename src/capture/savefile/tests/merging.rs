//! Several files at once.

use super::super::record::ByteOrder::{Big, Little};
use super::writer::{MICRO, classic_header, classic_record, enhanced, interface, section, simple};
use super::{Collected, drain, files};
use crate::capture::{Adapter, Incomplete, Options, Savefiles};
use crate::packet::InterfaceId;
use proptest::prelude::*;

/// A classic file with a record of one byte for each time.
fn at_times(mark: u8, times: &[u32]) -> Vec<u8> {
    let mut file = classic_header(Big, MICRO, 1);
    for time in times {
        file.extend(classic_record(Big, (*time, 0), &[mark], 60));
    }
    file
}

fn merged(contents: &[(&str, Vec<u8>)], options: &Options) -> (Collected, Savefiles) {
    let (_dir, inputs) = files(contents);
    let mut savefiles = Savefiles::open(&inputs, options).unwrap();
    (drain(&mut savefiles).unwrap(), savefiles)
}

fn marks_and_seconds(collected: &Collected) -> Vec<(u8, u64)> {
    collected.0.iter().map(|(meta, bytes)| (bytes[0], meta.timestamp.as_nanos() / 1_000_000_000)).collect()
}

#[test]
fn records_come_in_the_order_of_their_times_and_equal_times_in_that_of_the_files() {
    let contents = [("a.pcap", at_times(b'a', &[1, 4, 4, 9])), ("b.pcap", at_times(b'b', &[2, 4, 5]))];
    let (frames, savefiles) = merged(&contents, &Options::default());
    let expected = [(b'a', 1), (b'b', 2), (b'a', 4), (b'a', 4), (b'b', 4), (b'b', 5), (b'a', 9)];
    assert_eq!(marks_and_seconds(&frames), expected);
    let names: Vec<_> = savefiles.interfaces().iter().map(|info| &info.name[..]).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_file_keeps_its_own_order_where_its_times_go_back() {
    let contents = [("a.pcap", at_times(b'a', &[5, 1, 6])), ("b.pcap", at_times(b'b', &[4, 5, 7]))];
    let expected = [(b'b', 4), (b'a', 5), (b'a', 1), (b'b', 5), (b'a', 6), (b'b', 7)];
    assert_eq!(marks_and_seconds(&merged(&contents, &Options::default()).0), expected);
}

#[test]
fn records_without_a_usable_time_stay_behind_the_one_before_them() {
    let mut untimed = [section(Little), interface(Little, 1, 0, &[])].concat();
    untimed.extend(simple(Little, b"a", 1));
    untimed.extend(enhanced(Little, 0, 3_000_000, b"b", 1, &[]));
    untimed.extend(enhanced(Little, 0, u64::MAX, b"c", 1, &[]));
    untimed.extend(enhanced(Little, 0, 8_000_000, b"d", 1, &[]));
    let contents = [("x.pcap", at_times(b'x', &[1, 5])), ("u.pcapng", untimed)];
    let marks: Vec<u8> = merged(&contents, &Options::default()).0.0.iter().map(|(_, bytes)| bytes[0]).collect();
    assert_eq!(marks, b"axbcxd");
}

#[test]
fn equal_names_are_one_interface() {
    let named =
        [section(Little), interface(Little, 113, 0, &[(2, b"a")]), enhanced(Little, 0, 1, b"n", 1, &[])].concat();
    let (frames, savefiles) = merged(&[("a.pcap", at_times(b'a', &[1])), ("n.pcapng", named)], &Options::default());
    assert_eq!(savefiles.interfaces().len(), 1);
    assert_eq!(savefiles.interfaces()[0].linktypes.len(), 2);
    assert!(frames.0.iter().all(|(meta, _)| meta.interface == InterfaceId(0)));
}

#[test]
fn a_file_cut_short_does_not_stop_the_others() {
    let mut cut = at_times(b'a', &[1, 2, 3]);
    cut.pop();
    let (frames, savefiles) = merged(&[("a.pcap", cut), ("b.pcap", at_times(b'b', &[2, 9]))], &Options::default());
    assert_eq!(marks_and_seconds(&frames), [(b'a', 1), (b'a', 2), (b'b', 2), (b'b', 9)]);
    let incomplete: Vec<&Incomplete> = savefiles.incomplete().collect();
    assert_eq!(incomplete.len(), 1);
    assert!(incomplete[0].file.ends_with("a.pcap") && incomplete[0].frames == 2 && incomplete[0].offset == 24 + 2 * 17);
}

#[test]
fn a_filter_applies_to_every_file() {
    let contents = [("a.pcap", at_times(b'a', &[1])), ("b.pcap", at_times(b'b', &[2]))];
    let options = Options { bpf: Some("ether[0] = 0x62".into()), ..Options::default() };
    let (frames, savefiles) = merged(&contents, &options);
    assert_eq!((marks_and_seconds(&frames), savefiles.filtered()), (vec![(b'b', 2)], 1));
}

/// What merging means, said the slow way.
fn model(files: &[Vec<u32>]) -> Vec<(u8, u64)> {
    let mut next = vec![0; files.len()];
    let mut merged = Vec::new();
    while let Some(least) = (0..files.len()).filter(|n| next[*n] < files[*n].len()).min_by_key(|n| files[*n][next[*n]])
    {
        merged.push((u8::try_from(least).unwrap(), u64::from(files[least][next[least]])));
        next[least] += 1;
    }
    merged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn merging_agrees_with_the_model(times in prop::collection::vec(prop::collection::vec(0_u32..50, 0..40), 2..6), block_bytes in 1_usize..100) {
        let contents: Vec<_> = times.iter().enumerate().map(|(n, times)| (n.to_string(), at_times(u8::try_from(n).unwrap(), times))).collect();
        let contents: Vec<_> = contents.iter().map(|(name, bytes)| (&name[..], bytes.clone())).collect();
        let options = Options { block_bytes: Some(block_bytes), ..Options::default() };
        prop_assert_eq!(marks_and_seconds(&merged(&contents, &options).0), model(&times));
    }
}
