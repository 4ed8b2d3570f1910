//! What actions hold in the state while they are delivered: leases, claims and places under limits; and what rules ask
//! before that. Names, and what is reserved, are left to the files beside this one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Gathered, LimitAnswer, Question, RateLimit, Reservation, ReservationAnswer, Settlement,
    SettlementAnswer, StateError,
};

/// Takes, keeps and ends holds, and answers what rules ask.
#[async_trait]
pub trait Holds: Send + Sync {
    /// Answers the questions that rules ask before they decide. Uses one round trip.
    /// - Answers are in the order of the questions. Clause: `answers_of_all_kinds_are_in_the_order_of_the_questions`.
    /// - Changes nothing. Clause: `gathering_changes_nothing`.
    /// - Tells the time by the backend's clock, so that all instances agree on what is late. Clause:
    ///   `the_time_is_the_backends_and_passes_for_all_instances`.
    /// - A tally counts everything in its window, and at most the entries of the sixteenth of a window before it.
    ///   Clauses: `a_tally_that_was_never_counted_is_empty`, `a_count_leaves_its_window_when_the_window_has_passed`,
    ///   `counts_leave_in_the_order_they_came`,
    ///   `a_tally_is_never_too_low_and_by_a_sixteenth_of_its_window_too_high_at_most`.
    /// - A tally reports the age of its last entry. Clause: `the_last_time_is_told_and_not_the_first`.
    /// - An event is found by its fingerprint while it is active, and then until its retention has passed. Clauses:
    ///   `an_event_is_known_by_its_fingerprint_and_an_unknown_one_is_not`,
    ///   `an_event_that_ended_is_known_until_its_retention_has_passed`, `an_event_that_begins_again_is_kept`.
    /// - For the grace of the question, an event that has ended still has the state in which it was last active. Clause:
    ///   `an_event_that_ended_keeps_its_state_for_the_grace_of_the_question`.
    /// - An event is answered as it was last written, with its version. Clause:
    ///   `an_event_is_answered_as_it_was_written`.
    /// - An active event is found by its type, and by its type with each of its values, under its name or under any.
    ///   Clauses: `a_named_value_is_found_under_its_name_only`,
    ///   `an_active_event_is_found_by_its_type_and_by_each_of_its_values`,
    ///   `when_one_of_many_events_ends_the_others_still_answer`, `a_value_that_an_event_carries_twice_ends_with_it`,
    ///   `events_are_active_as_a_scan_of_all_would_find_them`.
    /// - For the grace of the question, an event that has ended still counts, even if it was forgotten. Clause:
    ///   `an_event_that_ended_counts_for_the_grace_of_the_question`.
    async fn gather(&self, questions: &[Question]) -> Result<Gathered, StateError>;

    /// Takes everything each action needs, for `lease`. Uses one round trip.
    /// - Works through the slice in order, as if each reservation were made after the one before. Answers are in the
    ///   same order. Clauses: `answers_are_in_the_order_of_the_questions`,
    ///   `the_same_key_twice_in_one_slice_goes_to_the_first`,
    ///   `no_more_than_the_bound_pass_and_a_slice_is_served_in_order`, `nothing_asked_is_nothing_refused`.
    /// - Checks a remembered outcome first, then the lease, the claims, the quotas, the step. The first obstacle is the
    ///   answer. Clause: `a_lease_does_not_hide_a_remembered_outcome`.
    /// - Grants all that an action asks for, or nothing. Clauses:
    ///   `a_refused_claim_leaves_nothing_held_and_nothing_charged`,
    ///   `a_refused_quota_leaves_nothing_held_and_nothing_charged`,
    ///   `all_claims_of_a_reservation_are_held_and_ended_together`.
    /// - A grant holds until it is settled, or for `lease` unless renewed, and only for its
    ///   [token](Reservation::token). Clauses: `a_free_id_is_granted_and_then_busy_until_it_is_settled`,
    ///   `a_lease_that_ran_out_falls_to_the_next`, `only_its_own_token_renews_and_ends_a_hold`.
    /// - Asking again with the same token while it is held gives the same grant, for `lease` from now, and takes
    ///   nothing more. Clauses: `a_reservation_asked_again_is_granted_as_before`,
    ///   `a_reservation_asked_again_takes_no_second_place_and_reports_the_same_full_quotas`,
    ///   `a_reservation_asked_twice_in_one_slice_is_granted_twice_and_held_once`.
    /// - A claim is refused as busy while another holds its key, and as a duplicate for its ttl after the delivery.
    ///   Clauses: `a_pending_key_is_busy_and_a_delivered_one_a_duplicate`,
    ///   `a_delivery_is_remembered_for_its_ttl_which_duplicates_do_not_prolong`.
    /// - No window of a quota ever holds more than its bound; a refusal does not count. Clauses:
    ///   `no_window_ever_holds_more_than_the_bound`, `at_twice_the_rate_every_window_is_used`,
    ///   `refused_actions_do_not_push_the_window_out`, `places_come_back_one_by_one_as_they_leave_the_window`,
    ///   `a_greater_or_smaller_bound_applies_to_what_was_delivered_before`,
    ///   `the_same_quota_twice_in_one_reservation_takes_two_places`.
    /// - `retry_after` is the time after which the reservation will pass all its quotas. Clauses:
    ///   `retry_after_is_when_the_next_one_really_passes`, `retry_after_waits_for_all_quotas_that_are_full`,
    ///   `a_refused_one_passes_after_its_retry_after_and_not_before`.
    /// - A full quota with [`WhenFull::Continue`](super::WhenFull::Continue) refuses nothing. Clause:
    ///   `a_full_quota_that_lets_the_reservation_continue_is_reported`.
    /// - A step writes an event if its version is the expected one, and gives it the next. Otherwise the reservation is
    ///   refused, and the answer is the present record. Clauses: `a_write_expects_a_version_and_gives_the_next_one`,
    ///   `a_conflict_answers_the_present_record_and_takes_nothing`,
    ///   `reports_of_one_event_in_a_slice_write_one_version_each`,
    ///   `of_64_tasks_that_write_the_same_version_one_wins`,
    ///   `an_event_that_64_tasks_write_at_once_is_active_or_not_as_one_of_them_said`.
    ///   A reservation refused for another reason writes nothing. Clause: `a_refused_reservation_writes_nothing`.
    /// - After a refused reservation, the later writes of its event in the slice are refused too: they were decided from
    ///   what it would have written. Clause: `a_write_after_a_refused_one_of_its_event_in_a_slice_is_refused`.
    /// - Asking again with the same token writes nothing more. Clause: `a_write_asked_again_is_granted_and_made_once`.
    /// - The index and the timer of an event move with its record. Clauses:
    ///   `writing_overwrites_whatever_an_event_was`, `a_value_or_type_taken_away_answers_no_longer`,
    ///   `the_last_entry_for_an_event_in_one_slice_wins`.
    /// - A step that was granted stays, whatever happens to the hold. Clause: `what_a_step_wrote_is_not_released`.
    async fn reserve(
        &self,
        reservations: &[Reservation],
        lease: Duration,
    ) -> Result<Vec<ReservationAnswer>, StateError>;

    /// Settles reservations, counts actions and stores dead letters. Uses one round trip.
    /// - Answers are in the order of the settlements. One whose dead letter does not fit is not applied at all, and
    ///   fails no other. Clause: `a_full_kind_refuses_only_settlements_that_bring_such_a_letter`.
    /// - Confirming keeps a claim for its ttl. Releasing frees the claims and refunds the quotas, once. Clauses:
    ///   `a_failed_delivery_releases_its_key`, `a_failed_delivery_gives_its_place_back_once`,
    ///   `a_place_that_has_left_the_window_is_not_given_back`.
    /// - It needs the reservation, not its grant: a hold whose grant was never seen is confirmed and released like any
    ///   other. Clauses: `what_was_granted_in_a_lost_answer_is_released_without_it`,
    ///   `what_was_never_granted_is_ended_without_effect`.
    /// - A settlement whose hold was lost confirms and releases nothing of another holder. Clause:
    ///   `a_late_settlement_changes_nothing_of_what_another_has_taken`.
    /// - A delivery that outlived its lease is still confirmed, for at least as long again as the lease, unless another
    ///   holder took the key. Clause:
    ///   `a_delivery_that_outlived_its_lease_is_still_confirmed_while_nobody_took_the_key`.
    /// - Repeating a call changes nothing, except that actions are counted again. Clauses:
    ///   `settling_again_changes_nothing`, `a_settlement_done_twice_is_done_once`.
    /// - Outcomes to remember are stored as [abridged](crate::ActionOutcome::abridged). They make room for themselves
    ///   and never count towards a bound that refuses anything. Clauses:
    ///   `an_outcome_is_answered_again_as_it_was_and_for_its_time`,
    ///   `an_outcome_is_remembered_although_nothing_was_delivered`,
    ///   `an_outcome_is_remembered_although_nothing_is_held`, `an_outcome_is_remembered_without_a_lease`,
    ///   `an_outcome_is_not_the_answer_for_a_broker`,
    ///   `a_long_body_is_answered_again_as_truncated`, `remembered_outcomes_never_make_a_reservation_wait_or_fail`,
    ///   `what_is_in_force_outlives_all_that_is_remembered`.
    /// - Each tally counts the action once, whatever its outcome. A backend at its bound drops counts under new keys
    ///   and reports it. Clauses: `an_action_is_counted_when_it_is_settled_and_not_before`,
    ///   `each_tally_of_a_settlement_counts_once_and_a_slice_adds_up`, `an_action_is_counted_whatever_its_outcome`,
    ///   `of_64_tasks_that_count_at_once_none_is_lost`.
    /// - A dead letter is stored once. Clauses: `dead_letters_come_back_as_they_were`, `a_dead_letter_is_stored_once`,
    ///   `a_letter_that_is_there_is_never_refused`.
    /// - The dead letters of each kind are bounded in number and age. At the bound the oldest is evicted or the new one
    ///   refused, as configured. Clauses: `dead_letters_are_bounded_for_each_kind`, `dead_letters_are_bounded_in_age`,
    ///   `what_is_deleted_or_too_old_makes_room`.
    async fn settle(&self, settlements: &[Settlement])
    -> Result<Vec<SettlementAnswer>, StateError>;

    /// Extends reservations to `lease` from now.
    /// - A reservation in force stays in force. Clause: `renewal_keeps_what_is_held`.
    /// - Answers `false` for a reservation of which a key was already lost, and takes back nothing that was lost.
    ///   Clause: `renewal_of_what_was_lost_says_so_and_takes_nothing_back`.
    async fn renew(
        &self,
        held: &[Arc<Reservation>],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError>;

    /// Takes a place under each limit that has one left. It stays taken: nothing is held, and nothing is refunded. Uses
    /// one round trip.
    /// - Works through the slice in order. Each answer says how many places are left. Clauses:
    ///   `a_limit_counts_down_and_refuses_at_zero`, `of_64_tasks_at_once_no_more_than_the_limit_pass`.
    /// - A refused request takes no place and passes after its `retry_after`. Clause:
    ///   `a_request_over_the_limit_passes_after_its_retry_after`.
    /// - All places are free after `reset` if none is taken meanwhile. Clause:
    ///   `a_limit_is_whole_again_after_its_reset`.
    /// - A backend at its bound lets new keys pass uncounted.
    async fn limit(&self, limits: &[RateLimit]) -> Result<Vec<LimitAnswer>, StateError>;
}
