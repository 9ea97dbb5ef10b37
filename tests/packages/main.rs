//! What is shipped, as people install it: the Debian package in a clean root, the archive in one that has only glibc.
//!
//! These want the packages of `make deb tarball` in `target/dist`, and minutes; `.ci/run` makes them and comes here with
//! `--ignored`.
#![cfg(target_os = "linux")]

#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

mod deb;
mod root;
mod tarball;

use rig::Wire;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest file of `target/dist` with this end.
fn packaged(end: &str) -> PathBuf {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/dist");
    let entries = std::fs::read_dir(&dist).expect("`make deb tarball` makes target/dist");
    let files = entries.map(|entry| entry.expect("it can be read").path());
    let found = files.filter(|file| file.to_str().is_some_and(|name| name.ends_with(end)));
    let newest =
        found.max_by_key(|file| std::fs::metadata(file).and_then(|data| data.modified()).expect("it has a time"));
    newest.unwrap_or_else(|| panic!("{} has no *{end}: `make deb tarball`", dist.display()))
}

/// A program in a root on the monitor's side of a wire, with the `/proc` that every Linux has; it goes with the program.
fn within(wire: &Wire, root: &Path) -> Command {
    let mut command = wire.monitor.command("sh");
    command.args(["-c", r#"mkdir -p "$0/proc" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@""#]).arg(root);
    command
}

/// Runs to the end, which has to be a good one; what it printed.
fn must(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{command:?}\n{out}{err}");
    out
}
