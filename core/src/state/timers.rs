//! Work that falls due: the state knows when, and hands it to whoever asks first.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{StateError, StoredGroup, Token};

/// Hands out work that is due.
#[async_trait]
pub trait Timers: Send + Sync {
    /// Takes up to `limit` things that are due, for `lease`, earliest first.
    /// - A due group is sealed. Its later members open the next one, which is due no sooner than the interval after
    ///   this. Clauses: `a_due_group_is_sealed_and_its_later_members_open_the_next`,
    ///   `the_next_group_is_due_no_sooner_than_the_interval_after_the_last_seal`,
    ///   `a_group_is_not_due_while_another_of_its_key_is_undelivered`.
    /// - Nothing is taken twice while its lease lasts; work that is not finished falls due again when it ends. Clauses:
    ///   `due_work_is_taken_by_one_holder`, `of_64_tasks_that_take_due_groups_each_group_goes_to_one`,
    ///   `unfinished_work_falls_due_again_when_its_lease_ends`.
    /// - Asking again with the same token hands out the same work. Clause:
    ///   `work_asked_for_again_with_the_same_token_is_the_same`.
    /// - At most `limit` are taken, earliest due first. Clause: `due_work_is_taken_in_order_and_in_slices`.
    /// - Groups survive a restart of a durable backend, with their members and their due times. Clause:
    ///   `groups_survive_where_they_are_durable`.
    async fn take_due(
        &self,
        limit: usize,
        lease: Duration,
        token: Token,
    ) -> Result<DueWork, StateError>;

    /// How long until something falls due; zero if something is, `None` if nothing waits. Clause:
    /// `the_next_due_time_is_that_of_the_earliest`.
    async fn next_due(&self) -> Result<Option<Duration>, StateError>;
}

/// Work that was taken.
#[derive(Clone, Debug)]
pub struct DueWork {
    /// The backend's time.
    pub now: Timestamp,
    /// Groups to flush.
    pub groups: Vec<StoredGroup>,
}
