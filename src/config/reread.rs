//! Reading a config again while netmon runs: the same file, environment and flags as at the start.

use super::{Checks, Loaded, Mistakes, Override, from_source, source};
use std::path::{Path, PathBuf};

impl Loaded {
    /// The config as it is written now. `overrides` are those of the start; without a file at the start there is none now.
    ///
    /// A file that is being written is waited for, at most a second. Half a config is often a good one of its own, and
    /// an empty file one of defaults: so the file has to stay as it is for a moment, and an empty one is refused.
    ///
    /// # Errors
    /// All mistakes of all layers, and all findings of `checks`.
    pub fn reread(&self, overrides: &[Override], checks: Checks<'_>) -> Result<Self, Mistakes> {
        let found = self.file.as_deref().map(|path| source::read_settled(path).map(|bytes| (path.into(), bytes)));
        from_source(found.transpose(), std::env::vars_os(), overrides, checks)
    }

    /// What the file said when it was read; empty without a file.
    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// What the file says now; `None` without a file, and where it cannot be read. It may be being written.
    pub fn on_disk(&self) -> Option<Vec<u8>> {
        source::read(self.file.as_deref()?).ok()
    }

    /// What has to stay readable for [`Loaded::reread`]: the directory the file is in by its name, since the file may be
    /// replaced, and the one it is really in. None without a file.
    pub fn directories(&self) -> Vec<PathBuf> {
        let Some(file) = &self.file else { return Vec::new() };
        let (named, real) = (std::path::absolute(file), file.canonicalize());
        let mut directories: Vec<PathBuf> =
            [named, real].into_iter().flatten().filter_map(|path| path.parent().map(Path::to_owned)).collect();
        directories.dedup();
        directories
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{NO_CHECKS, load_with};
    use std::fs;
    use std::time::Duration;

    struct Folder(tempfile::TempDir);

    impl Folder {
        /// A folder with a config, and that config.
        fn new(yaml: &str) -> (Self, Loaded) {
            let folder = Self(tempfile::tempdir().unwrap());
            fs::write(folder.file(), yaml).unwrap();
            let loaded = load_with(Some(&folder.file()), [], &[], NO_CHECKS).unwrap();
            (folder, loaded)
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("netmon.yaml")
        }
    }

    fn filter(loaded: &Result<Loaded, Mistakes>) -> Option<&str> {
        loaded.as_ref().unwrap().config.capture.bpf.as_deref()
    }

    #[test]
    fn the_file_is_read_as_it_is_now_under_the_flags_of_the_start() {
        let (folder, start) = Folder::new("capture: {bpf: tcp}\n");
        fs::write(folder.file(), "capture: {bpf: udp, snaplen: 64}\n").unwrap();
        assert_eq!(filter(&start.reread(&[], NO_CHECKS)), Some("udp"));
        let flag = Override { flag: "--bpf".into(), key: "capture.bpf".into(), values: vec!["icmp".into()] };
        let again = start.reread(&[flag], NO_CHECKS);
        assert_eq!(filter(&again), Some("icmp"));
        assert_eq!(again.unwrap().config.capture.snaplen, 64);
    }

    #[test]
    fn a_file_that_is_gone_broken_or_empty_is_refused() {
        let (folder, start) = Folder::new("capture: {bpf: tcp}\n");
        let name = folder.file().display().to_string();
        let refusal = || start.reread(&[], NO_CHECKS).unwrap_err().to_string();
        fs::write(folder.file(), "capture: {bpf: [tcp}\n").unwrap();
        assert!(refusal().starts_with(&format!("config `{name}:1:")), "{}", refusal());
        fs::write(folder.file(), "").unwrap();
        assert_eq!(
            refusal(),
            format!("config `{name}`: is empty, which a reload takes for a file that is being written")
        );
        fs::remove_file(folder.file()).unwrap();
        assert!(refusal().starts_with(&format!("config `{name}`: cannot be read: ")), "{}", refusal());
        fs::create_dir(folder.file()).unwrap();
        assert!(refusal().contains("not a regular file"), "{}", refusal());
    }

    #[test]
    fn a_file_that_is_being_written_is_waited_for() {
        let (folder, start) = Folder::new("capture: {bpf: tcp}\n");
        let file = folder.file();
        std::thread::scope(|scope| {
            // Each part alone is a good config: half of a write must not be taken for the whole.
            scope.spawn(|| {
                let parts = ["capture: {bpf: udp}\n", "interfaces: [eth0]\n", "local_networks: [192.0.2.0/24]\n"];
                for end in (1..=parts.len()).cycle().take(3 * 10) {
                    fs::write(&file, parts[..end].concat()).unwrap();
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
            let read = start.reread(&[], NO_CHECKS).unwrap().config;
            let is_old = read.capture.bpf.as_deref() == Some("tcp");
            assert!(is_old || !read.local_networks.is_empty(), "a part was taken for the whole: {read:?}");
        });
        assert!(!start.reread(&[], NO_CHECKS).unwrap().config.local_networks.is_empty());
    }

    #[test]
    fn a_file_replaced_by_name_is_read_from_the_new_one() {
        let (folder, start) = Folder::new("capture: {bpf: tcp}\n");
        let new = folder.0.path().join("new");
        fs::write(&new, "capture: {bpf: udp}\n").unwrap();
        fs::rename(&new, folder.file()).unwrap();
        assert_eq!(filter(&start.reread(&[], NO_CHECKS)), Some("udp"));
    }

    #[test]
    fn without_a_file_at_the_start_there_is_none_later() {
        let start = load_with(None, [], &[], NO_CHECKS).unwrap();
        if start.file.is_none() {
            assert!(start.directories().is_empty());
            assert_eq!(start.reread(&[], NO_CHECKS).unwrap().file, None);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_directories_are_those_of_the_name_and_of_the_file() {
        let (real, _) = Folder::new("");
        let (named, start) = Folder::new("");
        let [of_real, of_name] = [&real, &named].map(|folder| folder.0.path().canonicalize().unwrap());
        assert_eq!(start.directories(), std::slice::from_ref(&of_name));
        fs::remove_file(named.file()).unwrap();
        std::os::unix::fs::symlink(real.file(), named.file()).unwrap();
        assert_eq!(start.directories(), [of_name, of_real]);
    }
}
