//! Alertmanager, by its API v2: `POST /api/v2/alerts`, to every member of a cluster.
//!
//! Documented at <https://prometheus.io/docs/alerting/latest/alerts_api/>. An alert that fires is sent again and again
//! (the engine's business) with an `endsAt` ahead, so that it resolves by itself if netmon is gone for good. Each alert
//! is told from others by its labels, `instance` among them: the same rule on two machines is two alerts.

use super::OpenError;
use super::credentials::{Auth, Authorization};
use super::document::{annotations, labels};
use super::request::Request;
use crate::notify::client::Url;
use crate::notify::secret::Surroundings;
use crate::notify::template::Template;
use crate::notify::{Notice, Notification};
use crate::time::Timestamp;
use hyper::header::AUTHORIZATION;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// A cluster as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// All its members, with the prefix of their paths if they have one.
    pub urls: Vec<Url>,
    /// Who netmon says it is.
    pub auth: Auth,
    /// How far ahead `endsAt` is while an alert fires.
    pub resolve_after: Duration,
    /// Labels for every alert, beside its own.
    pub labels: BTreeMap<String, String>,
    /// The annotation `description`, in place of a sentence with the numbers.
    pub description: Option<Template>,
}

#[derive(Debug)]
pub(super) struct Composer {
    urls: Vec<Url>,
    authorization: Authorization,
    resolve_after: Duration,
    labels: BTreeMap<String, String>,
    description: Option<Template>,
}

impl Composer {
    pub(super) fn open(config: &Config, around: Surroundings<'_>) -> Result<Self, OpenError> {
        Ok(Self {
            urls: config.urls.iter().map(|url| url.below("/api/v2/alerts")).collect(),
            authorization: Authorization::open(&config.auth, around)?,
            resolve_after: config.resolve_after,
            labels: config.labels.clone(),
            description: config.description.clone(),
        })
    }

    pub(super) fn requests(&self, message: &Notification) -> Vec<Request> {
        let now = wall_clock();
        let alerts: Json = message.alerts.iter().map(|notice| self.alert(notice, message, now)).collect();
        let authorization = self.authorization.header().ok().flatten();
        let request = |url: &Url| {
            let request = Request::new(url.clone(), alerts.clone());
            match &authorization {
                Some(value) => request.with(AUTHORIZATION, value.clone()),
                None => request,
            }
        };
        self.urls.iter().map(request).collect()
    }

    fn alert(&self, notice: &Notice, message: &Notification, now: Timestamp) -> Json {
        let mut alert = json!({
            "labels": labels(notice, &self.labels),
            "annotations": annotations(notice, message, self.description.as_ref()),
            "startsAt": notice.starts_at.to_string(),
            "endsAt": self.ends_at(notice, now).to_string(),
        });
        if let Some(page) = &message.external_url {
            alert["generatorURL"] = page.as_str().into();
        }
        alert
    }

    /// An end is never before the beginning, and never ahead once it is over: Alertmanager goes by its own clock, while
    /// the times of an alert are those of its packets.
    fn ends_at(&self, notice: &Notice, now: Timestamp) -> Timestamp {
        match notice.ends_at {
            Some(ended) => ended.min(now).max(notice.starts_at),
            None => now.max(notice.starts_at).saturating_add(self.resolve_after),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "Alertmanager compares it with its own wall clock")]
fn wall_clock() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}
