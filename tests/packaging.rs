//! The service as it is shipped: what systemd thinks of the unit, whether netmon lives under it, what is installed.
#![cfg(target_os = "linux")]

mod rig;
mod support;

use rig::{BIND, START, Wire, can_run, tool};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use support::program::{netmon, run};
use support::running::{Running, wait_until};
use support::text;
use tempfile::TempDir;

/// The exposure level of systemd-analyze, in tenths: 0 is best, 100 worst.
const EXPOSURE: &str = "18";

#[test]
fn the_unit_is_exposed_at_most_as_promised() {
    if !can_analyze() {
        return;
    }
    let threshold = format!("--threshold={EXPOSURE}");
    let unit = project().join("packaging/netmon.service");
    let output = analyze(&["security", "--offline=true", "--no-pager", &threshold, text(&unit)]);
    let report = String::from_utf8_lossy(&output.stdout);
    let verdict = report.lines().last().unwrap_or_default();
    assert!(output.status.success(), "{verdict}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(verdict.contains("Overall exposure level"), "{verdict}");
    eprintln!("{verdict}");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if !can_analyze() {
        return;
    }
    let installed = Installed::new();
    let output = analyze(&["verify", "--man=no", text(&installed.unit())]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn the_shipped_config_is_one_that_the_service_starts_with() {
    let installed = Installed::new();
    let started = installed.started();
    assert_eq!(started[..2], [text(&installed.program()), "run"]);
    let ended = run(Command::new(&started[0]).arg("check").args(&started[2..]));
    let plan = String::from_utf8(ended.success()).expect("the plan is text");
    assert!(plan.contains("unix:/run/netmon/netmon.sock"), "{plan}");
}

#[test]
fn what_is_installed_can_be_removed_but_for_the_config() {
    let installed = Installed::new();
    let files = installed.files();
    for file in [
        "bin/netmon",
        "etc/netmon/netmon.yaml",
        "lib/systemd/system/netmon.service",
        "lib/sysusers.d/netmon.conf",
        "share/bash-completion/completions/netmon",
        "share/doc/netmon/reference/metrics.md",
        "share/fish/vendor_completions.d/netmon.fish",
        "share/man/man1/netmon-run.1",
        "share/man/man5/netmon.yaml.5",
        "share/netmon/alerts/netmon/traffic.yaml",
        "share/netmon/alerts/prometheus/traffic.rules.yaml",
        "share/zsh/site-functions/_netmon",
    ] {
        assert!(files.contains(&PathBuf::from(file)), "{file} is missing: {files:?}");
    }
    assert!(!files.iter().any(|file| text(file).ends_with("_test.yaml")), "{files:?}");
    assert_eq!(mode(&installed.program()), 0o755);
    assert_eq!(mode(&installed.config()), 0o644);

    std::fs::write(installed.config(), "interfaces: [eth7]\n").expect("the config can be changed");
    installed.make("install");
    assert_eq!(std::fs::read_to_string(installed.config()).expect("it is there"), "interfaces: [eth7]\n");
    installed.make("uninstall");
    assert_eq!(installed.files(), [PathBuf::from("etc/netmon/netmon.yaml")]);
}

#[test]
fn a_package_is_made_below_another_root() {
    let root = tempfile::tempdir().expect("a directory");
    let installed = Installed { root, destdir: true };
    installed.make("install");
    let below = |path: &str| installed.root.path().join(path);
    let unit = std::fs::read_to_string(below("usr/lib/systemd/system/netmon.service")).expect("it is there");
    let ours = std::fs::read_to_string(project().join("packaging/netmon.service")).expect("it is there");
    assert_eq!(unit, ours, "the paths of a package are those of the unit as it is");
    assert!(below("etc/netmon/netmon.yaml").is_file() && below("usr/bin/netmon").is_file());
}

#[test]
fn netmon_captures_with_what_the_unit_leaves_it_and_calls_nothing_else() {
    if !can_run(&["ip", "curl", "python3", "setpriv", "strace", "systemd-analyze"]) {
        return;
    }
    let installed = Installed::new();
    let calls = installed.root.path().join("calls");
    std::fs::set_permissions(installed.root.path(), PermissionsExt::from_mode(0o777)).expect("it is ours");
    let wire = Wire::new();
    let mut netmon = wire.monitor.command("setpriv");
    // User=, CapabilityBoundingSet=, AmbientCapabilities= and NoNewPrivileges= of the unit; nobody stands for netmon.
    netmon.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]);
    for set in ["--bounding-set", "--inh-caps", "--ambient-caps"] {
        netmon.args([set, "-all,+net_raw"]);
    }
    netmon.args(["strace", "-f", "-qq", "-e", "signal=none", "-o", text(&calls)]);
    netmon
        .arg(installed.program())
        .args(["run", "--interface", "m0", "--bind", BIND])
        .env("STATE_DIRECTORY", installed.root.path().join("state"))
        .current_dir(installed.root.path());
    let mut running = Running::start(netmon.stderr(Stdio::null()));
    wait_until("netmon to be ready", START, || wire.monitor.get(&format!("http://{BIND}/readyz"), &[]));
    wire.send_datagrams(&wire.generator, rig::MONITOR, 100);
    let received = || wire.metrics().sum("netmon_interface_receive_packets_total", &[("interface", "m0")]);
    wait_until("the datagrams", START, || (received() >= 100.0).then_some(()));

    // strace passes on what ends its child, not what ends itself.
    let child = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", running.id())).expect("it has a child");
    let child: i32 = child.trim().parse().expect("one child");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGTERM).expect("it is ours");
    assert_eq!(running.end_within(Duration::from_secs(20)).code(), Some(0));

    let made = system_calls(&std::fs::read_to_string(&calls).expect("strace wrote it"));
    assert!(made.contains("socket") && made.contains("execve"), "{made:?}");
    let mut refused = made;
    refused.retain(|call| !allowed_calls(&installed.unit()).contains(call));
    // How netmon sees that it cannot become root again, which the unit refuses before the kernel does.
    assert!(refused.remove("setresuid"), "netmon tries to take its privileges back");
    assert!(refused.is_empty(), "the unit lets through no {refused:?}");
}

/// The program, unit and config below a temporary directory.
struct Installed {
    root: TempDir,
    /// As a package, below another root; else below a prefix of its own.
    destdir: bool,
}

impl Installed {
    fn new() -> Self {
        let installed = Self { root: tempfile::tempdir().expect("a directory"), destdir: false };
        installed.make("install");
        installed
    }

    fn make(&self, target: &str) {
        let root = text(self.root.path());
        let mut make = Command::new("make");
        make.args(["--silent", target]).arg(format!("BINARY={}", netmon().get_program().display()));
        match self.destdir {
            true => make.args([format!("DESTDIR={root}"), "PREFIX=/usr".into(), "sysconfdir=/etc".into()]),
            false => make.args([format!("PREFIX={root}"), format!("sysconfdir={root}/etc")]),
        };
        let output = make.current_dir(project()).output().expect("make starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn program(&self) -> PathBuf {
        self.root.path().join("bin/netmon")
    }

    fn unit(&self) -> PathBuf {
        self.root.path().join("lib/systemd/system/netmon.service")
    }

    fn config(&self) -> PathBuf {
        self.root.path().join("etc/netmon/netmon.yaml")
    }

    /// What the unit starts: the program and its arguments.
    fn started(&self) -> Vec<String> {
        let line = settings(&self.unit(), "ExecStart").concat();
        line.split(' ').map(str::to_owned).collect()
    }

    /// All files, by their path below the root, in order.
    fn files(&self) -> Vec<PathBuf> {
        let (mut open, mut files) = (vec![self.root.path().to_owned()], Vec::new());
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).expect("it is a directory") {
                let path = entry.expect("it can be read").path();
                if path.is_dir() { open.push(path) } else { files.push(path) }
            }
        }
        let below = |path: &PathBuf| path.strip_prefix(self.root.path()).expect("it is below").to_owned();
        let files: BTreeSet<_> = files.iter().map(below).collect();
        files.into_iter().collect()
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The values of a setting of the unit, in order.
fn settings(unit: &Path, name: &str) -> Vec<String> {
    let unit = std::fs::read_to_string(unit).expect("the unit can be read");
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
    unit.lines().filter_map(value).collect()
}

/// The system calls in the output of strace, in which a line begins with the number of a thread.
fn system_calls(trace: &str) -> BTreeSet<String> {
    let call = |line: &str| {
        let behind = line.split_once(' ')?.1.trim_start();
        let name = behind.split_once('(')?.0;
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then(|| name.to_owned())
    };
    trace.lines().filter_map(call).collect()
}

/// What the unit's SystemCallFilter= lets through: its lines add to the list or, after a `~`, take away from it.
fn allowed_calls(unit: &Path) -> BTreeSet<String> {
    let groups = call_groups();
    let mut allowed = members(&groups, "@default");
    for line in settings(unit, "SystemCallFilter") {
        let (removed, names) = line.strip_prefix('~').map_or((false, line.as_str()), |names| (true, names));
        for call in names.split(' ').flat_map(|name| members(&groups, name)) {
            if removed {
                allowed.remove(&call)
            } else {
                allowed.insert(call)
            };
        }
    }
    allowed
}

/// A call, or all of a group.
fn members(groups: &BTreeMap<String, Vec<String>>, name: &str) -> BTreeSet<String> {
    match groups.get(name) {
        Some(of_group) => of_group.iter().flat_map(|name| members(groups, name)).collect(),
        None => BTreeSet::from([name.to_owned()]),
    }
}

/// The groups that systemd knows: a name at the beginning of a line, what is in it indented behind.
fn call_groups() -> BTreeMap<String, Vec<String>> {
    let listing = String::from_utf8(analyze(&["syscall-filter", "--no-pager"]).stdout).expect("the list is text");
    let (mut groups, mut current) = (BTreeMap::<_, Vec<_>>::new(), String::new());
    for line in listing.lines() {
        let name = line.trim();
        if line.starts_with('@') {
            current = name.to_owned();
        } else if line.starts_with(' ') && !name.starts_with('#') && !name.is_empty() {
            groups.entry(current.clone()).or_default().push(name.to_owned());
        }
    }
    assert!(groups.contains_key("@system-service"), "systemd lists its groups");
    groups
}

fn analyze(arguments: &[&str]) -> Output {
    Command::new("systemd-analyze").args(arguments).output().expect("systemd-analyze starts")
}

/// Needs no root, only the tool.
fn can_analyze() -> bool {
    let there = tool("systemd-analyze").is_some();
    assert!(
        there || std::env::var_os("TEST_REQUIRE_ALL").is_none(),
        "nothing may be skipped: systemd-analyze is missing"
    );
    if !there {
        eprintln!("skipped: needs systemd-analyze, of the package systemd");
    }
    there
}
