//! What a server says besides answers: that the connection has ended, and which subjects it refuses. NATS reports a
//! refused message without saying which; it names only the subject.

use std::collections::VecDeque;

use async_nats::{Event, ServerError};
use tokio::sync::watch;

use crate::events;

/// How many refusals are kept. An attempt that waits reads each of them at once.
const REFUSALS_MAX: usize = 64;
const PUBLISH: &str = "permissions violation for publish to ";
const SUBSCRIBE: &str = "permissions violation for subscription to ";

/// What a connection has reported so far.
#[derive(Debug, Default)]
pub(crate) struct ServerReports {
    pub(crate) is_lost: bool,
    /// The number of refusals so far.
    count: u64,
    /// The last refusals: the number of each, and the subject; `None` for the subject of answers.
    refusals: VecDeque<(u64, Option<String>)>,
}

impl ServerReports {
    /// Where a reader is that has read everything so far.
    pub(crate) fn position(&self) -> u64 {
        self.count
    }

    /// Why `subject` has been refused since `position`.
    pub(crate) fn refusal(&self, position: u64, subject: &str) -> Option<String> {
        let is_about = |refused: &Option<String>| match refused {
            None => true,
            Some(refused) => refused == subject,
        };
        let mut newer = self.refusals.iter().filter(|(at, _)| *at > position);
        let (_, refused) = newer.find(|(_, refused)| is_about(refused))?;
        Some(match refused {
            Some(_) => "the user may not publish to the subject".to_owned(),
            None => "the user may not subscribe to the subjects of answers, `_INBOX.>`".to_owned(),
        })
    }

    fn refuse(&mut self, subject: Option<String>) {
        self.count += 1;
        if self.refusals.len() == REFUSALS_MAX {
            self.refusals.pop_front();
        }
        self.refusals.push_back((self.count, subject));
    }
}

/// Records an event of the client, and logs it.
pub(crate) fn record(client: &str, reports: &watch::Sender<ServerReports>, event: &Event) {
    match event {
        Event::Disconnected | Event::Closed => {
            let end = |reports: &mut ServerReports| !std::mem::replace(&mut reports.is_lost, true);
            if reports.send_if_modified(end) {
                events::lost(client);
            }
        }
        Event::ServerError(error) => {
            events::reported(client, &error.to_string());
            if let ServerError::Other(said) = error
                && let Some(subject) = refused_subject(said)
            {
                reports.send_modify(|reports| reports.refuse(subject));
            }
        }
        Event::LameDuckMode => events::stopping(client),
        Event::Connected | Event::Draining | Event::SlowConsumer(_) | Event::ClientError(_) => {
            events::other(client, &event.to_string());
        }
    }
}

/// The subject of a permissions violation: `Some(None)` if it is that of answers.
fn refused_subject(said: &str) -> Option<Option<String>> {
    let lower = said.to_ascii_lowercase();
    if lower.starts_with(SUBSCRIBE) {
        return Some(None);
    }
    if !lower.starts_with(PUBLISH) {
        return None;
    }
    let quoted = said.get(PUBLISH.len()..)?;
    let subject = quoted.trim().trim_matches('"');
    Some(Some(subject.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(said: &[&str]) -> ServerReports {
        let mut reports = ServerReports::default();
        for said in said {
            if let Some(subject) = refused_subject(said) {
                reports.refuse(subject);
            }
        }
        reports
    }

    #[test]
    fn a_refusal_concerns_its_subject_and_those_who_wait_for_it() {
        let mut reports = after(&[r#"Permissions Violation for Publish to "a.b""#, "Slow"]);
        assert!(reports.refusal(0, "a.b").is_some());
        assert_eq!(reports.refusal(0, "a.c"), None);
        assert_eq!(reports.refusal(reports.position(), "a.b"), None);
        for n in 0..REFUSALS_MAX + 1 {
            reports.refuse(Some(format!("x.{n}")));
        }
        assert_eq!(reports.refusals.len(), REFUSALS_MAX);
    }

    #[test]
    fn without_answers_every_subject_is_refused() {
        let said = r#"Permissions Violation for Subscription to "_INBOX.x.*""#;
        let why = after(&[said]).refusal(0, "any").unwrap();
        assert!(why.contains("_INBOX"), "{why}");
    }
}
