//! The contract of the audit port. The name of each clause says what a backend must do. Filters are compared with the
//! naive model in `AuditQuery::matches`.

mod listing;
mod records;
mod subject;

use std::sync::Arc;

use acteon_core::Audit;
use async_trait::async_trait;

pub use listing::*;
pub use records::*;

use super::Pace;

/// Supplied by a backend to run the contract. Each clause gets a new harness.
#[async_trait]
pub trait AuditHarness: Send + Sync {
    /// The clock that the backend uses.
    const PACE: Pace;

    /// The backend, initially empty. Each call returns the same one.
    async fn audit(&self) -> Arc<dyn Audit>;

    /// Waits until queries see everything appended or purged.
    async fn settle(&self) {}
}

/// The pace of a harness.
pub fn pace_of<H: AuditHarness>(_: &H) -> Pace {
    H::PACE
}

/// Generates one test per clause of the audit contract, each with a new harness:
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
