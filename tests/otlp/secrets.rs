//! TLS with an authority of one's own, headers from a private file, and what is said of mistakes.

use crate::rig::{Wire, can_run};
use crate::sink::{Fate, Sink, Taken, Way};
use crate::support::program::{netmon, run};
use crate::support::running::wait_until;
use crate::{SOON, page, pushing, spans};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// An authority as `ca.pem`, and what serves as `localhost` with a certificate of it.
fn certificate(directory: &Path, protocol: &str) -> Arc<ServerConfig> {
    const EC: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    std::fs::write(directory.join("names"), "subjectAltName=DNS:localhost").unwrap();
    let authority = ["req", "-x509", "-subj", "/CN=authority", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"];
    let request = ["req", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem"];
    let sign = ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl(directory, &[&authority[..], &EC].concat());
    openssl(directory, &[&request[..], &EC].concat());
    openssl(directory, &[&sign[..], &["-days", "2", "-extfile", "names", "-out", "cert.pem"]].concat());
    let chain = vec![CertificateDer::from_pem_file(directory.join("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(directory.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config)
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let made = Command::new("openssl").args(arguments).current_dir(directory).output().expect("openssl starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A private file of the user that netmon becomes.
fn secret(directory: &Path, text: &str) -> std::path::PathBuf {
    let file = directory.join("headers");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    nix::unistd::chown(&file, Some(65534.into()), None).unwrap();
    file
}

#[test]
fn both_ways_go_over_tls_to_whom_a_given_authority_vouches_for() {
    if !can_run(&["ip", "curl", "openssl"]) {
        return;
    }
    for (way, protocol) in [(Way::Http, "http/1.1"), (Way::Grpc, "h2")] {
        let (wire, directory) = (Wire::new(), crate::rig::directory_for_all());
        let tls = certificate(directory.path(), protocol);
        let sink = Sink::start(&wire.monitor, 0, way, Some(tls), |_| Fate::Accept);
        let headers = secret(directory.path(), "authorization=Bearer%20canary-1\n");
        let endpoint = format!("https://localhost:{}", sink.address.port());
        let _netmon = pushing(&wire, &endpoint, way)
            .set("privileges.user", "65534")
            .set("telemetry.otlp.ca_file", directory.path().join("ca.pem").to_str().unwrap())
            .set("telemetry.otlp.headers_file", headers.to_str().unwrap())
            .start();
        wait_until("metrics", SOON, || sink.taken().into_iter().find(Taken::is_metrics));
        wait_until("spans", SOON, || (!spans(&sink.taken()).is_empty()).then_some(()));
        assert!(sink.taken().iter().all(|taken| taken.headers["authorization"] == "Bearer canary-1"));
        // Another secret in the file is the one that is sent from then on.
        std::fs::write(&headers, "authorization=Bearer%20canary-2").unwrap();
        let is_new = |taken: &Taken| taken.headers["authorization"] == "Bearer canary-2";
        wait_until("the new secret", SOON, || sink.taken().iter().any(is_new).then_some(()));
        assert!(!page(&wire).contains("canary"));
    }
}

#[test]
fn a_collector_for_whom_nobody_vouches_gets_nothing() {
    if !can_run(&["ip", "curl", "openssl"]) {
        return;
    }
    let (wire, directory, other) = (Wire::new(), crate::rig::directory_for_all(), crate::rig::directory_for_all());
    let tls = certificate(directory.path(), "http/1.1");
    certificate(other.path(), "http/1.1");
    let sink = Sink::start(&wire.monitor, 0, Way::Http, Some(tls), |_| Fate::Accept);
    let _netmon = pushing(&wire, &format!("https://localhost:{}", sink.address.port()), Way::Http)
        .set("telemetry.otlp.ca_file", other.path().join("ca.pem").to_str().unwrap())
        .start();
    let failed = r#"netmon_otlp_export_failures_total{signal="metrics",reason="tls"}"#;
    wait_until("a failure", SOON, || {
        crate::samples::of_page(&page(&wire)).get(failed).is_some_and(|count| *count > 0.0).then_some(())
    });
    assert!(sink.taken().is_empty());
}

#[test]
fn check_says_what_is_wrong_with_a_collector_and_shows_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let (file, headers) = (directory.path().join("netmon.yaml"), directory.path().join("headers"));
    std::fs::write(&headers, "canary").unwrap();
    std::fs::set_permissions(&headers, std::fs::Permissions::from_mode(0o600)).unwrap();
    let check = |otlp: &str| {
        std::fs::write(&file, format!("telemetry:\n  otlp:\n{otlp}")).unwrap();
        let ended = run(netmon().args(["check", "--strict", "-c"]).arg(&file));
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
        (ended.code, ended.stderr.replace(file.to_str().unwrap(), "F").replace(headers.to_str().unwrap(), "H"))
    };
    let url = "    endpoint: http://localhost:4318\n";
    let (code, said) = check("    endpoint: localhost:4318\n    timeout: 2min\n    protocol: http/json\n");
    assert_eq!(code, Some(2));
    assert_eq!(
        said,
        "netmon: config `F:3`: `telemetry.otlp.endpoint` is no URL such as `https://host:port/path`, allowed an `http` or \
         `https` URL (default none)\n\
         netmon: config `F:4`: `telemetry.otlp.timeout` is 2 min, allowed 100 ms to 60 s (default 10 s)\n\
         netmon: config `F:5`: `telemetry.otlp.protocol` is `http/json`, allowed `http/protobuf`, `grpc` (default \
         http/protobuf)\n"
    );
    let (code, said) = check(&format!("{url}    headers_file: {}\n", headers.display()));
    assert_eq!(code, Some(2));
    assert!(
        said.contains("config `F:4`: cannot use the headers for the collector: the headers are no pairs"),
        "{said}"
    );
    let (_, said) = check(&format!("{url}    ca_file: /no/such\n"));
    assert!(said.contains("config `F:4`: cannot set up TLS for the collector: cannot read certificates"), "{said}");
    let (_, said) = check(&format!(
        "{url}    headers_env: NO_SUCH\n    headers_file: /x\n    protocol: grpc\n    traces: {{endpoint: 'http://h/x'}}\n"
    ));
    assert!(said.contains("`telemetry.otlp.headers_file` is given beside `telemetry.otlp.headers_env`"), "{said}");
    assert!(said.contains("`telemetry.otlp.traces.endpoint` has a path, and `grpc` has its own"), "{said}");
}
