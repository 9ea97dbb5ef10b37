//! The store's file: private, one process's own, damaged, on a full disk.

use super::engine::{alert, prompt, setup, start, wall_clock};
use super::fate::Fate;
use super::ledger::Receiver;
use netmon::alert::State;
use netmon::notify::store::{Store, StoreError, Table, Writes};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

fn value(key: &str, value: &[u8]) -> Writes {
    Writes::from([((Table::Alerts, key.to_owned()), Some(value.to_vec()))])
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} did not come about");
}

fn damaged(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("damaged")).collect()
}

#[test]
fn what_was_committed_is_there_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut opened = Store::open(directory.path(), wall_clock()).unwrap();
    opened.store.commit(&value("a", b"1")).unwrap();
    opened.store.commit(&value("b", b"2")).unwrap();
    opened.store.commit(&Writes::from([((Table::Alerts, "a".to_owned()), None)])).unwrap();
    drop(opened);
    let contents = Store::open(directory.path(), wall_clock()).unwrap().contents;
    assert_eq!(contents.into_iter().collect::<Vec<_>>(), [((Table::Alerts, "b".to_owned()), b"2".to_vec())]);
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_user_alone_whatever_the_umask() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    for mask in [0o000, 0o022, 0o077] {
        let directory = tempfile::tempdir().unwrap();
        let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
        let opened = Store::open(directory.path(), wall_clock()).unwrap();
        nix::sys::stat::umask(before);
        let metadata = fs::metadata(directory.path().join(Store::FILE)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        if cfg!(target_os = "linux") {
            assert!(opened.reserved && metadata.blocks() * 512 >= 8 << 20, "{} blocks", metadata.blocks());
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_the_file_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("target");
    std::os::unix::fs::symlink(&target, directory.path().join(Store::FILE)).unwrap();
    assert!(matches!(Store::open(directory.path(), wall_clock()), Err(StoreError::Open { .. })));
    assert!(!target.exists());
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(directory.path(), Vec::new());
    let error = setup(directory.path(), Vec::new()).open().unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    assert!(error.to_string().ends_with("state.redb` is in use by another netmon"), "{error}");
    first.begin_stop(Duration::ZERO).join().unwrap();
    setup(directory.path(), Vec::new()).open().unwrap();
}

#[test]
fn a_damaged_store_is_set_aside_and_never_serves_what_was_changed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(Store::FILE);
    let mut opened = Store::open(directory.path(), wall_clock()).unwrap();
    let expected: Vec<(String, Vec<u8>)> =
        (0..200).map(|n| (format!("alert {n}"), format!("state of {n}").repeat(9).into_bytes())).collect();
    for (key, kept) in &expected {
        opened.store.commit(&value(key, kept)).unwrap();
    }
    drop(opened);
    let sound = fs::read(&file).unwrap();
    let mut set_aside = 0;
    for round in 0..150_usize {
        let mut bytes = sound.clone();
        let at = round.wrapping_mul(7_919_317) % bytes.len();
        match round % 4 {
            0 => bytes[at] ^= 1 << (round % 8),
            1 => bytes.truncate(at),
            2 => bytes[at..].iter_mut().take(4096).for_each(|byte| *byte = 0),
            // Where values are.
            _ => {
                let places: Vec<_> = bytes.windows(8).enumerate().filter(|(_, w)| w == b"state of").collect();
                let at = places[round % places.len()].0;
                bytes[at] ^= 0x20;
            }
        }
        fs::write(&file, &bytes).unwrap();
        let mut opened = Store::open(directory.path(), wall_clock()).unwrap();
        set_aside += usize::from(opened.set_aside.is_some());
        for ((_, key), found) in &opened.contents {
            let kept = expected.iter().find(|(known, _)| known == key).unwrap();
            assert_eq!(found, &kept.1, "a wrong value of {key}");
        }
        opened.store.commit(&value("new", b"1")).unwrap();
        drop(opened);
        let again = Store::open(directory.path(), wall_clock()).unwrap();
        assert!(again.set_aside.is_none() && again.contents.contains_key(&(Table::Alerts, "new".into())));
        drop(again);
        fs::remove_file(&file).unwrap();
    }
    assert!(set_aside > 50, "{set_aside} of 150");
    assert_eq!(damaged(directory.path()).len(), set_aside, "each is kept under a name of its own");
}

/// A small file system of its own, gone at the end.
#[cfg(target_os = "linux")]
struct Disk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl Disk {
    fn new(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(directory.path());
        if nix::unistd::geteuid().is_root() && mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(directory));
        }
        assert!(std::env::var_os("TEST_REQUIRE_ALL").is_none(), "nothing may be skipped, but nothing can be mounted");
        eprintln!("skipped: cannot mount a small file system");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut ballast = fs::File::create(self.path().join("ballast")).unwrap();
        for size in [1 << 20, 4096, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg("-l").arg(self.0.path()).status().unwrap().success());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_no_notification_because_room_was_reserved() {
    let Some(disk) = Disk::new("16m") else { return };
    let receiver = Receiver::start(|_| Fate::Accept);
    let engine = start(disk.path(), vec![(prompt("ops"), receiver.address)]);
    let names: Arc<[String]> = Arc::new(["ops".to_owned()]);
    disk.fill();
    for n in 0..1_000 {
        engine.handle().changed(vec![alert(n, State::Firing, &names)], vec![(n.to_string(), Some(vec![b'x'; 300]))]);
    }
    wait_until("delivery", || {
        let delivered = |entry: super::ledger::Entry| entry.notification.alerts;
        let all = receiver.entries().into_iter().flat_map(delivered).map(|alert| alert.fingerprint);
        all.collect::<std::collections::BTreeSet<_>>().len() == 1_000
    });
    let status = engine.handle().status();
    assert_eq!((status.undurable, status.is_durable), (0, true));
    engine.begin_stop(Duration::ZERO).join().unwrap();
    let opened = Store::open(disk.path(), wall_clock()).unwrap();
    assert_eq!(opened.contents.keys().filter(|(table, _)| *table == Table::Alerts).count(), 1_000);
}

#[cfg(target_os = "linux")]
#[test]
fn without_any_room_notifications_leave_all_the_same_and_are_stored_once_there_is_some() {
    // Less than the room that would be reserved.
    let Some(disk) = Disk::new("3m") else { return };
    let receiver = Receiver::start(|_| Fate::Accept);
    let engine = start(disk.path(), vec![(prompt("ops"), receiver.address)]);
    let names: Arc<[String]> = Arc::new(["ops".to_owned()]);
    disk.fill();
    // More than what the file has free by chance.
    let saved = vec![("large".to_owned(), Some(vec![b'x'; 1 << 20]))];
    engine.handle().changed(vec![alert(1, State::Firing, &names)], saved);
    wait_until("delivery", || receiver.entries().len() == 1);
    wait_until("the count", || engine.handle().status().undurable == 1);
    assert!(!engine.handle().status().is_durable);
    disk.make_room();
    wait_until("storing", || engine.handle().status().is_durable);
    engine.begin_stop(Duration::ZERO).join().unwrap();
    let opened = Store::open(disk.path(), wall_clock()).unwrap();
    assert!(opened.contents.contains_key(&(Table::Alerts, "large".into())));
}
