//! The image that the Dockerfile makes, and netmon running in it beside another container.

use crate::config_map::ConfigMap;
use crate::podman::{Container, Podman};
use crate::rig::metrics::Page;
use crate::rig::{GENERATOR, MONITOR, START, Wire, directory_for_all};
use crate::support::running::{poll, wait_until};
use crate::support::text;
use crate::threads::assert_confined;
use crate::{Workload, documents, project, texts};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Capabilities of an ordinary start, as the kernel prints a set of them.
const NET_RAW: &str = "0000000000002000";
/// What a container may take of the grace of 30 s; netmon promises 5 s.
const GRACE: Duration = Duration::from_secs(10);
/// How netmon is confined in each of these, whatever it is given beside that.
const CONFINED: [&str; 5] = ["--read-only", "--security-opt", "no-new-privileges", "--cap-drop", "all"];

/// An application in a container on one end of a wire, and netmon in another that shares its network.
struct Pod<'a> {
    netmon: Container<'a>,
    _application: Container<'a>,
    wire: Wire,
    port: i64,
}

impl<'a> Pod<'a> {
    fn new(podman: &'a Podman, options: &[&str], port: i64) -> Self {
        let wire = Wire::new();
        wire.monitor.must("ip", &["route", "add", "default", "via", GENERATOR]);
        let network = format!("ns:/run/netns/{}", wire.monitor.name());
        let application = podman.start(&["--network", &network], &podman.base, &["sleep", "1000"]);
        let shared = application.network();
        let netmon = podman.start(&[&["--network", &shared], &CONFINED[..], options].concat(), &podman.image, &[]);
        let pod = Self { netmon, _application: application, wire, port };
        wait_until("netmon to be ready", START, || pod.get("/readyz"));
        pod
    }

    fn get(&self, path: &str) -> Option<String> {
        self.wire.monitor.get(&format!("http://127.0.0.1:{}{path}", self.port), &["--header", "Accept: text/plain"])
    }

    fn metrics(&self) -> Page {
        Page::parse(&self.get("/metrics").expect("it answers"))
    }

    /// Packets that netmon counted, received and transmitted.
    fn counted(&self) -> [f64; 2] {
        let metrics = self.metrics();
        ["receive", "transmit"]
            .map(|way| metrics.sum(&format!("netmon_interface_{way}_packets_total"), &[("interface", "m0")]))
    }

    /// Packets that the kernel counted at the far end: what is sent there is received here.
    fn moved(&self) -> [f64; 2] {
        let [received, sent] = self.wire.generator.kernel_counters("g0").map(|[packets, _]| packets);
        [sent, received]
    }

    /// Asserts that it ends by itself, well and in time, when it is told to.
    #[expect(clippy::disallowed_methods, reason = "a bound on what happens outside of the program")]
    fn stops(&self) {
        let began = Instant::now();
        assert_eq!(self.netmon.ask(&["stop", "--time", "30"]).code, Some(0));
        assert!(began.elapsed() < GRACE, "it took {:?}", began.elapsed());
        assert_eq!(self.netmon.inspect("{{.State.ExitCode}}"), "0", "{}", self.netmon.log());
    }
}

#[test]
fn the_image_is_of_an_ordinary_user_and_holds_no_capability() {
    let Some(podman) = Podman::find() else { return };
    let of_image = |template: &str| podman.must(&["image", "inspect", "--format", template, &podman.image]);
    assert_eq!(of_image("{{.Config.User}}"), "65532:65532");
    assert_eq!(of_image("{{.Config.Entrypoint}} {{.Config.Cmd}}"), "[/usr/bin/netmon] [run]");
    assert_eq!(of_image("{{.Config.StopSignal}} {{.Config.ExposedPorts}}"), "SIGTERM map[8080/tcp:{}]");
    assert_eq!(of_image("{{.HealthCheck.Test}}"), "[CMD /usr/bin/netmon health]");
    let label = |name: &str| of_image(&format!("{{{{index .Labels \"org.opencontainers.image.{name}\"}}}}"));
    assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("description"), env!("CARGO_PKG_DESCRIPTION"));
    assert!(["revision", "source"].iter().all(|name| !label(name).is_empty()));

    let root = podman.must(&["image", "mount", &podman.image]);
    let with_capabilities = std::process::Command::new("getcap").args(["-r", &root]).output().expect("getcap starts");
    let state = std::fs::metadata(Path::new(&root).join("var/lib/netmon")).expect("it is there");
    let config = std::fs::read(Path::new(&root).join("etc/netmon/netmon.yaml")).expect("it is there");
    podman.must(&["image", "unmount", &podman.image]);
    assert_eq!(String::from_utf8_lossy(&with_capabilities.stdout), "");
    assert_eq!((state.uid(), state.gid(), state.mode() & 0o777), (65532, 65532, 0o700));
    assert_eq!(config, std::fs::read(project("docker/netmon.yaml")).expect("it is there"));
    let size =
        |name: &str| podman.must(&["image", "inspect", "--format", "{{.Size}}", name]).parse::<f64>().expect("a size");
    let [image, base] = [&podman.image, &podman.base].map(|name| size(name) / 1e6);
    println!("figure: the image has {image:.1} MB, {:.1} MB more than Debian under it", image - base);
}

#[test]
fn a_sidecar_of_an_ordinary_user_with_one_capability_counts_every_frame_of_the_pod() {
    let Some(podman) = Podman::find() else { return };
    // As the image has it: its user, its configuration.
    let pod = Pod::new(&podman, &["--cap-add", "NET_RAW"], 8080);
    let before = pod.counted();
    let frame = [&[0xff_u8; 6][..], &[2, 0, 0, 0, 0, 1], &[0x88, 0xb5], &[0; 46]].concat();
    pod.wire.send_raw(&vec![frame; 1_000]);
    let counted = || pod.counted();
    let received = poll(START, counted, |counted| counted[0] >= before[0] + 1_000.0);
    assert_eq!([received[0] - before[0], received[1] - before[1]], [1_000.0, 0.0], "frames sent = frames counted");

    pod.wire.send_datagrams(&pod.wire.monitor, GENERATOR, 500);
    pod.wire.send_datagrams(&pod.wire.generator, MONITOR, 500);
    let agrees = poll(START, || (pod.counted(), pod.moved()), |(counted, moved)| counted == moved);
    assert_eq!(agrees.0, agrees.1, "as the far end's kernel counted them");
    assert!(agrees.0.iter().all(|packets| *packets >= 500.0), "{agrees:?}");
    println!(
        "figure: a sidecar counted {} received and {} transmitted frames, all there were",
        agrees.0[0], agrees.0[1]
    );

    assert_confined(pod.netmon.process(), NET_RAW);
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", pod.netmon.process())).expect("it runs");
    assert!(mounts.lines().any(|line| line.contains(" / / ro")), "{mounts}");
    for layer in netmon::metrics::LAYERS {
        assert_eq!(pod.metrics().sum("netmon_sandbox_layer", &[("layer", layer)]), 1.0, "{layer}");
    }

    assert_eq!(pod.netmon.ask(&["healthcheck", "run"]).code, Some(0));
    let process = Pid::from_raw(i32::try_from(pod.netmon.process()).expect("process ids are small"));
    kill(process, Signal::SIGSTOP).expect("it is ours");
    assert_ne!(pod.netmon.ask(&["healthcheck", "run"]).code, Some(0), "it answers nobody");
    kill(process, Signal::SIGCONT).expect("it is ours");
    let healthy = || pod.netmon.ask(&["healthcheck", "run"]).code;
    assert_eq!(poll(START, healthy, |code| *code == Some(0)), Some(0));
    pod.stops();
}

#[test]
fn started_as_the_manifests_say_nothing_of_it_is_left() {
    let Some(podman) = Podman::find() else { return };
    for (workload, bounding) in Workload::all().iter().zip(["00000000000020c0", "00000000000020c1"]) {
        let map = ConfigMap::new(workload.config());
        // A directory of the node: root's, and open to be looked at.
        let state = directory_for_all();
        let context = &workload.netmon()["securityContext"];
        let granted = texts(&context["capabilities"]["add"]);
        let memory = workload.netmon()["resources"]["limits"]["memory"].as_str().expect("a limit").replace('i', "");
        let volumes =
            [format!("{}:/etc/netmon:ro", text(map.path())), format!("{}:/var/lib/netmon", text(state.path()))];
        let mut options = vec!["--user", "0:0", "--memory", &memory, "--volume", &volumes[0]];
        if workload.file.contains("daemonset") {
            options.extend(["--volume", &volumes[1]]);
        }
        options.extend(granted.iter().flat_map(|capability| ["--cap-add", capability]));
        let port = workload.netmon()["ports"][0]["containerPort"].as_i64().expect("a port");
        let pod = Pod::new(&podman, &options, port);
        pod.wire.send_datagrams(&pod.wire.monitor, GENERATOR, 500);
        let agrees = poll(START, || (pod.counted(), pod.moved()), |(counted, moved)| counted == moved);
        assert_eq!(agrees.0, agrees.1, "{}", workload.file);
        assert_confined(pod.netmon.process(), bounding);
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"].map(|probe| &workload.netmon()[probe]) {
            if let Some(path) = probe["httpGet"]["path"].as_str() {
                assert!(pod.get(path).is_some(), "{}: {path}", workload.file);
            }
        }
        println!("figure: {} takes {} MiB of {memory}", workload.file, resident(pod.netmon.process()));
        pod.stops();
        if workload.file.contains("daemonset") {
            let store = std::fs::metadata(state.path().join("state/history.redb")).expect("it was kept");
            assert_eq!((store.uid(), store.mode() & 0o777), (65532, 0o600));
        }
    }
}

#[test]
fn as_compose_starts_it_the_volume_is_its_own_and_prometheus_may_look_but_change_nothing() {
    let Some(podman) = Podman::find() else { return };
    let netmon = &documents("docker/compose.yaml")[0]["services"]["netmon"];
    let mut options = vec!["--user", netmon["user"].as_str().expect("a user")];
    options.extend(texts(&netmon["cap_add"]).iter().flat_map(|capability| ["--cap-add", capability]));
    // Of the bridge between the containers is here the address of the wire.
    let bind = format!("NETMON_API__BIND=127.0.0.1:8080,{MONITOR}:8080");
    options.extend(["--env", &bind]);
    let pod = Pod::new(&podman, &options, 8080);
    assert_confined(pod.netmon.process(), "00000000000020c0");
    assert_eq!(pod.metrics().sum("netmon_history_write_failures_total", &[]), 0.0);
    assert!(
        pod.metrics().sum("netmon_history_size_bytes", &[]) > 0.0,
        "the volume has the owner that the image gave it"
    );
    let over_the_bridge =
        |path: &str, options: &[&str]| pod.wire.generator.get(&format!("http://{MONITOR}:8080{path}"), options);
    let page = over_the_bridge("/metrics", &["-H", "Host: netmon:8080"]);
    assert!(page.is_some_and(|page| page.contains("netmon_build_info")), "Prometheus scrapes it by its name");
    assert!(over_the_bridge("/api/v1/status", &[]).is_some());
    let reload = ["-X", "POST", "-H", "Content-Type: application/json"];
    assert_eq!(over_the_bridge("/api/v1/reload", &reload), None, "nothing can be changed");
    pod.stops();
}

#[test]
fn a_swapped_config_map_is_read_again_inside() {
    let Some(podman) = Podman::find() else { return };
    let config =
        |filter: &str| format!("capture: {{ bpf: {filter} }}\napi: {{ bind: [\":8080\"] }}\nreload: {{ watch: 1s }}\n");
    let map = ConfigMap::new(&config("udp"));
    let volume = format!("{}:/etc/netmon:ro", text(map.path()));
    let pod = Pod::new(&podman, &["--cap-add", "NET_RAW", "--volume", &volume], 8080);
    let generation = || pod.metrics().sum("netmon_config_generation", &[]);
    map.write(&config("tcp"));
    wait_until("the new filter", START, || (generation() >= 2.0).then_some(()));
    assert!(pod.get("/api/v1/config").expect("it answers").contains("\"tcp\""));
    map.write(&config("icmp"));
    // By whoever shares its processes, or from outside.
    assert_eq!(pod.netmon.ask(&["kill", "--signal", "HUP"]).code, Some(0));
    wait_until("the third filter", START, || pod.get("/api/v1/config")?.contains("\"icmp\"").then_some(()));
    pod.stops();
}

#[test]
fn without_the_capability_it_is_named_with_the_ways_to_give_it() {
    let Some(podman) = Podman::find() else { return };
    let wire = Wire::new();
    wire.monitor.must("ip", &["route", "add", "default", "via", GENERATOR]);
    let network = format!("ns:/run/netns/{}", wire.monitor.name());
    // What a user other than 0 has in Docker and Kubernetes, which give it nothing of what was added.
    let as_docker = r#"["setpriv","--reuid=65532","--regid=65532","--clear-groups","/usr/bin/netmon"]"#;
    let cases: [&[&str]; 3] = [
        &[],
        &["--user", "0:0", "--cap-add", "SETUID", "--cap-add", "SETGID"],
        &[
            "--user",
            "0:0",
            "--cap-add",
            "SETUID",
            "--cap-add",
            "SETGID",
            "--cap-add",
            "NET_RAW",
            "--entrypoint",
            as_docker,
        ],
    ];
    for options in cases {
        let ended = podman.run(&[&["--network", &network], &CONFINED[..], options].concat());
        assert_eq!(ended.code, Some(1), "{options:?}: {}", ended.stderr);
        for words in ["CAP_NET_RAW is missing", "--cap-add NET_RAW", "securityContext.capabilities.add", "user 0 only"]
        {
            assert!(ended.stderr.contains(words), "{options:?}: {}", ended.stderr);
        }
    }
    let ended =
        podman.run(&[&["--network", &network], &CONFINED[..], &["--user", "0:0", "--cap-add", "NET_RAW"]].concat());
    assert_eq!(ended.code, Some(1), "it does not go on as root");
    assert!(ended.stderr.contains("SETUID and SETGID beside NET_RAW"), "{}", ended.stderr);
}

#[test]
fn the_builder_gets_all_that_is_compiled_and_nothing_else() {
    let Some(podman) = Podman::find() else { return };
    let builder = "localhost/netmon-builder";
    let root = podman.must(&["image", "mount", builder]);
    let build = Path::new(&root).join("build");
    let inside = ["src", "dashboards/web"].map(|directory| files(&build, directory));
    let top: BTreeSet<_> =
        std::fs::read_dir(&build).expect("it is there").map(|entry| entry.expect("one").file_name()).collect();
    podman.must(&["image", "unmount", builder]);
    assert_eq!(inside, ["src", "dashboards/web"].map(|directory| files(&project(""), directory)));
    assert_eq!(top, ["Cargo.lock", "Cargo.toml", "benches", "dashboards", "src", "target"].map(Into::into).into());
}

/// Every file below a directory, by its path from `root` on, with its length.
fn files(root: &Path, directory: &str) -> BTreeSet<(String, u64)> {
    let (mut open, mut files) = (vec![root.join(directory)], BTreeSet::new());
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("it is a directory") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).expect("it is below").display().to_string();
                files.insert((name, path.metadata().expect("it is there").len()));
            }
        }
    }
    files
}

/// Memory that a process has in use, in MiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim_end_matches("kB").trim().parse::<u64>().expect("a number") / 1024
}
