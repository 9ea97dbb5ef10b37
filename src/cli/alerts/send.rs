//! `netmon alerts send`: a test notification, what was sent of it, and what came back.

use crate::app::wall_clock;
use crate::cli::{Common, Failure, Format, load, print, secrets};
use crate::config::Loaded;
use crate::notify::client::Factory;
use crate::notify::receiver::Receiver;
use crate::notify::{Configured, Deliver, Outcome, test_message};
use anyhow::{Context, anyhow};
use serde_json::{Value as Json, json};

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// The receiver's name in the configuration
    receiver: String,
    /// Form of the result
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const HELP: &str =
    "Sends an alert of severity info that says that it is a test, once, as the user who calls. As root, files of the
user that netmon becomes are read too. Secrets are shown as marks. The exit code is 0 when the receiver took it.";

pub(super) fn main(common: &Common, arguments: &Arguments) -> Result<(), Failure> {
    let loaded = load(common, &[])?;
    let configured = find(&loaded, &arguments.receiver)?;
    let factory = Factory::default();
    let around = secrets::surroundings(&loaded.config.privileges).map_err(Failure::usage)?;
    let receiver = Receiver::open(&configured.receiver, &factory, around)
        .with_context(|| format!("cannot use the receiver `{}`", arguments.receiver))
        .map_err(Failure::Run)?;
    let mut message = test_message(&configured.policy.name, wall_clock());
    message.external_url = loaded.config.notify.external_url.clone();
    let sent: Vec<Json> = receiver.preview(&message).into_iter().map(|preview| json!(preview)).collect();
    let outcome = deliver(&receiver, &message, configured)?;
    match arguments.format {
        Format::Json => {
            let document =
                json!({"schema": 1, "receiver": arguments.receiver, "sent": sent, "outcome": document(&outcome)});
            print(format!("{document:#}\n").as_bytes())?;
        }
        Format::Table => print(text(&sent, &outcome).as_bytes())?,
    }
    if outcome == Outcome::Accepted { Ok(()) } else { Err(Failure::Said(1)) }
}

fn find<'a>(loaded: &'a Loaded, name: &str) -> Result<&'a Configured, Failure> {
    let receivers = &loaded.config.notify.receivers;
    receivers.iter().find(|configured| &*configured.policy.name == name).ok_or_else(|| {
        let names: Vec<_> = receivers.iter().map(|configured| format!("`{}`", configured.policy.name)).collect();
        let known = if names.is_empty() { "the configuration has none".into() } else { names.join(", ") };
        Failure::usage(anyhow!("there is no receiver `{}`, allowed: {known}", name.escape_debug()))
    })
}

fn deliver(
    receiver: &Receiver,
    message: &crate::notify::Notification,
    configured: &Configured,
) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::run)?;
    let timeout = configured.policy.timeout;
    let attempt = runtime.block_on(async { tokio::time::timeout(timeout, receiver.deliver(message)).await });
    let late = |_| Outcome::Retry {
        reason: crate::notify::Reason::Timeout,
        after: None,
        detail: format!("no answer within {} s", timeout.as_secs_f64()),
    };
    Ok(attempt.unwrap_or_else(late))
}

fn document(outcome: &Outcome) -> Json {
    match outcome {
        Outcome::Accepted => json!({"result": "accepted"}),
        Outcome::Retry { reason, after, detail } => json!({
            "result": "failed", "reason": reason.name(), "detail": detail,
            "retry_after_seconds": after.map(|after| after.as_secs_f64()),
        }),
        Outcome::Refused { reason, detail } => {
            json!({"result": "refused", "reason": reason.name(), "detail": detail})
        }
    }
}

fn text(sent: &[Json], outcome: &Outcome) -> String {
    let mut text = String::new();
    for request in sent {
        text += &format!("POST {}\n", request["url"].as_str().unwrap_or_default());
        for header in request["headers"].as_array().into_iter().flatten() {
            text +=
                &format!("{}: {}\n", header[0].as_str().unwrap_or_default(), header[1].as_str().unwrap_or_default());
        }
        text += &format!("\n{:#}\n\n", request["body"]);
    }
    text += &match outcome {
        Outcome::Accepted => "accepted\n".to_owned(),
        Outcome::Retry { reason, detail, .. } => format!("failed ({}): {detail}\n", reason.name()),
        Outcome::Refused { reason, detail } => format!("refused ({}): {detail}\n", reason.name()),
    };
    text
}
