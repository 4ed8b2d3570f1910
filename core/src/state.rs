//! The port to the state that all instances share: leases, claims, quotas, tallies, events, dead letters, toggles.
//!
//! Its operations are domain operations over a slice, so that a backend answers a whole batch in one round trip
//! in the best way it has. Time is the backend's own clock.

use std::time::Duration;

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;
use smallvec::SmallVec;
use std::sync::Arc;
use thiserror::Error;

use crate::dead_letter::{DeadLetter, DeadLetterBounds, DeadLetterKind};
use crate::outcome::ActionOutcome;
use crate::registry::Family;
use crate::scope::Scope;

/// A state backend. Every method is atomic per reservation and safe to call from many tasks.
#[async_trait]
pub trait State: Send + Sync {
    /// What this backend promises, printed at start.
    fn capabilities(&self) -> Capabilities;

    /// Answers when the backend can be asked, and tells how full it is.
    async fn ping(&self) -> Result<Fullness, StateError>;

    /// Answers what rules want to know before they decide, in the order of the questions and in one round trip.
    /// Changes nothing.
    async fn gather(&self, questions: &[Question]) -> Result<Vec<Answer>, StateError>;

    /// Tries to take everything each action needs, in the order of the slice, as if one came after the other. An
    /// action gets all it asks for or nothing; the answers stand in the order of the questions. What is taken is
    /// held for `lease` and then falls free unless renewed.
    async fn reserve(
        &self,
        reservations: &[Reservation],
        lease: Duration,
    ) -> Result<Vec<Reserved>, StateError>;

    /// Ends reservations, counts notes and stores dead letters, in one round trip. Repeating a call changes nothing
    /// but that notes count again. A settlement whose fence is no longer in force (its lease was lost) confirms or
    /// releases nothing that belongs to another. A backend at its bound drops notes under new keys, and says so.
    ///
    /// Answers the positions of those settlements whose dead letter found no room, rising; nothing of them was done. What
    /// is to be remembered is kept as [`ActionOutcome::abridged`] gives it, and makes room by itself: it never counts
    /// towards a bound that refuses anything.
    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<usize>, StateError>;

    /// Prolongs what is held to `lease` from now. `false` where the lease was already lost.
    async fn renew(&self, held: &[Held], lease: Duration) -> Result<Vec<bool>, StateError>;

    /// Puts events into the states given, whatever they were in; of two words about one event the last holds. Those of
    /// one call belong together: all or none. None where they would not fit into a backend's bound.
    async fn track(&self, events: &[Event]) -> Result<(), StateError>;

    /// Dead letters inside the query's scope, the last one stored first.
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage, StateError>;

    /// One dead letter, if it is inside the scope.
    async fn dead_letter(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<DeadLetter>>, StateError>;

    /// Deletes one dead letter inside the scope. `false` when there was none.
    async fn delete_dead_letter(&self, scope: &Scope, id: &str) -> Result<bool, StateError>;

    /// Overrides whether the rule of this name is enabled, for every node, across restarts and reloads.
    async fn set_rule_enabled(&self, name: &str, enabled: bool) -> Result<(), StateError>;

    /// All overrides.
    async fn rule_toggles(&self) -> Result<Vec<(CompactString, bool)>, StateError>;
}

/// What a backend promises beyond the contract that all keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Dead letters, confirmed claims, notes and events outlive the process.
    pub durable: bool,
    /// Several processes may share it.
    pub shared: bool,
}

/// How full a backend is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fullness {
    /// Leases, claims and quotas, with what else shares their bound.
    pub keys: Level,
    /// Dead letters that could not be decoded.
    pub poison: Level,
    /// Dead letters that could not be delivered.
    pub exhausted: Level,
}

impl Fullness {
    /// The dead letters of one kind.
    pub fn of(&self, kind: DeadLetterKind) -> &Level {
        match kind {
            DeadLetterKind::Poison => &self.poison,
            DeadLetterKind::Exhausted => &self.exhausted,
        }
    }
}

/// How much of one sort is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// How many.
    pub kept: u64,
    /// The bound at which more is refused, such as `100000 of 100000`; none while there is room, and where old ones make
    /// room for new ones.
    pub full: Option<CompactString>,
}

/// Why the state backend gave no answer.
#[derive(Debug, Error)]
pub enum StateError {
    /// It cannot be reached or is overloaded: asking again later may help.
    #[error("the state backend does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answered what we cannot read.
    #[error("the state backend holds something unreadable: {0}")]
    Corrupt(String),
}

/// A name in the state that one namespace and tenant can never share with another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateKey(CompactString);

impl StateKey {
    /// A key inside a namespace and tenant. `owner` is the rule it belongs to, empty for an action's id. Each part
    /// but the last is preceded by its length, so no content of one part can look like another.
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

/// Appends `number` in decimal: formatting would cost more than all the rest of a key.
fn push_number(text: &mut String, number: usize) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    let digit = u8::try_from(number % 10).unwrap_or_default();
    text.push(char::from(b'0' + digit));
}

/// What rules want to know of the state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// How often actions were noted.
    Tally(Tally),
    /// The state an event is in; the key's name is its fingerprint, its owner is empty.
    EventState(StateKey),
    /// Whether an event of a type is active.
    ActiveEvent {
        /// The key's name is the type, its owner is empty.
        event_type: StateKey,
        /// Only one that carries this value.
        value: Option<CompactString>,
    },
}

/// A key under which actions are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tally {
    /// The key; tallies of one key with different windows are counted apart.
    pub key: StateKey,
    /// How far back is counted.
    pub within: Duration,
}

/// The answer to a [`Question`], of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Tally`].
    Tally(Tallied),
    /// To [`Question::EventState`]: none when there is no such event.
    EventState(Option<CompactString>),
    /// To [`Question::ActiveEvent`].
    ActiveEvent(bool),
}

/// What was noted under a key inside its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// How often. What was noted less than the window ago is counted, and what was noted within a sixteenth of the
    /// window before that may be: never too few, and too many by at most what came in so short a time. Zero when `last`
    /// is none.
    pub count: u64,
    /// How long ago the last time was, exactly; none when that is as long ago as the window or longer.
    pub last: Option<Duration>,
}

/// How an event stands: what [`State::track`] stores and questions are answered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The namespace it belongs to.
    pub namespace: CompactString,
    /// The tenant it belongs to.
    pub tenant: CompactString,
    /// What tells it from others of its namespace and tenant.
    pub fingerprint: CompactString,
    /// The type of the actions that report it.
    pub event_type: CompactString,
    /// The state it is in.
    pub state: CompactString,
    /// Whether it goes on or has ended, and then for how long it is kept.
    pub standing: Standing,
    /// The values it carries: those of its labels and fingerprint fields. One may stand here twice.
    pub values: Vec<CompactString>,
}

/// Whether an event goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It goes on, and is kept until it is told otherwise.
    Active,
    /// It has ended, and is forgotten after so long.
    Ended(Duration),
}

/// All that one action needs before it may be delivered: the lease on its id first, then the claims, then the
/// quotas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// The name of an action whose producer gave it an id.
    pub lease: Option<StateKey>,
    /// Whether an outcome remembered under the lease's key is the answer.
    pub recall: Recall,
    /// Dedup keys, all to be had.
    pub claims: SmallVec<[Claim; 1]>,
    /// Throttles, all to have room, in order.
    pub quotas: Vec<Quota>,
}

impl Reservation {
    /// True when there is nothing to ask the backend for.
    pub fn is_empty(&self) -> bool {
        self.lease.is_none() && self.claims.is_empty() && self.quotas.is_empty()
    }
}

/// Whether a reservation may be answered by what was remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recall {
    /// What was remembered is passed over, and stays.
    #[default]
    No,
    /// What was remembered is the answer.
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
    /// At most so many in any window.
    pub max_count: u32,
    /// The window's length.
    pub window: Duration,
    /// What no room means for the whole reservation.
    pub when_full: WhenFull,
}

/// What no room in a quota means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The reservation is refused.
    Refuse,
    /// The reservation goes on without this place, and the grant says so.
    Note,
}

/// The answer to a [`Reservation`].
#[derive(Clone, Debug)]
pub enum Reserved {
    /// All is held.
    Granted(Grant),
    /// The id was settled before, with this outcome.
    Remembered(Box<ActionOutcome>),
    /// Another holds the id or a dedup key and has not settled yet.
    Busy(Busy),
    /// A dedup key was delivered inside its window.
    Duplicate {
        /// Which of the claims.
        claim: usize,
    },
    /// A quota is full.
    Throttled {
        /// Which of the quotas.
        quota: usize,
        /// When the next one would really pass.
        retry_after: Duration,
    },
    /// The backend is at its bound and holds nothing that may be evicted.
    Full,
}

/// What holds a granted reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Grows with every grant of the backend: an older holder can be told from a younger one.
    pub fence: u64,
    /// When the quotas were charged, on the backend's clock.
    pub charged_at: Timestamp,
    /// Bit `i` is set when quota `i` was full and only noted.
    pub noted_full: u64,
}

/// What to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The key somebody else holds.
    pub key: StateKey,
    /// When it falls free at the latest, unless it is renewed.
    pub expires_in: Duration,
}

/// A reservation in force.
#[derive(Clone, Debug)]
pub struct Held {
    /// What was asked for; shared between its holder and who renews it.
    pub reservation: Arc<Reservation>,
    /// What was granted.
    pub grant: Grant,
}

/// The end of one action.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// What to end, if something was reserved, and how.
    pub held: Option<Held>,
    /// What becomes of the claims and quotas.
    pub end: End,
    /// An outcome to answer again. Where a lease is held, only if that is still in force.
    pub remember: Option<Remember>,
    /// What to keep among the dead letters.
    pub dead_letter: Option<Arc<DeadLetter>>,
    /// Where the action counts, once each, whatever became of it and of its lease. None stands here twice.
    pub notes: Vec<Tally>,
}

/// An outcome to answer again.
#[derive(Clone, Debug)]
pub struct Remember {
    /// The name of the action: that of its lease, where one is held.
    pub under: StateKey,
    /// The outcome.
    pub outcome: ActionOutcome,
    /// For how long.
    pub ttl: Duration,
}

/// What becomes of what was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Claims are confirmed for their ttl, quotas stay charged.
    Confirm,
    /// Claims are released and quotas refunded.
    Release,
}

/// Which dead letters to list.
#[derive(Clone, Debug)]
pub struct DeadLetterQuery {
    /// What the caller may see.
    pub scope: Scope,
    /// Only this kind.
    pub kind: Option<DeadLetterKind>,
    /// Only this namespace.
    pub namespace: Option<CompactString>,
    /// Only this tenant.
    pub tenant: Option<CompactString>,
    /// Go on after this place: [`DeadLetterPage::next`] of the page before.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// One page of dead letters.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterPage {
    /// The last one stored first, whatever its id and its times say.
    pub letters: Vec<Arc<DeadLetter>>,
    /// How many match in all.
    pub total: u64,
    /// Where the next page begins, when there is one: a number that falls from one letter of the listing to the next.
    pub next: Option<u64>,
}

/// The family of state backends.
pub struct States;

impl Family for States {
    const NAME: &'static str = "state backend";
    type Context = StateContext;
    type Product = Arc<dyn State>;
}

/// What a state backend may know when it is built.
#[derive(Clone, Copy, Debug, Default)]
pub struct StateContext {
    /// How many dead letters it keeps.
    pub dead_letters: DeadLetterBounds,
}
