//! The kinds of receivers as written, and the step to receivers that cannot be wrong.

use super::rules::{
    HeaderText, OptionalPath, OptionalTemplate, OptionalText, OptionalUrl, Period, Switch, UrlItem, Variable,
};
use super::setting::{List, Setting};
use crate::notify::client::{self, Url};
use crate::notify::receiver::{
    Auth, Config, Kind, SlackConfig, UrlSource, alertmanager, header_problem, pagerduty, webhook,
};
use crate::notify::secret::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A URL that takes the JSON of Alertmanager's webhooks, version 4.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Webhook {
    /// Where it is.
    pub url: Setting<OptionalUrl>,
    /// A private file with the URL, in place of `url`, where the URL is as good as a password.
    pub url_file: Setting<OptionalPath>,
    /// A variable with the URL, in place of `url`.
    pub url_env: Setting<Variable>,
    /// Headers to send too. `Authorization` and the like belong into files.
    pub headers: BTreeMap<String, Setting<HeaderText>>,
    /// Headers whose values are in private files.
    pub header_files: BTreeMap<String, Setting<OptionalPath>>,
    /// A private file with a token for `Authorization: Bearer`.
    pub bearer_file: Setting<OptionalPath>,
    /// A variable with such a token.
    pub bearer_env: Setting<Variable>,
    /// The user for basic authentication.
    pub username: Setting<OptionalText>,
    /// A private file with the user's password.
    pub password_file: Setting<OptionalPath>,
    /// A variable with the user's password.
    pub password_env: Setting<Variable>,
    /// A private file with the key of the signature `X-Netmon-Signature`.
    pub hmac_file: Setting<OptionalPath>,
    /// A variable with that key.
    pub hmac_env: Setting<Variable>,
    /// Labels for all its alerts, beside their own; `instance` is the name of this machine.
    pub labels: BTreeMap<String, Setting<OptionalText>>,
    /// The annotation `description`, in place of a sentence with the numbers: a template.
    pub description: Setting<OptionalTemplate>,
    /// Certificates in PEM to trust in place of this machine's own.
    pub ca_file: Setting<OptionalPath>,
    /// An HTTP proxy to go through. Those of the environment are not used.
    pub proxy_url: Setting<OptionalUrl>,
    /// A name may resolve to loopback and link-local addresses.
    pub allow_local: Setting<Switch<false>>,
}

/// A channel of Slack, by an incoming webhook.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Slack {
    /// A private file with the webhook's URL.
    pub url_file: Setting<OptionalPath>,
    /// A variable with the webhook's URL.
    pub url_env: Setting<Variable>,
    /// The header of a message: a template, over its first alert.
    pub title: Setting<OptionalTemplate>,
    /// The text of each alert in mrkdwn: a template. Values are escaped.
    pub text: Setting<OptionalTemplate>,
    /// Certificates in PEM to trust in place of this machine's own.
    pub ca_file: Setting<OptionalPath>,
    /// An HTTP proxy to go through. Those of the environment are not used.
    pub proxy_url: Setting<OptionalUrl>,
    /// A name may resolve to loopback and link-local addresses.
    pub allow_local: Setting<Switch<false>>,
}

/// A service of PagerDuty, by the Events API v2.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct PagerDuty {
    /// A private file with the integration's key.
    pub routing_key_file: Setting<OptionalPath>,
    /// A variable with the integration's key.
    pub routing_key_env: Setting<Variable>,
    /// Where events go (default `https://events.pagerduty.com/v2/enqueue`; accounts in the EU have another).
    pub url: Setting<OptionalUrl>,
    /// What is affected (default: the name of this machine). It is part of the key that ends an incident.
    pub source: Setting<OptionalText>,
    /// The line that people are woken with: a template.
    pub summary: Setting<OptionalTemplate>,
    /// Certificates in PEM to trust in place of this machine's own.
    pub ca_file: Setting<OptionalPath>,
    /// An HTTP proxy to go through. Those of the environment are not used.
    pub proxy_url: Setting<OptionalUrl>,
    /// A name may resolve to loopback and link-local addresses.
    pub allow_local: Setting<Switch<false>>,
}

/// An Alertmanager or all of a cluster, by the API v2.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Alertmanager {
    /// All members of the cluster, with the prefix of their paths if they have one.
    pub urls: List<UrlItem, 0, 8>,
    /// How far ahead an alert's end is set while it fires: it resolves then if netmon is gone.
    pub resolve_after: Setting<Period<{ 60 * SECOND }, { 86_400 * SECOND }, { 300 * SECOND }>>,
    /// A private file with a token for `Authorization: Bearer`.
    pub bearer_file: Setting<OptionalPath>,
    /// A variable with such a token.
    pub bearer_env: Setting<Variable>,
    /// The user for basic authentication.
    pub username: Setting<OptionalText>,
    /// A private file with the user's password.
    pub password_file: Setting<OptionalPath>,
    /// A variable with the user's password.
    pub password_env: Setting<Variable>,
    /// Labels for all its alerts, beside their own; `instance` is the name of this machine.
    pub labels: BTreeMap<String, Setting<OptionalText>>,
    /// The annotation `description`, in place of a sentence with the numbers: a template.
    pub description: Setting<OptionalTemplate>,
    /// Certificates in PEM to trust in place of this machine's own.
    pub ca_file: Setting<OptionalPath>,
    /// An HTTP proxy to go through. Those of the environment are not used.
    pub proxy_url: Setting<OptionalUrl>,
    /// A name may resolve to loopback and link-local addresses.
    pub allow_local: Setting<Switch<false>>,
}

const SECOND: u64 = 1_000_000_000;

/// The kinds of one receiver, of which one is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds<'a> {
    pub(super) webhook: &'a Webhook,
    pub(super) slack: &'a Slack,
    pub(super) pagerduty: &'a PagerDuty,
    pub(super) alertmanager: &'a Alertmanager,
}

/// The receiver, or everything that is wrong with it: key paths below the receiver, and messages. `timeout` bounds each
/// attempt.
pub(super) fn read(kinds: Kinds<'_>, timeout: Duration) -> Result<Config, Vec<(String, String)>> {
    let Kinds { webhook, slack, pagerduty, alertmanager } = kinds;
    let mut written = Vec::new();
    if *webhook != Webhook::default() {
        written.push("webhook");
    }
    if *slack != Slack::default() {
        written.push("slack");
    }
    if *pagerduty != PagerDuty::default() {
        written.push("pagerduty");
    }
    if *alertmanager != Alertmanager::default() {
        written.push("alertmanager");
    }
    let [kind] = written[..] else {
        let found = if written.is_empty() { "none".into() } else { written.join(" and ") };
        let allowed = "of `webhook`, `slack`, `pagerduty` and `alertmanager`, allowed exactly one";
        return Err(vec![(String::new(), format!("has {found} {allowed}"))]);
    };
    let mut reading = Reading { kind, mistakes: Vec::new() };
    let config = match kind {
        "webhook" => reading.webhook(webhook, timeout),
        "slack" => reading.slack(slack, timeout),
        "pagerduty" => reading.pagerduty(pagerduty, timeout),
        _ => reading.alertmanager(alertmanager, timeout),
    };
    config.filter(|_| reading.mistakes.is_empty()).ok_or(reading.mistakes)
}

/// One receiver on its way.
struct Reading {
    kind: &'static str,
    mistakes: Vec<(String, String)>,
}

impl Reading {
    fn webhook(&mut self, written: &Webhook, timeout: Duration) -> Option<Config> {
        let url = self.webhook_url(written);
        self.header_names(written);
        let headers = written.headers.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
        let secret_headers = self.secret_headers(written);
        let password = (&written.password_file.0, &written.password_env.0);
        let auth = self.auth((&written.bearer_file.0, &written.bearer_env.0), &written.username.0, password);
        let hmac = self.source("hmac", &written.hmac_file.0, &written.hmac_env.0);
        let kind = Kind::Webhook(webhook::Config {
            url: url?,
            headers,
            secret_headers,
            auth,
            hmac,
            labels: self.labels(&written.labels),
            description: written.description.0.clone(),
        });
        let reach = (&written.ca_file.0, &written.proxy_url.0, written.allow_local.0);
        Some(Config { kind, http: self.http(reach, timeout) })
    }

    fn slack(&mut self, written: &Slack, timeout: Duration) -> Option<Config> {
        let url = self.needed("url", &written.url_file.0, &written.url_env.0)?;
        let (title, text) = (written.title.0.clone(), written.text.0.clone());
        let kind = Kind::Slack(SlackConfig { url: UrlSource::Secret(url), title, text });
        let reach = (&written.ca_file.0, &written.proxy_url.0, written.allow_local.0);
        Some(Config { kind, http: self.http(reach, timeout) })
    }

    fn pagerduty(&mut self, written: &PagerDuty, timeout: Duration) -> Option<Config> {
        let routing_key = self.needed("routing_key", &written.routing_key_file.0, &written.routing_key_env.0)?;
        let url = written.url.0.clone().or_else(|| pagerduty::DEFAULT_URL.parse().ok())?;
        let (source, summary) = (written.source.0.clone(), written.summary.0.clone());
        let kind = Kind::PagerDuty(pagerduty::Config { url, routing_key, source, summary });
        let reach = (&written.ca_file.0, &written.proxy_url.0, written.allow_local.0);
        Some(Config { kind, http: self.http(reach, timeout) })
    }

    fn alertmanager(&mut self, written: &Alertmanager, timeout: Duration) -> Option<Config> {
        let urls = written.urls.0.clone();
        if urls.is_empty() {
            self.wrong(
                "urls",
                "is missing: the URLs of all members of the cluster, such as `http://alertmanager:9093`",
            );
        }
        for (n, _) in urls.iter().enumerate().filter(|(_, url)| url.has_query()) {
            self.wrong(&format!("urls[{n}]"), "has a query, allowed a prefix of paths only");
        }
        let password = (&written.password_file.0, &written.password_env.0);
        let auth = self.auth((&written.bearer_file.0, &written.bearer_env.0), &written.username.0, password);
        let kind = Kind::Alertmanager(alertmanager::Config {
            urls,
            auth,
            resolve_after: written.resolve_after.0,
            labels: self.labels(&written.labels),
            description: written.description.0.clone(),
        });
        let reach = (&written.ca_file.0, &written.proxy_url.0, written.allow_local.0);
        Some(Config { kind, http: self.http(reach, timeout) })
    }

    fn wrong(&mut self, key: &str, message: impl Into<String>) {
        self.mistakes.push((format!("{}.{key}", self.kind), message.into()));
    }

    fn http(&mut self, reach: Reach<'_>, timeout: Duration) -> client::Config {
        let (ca_file, proxy, allow_local) = reach;
        if proxy.as_ref().is_some_and(Url::is_https) {
            self.wrong(
                "proxy_url",
                "is an `https` URL, allowed an `http` one: receivers with `https` are reached by CONNECT",
            );
        }
        client::Config { timeout, ca_file: ca_file.clone(), proxy: proxy.clone(), allow_local }
    }

    fn webhook_url(&mut self, written: &Webhook) -> Option<UrlSource> {
        let secret = self.source("url", &written.url_file.0, &written.url_env.0);
        match (&written.url.0, secret) {
            (Some(url), None) => Some(UrlSource::Written(url.clone())),
            (None, Some(secret)) => Some(UrlSource::Secret(secret)),
            (Some(_), Some(_)) => {
                self.wrong("url", "is given beside `url_file` or `url_env`, allowed one of them");
                None
            }
            (None, None) => {
                self.wrong("url", "is missing: the URL, or `url_file` or `url_env` where it is a secret");
                None
            }
        }
    }

    /// A secret that may be given.
    fn source(&mut self, stem: &str, file: &Option<PathBuf>, variable: &Option<String>) -> Option<Source> {
        if file.is_some() && variable.is_some() {
            self.wrong(&format!("{stem}_env"), format!("is given beside `{stem}_file`, allowed one of them"));
        }
        file.clone().map(Source::File).or_else(|| variable.clone().map(Source::Variable))
    }

    /// A secret that has to be given.
    fn needed(&mut self, stem: &str, file: &Option<PathBuf>, variable: &Option<String>) -> Option<Source> {
        let source = self.source(stem, file, variable);
        if source.is_none() {
            self.wrong(&format!("{stem}_file"), format!("is missing: a private file with the secret, or `{stem}_env`"));
        }
        source
    }

    fn auth(&mut self, bearer: Secrets<'_>, username: &Option<String>, password: Secrets<'_>) -> Auth {
        let bearer = self.source("bearer", bearer.0, bearer.1);
        let password = self.source("password", password.0, password.1);
        match (bearer, username, password) {
            (None, None, None) => Auth::None,
            (Some(token), None, None) => Auth::Bearer(token),
            (None, Some(username), Some(password)) => {
                if username.contains(':') {
                    self.wrong("username", "has a colon, which ends the user in basic authentication");
                }
                Auth::Basic { username: username.clone(), password }
            }
            (None, Some(_), None) => {
                self.wrong("password_file", "is missing: `username` needs a password");
                Auth::None
            }
            (None, None, Some(_)) => {
                self.wrong("username", "is missing: a password needs `username`");
                Auth::None
            }
            (Some(_), ..) => {
                self.wrong("bearer_file", "is given beside `username`, allowed a token or a password");
                Auth::None
            }
        }
    }

    fn header_names(&mut self, written: &Webhook) {
        for name in written.headers.keys() {
            if let Some(problem) = header_problem(name, false) {
                self.wrong(&format!("headers.{name}"), problem);
            }
        }
        for name in written.header_files.keys() {
            if let Some(problem) = header_problem(name, true) {
                self.wrong(&format!("header_files.{name}"), problem);
            }
            if written.headers.keys().any(|other| other.eq_ignore_ascii_case(name)) {
                self.wrong(&format!("header_files.{name}"), "is given in `headers` too, allowed one of them");
            }
        }
    }

    fn secret_headers(&mut self, written: &Webhook) -> BTreeMap<String, Source> {
        let mut headers = BTreeMap::new();
        for (name, file) in &written.header_files {
            match &file.0 {
                Some(path) => drop(headers.insert(name.clone(), Source::File(path.clone()))),
                None => self.wrong(&format!("header_files.{name}"), "is empty, allowed the path of a file"),
            }
        }
        headers
    }

    fn labels(&mut self, written: &BTreeMap<String, Setting<OptionalText>>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (name, value) in written {
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !plain || name.starts_with(|c: char| c.is_ascii_digit()) || ["alertname", "severity"].contains(&&**name)
            {
                let allowed =
                    "is no label that can be added, allowed letters, digits and _, but `alertname` and `severity`";
                self.wrong(&format!("labels.{name}"), allowed);
            }
            labels.insert(name.clone(), value.0.clone().unwrap_or_default());
        }
        labels
    }
}

/// CA file, proxy, and whether local addresses are allowed.
type Reach<'a> = (&'a Option<PathBuf>, &'a Option<Url>, bool);
/// File and variable.
type Secrets<'a> = (&'a Option<PathBuf>, &'a Option<String>);

#[cfg(test)]
mod tests;
