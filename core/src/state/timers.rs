//! Timers are data: a backend keeps when something is due, in the record that it belongs to. Whoever asks takes what is
//! due, and gets it alone for a while.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{StateError, StoredEvent};

/// What becomes due without an action.
#[async_trait]
pub trait Timers: Send + Sync {
    /// Takes events whose timers are due, earliest first and at most `limit`, for `lease`.
    /// - What is taken is not given to another caller before the lease ends. Clauses:
    ///   `what_is_due_is_taken_by_one_caller_and_falls_due_again_after_its_lease`,
    ///   `of_64_tasks_that_take_what_is_due_each_event_goes_to_one`.
    /// - A timer is finished by the next write of its event, which sets another or none. Clause:
    ///   `a_timer_moves_with_the_record_of_its_event`.
    /// - Nothing is taken before it is due. Clause: `a_timer_is_due_when_its_time_has_passed_and_not_before`.
    async fn take_due(&self, limit: usize, lease: Duration) -> Result<DueWork, StateError>;

    /// The time until the next timer is due; zero if one is due already. `None`: there is no timer. Clause:
    /// `the_next_due_time_is_that_of_the_earliest_timer`.
    async fn next_due(&self) -> Result<Option<Duration>, StateError>;
}

/// What was taken because it is due.
#[derive(Clone, Debug)]
pub struct DueWork {
    /// The time, by the backend's clock.
    pub now: Timestamp,
    /// Events whose timers are due.
    pub events: Vec<Arc<StoredEvent>>,
}
