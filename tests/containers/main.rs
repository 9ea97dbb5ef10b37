//! netmon in containers: what the manifests say, the image that the Dockerfile makes, and netmon inside of it.
//!
//! The manifests are looked at wherever the tests run, and a ConfigMap that is swapped is read in a namespace. Images are
//! built and run by `scripts/containers.sh`, which names its storage in `TEST_CONTAINERS`; without, a line says that these
//! tests are skipped. Needs root.
#![cfg(target_os = "linux")]

#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

mod config_map;
mod image;
mod manifests;
mod podman;
mod schemas;
mod threads;

use std::path::{Path, PathBuf};
use yaml_rust2::{Yaml, YamlLoader};

/// A file of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file.
fn documents(path: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts of a list.
fn texts(list: &Yaml) -> Vec<&str> {
    list.as_vec().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Yaml::as_str).collect()
}

/// The one item of a list with this name.
fn named<'a>(list: &'a Yaml, name: &str) -> &'a Yaml {
    let items = list.as_vec().map(Vec::as_slice).unwrap_or_default();
    items.iter().find(|item| item["name"].as_str() == Some(name)).unwrap_or_else(|| panic!("there is no {name}"))
}

/// A workload of Kubernetes that has netmon in it.
struct Workload {
    file: &'static str,
    documents: Vec<Yaml>,
}

impl Workload {
    /// Both that are shipped.
    fn all() -> [Self; 2] {
        ["docker/sidecar.yaml", "docker/daemonset.yaml"].map(|file| Self { file, documents: documents(file) })
    }

    fn of_kind(&self, kind: &str) -> Option<&Yaml> {
        self.documents.iter().find(|document| document["kind"].as_str() == Some(kind))
    }

    /// What the pods of the Deployment or DaemonSet are.
    fn pod(&self) -> &Yaml {
        let workload = self.of_kind("DaemonSet").or_else(|| self.of_kind("Deployment")).expect("there is a workload");
        &workload["spec"]["template"]["spec"]
    }

    /// netmon's container: a native sidecar, or one like others.
    fn netmon(&self) -> &Yaml {
        let key = if self.pod()["initContainers"].is_badvalue() { "containers" } else { "initContainers" };
        named(&self.pod()[key], "netmon")
    }

    /// The configuration in its ConfigMap.
    fn config(&self) -> &str {
        let map = self.of_kind("ConfigMap").expect("there is a ConfigMap");
        map["data"]["netmon.yaml"].as_str().expect("it has a netmon.yaml")
    }
}
