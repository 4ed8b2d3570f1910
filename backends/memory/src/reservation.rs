//! Handles one reservation under locked shards: grants or refuses it as a whole, renews it, and settles it.

use std::time::Duration;

use acteon_core::state::{
    Busy, Grant, HeldReservation, QUOTAS_MAX, Quota, RememberedOutcome, Reservation,
    ReservationAnswer, ReservationEnd, Settlement, WhenFull,
};

use crate::key::HashedKey;
use crate::keys::ReservationKeys;
use crate::quota::QuotaBound;
use crate::record::KeyStatus;
use crate::refunds::Charge;
use crate::shards::Locked;
use crate::table::nanos;

impl Locked<'_> {
    pub(crate) fn reserve(
        &mut self,
        asked: &Reservation,
        keys: ReservationKeys<'_>,
        lease: Duration,
    ) -> ReservationAnswer {
        if let Some(answer) = self.recalled(keys).or_else(|| self.taken(asked, keys)) {
            return answer;
        }
        let full_quotas = match self.room(asked, keys) {
            Ok(full_quotas) => full_quotas,
            Err(throttled) => return throttled,
        };
        if !self.fits(keys) {
            return ReservationAnswer::Full;
        }
        let grant = Grant {
            fence: self.next_fence(),
            charged_at: self.at,
            full_quotas,
        };
        self.take(asked, keys, grant, lease);
        ReservationAnswer::Granted(grant)
    }

    pub(crate) fn renew(
        &mut self,
        held: &HeldReservation,
        keys: ReservationKeys<'_>,
        lease: Duration,
    ) -> bool {
        let fence = held.grant.fence;
        let now = self.now;
        let until = now.saturating_add(nanos(lease));
        let mut all = true;
        for key in names(keys) {
            all &= self.shard(key).prolong(key, fence, now, until);
        }
        all
    }

    /// `charged` is the time at which its quotas were charged, in nanoseconds since the start.
    pub(crate) fn settle(
        &mut self,
        settlement: &Settlement,
        held: &HeldReservation,
        keys: ReservationKeys<'_>,
        charged: u64,
    ) {
        let fence = held.grant.fence;
        let remembers = keys.lease.is_none_or(|key| self.end(key, fence, None));
        if let Some(key) = keys.lease.or(keys.recall)
            && remembers
            && let Some(remember) = &settlement.remember
        {
            self.remember(remember, key);
        }
        for (claim, key) in held.reservation.claims.iter().zip(keys.claims) {
            let left = (settlement.end == ReservationEnd::Confirm)
                .then_some((KeyStatus::Confirmed, claim.ttl));
            self.end(*key, fence, left);
        }
        if settlement.end == ReservationEnd::Release {
            self.refund(held, keys, charged);
        }
    }

    /// Stores an outcome under `key`, to be answered again.
    pub(crate) fn remember(&mut self, remember: &RememberedOutcome, key: HashedKey) {
        let now = self.now;
        let until = now.saturating_add(nanos(remember.ttl));
        let outcome = remember.outcome.abridged();
        self.shard(key).remember(key, outcome, now, until);
    }

    /// The remembered outcome, if it may be the answer.
    fn recalled(&mut self, keys: ReservationKeys<'_>) -> Option<ReservationAnswer> {
        let key = keys.recall?;
        let now = self.now;
        let outcome = self.shard(key).recall(key, now)?;
        Some(ReservationAnswer::Remembered(Box::new(outcome.clone())))
    }

    /// The answer if the lease or a claim is already taken.
    fn taken(
        &mut self,
        asked: &Reservation,
        keys: ReservationKeys<'_>,
    ) -> Option<ReservationAnswer> {
        let now = self.now;
        let claims = asked.claims.iter().map(|claim| &claim.key);
        let named = asked.lease.iter().chain(claims).zip(names(keys));
        for (at, (name, key)) in named.enumerate() {
            let Some(record) = self.shard(key).in_force(key, now) else {
                continue;
            };
            return Some(match &record.status {
                KeyStatus::Pending(_) => ReservationAnswer::Busy(Busy {
                    key: name.clone(),
                    expires_in: Duration::from_nanos(record.until - now),
                }),
                KeyStatus::Confirmed => ReservationAnswer::Duplicate {
                    claim: at - usize::from(asked.lease.is_some()),
                },
            });
        }
        None
    }

    /// The full quotas as bits of a grant, or the wait until no quota refuses.
    fn room(
        &mut self,
        asked: &Reservation,
        keys: ReservationKeys<'_>,
    ) -> Result<u64, ReservationAnswer> {
        let now = self.now;
        let mut full = 0;
        let mut refused = None;
        for (at, (quota, key)) in asked.quotas.iter().zip(keys.quotas).enumerate() {
            // The same key twice in one reservation takes two places.
            let before = keys
                .quotas
                .iter()
                .take(at)
                .filter(|other| *other == key)
                .count();
            let before = u32::try_from(before).unwrap_or(u32::MAX);
            let Some(wait) = self
                .shard(*key)
                .quota_wait(*key, bound_of(quota), now, before)
            else {
                continue;
            };
            if quota.when_full == WhenFull::Continue && at < QUOTAS_MAX {
                full |= 1 << at;
            } else {
                let (first, longest) = refused.unwrap_or((at, wait));
                refused = Some((first, longest.max(wait)));
            }
        }
        match refused {
            None => Ok(full),
            Some((quota, wait)) => Err(ReservationAnswer::Throttled {
                quota,
                retry_after: Duration::from_nanos(wait),
            }),
        }
    }

    fn fits(&mut self, keys: ReservationKeys<'_>) -> bool {
        let now = self.now;
        names(keys).all(|key| self.shard(key).fits_record(key, now))
            && keys
                .quotas
                .iter()
                .all(|key| self.shard(*key).fits_quota(*key, now))
    }

    fn take(
        &mut self,
        asked: &Reservation,
        keys: ReservationKeys<'_>,
        grant: Grant,
        lease: Duration,
    ) {
        let now = self.now;
        let until = now.saturating_add(nanos(lease));
        for key in names(keys) {
            self.shard(key).take(key, grant.fence, now, until);
        }
        for (at, key) in charged(asked, keys, grant) {
            self.shard(key)
                .charge(key, bound_of(&asked.quotas[at]), now);
        }
    }

    /// Ends the hold of `fence` under `key`, leaving a status for a while, or nothing. False if the fence holds
    /// nothing there.
    fn end(&mut self, key: HashedKey, fence: u64, left: Option<(KeyStatus, Duration)>) -> bool {
        let now = self.now;
        let left = left.map(|(status, ttl)| (status, now.saturating_add(nanos(ttl))));
        self.shard(key).end(key, fence, left)
    }

    fn refund(&mut self, held: &HeldReservation, keys: ReservationKeys<'_>, at: u64) {
        let now = self.now;
        let fence = held.grant.fence;
        for (quota, key) in charged(&held.reservation, keys, held.grant) {
            let charge = Charge { fence, quota, at };
            let bound = bound_of(&held.reservation.quotas[quota]);
            self.shard(key).refund(key, bound, now, charge);
        }
    }
}

/// The lease and the claims.
fn names(keys: ReservationKeys<'_>) -> impl Iterator<Item = HashedKey> {
    keys.lease.into_iter().chain(keys.claims.iter().copied())
}

/// The quotas that took a place, with their keys.
fn charged<'a>(
    asked: &'a Reservation,
    keys: ReservationKeys<'a>,
    grant: Grant,
) -> impl Iterator<Item = (usize, HashedKey)> {
    let keys = keys
        .quotas
        .iter()
        .copied()
        .enumerate()
        .take(asked.quotas.len());
    keys.filter(move |(at, _)| !grant.was_full(*at))
}

fn bound_of(quota: &Quota) -> QuotaBound {
    QuotaBound::new(quota.max_count, nanos(quota.window))
}
