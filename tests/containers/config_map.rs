//! A configuration as the kubelet puts it there: `netmon.yaml` is a link into `..data`, which is a link to a directory with
//! the time in its name; a change makes another directory, moves the link over and deletes the old one.

use crate::rig::{BIND, Wire, can_run, directory_for_all};
use crate::support::running::wait_until;
use crate::support::text;
use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than two looks of `reload.watch: 1s`, for a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A directory that is mounted at /etc/netmon.
pub struct ConfigMap {
    directory: TempDir,
    version: Cell<u32>,
}

impl ConfigMap {
    pub fn new(config: &str) -> Self {
        let map = Self { directory: directory_for_all(), version: Cell::new(0) };
        map.write(config);
        symlink("..data/netmon.yaml", map.file()).expect("it is ours");
        map
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self) -> PathBuf {
        self.path().join("netmon.yaml")
    }

    /// Another content, in the order of the kubelet's AtomicWriter.
    pub fn write(&self, config: &str) {
        let old = self.directory_of_version();
        self.version.set(self.version.get() + 1);
        let new = self.directory_of_version();
        fs::create_dir(&new).expect("it is ours");
        fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).expect("it is ours");
        fs::write(new.join("netmon.yaml"), config).expect("it is ours");
        let link = self.path().join("..data_tmp");
        symlink(new.file_name().expect("it has a name"), &link).expect("it is ours");
        fs::rename(&link, self.path().join("..data")).expect("it is ours");
        if old.exists() {
            fs::remove_dir_all(old).expect("it is ours");
        }
    }

    fn directory_of_version(&self) -> PathBuf {
        self.path().join(format!("..2026_11_21_00_00_00.{}", self.version.get()))
    }
}

/// What netmon says of its configuration.
fn state(wire: &Wire) -> [f64; 2] {
    let metrics = wire.metrics();
    ["netmon_config_generation", "netmon_config_last_reload_successful"].map(|name| metrics.sum(name, &[]))
}

#[test]
fn a_swapped_config_map_is_read_again_under_landlock_and_a_wrong_one_is_refused_once() {
    if !can_run(&["ip", "curl"]) {
        return;
    }
    let (wire, map) = (Wire::new(), ConfigMap::new("capture: { bpf: udp }\nreload: { watch: 1s }\n"));
    let log = tempfile::NamedTempFile::new().expect("a file");
    let launch = wire.netmon("m0").option("--config", text(&map.file())).log(log.reopen().expect("it is ours"));
    let _netmon = launch.start();
    assert!(wire.metrics().sum("netmon_sandbox_layer", &[("layer", "landlock")]) >= 0.0);
    assert_eq!(state(&wire), [1.0, 1.0]);

    map.write("capture: { bpf: tcp }\nreload: { watch: 1s }\n");
    wait_until("the new filter", SOON, || (state(&wire) == [2.0, 1.0]).then_some(()));
    let config = wire.monitor.get(&format!("http://{BIND}/api/v1/config"), &[]).expect("it answers");
    assert!(config.contains("\"tcp\""), "{config}");

    map.write("capture: { bpf: [tcp }\n");
    wait_until("the refusal", SOON, || (state(&wire) == [2.0, 0.0]).then_some(()));
    // Several looks later it is still one line.
    std::thread::sleep(Duration::from_secs(5));
    let said = fs::read_to_string(log.path()).expect("it is ours");
    assert_eq!(said.matches("the configuration was rejected").count(), 1, "{said}");

    map.write("capture: { bpf: icmp }\nreload: { watch: off }\n");
    wait_until("the third filter", SOON, || (state(&wire) == [3.0, 1.0]).then_some(()));

    // Nobody watches any more; whoever changes it says so.
    map.write("capture: { bpf: udp }\n");
    let post = ["-X", "POST", "-H", "Content-Type: application/json"];
    let told = wire.monitor.get(&format!("http://{BIND}/api/v1/reload"), &post).expect("it is taken");
    assert!(told.contains("capture.bpf"), "{told}");
    // A page is rendered once a tick, so the next one may still be of before.
    wait_until("the fourth filter", SOON, || (state(&wire) == [4.0, 1.0]).then_some(()));
}
