//! Names as keys of rows: the first 16 bytes of a SHA-256. What a call needs of a slice is taken from it here, so that
//! the thread that writes neither hashes nor encodes.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::DeadLetter;
use acteon_core::encoding::{EncodingError, encode_event, encode_outcome};
use acteon_core::state::{
    Carrying, EventId, EventPhase, EventValue, EventWrite, GRACE_MAX, GroupAppend, GroupKey,
    HeldGroup, Question, Quota, RateLimit, Recall, RememberedOutcome, Reservation, ReservationEnd,
    Settlement, StateKey, Step, Tally, WhenFull,
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
    entry(6, &[event_type.as_str()], value)
}

/// The same, for a value under a name.
fn entry_of_named(event_type: &StateKey, value: &EventValue) -> KeyHash {
    entry(9, &[event_type.as_str(), &value.name], &value.value)
}

/// An event.
pub(crate) fn hashed_event(event: &EventId) -> KeyHash {
    hashed(NameKind::Event, &event.key())
}

/// The groups of a key.
pub(crate) fn hashed_group(key: &GroupKey) -> KeyHash {
    hashed(NameKind::Group, &group_name(key))
}

fn group_name(key: &GroupKey) -> StateKey {
    StateKey::new(&key.namespace, &key.tenant, &key.rule, &key.key)
}

/// A name inside of others, whose lengths separate the parts.
fn entry(kind: u8, outer: &[&str], inner: &str) -> KeyHash {
    let mut hash = Sha256::new();
    hash.update([kind]);
    for part in outer {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
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
    pub(crate) step: Option<HashedStep>,
}

/// A step by its keys.
pub(crate) enum HashedStep {
    Append(HashedAppend),
    Write(HashedWrite),
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

/// A write of an event by its keys.
pub(crate) struct HashedWrite {
    pub(crate) key: KeyHash,
    /// What it is found by, in order. Empty if it has ended.
    pub(crate) entries: Vec<KeyHash>,
    pub(crate) write: EventWrite,
    /// Its record in the encoding of core.
    pub(crate) body: Vec<u8>,
}

/// A question about the state.
pub(crate) enum HashedQuestion {
    Tally(HashedTally),
    EventState {
        event: KeyHash,
        grace: Duration,
    },
    Event(KeyHash),
    ActiveEvent {
        entry: KeyHash,
        /// In nanoseconds.
        grace: i64,
    },
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
    /// Fails if what is stored of its step has no stored form.
    pub(crate) fn of(reservation: &Reservation) -> Result<Self, EncodingError> {
        let step = reservation.step.as_ref();
        Ok(Self {
            hold: HashedReservation::of(reservation),
            step: step.map(HashedStep::of).transpose()?,
        })
    }

    /// The event of its step.
    pub(crate) fn event(&self) -> Option<&KeyHash> {
        match &self.step {
            Some(HashedStep::Write(write)) => Some(&write.key),
            _ => None,
        }
    }
}

impl HashedStep {
    fn of(step: &Step) -> Result<Self, EncodingError> {
        Ok(match step {
            Step::Append(append) => {
                let group = group_name(&append.key);
                Self::Append(HashedAppend {
                    key: hashed_group(&append.key),
                    member: entry(8, &[group.as_str()], &append.member.id),
                    append: GroupAppend::clone(append),
                })
            }
            Step::Write(write) => Self::Write(HashedWrite::of(write)?),
        })
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

impl HashedWrite {
    fn of(write: &EventWrite) -> Result<Self, EncodingError> {
        Ok(Self {
            key: hashed_event(&write.event),
            entries: match write.record.phase {
                EventPhase::Active => active_entries(write),
                EventPhase::Ended(_) => Vec::new(),
            },
            write: write.clone(),
            body: encode_event(&write.record)?,
        })
    }
}

/// The type, and the type with each value, under its name and under any.
fn active_entries(write: &EventWrite) -> Vec<KeyHash> {
    let event_type = write.record.type_key(&write.event);
    let mut entries = vec![hashed(NameKind::EventType, &event_type)];
    for value in &write.record.values {
        entries.push(entry_of_value(&event_type, &value.value));
        entries.push(entry_of_named(&event_type, value));
    }
    entries.sort_unstable();
    entries.dedup();
    entries
}

impl HashedQuestion {
    pub(crate) fn of(question: &Question) -> Self {
        match question {
            Question::Tally(tally) => Self::Tally(HashedTally::of(tally)),
            Question::EventState(asked) => Self::EventState {
                event: hashed(NameKind::Event, &asked.event),
                grace: asked.grace.min(GRACE_MAX),
            },
            Question::Event(name) => Self::Event(hashed(NameKind::Event, name)),
            Question::ActiveEvent(asked) => Self::ActiveEvent {
                entry: match &asked.carrying {
                    Carrying::Anything => hashed(NameKind::EventType, &asked.event_type),
                    Carrying::Value(value) => entry_of_value(&asked.event_type, value),
                    Carrying::Named(value) => entry_of_named(&asked.event_type, value),
                },
                grace: length_of(asked.grace.min(GRACE_MAX)),
            },
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
