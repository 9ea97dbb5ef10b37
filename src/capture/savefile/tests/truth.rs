//! Captures from other projects, held against what tshark says of them.
//!
//! `PCAP_TRUTH_DIR` names a directory with captures and, below `truth/`, one JSON document each.

use super::{Collected, drain};
use crate::capture::{Input, Options, Savefiles};
use serde_json::Value;
use std::path::{Path, PathBuf};

#[test]
fn frames_and_times_are_those_of_the_truth() {
    let Some(root) = std::env::var_os("PCAP_TRUTH_DIR").map(PathBuf::from) else {
        println!("skipped: PCAP_TRUTH_DIR is not set");
        return;
    };
    let truths = documents(&root.join("truth"));
    assert!(!truths.is_empty(), "no truth below {}", root.display());
    let wrong: Vec<String> = truths.iter().filter_map(|truth| disagreement(&root, truth).err()).collect();
    assert!(wrong.is_empty(), "{} of {} disagree:\n{}", wrong.len(), truths.len(), wrong.join("\n"));
    println!("{} captures agree", truths.len());
}

fn documents(folder: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(documents(&path));
        } else {
            found.push(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
        }
    }
    found
}

fn disagreement(root: &Path, truth: &Value) -> Result<(), String> {
    let name = truth["file"]["name"].as_str().unwrap();
    let status = truth["read"]["status"].as_str().unwrap();
    let same = |what: &str, ours: String, theirs: String| {
        if ours == theirs { Ok(()) } else { Err(format!("{name}: {what}: {ours}, truth {theirs}")) }
    };
    let opened = Savefiles::open(&[Input::Path(root.join(name))], &Options::default());
    let read = opened.and_then(|mut savefiles| drain(&mut savefiles).map(|collected| (collected, savefiles)));
    let (collected, savefiles) = match read {
        Ok(read) => read,
        Err(error) => return same("status", format!("unsupported ({error})"), format!("{status} ({error})")),
    };
    let ours = if savefiles.incomplete().next().is_some() { "cut_short" } else { "ok" };
    same("status", ours.into(), status.into())?;
    let frames = &truth["frames"];
    for (what, ours) in totals(&collected) {
        same(what, ours.to_string(), frames[what].to_string())?;
    }
    let in_range = frames["max_ns"].as_i64().is_some();
    if frames["timestamps_reliable"] == true && in_range {
        assert!(collected.0.iter().all(|(meta, _)| meta.timed), "{name}");
        for (what, ours) in times(&collected) {
            same(what, ours.to_string(), frames[what].to_string())?;
        }
    }
    Ok(())
}

fn totals(collected: &Collected) -> [(&'static str, u64); 6] {
    let sum = |of: fn(&crate::packet::PacketMeta) -> u64| collected.0.iter().map(|(meta, _)| of(meta)).sum();
    let max = |of: fn(&crate::packet::PacketMeta) -> u32| collected.0.iter().map(|(meta, _)| of(meta)).max();
    [
        ("packets", collected.0.len() as u64),
        ("captured_bytes", sum(|meta| u64::from(meta.caplen))),
        ("wire_bytes", sum(|meta| u64::from(meta.wire_len))),
        ("cut_by_snaplen", sum(|meta| u64::from(meta.caplen < meta.wire_len))),
        ("max_wire_len", u64::from(max(|meta| meta.wire_len).unwrap_or(0))),
        ("max_captured_len", u64::from(max(|meta| meta.caplen).unwrap_or(0))),
    ]
}

fn times(collected: &Collected) -> [(&'static str, u64); 4] {
    let nanos = collected.nanos();
    let of = |found: Option<&u64>| found.copied().unwrap_or_default();
    [
        ("first_record_ns", of(nanos.first())),
        ("last_record_ns", of(nanos.last())),
        ("min_ns", of(nanos.iter().min())),
        ("max_ns", of(nanos.iter().max())),
    ]
}
