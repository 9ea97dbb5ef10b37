//! A Debian root of its own, as debootstrap makes it.

use crate::must;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Gone when it goes out of scope.
pub struct Root(TempDir);

impl Root {
    /// The smallest system, with what netmon's package depends on and a policy that no service is started. Made once.
    pub fn debian() -> Self {
        let root = Self(tempfile::tempdir().expect("a directory"));
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/dist/debian.tar");
        let tar = |how: &str| {
            must(
                Command::new("tar")
                    .args([how, "--numeric-owner", "-C"])
                    .arg(root.0.path())
                    .arg("-f")
                    .arg(&kept)
                    .arg("."),
            )
        };
        if kept.exists() {
            tar("-x");
        } else {
            root.make();
            tar("-c");
        }
        // Or nobody but root could be in it.
        std::fs::set_permissions(root.0.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
        root
    }

    fn make(&self) {
        let (suite, mirror) = release();
        must(Command::new("debootstrap").args(["--variant=minbase", &suite]).arg(self.0.path()).arg(&mirror));
        let policy = self.path("usr/sbin/policy-rc.d");
        std::fs::write(&policy, "#!/bin/sh\nexit 101\n").expect("it can be written");
        std::fs::set_permissions(&policy, PermissionsExt::from_mode(0o755)).expect("it is ours");
        self.apt(&["update"]);
        self.apt(&["install", "libpcap0.8", "systemd"]);
    }

    /// A place below it.
    pub fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below.trim_start_matches('/'))
    }

    /// A program inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(self.0.path()).arg(program).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
        command
    }

    /// apt-get, without what is only recommended.
    pub fn apt(&self, arguments: &[&str]) -> String {
        must(self.command("apt-get").args(["-q", "-y", "--no-install-recommends"]).args(arguments))
    }

    /// Puts a file of this machine into it; its path inside.
    pub fn take(&self, file: &Path) -> String {
        let name = file.file_name().and_then(|name| name.to_str()).expect("it has a name");
        std::fs::copy(file, self.path(name)).expect("it can be copied");
        format!("/{name}")
    }

    /// Every file, but for what the package manager and systemd keep of their own work.
    pub fn files(&self) -> BTreeSet<String> {
        let own = [
            "./var/lib/dpkg",
            "./var/cache",
            "./var/log",
            "./var/lib/apt",
            "./proc",
            "./sys",
            "./dev",
            "./tmp",
            "./run/systemd",
        ];
        let all = must(Command::new("find").args([".", "-xdev"]).current_dir(self.0.path()));
        all.lines().filter(|file| !own.iter().any(|own| file.starts_with(own))).map(str::to_owned).collect()
    }

    /// Mode, owner and group of a file, such as `644 root:root`.
    pub fn access(&self, file: &str) -> String {
        must(self.command("stat").args(["--format", "%a %U:%G", file])).trim().to_owned()
    }
}

/// This machine's release and where its packages come from.
fn release() -> (String, String) {
    let release = std::fs::read_to_string("/etc/os-release").expect("it is there");
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("it has a name");
    let files = must(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(CODENAME) $(REPO_URI)",
        "Created-By: Packages",
    ]));
    let source = files.lines().find_map(|line| line.strip_prefix(&format!("{suite} ")));
    (suite.to_owned(), source.expect("apt knows where this release is from").to_owned())
}
