//! The archive: in a root that has glibc and nothing else.

use crate::rig::{START, Wire, can_run};
use crate::support::program::{netmon, run};
use crate::support::running::{Running, wait_until};
use crate::support::{fixture, text};
use crate::{must, packaged, within};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[test]
#[ignore = "needs the archive of `make tarball`; .ci/run makes it"]
fn the_program_of_the_archive_needs_glibc_alone_and_works_where_there_is_nothing_else() {
    if !can_run(&["ip", "chroot", "readelf"]) {
        return;
    }
    let unpacked = unpacked();
    let program = unpacked.path().join("netmon");
    let needed = needed(&program);
    eprintln!("figure: the archive is {} KiB, netmon in it needs {needed:?}", size(&packaged(".tar.gz")) >> 10);
    let root = tempfile::tempdir().expect("a directory");
    install_glibc(root.path(), &program, &needed);

    std::fs::copy(fixture("http.pcap"), root.path().join("http.pcap")).expect("it can be copied");
    let mut chroot = Command::new("chroot");
    let replayed = must(chroot.arg(root.path()).args(["/netmon", "replay", "http.pcap", "--format", "json"]));
    let here = run(netmon().current_dir(fixture("")).args(["replay", "http.pcap", "--format", "json"])).success();
    assert_eq!(replayed.as_bytes(), here, "libpcap built in, and the system's, say the same");
    it_captures(root.path());
}

#[test]
#[ignore = "needs the archive of `make tarball`; .ci/run makes it"]
fn the_archive_installs_itself() {
    let unpacked = unpacked();
    let root = tempfile::tempdir().expect("a directory");
    let install = unpacked.path().join("scripts/install.sh");
    must(Command::new(install).arg("install").env("DESTDIR", root.path()));
    for file in ["usr/local/bin/netmon", "usr/local/share/man/man1/netmon.1", "etc/netmon/netmon.yaml"] {
        assert!(root.path().join(file).is_file(), "{file} is missing");
    }
    for file in ["LICENSE-MIT", "LICENSE-libpcap", "README.md", "docs/reference/cli.md"] {
        assert!(unpacked.path().join(file).is_file(), "{file} is missing");
    }
}

/// Both backends see frames on a wire from within the root.
fn it_captures(root: &Path) {
    let wire = Wire::new();
    for backend in ["pcap", "raw"] {
        let mut netmon = within(&wire, root);
        netmon.args(["/netmon", "run", "--interface", "m0", "--no-history", "--backend", backend]);
        let running = Running::start(netmon.stderr(Stdio::null()));
        let page = || wire.monitor.get("http://127.0.0.1:8080/metrics", &[]);
        wait_until("netmon to be ready", START, || wire.monitor.get("http://127.0.0.1:8080/readyz", &[]));
        wire.send_datagrams(&wire.generator, crate::rig::MONITOR, 100);
        wait_until("the datagrams", START, || {
            let page = page()?;
            let line = page.lines().find(|line| line.starts_with("netmon_capture_packets_total{interface=\"m0\"}"))?;
            (line.rsplit(' ').next()?.parse::<f64>().ok()? >= 100.0).then_some(())
        });
        drop(running);
    }
}

/// The top directory of the archive.
fn unpacked() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let archive = packaged(".tar.gz");
    must(Command::new("tar").args(["-x", "--strip-components", "1", "-C", text(directory.path()), "-f"]).arg(archive));
    directory
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).expect("it is there").len()
}

/// The libraries that the loader is asked for; all have to be glibc's.
fn needed(program: &Path) -> Vec<String> {
    let said = must(Command::new("readelf").args(["--wide", "--dynamic"]).arg(program));
    assert!(!said.contains("RUNPATH") && !said.contains("RPATH"), "{said}");
    let names = said.lines().filter(|line| line.contains("(NEEDED)"));
    let names: Vec<String> =
        names.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned())).collect();
    let of_glibc = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2"];
    let other: Vec<_> =
        names.iter().filter(|name| !of_glibc.contains(&name.as_str()) && !name.starts_with("ld-linux")).collect();
    assert!(other.is_empty() && !names.is_empty(), "{other:?} of {names:?}");
    names
}

/// The program and the libraries it names, where the loader looks.
fn install_glibc(root: &Path, program: &Path, needed: &[String]) {
    let said = must(Command::new("readelf").args(["--wide", "--program-headers"]).arg(program));
    let loader = said.split("interpreter: ").nth(1).and_then(|rest| rest.split(']').next()).expect("it has a loader");
    let place = |file: &Path| root.join(file.strip_prefix("/").expect("an absolute path"));
    let libraries = must(Command::new("ldconfig").arg("-p"));
    let find = |name: &str| -> PathBuf {
        let line = libraries
            .lines()
            .find(|line| line.contains("x86-64") && line.trim_start().starts_with(&format!("{name} ")));
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or_else(|| panic!("there is no {name} here")).into()
    };
    let files = needed.iter().filter(|name| !name.starts_with("ld-linux")).map(|name| find(name));
    for file in files.chain([PathBuf::from(loader)]) {
        let into = place(&file);
        std::fs::create_dir_all(into.parent().expect("a directory")).expect("it can be made");
        std::fs::copy(&file, &into).expect("it can be copied");
    }
    std::fs::copy(program, root.join("netmon")).expect("it can be copied");
    // Whom it becomes, when it is started as root.
    std::fs::create_dir(root.join("etc")).expect("it can be made");
    let nobody = "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n";
    std::fs::write(root.join("etc/passwd"), nobody).expect("it can be written");
    std::fs::write(root.join("etc/group"), "nogroup:x:65534:\n").expect("it can be written");
}
