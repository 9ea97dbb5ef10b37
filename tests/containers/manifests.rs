//! What the manifests promise: few privileges, probes that are answered, paths that are there, configurations that pass.

use crate::rig::{can_run, tool};
use crate::support::program::{netmon, run};
use crate::{Workload, documents, named, project, read, texts};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use yaml_rust2::Yaml;

/// What there is to probe and to scrape.
const ROUTES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

#[test]
fn every_shipped_configuration_passes_the_check() {
    let folder = tempfile::tempdir().expect("a directory");
    let of_workloads = Workload::all().map(|workload| (workload.file, workload.config().to_owned()));
    let of_image = ("docker/netmon.yaml", read("docker/netmon.yaml"));
    for (name, config) in of_workloads.into_iter().chain([of_image]) {
        let file = folder.path().join("netmon.yaml");
        std::fs::write(&file, config).expect("it is ours");
        let ended = run(netmon().arg("check").arg("-c").arg(&file));
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    }
}

#[test]
fn the_pods_give_netmon_a_read_only_root_and_no_privilege_but_to_open_its_sockets() {
    let granted = [&["NET_RAW", "SETGID", "SETUID"][..], &["CHOWN", "NET_RAW", "SETGID", "SETUID"]];
    for (workload, granted) in Workload::all().iter().zip(granted) {
        let (file, context) = (workload.file, &workload.netmon()["securityContext"]);
        assert_eq!(context["readOnlyRootFilesystem"].as_bool(), Some(true), "{file}");
        assert_eq!(context["allowPrivilegeEscalation"].as_bool(), Some(false), "{file}");
        assert_eq!(context["seccompProfile"]["type"].as_str(), Some("RuntimeDefault"), "{file}");
        assert_eq!(texts(&context["capabilities"]["drop"]), ["ALL"], "{file}");
        assert_eq!(texts(&context["capabilities"]["add"]), granted, "{file}");
        assert!(context["privileged"].is_badvalue(), "{file}");
        // As 0 it has to become somebody, by number: the file of users is the image's.
        assert_eq!(context["runAsUser"].as_i64(), Some(0), "{file}");
        assert!(workload.config().contains("user: \"65532:65532\""), "{file}");
        assert!(workload.netmon()["resources"]["limits"]["memory"].as_str().is_some(), "{file}");
        assert!(workload.pod()["hostPID"].is_badvalue(), "{file}");
    }
}

#[test]
fn probes_and_scrapes_ask_for_what_netmon_answers_where_it_listens() {
    for workload in Workload::all() {
        let (file, netmon) = (workload.file, workload.netmon());
        let port = &netmon["ports"][0];
        let bind = format!("bind: [\":{}\"]", port["containerPort"].as_i64().expect("a port"));
        assert!(workload.config().contains(&bind), "{file}: no {bind}");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"].map(|probe| &netmon[probe]) {
            if !probe.is_badvalue() {
                assert!(ROUTES.contains(&probe["httpGet"]["path"].as_str().expect("a path")), "{file}");
                assert_eq!(probe["httpGet"]["port"].as_str(), port["name"].as_str(), "{file}");
            }
        }
        assert!(!netmon["startupProbe"].is_badvalue() && !netmon["livenessProbe"].is_badvalue(), "{file}");
        let (service, pods) = (workload.of_kind("ServiceMonitor"), workload.of_kind("PodMonitor"));
        let endpoint = service
            .map(|monitor| &monitor["spec"]["endpoints"][0])
            .or(pods.map(|monitor| &monitor["spec"]["podMetricsEndpoints"][0]))
            .expect("there is a monitor");
        assert_eq!(endpoint["port"].as_str(), port["name"].as_str(), "{file}");
        assert_eq!(endpoint["path"].as_str(), Some("/metrics"), "{file}");
    }
}

#[test]
fn a_readiness_of_netmon_never_takes_an_application_out_of_its_service() {
    let [sidecar, daemonset] = Workload::all();
    assert_eq!(sidecar.netmon()["restartPolicy"].as_str(), Some("Always"), "a native sidecar");
    assert!(sidecar.netmon()["readinessProbe"].is_badvalue());
    assert!(!daemonset.netmon()["readinessProbe"].is_badvalue());
}

#[test]
fn pods_are_kept_apart_from_the_cluster_and_its_variables() {
    for workload in Workload::all() {
        let (file, pod) = (workload.file, workload.pod());
        assert_eq!(pod["enableServiceLinks"].as_bool(), Some(false), "{file}");
        assert_eq!(pod["automountServiceAccountToken"].as_bool(), Some(false), "{file}");
        assert!(pod["terminationGracePeriodSeconds"].as_i64() >= Some(10), "{file}");
    }
    // Where they are set all the same, for a service of the name `netmon`, they do no harm.
    let links = [("NETMON_SERVICE_HOST", "192.0.2.1"), ("NETMON_PORT_9788_TCP", "tcp://192.0.2.1:9788")];
    let ended = run(netmon().arg("check").envs(links));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn the_configuration_is_mounted_as_a_directory_that_can_be_swapped() {
    for workload in Workload::all() {
        let (file, pod) = (workload.file, workload.pod());
        let map = workload.of_kind("ConfigMap").expect("there is a ConfigMap");
        let mounts = workload.netmon()["volumeMounts"].as_vec().expect("there are mounts");
        for mount in mounts {
            let volume = named(&pod["volumes"], mount["name"].as_str().expect("a mount has a name"));
            assert!(mount["subPath"].is_badvalue(), "{file}");
            if mount["mountPath"].as_str() == Some("/etc/netmon") {
                assert_eq!(volume["configMap"]["name"], map["metadata"]["name"], "{file}");
                assert_eq!(mount["readOnly"].as_bool(), Some(true), "{file}");
            }
        }
        assert!(mounts.iter().any(|mount| mount["mountPath"].as_str() == Some("/etc/netmon")), "{file}");
        assert!(workload.config().contains("watch: 5s"), "{file}: nobody tells netmon that the file was swapped");
    }
}

#[test]
fn the_daemonset_is_on_every_node_in_its_network() {
    let [_, daemonset] = Workload::all();
    let pod = daemonset.pod();
    assert_eq!(pod["hostNetwork"].as_bool(), Some(true));
    assert_eq!(pod["tolerations"][0]["operator"].as_str(), Some("Exists"));
    let account = daemonset.of_kind("ServiceAccount").expect("it has an account");
    assert_eq!(account["automountServiceAccountToken"].as_bool(), Some(false));
    assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
    let strategy = &daemonset.of_kind("DaemonSet").expect("it is one")["spec"]["updateStrategy"];
    assert_eq!(strategy["rollingUpdate"]["maxSurge"].as_i64(), Some(0), "two on a node would fight for the port");
}

#[test]
fn compose_gives_each_container_what_it_needs_and_opens_nothing_to_the_network() {
    let compose = &documents("docker/compose.yaml")[0];
    for (name, service) in compose["services"].as_hash().expect("there are services") {
        let name = name.as_str().expect("a name");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert_eq!(service["read_only"].as_bool(), Some(true), "{name}");
        assert!(texts(&service["ports"]).iter().all(|port| port.starts_with("127.0.0.1:")), "{name}");
        let (_, tag) = service["image"].as_str().and_then(|image| image.rsplit_once(':')).expect("a tag");
        assert!(tag.starts_with(|digit: char| digit.is_ascii_digit() || digit == 'v'), "{name} is not pinned: {tag}");
        assert!(name == "netmon" || !service["healthcheck"].is_badvalue(), "{name}");
    }
    let netmon = &compose["services"]["netmon"];
    assert_eq!(texts(&netmon["cap_add"]), ["NET_RAW", "SETGID", "SETUID"]);
    assert_eq!(netmon["network_mode"].as_str(), Some("host"));
    assert_eq!(netmon["user"].as_str(), Some("0:0"));
}

#[test]
fn prometheus_finds_netmon_under_the_address_at_which_it_listens_for_it() {
    let compose = &documents("docker/compose.yaml")[0];
    let gateway = compose["networks"]["monitoring"]["ipam"]["config"][0]["gateway"].as_str().expect("a gateway");
    let bind = compose["services"]["netmon"]["environment"]["NETMON_API__BIND"].as_str().expect("addresses");
    assert_eq!(bind, format!("127.0.0.1:8080,{gateway}:8080"));
    assert_eq!(texts(&compose["services"]["prometheus"]["extra_hosts"]), [format!("netmon:{gateway}")]);
    assert!(read("docker/prometheus/prometheus.yml").contains("\"netmon:8080\""));
}

#[test]
fn prometheus_and_alertmanager_read_what_compose_mounts() {
    if !can_run(&["promtool", "amtool"]) {
        return;
    }
    let layout = tempfile::tempdir().expect("a directory");
    let services = &documents("docker/compose.yaml")[0]["services"];
    for mount in ["prometheus", "alertmanager"].iter().flat_map(|name| texts(&services[*name]["volumes"])) {
        let (source, target) = mount.trim_end_matches(":ro").split_once(':').expect("source and target");
        if source.starts_with('.') {
            let target = layout.path().join(target.trim_start_matches('/'));
            std::fs::create_dir_all(target.parent().expect("it is in a directory")).expect("it is ours");
            std::os::unix::fs::symlink(project("docker").join(source), target).expect("it is ours");
        }
    }
    let checks = [
        ("promtool", &["check", "config"][..], "etc/prometheus/prometheus.yml"),
        ("amtool", &["check-config"], "etc/alertmanager/alertmanager.yml"),
    ];
    for (program, arguments, file) in checks {
        let mut check = Command::new(tool(program).expect("it is there"));
        let ended = run(check.args(arguments).arg(layout.path().join(file)));
        let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &ended.stderr;
        assert_eq!(ended.code, Some(0), "{said}");
        assert!(program == "amtool" || said.matches("rules found").count() >= 2, "recording rules and alerts: {said}");
    }
}

#[test]
fn what_compose_mounts_is_there() {
    let compose = &documents("docker/compose.yaml")[0];
    let volumes = compose["volumes"].as_hash().expect("there are volumes");
    let services = compose["services"].as_hash().expect("there are services");
    for mount in services.iter().flat_map(|(_, service)| texts(&service["volumes"])) {
        let source = mount.split(':').next().expect("a mount has a source");
        let is_there = match source.starts_with('.') {
            true => project("docker").join(source).exists() && mount.ends_with(":ro"),
            false => volumes.contains_key(&Yaml::String(source.into())),
        };
        assert!(is_there, "{mount}");
    }
}

#[test]
fn everything_says_the_version_of_the_package() {
    let image = concat!("netmon:", env!("CARGO_PKG_VERSION"));
    assert_eq!(documents("docker/compose.yaml")[0]["services"]["netmon"]["image"].as_str(), Some(image));
    for workload in Workload::all() {
        assert_eq!(workload.netmon()["image"].as_str(), Some(image), "{}", workload.file);
    }
    let dockerfile = read("docker/Dockerfile");
    assert!(dockerfile.contains(concat!("ARG VERSION=", env!("CARGO_PKG_VERSION"), "\n")));
    let rust = dockerfile.lines().find_map(|line| line.strip_prefix("ARG RUST_TAG=")).expect("a builder");
    assert!(rust.starts_with(env!("CARGO_PKG_RUST_VERSION")), "{rust}");
}

#[test]
fn the_dockerfile_copies_only_what_is_there_and_let_through() {
    let allowed: BTreeSet<String> =
        read(".dockerignore").lines().filter_map(|line| line.strip_prefix('!')).map(str::to_owned).collect();
    let dockerfile = read("docker/Dockerfile");
    let copies =
        dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"));
    for copy in copies {
        let names: Vec<&str> = copy.split(' ').collect();
        for source in &names[..names.len() - 1] {
            assert!(project(source).exists(), "{source}");
            let is_allowed = |allowed: &String| match allowed.strip_suffix('*') {
                Some(start) => source.starts_with(start),
                None => Path::new(source).starts_with(allowed),
            };
            assert!(allowed.iter().any(is_allowed), "{source} is left out by .dockerignore");
        }
    }
}
