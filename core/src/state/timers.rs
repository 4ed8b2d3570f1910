//! Timers are data: a backend keeps when something is due in the record that it belongs to. Whoever asks takes what is
//! due, and holds it alone for a while.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{StateError, StoredEvent, StoredGroup, Token};

/// Hands out work that is due: groups to flush, and events whose timers have passed.
#[async_trait]
pub trait Timers: Send + Sync {
    /// Takes up to `limit` things that are due, for `lease`, earliest first.
    /// - Nothing is taken before it is due. Clauses: `a_timer_is_due_when_its_time_has_passed_and_not_before`,
    ///   `a_group_is_due_after_the_wait_of_its_first_member`.
    /// - Groups and events are taken together, at most `limit`, earliest due first. Clauses:
    ///   `due_work_is_taken_in_order_and_in_slices`, `due_groups_and_events_are_taken_in_one_order`.
    /// - Nothing is taken twice while its lease lasts; work that is not finished falls due again when it ends. Clauses:
    ///   `due_work_is_taken_by_one_holder`, `of_64_tasks_that_take_due_groups_each_group_goes_to_one`,
    ///   `unfinished_work_falls_due_again_when_its_lease_ends`,
    ///   `what_is_due_is_taken_by_one_caller_and_falls_due_again_after_its_lease`,
    ///   `of_64_tasks_that_take_what_is_due_each_event_goes_to_one`.
    /// - Asking again with the same token hands out the same work, as far as it is not finished. Clauses:
    ///   `work_asked_for_again_with_the_same_token_is_the_same`,
    ///   `due_events_asked_for_again_with_the_same_token_are_the_same`.
    /// - A due group is sealed. Its later members open the next one, which is due no sooner than the interval after
    ///   this. Clauses: `a_due_group_is_sealed_and_its_later_members_open_the_next`,
    ///   `the_next_group_is_due_no_sooner_than_the_interval_after_the_last_seal`,
    ///   `a_group_is_not_due_while_another_of_its_key_is_undelivered`.
    /// - The timer of an event is finished by the next write of the event, which sets another or none. Clause:
    ///   `a_timer_moves_with_the_record_of_its_event`.
    /// - Groups and timers survive a restart of a durable backend. Clauses: `groups_survive_where_they_are_durable`,
    ///   `timers_survive_where_they_are_durable`.
    async fn take_due(
        &self,
        limit: usize,
        lease: Duration,
        token: Token,
    ) -> Result<DueWork, StateError>;

    /// How long until something falls due; zero if something is, `None` if nothing waits. Clauses:
    /// `the_next_due_time_is_that_of_the_earliest`, `the_next_due_time_is_that_of_the_earliest_timer`.
    async fn next_due(&self) -> Result<Option<Duration>, StateError>;
}

/// Work that was taken.
#[derive(Clone, Debug)]
pub struct DueWork {
    /// The backend's time.
    pub now: Timestamp,
    /// Groups to flush.
    pub groups: Vec<StoredGroup>,
    /// Events whose timers are due.
    pub events: Vec<Arc<StoredEvent>>,
}

impl DueWork {
    /// The number of things that were taken.
    pub fn len(&self) -> usize {
        self.groups.len() + self.events.len()
    }

    /// True if nothing was due.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
