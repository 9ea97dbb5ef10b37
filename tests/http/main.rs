//! The HTTP server over real sockets.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod api;
mod client;
mod hostile;
mod stream;

use client::{Server, raw, request, sources};
use netmon::http::{Bind, BindError, Config, HANDLERS, HEAD_DEADLINE, Health, MAX_CONNECTIONS, Requests, bind, serve};
use netmon::metrics::{BuildInfo, Exporter, Form};
use netmon::packet::InterfaceId;
use netmon::stats::{Capture, Gap, Snapshot, StatsAggregator};
use netmon::time::Timestamp;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

#[tokio::test]
async fn metrics_come_in_the_form_and_encoding_asked_for() {
    let server = Server::start(Arc::default()).await;
    let plain = server.get("/metrics").await;
    assert_eq!((plain.status, plain.text()), (200, "# Prometheus\n"));
    assert_eq!(plain.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(plain.header("vary"), "Accept, Accept-Encoding");
    assert_eq!(plain.header("content-encoding"), "");

    let accept = "Accept: application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip\r\n";
    let modern = server.ask("GET", "/metrics", accept).await;
    assert_eq!((modern.status, modern.gunzipped().as_str()), (200, "# OpenMetrics\n"));
    assert_eq!(modern.header("content-encoding"), "gzip");
    assert!(modern.header("content-type").starts_with("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    server.stop().await;
}

#[tokio::test]
async fn head_gives_the_headers_of_get_without_a_body() {
    let server = Server::start(Arc::default()).await;
    for path in ["/", "/metrics", "/healthz", "/readyz", "/api/v1/status"] {
        let (get, head) = (server.get(path).await, server.ask("HEAD", path, "").await);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        let without_date = |answer: &client::Answer| {
            answer.headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>()
        };
        assert_eq!(without_date(&head), without_date(&get), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn health_names_the_part_that_is_not() {
    let server = Server::start(Arc::default()).await;
    assert_eq!(server.get("/healthz").await.json(), json!({ "status": "live" }));
    let heartbeat = server.health.thread("capture eth0", Duration::from_secs(3600));
    let snapshot = server.health.part("first snapshot");
    let answer = server.get("/readyz").await;
    assert_eq!((answer.status, answer.header("content-type")), (503, "application/problem+json"));
    assert_eq!(answer.json()["parts"], json!([{ "part": "first snapshot", "problem": "not ready yet" }]));
    assert_eq!(server.get("/healthz").await.status, 200);

    snapshot.set(true);
    assert_eq!(server.get("/readyz").await.json(), json!({ "status": "ready" }));
    drop(heartbeat);
    for path in ["/healthz", "/readyz"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json()["parts"][0], json!({ "part": "capture eth0", "problem": "has ended" }));
    }
    server.stop().await;
}

#[tokio::test]
async fn status_tells_what_netmon_is_and_what_it_lost() {
    let server = Server::start(Arc::new(Snapshot::default())).await;
    let answer = server.get("/api/v1/status").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let status = answer.json();
    assert_eq!(status["version"], "0.1.0");
    assert_eq!(status["uptime_seconds"], 1.5);
    assert_eq!(status["privileges"]["capability"], true);
    assert_eq!(status["privileges"]["user"], "netmon");
    let layer = json!({ "layer": "landlock", "state": "missing", "reason": "not in this kernel" });
    assert_eq!(status["privileges"]["layers"], json!([layer]));
    assert_eq!(status["snapshot_time"], json!(null));
    assert_eq!(status["interfaces"], json!([]));
    assert_eq!(status["flow_table"]["untracked_packets"], json!({ "table_full": 0, "fragment": 0, "not_ip": 0 }));
    server.stop().await;
}

/// A snapshot of these interfaces, whose captures say this.
fn captured(interfaces: Vec<(&str, Capture)>) -> Arc<Snapshot> {
    let mut aggregator = StatsAggregator::new(netmon::stats::Config::default());
    for ((name, capture), id) in interfaces.into_iter().zip((0..).map(InterfaceId)) {
        aggregator.add_interface(id, name);
        aggregator.capture(id, capture);
    }
    aggregator.snapshot()
}

#[tokio::test]
async fn status_tells_how_well_each_interface_is_seen() {
    let gap = |from, to: Option<u64>| {
        let (from, to) = (Timestamp::from_nanos(from), to.map(Timestamp::from_nanos));
        Gap { from, to, reason: "interface gone" }
    };
    let eth0 = Capture {
        up: true,
        backend: "af_packet",
        rings: 2,
        ring_freezes: Some(3),
        filter: Some("not port 22".into()),
        mtu: Some(9000),
        gaps: vec![gap(1_000_000_000, Some(2_500_000_000)), gap(3_000_000_000, None)],
        gaps_total: 7,
        overlaps: vec!["br0".into()],
        ..Capture::default()
    };
    let server = Server::start(captured(vec![("eth0", eth0)])).await;
    let status = server.get("/api/v1/status").await.json();
    let capture = &status["interfaces"][0]["capture"];
    let keys = ["rings", "ring_freezes", "filtered", "filter", "mtu_bytes", "gaps_total", "overlaps"];
    assert_eq!(json!(keys.map(|key| &capture[key])), json!([2, 3, true, "not port 22", 9000, 7, ["br0"]]));
    assert_eq!(
        capture["gaps"],
        json!([
            { "from": "1970-01-01T00:00:01.000000000Z", "to": "1970-01-01T00:00:02.500000000Z", "reason": "interface gone" },
            { "from": "1970-01-01T00:00:03.000000000Z", "to": null, "reason": "interface gone" },
        ])
    );
    server.stop().await;
}

#[tokio::test]
async fn status_says_when_sums_over_interfaces_would_count_packets_twice() {
    let on = |overlaps: &[&str]| {
        let overlaps = overlaps.iter().map(ToString::to_string).collect();
        Capture { up: true, backend: "libpcap", overlaps, ..Capture::default() }
    };
    let apart = Server::start(captured(vec![("eth0", on(&[])), ("eth1", on(&[]))])).await;
    let status = apart.get("/api/v1/status").await.json();
    assert_eq!((&status["overlapping"], &status["overlapping_note"]), (&json!(false), &json!(null)));
    apart.stop().await;
    let bridged = Server::start(captured(vec![("br0", on(&["eth0"])), ("eth0", on(&["br0"]))])).await;
    let status = bridged.get("/api/v1/status").await.json();
    assert_eq!(status["overlapping"], true);
    assert!(status["overlapping_note"].as_str().is_some_and(|note| note.contains("sums over interfaces")));
    bridged.stop().await;
}

#[tokio::test]
async fn errors_are_problem_documents() {
    let server = Server::start(Arc::default()).await;
    let long = format!("/{}", "a".repeat(20_000));
    for (method, path, headers, status) in [
        ("GET", "/nothing", "", 404),
        ("GET", "/metrics/", "", 404),
        ("GET", "/../etc/passwd", "", 404),
        ("GET", "/%00", "", 404),
        ("POST", "/metrics", "", 405),
        ("OPTIONS", "/api/v1/status", "Origin: http://localhost\r\n", 405),
        ("BREW", "/", "", 405),
        ("POST", "/metrics", "Content-Length: 1073741824\r\n", 413),
        ("GET", "/", "Host: evil.example\r\n", 421),
        ("GET", "/", "Host: localhost\r\nHost: localhost\r\n", 400),
        ("GET", "/", "Origin: http://evil.example\r\n", 403),
    ] {
        let answer = server.ask(method, path, headers).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
        let problem = answer.json();
        assert_eq!((&problem["status"], &problem["type"]), (&json!(status), &json!("about:blank")));
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        assert!(status != 405 || answer.header("allow") == "GET,HEAD");
        assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control-")));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let routes = server.get("/nothing").await.json()["routes"].clone();
    let first: Vec<_> = routes.as_array().unwrap().iter().take(5).collect();
    assert_eq!(first, ["/", "/metrics", "/healthz", "/readyz", "/api/v1/status"]);
    assert_eq!(server.get("/nothing").await.json()["detail"], "there is nothing at `/nothing`");
    for broken in [format!("GET {long} HTTP/1.1\r\n\r\n"), format!("GET / HTTP/1.1\r\nA: {long}\r\n\r\n")] {
        assert_eq!(raw(&mut server.connect().await, &broken).await.status, 431);
    }
    assert_eq!(raw(&mut server.connect().await, "nonsense\r\n\r\n").await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn every_answer_is_counted_by_handler_and_class() {
    let server = Server::start(Arc::default()).await;
    for path in ["/metrics", "/readyz", "/healthz", "/api/v1/status", "/api/v1/nothing", "/", "/nothing"] {
        server.get(path).await;
    }
    server.ask("POST", "/metrics", "").await;
    let expected = [[1, 0, 1, 0], [2, 0, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]];
    assert_eq!(server.requests.counts(), expected, "{HANDLERS:?} by 2xx, 3xx, 4xx, 5xx");
    server.stop().await;
}

#[test]
fn the_handlers_are_the_label_values_of_the_metric() {
    let exporter = Exporter::new(&Default::default(), BuildInfo::default(), Timestamp::MIN);
    let page = exporter.scrape(&Arc::default(), Requests::default().counts(), Form::Text);
    for handler in HANDLERS {
        let series = format!("netmon_http_requests_total{{handler=\"{handler}\",code=\"2xx\"}} 0\n");
        assert!(page.contains(&series), "{handler}");
    }
}

#[tokio::test]
async fn the_page_and_its_files_are_served_with_a_policy_that_allows_nothing_else() {
    let server = Server::start(Arc::default()).await;
    let answer = server.get("/").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let page = answer.text();
    let assets: Vec<_> = page.split('"').filter(|text| text.starts_with("assets/")).collect();
    assert!(assets.len() >= 6, "{assets:?}");
    for asset in assets {
        let path = format!("/{asset}");
        let plain = server.get(&path).await;
        assert_eq!(plain.status, 200, "{path}");
        let tag = plain.header("etag").to_owned();
        let packed = server.ask("GET", &path, "Accept-Encoding: gzip\r\n").await;
        assert_eq!((packed.header("content-encoding"), packed.header("etag")), ("gzip", tag.as_str()), "{path}");
        let known = server.ask("GET", &path, &format!("If-None-Match: {tag}\r\n")).await;
        assert_eq!((known.status, known.body.len()), (304, 0), "{path}");
    }
    for path in ["/assets/", "/assets/nothing.js", "/assets/../index.html", "/assets/%2e%2e%2fapp.js"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn wildcard_listeners_answer_scrapers_under_any_name() {
    let server = Server::listening(Arc::default(), Bind::Tcp(([0, 0, 0, 0], 0).into())).await;
    let foreign = "Host: netmon.monitoring.svc:8080\r\n";
    for (path, status) in [("/metrics", 200), ("/healthz", 200), ("/readyz", 200), ("/", 421), ("/api/v1/status", 421)]
    {
        assert_eq!(server.ask("GET", path, foreign).await.status, status, "{path}");
    }
    assert_eq!(server.ask("GET", "/", "Host: 127.0.0.1:1\r\n").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let server = Server::start(Arc::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}\n") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(request(&mut stream, "GET", "/healthz", "").await.status, 200);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_finish_a_request_head_is_closed_at_the_deadline() {
    let server = Server::start(Arc::default()).await;
    for sent in ["", "GET /metrics HT", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = server.connect().await;
        let begun = tokio::time::Instant::now();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{sent}");
        assert!(
            begun.elapsed() >= HEAD_DEADLINE && begun.elapsed() < HEAD_DEADLINE * 2,
            "{sent}: {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stays_silent_after_an_answer_is_closed_at_the_deadline() {
    let server = Server::start(Arc::default()).await;
    let mut stream = server.connect().await;
    let begun = tokio::time::Instant::now();
    let answer = raw(&mut stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    assert!(begun.elapsed() >= HEAD_DEADLINE && begun.elapsed() < HEAD_DEADLINE * 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_scraper_gets_through_when_silent_connections_fill_the_server() {
    let server = Server::start(Arc::default()).await;
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        silent.push(server.connect().await);
    }
    // Until the oldest has waited long enough to give way, there is no place; each attempt is a full round trip.
    let mut refused = 0;
    loop {
        let answer = server.get("/metrics").await;
        if answer.status == 200 {
            break;
        }
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
        assert_eq!(answer.json()["detail"], "too many connections at once");
        refused += 1;
        assert!(refused < 1_000_000, "nobody gives way");
    }
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn the_names_it_answers_to_can_change_while_it_serves() {
    let server = Server::start(Arc::default()).await;
    let mut open = server.connect().await;
    let ask = "GET /api/v1/status HTTP/1.1\r\nHost: netmon.example\r\n";
    assert_eq!(server.ask("GET", "/api/v1/status", "Host: netmon.example\r\n").await.status, 421);
    server.hosts.set(vec!["netmon.example".into()]);
    let answer = raw(&mut open, &format!("{ask}Connection: close\r\n\r\n")).await;
    assert_eq!(answer.status, 200, "on a connection from before too");
    server.hosts.set(Vec::new());
    assert_eq!(server.ask("GET", "/api/v1/status", "Host: netmon.example\r\n").await.status, 421);
    server.stop().await;
}

#[tokio::test]
async fn the_server_is_a_thread_that_has_to_move_while_it_serves() {
    let server = Server::start(Arc::default()).await;
    let mut watch = server.health.watch();
    server.get("/healthz").await;
    poll_until(|| watch.all_moved()).await;
    let health = server.health.clone();
    server.stop().await;
    assert!(health.watch().all_moved() && health.is_live(), "it ended on purpose");
}

/// Waits for a beat or two; there are four a second.
async fn poll_until(mut good: impl FnMut() -> bool) {
    for _ in 0..500 {
        if good() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the server does not move");
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_frees_the_port() {
    let server = Server::start(Arc::default()).await;
    let address = server.address;
    let mut idle = server.connect().await;
    server.stop().await;
    let mut rest = Vec::new();
    assert_eq!(idle.read_to_end(&mut rest).await.unwrap(), 0);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn several_listeners_serve_the_same_and_a_unix_socket_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netmon.sock");
    let on = vec![Bind::Tcp(([127, 0, 0, 1], 0).into()), Bind::Unix(path.clone())];
    let config = Config { bind: on, ..Config::default() };
    let listeners = bind(&config).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let Bind::Tcp(address) = *listeners[0].bind() else { panic!("a TCP listener") };
    assert_eq!(listeners[0].url().unwrap(), format!("http://{address}/"));

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let sources = sources(Arc::default(), Health::new());
    let server = tokio::spawn(async move { serve(listeners, sources, async { drop(stopped.await) }).await });
    let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut unix = UnixStream::connect(&path).await.unwrap();
    for path in ["/metrics", "/api/v1/status"] {
        assert_eq!(
            request(&mut UnixStream::connect(&folder.path().join("netmon.sock")).await.unwrap(), "GET", path, "")
                .await
                .status,
            200
        );
    }
    assert_eq!(
        request(&mut tcp, "GET", "/metrics", "").await.text(),
        request(&mut unix, "GET", "/metrics", "").await.text()
    );
    drop(stop);
    server.await.unwrap().unwrap();
    assert!(!path.exists(), "the socket is gone with its server");
}

#[test]
fn a_taken_port_is_named_with_a_hint() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(&Config { bind: vec![Bind::Tcp(address)], ..Config::default() }).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on `{address}`: the address is in use"));
    assert!(error.hint().unwrap().contains(&format!("sport = :{}", address.port())));
}

#[test]
fn a_stale_socket_is_replaced_and_anything_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netmon.sock");
    let config = Config { bind: vec![Bind::Unix(path.clone())], ..Config::default() };

    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listening = bind(&config).unwrap();
    assert!(matches!(bind(&config).unwrap_err(), BindError::InUse { .. }), "one that answers is in use");
    drop(listening);

    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(&config).unwrap_err(), BindError::NotASocket { .. }));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}
