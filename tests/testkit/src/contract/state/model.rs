//! The holds of the state as plain maps with one owner. The properties compare every backend with this model, and the
//! author of a backend reads it first. Tallies, events and dead letters have their own clauses.

use std::collections::BTreeMap;
use std::time::Duration;

use acteon_core::ActionOutcome;
use acteon_core::state::{
    Busy, Grant, LimitAnswer, Quota, RateLimit, Recall, Reservation, ReservationAnswer,
    ReservationEnd, Settlement, StateKey, Token, WhenFull,
};

/// Everything that is held, delivered, remembered and counted under limits. Nothing is ever swept: what has expired is
/// ignored.
#[derive(Debug, Default)]
pub(super) struct HoldsModel {
    now: Duration,
    records: BTreeMap<StateKey, Record>,
    /// Until when each is remembered.
    remembered: BTreeMap<StateKey, (ActionOutcome, Duration)>,
    /// The places taken under each key, for each length of window, in order.
    places: BTreeMap<(StateKey, Duration), Vec<Place>>,
    /// The grants that have not ended, and until when each holds.
    grants: BTreeMap<Token, (Grant, Duration)>,
}

/// The record under a lease or a dedup key.
#[derive(Debug)]
struct Record {
    status: Status,
    until: Duration,
}

#[derive(Debug, PartialEq)]
enum Status {
    Held(Token),
    Delivered,
}

/// One place in a window.
#[derive(Debug)]
struct Place {
    /// Who may give it back. `None` once its action was delivered, and for a limit.
    holder: Option<Token>,
    taken_at: Duration,
}

impl HoldsModel {
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(super) fn reserve(&mut self, asked: &Reservation, lease: Duration) -> ReservationAnswer {
        if let Some(outcome) = self.recalled(asked) {
            return ReservationAnswer::Remembered(Box::new(outcome));
        }
        if let Some(answer) = self.taken(asked) {
            return answer;
        }
        let grant = match self.grant_of(asked.token) {
            Some(grant) => grant,
            None => match self.room(asked) {
                Ok(grant) => grant,
                Err(throttled) => return throttled,
            },
        };
        if self.grant_of(asked.token).is_none() {
            self.take_places(asked, &grant);
        }
        let until = self.now + lease;
        for key in names(asked) {
            let status = Status::Held(asked.token);
            self.records.insert(key.clone(), Record { status, until });
        }
        self.grants.insert(asked.token, (grant.clone(), until));
        ReservationAnswer::Granted(grant)
    }

    pub(super) fn settle(&mut self, settlement: &Settlement) {
        let Some(held) = settlement.held.as_deref() else {
            return;
        };
        let delivered = settlement.end == ReservationEnd::Confirm;
        let lease = held.lease.as_ref();
        let remembers = lease.is_none_or(|key| self.end(key, held.token, None));
        if let Some(remember) = settlement.remember.as_ref().filter(|_| remembers) {
            let entry = (remember.outcome.clone(), self.now + remember.ttl);
            self.remembered.insert(remember.under.clone(), entry);
        }
        for claim in &held.claims {
            self.end(&claim.key, held.token, delivered.then_some(claim.ttl));
        }
        for quota in &held.quotas {
            let places = self.places.entry(window_of(quota)).or_default();
            if delivered {
                let mine = places.iter_mut();
                let mine = mine.filter(|place| place.holder == Some(held.token));
                mine.for_each(|place| place.holder = None);
            } else {
                places.retain(|place| place.holder != Some(held.token));
            }
        }
        self.grants.remove(&held.token);
    }

    pub(super) fn renew(&mut self, held: &Reservation, lease: Duration) -> bool {
        let until = self.now + lease;
        let mut all = true;
        for key in names(held) {
            match self.records.get_mut(key) {
                Some(record)
                    if record.status == Status::Held(held.token) && self.now < record.until =>
                {
                    record.until = until;
                }
                _ => all = false,
            }
        }
        if self.grant_of(held.token).is_some() {
            self.grants
                .entry(held.token)
                .and_modify(|grant| grant.1 = until);
        }
        all
    }

    pub(super) fn limit(&mut self, limit: &RateLimit) -> LimitAnswer {
        let max_count = limit.max_count as usize;
        let passes = self.places_in(&limit.key, limit.window).len() < max_count;
        if passes {
            let key = (limit.key.clone(), limit.window);
            self.places.entry(key).or_default().push(Place {
                holder: None,
                taken_at: self.now,
            });
        }
        let taken = self.places_in(&limit.key, limit.window);
        let left_in = |place: &&Place| place.taken_at + limit.window - self.now;
        LimitAnswer {
            limit: limit.max_count,
            remaining: limit.max_count - u32::try_from(taken.len()).expect("few"),
            reset: taken.last().map(left_in).unwrap_or_default(),
            retry_after: match passes {
                true => None,
                false => taken.first().map(left_in),
            },
        }
    }

    /// The remembered outcome, if it may be the answer. What was granted before stays granted.
    fn recalled(&self, asked: &Reservation) -> Option<ActionOutcome> {
        let key = match &asked.recall {
            Recall::No => None,
            Recall::Yes => asked.lease.as_ref(),
            Recall::Under(key) => Some(key),
        };
        let (outcome, until) = self.remembered.get(key?)?;
        let is_granted = names(asked)
            .filter_map(|key| self.in_force(key))
            .any(|record| record.status == Status::Held(asked.token));
        (self.now < *until && !is_granted).then(|| outcome.clone())
    }

    /// The answer if another hold or a delivery has the lease or a claim.
    fn taken(&self, asked: &Reservation) -> Option<ReservationAnswer> {
        for (at, key) in names(asked).enumerate() {
            match self.in_force(key) {
                Some(record) if record.status == Status::Delivered => {
                    let claim = at - usize::from(asked.lease.is_some());
                    return Some(ReservationAnswer::Duplicate { claim });
                }
                Some(record) if record.status != Status::Held(asked.token) => {
                    return Some(ReservationAnswer::Busy(Busy {
                        key: key.clone(),
                        expires_in: record.until - self.now,
                    }));
                }
                Some(_) | None => {}
            }
        }
        None
    }

    /// The grant if no quota refuses.
    fn room(&self, asked: &Reservation) -> Result<Grant, ReservationAnswer> {
        let mut grant = Grant::default();
        for (at, quota) in asked.quotas.iter().enumerate() {
            let taken = self.places_in(&quota.key, quota.window);
            if taken.len() < quota.max_count as usize {
                continue;
            }
            match quota.when_full {
                WhenFull::Continue => grant.full_quotas |= 1 << at,
                WhenFull::Refuse => {
                    let first = taken.first().map(|place| place.taken_at + quota.window);
                    return Err(ReservationAnswer::Throttled {
                        quota: at,
                        retry_after: first.unwrap_or(self.now) - self.now,
                    });
                }
            }
        }
        Ok(grant)
    }

    fn take_places(&mut self, asked: &Reservation, grant: &Grant) {
        for (at, quota) in asked.quotas.iter().enumerate() {
            if !grant.was_full(at) {
                self.places
                    .entry(window_of(quota))
                    .or_default()
                    .push(Place {
                        holder: Some(asked.token),
                        taken_at: self.now,
                    });
            }
        }
    }

    /// Ends the hold of `token` under `key`, even if it has expired and no other hold has taken the key. Leaves a
    /// record of the delivery, or nothing. False if the token holds nothing there.
    fn end(&mut self, key: &StateKey, token: Token, delivered: Option<Duration>) -> bool {
        let record = self.records.get(key);
        if record.is_none_or(|record| record.status != Status::Held(token)) {
            return false;
        }
        match delivered {
            Some(ttl) => {
                let status = Status::Delivered;
                let until = self.now + ttl;
                self.records.insert(key.clone(), Record { status, until });
            }
            None => {
                self.records.remove(key);
            }
        }
        true
    }

    fn in_force(&self, key: &StateKey) -> Option<&Record> {
        self.records
            .get(key)
            .filter(|record| self.now < record.until)
    }

    fn grant_of(&self, token: Token) -> Option<Grant> {
        let (grant, until) = self.grants.get(&token)?;
        (self.now < *until).then(|| grant.clone())
    }

    /// The places that have not left their window.
    fn places_in(&self, key: &StateKey, window: Duration) -> Vec<&Place> {
        let places = self.places.get(&(key.clone(), window));
        let places = places.into_iter().flatten();
        places
            .filter(|place| self.now < place.taken_at + window)
            .collect()
    }
}

/// The lease and the claims.
fn names(asked: &Reservation) -> impl Iterator<Item = &StateKey> {
    let claims = asked.claims.iter().map(|claim| &claim.key);
    asked.lease.iter().chain(claims)
}

fn window_of(quota: &Quota) -> (StateKey, Duration) {
    (quota.key.clone(), quota.window)
}
