//! What hostile pages, tools and people send: nothing of it is answered with data, and nothing of it changes anything.

use crate::client::{Server, sources};
use netmon::http::{Health, Rooms, Sources};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A server with control, and how often it was told something.
async fn controlled() -> (Server, Arc<AtomicUsize>) {
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let control = move |_| {
        count.fetch_add(1, Relaxed);
        Ok(serde_json::json!({}))
    };
    let rooms = Rooms { control: Some(Box::new(control)), ..Rooms::default() };
    let sources = Sources { rooms, ..sources(Arc::default(), Health::new()) };
    (Server::local(sources).await, told)
}

const CHANGES: [(&str, &str); 6] = [
    ("POST", "/api/v1/reload"),
    ("POST", "/api/v1/interfaces/eth0/pause"),
    ("PUT", "/api/v1/interfaces/eth0/filter"),
    ("POST", "/api/v1/silences"),
    ("DELETE", "/api/v1/silences/1"),
    ("POST", "/api/v1/receivers/ops/test"),
];

#[tokio::test]
async fn no_header_that_a_foreign_page_can_send_changes_anything() {
    let (server, told) = controlled().await;
    let port = server.address.port();
    let origins = [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://127.0.0.1.evil.example",
        "Origin: http://192.0.2.1",
        "Origin: http://localhost:1",
        "Origin: https://localhost.evil.example:8080",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ];
    let types = ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json"];
    for (method, path) in CHANGES {
        for origin in origins {
            for content_type in types {
                let content_type =
                    if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
                let headers = format!("Host: localhost:{port}\r\n{origin}\r\n{content_type}");
                let answer = server.send(method, path, &headers, "{}").await;
                assert_eq!(answer.status, 403, "{method} {path} {headers}");
                assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{headers}");
            }
        }
        for content_type in &types[..4] {
            let headers = format!("Content-Type: {content_type}\r\n");
            assert_eq!(server.send(method, path, &headers, "{}").await.status, 415, "{method} {path} {headers}");
        }
        let preflight = "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n";
        assert_eq!(server.ask("OPTIONS", path, preflight).await.status, 403, "{path}");
    }
    assert_eq!(told.load(Relaxed), 0);
    let own = format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\nSec-Fetch-Site: same-origin\r\n");
    let answer = server.send("POST", "/api/v1/reload", &format!("{own}Content-Type: application/json\r\n"), "").await;
    assert_eq!((answer.status, told.load(Relaxed)), (200, 1), "its own page may");
    server.stop().await;
}

#[tokio::test]
async fn foreign_names_of_the_host_get_no_data() {
    let (server, _) = controlled().await;
    let port = server.address.port();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "2130706433".to_owned(),
        "0x7f000001".to_owned(),
        "127.1".to_owned(),
        "localhost.".to_owned(),
        format!("localhost.evil.example:{port}"),
        "[::1]".to_owned(),
        "127.0.0.2".to_owned(),
    ] {
        for path in ["/", "/api/v1/status", "/api/v1/config", "/api/v1/flows", "/api/openapi.json", "/metrics"] {
            let answer = server.ask("GET", path, &format!("Host: {host}\r\n")).await;
            assert_eq!(answer.status, 421, "{host} {path}");
            assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains("api.hosts")));
        }
    }
    for (first, second) in [("localhost", "localhost"), ("localhost", "evil.example")] {
        let answer = server.ask("GET", "/api/v1/status", &format!("Host: {first}\r\nHost: {second}\r\n")).await;
        assert_eq!(answer.status, 400);
    }
    server.stop().await;
}

#[tokio::test]
async fn broken_requests_end_the_connection_without_harm() {
    let (server, told) = controlled().await;
    let head = "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    for (request, allowed) in [
        (format!("{head}Content-Length: 1073741824\r\n\r\n"), vec![413]),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), vec![400]),
        (format!("{head}Content-Length: 4\r\nContent-Length: 40\r\n\r\n{{}}  "), vec![400]),
        (format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"), vec![200, 400]),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(10_000)), vec![400, 431]),
        ("GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), vec![400]),
        ("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n".to_owned(), vec![400, 505]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), vec![400, 505]),
    ] {
        let shown: String = request.chars().take(120).collect();
        let request = request.replacen("Host: localhost\r\n", "Host: localhost\r\nConnection: close\r\n", 1);
        let status = status(&server, &request).await;
        assert!(status.is_none_or(|status| allowed.contains(&status)), "{shown}: {status:?}");
    }
    assert!(told.load(Relaxed) <= 1);
    for path in ["/api/v1/../../etc/passwd", "/api/v1/interfaces/..%2f..%2fetc", "/%2e%2e/etc/passwd", "//etc/passwd"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    server.stop().await;
}

/// The status of the answer; `None` if the connection is closed without one.
async fn status(server: &Server, request: &str) -> Option<u16> {
    let mut stream = server.connect().await;
    // The rest of a long request may be refused.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("it is closed");
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

#[tokio::test]
async fn upgrades_to_anything_but_a_websocket_are_refused() {
    let (server, _) = controlled().await;
    for (path, headers, status) in [
        ("/api/v1/stream", "", 426),
        ("/api/v1/stream", "Upgrade: h2c\r\nConnection: Upgrade\r\n", 426),
        ("/api/v1/stream", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 12\r\n", 426),
        ("/api/v1/status", "Upgrade: websocket\r\nConnection: Upgrade\r\n", 200),
    ] {
        let answer = server.ask("GET", path, headers).await;
        assert_eq!(answer.status, status, "{path} {headers}");
    }
    server.stop().await;
}
