//! Receivers that are broken or mean harm: what they can cost, and what they get.

use crate::messages::{TIMEOUT, deliver, firing, open, runtime, trusting, webhook};
use crate::server::Server;
use crate::tls::Authority;
use netmon::notify::client::{Factory, Lookup};
use netmon::notify::receiver::{Config, Receiver};
use netmon::notify::secret::Surroundings;
use netmon::notify::{Deliver, Outcome};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// In the path of every URL here, which no outcome may show.
const CANARY: &str = "canary-in-the-path";

/// What is expected of an attempt: its reason, or none where it is accepted; and whether it is tried again.
struct Expected(Option<&'static str>, bool);

const TAKEN: Expected = Expected(None, false);
const RETRIED_5XX: Expected = Expected(Some("http_5xx"), true);

/// One attempt at `config`, which has to be over in time and to say nothing of the URL.
#[expect(clippy::disallowed_methods, reason = "the bound of an attempt is what is tested")]
fn attempt(what: &str, config: &Config, expected: &Expected) -> Outcome {
    let started = Instant::now();
    let outcome = deliver(&open(config), &firing());
    let took = started.elapsed();
    assert!(took < TIMEOUT + Duration::from_secs(8), "{what}: an attempt took {took:?}");
    let (reason, retried) = match &outcome {
        Outcome::Accepted => (None, false),
        Outcome::Retry { reason, .. } => (Some(reason.name()), true),
        Outcome::Refused { reason, .. } => (Some(reason.name()), false),
    };
    assert_eq!((reason, retried), (expected.0, expected.1), "{what}: {outcome:?}");
    assert!(!format!("{outcome:?}").contains("canary"), "{what}: {outcome:?}");
    outcome
}

/// A server that answers a request with `answer`, asked once: it has to see one connection and one request.
fn against(
    what: &str,
    answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    expected: &Expected,
) -> Outcome {
    let server = Server::start(move |_, stream| {
        let _ = answer(stream);
        false
    });
    let outcome = attempt(what, &webhook(&server.url(&format!("/{CANARY}"))), expected);
    assert_eq!((server.connections(), server.requests().len()), (1, 1), "{what}");
    outcome
}

/// Writes until the other side has enough, and counts what it took.
fn endless(stream: &mut TcpStream, part: &[u8], taken: &AtomicUsize) -> std::io::Result<()> {
    loop {
        stream.write_all(part)?;
        taken.fetch_add(part.len(), Ordering::SeqCst);
    }
}

#[test]
fn no_redirect_is_followed() {
    let trap = Server::answering("200 OK", "");
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        for location in [
            trap.url("/"),
            "http://169.254.169.254/latest/meta-data/".into(),
            "file:///etc/passwd".into(),
            "//127.0.0.1/".into(),
        ] {
            let answer = format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            let outcome =
                against(status, move |stream| stream.write_all(answer.as_bytes()), &Expected(Some("http_4xx"), false));
            assert!(!format!("{outcome:?}").contains("169.254"), "{outcome:?}");
        }
    }
    assert_eq!(trap.connections(), 0);
}

#[test]
fn a_body_without_end_costs_little_and_the_status_counts() {
    for (what, head, part) in [
        ("endless chunks", "Transfer-Encoding: chunked\r\n\r\n", format!("1000\r\n{}\r\n", "x".repeat(4096))),
        ("a gzip bomb", "Content-Encoding: gzip\r\nContent-Length: 1073741824\r\n\r\n", "\0".repeat(4096)),
        ("a body until the end of the connection", "\r\n", "x".repeat(4096)),
    ] {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        let send = move |stream: &mut TcpStream| {
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes())?;
            endless(stream, part.as_bytes(), &count)
        };
        against(what, send, &TAKEN);
        // What the kernels of both sides buffer on loopback is far below this.
        assert!(taken.load(Ordering::SeqCst) < 32 << 20, "{what}: {taken:?} bytes");
    }
}

#[test]
fn a_head_that_is_too_large_is_no_answer() {
    let headers = |count: usize| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    for (what, answer) in [
        ("100,000 headers", format!("HTTP/1.1 200 OK\r\n{}\r\n", headers(100_000))),
        ("200 headers", format!("HTTP/1.1 200 OK\r\n{}\r\n", headers(200))),
        ("a header of 1 MB", format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1_000_000))),
        ("a status line of 1 MB", format!("HTTP/1.1 200 {}\r\n\r\n", "y".repeat(1_000_000))),
    ] {
        against(what, move |stream| stream.write_all(answer.as_bytes()), &RETRIED_5XX);
    }
}

#[test]
fn interim_answers_without_end_are_no_answer_and_hold_nothing_up() {
    let flood = |stream: &mut TcpStream| endless(stream, b"HTTP/1.1 100 Continue\r\n\r\n", &AtomicUsize::new(0));
    against("interim answers without end", flood, &RETRIED_5XX);
}

#[test]
fn what_is_no_http_is_no_answer() {
    for (what, answer) in [
        ("garbage", &b"\x00\xff\x16\x03\x01garbage\r\n\r\n"[..]),
        ("HTTP/0.9", b"<html>hello</html>\n"),
        ("HTTP/2", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"),
        ("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n"),
        ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    ] {
        against(what, move |stream| stream.write_all(answer).and_then(|()| stay(stream)), &RETRIED_5XX);
    }
}

/// Keeps the connection open for longer than an attempt lasts.
fn stay(_: &TcpStream) -> std::io::Result<()> {
    thread::sleep(TIMEOUT * 2);
    Ok(())
}

#[test]
fn an_attempt_is_over_in_time() {
    let late = Expected(Some("timeout"), true);
    let drip = |stream: &mut TcpStream| -> std::io::Result<()> {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
        loop {
            stream.write_all(b"y")?;
            thread::sleep(Duration::from_millis(50));
        }
    };
    against("a slow drip", drip, &late);
    against("silence", |stream| stay(stream), &late);
}

#[test]
fn a_connection_that_breaks_is_tried_again() {
    let broken = Expected(Some("connect"), true);
    let reset = |stream: &mut TcpStream| {
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        nix::sys::socket::setsockopt(&stream.as_fd(), nix::sys::socket::sockopt::Linger, &linger).map_err(Into::into)
    };
    against("a reset", reset, &broken);
    against("an end before an answer", |_| Ok(()), &broken);
    against("half a head", |stream| stream.write_all(b"HTTP/1.1 200 OK\r\nX:"), &broken);
    let nobody = format!("http://127.0.0.1:{}/{CANARY}", free_port());
    attempt("nobody there", &webhook(&nobody), &broken);
    attempt("no such name", &webhook(&format!("http://receiver.invalid/{CANARY}")), &broken);
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_wait_that_is_asked_for_is_bounded() {
    for (asked, granted) in [
        ("315360000", Some(3600)),
        ("Fri, 31 Dec 2038 23:59:59 GMT", Some(3600)),
        ("Sat, 01 Jan 2000 00:00:00 GMT", Some(0)),
        ("-5", None),
        ("99999999999999999999", Some(3600)),
        ("soon", None),
        ("5", Some(5)),
    ] {
        for (status, reason) in [("429 Too Many Requests", "rate_limited"), ("503 Service Unavailable", "http_5xx")] {
            let answer = format!("HTTP/1.1 {status}\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n");
            let write = move |stream: &mut TcpStream| stream.write_all(answer.as_bytes());
            let Outcome::Retry { after, .. } = against(asked, write, &Expected(Some(reason), true)) else {
                panic!("{asked}")
            };
            assert_eq!(after.map(|wait| wait.as_secs()), granted, "{asked}");
        }
    }
}

#[test]
fn every_status_has_its_meaning() {
    for (status, expected) in [
        ("200 OK", TAKEN),
        ("202 Accepted", TAKEN),
        ("204 No Content", TAKEN),
        ("101 Switching Protocols", RETRIED_5XX),
        ("400 Bad Request", Expected(Some("http_4xx"), false)),
        ("401 Unauthorized", Expected(Some("http_4xx"), false)),
        ("403 Forbidden", Expected(Some("http_4xx"), false)),
        ("404 Not Found", Expected(Some("http_4xx"), false)),
        ("408 Request Timeout", Expected(Some("http_4xx"), true)),
        ("410 Gone", Expected(Some("http_4xx"), false)),
        ("429 Too Many Requests", Expected(Some("rate_limited"), true)),
        ("500 Internal Server Error", RETRIED_5XX),
        ("502 Bad Gateway", RETRIED_5XX),
        ("503 Service Unavailable", RETRIED_5XX),
        ("599 Whatever", RETRIED_5XX),
        ("999 Whatever", RETRIED_5XX),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n");
        against(status, move |stream| stream.write_all(answer.as_bytes()), &expected);
    }
}

#[test]
fn an_answer_that_was_not_asked_for_is_not_taken_for_the_next_one() {
    let server = Server::start(|_, stream| {
        let two = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(two.as_bytes()).is_ok()
    });
    let (receiver, runtime) = (open(&webhook(&server.url("/"))), runtime());
    for _ in 0..3 {
        assert!(matches!(runtime.block_on(receiver.deliver(&firing())), Outcome::Retry { .. }));
    }
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_certificate_has_to_be_right() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let refused = Expected(Some("tls"), true);
    for (what, server, trusted, why) in [
        ("expired", authority.server("DNS:localhost", "20200102"), authority.file(), "has expired"),
        (
            "another name",
            authority.server("DNS:elsewhere.example", "20991231"),
            authority.file(),
            "is for another name",
        ),
        ("a stranger's", authority.server("DNS:localhost", "20991231"), stranger.file(), "nobody who is trusted"),
    ] {
        let url = format!("https://localhost:{}/{CANARY}", server.address.port());
        let outcome = attempt(what, &trusting(webhook(&url), &trusted), &refused);
        assert!(format!("{outcome:?}").contains(why), "{outcome:?}");
        assert_eq!((server.connections(), server.requests().len()), (1, 0), "{what}: something was sent");
    }
}

#[test]
fn nothing_is_sent_where_tls_is_expected_and_not_there() {
    let authority = Authority::new();
    let plain = Server::accept(Ipv4Addr::LOCALHOST.into(), |mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let _ = stay(&stream);
    });
    let url = format!("https://{}/{CANARY}", plain.address);
    let config = trusting(webhook(&url), &authority.file());
    attempt("TLS to a plain port", &config, &Expected(Some("tls"), true));
    let secure = authority.server("DNS:localhost", "20991231");
    let url = format!("http://{}/{CANARY}", secure.address);
    attempt("a plain request to a TLS port", &webhook(&url), &RETRIED_5XX);
    assert_eq!((plain.connections(), secure.connections()), (1, 1));
}

/// Another name server's answer at each question.
fn answers(addresses: Vec<SocketAddr>) -> Lookup {
    let left = Arc::new(Mutex::new(addresses));
    Arc::new(move |_, _| {
        let next = left.lock().unwrap().remove(0);
        Box::pin(async move { Ok(vec![next]) })
    })
}

#[test]
fn a_name_that_comes_to_mean_this_machine_is_not_followed() {
    let local = Server::answering("200 OK", "");
    let trapped = |address: SocketAddr, allow_local: bool| {
        let mut config = webhook(&format!("http://receiver.example:{}/{CANARY}", address.port()));
        config.http.allow_local = allow_local;
        let factory = Factory::new(answers(vec![address]));
        let receiver = Receiver::open(&config, &factory, Surroundings::of_process()).unwrap();
        deliver(&receiver, &firing())
    };
    let port = local.address.port();
    for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254", "fe80::1"] {
        let outcome = trapped((address.parse::<std::net::IpAddr>().unwrap(), port).into(), false);
        let Outcome::Retry { reason, detail, .. } = outcome else { panic!("{address}: {outcome:?}") };
        assert_eq!(reason.name(), "connect");
        assert!(detail.contains("allow_local") && !detail.contains("canary"), "{detail}");
    }
    assert_eq!(local.connections(), 0);
    assert_eq!(trapped(local.address, true), Outcome::Accepted);
}

#[test]
fn the_answer_for_a_name_may_change_between_attempts() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        false
    });
    let public = SocketAddr::from(([192, 0, 2, 1], server.address.port()));
    let mut config = webhook(&format!("http://receiver.example:{}/{CANARY}", server.address.port()));
    config.http.timeout = Duration::from_millis(500);
    let factory = Factory::new(answers(vec![public, server.address]));
    let receiver = Receiver::open(&config, &factory, Surroundings::of_process()).unwrap();
    for _ in 0..2 {
        assert!(matches!(deliver(&receiver, &firing()), Outcome::Retry { .. }));
    }
    assert_eq!(server.connections(), 0, "the second answer led here");
}

/// In a process of its own, since the environment is of all tests.
#[test]
fn proxies_of_the_environment_are_not_used() {
    if std::env::var_os("HTTP_PROXY").is_some_and(|proxy| proxy == "http://127.0.0.1:9/") {
        against("with proxies in the environment", |stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"), &TAKEN);
        return;
    }
    let trap = "http://127.0.0.1:9/";
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "hostile::proxies_of_the_environment_are_not_used"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        again.env(name, trap);
    }
    let output = again.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
