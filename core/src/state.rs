//! The port to the state that all instances share: leases, claims, quotas, tallies, events, dead letters, toggles.
//!
//! Each operation is a domain operation over a slice, so that a backend can answer a whole batch in one round trip in
//! the best way it has. A backend measures time by its own clock.

use std::time::Duration;

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;
use smallvec::SmallVec;
use std::sync::Arc;
use thiserror::Error;

use crate::dead_letter::{DeadLetter, DeadLetterBounds, DeadLetterKind, LetterFilter};
use crate::outcome::ActionOutcome;
use crate::registry::Family;
use crate::scope::Scope;

/// A state backend. Every method is atomic per reservation and may be called from many tasks at once.
#[async_trait]
pub trait State: Send + Sync {
    /// The guarantees of this backend, printed at start.
    fn capabilities(&self) -> Capabilities;

    /// Checks that the backend answers, and reports how full it is.
    async fn ping(&self) -> Result<Fullness, StateError>;

    /// Answers the questions that rules ask before they decide.
    /// - Uses one round trip.
    /// - Answers are in the order of the questions.
    /// - Changes nothing.
    async fn gather(&self, questions: &[Question]) -> Result<Vec<Answer>, StateError>;

    /// Takes everything each action needs.
    /// - Works through the slice in order, as if each reservation were made after the one before.
    /// - Checks a remembered outcome first, then the lease, the claims, the quotas. The first obstacle is the answer.
    /// - Grants all that an action asks for, or nothing.
    /// - Answers are in the order of the reservations.
    /// - A grant holds for `lease` and then expires, unless it is renewed.
    async fn reserve(
        &self,
        reservations: &[Reservation],
        lease: Duration,
    ) -> Result<Vec<ReservationAnswer>, StateError>;

    /// Settles reservations, counts notes and stores dead letters, in one round trip.
    /// - A settlement whose fence is no longer in force (its lease was lost) confirms and releases nothing of another
    ///   holder.
    /// - A delivery that outlived its lease is still confirmed, for at least as long again as the lease, unless another
    ///   holder took the key.
    /// - Repeating a call changes nothing, except that notes count again.
    /// - A backend at its bound drops notes under new keys and reports it.
    /// - Outcomes to remember are stored as [`ActionOutcome::abridged`]. They make room for themselves and never count
    ///   towards a bound that refuses anything.
    /// - A settlement whose dead letter does not fit is not applied at all. The answer lists the positions of these
    ///   settlements, in rising order.
    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<usize>, StateError>;

    /// Extends reservations to `lease` from now.
    /// - Answers `false` for a reservation of which a key was already lost.
    /// - Takes back nothing that was lost.
    async fn renew(
        &self,
        held: &[HeldReservation],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError>;

    /// Sets the state of events.
    /// - Overwrites the previous state, whatever it was.
    /// - If an event appears twice, the last entry wins.
    /// - The events of one call are stored together: all or none. A backend stores none if they would exceed its bound.
    async fn track(&self, events: &[Event]) -> Result<(), StateError>;

    /// Lists the dead letters inside the query's scope, most recently stored first.
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage, StateError>;

    /// Returns one dead letter, if it is inside the scope.
    async fn dead_letter(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<DeadLetter>>, StateError>;

    /// Deletes one dead letter inside the scope. Returns `false` if there was none.
    async fn delete_dead_letter(&self, scope: &Scope, id: &str) -> Result<bool, StateError>;

    /// Enables or disables the rule of this name on every node. The override survives restarts and reloads.
    async fn set_rule_enabled(&self, name: &str, enabled: bool) -> Result<(), StateError>;

    /// Returns all overrides.
    async fn rule_toggles(&self) -> Result<Vec<(CompactString, bool)>, StateError>;
}

/// The guarantees of a backend beyond the common contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Dead letters, confirmed claims, notes and events survive the process.
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
    #[error("the state backend holds something unreadable: {0}")]
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

/// Everything that one action needs before it may be delivered: first the lease on its id, then the claims, then the
/// quotas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// The name of an action whose id came from the producer.
    pub lease: Option<StateKey>,
    /// Whether an outcome remembered under the lease's key answers the reservation.
    pub recall: Recall,
    /// Dedup keys. All must be free.
    pub claims: SmallVec<[Claim; 1]>,
    /// Throttles, in order. All must have room.
    pub quotas: Vec<Quota>,
}

impl Reservation {
    /// True if there is nothing to ask the backend for.
    pub fn is_empty(&self) -> bool {
        self.lease.is_none() && self.claims.is_empty() && self.quotas.is_empty()
    }
}

/// Whether a remembered outcome may answer a reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recall {
    /// The remembered outcome is ignored, and kept.
    #[default]
    No,
    /// The remembered outcome is the answer.
    Yes,
}

/// A dedup key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The key, owned by its rule.
    pub key: StateKey,
    /// How long a delivery is remembered.
    pub ttl: Duration,
}

/// A place in a throttle window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The key, owned by its rule.
    pub key: StateKey,
    /// The maximum count in any window.
    pub max_count: u32,
    /// The length of the window.
    pub window: Duration,
    /// What a full quota does to the whole reservation.
    pub when_full: WhenFull,
}

/// What a full quota does to its reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The reservation is refused.
    Refuse,
    /// The reservation continues without a place in this quota, and the grant records it.
    Continue,
}

/// The answer to a [`Reservation`].
#[derive(Clone, Debug)]
pub enum ReservationAnswer {
    /// Everything is held.
    Granted(Grant),
    /// The id was settled before, with this outcome.
    Remembered(Box<ActionOutcome>),
    /// Another action holds the id or a dedup key and has not settled yet.
    Busy(Busy),
    /// A dedup key was delivered inside its window.
    Duplicate {
        /// The index of the claim.
        claim: usize,
    },
    /// A quota is full.
    Throttled {
        /// The index of the quota.
        quota: usize,
        /// After which time the reservation will really pass.
        retry_after: Duration,
    },
    /// The backend is at its bound, and nothing in it may be evicted.
    Full,
}

/// The proof of a granted reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Increases with every grant of the backend, to distinguish an older holder from a newer one.
    pub fence: u64,
    /// When the quotas were charged, by the backend's clock.
    pub charged_at: Timestamp,
    /// Bit `i` is set if quota `i` was full and [`WhenFull::Continue`] applied.
    pub noted_full: u64,
}

/// The key that a reservation waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The key that another action holds.
    pub key: StateKey,
    /// When the key expires at the latest, unless it is renewed.
    pub expires_in: Duration,
}

/// A reservation in force.
#[derive(Clone, Debug)]
pub struct HeldReservation {
    /// The reservation as requested; shared by its holder and the task that renews it.
    pub reservation: Arc<Reservation>,
    /// The grant.
    pub grant: Grant,
}

/// How one action ended.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The reservation to end, if there was one.
    pub held: Option<HeldReservation>,
    /// Whether claims and quotas are confirmed or released.
    pub end: ReservationEnd,
    /// The outcome to answer again. If a lease is held, it is stored only if that lease was not lost.
    pub remember: Option<RememberedOutcome>,
    /// The dead letter to store.
    pub dead_letter: Option<Arc<DeadLetter>>,
    /// The tallies that count this action, once each, whatever its outcome and even if its lease was lost. No
    /// duplicates.
    pub counts: Vec<Tally>,
}

/// An outcome to answer again.
#[derive(Clone, Debug)]
pub struct RememberedOutcome {
    /// The name of the action: the key of its lease, if one is held.
    pub under: StateKey,
    /// The outcome.
    pub outcome: ActionOutcome,
    /// How long to remember it.
    pub ttl: Duration,
}

/// What happens to the claims and quotas of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationEnd {
    /// Claims are confirmed for their ttl. Quotas stay charged.
    Confirm,
    /// Claims are released and quotas refunded.
    Release,
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
