//! The port to the state that all instances share: leases, claims, quotas, tallies, events, dead letters, toggles.
//!
//! Each operation is a domain operation over a slice, so that a backend can answer a whole batch in one round trip in
//! the best way it has. A backend measures time by its own clock. The clauses that a method names are the tests of the
//! contract in `tests/testkit`; every backend runs them.

mod reservation;

use std::time::Duration;

use async_trait::async_trait;
use compact_str::CompactString;
use std::sync::Arc;
use thiserror::Error;

pub use self::reservation::{
    Busy, Claim, Grant, HeldReservation, QUOTAS_MAX, Quota, Recall, RememberedOutcome, Reservation,
    ReservationAnswer, ReservationEnd, Settlement, WhenFull,
};
use crate::dead_letter::{DeadLetter, DeadLetterBounds, DeadLetterKind, LetterFilter};
use crate::registry::Family;
use crate::scope::Scope;

/// A state backend. May be called from many tasks at once.
/// - Each reservation is granted or refused as a whole, whatever others do meanwhile. Clauses:
///   `random_interleavings_follow_the_naive_model`, `of_64_tasks_that_want_the_same_key_one_wins`,
///   `a_quota_holds_against_64_tasks_at_once`.
/// - Namespaces, tenants and rules have separate keys. Clauses:
///   `names_of_other_tenants_namespaces_and_rules_never_meet`,
///   `tallies_of_other_keys_windows_tenants_and_namespaces_are_apart`,
///   `other_values_types_tenants_and_namespaces_are_not_active`.
/// - Instances that share a backend see each other's changes. Clauses: `instances_see_what_others_hold`,
///   `instances_see_what_others_count_and_track`.
/// - A [durable](Capabilities::durable) backend keeps dead letters, confirmed claims, counts and events across a
///   restart. Clauses: `what_was_confirmed_survives_where_it_is_durable`,
///   `counts_and_events_survive_where_they_are_durable`, `dead_letters_survive_where_they_are_durable`.
#[async_trait]
pub trait State: Send + Sync {
    /// The guarantees of this backend, printed at start.
    fn capabilities(&self) -> Capabilities;

    /// Checks that the backend answers.
    /// - Reports how full it is. Clause: `a_backend_tells_how_full_it_is`.
    async fn ping(&self) -> Result<Fullness, StateError>;

    /// Answers the questions that rules ask before they decide. Uses one round trip.
    /// - Answers are in the order of the questions. Clause: `answers_of_all_kinds_are_in_the_order_of_the_questions`.
    /// - Changes nothing. Clause: `gathering_changes_nothing`.
    /// - A tally counts everything in its window, and at most the entries of the sixteenth of a window before it.
    ///   Clauses: `a_tally_that_was_never_counted_is_empty`, `a_count_leaves_its_window_when_the_window_has_passed`,
    ///   `counts_leave_in_the_order_they_came`,
    ///   `a_tally_is_never_too_low_and_by_a_sixteenth_of_its_window_too_high_at_most`.
    /// - A tally reports the age of its last entry. Clause: `the_last_time_is_told_and_not_the_first`.
    /// - An event is found by its fingerprint while it is active, and then until its retention has passed. Clauses:
    ///   `an_event_is_known_by_its_fingerprint_and_an_unknown_one_is_not`,
    ///   `an_event_that_ended_is_known_until_its_retention_has_passed`, `an_event_that_begins_again_is_kept`.
    /// - An active event is found by its type, and by its type with each of its values. Clauses:
    ///   `an_active_event_is_found_by_its_type_and_by_each_of_its_values`,
    ///   `when_one_of_many_events_ends_the_others_still_answer`, `a_value_that_an_event_carries_twice_ends_with_it`,
    ///   `events_are_active_as_a_scan_of_all_would_find_them`.
    async fn gather(&self, questions: &[Question]) -> Result<Vec<Answer>, StateError>;

    /// Takes everything each action needs, for `lease`. Uses one round trip.
    /// - Works through the slice in order, as if each reservation were made after the one before. Answers are in the
    ///   same order. Clauses: `answers_are_in_the_order_of_the_questions`,
    ///   `the_same_key_twice_in_one_slice_goes_to_the_first`,
    ///   `no_more_than_the_bound_pass_and_a_slice_is_served_in_order`, `nothing_asked_is_nothing_refused`.
    /// - Checks a remembered outcome first, then the lease, the claims, the quotas. The first obstacle is the answer.
    ///   Clause: `a_lease_does_not_hide_a_remembered_outcome`.
    /// - Grants all that an action asks for, or nothing. Clauses:
    ///   `a_refused_claim_leaves_nothing_held_and_nothing_charged`,
    ///   `a_refused_quota_leaves_nothing_held_and_nothing_charged`,
    ///   `all_claims_of_a_reservation_are_held_and_ended_together`.
    /// - A grant holds until it is settled, or for `lease` unless renewed. Each has a greater fence than all before.
    ///   Clauses: `a_free_id_is_granted_and_then_busy_until_it_is_settled`,
    ///   `a_lease_that_ran_out_falls_to_the_next_with_a_greater_fence`,
    ///   `every_grant_has_a_greater_fence_than_those_before`.
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
    /// - A full quota with [`WhenFull::Continue`] refuses nothing. Clause:
    ///   `a_full_quota_that_lets_the_reservation_continue_is_reported`.
    async fn reserve(
        &self,
        reservations: &[Reservation],
        lease: Duration,
    ) -> Result<Vec<ReservationAnswer>, StateError>;

    /// Settles reservations, counts actions and stores dead letters. Uses one round trip. Returns, in rising order, the
    /// positions of the settlements whose dead letter does not fit; these are not applied at all.
    /// - Confirming keeps a claim for its ttl. Releasing frees the claims and refunds the quotas, once. Clauses:
    ///   `a_failed_delivery_releases_its_key`, `a_failed_delivery_gives_its_place_back_once`,
    ///   `a_place_that_has_left_the_window_is_not_given_back`.
    /// - A settlement whose fence is no longer in force (its lease was lost) confirms and releases nothing of another
    ///   holder. Clause: `a_late_settlement_changes_nothing_of_what_another_has_taken`.
    /// - A delivery that outlived its lease is still confirmed, for at least as long again as the lease, unless another
    ///   holder took the key. Clause:
    ///   `a_delivery_that_outlived_its_lease_is_still_confirmed_while_nobody_took_the_key`.
    /// - Repeating a call changes nothing, except that actions are counted again. Clause:
    ///   `settling_again_changes_nothing`.
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
    ///   `a_full_kind_refuses_only_settlements_that_bring_such_a_letter`, `what_is_deleted_or_too_old_makes_room`.
    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<usize>, StateError>;

    /// Extends reservations to `lease` from now.
    /// - A reservation in force stays in force. Clause: `renewal_keeps_what_is_held`.
    /// - Answers `false` for a reservation of which a key was already lost, and takes back nothing that was lost.
    ///   Clause: `renewal_of_what_was_lost_says_so_and_takes_nothing_back`.
    async fn renew(
        &self,
        held: &[HeldReservation],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError>;

    /// Sets the state of events.
    /// - Overwrites the previous state, whatever it was. Clauses: `tracking_overwrites_whatever_an_event_was`,
    ///   `a_value_or_type_taken_away_answers_no_longer`.
    /// - If an event appears twice, the last entry wins. Clause: `the_last_entry_for_an_event_in_one_slice_wins`.
    /// - The events of one call are stored together: all or none. A backend stores none if they would exceed its bound.
    ///   Clause: `an_event_that_64_tasks_track_at_once_is_active_or_not_as_one_of_them_said`.
    async fn track(&self, events: &[Event]) -> Result<(), StateError>;

    /// Lists the dead letters inside the query's scope, most recently stored first. Clauses:
    /// `dead_letters_are_listed_page_by_page`, `letters_are_listed_and_evicted_by_when_they_were_stored`,
    /// `dead_letters_are_filtered`.
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage, StateError>;

    /// Returns one dead letter, if it is inside the scope. Clause:
    /// `nobody_sees_or_deletes_a_dead_letter_outside_their_scope`.
    async fn dead_letter(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<DeadLetter>>, StateError>;

    /// Deletes one dead letter inside the scope. Returns `false` if there was none. Clause:
    /// `a_deleted_dead_letter_is_gone`.
    async fn delete_dead_letter(&self, scope: &Scope, id: &str) -> Result<bool, StateError>;

    /// Enables or disables the rule of this name on every node. The override survives restarts and reloads. Clause:
    /// `a_toggle_holds_until_it_is_set_anew`.
    async fn set_rule_enabled(&self, name: &str, enabled: bool) -> Result<(), StateError>;

    /// Returns all overrides.
    async fn rule_toggles(&self) -> Result<Vec<(CompactString, bool)>, StateError>;
}

/// The guarantees of a backend beyond the common contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Dead letters, confirmed claims, counts and events survive the process.
    pub durable: bool,
    /// Several processes may share the backend.
    pub shared: bool,
}

/// How full a backend is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fullness {
    /// Leases, claims, quotas, and everything else that counts towards the same bound.
    pub keys: FillLevel,
    /// Dead letters that could not be decoded.
    pub poison: FillLevel,
    /// Dead letters that could not be delivered.
    pub exhausted: FillLevel,
}

impl Fullness {
    /// The dead letters of one kind.
    pub fn of(&self, kind: DeadLetterKind) -> &FillLevel {
        match kind {
            DeadLetterKind::Poison => &self.poison,
            DeadLetterKind::Exhausted => &self.exhausted,
        }
    }
}

/// How much of one kind of entry is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FillLevel {
    /// The number of entries.
    pub kept: u64,
    /// The bound at which the backend refuses more, such as `100000 of 100000`. `None` while there is room, and where
    /// old entries make room for new ones.
    pub full: Option<CompactString>,
}

/// Why the state backend returned no answer.
#[derive(Debug, Error)]
pub enum StateError {
    /// It is unreachable or overloaded. A later call may succeed.
    #[error("the state backend does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It returned data that cannot be read.
    #[error("the state backend returned unreadable data: {0}")]
    Corrupt(String),
}

/// A name in the state, separate for each namespace and tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateKey(CompactString);

impl StateKey {
    /// A key inside a namespace and tenant. `owner` is the rule the key belongs to, or empty for an action's id. Each
    /// part but the last is prefixed with its length, so that no two combinations of parts give the same key.
    pub fn new(namespace: &str, tenant: &str, owner: &str, name: &str) -> Self {
        let parts = [namespace, tenant, owner];
        let length = parts.iter().map(|part| part.len() + 4).sum::<usize>() + name.len();
        let mut key = String::with_capacity(length);
        for part in parts {
            push_number(&mut key, part.len());
            key.push(':');
            key.push_str(part);
        }
        key.push_str(name);
        Self(key.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Appends `number` in decimal. Formatting would cost more than the rest of the key.
fn push_number(text: &mut String, number: usize) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    let digit = u8::try_from(number % 10).unwrap_or_default();
    text.push(char::from(b'0' + digit));
}

/// A question that rules ask about the state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// How often actions were counted under a key.
    Tally(Tally),
    /// The current state of an event. The key's name is the fingerprint; its owner is empty.
    EventState(StateKey),
    /// Whether an event of a type is active.
    ActiveEvent {
        /// The key's name is the type; its owner is empty.
        event_type: StateKey,
        /// Matches only an event that carries this value.
        value: Option<CompactString>,
    },
}

/// A key under which actions are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tally {
    /// The key. Each window of a key is counted separately.
    pub key: StateKey,
    /// The length of the window that is counted.
    pub within: Duration,
}

/// The answer to a [`Question`], of the same variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Answers [`Question::Tally`].
    Tally(TallyCount),
    /// Answers [`Question::EventState`]. `None` if there is no such event.
    EventState(Option<CompactString>),
    /// Answers [`Question::ActiveEvent`].
    ActiveEvent(bool),
}

/// The count under a key inside its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TallyCount {
    /// How often. Everything inside the window is counted. Entries from the sixteenth of a window before it may be
    /// counted too: the count is never too low, and too high by at most those entries. Zero if `last` is `None`.
    pub count: u64,
    /// The exact age of the last entry. `None` if it is as old as the window or older.
    pub last: Option<Duration>,
}

/// The state of an event, as stored by [`State::track`] and read by questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's namespace.
    pub namespace: CompactString,
    /// The event's tenant.
    pub tenant: CompactString,
    /// Distinguishes the event from others of its namespace and tenant.
    pub fingerprint: CompactString,
    /// The type of the actions that report the event.
    pub event_type: CompactString,
    /// The current state.
    pub state: CompactString,
    /// Whether the event is active, or how long to keep it once it has ended.
    pub phase: EventPhase,
    /// The values of its labels and fingerprint fields. May contain duplicates.
    pub values: Vec<CompactString>,
}

/// Whether an event is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPhase {
    /// The event continues. It is kept until it is tracked as ended.
    Active,
    /// The event has ended. It is forgotten after this time.
    Ended(Duration),
}

/// Selects the dead letters to list.
#[derive(Clone, Debug)]
pub struct DeadLetterQuery {
    /// The scope of the caller.
    pub scope: Scope,
    /// What must hold of them.
    pub filter: LetterFilter,
    /// Continues after this position: the [`DeadLetterPage::next`] of the previous page.
    pub after: Option<u64>,
    /// The maximum page length.
    pub limit: usize,
}

/// One page of dead letters.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterPage {
    /// Most recently stored first, regardless of id and timestamps.
    pub letters: Vec<Arc<DeadLetter>>,
    /// The number of all matching dead letters.
    pub total: u64,
    /// The start of the next page, if there is one. The number decreases from one letter of the listing to the next.
    pub next: Option<u64>,
}

/// The family of state backends.
pub struct States;

impl Family for States {
    const NAME: &'static str = "state backend";
    type Context = StateContext;
    type Product = Arc<dyn State>;
}

/// The context in which a state backend is built.
#[derive(Clone, Copy, Debug, Default)]
pub struct StateContext {
    /// How many dead letters to keep.
    pub dead_letters: DeadLetterBounds,
}
