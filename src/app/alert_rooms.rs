//! What the API shows of alerts, and what operators do about them.

use super::alerting::Board;
use crate::http::{Hook, Refusal, Rooms, ShownAlert, SilenceCommand};
use crate::notify::engine::Handle;
use crate::notify::silence::{Asked, Silence, SilenceError};
use crate::notify::{Notice, Outcome};
use crate::time::Timestamp;
use serde_json::{Value, json};

/// Has alerts shown: where rules stand, and with notifications who is not told.
pub(super) fn mount(rooms: &mut Rooms, board: Board, notifications: Option<Handle>) {
    if let Some(handle) = &notifications {
        rooms.silences = Some(silences(handle.clone()));
        rooms.receivers = Some(test(handle.clone()));
    }
    rooms.alerts = Some(Box::new(move || {
        let picture = board.load();
        let silences = notifications.as_ref().map(|handle| (handle.silences(), handle.wall_clock()));
        let shown = picture.alerts.iter().chain(&picture.resolved).map(|alert| ShownAlert {
            alert: alert.clone(),
            silenced_until: silences.as_ref().and_then(|(all, now)| until(all, &Notice::of(alert)?, *now)),
        });
        (!picture.rules.is_empty()).then(|| shown.collect())
    }));
}

/// The latest end of the silences that hold for an alert.
fn until(silences: &[Silence], notice: &Notice, now: Timestamp) -> Option<Timestamp> {
    let holding = silences.iter().filter(|silence| silence.is_active(now) && silence.matches(notice));
    holding.map(|silence| silence.ends_at).max()
}

fn silences(handle: Handle) -> Hook<SilenceCommand> {
    Box::new(move |command| match command {
        SilenceCommand::List => {
            let now = handle.wall_clock();
            let all: Vec<_> = handle.silences().iter().map(|silence| silence.document(now)).collect();
            Ok(json!({ "silences": all }))
        }
        SilenceCommand::Add(silence) => {
            let asked = Asked {
                matchers: silence.matchers,
                starts_at: silence.starts_at,
                ends_at: silence.ends_at,
                duration: silence.duration,
                comment: silence.comment,
                created_by: silence.created_by,
            };
            let added = asked.read().and_then(|new| handle.add_silence_and_wait(new)).map_err(refusal)?;
            tracing::info!(id = added.id, by = added.author, until = %added.ends_at, "a silence was added");
            Ok(added.document(handle.wall_clock()))
        }
        SilenceCommand::Expire(id) => {
            let ended = handle.expire_silence_and_wait(&id).map_err(refusal)?;
            tracing::info!(id = ended.id, by = ended.author, "a silence was ended");
            Ok(ended.document(handle.wall_clock()))
        }
    })
}

fn refusal(error: SilenceError) -> Refusal {
    match error {
        SilenceError::Unknown(id) => Refusal::Unknown { field: "id".into(), value: id, allowed: Vec::new() },
        SilenceError::Time { what, found, allowed } => {
            Refusal::Invalid { field: what.into(), value: found, allowed: allowed.into() }
        }
        SilenceError::Stopping => Refusal::Unavailable(error.to_string()),
        error => Refusal::Conflict(error.to_string()),
    }
}

fn test(handle: Handle) -> Hook<String> {
    Box::new(move |name| match handle.test_and_wait(&name) {
        None => Err(Refusal::Unknown { field: "receiver".into(), value: name, allowed: handle.receivers() }),
        Some((sent, Outcome::Accepted)) => Ok(
            json!({ "receiver": name, "result": "accepted", "key": sent.key, "sent": Value::from(sent.status.name()) }),
        ),
        Some((_, Outcome::Retry { reason, detail, .. } | Outcome::Refused { reason, detail })) => {
            Err(Refusal::Conflict(format!("`{name}` did not take it ({}): {detail}", reason.name())))
        }
    })
}
