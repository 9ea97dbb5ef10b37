//! Where the pictures come from: a thread that asks a daemon's API once a second, whatever becomes of the answers.

use super::documents::{Alert, Alerts, Flows, Interfaces, Problem, Talkers};
use crate::cli::Failure;
use crate::cli::client::{Answer, Asked, Asker};
use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded, select, tick, unbounded};
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::Duration;

/// The longest that one answer may take: then the daemon counts as away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Interfaces that are asked for.
const INTERFACES: u32 = 64;

/// What is asked beside the interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Parameters of the flows: `sort=bytes&order=desc`, and a filter.
    pub(super) flows: String,
    /// `hosts`, `pairs` or `ports`.
    pub(super) talkers: &'static str,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    pub(super) interfaces: Interfaces,
    /// `None` before anything was counted.
    pub(super) talkers: Option<Talkers>,
    /// Or why there are none; `None` when the flow table was busy, and those of before still hold.
    pub(super) flows: Option<Result<Flows, String>>,
    /// `None` where no rules are in force.
    pub(super) alerts: Option<Vec<Alert>>,
}

/// A picture, or why there is none.
pub(super) type News = Result<Box<Picture>, String>;

/// The thread that asks. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Source {
    questions: Sender<Question>,
    /// A picture for every time it asked.
    pub(super) news: Receiver<News>,
}

impl Source {
    /// Asks the daemon at `url` this question at once and then at this interval.
    ///
    /// # Errors
    /// The system refuses what it takes.
    pub(super) fn start(
        url: &str,
        token_file: Option<PathBuf>,
        every: Duration,
        mut question: Question,
    ) -> Result<Self, Failure> {
        let asker = Asker::new(url, PATIENCE).map_err(Failure::Run)?;
        let (questions, asked) = unbounded();
        // A view that does not look holds the asking up; it never gets old pictures.
        let (tell, news) = bounded(1);
        let work = move || {
            let looker = Looker { asker, token_file };
            let ticks = tick(every);
            while tell.send(looker.look(&question)).is_ok() {
                select! {
                    recv(ticks) -> _ => {}
                    recv(asked) -> other => match other {
                        Ok(other) => question = other,
                        Err(_) => return,
                    },
                }
            }
        };
        let thread = std::thread::Builder::new().name("asking".into()).spawn(work);
        thread.context("cannot start the asking thread").map_err(Failure::Run)?;
        Ok(Self { questions, news })
    }

    /// Asks something else from now on, at once.
    pub(super) fn ask(&self, question: Question) {
        // The thread ends only after this.
        drop(self.questions.send(question));
    }
}

struct Looker {
    asker: Asker,
    token_file: Option<PathBuf>,
}

impl Looker {
    fn look(&self, question: &Question) -> News {
        let interfaces = self.get(&format!("/api/v1/interfaces?limit={INTERFACES}"))?;
        let talkers = self.get(&format!("/api/v1/talkers?limit=50&kind={}", question.talkers))?;
        let flows = self.get(&format!("/api/v1/flows?limit=100&{}", question.flows))?;
        let alerts = self.get("/api/v1/alerts")?;
        Ok(Box::new(Picture {
            interfaces: good(&interfaces)?,
            talkers: there(&talkers)?,
            flows: match flows.status {
                503 => None,
                400 | 404 => Some(Err(refusal(&flows))),
                _ => Some(Ok(good(&flows)?)),
            },
            alerts: there::<Alerts>(&alerts)?.map(|alerts| alerts.alerts),
        }))
    }

    fn get(&self, path: &str) -> Result<Answer, String> {
        let asked = Asked { token_file: self.token_file.as_deref(), ..Asked::get(path) };
        // What was asked of whom is in sight; what is behind it is what matters.
        self.asker.ask(&asked).map_err(|error| error.root_cause().to_string())
    }
}

/// A document that may not be there.
fn there<T: DeserializeOwned>(answer: &Answer) -> Result<Option<T>, String> {
    if answer.status == 404 { Ok(None) } else { good(answer).map(Some) }
}

fn good<T: DeserializeOwned>(answer: &Answer) -> Result<T, String> {
    if answer.status != 200 {
        return Err(refusal(answer));
    }
    serde_json::from_slice(&answer.body).map_err(|error| format!("what answers is no netmon: {error}"))
}

/// What a problem document says, with what is allowed.
fn refusal(answer: &Answer) -> String {
    let problem: Problem = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = problem.detail.or(problem.title).unwrap_or_else(|| format!("it answers {}", answer.status));
    match problem.allowed {
        serde_json::Value::String(allowed) if !said.contains(&allowed) => format!("{said}; allowed: {allowed}"),
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.to_owned().into() }
    }

    #[test]
    fn a_refusal_is_told_with_what_is_allowed() {
        let told = refusal(&answer(400, r#"{"detail": "`x` is no port", "allowed": "0 to 65535"}"#));
        assert_eq!(told, "`x` is no port; allowed: 0 to 65535");
        assert_eq!(refusal(&answer(502, "<html>")), "it answers 502");
    }

    #[test]
    fn something_else_that_answers_is_no_netmon() {
        let told = good::<Interfaces>(&answer(200, "<html>hello")).unwrap_err();
        assert!(told.contains("no netmon"), "{told}");
    }

    #[test]
    fn what_is_not_in_use_is_left_out() {
        assert!(there::<Alerts>(&answer(404, "{}")).unwrap().is_none());
        assert!(there::<Alerts>(&answer(200, r#"{"alerts": []}"#)).unwrap().is_some());
    }
}
