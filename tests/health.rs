//! `netmon health` asks whether a daemon is ready: one line, and an exit code.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;
use support::program::{Ended, netmon, run};
use support::running::{Running, wait_until};

fn health(url: &str) -> Ended {
    run(netmon().args(["health", "--url", url]))
}

#[track_caller]
fn says(ended: &Ended, code: i32, words: &str) {
    let line = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(ended.code, Some(code), "{line}{}", ended.stderr);
    assert!(line.contains(words) && line.lines().count() == 1, "{line}");
}

/// Answers one request with this.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 4096]);
        client.write_all(answer.as_bytes()).unwrap();
    });
    url
}

#[test]
fn a_ready_daemon_is_ready_over_its_socket_and_its_port() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let unix = format!("unix:{}", socket.display());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/http.pcap");
    let mut command = netmon();
    command.args(["replay", file, "--serve", "--bind", &unix, "--bind", &port.to_string()]);
    let _serving = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    wait_until("the socket", Duration::from_secs(20), || socket.exists().then_some(()));
    wait_until("the daemon", Duration::from_secs(20), || (health(&unix).code == Some(0)).then_some(()));
    says(&health(&unix), 0, "ready");
    says(&health(&format!("http://{port}")), 0, "ready");
    says(&health(&format!("http://{port}/")), 0, "ready");
}

#[test]
fn one_that_is_not_ready_or_not_there_is_told_with_the_reason() {
    let body = r#"{"detail": "first snapshot: not ready yet"}"#;
    assert_eq!(body.len(), 43);
    let busy =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 43\r\n\r\n{\"detail\": \"first snapshot: not ready yet\"}";
    says(&health(&answering(busy)), 1, "not ready: first snapshot: not ready yet");
    says(&health(&answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")), 1, "answers 404");
    says(&health(&answering("nonsense")), 1, "not ready: cannot ask the daemon at http://127.0.0.1");
    says(&health("http://127.0.0.1:1"), 1, "refused");
    says(&health("unix:/nowhere/socket"), 1, "No such file");
}

#[test]
fn what_is_no_place_of_a_daemon_is_wrong_input() {
    for wrong in ["127.0.0.1:8080", "ftp://127.0.0.1", "unix:socket"] {
        let ended = health(wrong);
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("expected http://HOST:PORT"), "{}", ended.stderr);
    }
}
