//! Lists the keys of each item of a call in a fixed order, and takes them off the list in the same order.

use acteon_core::state::{Carrying, Question, RateLimit, Recall, Reservation, Settlement, Step};

use crate::key::{HashedKey, Hashing, KeyKind};
use crate::table::nanos;

/// The keys of one reservation.
#[derive(Clone, Copy)]
pub(crate) struct ReservationKeys<'a> {
    pub(crate) lease: Option<HashedKey>,
    /// Where an outcome that answers it is remembered.
    pub(crate) recall: Option<HashedKey>,
    pub(crate) claims: &'a [HashedKey],
    pub(crate) quotas: &'a [HashedKey],
    /// The event of its step.
    pub(crate) event: Option<HashedKey>,
}

impl<'a> ReservationKeys<'a> {
    /// Takes the keys of `reservation` off the front of `rest`.
    pub(crate) fn of(reservation: &Reservation, rest: &mut &'a [HashedKey]) -> Self {
        let lease = usize::from(reservation.lease.is_some());
        let lease = take(lease, rest).first().copied();
        let writes = matches!(reservation.step, Some(Step::Write(_)));
        Self {
            lease,
            recall: match reservation.recall {
                Recall::No => None,
                Recall::Yes => lease,
                Recall::Under(_) => take(1, rest).first().copied(),
            },
            claims: take(reservation.claims.len(), rest),
            quotas: take(reservation.quotas.len(), rest),
            event: take(usize::from(writes), rest).first().copied(),
        }
    }
}

/// The keys of one settlement.
#[derive(Clone, Copy)]
pub(crate) struct SettlementKeys<'a> {
    /// Of the reservation that it ends.
    pub(crate) held: Option<ReservationKeys<'a>>,
    /// Where its outcome is remembered, if it ends no reservation.
    pub(crate) remembered: Option<HashedKey>,
    pub(crate) tallies: &'a [HashedKey],
}

impl<'a> SettlementKeys<'a> {
    /// Takes the keys of `settlement` off the front of `rest`.
    pub(crate) fn of(settlement: &Settlement, rest: &mut &'a [HashedKey]) -> Self {
        let held = settlement.held.as_deref();
        let held = held.map(|held| ReservationKeys::of(held, rest));
        let remembers = settlement.remember.is_some() && held.is_none();
        Self {
            held,
            remembered: take(usize::from(remembers), rest).first().copied(),
            tallies: take(settlement.counts.len(), rest),
        }
    }
}

/// Takes `count` keys off the front of `rest`.
pub(crate) fn take<'a>(count: usize, rest: &mut &'a [HashedKey]) -> &'a [HashedKey] {
    let (taken, left) = rest.split_at(count.min(rest.len()));
    *rest = left;
    taken
}

impl Hashing {
    /// [`ReservationKeys::of`] takes these keys off again.
    pub(crate) fn reservation(&self, reservation: &Reservation, into: &mut Vec<HashedKey>) {
        if let Some(lease) = &reservation.lease {
            into.push(self.key(KeyKind::Lease, lease));
        }
        if let Recall::Under(key) = &reservation.recall {
            into.push(self.key(KeyKind::Lease, key));
        }
        for claim in &reservation.claims {
            into.push(self.key(KeyKind::Claim, &claim.key));
        }
        for quota in &reservation.quotas {
            into.push(self.key(KeyKind::Quota(nanos(quota.window)), &quota.key));
        }
        if let Some(Step::Write(write)) = &reservation.step {
            into.push(self.event(write));
        }
    }

    /// [`SettlementKeys::of`] takes these keys off again.
    pub(crate) fn settlement(&self, settlement: &Settlement, into: &mut Vec<HashedKey>) {
        if let Some(held) = &settlement.held {
            self.reservation(held, into);
        }
        if let Some(remember) = &settlement.remember
            && settlement.held.is_none()
        {
            into.push(self.key(KeyKind::Lease, &remember.under));
        }
        for tally in &settlement.counts {
            into.push(self.key(KeyKind::Tally(nanos(tally.within)), &tally.key));
        }
    }

    /// One key. A limit is a quota that is not held.
    pub(crate) fn limit(&self, limit: &RateLimit, into: &mut Vec<HashedKey>) {
        into.push(self.key(KeyKind::Quota(nanos(limit.window)), &limit.key));
    }

    /// One key.
    pub(crate) fn question(&self, question: &Question, into: &mut Vec<HashedKey>) {
        into.push(match question {
            Question::Tally(tally) => self.key(KeyKind::Tally(nanos(tally.within)), &tally.key),
            Question::EventState(asked) => self.key(KeyKind::Event, &asked.event),
            Question::Event(event) => self.key(KeyKind::Event, event),
            Question::ActiveEvent(asked) => match &asked.carrying {
                Carrying::Anything => self.key(KeyKind::EventType, &asked.event_type),
                Carrying::Value(value) => self.value(&asked.event_type, value),
                Carrying::Named(value) => self.named_value(&asked.event_type, value),
            },
        });
    }
}
