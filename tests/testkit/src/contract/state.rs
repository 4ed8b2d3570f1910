//! The contract of the state port. The name of each clause says what a backend must do. Times in clauses are multiples
//! of the harness's unit.

mod claims;
mod event_listing;
mod event_writes;
mod events;
mod faults;
mod flushes;
mod group_model;
mod group_views;
mod groups;
mod interleavings;
mod leases;
mod letter_bounds;
mod letters;
mod limits;
mod model;
mod quotas;
mod remembered;
mod silence_listing;
mod silences;
mod subject;
mod tallies;
mod throttle;
mod timers;
mod toggles;

use std::sync::Arc;
use std::time::Duration;

use acteon_core::State;
use acteon_core::state::StateContext;
use async_trait::async_trait;

pub use claims::*;
pub use event_listing::*;
pub use event_writes::*;
pub use events::*;
pub use faults::*;
pub use flushes::*;
pub use group_model::every_member_is_in_exactly_one_group_as_in_the_naive_model;
pub use group_views::*;
pub use groups::*;
pub use interleavings::random_interleavings_follow_the_naive_model;
pub use leases::*;
pub use letter_bounds::*;
pub use letters::*;
pub use limits::*;
pub use quotas::*;
pub use remembered::*;
pub use silence_listing::*;
pub use silences::*;
pub use tallies::*;
pub use throttle::*;
pub use timers::*;
pub use toggles::*;

use super::Pace;

/// Supplied by a backend to run the contract. Each clause gets a new harness.
#[async_trait]
pub trait StateHarness: Send + Sync {
    /// The clock that the backend uses.
    const PACE: Pace;
    /// The shortest time that a clause measures. It must be many round trips long. A clause takes up to 30 units.
    const UNIT: Duration;

    /// The backend, initially empty. Each call returns the same one.
    async fn state(&self) -> Arc<dyn State>;

    /// The same store as seen by another instance. A shared backend uses a separate connection.
    async fn peer(&self) -> Arc<dyn State> {
        self.state().await
    }

    /// The same store as seen by an instance whose own clock is ten minutes ahead. A backend that runs in this process
    /// has no other clock.
    async fn ahead(&self) -> Arc<dyn State> {
        self.peer().await
    }

    /// The same store after a restart. Called only if the backend's capabilities say durable.
    async fn reopened(&self) -> Arc<dyn State> {
        self.state().await
    }

    /// Another empty backend with the dead-letter bounds of `context`.
    async fn keeping(&self, context: StateContext) -> Arc<dyn State>;

    /// Another empty backend that remembers about `outcomes_max` outcomes.
    async fn remembering(&self, outcomes_max: usize) -> Arc<dyn State>;

    /// Advances the backend's time.
    async fn pass(&self, time: Duration) {
        Self::PACE.pass(time).await;
    }
}

/// The pace of a harness.
pub fn pace_of<H: StateHarness>(_: &H) -> Pace {
    H::PACE
}

/// Generates one test per clause of the state contract, each with a new harness:
/// `state_contract!(MyHarness::default());`
#[macro_export]
macro_rules! state_contract {
    ($harness:expr) => {
        $crate::contract_tests!(state, $harness, [
            a_free_id_is_granted_and_then_busy_until_it_is_settled
            a_lease_that_ran_out_falls_to_the_next
            a_late_settlement_changes_nothing_of_what_another_has_taken
            a_delivery_that_outlived_its_lease_is_still_confirmed_while_nobody_took_the_key
            renewal_keeps_what_is_held
            renewal_of_what_was_lost_says_so_and_takes_nothing_back
            an_outcome_is_answered_again_as_it_was_and_for_its_time
            an_outcome_is_remembered_although_nothing_was_delivered
            an_outcome_is_remembered_although_nothing_is_held
            an_outcome_is_remembered_without_a_lease
            an_outcome_is_not_the_answer_for_a_broker
            a_lease_does_not_hide_a_remembered_outcome
            a_long_body_is_answered_again_as_truncated
            remembered_outcomes_never_make_a_reservation_wait_or_fail
            what_is_in_force_outlives_all_that_is_remembered
            settling_again_changes_nothing
            only_its_own_token_renews_and_ends_a_hold
            a_reservation_asked_again_is_granted_as_before
            a_reservation_asked_again_takes_no_second_place_and_reports_the_same_full_quotas
            a_reservation_asked_twice_in_one_slice_is_granted_twice_and_held_once
            what_was_granted_in_a_lost_answer_is_released_without_it
            what_was_never_granted_is_ended_without_effect
            a_settlement_done_twice_is_done_once
            an_instance_whose_clock_is_ten_minutes_off_gets_the_same_answers
            answers_are_in_the_order_of_the_questions
            nothing_asked_is_nothing_refused
            instances_see_what_others_hold
            a_pending_key_is_busy_and_a_delivered_one_a_duplicate
            a_delivery_is_remembered_for_its_ttl_which_duplicates_do_not_prolong
            a_failed_delivery_releases_its_key
            the_same_key_twice_in_one_slice_goes_to_the_first
            a_refused_claim_leaves_nothing_held_and_nothing_charged
            all_claims_of_a_reservation_are_held_and_ended_together
            names_of_other_tenants_namespaces_and_rules_never_meet
            what_was_confirmed_survives_where_it_is_durable
            no_more_than_the_bound_pass_and_a_slice_is_served_in_order
            refused_actions_do_not_push_the_window_out
            retry_after_is_when_the_next_one_really_passes
            retry_after_waits_for_all_quotas_that_are_full
            the_same_quota_twice_in_one_reservation_takes_two_places
            a_failed_delivery_gives_its_place_back_once
            a_place_that_has_left_the_window_is_not_given_back
            a_full_quota_that_lets_the_reservation_continue_is_reported
            a_refused_quota_leaves_nothing_held_and_nothing_charged
            a_greater_or_smaller_bound_applies_to_what_was_delivered_before
            places_come_back_one_by_one_as_they_leave_the_window
            a_limit_counts_down_and_refuses_at_zero
            a_request_over_the_limit_passes_after_its_retry_after
            a_limit_is_whole_again_after_its_reset
            dead_letters_come_back_as_they_were
            a_dead_letter_is_stored_once
            dead_letters_are_listed_page_by_page
            letters_are_listed_and_evicted_by_when_they_were_stored
            dead_letters_are_filtered
            nobody_sees_or_deletes_a_dead_letter_outside_their_scope
            the_progress_of_a_dead_letter_is_replaced
            a_deleted_dead_letter_is_gone
            dead_letters_are_bounded_for_each_kind
            a_full_kind_refuses_only_settlements_that_bring_such_a_letter
            a_letter_that_is_there_is_never_refused
            what_is_deleted_or_too_old_makes_room
            a_backend_tells_how_full_it_is
            dead_letters_are_bounded_in_age
            dead_letters_survive_where_they_are_durable
            a_toggle_holds_until_it_is_set_anew
            a_silence_is_written_and_found
            a_silence_is_not_written_over_another_write
            a_silence_written_twice_is_written_once
            silences_are_bounded_by_namespace_and_tenant
            finished_silences_make_room_for_each_other
            live_silences_are_those_that_are_not_finished
            a_known_revision_of_silences_is_not_sent_again
            instances_see_each_others_silences
            silences_survive_where_they_are_durable
            silences_are_listed_page_by_page_newest_first
            silences_are_filtered_by_names_and_phase
            an_ended_silence_is_listed_for_a_week
            no_caller_sees_a_silence_outside_their_scope
            a_tally_that_was_never_counted_is_empty
            an_action_is_counted_when_it_is_settled_and_not_before
            a_count_leaves_its_window_when_the_window_has_passed
            counts_leave_in_the_order_they_came
            the_last_time_is_told_and_not_the_first
            tallies_of_other_keys_windows_tenants_and_namespaces_are_apart
            each_tally_of_a_settlement_counts_once_and_a_slice_adds_up
            an_action_is_counted_whatever_its_outcome
            answers_of_all_kinds_are_in_the_order_of_the_questions
            gathering_changes_nothing
            the_time_is_the_backends_and_passes_for_all_instances
            instances_see_what_others_count_and_write
            counts_and_events_survive_where_they_are_durable
            an_event_is_known_by_its_fingerprint_and_an_unknown_one_is_not
            writing_overwrites_whatever_an_event_was
            the_last_entry_for_an_event_in_one_slice_wins
            an_active_event_is_found_by_its_type_and_by_each_of_its_values
            other_values_types_tenants_and_namespaces_are_not_active
            an_event_that_ended_is_known_until_its_retention_has_passed
            an_event_that_begins_again_is_kept
            when_one_of_many_events_ends_the_others_still_answer
            a_value_or_type_taken_away_answers_no_longer
            a_value_that_an_event_carries_twice_ends_with_it
            a_named_value_is_found_under_its_name_only
            an_event_that_ended_counts_for_the_grace_of_the_question
            an_event_that_ended_keeps_its_state_for_the_grace_of_the_question
            an_event_is_answered_as_it_was_written
            a_write_expects_a_version_and_gives_the_next_one
            a_conflict_answers_the_present_record_and_takes_nothing
            a_refused_reservation_writes_nothing
            reports_of_one_event_in_a_slice_write_one_version_each
            a_write_after_a_refused_one_of_its_event_in_a_slice_is_refused
            a_write_asked_again_is_granted_and_made_once
            what_a_step_wrote_is_not_released
            events_are_listed_page_by_page_newest_first
            events_are_filtered_by_type_state_and_values
            an_ended_event_is_listed_until_its_retention_has_passed
            no_caller_sees_an_event_outside_their_scope
            a_timer_is_due_when_its_time_has_passed_and_not_before
            what_is_due_is_taken_by_one_caller_and_falls_due_again_after_its_lease
            a_timer_moves_with_the_record_of_its_event
            the_next_due_time_is_that_of_the_earliest_timer
            due_groups_and_events_are_taken_in_one_order
            due_events_asked_for_again_with_the_same_token_are_the_same
            timers_survive_where_they_are_durable
            the_first_member_opens_a_group_and_later_ones_join_it
            members_of_other_keys_are_in_other_groups
            a_slice_of_members_joins_in_order
            a_group_is_due_after_the_wait_of_its_first_member
            a_group_with_a_fixed_time_is_due_then_whatever_its_size
            a_group_keeps_the_terms_it_was_opened_with
            a_member_joins_once_while_its_group_is_open
            a_member_of_a_closed_group_joins_no_second_one
            the_members_of_a_closed_group_are_forgotten_in_time
            a_refused_reservation_adds_no_member
            a_group_that_reaches_its_size_is_due_at_once
            a_group_stays_open_while_another_of_its_key_is_sealed
            only_ten_groups_of_a_key_are_sealed_early_within_an_interval
            members_beyond_the_size_are_counted_without_their_bodies
            members_beyond_the_bytes_are_counted_without_their_bodies
            a_due_group_is_sealed_and_its_later_members_open_the_next
            the_next_group_is_due_no_sooner_than_the_interval_after_the_last_seal
            a_group_is_not_due_while_another_of_its_key_is_undelivered
            due_work_is_taken_by_one_holder
            unfinished_work_falls_due_again_when_its_lease_ends
            work_asked_for_again_with_the_same_token_is_the_same
            due_work_is_taken_in_order_and_in_slices
            the_next_due_time_is_that_of_the_earliest
            members_are_read_page_by_page_in_the_order_they_joined
            a_group_taken_by_hand_is_sealed_before_it_is_due
            a_group_that_another_holds_cannot_be_taken_by_hand
            a_held_group_is_kept_by_renewal_and_lost_without
            a_note_is_found_by_the_next_holder
            a_closed_group_is_never_due_again_and_listed_for_its_time
            finishing_again_changes_nothing
            a_released_group_is_due_again_after_its_time_with_all_members
            a_late_finish_changes_nothing_of_the_next_holder
            groups_are_listed_page_by_page
            nobody_sees_a_group_outside_their_scope
            the_current_group_of_a_key_is_found_for_each_rule
            groups_survive_where_they_are_durable
        ]);
        $crate::contract_tests!(parallel state, $harness, [
            of_64_tasks_that_want_the_same_key_one_wins
            a_quota_holds_against_64_tasks_at_once
            of_64_tasks_at_once_no_more_than_the_limit_pass
            of_64_tasks_that_count_at_once_none_is_lost
            of_64_tasks_that_write_the_same_version_one_wins
            of_64_tasks_that_write_the_same_silence_one_wins
            of_64_tasks_at_once_no_more_silences_than_the_bound_are_written
            of_64_tasks_that_take_due_groups_each_group_goes_to_one
            of_64_tasks_that_take_what_is_due_each_event_goes_to_one
            an_event_that_64_tasks_write_at_once_is_active_or_not_as_one_of_them_said
        ]);
        $crate::contract_tests!(property state, $harness, [
            random_interleavings_follow_the_naive_model
            no_window_ever_holds_more_than_the_bound
            at_twice_the_rate_every_window_is_used
            a_refused_one_passes_after_its_retry_after_and_not_before
            a_tally_is_never_too_low_and_by_a_sixteenth_of_its_window_too_high_at_most
            events_are_active_as_a_scan_of_all_would_find_them
            every_member_is_in_exactly_one_group_as_in_the_naive_model
        ]);
    };
}
