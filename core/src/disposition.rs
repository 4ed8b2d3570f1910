//! Maps an outcome to the next step of its source. All sources share this one function.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::outcome::ActionOutcome;

/// What the source does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Acknowledge. The action is finished.
    Ack,
    /// Submit it again when its limit has room.
    #[allow(missing_docs)]
    Throttled { after: Duration },
    /// Submit it again later, on the redelivery schedule of its provider.
    Redeliver,
    /// Store it as a dead letter, then acknowledge.
    DeadLetter,
}

/// How a source handles outcomes other than a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The caller waits for the outcome. It is remembered under the id that the caller gave.
    Answer,
    /// The caller replays a dead letter and waits for the outcome. A remembered outcome is never the answer.
    Replay,
    /// No caller waits. An action that is not delivered is redelivered or becomes a dead letter.
    #[allow(missing_docs)]
    Broker { throttled: ThrottledPolicy },
}

/// What happens to a throttled action: the `throttled` option of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThrottledPolicy {
    /// It is submitted again after its wait.
    #[default]
    Retry,
    /// It is acknowledged and dropped.
    Drop,
    /// It becomes a dead letter.
    DeadLetter,
}

/// Whether an action may still be redelivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLeft {
    /// `redelivery.give_up_after_seconds` have not passed yet.
    Some,
    /// They have passed.
    None,
}

impl Policy {
    /// True if a caller waits for the outcome and decides how to go on.
    pub fn is_answered(self) -> bool {
        match self {
            Self::Answer | Self::Replay => true,
            Self::Broker { .. } => false,
        }
    }
}

impl Disposition {
    /// The disposition of this outcome under this policy.
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

/// Why an action returns without an outcome, to be submitted again soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Its provider's queue is full.
    Overloaded,
    /// The state backend does not answer.
    StateUnavailable,
    /// The state backend is full.
    StateFull,
    /// There is no room for its dead letter.
    DeadLettersFull,
    /// Another action holds its id or dedup key for longer than the wait allows.
    Busy,
    /// The process is stopping.
    ShuttingDown,
    /// Its holder dropped it. This is a bug, but nothing is lost.
    Abandoned,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Overloaded,
        Self::StateUnavailable,
        Self::StateFull,
        Self::DeadLettersFull,
        Self::Busy,
        Self::ShuttingDown,
        Self::Abandoned,
    ];

    /// The label in metrics.
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

/// Why a source sends an action to its delayed path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delay {
    /// A rule's limit has no room for it yet.
    Throttled,
    /// It could not be delivered now and will be redelivered.
    Redelivery,
}

impl Delay {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Throttled, Self::Redelivery];

    /// The label in metrics.
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
