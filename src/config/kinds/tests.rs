//! Receivers are taken or refused with the words a person needs, and what may hold a secret is not among them.

use super::*;
use crate::config::read::read as read_file;
use config::{Value, ValueKind};
use serde_json::json;

/// The keys of a receiver, as the list of receivers has them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
struct Written {
    webhook: Webhook,
    slack: Slack,
    pagerduty: PagerDuty,
    alertmanager: Alertmanager,
}

impl Written {
    fn read(&self) -> Result<Config, Vec<(String, String)>> {
        let kinds = Kinds {
            webhook: &self.webhook,
            slack: &self.slack,
            pagerduty: &self.pagerduty,
            alertmanager: &self.alertmanager,
        };
        read(kinds, Duration::from_secs(7))
    }
}

/// A document as the layers merge it: all scalars are texts.
fn merged(json: &serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Object(map) => {
            ValueKind::Table(map.iter().map(|(key, value)| (key.clone(), merged(value))).collect())
        }
        serde_json::Value::Array(items) => ValueKind::Array(items.iter().map(merged).collect()),
        serde_json::Value::String(text) => ValueKind::String(text.clone()),
        other => ValueKind::String(other.to_string()),
    };
    Value::new(None, kind)
}

fn written(json: &serde_json::Value) -> (Written, Vec<String>) {
    let (written, misfits) = read_file::<Written>(&mut merged(json), 100);
    let misfits = misfits.iter().map(|misfit| format!("{} {}", misfit.key(), misfit.message)).collect();
    (written, misfits)
}

fn config(json: &serde_json::Value) -> Config {
    let (written, misfits) = written(json);
    assert_eq!(misfits, Vec::<String>::new());
    written.read().unwrap()
}

/// Everything that is wrong, line by line.
fn refusal(json: &serde_json::Value) -> String {
    let (written, mut lines) = written(json);
    let found = written.read().err().unwrap_or_default();
    lines.extend(found.into_iter().map(|(key, message)| format!("{key} {message}")));
    lines.join("\n")
}

#[test]
fn each_kind_is_read_with_its_defaults() {
    let slack = config(&json!({"slack": {"url_file": "/run/secrets/slack"}}));
    assert_eq!(slack.files(), [std::path::Path::new("/run/secrets/slack")]);
    assert_eq!((slack.kind.name(), slack.http.timeout), ("slack", Duration::from_secs(7)));

    let pagerduty = config(&json!({"pagerduty": {"routing_key_env": "PAGERDUTY_KEY"}}));
    let Kind::PagerDuty(pagerduty) = pagerduty.kind else { panic!("another kind") };
    assert_eq!(pagerduty.url.host_and_port(), "events.pagerduty.com:443");

    let urls = config(&json!({"alertmanager": {"urls": "http://a:9093/prefix"}}));
    let Kind::Alertmanager(alertmanager) = urls.kind else { panic!("another kind") };
    assert_eq!((alertmanager.urls.len(), alertmanager.resolve_after), (1, Duration::from_secs(300)));

    let webhook = config(&json!({"webhook": {
        "url": "https://host/hook", "headers": {"X-Team": "net"}, "header_files": {"X-Token": "/run/secrets/token"},
        "username": "u", "password_file": "/run/secrets/password", "hmac_file": "/run/secrets/hmac",
        "labels": {"site": "a"}, "description": "{{ value }}", "ca_file": "/etc/ca.pem",
        "proxy_url": "http://proxy:3128", "allow_local": true,
    }}));
    assert_eq!(webhook.files().len(), 4);
    assert!(webhook.http.allow_local && webhook.http.proxy.is_some());
}

#[test]
fn each_mistake_has_its_message() {
    for (written, expected) in [
        (json!({}), " has none of `webhook`, `slack`, `pagerduty` and `alertmanager`, allowed exactly one"),
        (
            json!({"slack": {"url_file": "/a"}, "webhook": {"url": "http://a"}}),
            " has webhook and slack of `webhook`, `slack`, `pagerduty` and `alertmanager`, allowed exactly one",
        ),
        (
            json!({"webhook": {"headers": {"A": "b"}}}),
            "webhook.url is missing: the URL, or `url_file` or `url_env` where it is a secret",
        ),
        (
            json!({"webhook": {"url": "https://user:canary@host/"}}),
            "webhook.url is a URL with a user or a password in it, allowed an `http` or `https` URL (default none)\n \
             has none of `webhook`, `slack`, `pagerduty` and `alertmanager`, allowed exactly one",
        ),
        (
            json!({"webhook": {"url": "http://a", "url_file": "/b"}}),
            "webhook.url is given beside `url_file` or `url_env`, allowed one of them",
        ),
        (json!({"slack": {"title": "x"}}), "slack.url_file is missing: a private file with the secret, or `url_env`"),
        (
            json!({"slack": {"url_file": "/a", "text": "{{ interfce }}"}}),
            "slack.text is `{{ interfce }}`: `interfce` is no field of an alert, did you mean `interface`? (line 1 of the \
             template), allowed a template over the fields of an alert (default none)",
        ),
        (
            json!({"slack": {"url_env": "NETMON_SLACK"}}),
            "slack.url_env is `NETMON_SLACK`, allowed the name of an environment variable that does not begin with \
             `NETMON_` (default none)\n has none of `webhook`, `slack`, `pagerduty` and `alertmanager`, allowed exactly one",
        ),
        (
            json!({"pagerduty": {"routing_key_file": "/a", "routing_key_env": "B"}}),
            "pagerduty.routing_key_env is given beside `routing_key_file`, allowed one of them",
        ),
        (
            json!({"alertmanager": {"resolve_after": "10s"}}),
            "alertmanager.resolve_after is 10 s, allowed 60 s to 24 h (default 5 min)\n has none of `webhook`, `slack`, \
             `pagerduty` and `alertmanager`, allowed exactly one",
        ),
        (
            json!({"alertmanager": {"urls": ["http://a?b"]}}),
            "alertmanager.urls[0] has a query, allowed a prefix of paths only",
        ),
        (
            json!({"alertmanager": {"urls": ["http://a"], "username": "a:b", "password_file": "/p"}}),
            "alertmanager.username has a colon, which ends the user in basic authentication",
        ),
        (
            json!({"alertmanager": {"urls": ["http://a"], "username": "a"}}),
            "alertmanager.password_file is missing: `username` needs a password",
        ),
        (
            json!({"alertmanager": {"urls": ["http://a"], "bearer_file": "/b", "username": "a", "password_env": "C"}}),
            "alertmanager.bearer_file is given beside `username`, allowed a token or a password",
        ),
        (
            json!({"webhook": {"url": "http://a", "headers": {"Authorization": "canary"}}}),
            "webhook.headers.Authorization is a secret, allowed in `header_files`, or by `bearer_file` or `password_file`",
        ),
        (
            json!({"webhook": {"url": "http://a", "headers": {"Host": "b", "a b": "c", "X": "1"}, "header_files": {"x": "/x"}}}),
            "webhook.headers.Host is a header that netmon sets itself\nwebhook.headers.a b is no name of a header\n\
             webhook.header_files.x is given in `headers` too, allowed one of them",
        ),
        (
            json!({"webhook": {"url": "http://a", "labels": {"severity": "x"}}}),
            "webhook.labels.severity is no label that can be added, allowed letters, digits and _, but `alertname` and `severity`",
        ),
        (
            json!({"webhook": {"url": "http://a", "proxy_url": "https://proxy:1"}}),
            "webhook.proxy_url is an `https` URL, allowed an `http` one: receivers with `https` are reached by CONNECT",
        ),
    ] {
        let found = refusal(&written);
        assert_eq!(found, expected, "{written}");
        assert!(!found.contains("canary"));
    }
}

#[test]
fn what_may_hold_a_secret_is_shown_by_a_mark_that_changes_with_it() {
    let shown = |path: &str, header: &str| {
        let (written, _) =
            written(&json!({"webhook": {"url": format!("https://host/{path}"), "headers": {"X": header}}}));
        let json = serde_json::to_value(&written).unwrap();
        assert!(!format!("{json} {written:?} {:?}", written.read()).contains("canary"), "{json}");
        json
    };
    let (first, other_path, other_header) =
        (shown("canary1", "canary2"), shown("canary3", "canary2"), shown("canary1", "canary4"));
    assert!(first["webhook"]["url"].as_str().unwrap().starts_with("https://host:443/… ("));
    assert_ne!(first, other_path);
    assert_ne!(first, other_header);
    assert_eq!(first, shown("canary1", "canary2"));
}

#[test]
fn the_schema_describes_every_key() {
    let schema = schemars::schema_for!(Webhook);
    let known = serde_json::to_value(Webhook::default()).unwrap();
    let described = schema.get("properties").and_then(serde_json::Value::as_object).unwrap();
    for key in known.as_object().unwrap().keys() {
        assert!(described[key].get("description").is_some(), "{key}");
    }
}
