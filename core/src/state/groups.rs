//! Groups that wait for their summary. Members join as a [step](super::Step) of a reservation; due groups are taken
//! with the other [due work](super::Timers).

use std::time::Duration;

use async_trait::async_trait;

use super::{
    GroupFinish, GroupKey, GroupName, GroupPage, GroupQuery, HeldGroup, MemberPage, StateError,
    StoredGroup, TakenGroup, Token,
};
use crate::scope::Scope;

/// Keeps groups until their summary is delivered. How members join:
/// - The first member of a key opens a group, later ones join it. The answer has its id, size and due time. Clauses:
///   `the_first_member_opens_a_group_and_later_ones_join_it`, `members_of_other_keys_are_in_other_groups`,
///   `a_slice_of_members_joins_in_order`.
/// - It is due `wait` after the first member, or at the given time, however many follow. Clauses:
///   `a_group_is_due_after_the_wait_of_its_first_member`, `a_group_with_a_fixed_time_is_due_then_whatever_its_size`.
/// - What it keeps of its rule is frozen when it opens. Clause: `a_group_keeps_the_terms_it_was_opened_with`.
/// - A member joins once while its group is open, and for [`closed_groups`](super::StateContext::closed_groups) after it
///   closed.
///   Clauses: `a_member_joins_once_while_its_group_is_open`, `a_member_of_a_closed_group_joins_no_second_one`,
///   `the_members_of_a_closed_group_are_forgotten_in_time`.
/// - A refused reservation adds no member. Clause: `a_refused_reservation_adds_no_member`.
/// - Whatever happens meanwhile, each member is in one group. Clause:
///   `every_member_is_in_exactly_one_group_as_in_the_naive_model`.
/// - Reaching its size seals a group at once, unless another of its key is sealed, or
///   [`EARLY_SEALS_MAX`](super::EARLY_SEALS_MAX) were sealed so within the interval. Clauses:
///   `a_group_that_reaches_its_size_is_due_at_once`, `a_group_stays_open_while_another_of_its_key_is_sealed`,
///   `only_ten_groups_of_a_key_are_sealed_early_within_an_interval`.
/// - Members beyond the size, or beyond [`GROUP_BYTES_MAX`](super::GROUP_BYTES_MAX), are counted, and their bodies are
///   left out. Clauses: `members_beyond_the_size_are_counted_without_their_bodies`,
///   `members_beyond_the_bytes_are_counted_without_their_bodies`.
#[async_trait]
pub trait Groups: Send + Sync {
    /// Reads the listed members of a group, from `from` on, at most `limit` of them. Clause:
    /// `members_are_read_page_by_page_in_the_order_they_joined`.
    async fn members(
        &self,
        group: &GroupName,
        from: u32,
        limit: usize,
    ) -> Result<MemberPage, StateError>;

    /// Seals and takes the group that waits under a key, whenever it is due. Clauses:
    /// `a_group_taken_by_hand_is_sealed_before_it_is_due`, `a_group_that_another_holds_cannot_be_taken_by_hand`.
    async fn take_group(
        &self,
        key: &GroupKey,
        lease: Duration,
        token: Token,
    ) -> Result<TakenGroup, StateError>;

    /// Extends the holds of taken groups to `lease` from now. Answers `false` for a hold that was lost. Clause:
    /// `a_held_group_is_kept_by_renewal_and_lost_without`.
    async fn renew_groups(
        &self,
        held: &[HeldGroup],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError>;

    /// Writes a note into taken groups, which the next holder finds. Answers `false` for a hold that was lost. Clause:
    /// `a_note_is_found_by_the_next_holder`.
    async fn note_groups(
        &self,
        notes: &[(HeldGroup, bytes::Bytes)],
    ) -> Result<Vec<bool>, StateError>;

    /// Ends the holds of taken groups. Answers `false` for a hold that was lost, and changes nothing of it.
    /// - Closing a group is final; it is listed for a [time](super::StateContext::closed_groups). Clauses:
    ///   `a_closed_group_is_never_due_again_and_listed_for_its_time`, `finishing_again_changes_nothing`.
    /// - If the next group of the key has reached its size, it is sealed and due at once. Clause:
    ///   `a_group_stays_open_while_another_of_its_key_is_sealed`.
    /// - Releasing a group makes it due again after the given time. Clause:
    ///   `a_released_group_is_due_again_after_its_time_with_all_members`.
    /// - A holder whose lease has passed ends nothing of the next one. Clause:
    ///   `a_late_finish_changes_nothing_of_the_next_holder`.
    async fn finish_groups(&self, finished: &[GroupFinish]) -> Result<Vec<bool>, StateError>;

    /// Lists groups, newest first. Clauses: `groups_are_listed_page_by_page`,
    /// `nobody_sees_a_group_outside_their_scope`.
    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, StateError>;

    /// Returns the current group of each rule under a key that clients see: the open one, else the sealed one, else the
    /// one closed last. Clause: `the_current_group_of_a_key_is_found_for_each_rule`.
    async fn groups_of(&self, scope: &Scope, key: &str) -> Result<Vec<StoredGroup>, StateError>;
}
