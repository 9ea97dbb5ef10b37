//! The manifests under the schemas of Kubernetes and of Compose, by other people's validators.

use crate::rig::{PYTHON, tool};
use crate::{podman, project};
use std::process::Command;

/// Every document but those of the Prometheus operator, whose schemas are its own, for the first version with native
/// sidecars and for a newer one.
const KUBERNETES: &str = "
import sys, yaml, kubernetes_validate
checked = 0
for file in sys.argv[1:]:
    for document in yaml.safe_load_all(open(file)):
        if document['apiVersion'].startswith('monitoring.coreos.com/'): continue
        for version in ('1.29', '1.34'):
            kubernetes_validate.validate(document, version, strict=True)
            checked += 1
print(checked)";

/// The Python with the validators, or why it is not used.
fn python() -> Option<std::path::PathBuf> {
    let imports = ["-c", "import kubernetes_validate, check_jsonschema"];
    let python = tool(PYTHON)
        .filter(|python| Command::new(python).args(imports).output().is_ok_and(|output| output.status.success()));
    if python.is_none() {
        assert!(!podman::is_asked_for(), "nothing may be skipped: `scripts/setup.sh containers` gets the validators");
        eprintln!("skipped: needs kubernetes-validate and check-jsonschema; `scripts/setup.sh containers` gets them");
    }
    python
}

#[test]
fn kubernetes_takes_the_manifests_strictly() {
    let Some(python) = python() else { return };
    let files = ["docker/sidecar.yaml", "docker/daemonset.yaml"].map(project);
    let output = Command::new(python).args(["-c", KUBERNETES]).args(files).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "14");
}

#[test]
fn compose_takes_its_file() {
    let Some(python) = python() else { return };
    let arguments = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"];
    let output =
        Command::new(python).args(arguments).arg(project("docker/compose.yaml")).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
