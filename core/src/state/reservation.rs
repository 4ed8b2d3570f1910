//! What an action reserves in the state before its delivery, the answer, and the settlement after it.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::{Appended, EventWrite, GroupAppend, StateKey, StoredEvent, Tally, Token};
use crate::dead_letter::DeadLetter;
use crate::outcome::ActionOutcome;

/// Everything that one action needs before it may be delivered: first the lease on its id, then the claims, then the
/// quotas, then its step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// The name of the hold. Whoever asks gives it a new one, and repeats it to ask the same again.
    pub token: Token,
    /// The name of an action whose id came from the producer.
    pub lease: Option<StateKey>,
    /// Whether a remembered outcome answers the reservation.
    pub recall: Recall,
    /// Dedup keys. All must be free.
    pub claims: SmallVec<[Claim; 1]>,
    /// Throttles, in order. All must have room.
    pub quotas: Vec<Quota>,
    /// A change that is made if everything else is granted. It stays whatever happens to the hold.
    pub step: Option<Step>,
}

impl Reservation {
    /// True if there is nothing to ask the backend for.
    pub fn is_empty(&self) -> bool {
        let recalls = matches!(self.recall, Recall::Under(_));
        let holds = self.lease.is_some() || !self.claims.is_empty() || !self.quotas.is_empty();
        !recalls && !holds && self.step.is_none()
    }
}

/// Whether a remembered outcome may answer a reservation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Recall {
    /// The remembered outcome is ignored, and kept.
    #[default]
    No,
    /// The outcome remembered under the lease's key is the answer.
    Yes,
    /// The outcome remembered under this key is the answer. Nothing is leased.
    Under(StateKey),
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
    /// The reservation continues without a place in this quota, and [`Grant::was_full`] reports it. Only for the first
    /// [`QUOTAS_MAX`] quotas; a later one refuses.
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
    /// The event of its step has another version than expected. `None`: there is no such event.
    Conflict(Option<Arc<StoredEvent>>),
    /// The backend is at its bound, and nothing in it may be evicted.
    Full,
}

/// What a granted reservation got. A hold is renewed and ended by its reservation alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Bit `i` is set if quota `i` was full and [`WhenFull::Continue`] applied.
    pub full_quotas: u64,
    /// What the step has done, if there was one.
    pub step: Option<StepAnswer>,
}

/// The maximum number of quotas of one reservation: the bits of a grant.
pub const QUOTAS_MAX: usize = u64::BITS as usize;

impl Grant {
    /// True if this quota was full and the reservation continued without a place in it.
    pub fn was_full(&self, quota: usize) -> bool {
        quota < QUOTAS_MAX && self.full_quotas >> quota & 1 == 1
    }

    /// True if any quota was full.
    pub fn was_any_full(&self) -> bool {
        self.full_quotas != 0
    }
}

/// The key that a reservation waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The key that another action holds.
    pub key: StateKey,
    /// When the key expires at the latest, unless it is renewed.
    pub expires_in: Duration,
}

/// How one action ended. The default ends no reservation and stores nothing.
#[derive(Clone, Debug, Default)]
pub struct Settlement {
    /// The reservation to end, if there was one; shared by its holder and the task that renews it.
    pub held: Option<Arc<Reservation>>,
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

impl Settlement {
    /// Ends a reservation.
    pub fn of(held: Arc<Reservation>, end: ReservationEnd) -> Self {
        Self {
            held: Some(held),
            end,
            ..Self::default()
        }
    }

    /// Stores a dead letter.
    pub fn storing(letter: Arc<DeadLetter>) -> Self {
        Self {
            dead_letter: Some(letter),
            ..Self::default()
        }
    }

    /// Counts an action, and nothing else.
    pub fn counting(counts: Vec<Tally>) -> Self {
        Self {
            counts,
            ..Self::default()
        }
    }
}

/// The result of a [`Settlement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettlementAnswer {
    /// It is applied.
    Applied,
    /// There is no room for its dead letter. Nothing of it is applied.
    NoRoom,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReservationEnd {
    /// Claims are confirmed for their ttl. Quotas stay charged.
    Confirm,
    /// Claims are released and quotas refunded.
    #[default]
    Release,
}

impl From<&ActionOutcome> for ReservationEnd {
    /// A delivery and a reported event confirm, and so does joining a group, which delivers later; anything else
    /// releases.
    fn from(outcome: &ActionOutcome) -> Self {
        let is_kept = matches!(
            outcome,
            ActionOutcome::Grouped { .. } | ActionOutcome::StateChanged { .. }
        );
        match is_kept || outcome.is_delivered() {
            true => Self::Confirm,
            false => Self::Release,
        }
    }
}

/// A change in the state that a reservation makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Adds a member to a group.
    Append(Box<GroupAppend>),
    /// Writes an event.
    Write(Box<EventWrite>),
}

/// What a [`Step`] has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepAnswer {
    /// The member is in this group.
    Appended(Appended),
    /// The event has this version.
    Written {
        /// The version.
        version: u64,
    },
}
