//! What is sent is what the receivers' documentation describes.

use crate::messages::{
    Secrets, alertmanager, deliver, firing, message, notice, open, pagerduty, resolved, slack, trusting, webhook,
    webhook_config,
};
use crate::server::Server;
use crate::tls::Authority;
use crate::{checks, messages};
use netmon::notify::client::Client;
use netmon::notify::receiver::{Auth, Config, Kind};
use netmon::notify::secret::{Secret, Source};
use netmon::notify::template::Template;
use netmon::notify::{Deliver, Outcome, Status};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const KEY: &str = "0123456789abcdef0123456789ABCDEF";

#[test]
fn a_webhook_gets_alertmanagers_document_with_its_key() {
    let server = Server::answering("200 OK", "");
    let receiver = open(&webhook(&server.url("/hook?a=b")));
    for message in [firing(), resolved()] {
        assert_eq!(deliver(&receiver, &message), Outcome::Accepted);
    }
    let requests = server.requests();
    for request in &requests {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/hook?a=b"));
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("host"), server.address.to_string());
        assert_eq!(request.header("idempotency-key"), "00112233445566778899aabbccddeeff");
        assert!(request.header("user-agent").starts_with("netmon/"));
        assert!(!request.has_header("authorization") && !request.has_header("accept-encoding"));
        checks::webhook(&request.json());
    }
    let [fired, over] = [0, 1].map(|n| requests[n].json()["alerts"][0].clone());
    assert_eq!(fired["annotations"]["summary"], "eth0 receives 120 MiB/s (limit 100 MiB/s)");
    assert_eq!(
        fired["annotations"]["description"],
        "receive_bytes_per_second on eth0 is 120 MiB/s over 10 s, the limit is 100 MiB/s"
    );
    assert_eq!(fired["labels"]["severity"], "critical");
    assert_eq!((&fired["fingerprint"], &fired["labels"]), (&over["fingerprint"], &over["labels"]));
    assert_eq!(over["status"], "resolved");
}

#[test]
fn a_signature_can_be_checked_with_openssl() {
    let (server, secrets) = (Server::answering("204 No Content", ""), Secrets::new());
    let mut hook = webhook_config(&server.url("/"));
    hook.hmac = Some(secrets.file("hmac", "a key of some length"));
    let receiver = open(&Config { kind: Kind::Webhook(hook), ..webhook(&server.url("/")) });
    assert_eq!(deliver(&receiver, &firing()), Outcome::Accepted);
    let request = &server.requests()[0];
    let at = request.header("x-netmon-timestamp");
    let signed = secrets.path("signed");
    std::fs::write(&signed, [at.as_bytes(), b".", &request.body].concat()).unwrap();
    let mut openssl = Command::new("openssl");
    let output =
        openssl.args(["dgst", "-sha256", "-hmac", "a key of some length", "-r"]).arg(&signed).output().unwrap();
    let digest = String::from_utf8(output.stdout).unwrap();
    assert_eq!(request.header("x-netmon-signature"), format!("v1={}", &digest[..64]));
}

#[test]
fn headers_and_credentials_go_where_they_belong() {
    let (server, secrets) = (Server::answering("200 OK", ""), Secrets::new());
    let mut hook = webhook_config(&server.url("/"));
    hook.headers = BTreeMap::from([("X-Team".to_owned(), Secret::new("net".into()))]);
    hook.secret_headers = BTreeMap::from([("X-Token".to_owned(), secrets.file("token", "t1"))]);
    hook.auth = Auth::Basic { username: "Aladdin".into(), password: secrets.file("password", "open sesame") };
    let basic = open(&Config { kind: Kind::Webhook(hook.clone()), ..webhook(&server.url("/")) });
    hook.auth = Auth::Bearer(secrets.file("bearer", "abc"));
    let bearer = open(&Config { kind: Kind::Webhook(hook), ..webhook(&server.url("/")) });
    deliver(&basic, &firing());
    deliver(&bearer, &firing());
    // A rotated secret is used without a reload; one that is gone is not.
    secrets.file("token", "t2");
    std::fs::remove_file(secrets.path("bearer")).unwrap();
    deliver(&bearer, &firing());
    let sent: Vec<_> = server.requests();
    let seen = |n: usize| (sent[n].header("authorization"), sent[n].header("x-team"), sent[n].header("x-token"));
    assert_eq!(seen(0), ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "net", "t1"));
    assert_eq!(seen(1), ("Bearer abc", "net", "t1"));
    assert_eq!(seen(2), ("Bearer abc", "net", "t2"));
}

#[test]
fn slack_gets_blocks_within_its_limits_whatever_is_in_them() {
    let (server, secrets) = (Server::answering("200 OK", ""), Secrets::new());
    let receiver = open(&slack(secrets.file("url", &server.url("/services/T0/B0/x"))));
    let mut wild = notice("<!channel> & \"eth0\"|<https://evil.example|click>", Status::Firing);
    wild.summary = format!("{{{{ interface }}}} {}", "&<".repeat(2000));
    wild.labels.extend((0..20).map(|n| (format!("label{n}"), "&".repeat(5000))));
    let many = (0..40).map(|n| notice(&format!("eth{n}"), Status::Firing)).collect();
    for sent in [firing(), resolved(), message(vec![wild]), message(many)] {
        assert_eq!(deliver(&receiver, &sent), Outcome::Accepted);
    }
    let documents: Vec<Json> = server.requests().iter().map(|request| request.json()).collect();
    documents.iter().for_each(checks::slack);
    assert_eq!(documents[0]["blocks"][0]["text"]["text"], "Firing: HighIngress on eth0");
    assert_eq!(documents[0]["attachments"][0]["color"], "#a30200");
    assert_eq!(documents[1]["attachments"][0]["color"], "#2eb886");
    let text = documents[0].to_string();
    for part in [
        "*eth0 receives 120 MiB/s (limit 100 MiB/s)*",
        "<http://monitor.example:8080/|netmon>",
        "HighIngress?a=1&amp;b=2|runbook>",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let wild = documents[2].to_string();
    assert!(wild.contains("&lt;!channel&gt;") && !wild.contains("<!channel>") && wild.contains("(shortened)"));
    assert_eq!(documents[3]["attachments"].as_array().unwrap().len(), 20);
    assert!(documents[3].to_string().contains("and 21 more alerts"));
    assert_eq!(documents[3]["blocks"][0]["text"]["text"], "40 firing: HighIngress");
}

#[test]
fn slack_takes_the_texts_of_templates() {
    let (server, secrets) = (Server::answering("200 OK", ""), Secrets::new());
    let mut config = slack(secrets.file("url", &server.url("/x")));
    if let Kind::Slack(slack) = &mut config.kind {
        slack.title = Some(Template::new("{{ severity|upper }} {{ rule }} ({{ firing }})").unwrap());
        slack.text = Some(Template::new("<{{ page }}|page> *{{ interface }}* {{ labels.team|default('') }}").unwrap());
    }
    let mut odd = notice("a<b", Status::Firing);
    odd.labels.remove("team");
    deliver(&open(&config), &message(vec![odd]));
    let document = server.requests()[0].json();
    checks::slack(&document);
    assert_eq!(document["blocks"][0]["text"]["text"], "CRITICAL HighIngress (1)");
    assert_eq!(
        document["attachments"][0]["blocks"][0]["text"]["text"],
        "<http://monitor.example:8080/|page> *a&lt;b* "
    );
}

#[test]
fn pagerduty_gets_an_event_for_each_alert_under_a_stable_key() {
    let (server, secrets) = (Server::answering("202 Accepted", ""), Secrets::new());
    let receiver = open(&pagerduty(&server.url("/v2/enqueue"), secrets.file("key", KEY)));
    let mut long = notice("eth1", Status::Firing);
    long.summary = "ö".repeat(3000);
    let both = message(vec![notice("eth0", Status::Firing), long]);
    let runtime = messages::runtime();
    for message in [both, resolved()] {
        assert_eq!(runtime.block_on(receiver.deliver(&message)), Outcome::Accepted);
    }
    let events: Vec<Json> = server.requests().iter().map(|request| request.json()).collect();
    events.iter().for_each(checks::pagerduty);
    let actions: Vec<_> = events.iter().map(|event| event["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
    assert_eq!(events[0]["dedup_key"], events[2]["dedup_key"]);
    assert_ne!(events[0]["dedup_key"], events[1]["dedup_key"]);
    assert_eq!(events[0]["routing_key"], KEY);
    let payload = &events[0]["payload"];
    assert_eq!(payload["summary"], "HighIngress: eth0 receives 120 MiB/s (limit 100 MiB/s)");
    assert_eq!((&payload["source"], &payload["component"]), (&"monitor.example".into(), &"eth0".into()));
    assert_eq!(server.connections(), 1, "events go over one connection");
}

#[test]
fn an_event_that_was_taken_is_not_sent_again_when_a_later_one_fails() {
    let (count, secrets) = (AtomicUsize::new(0), Secrets::new());
    let server = Server::start(move |_, stream| {
        let status = match count.fetch_add(1, Ordering::SeqCst) {
            1 => "429 Too Many Requests",
            3 => "400 Bad Request",
            _ => "202 Accepted",
        };
        write!(stream, "HTTP/1.1 {status}\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n").is_ok()
    });
    let receiver = open(&pagerduty(&server.url("/"), secrets.file("key", KEY)));
    let message = message(["a", "b", "c", "d"].map(|name| notice(name, Status::Firing)).into());
    let Outcome::Retry { reason, after, .. } = deliver(&receiver, &message) else { panic!("it is tried again") };
    assert_eq!((reason.name(), after), ("rate_limited", Some(Duration::from_secs(7))));
    assert!(matches!(deliver(&receiver, &message), Outcome::Refused { .. }));
    let sent: Vec<_> = server.requests().iter().map(|request| request.json()["payload"]["component"].clone()).collect();
    assert_eq!(sent, ["a", "b", "b", "c", "d"]);
}

#[test]
fn every_member_of_a_cluster_is_told_and_one_that_takes_it_is_enough() {
    let members = [Server::answering("200 OK", ""), Server::answering("200 OK", ""), Server::answering("503 No", "")];
    let urls = members.each_ref().map(|member| member.url("/prefix/"));
    let config = alertmanager(&urls.each_ref().map(String::as_str));
    assert_eq!(deliver(&open(&config), &firing()), Outcome::Accepted);
    for member in &members {
        let requests = member.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].target, "/prefix/api/v2/alerts");
        checks::alertmanager(&requests[0].json());
    }
    let down = open(&alertmanager(&[&urls[2]]));
    assert!(matches!(deliver(&down, &firing()), Outcome::Retry { .. }));
}

#[test]
fn an_alert_that_fires_ends_in_the_future_and_a_resolved_one_has_ended() {
    let server = Server::answering("200 OK", "");
    let receiver = open(&alertmanager(&[&server.url("")]));
    let mut ahead = resolved();
    // The packets' clock may be ahead of this machine's.
    ahead.alerts[0].ends_at = Some(ahead.alerts[0].starts_at.saturating_add(Duration::from_secs(3600)));
    for message in [firing(), resolved(), ahead] {
        assert_eq!(deliver(&receiver, &message), Outcome::Accepted);
    }
    let ends: Vec<jiff::Timestamp> = server
        .requests()
        .iter()
        .map(|request| request.json()[0]["endsAt"].as_str().unwrap().parse().unwrap())
        .collect();
    let now = jiff::Timestamp::now();
    let seconds_ahead: Vec<_> = ends.iter().map(|end| end.duration_since(now).as_secs()).collect();
    assert!(
        (280..=300).contains(&seconds_ahead[0]) && seconds_ahead[1] <= 0 && seconds_ahead[2] <= 0,
        "{seconds_ahead:?}"
    );
}

#[test]
fn a_preview_is_what_is_sent_without_its_secrets() {
    let secrets = Secrets::new();
    let receiver = open(&pagerduty("https://events.pagerduty.com/v2/enqueue", secrets.file("key", KEY)));
    let preview = &receiver.preview(&firing())[0];
    assert_eq!(preview.url, "https://events.pagerduty.com:443/…");
    assert_eq!(preview.body["routing_key"], "…");
    assert_eq!(preview.body["event_action"], "trigger");
    assert_eq!(receiver.ports().collect::<Vec<_>>(), [443]);
}

#[test]
fn the_directories_of_secrets_are_those_of_the_name_and_of_the_file() {
    let (named, real) = (Secrets::new(), Secrets::new());
    real.file("target", "http://127.0.0.1/");
    std::os::unix::fs::symlink(real.path("target"), named.path("url")).unwrap();
    let config = slack(Source::File(named.path("url")));
    let directories: Vec<_> = config.directories().into_iter().collect();
    let mut expected = [&named, &real].map(|secrets| secrets.0.path().canonicalize().unwrap());
    expected.sort();
    assert_eq!(directories, expected);
}

#[test]
fn connections_are_kept_for_a_while_and_not_for_ever() {
    let server = Server::answering("200 OK", "");
    let receiver = open(&webhook(&server.url("/")));
    let runtime = messages::runtime();
    for _ in 0..Client::USES + 1 {
        assert_eq!(runtime.block_on(receiver.deliver(&firing())), Outcome::Accepted);
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_receiver_over_tls_is_reached_with_its_own_authority() {
    let authority = Authority::new();
    let server = authority.server("DNS:localhost", "20991231");
    let url = format!("https://localhost:{}/", server.address.port());
    assert_eq!(deliver(&open(&trusting(webhook(&url), &authority.file())), &firing()), Outcome::Accepted);
    assert_eq!(server.requests()[0].header("host"), format!("localhost:{}", server.address.port()));
}

#[test]
fn a_proxy_is_used_when_it_is_configured() {
    let authority = Authority::new();
    let target = authority.server("DNS:localhost", "20991231");
    let port = target.address.port();
    let proxy = Server::start(move |request, stream| {
        if request.method != "CONNECT" {
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_ok();
        }
        let mut upstream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        let (mut from, mut to) = (stream.try_clone().unwrap(), upstream.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut upstream, stream);
        false
    });
    let through = |url: &str| {
        let mut config = trusting(webhook(url), &authority.file());
        config.http.proxy = Some(proxy.url("").parse().unwrap());
        open(&config)
    };
    let secure = through(&format!("https://localhost:{port}/secret-path"));
    assert_eq!(secure.ports().collect::<Vec<_>>(), [proxy.address.port()]);
    assert_eq!(deliver(&secure, &firing()), Outcome::Accepted);
    assert_eq!(proxy.requests()[0].target, format!("localhost:{port}"));
    assert_eq!(target.requests()[0].target, "/secret-path");
    assert_eq!(deliver(&through("http://receiver.invalid/hook"), &firing()), Outcome::Accepted);
    assert_eq!(proxy.requests()[1].target, "http://receiver.invalid:80/hook");
}

#[test]
fn what_cannot_be_opened_is_named() {
    let secrets = Secrets::new();
    let refused = |config: &Config| {
        let opened = netmon::notify::receiver::Receiver::open(
            config,
            &netmon::notify::client::Factory::default(),
            netmon::notify::secret::Surroundings::of_process(),
        );
        opened.unwrap_err().to_string().replace(secrets.0.path().to_str().unwrap(), "DIR")
    };
    let hook = |url: &str| slack(secrets.file("url", url));
    assert_eq!(refused(&hook("nonsense-canary")), "secret file `DIR/url` is no URL such as `https://host:port/path`");
    assert_eq!(refused(&hook("")), "secret file `DIR/url` is empty, allowed one line of text");
    let key = pagerduty("http://127.0.0.1/", secrets.file("key", "too-short"));
    assert_eq!(refused(&key), "secret file `DIR/key` is no routing key, which has 32 letters and digits");
    let absent = slack(Source::Variable("NO_SUCH_VARIABLE".into()));
    assert_eq!(refused(&absent), "environment variable `NO_SUCH_VARIABLE` is not set");
    let file = secrets.path("none.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let untrusted = trusting(webhook("https://127.0.0.1/"), &file);
    assert_eq!(refused(&untrusted), "there is no CA certificate in `DIR/none.pem`");
}
