//! A receiver that people run: rotel prints what it takes over either way.

use crate::rig::{MONITOR, Wire, can_run, tool};
use crate::samples::of_page;
use crate::sink::Way;
use crate::support::running::{Running, wait_until};
use crate::{SOON, page, pushing};
use std::path::PathBuf;
use std::process::Stdio;

/// The program in the package `rotel` of the Python environment.
fn rotel() -> Option<PathBuf> {
    let python = tool(crate::rig::PYTHON)?;
    let libraries = python.parent()?.parent()?.join("lib");
    let versions = std::fs::read_dir(libraries).ok()?.flatten();
    versions.map(|version| version.path().join("site-packages/rotel/rotel-agent")).find(|file| file.is_file())
}

#[test]
fn rotel_takes_metrics_and_spans_over_either_way() {
    if !can_run(&["ip", "curl", "python3", crate::rig::PYTHON]) {
        return;
    }
    let Some(rotel) = rotel() else {
        assert!(std::env::var_os("TEST_REQUIRE_ALL").is_none(), "rotel is missing; `make setup` gets it");
        return eprintln!("skipped: needs rotel; `make setup` gets it");
    };
    for (way, port) in [(Way::Http, 4318), (Way::Grpc, 4317)] {
        let (wire, directory) = (Wire::new(), crate::rig::directory_for_all());
        let log = directory.path().join("rotel");
        let mut command = wire.monitor.command(&rotel);
        command.args(["start", "--otlp-grpc-endpoint", "127.0.0.1:4317", "--otlp-http-endpoint", "127.0.0.1:4318"]);
        command.args(["--exporter", "blackhole", "--debug-log", "traces", "--debug-log", "metrics"]);
        command.args(["--debug-log-verbosity", "detailed"]).current_dir(directory.path());
        let out = std::fs::File::create(&log).unwrap();
        let _rotel = Running::start(command.stdout(out.try_clone().unwrap()).stderr(Stdio::from(out)));
        let _netmon = pushing(&wire, &format!("http://127.0.0.1:{port}"), way).start();
        wire.send_datagrams(&wire.generator, MONITOR, 321);
        let printed = || plain(&std::fs::read_to_string(&log).unwrap());
        let wanted = ["netmon_interface_receive_packets_total", "service.instance.id", "http.request", "config.load"];
        wait_until("everything to be printed", SOON, || {
            wanted.iter().all(|text| printed().contains(text)).then_some(())
        });
        // Once nothing more is sent, both say the same.
        wait_until("the same count of frames", SOON, || {
            let page = of_page(&page(&wire)).get("netmon_interface_receive_packets_total{interface=\"m0\"}").copied();
            let pushed = last_value(&printed(), "netmon_interface_receive_packets_total");
            (pushed.is_some_and(|count| count >= 321.0) && pushed == page).then_some(())
        });
    }
}

/// The value of a metric's first point, as it was printed last.
fn last_value(printed: &str, name: &str) -> Option<f64> {
    let (_, behind) = printed.rsplit_once(&format!("Name: {name}\n"))?;
    behind.split_once("Value: ")?.1.lines().next()?.trim().parse().ok()
}

/// Without colours.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or("", |(_, rest)| rest))
}
