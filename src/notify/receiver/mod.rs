//! Receivers: who is told, in the words that each one's documentation asks for.
//!
//! Each kind makes requests out of a notification and knows no network; here they are sent. [`Receiver::preview`] shows
//! what would be sent, without a secret in it.

pub mod alertmanager;
mod credentials;
mod document;
pub mod pagerduty;
mod request;
mod slack;
mod text;
pub mod webhook;

pub use credentials::{Auth, UrlSource};
pub use request::Preview;
pub use slack::Config as SlackConfig;
pub(super) use text::escaped;

use super::client::{self, Client, Factory, TlsError, Url, UrlError};
use super::secret::{SecretError, Surroundings};
use super::{Attempt, Deliver, Notification, Outcome};
use request::Request;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

/// A receiver as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What it is.
    pub kind: Kind,
    /// How it is reached.
    pub http: client::Config,
}

/// What receivers there are, each with what is its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Anything that understands the webhooks of Alertmanager.
    Webhook(webhook::Config),
    /// An incoming webhook of Slack.
    Slack(SlackConfig),
    /// The Events API v2 of PagerDuty.
    PagerDuty(pagerduty::Config),
    /// The API v2 of one Alertmanager or of all of a cluster.
    Alertmanager(alertmanager::Config),
}

impl Kind {
    /// As it is named in the configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Slack(_) => "slack",
            Self::PagerDuty(_) => "pagerduty",
            Self::Alertmanager(_) => "alertmanager",
        }
    }
}

impl Config {
    /// The files that are read for it, at the start and later.
    pub fn files(&self) -> Vec<&Path> {
        let own = match &self.kind {
            Kind::Webhook(config) => config.files(),
            Kind::Slack(config) => config.url.file().into_iter().collect(),
            Kind::PagerDuty(config) => config.routing_key.file().into_iter().collect(),
            Kind::Alertmanager(config) => config.auth.file().into_iter().collect(),
        };
        own.into_iter().chain(self.http.ca_file.as_deref()).collect()
    }

    /// The directories that have to stay readable: those that its files are in by name, since files are replaced by
    /// others, and those that the files are really in.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let places = |file: &Path| [std::path::absolute(file), file.canonicalize()].into_iter().flatten();
        self.files().into_iter().flat_map(places).filter_map(|file| Some(file.parent()?.to_owned())).collect()
    }
}

/// Why a receiver cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A secret is not there or not private.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A secret is no URL.
    #[error("{of} is {error}")]
    Url {
        /// Where it was read.
        of: String,
        /// What it is; never what it says.
        error: UrlError,
    },
    /// A secret cannot be put into a header.
    #[error("the secret for header `{header}` has characters that a header cannot have")]
    Header {
        /// The header.
        header: String,
    },
    /// Not what the receiver's documentation describes.
    #[error("{of} is no routing key, which has 32 letters and digits")]
    RoutingKey {
        /// Where it was read.
        of: String,
    },
    /// There is nothing to trust.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl OpenError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Secret(error) => error.hint(),
            Self::Tls(error) => error.hint().map(str::to_owned),
            _ => None,
        }
    }
}

/// A receiver that can be told.
#[derive(Debug)]
pub struct Receiver {
    composer: Composer,
    /// One for each URL.
    clients: Vec<Client>,
    ports: BTreeSet<u16>,
    /// What was sent of the notification that is being tried.
    progress: Mutex<Progress>,
}

/// Makes requests out of a notification.
#[derive(Debug)]
enum Composer {
    Webhook(webhook::Composer),
    Slack(slack::Composer),
    PagerDuty(pagerduty::Composer),
    Alertmanager(alertmanager::Composer),
}

#[derive(Debug, Default)]
struct Progress {
    key: String,
    /// Requests that need not be sent again.
    done: BTreeSet<usize>,
    refused: Option<Outcome>,
}

impl Receiver {
    /// Reads the secrets and what is trusted; connects to nobody.
    ///
    /// # Errors
    /// What is missing.
    pub fn open(config: &Config, factory: &Factory, around: Surroundings<'_>) -> Result<Self, OpenError> {
        // Asked while netmon is not confined.
        host_name();
        let (composer, urls) = Composer::open(&config.kind, around)?;
        let clients = urls.iter().map(|url| factory.client(&config.http, url.is_https()));
        let clients = clients.collect::<Result<_, _>>()?;
        let ports = match &config.http.proxy {
            Some(proxy) => BTreeSet::from([proxy.port()]),
            None => urls.iter().map(Url::port).collect(),
        };
        Ok(Self { composer, clients, ports, progress: Mutex::default() })
    }

    /// The TCP ports that are connected to, of the proxy where there is one.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().copied()
    }

    /// What would be sent, with a mark in the place of every secret.
    pub fn preview(&self, notification: &Notification) -> Vec<Preview> {
        self.composer.requests(notification).iter().map(Request::preview).collect()
    }

    async fn attempt(&self, notification: &Notification) -> Outcome {
        let requests = self.composer.requests(notification);
        match &self.composer {
            Composer::Alertmanager(_) => self.to_all(requests).await,
            _ => self.in_turn(notification, requests).await,
        }
    }

    /// Sends to every member of a cluster at the same time; one that took it is enough, since it is sent again to all
    /// as long as it fires.
    async fn to_all(&self, requests: Vec<Request>) -> Outcome {
        let sent = self.clients.iter().zip(requests).map(|(client, request)| request.send(client));
        let outcomes = all(sent).await;
        let rank = |outcome: &Outcome| match outcome {
            Outcome::Accepted => 0,
            Outcome::Retry { .. } => 1,
            Outcome::Refused { .. } => 2,
        };
        outcomes.into_iter().min_by_key(rank).unwrap_or(Outcome::Accepted)
    }

    /// Sends one after the other. Another attempt goes on where this one ends, so that many events get through although
    /// an attempt has little time.
    async fn in_turn(&self, notification: &Notification, requests: Vec<Request>) -> Outcome {
        let Some(client) = self.clients.first() else { return Outcome::Accepted };
        for (n, request) in requests.into_iter().enumerate() {
            if self.with_progress(notification, |progress| progress.done.contains(&n)) {
                continue;
            }
            let outcome = request.send(client).await;
            if matches!(outcome, Outcome::Retry { .. }) {
                return outcome;
            }
            self.with_progress(notification, |progress| {
                progress.done.insert(n);
                if outcome != Outcome::Accepted {
                    progress.refused.get_or_insert(outcome);
                }
            });
        }
        self.with_progress(notification, |progress| std::mem::take(progress).refused).unwrap_or(Outcome::Accepted)
    }

    fn with_progress<T>(&self, notification: &Notification, f: impl FnOnce(&mut Progress) -> T) -> T {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.key != notification.key {
            *progress = Progress { key: notification.key.clone(), ..Progress::default() };
        }
        f(&mut progress)
    }
}

impl Deliver for Receiver {
    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(self.attempt(notification))
    }
}

impl Composer {
    /// With the URLs that will be asked.
    fn open(kind: &Kind, around: Surroundings<'_>) -> Result<(Self, Vec<Url>), OpenError> {
        Ok(match kind {
            Kind::Webhook(config) => {
                let composer = webhook::Composer::open(config, around)?;
                let url = composer.url();
                (Self::Webhook(composer), vec![url])
            }
            Kind::Slack(config) => {
                let composer = slack::Composer::open(config, around)?;
                let url = composer.url();
                (Self::Slack(composer), vec![url])
            }
            Kind::PagerDuty(config) => {
                (Self::PagerDuty(pagerduty::Composer::open(config, around)?), vec![config.url.clone()])
            }
            Kind::Alertmanager(config) => {
                (Self::Alertmanager(alertmanager::Composer::open(config, around)?), config.urls.clone())
            }
        })
    }

    fn requests(&self, notification: &Notification) -> Vec<Request> {
        match self {
            Self::Webhook(webhook) => vec![webhook.request(notification)],
            Self::Slack(slack) => vec![slack.request(notification)],
            Self::PagerDuty(pagerduty) => pagerduty.requests(notification),
            Self::Alertmanager(alertmanager) => alertmanager.requests(notification),
        }
    }
}

/// Why a webhook cannot have a header of this name; `secret` where its value is in a file. Reads on behind the name.
pub fn header_problem(name: &str, secret: bool) -> Option<&'static str> {
    const OWN: [&str; 8] = [
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "transfer-encoding",
        "x-netmon-signature",
        "x-netmon-timestamp",
    ];
    const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
    let lower = name.to_ascii_lowercase();
    if name.parse::<hyper::header::HeaderName>().is_err() {
        Some("is no name of a header")
    } else if OWN.contains(&&*lower) {
        Some("is a header that netmon sets itself")
    } else if CREDENTIALS.contains(&&*lower) && !secret {
        Some("is a secret, allowed in `header_files`, or by `bearer_file` or `password_file`")
    } else {
        None
    }
}

/// Runs futures at the same time, in one task; there are at most a handful.
async fn all<F: Future<Output = Outcome>>(futures: impl Iterator<Item = F>) -> Vec<Outcome> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, outcome) in running.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
            if let std::task::Poll::Ready(done) = future.as_mut().poll(context) {
                *outcome = Some(done);
            }
        }
        if running.iter().all(|(_, outcome)| outcome.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    running.into_iter().filter_map(|(_, outcome)| outcome).collect()
}

/// The name of this machine, which tells its alerts from those of another; asked once.
fn host_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| name_of_host().unwrap_or_else(|| "netmon".into()));
    &NAME
}

#[cfg(unix)]
fn name_of_host() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok().filter(|name| !name.is_empty())
}

#[cfg(not(unix))]
fn name_of_host() -> Option<String> {
    std::env::var("COMPUTERNAME").ok().filter(|name| !name.is_empty())
}
