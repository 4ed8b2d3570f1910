//! What a source does with a message once its outcome is known: one function for all sources.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::outcome::ActionOutcome;

/// What the source does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Acknowledge: it has come to its end.
    Ack,
    /// Offer it again.
    #[allow(missing_docs)]
    Retry { after: Duration },
    /// Keep it among the dead letters, then acknowledge.
    DeadLetter,
}

/// What a source wants done with outcomes that are not a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What a throttled action becomes.
    pub throttled: ThrottledPolicy,
    /// True when somebody waits for the answer and decides what next: nothing becomes a dead letter.
    pub answered: bool,
}

/// What a throttled action becomes: `throttled` of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThrottledPolicy {
    /// It is offered again after the time it was told to wait.
    #[default]
    Retry,
    /// It is acknowledged and gone.
    Drop,
    /// It becomes a dead letter.
    DeadLetter,
}

impl Policy {
    /// For HTTP and replays: the outcome is the answer.
    pub const ANSWER: Self = Self {
        throttled: ThrottledPolicy::Drop,
        answered: true,
    };

    /// For brokers: what cannot be delivered becomes a dead letter.
    pub fn broker(throttled: ThrottledPolicy) -> Self {
        Self {
            throttled,
            answered: false,
        }
    }
}

impl Disposition {
    /// What a source of this policy does with this outcome.
    pub fn of(outcome: &ActionOutcome, policy: Policy) -> Self {
        if policy.answered {
            return Self::Ack;
        }
        match outcome {
            ActionOutcome::Failed(_) | ActionOutcome::CircuitOpen { .. } => Self::DeadLetter,
            ActionOutcome::Throttled { retry_after } => match policy.throttled {
                ThrottledPolicy::Retry => Self::Retry {
                    after: *retry_after,
                },
                ThrottledPolicy::Drop => Self::Ack,
                ThrottledPolicy::DeadLetter => Self::DeadLetter,
            },
            _ => Self::Ack,
        }
    }
}

/// Why an action comes back without an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The queue of its provider is full.
    Overloaded,
    /// The state backend cannot be asked.
    StateUnavailable,
    /// Another instance holds its id or dedup key for longer than we wait.
    Busy,
    /// Its rule says not yet, and its source offers it again.
    Throttled,
    /// The process is stopping.
    ShuttingDown,
    /// Whoever held it gave it up: a bug, but nothing is lost.
    Abandoned,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_repeats_what_is_throttled_and_buries_what_failed() {
        let wait = Duration::from_secs(3);
        let throttled = ActionOutcome::Throttled { retry_after: wait };
        let open = ActionOutcome::CircuitOpen {
            provider: "p".into(),
            fallback_chain: vec![],
        };
        let of = |outcome, policy| Disposition::of(outcome, Policy::broker(policy));
        assert_eq!(
            of(&throttled, ThrottledPolicy::Retry),
            Disposition::Retry { after: wait }
        );
        assert_eq!(of(&throttled, ThrottledPolicy::Drop), Disposition::Ack);
        assert_eq!(
            of(&throttled, ThrottledPolicy::DeadLetter),
            Disposition::DeadLetter
        );
        assert_eq!(of(&open, ThrottledPolicy::Retry), Disposition::DeadLetter);
        assert_eq!(
            of(&ActionOutcome::Deduplicated(()), ThrottledPolicy::Retry),
            Disposition::Ack
        );
    }

    #[test]
    fn a_caller_who_waits_gets_every_outcome_as_its_answer() {
        let open = ActionOutcome::CircuitOpen {
            provider: "p".into(),
            fallback_chain: vec![],
        };
        assert_eq!(Disposition::of(&open, Policy::ANSWER), Disposition::Ack);
    }
}
