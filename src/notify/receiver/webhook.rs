//! Generic webhooks: the JSON of Alertmanager's webhooks, version 4, so that what understands those understands netmon.
//!
//! Documented at <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>. `Idempotency-Key` is the
//! same on every attempt of a message. With a key, `X-Netmon-Signature` is `v1=` and the HMAC-SHA256, in hexadecimal, of
//! `X-Netmon-Timestamp` (Unix seconds of the attempt), a full stop, and the body as it was sent: a receiver that checks
//! both takes no message that was forged or is repeated later.

use super::OpenError;
use super::credentials::{Address, Auth, Authorization, UrlSource, secret_header};
use super::document::{annotations, common, labels};
use super::request::Request;
use crate::notify::client::Url;
use crate::notify::secret::{Credential, Secret, Source, Surroundings};
use crate::notify::template::Template;
use crate::notify::{Notice, Notification};
use hmac::{Hmac, Mac};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

/// A webhook as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it is.
    pub url: UrlSource,
    /// Headers to send; shown nowhere, since tokens are often put here.
    pub headers: BTreeMap<String, Secret>,
    /// Headers whose values are secrets.
    pub secret_headers: BTreeMap<String, Source>,
    /// Who netmon says it is.
    pub auth: Auth,
    /// The key of the signature.
    pub hmac: Option<Source>,
    /// Labels for every alert, beside its own.
    pub labels: BTreeMap<String, String>,
    /// The annotation `description`, in place of a sentence with the numbers.
    pub description: Option<Template>,
}

impl Config {
    pub(super) fn files(&self) -> Vec<&Path> {
        let headers = self.secret_headers.values().filter_map(Source::file);
        let hmac = self.hmac.as_ref().and_then(Source::file);
        self.url.file().into_iter().chain(self.auth.file()).chain(hmac).chain(headers).collect()
    }
}

#[derive(Debug)]
pub(super) struct Composer {
    url: Address,
    headers: Vec<(HeaderName, HeaderValue)>,
    secret_headers: Vec<(HeaderName, Credential)>,
    authorization: Authorization,
    hmac: Option<Credential>,
    labels: BTreeMap<String, String>,
    description: Option<Template>,
}

impl Composer {
    pub(super) fn open(config: &Config, around: Surroundings<'_>) -> Result<Self, OpenError> {
        let headers = config.headers.iter().map(|(name, value)| header(name, value)).collect::<Result<_, _>>()?;
        let secret = |(name, source): (&String, &Source)| {
            let credential = Credential::open(source, around)?;
            let unfit = || OpenError::Header { header: name.clone() };
            secret_header(&credential.current()).map_err(|()| unfit())?;
            Ok((name.parse().map_err(|_| unfit())?, credential))
        };
        Ok(Self {
            url: Address::open(&config.url, around)?,
            headers,
            secret_headers: config.secret_headers.iter().map(secret).collect::<Result<_, OpenError>>()?,
            authorization: Authorization::open(&config.auth, around)?,
            hmac: config.hmac.as_ref().map(|source| Credential::open(source, around)).transpose()?,
            labels: config.labels.clone(),
            description: config.description.clone(),
        })
    }

    pub(super) fn url(&self) -> Url {
        self.url.current()
    }

    pub(super) fn request(&self, message: &Notification) -> Request {
        let mut request = Request::new(self.url(), self.document(message));
        for (name, value) in self.headers.iter().cloned().chain(self.secrets()) {
            request = request.with(name, value);
        }
        if let Ok(key) = HeaderValue::from_str(&message.key) {
            request = request.with(IDEMPOTENCY_KEY, key);
        }
        match &self.hmac {
            Some(key) => signed(request, key.current().expose().as_bytes(), unix_seconds()),
            None => request,
        }
    }

    /// A secret that was rotated to something no header can have is left out: the receiver then says that it is missing.
    fn secrets(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let authorization = self.authorization.header().ok().flatten().map(|value| (AUTHORIZATION, value));
        let others = self.secret_headers.iter();
        let others = others.filter_map(|(name, secret)| Some((name.clone(), secret_header(&secret.current()).ok()?)));
        authorization.into_iter().chain(others)
    }

    fn document(&self, message: &Notification) -> Json {
        let alerts: Vec<_> = message.alerts.iter().map(|notice| self.parts(notice, message)).collect();
        let listed = message.alerts.iter().zip(&alerts);
        let page = message.external_url.clone().unwrap_or_default();
        json!({
            "version": "4",
            "groupKey": message.group_key,
            "truncatedAlerts": message.truncated_alerts,
            "status": message.status.name(),
            "receiver": &*message.receiver,
            "groupLabels": message.group_labels,
            "commonLabels": common(alerts.iter().map(|(labels, _)| labels)),
            "commonAnnotations": common(alerts.iter().map(|(_, annotations)| annotations)),
            "externalURL": page,
            "alerts": listed.map(|(notice, parts)| alert(notice, parts, &page)).collect::<Vec<_>>(),
        })
    }

    fn parts(&self, notice: &Notice, message: &Notification) -> Parts {
        (labels(notice, &self.labels), annotations(notice, message, self.description.as_ref()))
    }
}

/// Labels and annotations.
type Parts = (BTreeMap<String, String>, BTreeMap<String, String>);

fn alert(notice: &Notice, (labels, annotations): &Parts, page: &str) -> Json {
    json!({
        "status": notice.status.name(),
        "labels": labels,
        "annotations": annotations,
        "startsAt": notice.starts_at.to_string(),
        "endsAt": notice.ends_at.map_or_else(|| NO_TIME.to_owned(), |at| at.to_string()),
        "generatorURL": page,
        "fingerprint": notice.fingerprint,
    })
}

fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), OpenError> {
    let unfit = || OpenError::Header { header: name.to_owned() };
    Ok((name.parse().map_err(|_| unfit())?, secret_header(value).map_err(|()| unfit())?))
}

fn signed(request: Request, key: &[u8], at: u64) -> Request {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return request };
    mac.update(format!("{at}.").as_bytes());
    mac.update(&request.bytes);
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let Ok(signature) = HeaderValue::from_str(&format!("v1={signature}")) else { return request };
    request.with(TIMESTAMP, at.into()).with(SIGNATURE, signature)
}

#[expect(clippy::disallowed_methods, reason = "the receiver compares it with its own wall clock")]
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// How Alertmanager writes the end of what has not ended.
const NO_TIME: &str = "0001-01-01T00:00:00Z";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-netmon-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-netmon-signature");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_time_and_body() {
        let url = "http://host/".parse().unwrap();
        let request = signed(Request::new(url, json!({"a": 1})), b"key", 1_767_225_600);
        assert_eq!(request.headers[TIMESTAMP], "1767225600");
        // printf '1767225600.{"a":1}' | openssl dgst -sha256 -hmac key
        assert_eq!(request.headers[SIGNATURE], "v1=80f7b75f8618b9b24d72673996a625f1a43f7387a26b6739d667431724fe4d23");
    }
}
