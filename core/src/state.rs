//! The port to the state that all instances share. Each operation is a domain operation over a slice, so that a backend
//! can answer a whole batch in one round trip in the best way it has. A backend measures time by its own clock. The
//! clauses that a method names are the tests of the contract in `tests/testkit`; every backend runs them.

mod dead_letters;
mod event;
mod events;
mod group;
mod groups;
mod holds;
mod limit;
mod question;
mod reservation;
mod silences;
mod timers;
mod token;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use compact_str::{CompactString, format_compact};
use thiserror::Error;

pub use self::dead_letters::{DeadLetterPage, DeadLetterQuery, DeadLetters};
pub use self::event::{
    ActiveEventQuestion, Carrying, EventEnd, EventId, EventPhase, EventRecord, EventStateQuestion,
    EventValue, EventWrite, GRACE_MAX, StoredEvent,
};
pub use self::events::{EventCursor, EventFilter, EventPage, EventQuery, Events};
pub use self::group::{
    Appended, CLOSED_GROUP_TTL, EARLY_SEALS_MAX, GROUP_BYTES_MAX, GROUP_NOTIFICATION, GroupAppend,
    GroupEnd, GroupFinish, GroupKey, GroupMember, GroupName, GroupPage, GroupQuery, GroupStatus,
    GroupTerms, GroupTiming, HeldGroup, MemberPage, SUMMARY_STREAM, StoredGroup, TakenGroup,
};
pub use self::groups::Groups;
pub use self::holds::Holds;
pub use self::limit::{LimitAnswer, RateLimit};
pub use self::question::{Answer, Gathered, Question, Tally, TallyCount};
pub use self::reservation::{
    Busy, Claim, Grant, QUOTAS_MAX, Quota, Recall, RememberedOutcome, Reservation,
    ReservationAnswer, ReservationEnd, Settlement, SettlementAnswer, Step, StepAnswer, WhenFull,
};
pub use self::silences::{
    EXPIRED_SILENCE_TTL, LiveSilences, SilenceAnswer, SilencePage, SilenceQuery, SilenceWrite,
    Silences, StoredSilence,
};
pub use self::timers::{DueWork, Timers};
pub use self::token::Token;
use crate::clock::Clock;
use crate::dead_letter::{DeadLetterBounds, DeadLetterKind};
use crate::registry::{Embedded, Family};

/// A state backend. May be called from many tasks at once. A caller may stop waiting for any call; the backend may then
/// have done it or not.
/// - Each reservation is granted or refused as a whole, whatever others do meanwhile. Clauses:
///   `random_interleavings_follow_the_naive_model`, `of_64_tasks_that_want_the_same_key_one_wins`,
///   `a_quota_holds_against_64_tasks_at_once`.
/// - Namespaces, tenants and rules have separate keys. Clauses:
///   `names_of_other_tenants_namespaces_and_rules_never_meet`,
///   `tallies_of_other_keys_windows_tenants_and_namespaces_are_apart`,
///   `other_values_types_tenants_and_namespaces_are_not_active`.
/// - Instances that share a backend see each other's changes. Clauses: `instances_see_what_others_hold`,
///   `instances_see_what_others_count_and_write`, `instances_see_each_others_silences`.
/// - No answer depends on the clock of the caller. Clause:
///   `an_instance_whose_clock_is_ten_minutes_off_gets_the_same_answers`.
/// - A [durable](Capabilities::durable) backend keeps dead letters, confirmed claims, counts, events and silences across
///   a restart. Clauses: `what_was_confirmed_survives_where_it_is_durable`,
///   `counts_and_events_survive_where_they_are_durable`, `silences_survive_where_they_are_durable`,
///   `dead_letters_survive_where_they_are_durable`.
#[async_trait]
pub trait State: Holds + Groups + Events + Timers + Silences + DeadLetters + Toggles {
    /// The guarantees of this backend, printed at start.
    fn capabilities(&self) -> Capabilities;

    /// The file that the server opens and closes, if the state is in one.
    fn embedded(&self) -> Option<Arc<dyn Embedded>> {
        None
    }

    /// Checks that the backend answers.
    /// - Reports how full it is. Clause: `a_backend_tells_how_full_it_is`.
    async fn ping(&self) -> Result<Fullness, StateError>;
}

/// Overrides whether a rule is enabled.
#[async_trait]
pub trait Toggles: Send + Sync {
    /// Enables or disables the rule of this name on every node. The override survives restarts and reloads. Clause:
    /// `a_toggle_holds_until_it_is_set_anew`.
    async fn set_rule_enabled(&self, name: &str, enabled: bool) -> Result<(), StateError>;

    /// Returns all overrides.
    async fn rule_toggles(&self) -> Result<Vec<(CompactString, bool)>, StateError>;
}

/// The guarantees of a backend beyond the common contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Dead letters, confirmed claims, counts, events and silences survive the process.
    pub durable: bool,
    /// Several processes may share the backend.
    pub shared: bool,
    /// What is lost when a server of the backend is replaced by another.
    pub failover: Failover,
    /// How many processes may write at the same time.
    pub writers: Writers,
    /// The length of the longest value that it stores in one piece. A longer one is stored in parts, never cut.
    pub value_bytes_max: usize,
    /// Whether pages have an exact [total](DeadLetterPage::total).
    pub totals: bool,
}

/// What is lost when a server of a backend is replaced by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// Nothing that was answered, or the backend has no servers to replace.
    Strong,
    /// The last leases and claims, so that an action may be delivered twice.
    MayLoseLeases,
}

impl Failover {
    /// The name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::MayLoseLeases => "may_lose_leases",
        }
    }
}

/// How many processes may write to a backend at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// Any number.
    Many,
    /// One. Others may read.
    One,
}

impl Writers {
    /// The name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Many => "many",
            Self::One => "one",
        }
    }
}

/// How full a backend is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fullness {
    /// Leases, claims, quotas, and everything else that counts towards the same bound.
    pub keys: FillLevel,
    /// The bytes of groups and their members.
    pub groups: FillLevel,
    /// Dead letters that could not be decoded.
    pub poison: FillLevel,
    /// Dead letters that could not be delivered.
    pub exhausted: FillLevel,
}

/// While less than this is left of the bound on groups, they count as full.
const GROUP_ROOM_BYTES: u64 = 4096;

impl FillLevel {
    /// The level of groups that take this many bytes.
    pub fn of_groups(bytes: u64, bytes_max: u64) -> Self {
        let is_full = bytes + GROUP_ROOM_BYTES > bytes_max;
        Self {
            kept: bytes,
            full: is_full.then(|| format_compact!("{bytes} of {bytes_max} bytes of groups")),
        }
    }
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
    /// The number of entries, or of bytes.
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

    /// The namespace and the tenant, for a backend that keeps the keys of each together.
    pub fn namespace_and_tenant(&self) -> [&str; 2] {
        let (namespace, rest) = first_part(&self.0);
        [namespace, first_part(rest).0]
    }
}

/// The first part of a key, and the others.
fn first_part(key: &str) -> (&str, &str) {
    let (length, rest) = key.split_once(':').unwrap_or_default();
    let length = length.parse().unwrap_or_default();
    rest.split_at_checked(length).unwrap_or_default()
}

/// Appends `number` in decimal. Formatting would cost more than the rest of the key.
fn push_number(text: &mut String, number: usize) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    let digit = u8::try_from(number % 10).unwrap_or_default();
    text.push(char::from(b'0' + digit));
}

/// The family of state backends.
pub struct States;

impl Family for States {
    const NAME: &'static str = "state backend";
    type Context = StateContext;
    type Product = Arc<dyn State>;
}

/// The context in which a state backend is built.
#[derive(Clone, Debug)]
pub struct StateContext {
    /// How many dead letters to keep.
    pub dead_letters: DeadLetterBounds,
    /// The clock of a backend that runs in this process. Others have their own.
    pub clock: Clock,
    /// How long a closed group is listed, and its members are known.
    pub closed_groups: Duration,
    /// The folder of the configuration file, to which paths are relative.
    pub folder: PathBuf,
}

impl Default for StateContext {
    fn default() -> Self {
        Self {
            dead_letters: DeadLetterBounds::default(),
            clock: Clock::default(),
            closed_groups: CLOSED_GROUP_TTL,
            folder: PathBuf::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_its_namespace_and_tenant_whatever_they_contain() {
        let names = [
            ["ns", "t1"],
            ["", ""],
            ["a:b", "3:c"],
            ["é", "12:"],
            ["0:", "0"],
        ];
        for [namespace, tenant] in names {
            let key = StateKey::new(namespace, tenant, "rule", "1:name");
            assert_eq!(key.namespace_and_tenant(), [namespace, tenant], "{key:?}");
        }
    }
}
