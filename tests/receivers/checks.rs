//! Checkers of documents, written from what each receiver's documentation says, stricter where it is vague: a key that is
//! not documented is a mistake.

use serde_json::Value as Json;

/// Keys of an object: those that have to be there, and those that may.
pub fn keys(object: &Json, required: &[&str], optional: &[&str]) {
    let map = object.as_object().unwrap_or_else(|| panic!("{object} is no object"));
    for key in required {
        assert!(map.contains_key(*key), "there is no `{key}` in {object}");
    }
    for key in map.keys() {
        assert!(required.contains(&key.as_str()) || optional.contains(&key.as_str()), "`{key}` is not documented");
    }
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn texts(value: &Json) {
    value.as_object().unwrap_or_else(|| panic!("{value} is no map")).values().for_each(|value| {
        text(value);
    });
}

/// RFC 3339 with a date that exists.
fn time(value: &Json) -> jiff::Timestamp {
    text(value).parse().unwrap_or_else(|error| panic!("{value} is no time: {error}"))
}

fn one_of(value: &Json, allowed: &[&str]) {
    assert!(allowed.contains(&text(value)), "{value} is none of {allowed:?}");
}

/// <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>
pub fn webhook(document: &Json) {
    let required = [
        "version",
        "groupKey",
        "truncatedAlerts",
        "status",
        "receiver",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "alerts",
    ];
    keys(document, &required, &[]);
    assert_eq!(document["version"], "4");
    assert!(document["truncatedAlerts"].is_u64());
    one_of(&document["status"], &["firing", "resolved"]);
    ["groupKey", "receiver", "externalURL"].iter().for_each(|key| drop(text(&document[*key]).to_owned()));
    ["groupLabels", "commonLabels", "commonAnnotations"].iter().for_each(|key| texts(&document[*key]));
    let alerts = document["alerts"].as_array().expect("alerts are a list");
    assert!(!alerts.is_empty());
    for alert in alerts {
        webhook_alert(alert);
        for common in ["commonLabels", "commonAnnotations"] {
            let own = &alert[if common == "commonLabels" { "labels" } else { "annotations" }];
            document[common].as_object().into_iter().flatten().for_each(|(name, value)| assert_eq!(&own[name], value));
        }
    }
    let firing = alerts.iter().any(|alert| alert["status"] == "firing");
    assert_eq!(document["status"], if firing { "firing" } else { "resolved" });
}

fn webhook_alert(alert: &Json) {
    keys(alert, &["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"], &[]);
    one_of(&alert["status"], &["firing", "resolved"]);
    labels(&alert["labels"]);
    texts(&alert["annotations"]);
    let (start, end) = (time(&alert["startsAt"]), time(&alert["endsAt"]));
    match text(&alert["status"]) {
        "firing" => assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z"),
        _ => assert!(end >= start),
    }
    let fingerprint = text(&alert["fingerprint"]);
    assert!(fingerprint.len() == 16 && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

fn labels(labels: &Json) {
    texts(labels);
    ["alertname", "severity"].iter().for_each(|name| drop(text(&labels[*name]).to_owned()));
    for (name, value) in labels.as_object().expect("labels are a map") {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        assert!(plain && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty(), "label {name}");
        assert!(!text(value).is_empty(), "label {name} is empty");
    }
}

/// `postableAlerts` of <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>
pub fn alertmanager(document: &Json) {
    for alert in document.as_array().expect("alerts are a list") {
        keys(alert, &["labels"], &["annotations", "startsAt", "endsAt", "generatorURL"]);
        labels(&alert["labels"]);
        texts(&alert["annotations"]);
        assert!(time(&alert["startsAt"]) <= time(&alert["endsAt"]));
        if let Some(url) = alert.get("generatorURL") {
            assert!(text(url).starts_with("http"));
        }
    }
}

/// <https://developer.pagerduty.com/docs/send-alert-event>
pub fn pagerduty(event: &Json) {
    assert!(event.to_string().len() <= 512 << 10, "an event has at most 512 KB");
    one_of(&event["event_action"], &["trigger", "acknowledge", "resolve"]);
    let optional = ["dedup_key", "payload", "images", "links", "client", "client_url"];
    keys(event, &["routing_key", "event_action"], &optional);
    assert_eq!(text(&event["routing_key"]).chars().count(), 32);
    assert!((1..=255).contains(&text(&event["dedup_key"]).chars().count()));
    if event["event_action"] != "trigger" {
        return;
    }
    pagerduty_payload(&event["payload"]);
    for link in event["links"].as_array().into_iter().flatten() {
        keys(link, &["href"], &["text"]);
        assert!(text(&link["href"]).starts_with("http"));
    }
}

fn pagerduty_payload(payload: &Json) {
    let optional = ["timestamp", "component", "group", "class", "custom_details"];
    keys(payload, &["summary", "source", "severity"], &optional);
    assert!((1..=1024).contains(&text(&payload["summary"]).chars().count()));
    assert!(!text(&payload["source"]).is_empty());
    one_of(&payload["severity"], &["critical", "error", "warning", "info"]);
    time(&payload["timestamp"]);
    ["component", "group", "class"]
        .iter()
        .filter_map(|key| payload.get(*key))
        .for_each(|value| drop(text(value).to_owned()));
    assert!(payload["custom_details"].is_object());
}

/// <https://docs.slack.dev/reference/block-kit/blocks> and <https://docs.slack.dev/reference/messaging/payload>
pub fn slack(message: &Json) {
    keys(message, &["text"], &["blocks", "attachments"]);
    assert!((1..=4000).contains(&plain(&message["text"], true).chars().count()));
    blocks(&message["blocks"]);
    let attachments = message["attachments"].as_array().expect("attachments are a list");
    assert!(attachments.len() <= 20, "Slack advises at most 20 attachments");
    for attachment in attachments {
        keys(attachment, &["fallback", "blocks"], &["color"]);
        plain(&attachment["fallback"], true);
        blocks(&attachment["blocks"]);
        if let Some(colour) = attachment.get("color") {
            let digits = text(colour).strip_prefix('#').expect("a colour is in hexadecimal");
            assert!(digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
    }
}

fn blocks(blocks: &Json) {
    let blocks = blocks.as_array().expect("blocks are a list");
    assert!((1..=50).contains(&blocks.len()));
    for block in blocks {
        if let Some(id) = block.get("block_id") {
            assert!((1..=255).contains(&text(id).chars().count()));
        }
        match text(&block["type"]) {
            "header" => {
                keys(block, &["type", "text"], &["block_id"]);
                assert_eq!(block["text"]["type"], "plain_text");
                assert!((1..=150).contains(&plain(&block["text"]["text"], false).chars().count()));
            }
            "section" => section(block),
            "context" => {
                keys(block, &["type", "elements"], &["block_id"]);
                let elements = block["elements"].as_array().expect("elements are a list");
                assert!((1..=10).contains(&elements.len()));
                elements.iter().for_each(|element| mrkdwn(element, 3000));
            }
            other => panic!("a block of type {other}"),
        }
    }
}

fn section(block: &Json) {
    keys(block, &["type"], &["block_id", "text", "fields"]);
    assert!(block.get("text").is_some() || block.get("fields").is_some());
    if let Some(text) = block.get("text") {
        mrkdwn(text, 3000);
    }
    if let Some(fields) = block.get("fields") {
        let fields = fields.as_array().expect("fields are a list");
        assert!((1..=10).contains(&fields.len()));
        fields.iter().for_each(|field| mrkdwn(field, 2000));
    }
}

fn mrkdwn(object: &Json, most: usize) {
    keys(object, &["type", "text"], &[]);
    assert_eq!(object["type"], "mrkdwn");
    assert!((1..=most).contains(&plain(&object["text"], true).chars().count()), "{object}");
}

/// A text in which `&` begins an entity and `<` a link to a page, if it may have links.
fn plain(value: &Json, links: bool) -> &str {
    let text = text(value);
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>']) {
        let special = &rest[at..];
        let entity = ["&amp;", "&lt;", "&gt;"].into_iter().find(|entity| special.starts_with(entity));
        let length = match entity {
            Some(entity) => entity.len(),
            None => {
                assert!(links && special.starts_with("<http"), "`{special}` is not escaped");
                special.find('>').unwrap_or_else(|| panic!("`{special}` does not end")) + 1
            }
        };
        rest = &special[length..];
    }
    text
}
