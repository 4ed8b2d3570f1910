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
    /// Offer it again when its limit has room.
    #[allow(missing_docs)]
    Throttled { after: Duration },
    /// Offer it again later, by the schedule of its provider.
    Redeliver,
    /// Keep it among the dead letters, then acknowledge.
    DeadLetter,
}

/// What a source wants done with outcomes that are not a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The caller waits for the outcome, which is remembered under the id that the caller gave.
    Answer,
    /// The caller waits for the outcome of a dead letter's action. No memory answers in its place.
    Replay,
    /// Nobody waits: what is not delivered is redelivered, or becomes a dead letter.
    #[allow(missing_docs)]
    Broker { throttled: ThrottledPolicy },
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

/// Whether an action may still be redelivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLeft {
    /// `redelivery.give_up_after_seconds` have not passed.
    Some,
    /// They have.
    None,
}

impl Policy {
    /// True when somebody waits for the outcome and decides what next.
    pub fn is_answered(self) -> bool {
        match self {
            Self::Answer | Self::Replay => true,
            Self::Broker { .. } => false,
        }
    }
}

impl Disposition {
    /// What a source of this policy does with this outcome.
    pub fn of(outcome: &ActionOutcome, policy: Policy, time_left: TimeLeft) -> Self {
        let Policy::Broker { throttled } = policy else {
            return Self::Ack;
        };
        match outcome {
            ActionOutcome::Failed(failure) if !failure.retryable => Self::DeadLetter,
            ActionOutcome::Failed(_) | ActionOutcome::CircuitOpen { .. } => match time_left {
                TimeLeft::Some => Self::Redeliver,
                TimeLeft::None => Self::DeadLetter,
            },
            ActionOutcome::Throttled { retry_after } => match throttled {
                ThrottledPolicy::Retry => Self::Throttled {
                    after: *retry_after,
                },
                ThrottledPolicy::Drop => Self::Ack,
                ThrottledPolicy::DeadLetter => Self::DeadLetter,
            },
            ActionOutcome::Executed(_)
            | ActionOutcome::Deduplicated(())
            | ActionOutcome::Suppressed { .. }
            | ActionOutcome::Rerouted { .. }
            | ActionOutcome::Grouped { .. }
            | ActionOutcome::StateChanged { .. }
            | ActionOutcome::DryRun { .. } => Self::Ack,
        }
    }
}

/// Why an action comes back without an outcome, to be offered again soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The queue of its provider is full.
    Overloaded,
    /// The state backend cannot be asked.
    StateUnavailable,
    /// The state backend has no room.
    StateFull,
    /// There is no room among the dead letters.
    DeadLettersFull,
    /// Another instance holds its id or dedup key for longer than we wait.
    Busy,
    /// The process is stopping.
    ShuttingDown,
    /// Whoever held it gave it up: a bug, but nothing is lost.
    Abandoned,
}

impl Refusal {
    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::StateUnavailable => "state_unavailable",
            Self::StateFull => "state_full",
            Self::DeadLettersFull => "dead_letters_full",
            Self::Busy => "busy",
            Self::ShuttingDown => "shutting_down",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Why an action goes by the delayed path of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delay {
    /// A limit of a rule has no room for it yet.
    Throttled,
    /// It could not be delivered now, and is tried anew.
    Redelivery,
}

impl Delay {
    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Redelivery => "redelivery",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Failure, FailureCode};

    const WAIT: Duration = Duration::from_secs(3);

    fn open() -> ActionOutcome {
        ActionOutcome::CircuitOpen {
            provider: "p".into(),
            fallback_chain: vec![],
        }
    }

    fn failed(retryable: bool) -> ActionOutcome {
        ActionOutcome::Failed(Failure {
            code: FailureCode::ExecutionFailed,
            message: "no".into(),
            retryable,
            attempts: 1,
        })
    }

    fn of_broker(outcome: &ActionOutcome, throttled: ThrottledPolicy) -> Disposition {
        Disposition::of(outcome, Policy::Broker { throttled }, TimeLeft::Some)
    }

    #[test]
    fn a_broker_does_with_a_throttled_action_what_its_source_says() {
        let throttled = ActionOutcome::Throttled { retry_after: WAIT };
        for (policy, wanted) in [
            (
                ThrottledPolicy::Retry,
                Disposition::Throttled { after: WAIT },
            ),
            (ThrottledPolicy::Drop, Disposition::Ack),
            (ThrottledPolicy::DeadLetter, Disposition::DeadLetter),
        ] {
            assert_eq!(of_broker(&throttled, policy), wanted);
        }
    }

    #[test]
    fn what_may_pass_by_itself_is_redelivered_until_the_time_is_over() {
        for outcome in [open(), failed(true)] {
            let of = |left| {
                let throttled = ThrottledPolicy::Retry;
                Disposition::of(&outcome, Policy::Broker { throttled }, left)
            };
            assert_eq!(of(TimeLeft::Some), Disposition::Redeliver);
            assert_eq!(of(TimeLeft::None), Disposition::DeadLetter);
        }
    }

    #[test]
    fn what_failed_for_good_is_a_dead_letter_at_once() {
        let retry = ThrottledPolicy::Retry;
        assert_eq!(of_broker(&failed(false), retry), Disposition::DeadLetter);
        let duplicate = ActionOutcome::Deduplicated(());
        assert_eq!(of_broker(&duplicate, retry), Disposition::Ack);
    }

    #[test]
    fn a_caller_who_waits_gets_every_outcome_as_the_answer() {
        for policy in [Policy::Answer, Policy::Replay] {
            let of = |outcome| Disposition::of(&outcome, policy, TimeLeft::Some);
            assert_eq!(of(open()), Disposition::Ack);
            assert_eq!(of(failed(true)), Disposition::Ack);
        }
    }
}
