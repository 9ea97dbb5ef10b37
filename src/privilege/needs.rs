//! What a confined netmon still has to reach.

use std::path::{Path, PathBuf};

/// Files, directories and TCP ports that may be reached after [`confine`](super::confine). What is open already needs
/// no mention.
///
/// With no port at all, no socket for the internet can be made; with no port to listen on, none can listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// To read; a directory with everything below it.
    pub read: Vec<PathBuf>,
    /// To read, change, make and delete files; a directory with everything below it. Also the directory of a unix
    /// socket that is removed at the end.
    pub write: Vec<PathBuf>,
    /// TCP ports to listen on.
    pub listen: Vec<u16>,
    /// TCP ports of others to connect to.
    pub connect: Vec<u16>,
}

/// Read by the resolver, certificate checks and local time. glibc compares their time of change on each use.
const RESOLVING: [&str; 14] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/services",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
];

/// What Linux says of interfaces and of this process, with the share of processors that it has. Interfaces that are
/// made later are below the third; those of hardware that is plugged in later are not.
const WATCHING: [&str; 7] = [
    "/proc/self/net",
    "/sys/class/net",
    "/sys/devices/virtual/net",
    "/proc/self/fd",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/sys/fs/cgroup",
];

/// Where a truncated answer of a name server is asked for again.
const DNS: u16 = 53;

impl Needs {
    /// What looking up names, checking certificates and local time read, as far as it exists here.
    ///
    /// `/etc/resolv.conf` is replaced, not rewritten, when a network changes; so the directory that holds it is
    /// within reach: that of systemd-resolved or NetworkManager, or `/etc` where it is a plain file. In a container,
    /// where it is mounted by itself, only the file is.
    pub fn for_resolving() -> Self {
        let directory = std::fs::canonicalize("/etc/resolv.conf").ok().and_then(|file| directory_of(&file));
        Self { read: existing(&RESOLVING).chain(directory).collect(), connect: vec![DNS], ..Self::default() }
    }

    /// What reading the kernel's counters and link states of interfaces takes, and asking how many processors there are,
    /// as far as it exists here.
    pub fn for_watching() -> Self {
        Self { read: existing(&WATCHING).chain(hardware()).collect(), ..Self::default() }
    }

    /// All of this and all of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.read.extend(other.read);
        self.write.extend(other.write);
        self.listen.extend(other.listen);
        self.connect.extend(other.connect);
        self
    }
}

fn existing<'a>(paths: &'a [&str]) -> impl Iterator<Item = PathBuf> + 'a {
    paths.iter().map(PathBuf::from).filter(|path| path.exists())
}

/// The directory of a file, unless the file is a mount of its own and so cannot be replaced by another.
fn directory_of(file: &Path) -> Option<PathBuf> {
    let directory = file.parent()?;
    (device(file)? == device(directory)?).then(|| directory.to_owned())
}

#[cfg(unix)]
fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|metadata| metadata.dev())
}

/// None of these files is there.
#[cfg(not(unix))]
fn device(_: &Path) -> Option<u64> {
    None
}

/// The directories behind the links of `/sys/class/net`, of interfaces that are not virtual.
fn hardware() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let targets = entries.filter_map(|entry| std::fs::canonicalize(entry.path()).ok());
    let parents = targets.filter_map(|target| target.parent().map(Path::to_owned));
    let mut directories: Vec<_> = parents.filter(|parent| !parent.starts_with("/sys/devices/virtual")).collect();
    directories.sort();
    directories.dedup();
    directories
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn everything_that_resolving_needs_exists_here() {
        let needs = Needs::for_resolving().and(Needs::for_watching());
        assert!(needs.read.iter().all(|path| path.exists()), "{needs:?}");
        assert!(needs.write.is_empty() && needs.listen.is_empty() && needs.connect == [53]);
    }

    #[test]
    fn a_file_that_can_be_replaced_brings_its_directory() {
        let folder = tempfile::tempdir().expect("a directory can be made");
        let file = folder.path().join("resolv.conf");
        std::fs::write(&file, "").expect("a file can be written");
        assert_eq!(directory_of(&file).as_deref(), Some(folder.path()));
        // Of another file system than the directory it is in, like a file that is mounted by itself.
        assert_eq!(directory_of(Path::new("/proc")), None);
    }
}
