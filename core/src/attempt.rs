//! The attempt history of an action: the result of each call of a sink, across retries and redeliveries.

use std::collections::VecDeque;
use std::time::Duration;

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::outcome::FailureCode;

/// The number of attempts kept. Older ones are only counted.
pub const ATTEMPTS_REMEMBERED: usize = 16;

/// The maximum length, in bytes, of a provider's refusal that is kept.
pub const EXCERPT_BYTES_MAX: usize = 512;

/// The maximum length of [`DeliveryProgress::state`], in bytes. It travels in a header of each redelivery.
pub const PROGRESS_BYTES_MAX: usize = 16 << 10;

/// One call of a sink, as shown in the audit trail and in dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptRecord {
    /// When the attempt ended.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The provider that was called.
    #[schema(value_type = String)]
    pub provider: CompactString,
    /// The status number of the provider's protocol, if it answered with one.
    #[schema(required)]
    pub status: Option<u16>,
    /// Why it failed; `null` if the provider accepted the action.
    #[schema(required, value_type = Option<String>)]
    pub code: Option<FailureCode>,
    /// The duration in milliseconds.
    pub duration_ms: u64,
    /// The beginning of the provider's refusal, redacted; or what is wrong with a template or the action that could not be
    /// written for the provider.
    #[schema(required, value_type = Option<String>)]
    pub excerpt: Option<CompactString>,
}

/// How far the delivery of one action has come at a provider that accepts actions in parts, as a mail server accepts a
/// mail for some of its recipients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryProgress {
    /// True if the provider has accepted a part. The action then keeps its dedup key, even if the rest fails.
    pub has_accepted: bool,
    /// The accepted parts, in a form that only the sink reads. At most [`PROGRESS_BYTES_MAX`] bytes. A sink ignores a
    /// form that it does not know: a fallback may be of another kind.
    pub state: CompactString,
}

/// The attempts for an action that is not finished yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When delivery was first tried or refused. The time to give up counts from here.
    pub began_at: Timestamp,
    /// How often the action went back to its source for later delivery.
    pub redeliveries: u32,
    /// The number of calls of a sink, in total.
    pub attempts: u32,
    /// The last attempts, oldest first; at most [`ATTEMPTS_REMEMBERED`].
    pub last: VecDeque<AttemptRecord>,
    /// The progress that the last failed attempt reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Box<DeliveryProgress>>,
}

impl History {
    /// The empty history of an action that is tried for the first time.
    pub fn beginning(at: Timestamp) -> Self {
        Self {
            began_at: at,
            redeliveries: 0,
            attempts: 0,
            last: VecDeque::new(),
            progress: None,
        }
    }

    /// Adds an attempt, dropping the oldest one if there are too many.
    pub fn push(&mut self, attempt: AttemptRecord) {
        self.attempts = self.attempts.saturating_add(1);
        if self.last.len() >= ATTEMPTS_REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(attempt);
    }

    /// How long delivery has been tried, as of `now`.
    pub fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.began_at)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u64) -> AttemptRecord {
        AttemptRecord {
            at: Timestamp::UNIX_EPOCH,
            provider: "p".into(),
            status: Some(503),
            code: Some(FailureCode::ExecutionFailed),
            duration_ms: number,
            excerpt: None,
        }
    }

    #[test]
    fn the_last_attempts_are_remembered_and_all_are_counted() {
        let mut history = History::beginning(Timestamp::UNIX_EPOCH);
        (0..20).for_each(|number| history.push(attempt(number)));
        assert_eq!(history.attempts, 20);
        let numbers: Vec<_> = history.last.iter().map(|a| a.duration_ms).collect();
        assert_eq!(numbers, (4..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_history_is_read_back_as_it_was_written() {
        let mut history = History::beginning(Timestamp::UNIX_EPOCH);
        history.push(attempt(7));
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
    }
}
