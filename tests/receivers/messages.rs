//! Messages and receivers to test with.

use netmon::alert::Severity;
use netmon::notify::client::{self, Factory};
use netmon::notify::receiver::{
    Auth, Config, Kind, Receiver, SlackConfig, UrlSource, alertmanager, pagerduty, webhook,
};
use netmon::notify::secret::{Source, Surroundings};
use netmon::notify::{Deliver, Notice, Notification, Outcome, Status, fingerprint};
use netmon::time::Timestamp;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// An alert of an interface, firing since a minute.
#[expect(clippy::disallowed_methods, reason = "receivers compare it with their clock")]
pub fn notice(interface: &str, status: Status) -> Notice {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970").as_secs();
    let at = |seconds: u64| Timestamp::from_nanos(seconds * 1_000_000_000);
    let labels =
        BTreeMap::from([("interface".to_owned(), interface.to_owned()), ("team".to_owned(), "net".to_owned())]);
    Notice {
        rule: "HighIngress".into(),
        fingerprint: fingerprint("HighIngress", &labels),
        labels,
        severity: Severity::Critical,
        status,
        value: 125_829_120.0,
        threshold: Some(104_857_600.0),
        metric: "receive_bytes_per_second".into(),
        unit: "bytes_per_second".into(),
        window: Duration::from_secs(10),
        starts_at: at(now - 60),
        ends_at: (status == Status::Resolved).then(|| at(now - 1)),
        blind: false,
        summary: "{{ interface }} receives {{ value }} (limit {{ threshold }})".into(),
        runbook_url: Some("https://runbooks.example/HighIngress?a=1&b=2".into()),
    }
}

/// A message with these alerts.
pub fn message(alerts: Vec<Notice>) -> Notification {
    let firing = alerts.iter().any(|notice| notice.status == Status::Firing);
    Notification {
        key: "00112233445566778899aabbccddeeff".into(),
        receiver: "ops".into(),
        group_key: "{}:{alertname=\"HighIngress\"}".into(),
        group_labels: BTreeMap::from([("alertname".to_owned(), "HighIngress".to_owned())]),
        status: if firing { Status::Firing } else { Status::Resolved },
        created: alerts[0].starts_at,
        alerts,
        truncated_alerts: 0,
        external_url: Some("http://monitor.example:8080/".into()),
    }
}

/// One firing alert.
pub fn firing() -> Notification {
    message(vec![notice("eth0", Status::Firing)])
}

/// The same, resolved.
pub fn resolved() -> Notification {
    message(vec![notice("eth0", Status::Resolved)])
}

/// A directory for secrets.
pub struct Secrets(pub tempfile::TempDir);

impl Secrets {
    pub fn new() -> Self {
        // Private whatever the umask is.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        Self(tempfile::Builder::new().permissions(mode).tempdir().expect("a directory can be made"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A private file with a line break at the end, as editors leave it.
    pub fn file(&self, name: &str, text: &str) -> Source {
        let path = self.path(name);
        let mut options = std::fs::File::options();
        std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create(true).truncate(true), 0o600);
        writeln!(options.open(&path).expect("a file can be made"), "{text}").expect("it can be written");
        Source::File(path)
    }
}

pub fn webhook_config(url: &str) -> webhook::Config {
    webhook::Config {
        url: UrlSource::Written(url.parse().expect("it is a URL")),
        headers: BTreeMap::new(),
        secret_headers: BTreeMap::new(),
        auth: Auth::None,
        hmac: None,
        labels: BTreeMap::new(),
        description: None,
    }
}

pub fn webhook(url: &str) -> Config {
    config(Kind::Webhook(webhook_config(url)))
}

pub fn slack(url: Source) -> Config {
    config(Kind::Slack(SlackConfig { url: UrlSource::Secret(url), title: None, text: None }))
}

pub fn pagerduty(url: &str, routing_key: Source) -> Config {
    let url = url.parse().expect("it is a URL");
    config(Kind::PagerDuty(pagerduty::Config {
        url,
        routing_key,
        source: Some("monitor.example".into()),
        summary: None,
    }))
}

pub fn alertmanager(urls: &[&str]) -> Config {
    config(Kind::Alertmanager(alertmanager::Config {
        urls: urls.iter().map(|url| url.parse().expect("it is a URL")).collect(),
        auth: Auth::None,
        resolve_after: Duration::from_secs(300),
        labels: BTreeMap::from([("instance".to_owned(), "monitor.example".to_owned())]),
        description: None,
    }))
}

fn config(kind: Kind) -> Config {
    Config { kind, http: client::Config { timeout: TIMEOUT, ..client::Config::default() } }
}

/// Short, so that what never ends does not make tests long.
pub const TIMEOUT: Duration = Duration::from_secs(2);

pub fn open(config: &Config) -> Receiver {
    let opened = Receiver::open(config, &Factory::default(), Surroundings::of_process());
    opened.unwrap_or_else(|error| panic!("{error}"))
}

/// Trusts what is in a file.
pub fn trusting(mut config: Config, file: &Path) -> Config {
    config.http.ca_file = Some(file.to_owned());
    config
}

/// One attempt, on a runtime of its own.
pub fn deliver(receiver: &Receiver, message: &Notification) -> Outcome {
    runtime().block_on(receiver.deliver(message))
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}
