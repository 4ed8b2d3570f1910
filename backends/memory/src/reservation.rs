//! Handles one reservation under locked shards: grants or refuses it as a whole, renews it, and settles it.

use std::time::Duration;

use acteon_core::state::{
    Busy, EventWrite, Grant, LimitAnswer, QUOTAS_MAX, Quota, RateLimit, RememberedOutcome,
    Reservation, ReservationAnswer, ReservationEnd, Settlement, Step, StepAnswer, Token, WhenFull,
};

use crate::event_write::{Follows, WriteCheck};
use crate::key::HashedKey;
use crate::keys::{ReservationKeys, SettlementKeys};
use crate::places::HeldPlaces;
use crate::quota::QuotaBound;
use crate::record::KeyStatus;
use crate::shards::Locked;
use crate::table::nanos;

/// A write, the key of its event, and the new index entries.
type PendingWrite<'r> = (&'r EventWrite, HashedKey, Box<[HashedKey]>);

impl Locked<'_> {
    pub(crate) fn reserve(
        &mut self,
        asked: &Reservation,
        keys: ReservationKeys<'_>,
        lease: Duration,
        follows: Follows,
    ) -> ReservationAnswer {
        let recalled = self.recalled(asked.token, keys);
        if let Some(answer) = recalled.or_else(|| self.taken(asked, keys)) {
            return answer;
        }
        let held = self.places(asked.token, keys).map(|held| held.full_quotas);
        let full_quotas = match held.map_or_else(|| self.room(asked, keys), Ok) {
            Ok(full_quotas) => full_quotas,
            Err(throttled) => return throttled,
        };
        let write = match self.check_step(asked, keys, follows) {
            Ok(write) => write,
            Err(answer) => return answer,
        };
        if !self.fits(asked.token, keys) {
            return ReservationAnswer::Full;
        }
        let until = self.now.saturating_add(nanos(lease));
        for key in names(keys) {
            let now = self.now;
            self.shard(key).take(key, asked.token, now, until);
        }
        let grant = Grant {
            full_quotas,
            step: written(asked),
        };
        match held {
            Some(_) => self.prolong_places(asked.token, keys, until),
            None => self.take_places(asked, keys, &grant, until),
        }
        if let Some((write, key, entries)) = write {
            self.write(write, key, asked.token, entries);
        }
        ReservationAnswer::Granted(grant)
    }

    /// The write that its step still needs, if any.
    fn check_step<'r>(
        &mut self,
        asked: &'r Reservation,
        keys: ReservationKeys<'_>,
        follows: Follows,
    ) -> Result<Option<PendingWrite<'r>>, ReservationAnswer> {
        let (Some(Step::Write(write)), Some(key)) = (&asked.step, keys.event) else {
            return Ok(None);
        };
        Ok(match self.check_write(write, key, asked.token, follows)? {
            WriteCheck::Store(entries) => Some((write, key, entries)),
            WriteCheck::Done => None,
        })
    }

    pub(crate) fn renew(
        &mut self,
        held: &Reservation,
        keys: ReservationKeys<'_>,
        lease: Duration,
    ) -> bool {
        let now = self.now;
        let until = now.saturating_add(nanos(lease));
        let mut all = true;
        for key in names(keys) {
            all &= self.shard(key).prolong(key, held.token, now, until);
        }
        self.prolong_places(held.token, keys, until);
        all
    }

    /// Returns how many counts had no room.
    pub(crate) fn settle(&mut self, settlement: &Settlement, keys: SettlementKeys<'_>) -> usize {
        if let Some((held, keys)) = settlement.held.as_deref().zip(keys.held) {
            self.end_hold(settlement, held, keys);
        }
        if let Some((remember, key)) = settlement.remember.as_ref().zip(keys.remembered) {
            self.remember(remember, key);
        }
        let tallies = settlement.counts.iter().zip(keys.tallies);
        tallies
            .filter(|(tally, key)| !self.count(tally, **key))
            .count()
    }

    pub(crate) fn end_hold(
        &mut self,
        settlement: &Settlement,
        held: &Reservation,
        keys: ReservationKeys<'_>,
    ) {
        let token = held.token;
        let remembers = keys.lease.is_none_or(|key| self.end(key, token, None));
        if let Some(key) = keys.lease.or(keys.recall)
            && remembers
            && let Some(remember) = &settlement.remember
        {
            self.remember(remember, key);
        }
        for (claim, key) in held.claims.iter().zip(keys.claims) {
            let left = (settlement.end == ReservationEnd::Confirm)
                .then_some((KeyStatus::Confirmed, claim.ttl));
            self.end(*key, token, left);
        }
        let places = keys.quotas.first();
        let places = places.and_then(|key| self.shard(*key).take_places(token));
        if let Some(places) = places
            && settlement.end == ReservationEnd::Release
        {
            self.refund(held, keys, &places);
        }
    }

    /// Stores an outcome under `key`, to be answered again.
    fn remember(&mut self, remember: &RememberedOutcome, key: HashedKey) {
        let now = self.now;
        let until = now.saturating_add(nanos(remember.ttl));
        let outcome = remember.outcome.abridged();
        self.shard(key).remember(key, outcome, now, until);
    }

    /// The remembered outcome, if it may be the answer. What was granted before stays granted.
    fn recalled(&mut self, token: Token, keys: ReservationKeys<'_>) -> Option<ReservationAnswer> {
        let key = keys.recall?;
        let now = self.now;
        let outcome = Box::new(self.shard(key).recall(key, now)?.clone());
        let is_held = |key| {
            let record = self.shard(key).in_force(key, now);
            record.is_some_and(|record| record.is_held_by(token))
        };
        let is_granted = names(keys).any(is_held);
        (!is_granted).then_some(ReservationAnswer::Remembered(outcome))
    }

    /// The answer if another hold or a delivery has the lease or a claim.
    fn taken(
        &mut self,
        asked: &Reservation,
        keys: ReservationKeys<'_>,
    ) -> Option<ReservationAnswer> {
        let now = self.now;
        let claims = asked.claims.iter().map(|claim| &claim.key);
        let named = asked.lease.iter().chain(claims).zip(names(keys));
        for (at, (name, key)) in named.enumerate() {
            let record = self.shard(key).in_force(key, now);
            let Some(record) = record.filter(|record| !record.is_held_by(asked.token)) else {
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

    /// Takes a place under a limit that has one left. `None` if there is no room to count it.
    pub(crate) fn limit(&mut self, limit: &RateLimit, key: HashedKey) -> Option<LimitAnswer> {
        let now = self.now;
        let bound = QuotaBound::new(limit.max_count, nanos(limit.window));
        let shard = self.shard(key);
        let wait = shard.quota_wait(key, bound, now, 0);
        if wait.is_none() {
            if !shard.fits_quota(key, now) {
                return None;
            }
            shard.charge(key, bound, now);
        }
        let (remaining, reset) = shard.quota_left(key, bound, now);
        Some(LimitAnswer {
            limit: limit.max_count,
            remaining,
            reset: Duration::from_nanos(reset),
            retry_after: wait.map(Duration::from_nanos),
        })
    }

    fn fits(&mut self, token: Token, keys: ReservationKeys<'_>) -> bool {
        let now = self.now;
        let first = keys.quotas.first();
        names(keys).all(|key| self.shard(key).fits_record(key, now))
            && first.is_none_or(|key| self.shard(*key).fits_hold(token, now))
            && keys
                .quotas
                .iter()
                .all(|key| self.shard(*key).fits_quota(*key, now))
    }

    /// The places that the hold of `token` has. They are in the shard of its first quota.
    fn places(&mut self, token: Token, keys: ReservationKeys<'_>) -> Option<&mut HeldPlaces> {
        let key = keys.quotas.first()?;
        let now = self.now;
        let held = self.shard(*key).places(token)?;
        (now < held.until).then_some(held)
    }

    /// Takes the places, and keeps them until the hold has expired and they have left their windows.
    fn take_places(
        &mut self,
        asked: &Reservation,
        keys: ReservationKeys<'_>,
        grant: &Grant,
        until: u64,
    ) {
        let now = self.now;
        let Some(first) = keys.quotas.first() else {
            return;
        };
        let windows = asked.quotas.iter().map(|quota| nanos(quota.window));
        let leave = now.saturating_add(windows.max().unwrap_or_default());
        let held = HeldPlaces::new(asked.token, grant.full_quotas, now, until.max(leave));
        for (at, key) in charged(asked, keys, grant) {
            self.shard(key)
                .charge(key, bound_of(&asked.quotas[at]), now);
        }
        self.shard(*first).keep_places(held);
    }

    fn prolong_places(&mut self, token: Token, keys: ReservationKeys<'_>, until: u64) {
        if let Some(held) = self.places(token, keys) {
            held.until = held.until.max(until);
        }
    }

    /// Ends the hold of `token` under `key`, leaving a status for a while, or nothing. False if the token holds nothing
    /// there.
    fn end(&mut self, key: HashedKey, token: Token, left: Option<(KeyStatus, Duration)>) -> bool {
        let now = self.now;
        let left = left.map(|(status, ttl)| (status, now.saturating_add(nanos(ttl))));
        self.shard(key).end(key, token, left)
    }

    fn refund(&mut self, held: &Reservation, keys: ReservationKeys<'_>, places: &HeldPlaces) {
        let now = self.now;
        let grant = Grant {
            full_quotas: places.full_quotas,
            step: None,
        };
        for (at, key) in charged(held, keys, &grant) {
            let bound = bound_of(&held.quotas[at]);
            self.shard(key).refund(key, bound, now, places.taken_at);
        }
    }
}

/// The answer of a step that writes an event, once it is granted.
fn written(asked: &Reservation) -> Option<StepAnswer> {
    match asked.step.as_ref()? {
        Step::Write(write) => Some(StepAnswer::Written {
            version: write.expected + 1,
        }),
        Step::Append(_) => None,
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
    grant: &Grant,
) -> impl Iterator<Item = (usize, HashedKey)> {
    let full = grant.full_quotas;
    let keys = keys
        .quotas
        .iter()
        .copied()
        .enumerate()
        .take(asked.quotas.len());
    keys.filter(move |(at, _)| *at >= QUOTAS_MAX || full >> *at & 1 == 0)
}

fn bound_of(quota: &Quota) -> QuotaBound {
    QuotaBound::new(quota.max_count, nanos(quota.window))
}
