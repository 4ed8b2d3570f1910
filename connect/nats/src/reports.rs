//! What a server says besides answers: that the connection has ended, that the client may not receive answers, and
//! which subjects it refuses. NATS reports a refused message without saying which; it names only the subject.

use std::collections::VecDeque;

use async_nats::{Event, ServerError};
use tokio::sync::watch;

use crate::error::NatsRequestError;
use crate::events;

/// How many refusals are kept. An attempt that waits reads each of them at once.
const REFUSALS_MAX: usize = 64;
const PUBLISH: &str = "permissions violation for publish to ";
const SUBSCRIBE: &str = "permissions violation for subscription to ";

/// What a connection has reported so far.
#[derive(Debug, Default)]
pub(crate) struct ServerReports {
    pub(crate) is_lost: bool,
    /// The user may not subscribe to the inbox of the client, so that no answer arrives. The library subscribes once.
    is_deaf: bool,
    /// The number of refused messages so far.
    count: u64,
    /// The last refused messages: the number of each, and its subject.
    refusals: VecDeque<(u64, String)>,
}

impl ServerReports {
    /// Where a reader is that has read everything so far.
    pub(crate) fn position(&self) -> u64 {
        self.count
    }

    /// Why the connection can have no more answers.
    pub(crate) fn end(&self) -> Option<NatsRequestError> {
        match (self.is_lost, self.is_deaf) {
            (true, _) => Some(NatsRequestError::Lost),
            (false, true) => Some(NatsRequestError::InboxDenied),
            (false, false) => None,
        }
    }

    /// Why a message to `subject` that was sent after `position` will have no answer.
    pub(crate) fn refusal(&self, position: u64, subject: &str) -> Option<NatsRequestError> {
        let is_about = |(at, refused): &(u64, String)| *at > position && refused == subject;
        let is_refused = self.refusals.iter().any(is_about);
        self.end()
            .or(is_refused.then_some(NatsRequestError::SubjectDenied))
    }

    fn refuse(&mut self, refusal: Refusal) {
        let subject = match refusal {
            Refusal::Inbox => {
                self.is_deaf = true;
                return;
            }
            Refusal::Subject(subject) => subject,
        };
        self.count += 1;
        if self.refusals.len() == REFUSALS_MAX {
            self.refusals.pop_front();
        }
        self.refusals.push_back((self.count, subject));
    }
}

/// What a user may not do.
#[derive(Debug)]
enum Refusal {
    /// Subscribe, which the client does for nothing but its inbox.
    Inbox,
    /// Publish to this subject.
    Subject(String),
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
                && let Some(refusal) = refusal(said)
            {
                reports.send_modify(|reports| reports.refuse(refusal));
            }
        }
        Event::LameDuckMode => events::stopping(client),
        Event::Connected | Event::Draining | Event::SlowConsumer(_) | Event::ClientError(_) => {
            events::other(client, &event.to_string());
        }
    }
}

/// The permissions violation that the server reports.
fn refusal(said: &str) -> Option<Refusal> {
    let lower = said.to_ascii_lowercase();
    if lower.starts_with(SUBSCRIBE) {
        return Some(Refusal::Inbox);
    }
    if !lower.starts_with(PUBLISH) {
        return None;
    }
    let quoted = said.get(PUBLISH.len()..)?;
    let subject = quoted.trim().trim_matches('"');
    Some(Refusal::Subject(subject.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(said: &[&str]) -> ServerReports {
        let mut reports = ServerReports::default();
        for said in said {
            if let Some(refusal) = refusal(said) {
                reports.refuse(refusal);
            }
        }
        reports
    }

    #[test]
    fn a_refusal_concerns_its_subject_and_those_who_wait_for_it() {
        let mut reports = after(&[r#"Permissions Violation for Publish to "a.b""#, "Slow"]);
        let denied = Some(NatsRequestError::SubjectDenied);
        assert_eq!(reports.refusal(0, "a.b"), denied);
        assert_eq!(reports.refusal(0, "a.c"), None);
        assert_eq!(reports.refusal(reports.position(), "a.b"), None);
        for n in 0..REFUSALS_MAX + 1 {
            reports.refuse(Refusal::Subject(format!("x.{n}")));
        }
        assert_eq!(reports.refusals.len(), REFUSALS_MAX);
        assert_eq!(reports.end(), None, "other subjects can be sent to");
    }

    #[test]
    fn without_an_inbox_no_message_has_an_answer_whenever_it_was_sent() {
        let said = r#"Permissions Violation for Subscription to "_INBOX.x.*""#;
        let reports = after(&[r#"Permissions Violation for Publish to "a""#, said]);
        for subject in ["a", "b"] {
            let why = reports.refusal(reports.position(), subject);
            assert_eq!(why, Some(NatsRequestError::InboxDenied));
        }
    }

    #[test]
    fn a_lost_connection_is_lost_whatever_was_refused() {
        let mut reports = after(&[r#"Permissions Violation for Publish to "a""#]);
        reports.is_lost = true;
        assert_eq!(reports.refusal(0, "a"), Some(NatsRequestError::Lost));
    }
}
