//! Slack, by an incoming webhook: a header, and an attachment for each alert with its colour.
//!
//! Documented at <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks> and, for the limits, in the
//! reference of blocks. What does not fit is cut and says so. Values are escaped, so nothing that was measured or seen on
//! the wire makes a link or a mention. The message's key is the id of its first block: Slack shows it nowhere, but a
//! message that came twice has it twice.

use super::OpenError;
use super::credentials::{Address, UrlSource};
use super::document::{described, not_rendered, rendered};
use super::request::Request;
use super::text::{CUT, escaped, fitted_for_slack, refitted_for_slack};
use crate::alert::Severity;
use crate::notify::client::Url;
use crate::notify::secret::Surroundings;
use crate::notify::template::{Escaping, Fields, Template};
use crate::notify::{Notice, Notification, Status};
use serde_json::{Value as Json, json};

/// An incoming webhook as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The webhook's URL, which is a secret: who has it can post.
    pub url: UrlSource,
    /// The header of a message, in place of what happened and how often; over the fields of its first alert.
    pub title: Option<Template>,
    /// The text of each alert in Slack's mrkdwn, in place of its summary and numbers.
    pub text: Option<Template>,
}

#[derive(Debug)]
pub(super) struct Composer {
    url: Address,
    title: Option<Template>,
    text: Option<Template>,
}

impl Composer {
    pub(super) fn open(config: &Config, around: Surroundings<'_>) -> Result<Self, OpenError> {
        let url = Address::open(&config.url, around)?;
        Ok(Self { url, title: config.title.clone(), text: config.text.clone() })
    }

    pub(super) fn url(&self) -> Url {
        self.url.current()
    }

    pub(super) fn request(&self, message: &Notification) -> Request {
        Request::new(self.url(), self.document(message))
    }

    fn document(&self, message: &Notification) -> Json {
        let title = self.title(message);
        let header = json!({
            "type": "header",
            "block_id": format!("netmon-{}", message.key),
            "text": {"type": "plain_text", "text": fitted_for_slack(&title, MAX_HEADER)},
        });
        let shown = message.alerts.iter().take(MAX_ATTACHMENTS - 1);
        let mut attachments: Vec<Json> = shown.map(|notice| self.attachment(notice, message)).collect();
        let left_out = (message.alerts.len() - attachments.len()) as u64 + message.truncated_alerts;
        if left_out > 0 {
            attachments.push(more(left_out));
        }
        json!({"text": fitted_for_slack(&title, MAX_TEXT), "blocks": [header], "attachments": attachments})
    }

    fn title(&self, message: &Notification) -> String {
        let of_template = self.title.as_ref().zip(message.alerts.first());
        let title = of_template.and_then(|(template, notice)| rendered(template, &Fields::of(notice, message)));
        // A header has one line.
        let title = title.map(|title| title.split_whitespace().collect::<Vec<_>>().join(" "));
        title.filter(|title| !title.is_empty()).unwrap_or_else(|| default_title(message))
    }

    fn attachment(&self, notice: &Notice, message: &Notification) -> Json {
        let fields = Fields::of(notice, message);
        let text = self.text.as_ref().and_then(|template| {
            let text = template.render_escaped(&fields, Escaping::Slack);
            text.map_err(|error| not_rendered(&error)).ok().filter(|text| !text.trim().is_empty())
        });
        let text = text.map_or_else(|| default_text(notice, &fields), |text| refitted_for_slack(&text, MAX_SECTION));
        let mut blocks = vec![json!({"type": "section", "text": mrkdwn(&text)})];
        let labels = labels(notice);
        if !labels.is_empty() {
            blocks.push(json!({"type": "section", "fields": labels}));
        }
        blocks.push(json!({"type": "context", "elements": context(notice, message)}));
        let fallback = fitted_for_slack(fields.text("summary"), MAX_TEXT);
        json!({"color": colour(notice), "fallback": fallback, "blocks": blocks})
    }
}

fn default_title(message: &Notification) -> String {
    let first = message.alerts.first();
    let rule = first.map_or("", |notice| notice.rule.as_str());
    let same_rule = message.alerts.iter().all(|notice| notice.rule == rule);
    let of = match (message.alerts.len(), first) {
        (1, Some(notice)) => {
            let interface = notice.labels.get("interface");
            return match interface {
                Some(interface) => format!("{}: {rule} on {interface}", capitalized(message.status)),
                None => format!("{}: {rule}", capitalized(message.status)),
            };
        }
        _ if same_rule => rule.to_owned(),
        _ => "several alerts".to_owned(),
    };
    let count = |status| message.alerts.iter().filter(|notice| notice.status == status).count();
    match (count(Status::Firing), count(Status::Resolved)) {
        (firing, 0) => format!("{firing} firing: {of}"),
        (0, resolved) => format!("{resolved} resolved: {of}"),
        (firing, resolved) => format!("{firing} firing, {resolved} resolved: {of}"),
    }
}

fn capitalized(status: Status) -> &'static str {
    match status {
        Status::Firing => "Firing",
        Status::Resolved => "Resolved",
    }
}

fn default_text(notice: &Notice, fields: &Fields) -> String {
    let (summary, description) = (fields.text("summary"), described(notice));
    let bold = fitted_for_slack(summary, MAX_SECTION / 2);
    let rest = if summary == description { String::new() } else { fitted_for_slack(&description, MAX_SECTION / 3) };
    format!("*{}*\n{rest}", bold.replace('*', "∗")).trim_end().to_owned()
}

/// The labels, two in a row; what has no room is counted.
fn labels(notice: &Notice) -> Vec<Json> {
    let of = |(name, value): (&String, &String)| {
        mrkdwn(&format!("*{}*\n{}", fitted_for_slack(name, MAX_FIELD / 4), fitted_for_slack(value, MAX_FIELD / 2)))
    };
    let has_room = notice.labels.len() <= MAX_FIELDS;
    let shown = if has_room { MAX_FIELDS } else { MAX_FIELDS - 1 };
    let mut fields: Vec<Json> = notice.labels.iter().take(shown).map(of).collect();
    if !has_room {
        fields.push(mrkdwn(&format!("and {} labels more", notice.labels.len() - shown)));
    }
    fields
}

fn context(notice: &Notice, message: &Notification) -> Vec<Json> {
    let since = format!("{} · since {}", notice.severity, notice.starts_at);
    let until = notice.ends_at.map(|at| format!(" until {at}"));
    let mut elements = vec![mrkdwn(&escaped(&(since + &until.unwrap_or_default())))];
    let links = [(message.external_url.as_deref(), "netmon"), (notice.runbook_url.as_deref(), "runbook")];
    elements.extend(links.into_iter().filter_map(|(url, name)| Some(mrkdwn(&link(url?, name)?))));
    elements
}

/// `<url|name>`; none for what would not be a link, or is too long to be one.
fn link(url: &str, name: &str) -> Option<String> {
    let is_link = url.starts_with("http://") || url.starts_with("https://");
    let url = url.replace('|', "%7C").replace('<', "%3C").replace('>', "%3E").replace(char::is_whitespace, "%20");
    (is_link && url.len() <= MAX_FIELD).then(|| format!("<{}|{name}>", escaped(&url)))
}

fn more(count: u64) -> Json {
    let text = format!("and {count} more alerts {CUT}");
    let block = json!({"type": "context", "elements": [mrkdwn(&text)]});
    json!({"fallback": text, "blocks": [block]})
}

fn mrkdwn(text: &str) -> Json {
    json!({"type": "mrkdwn", "text": text})
}

fn colour(notice: &Notice) -> &'static str {
    match (notice.status, notice.severity) {
        (Status::Resolved, _) => "#2eb886",
        (Status::Firing, Severity::Critical) => "#a30200",
        (Status::Firing, Severity::Warning) => "#daa038",
        (Status::Firing, Severity::Info) => "#439fe0",
    }
}

/// Characters of a header block.
const MAX_HEADER: usize = 150;
/// Characters of a section.
const MAX_SECTION: usize = 3000;
/// Fields of a section, and characters of one.
const MAX_FIELDS: usize = 10;
const MAX_FIELD: usize = 2000;
/// Characters of the text that notifications show; Slack cuts at 40,000 and advises at most 4,000.
const MAX_TEXT: usize = 3000;
/// Attachments of a message; Slack advises at most 20.
const MAX_ATTACHMENTS: usize = 20;
