//! Against libpcap's own reader.

use super::ORDERS;
use super::read;
use super::writer::{MICRO, NANO, classic_header, classic_record};
use proptest::prelude::*;

/// A record as both readers see it: nanoseconds, wire length, bytes.
type Seen = (u64, u32, Vec<u8>);

/// The records that libpcap gives, and whether it came to the end without an error.
fn by_libpcap(file: &[u8]) -> (Vec<Seen>, bool) {
    let mut stored = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut stored, file).unwrap();
    let mut capture = pcap::Capture::from_file_with_precision(stored.path(), pcap::Precision::Nano).unwrap();
    let mut seen = Vec::new();
    loop {
        match capture.next_packet() {
            Ok(packet) => {
                let time = packet.header.ts;
                let nanos = u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_usec).unwrap();
                seen.push((nanos, packet.header.len, packet.data.to_vec()));
            }
            Err(pcap::Error::NoMorePackets) => return (seen, true),
            Err(_) => return (seen, false),
        }
    }
}

fn record() -> impl Strategy<Value = (u32, u32, Vec<u8>, u32)> {
    // Older versions of libpcap take seconds after 2038 for negative ones.
    (0_u32..1 << 31, 0_u32..1_000_000, prop::collection::vec(any::<u8>(), 0..300), any::<u32>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn classic_files_read_as_libpcap_reads_them(
        order in prop::sample::select(ORDERS.to_vec()),
        magic in prop::sample::select(vec![MICRO, NANO]),
        records in prop::collection::vec(record(), 0..30),
        cut in 0_usize..60,
    ) {
        let mut file = classic_header(order, magic, 1);
        for (seconds, fraction, bytes, wire_len) in &records {
            // libpcap refuses a wire length below the captured one.
            let wire_len = (*wire_len).max(u32::try_from(bytes.len()).unwrap());
            file.extend(classic_record(order, (*seconds, *fraction), bytes, wire_len));
        }
        file.truncate(file.len().saturating_sub(cut).max(24));
        let (theirs, whole) = by_libpcap(&file);
        let (frames, savefiles) = read(&file);
        let ours: Vec<Seen> = frames.0.into_iter().map(|(meta, bytes)| (meta.timestamp.as_nanos(), meta.wire_len, bytes)).collect();
        prop_assert_eq!(ours, theirs);
        prop_assert_eq!(savefiles.incomplete().next().is_none(), whole);
    }
}
