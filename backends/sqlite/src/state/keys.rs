//! Names as keys of rows: the first 16 bytes of a SHA-256. What a call needs of a slice is taken from it here, so that
//! the thread that writes neither hashes nor encodes.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::DeadLetter;
use acteon_core::encoding::encode_outcome;
use acteon_core::state::{
    Event, EventPhase, GroupAppend, GroupKey, HeldGroup, Question, Quota, RateLimit, Recall,
    RememberedOutcome, Reservation, ReservationEnd, Settlement, StateKey, Step, Tally, WhenFull,
};
use compact_str::CompactString;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::time::length_of;

/// A name, hashed.
pub(crate) type KeyHash = [u8; 16];

/// The kind of a name. The same name under two kinds gives two keys.
#[derive(Clone, Copy)]
pub(crate) enum NameKind {
    Lease,
    Claim,
    /// A window of this many nanoseconds. A rule whose window changes starts from zero.
    Quota(i64),
    /// The same for a tally.
    Tally(i64),
    /// An event, by its fingerprint.
    Event,
    /// The active events of a type.
    EventType,
    /// The groups of a key.
    Group,
}

impl NameKind {
    fn tag(self) -> [u8; 9] {
        let (kind, window) = match self {
            Self::Lease => (0, 0),
            Self::Claim => (1, 0),
            Self::Quota(window) => (2, window),
            Self::Tally(window) => (3, window),
            Self::Event => (4, 0),
            Self::EventType => (5, 0),
            Self::Group => (7, 0),
        };
        let [a, b, c, d, e, f, g, h] = window.to_be_bytes();
        [kind, a, b, c, d, e, f, g, h]
    }
}

/// The key of a name.
pub(crate) fn hashed(kind: NameKind, name: &StateKey) -> KeyHash {
    let mut hash = Sha256::new();
    hash.update(kind.tag());
    hash.update(name.as_str());
    first_half(&hash.finalize())
}

/// What the active events of a type with a value are found by.
fn entry_of_value(event_type: &StateKey, value: &str) -> KeyHash {
    entry(6, event_type, value)
}

/// The groups of a key.
pub(crate) fn hashed_group(key: &GroupKey) -> KeyHash {
    hashed(NameKind::Group, &group_name(key))
}

fn group_name(key: &GroupKey) -> StateKey {
    StateKey::new(&key.namespace, &key.tenant, &key.rule, &key.key)
}

/// A name inside of another one, whose length separates the two parts.
fn entry(kind: u8, outer: &StateKey, inner: &str) -> KeyHash {
    let outer = outer.as_str();
    let mut hash = Sha256::new();
    hash.update([kind]);
    hash.update((outer.len() as u64).to_be_bytes());
    hash.update(outer);
    hash.update(inner);
    first_half(&hash.finalize())
}

fn first_half(hash: &[u8]) -> KeyHash {
    let mut key = KeyHash::default();
    key.copy_from_slice(&hash[..16]);
    key
}

/// A reservation by its keys.
pub(crate) struct HashedReservation {
    pub(crate) token: KeyHash,
    pub(crate) lease: Option<KeyHash>,
    /// Where an outcome that answers it is remembered.
    pub(crate) recall: Option<KeyHash>,
    pub(crate) claims: SmallVec<[HashedClaim; 1]>,
    pub(crate) quotas: Vec<HashedQuota>,
}

/// A reservation by its keys, and what it changes if it is granted.
pub(crate) struct HashedRequest {
    pub(crate) hold: HashedReservation,
    pub(crate) append: Option<HashedAppend>,
}

/// A member by its keys.
pub(crate) struct HashedAppend {
    pub(crate) key: KeyHash,
    /// The member in the groups of this key.
    pub(crate) member: KeyHash,
    pub(crate) append: GroupAppend,
}

/// A taken group by its keys.
pub(crate) struct HashedHeld {
    pub(crate) key: KeyHash,
    pub(crate) id: CompactString,
    pub(crate) token: KeyHash,
}

/// An event by its keys.
pub(crate) struct HashedEvent {
    pub(crate) key: KeyHash,
    /// What it is found by while it is active.
    pub(crate) entries: Vec<KeyHash>,
    /// How long it is kept, in nanoseconds, if it has ended.
    pub(crate) retention: Option<i64>,
    pub(crate) event: Event,
}

/// A question about the state.
pub(crate) enum HashedQuestion {
    Tally(HashedTally),
    EventState(KeyHash),
    ActiveEvent(KeyHash),
}

/// A dedup key.
pub(crate) struct HashedClaim {
    pub(crate) key: KeyHash,
    /// In nanoseconds.
    pub(crate) ttl: i64,
}

/// A place in a throttle window.
#[derive(Clone, Copy)]
pub(crate) struct HashedQuota {
    pub(crate) key: KeyHash,
    pub(crate) max_count: u32,
    /// In nanoseconds.
    pub(crate) window: i64,
    pub(crate) when_full: WhenFull,
}

/// A tally and its window in nanoseconds.
pub(crate) struct HashedTally {
    pub(crate) key: KeyHash,
    pub(crate) window: i64,
}

/// A settlement by its keys.
pub(crate) struct HashedSettlement {
    pub(crate) held: Option<HashedReservation>,
    pub(crate) end: ReservationEnd,
    pub(crate) remember: Option<EncodedOutcome>,
    pub(crate) dead_letter: Option<Arc<DeadLetter>>,
    pub(crate) counts: Vec<HashedTally>,
}

/// An outcome to remember.
pub(crate) struct EncodedOutcome {
    pub(crate) under: KeyHash,
    pub(crate) body: Vec<u8>,
    /// In nanoseconds.
    pub(crate) ttl: i64,
}

impl HashedReservation {
    pub(crate) fn of(reservation: &Reservation) -> Self {
        let lease = reservation.lease.as_ref();
        let lease = lease.map(|name| hashed(NameKind::Lease, name));
        let claims = reservation.claims.iter();
        Self {
            token: reservation.token.to_bytes(),
            lease,
            recall: match &reservation.recall {
                Recall::No => None,
                Recall::Yes => lease,
                Recall::Under(name) => Some(hashed(NameKind::Lease, name)),
            },
            claims: claims
                .map(|claim| HashedClaim {
                    key: hashed(NameKind::Claim, &claim.key),
                    ttl: length_of(claim.ttl),
                })
                .collect(),
            quotas: reservation.quotas.iter().map(HashedQuota::of).collect(),
        }
    }

    /// The lease and the claims.
    pub(crate) fn names(&self) -> impl Iterator<Item = &KeyHash> {
        let claims = self.claims.iter().map(|claim| &claim.key);
        self.lease.iter().chain(claims)
    }
}

impl HashedRequest {
    pub(crate) fn of(reservation: &Reservation) -> Self {
        let append = reservation.step.as_ref().map(|step| {
            let Step::Append(append) = step;
            HashedAppend {
                key: hashed_group(&append.key),
                member: entry(8, &group_name(&append.key), &append.member.id),
                append: GroupAppend::clone(append),
            }
        });
        Self {
            hold: HashedReservation::of(reservation),
            append,
        }
    }
}

impl HashedHeld {
    pub(crate) fn of(held: &HeldGroup) -> Self {
        Self {
            key: hashed_group(&held.name.key),
            id: held.name.id.clone(),
            token: held.token.to_bytes(),
        }
    }
}

impl HashedEvent {
    pub(crate) fn of(event: &Event) -> Self {
        let Event {
            namespace, tenant, ..
        } = event;
        let key = |name: &str| StateKey::new(namespace, tenant, "", name);
        let event_type = key(&event.event_type);
        let values = event.values.iter();
        let mut entries: Vec<_> = values
            .map(|value| entry_of_value(&event_type, value))
            .collect();
        entries.push(hashed(NameKind::EventType, &event_type));
        entries.sort_unstable();
        entries.dedup();
        Self {
            key: hashed(NameKind::Event, &key(&event.fingerprint)),
            entries,
            retention: match event.phase {
                EventPhase::Active => None,
                EventPhase::Ended(retention) => Some(length_of(retention)),
            },
            event: event.clone(),
        }
    }
}

impl HashedQuestion {
    pub(crate) fn of(question: &Question) -> Self {
        match question {
            Question::Tally(tally) => Self::Tally(HashedTally::of(tally)),
            Question::EventState(name) => Self::EventState(hashed(NameKind::Event, name)),
            Question::ActiveEvent { event_type, value } => Self::ActiveEvent(match value {
                None => hashed(NameKind::EventType, event_type),
                Some(value) => entry_of_value(event_type, value),
            }),
        }
    }
}

impl HashedQuota {
    fn of(quota: &Quota) -> Self {
        let window = window_of(quota.window);
        Self {
            key: hashed(NameKind::Quota(window), &quota.key),
            max_count: quota.max_count,
            window,
            when_full: quota.when_full,
        }
    }

    /// A limit is a quota that is not held.
    pub(crate) fn of_limit(limit: &RateLimit) -> Self {
        let window = window_of(limit.window);
        Self {
            key: hashed(NameKind::Quota(window), &limit.key),
            max_count: limit.max_count,
            window,
            when_full: WhenFull::Refuse,
        }
    }
}

impl HashedTally {
    pub(crate) fn of(tally: &Tally) -> Self {
        let window = window_of(tally.within);
        Self {
            key: hashed(NameKind::Tally(window), &tally.key),
            window,
        }
    }
}

impl HashedSettlement {
    pub(crate) fn of(settlement: &Settlement) -> Self {
        Self {
            held: settlement.held.as_deref().map(HashedReservation::of),
            end: settlement.end,
            remember: settlement.remember.as_ref().and_then(EncodedOutcome::of),
            dead_letter: settlement.dead_letter.clone(),
            counts: settlement.counts.iter().map(HashedTally::of).collect(),
        }
    }
}

impl EncodedOutcome {
    /// `None` if the outcome has no stored form. To remember it is a courtesy.
    fn of(remember: &RememberedOutcome) -> Option<Self> {
        Some(Self {
            under: hashed(NameKind::Lease, &remember.under),
            body: encode_outcome(&remember.outcome.abridged()).ok()?,
            ttl: length_of(remember.ttl),
        })
    }
}

/// At least a nanosecond.
fn window_of(window: Duration) -> i64 {
    length_of(window).max(1)
}
