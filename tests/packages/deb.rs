//! The Debian package: installed, used, removed, purged.

use crate::rig::{START, Wire, can_run};
use crate::root::Root;
use crate::support::running::{Running, wait_until};
use crate::{must, packaged, within};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
#[ignore = "needs the package of `make deb`; .ci/run makes it"]
fn a_clean_system_takes_the_package_runs_it_and_is_as_before_after_purge() {
    if !can_run(&["ip", "debootstrap", "chroot", "mandoc"]) {
        return;
    }
    let root = Root::debian();
    let before = root.files();
    let package = root.take(&packaged(".deb"));
    root.apt(&["install", &package]);

    files_are_where_and_as_they_should_be(&root);
    the_unit_is_valid(&root);
    the_service_is_enabled_and_its_user_made(&root);
    let plan = must(root.command("netmon").args(["check", "--config", "/etc/netmon/netmon.yaml"]));
    assert!(plan.contains("unix:/run/netmon/netmon.sock"), "{plan}");
    manual_pages_can_be_read(&root);
    the_daemon_runs_as_its_user(&root);
    a_changed_configuration_outlives_the_next_version(&root, &package);
    std::fs::remove_file(root.path(&package)).expect("it is there");

    root.apt(&["remove", "netmon"]);
    assert!(!root.path("usr/bin/netmon").exists());
    assert!(root.path("etc/netmon/netmon.yaml").exists(), "the configuration is kept until purge");
    assert!(root.path("var/lib/netmon").exists(), "and so is what was remembered");
    root.apt(&["purge", "netmon"]);
    let left = root.files();
    let new: Vec<_> = left.difference(&before).filter(|file| !is_of_accounts(file)).collect();
    let gone: Vec<_> = before.difference(&left).collect();
    assert!(new.is_empty() && gone.is_empty(), "left behind: {new:?}, taken away: {gone:?}");
}

#[test]
#[ignore = "needs the package of `make deb`; .ci/run makes it"]
fn lintian_finds_nothing_wrong_with_the_package() {
    if !can_run(&["lintian"]) {
        return;
    }
    let lintian = Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning"])
        .arg(packaged(".deb"))
        .output()
        .expect("lintian starts");
    let said = String::from_utf8_lossy(&lintian.stdout);
    assert!(lintian.status.success(), "{said}");
}

fn files_are_where_and_as_they_should_be(root: &Root) {
    for (file, access) in [
        ("/usr/bin/netmon", "755 root:root"),
        ("/etc/netmon/netmon.yaml", "644 root:root"),
        ("/usr/lib/systemd/system/netmon.service", "644 root:root"),
        ("/usr/lib/sysusers.d/netmon.conf", "644 root:root"),
        ("/usr/share/man/man1/netmon.1.gz", "644 root:root"),
        ("/usr/share/man/man5/netmon.yaml.5.gz", "644 root:root"),
        ("/usr/share/bash-completion/completions/netmon", "644 root:root"),
        ("/usr/share/zsh/vendor-completions/_netmon", "644 root:root"),
        ("/usr/share/fish/vendor_completions.d/netmon.fish", "644 root:root"),
        ("/usr/share/netmon/alerts/prometheus/capture.rules.yaml", "644 root:root"),
        ("/usr/share/doc/netmon/copyright", "644 root:root"),
        ("/usr/share/doc/netmon/changelog.Debian.gz", "644 root:root"),
        ("/usr/share/doc/netmon/changelog.gz", "644 root:root"),
        ("/usr/share/doc/netmon/examples/sample-config.yaml", "644 root:root"),
    ] {
        assert!(root.path(file).exists(), "{file} is missing");
        assert_eq!(root.access(file), access, "{file}");
    }
    // One for each of the source; there may be none yet.
    let ours = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/grafana");
    let json = |directory: &std::path::Path| -> BTreeSet<_> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().ends_with(".json")).collect()
    };
    assert_eq!(json(&root.path("usr/share/netmon/dashboards")), json(&ours));
    let capabilities = Command::new("getcap").arg(root.path("usr/bin/netmon")).output();
    assert!(capabilities.is_ok_and(|output| output.stdout.is_empty()), "the unit gives the capability, not the file");
    let conffiles = must(root.command("dpkg-query").args(["--show", "--showformat", "${Conffiles}", "netmon"]));
    assert!(conffiles.contains(" /etc/netmon/netmon.yaml "), "{conffiles}");
    assert_eq!(must(root.command("dpkg").args(["--verify", "netmon"])), "");
}

fn the_unit_is_valid(root: &Root) {
    let verify = ["verify", "--man=no", "/usr/lib/systemd/system/netmon.service"];
    let output = root.command("systemd-analyze").args(verify).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("netmon"), "{said}");
}

fn the_service_is_enabled_and_its_user_made(root: &Root) {
    assert_eq!(must(root.command("systemctl").args(["is-enabled", "netmon"])), "enabled\n");
    let user = must(root.command("getent").args(["passwd", "netmon"]));
    let fields: Vec<&str> = user.trim().split(':').collect();
    assert_eq!((fields[0], fields[5], fields[6]), ("netmon", "/var/lib/netmon", "/usr/sbin/nologin"));
    let id: u32 = fields[2].parse().expect("a number");
    assert!((1..1000).contains(&id), "a system user, but {id}");
    let password = must(root.command("getent").args(["shadow", "netmon"]));
    assert!(password.starts_with("netmon:!"), "locked");
}

fn manual_pages_can_be_read(root: &Root) {
    let pages = must(Command::new("find").arg(root.path("usr/share/man")).args(["-name", "netmon*.gz"]));
    assert!(pages.lines().count() > 20, "{pages}");
    for page in pages.lines() {
        let plain = must(Command::new("gunzip").args(["--stdout", page]));
        let file = root.path("tmp/page");
        std::fs::write(&file, plain).expect("it can be written");
        must(Command::new("mandoc").args(["-T", "lint", "-W", "error"]).arg(&file));
        let read = must(Command::new("mandoc").args(["-T", "utf8"]).arg(&file));
        assert!(read.contains("N\u{8}NA\u{8}AM\u{8}ME\u{8}E"), "{page}: {read}");
        std::fs::remove_file(&file).expect("it is there");
    }
}

/// Started as root, without systemd: it becomes the user that the package made, and counts.
fn the_daemon_runs_as_its_user(root: &Root) {
    let wire = Wire::new();
    let mut netmon = within(&wire, &root.path(""));
    netmon.args(["netmon", "run", "--config", "/etc/netmon/netmon.yaml", "--interface", "m0"]);
    std::fs::create_dir_all(root.path("run/netmon")).expect("as RuntimeDirectory= does");
    let mut running = Running::start(netmon.stdout(Stdio::null()));
    let healthy = || within(&wire, &root.path("")).args(["netmon", "health"]).output().ok();
    wait_until("netmon to be ready", START, || healthy().filter(|output| output.status.success()));
    let user = must(root.command("id").args(["-u", "netmon"]));
    let owner = must(root.command("stat").args(["--format", "%u", "/var/lib/netmon/history.redb"]));
    assert_eq!(owner, user, "what it keeps is its own");
    wire.send_datagrams(&wire.generator, crate::rig::MONITOR, 100);
    let page = "http://127.0.0.1:8080/metrics";
    wait_until("the datagrams", START, || {
        let page = wire.monitor.get(page, &[])?;
        let line =
            page.lines().find(|line| line.starts_with("netmon_interface_receive_packets_total{interface=\"m0\"}"))?;
        (line.rsplit(' ').next()?.parse::<f64>().ok()? >= 100.0).then_some(())
    });
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end_within(Duration::from_secs(20)).code(), Some(0));
    std::fs::remove_dir_all(root.path("run/netmon")).expect("as systemd does");
}

fn a_changed_configuration_outlives_the_next_version(root: &Root, package: &str) {
    let config = root.path("etc/netmon/netmon.yaml");
    std::fs::write(&config, "interfaces: [eth7]\n").expect("it can be written");
    must(root.command("dpkg").args(["--install", "--force-confdef", "--force-confold", package]));
    assert_eq!(std::fs::read_to_string(&config).expect("it is there"), "interfaces: [eth7]\n");
}

/// The user stays after purge, as Debian's users do: its number must not go to another while files of it may be about.
fn is_of_accounts(file: &str) -> bool {
    ["passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-", ".pwd.lock"]
        .iter()
        .any(|name| file == format!("./etc/{name}"))
}
