//! Secrets in every place that takes one, every way to fail, and everything that is said about it.

use crate::messages::{
    Secrets, alertmanager, deliver, firing, open, pagerduty, slack, trusting, webhook, webhook_config,
};
use crate::server::Server;
use crate::tls::Authority;
use netmon::notify::client::Factory;
use netmon::notify::receiver::{Auth, Config, Kind, Receiver};
use netmon::notify::secret::{Secret, Source, Surroundings};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use tracing::subscriber::set_default;
use tracing_subscriber::layer::SubscriberExt;

/// In every secret.
const CANARY: &str = "canary";
const KEY: &str = "canaryCANARYcanaryCANARYcanary99";

/// Everything that is logged, at any level, by any crate.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut log = self.0.lock().unwrap();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            let _ = writeln!(log, "{field}={value:?}");
        });
    }
}

/// Receivers of every kind at `url`, with a canary wherever there is room for one.
fn receivers(url: &str, secrets: &Secrets) -> Vec<Config> {
    let mut hook = webhook_config(&format!("{url}/canary-1?token=canary-2"));
    hook.headers = BTreeMap::from([("X-Plain".to_owned(), Secret::new("canary-3".into()))]);
    hook.secret_headers = BTreeMap::from([
        ("X-Filed".to_owned(), secrets.file("header", "canary-4")),
        ("X-Variable".to_owned(), Source::Variable("SECRET".into())),
    ]);
    hook.auth = Auth::Basic { username: "somebody".into(), password: secrets.file("password", "canary-6") };
    hook.hmac = Some(secrets.file("hmac", "canary-7"));
    let mut cluster = alertmanager(&[&format!("{url}/canary-8"), &format!("{url}/canary-9")]);
    if let Kind::Alertmanager(config) = &mut cluster.kind {
        config.auth = Auth::Bearer(secrets.file("bearer", "canary-10"));
    }
    vec![
        Config { kind: Kind::Webhook(hook), ..webhook(url) },
        slack(secrets.file("url", &format!("{url}/services/canary-11"))),
        pagerduty(&format!("{url}/canary-12"), secrets.file("key", KEY)),
        cluster,
    ]
}

fn environment(name: &str) -> Option<OsString> {
    (name == "SECRET").then(|| "canary-5".into())
}

/// Ways to fail, with a server each that gives back what it was told.
fn servers() -> Vec<Server> {
    let echo = |status: &'static str| {
        Server::start(move |request, stream| {
            let told = format!("{request:?}").replace(['\r', '\n'], " ");
            let body = format!(
                "HTTP/1.1 {status} {told}\r\nLocation: /{told}\r\nRetry-After: {told}\r\nContent-Length: 0\r\n\r\n"
            );
            stream.write_all(body.as_bytes()).is_ok()
        })
    };
    let raw = |answer: fn(&mut TcpStream, String) -> std::io::Result<()>| {
        Server::start(move |request, stream| {
            let _ = answer(stream, format!("{request:?}"));
            false
        })
    };
    vec![
        echo("200"),
        echo("302"),
        echo("400"),
        echo("401"),
        echo("404"),
        echo("429"),
        echo("500"),
        echo("099"),
        raw(|stream, told| stream.write_all(told.as_bytes())),
        raw(|_, _| Ok(())),
        raw(|stream, told| write!(stream, "HTTP/1.1 200 OK\r\n{}", format!("X: {told}\r\n").repeat(500))),
        raw(|_, _| {
            std::thread::sleep(crate::messages::TIMEOUT * 2);
            Ok(())
        }),
    ]
}

/// What may be said about a receiver: its configuration, itself, what it would send, and what became of it.
fn said(config: &Config) -> String {
    let around = Surroundings { variable: &environment, user: None };
    let mut said = format!("{config:?} {config:#?}");
    match Receiver::open(config, &Factory::default(), around) {
        Ok(receiver) => {
            let previews = receiver.preview(&firing());
            let json = serde_json::to_string(&previews).unwrap();
            let outcome = deliver(&receiver, &firing());
            let _ = write!(said, "{receiver:?} {receiver:#?} {previews:?} {json} {outcome:?}");
        }
        Err(error) => {
            let _ = write!(said, "{error} {error:?} {:?}", error.hint());
        }
    }
    said
}

/// Spoils every secret file in turn, in ways that are refused and in ways that are not.
fn spoilt(secrets: &Secrets, config: &Config) -> String {
    let mut said = String::new();
    for file in config.files() {
        let before = std::fs::read(file).unwrap();
        for text in ["canary\ncanary", "canary\u{7f}", "", "canary://canary@canary/#canary", "canary é"] {
            secrets.file(file.file_name().unwrap().to_str().unwrap(), text);
            said += &self::said(config);
        }
        std::fs::write(file, before).unwrap();
    }
    said
}

#[test]
fn no_secret_is_in_anything_that_is_said_logged_or_shown() {
    let log = Log::default();
    let _logging = set_default(tracing_subscriber::registry().with(log.clone()));
    let (secrets, authority) = (Secrets::new(), Authority::new());
    let (mut servers, mut output) = (servers(), String::new());
    servers.push(authority.server("DNS:elsewhere", "20991231"));
    let closed = "http://127.0.0.1:9".to_owned();
    let unknown = "http://receiver.invalid".to_owned();
    let secure = servers.last().map(|server| format!("https://{}", server.address)).unwrap();
    let urls = servers.iter().map(|server| format!("http://{}", server.address)).chain([closed, unknown, secure]);
    for url in urls {
        for config in receivers(&url, &secrets) {
            output += &said(&trusting(config, &authority.file()));
        }
    }
    for config in receivers("http://127.0.0.1:9", &secrets) {
        output += &spoilt(&secrets, &config);
    }
    output += &log.0.lock().unwrap();
    assert!(output.len() > 100_000, "there is hardly any output: {} bytes", output.len());
    let base64 = ["c29tZWJvZHk6", "Y2FuYXJ5"];
    for secret in [CANARY, "CANARY"].into_iter().chain(base64) {
        let at = output.find(secret).map(|at| output[at.saturating_sub(200)..(at + 60).min(output.len())].to_owned());
        assert_eq!(at, None, "{secret} is shown");
    }
    // The secrets did go to the receivers.
    let told = format!("{:?}", servers[0].requests());
    for secret in 1..=11 {
        assert!(
            told.contains(&format!("canary-{secret}")) || [6, 7].contains(&secret),
            "{secret} was not sent: {told}"
        );
    }
}

#[test]
fn the_test_sees_a_secret_that_is_shown() {
    let secrets = Secrets::new();
    let shown = said(&webhook("http://127.0.0.1:9/canary"));
    assert!(!shown.contains(CANARY));
    let file = secrets.file("url", "http://127.0.0.1:9/x");
    assert!(format!("{:?}", open(&slack(file))).contains("127.0.0.1:9"));
}
