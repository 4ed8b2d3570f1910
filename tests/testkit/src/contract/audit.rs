//! The contract of the audit port. What each clause holds a backend to stands in its name. The filters are compared
//! with the naive model in `AuditQuery::matches`.

mod listing;
mod records;
mod subject;

use std::sync::Arc;

use acteon_core::Audit;
use async_trait::async_trait;

pub use listing::*;
pub use records::*;

use super::Pace;

/// What a backend supplies to be held to the contract. Each clause gets a harness of its own.
#[async_trait]
pub trait AuditHarness: Send + Sync {
    /// Whose clock the backend goes by.
    const PACE: Pace;

    /// The backend, empty at first; each call answers the same one.
    async fn audit(&self) -> Arc<dyn Audit>;

    /// Waits until what was appended or purged is seen by queries.
    async fn settle(&self) {}
}

/// The pace of a harness.
pub fn pace_of<H: AuditHarness>(_: &H) -> Pace {
    H::PACE
}

/// Makes one test of each clause of the audit contract, over a harness made anew for each:
/// `audit_contract!(MyHarness::default());`
#[macro_export]
macro_rules! audit_contract {
    ($harness:expr) => {
        $crate::contract_tests!(audit, $harness, [
            a_record_comes_back_as_it_was
            every_kind_of_outcome_keeps_its_name_and_its_details
            appending_an_id_again_changes_nothing
            the_newest_record_of_an_action_is_found
            only_what_has_expired_is_purged_and_never_more_than_asked
            records_are_listed_newest_first_and_ties_by_id
            every_filter_holds_and_totals_count_what_matches
            outcome_and_verdict_compare_without_regard_to_case
            a_time_range_has_its_first_moment_and_not_its_last
            a_walk_by_cursor_sees_each_record_once_although_others_come_in
            a_walk_by_cursor_goes_on_after_its_record_was_purged
            pages_by_offset_fit_together
            nobody_sees_a_record_outside_their_scope
        ]);
        $crate::contract_tests!(parallel audit, $harness, [
            tasks_that_append_at_once_lose_nothing
        ]);
    };
}
