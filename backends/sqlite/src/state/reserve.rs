//! Grants or refuses a reservation as a whole, and renews it.

use std::collections::HashSet;
use std::sync::Arc;

use acteon_core::ActionOutcome;
use acteon_core::state::{
    Busy, Grant, LimitAnswer, QUOTAS_MAX, Reservation, ReservationAnswer, StoredEvent, WhenFull,
};
use rusqlite::OptionalExtension;
use smallvec::SmallVec;

use super::call::{HoldRow, StateCall};
use super::events::FollowsWrite;
use super::keys::{HashedQuota, HashedRequest, HashedReservation, KeyHash};
use super::slots::quota_slot;
use super::sweep::Swept;
use crate::error::Error;
use crate::time::duration_of;

/// The answer to a reservation, without names.
pub(super) enum Reserved {
    Granted(Grant),
    Remembered(Box<ActionOutcome>),
    /// The position of the name among the lease and the claims, and nanoseconds until it expires.
    Busy {
        name: usize,
        expires_in: i64,
    },
    Duplicate {
        claim: usize,
    },
    /// The first full quota, and nanoseconds until all have room.
    Throttled {
        quota: usize,
        wait: i64,
    },
    /// The present record of its event.
    Conflict(Option<Arc<StoredEvent>>),
    Full,
}

impl Reserved {
    /// With the name that is busy.
    pub(super) fn answer(self, asked: &Reservation) -> ReservationAnswer {
        match self {
            Self::Granted(grant) => ReservationAnswer::Granted(grant),
            Self::Remembered(outcome) => ReservationAnswer::Remembered(outcome),
            Self::Busy { name, expires_in } => {
                let claims = asked.claims.iter().map(|claim| &claim.key);
                let mut names = asked.lease.iter().chain(claims);
                match names.nth(name) {
                    Some(key) => ReservationAnswer::Busy(Busy {
                        key: key.clone(),
                        expires_in: duration_of(expires_in),
                    }),
                    None => ReservationAnswer::Full,
                }
            }
            Self::Duplicate { claim } => ReservationAnswer::Duplicate { claim },
            Self::Throttled { quota, wait } => ReservationAnswer::Throttled {
                quota,
                retry_after: duration_of(wait),
            },
            Self::Conflict(present) => ReservationAnswer::Conflict(present),
            Self::Full => ReservationAnswer::Full,
        }
    }
}

impl HoldRow {
    /// True if the hold of this token has the key, or had it last.
    fn is_held_by(self, token: KeyHash) -> bool {
        self.token == Some(token)
    }
}

impl StateCall<'_> {
    /// Works through a slice in order. Later writes of an event are refused once one was: they were decided from what
    /// the refused one would have written.
    pub(super) fn reserve_all(
        &mut self,
        requests: &[HashedRequest],
        lease: i64,
    ) -> Result<Vec<Reserved>, Error> {
        let mut refused: HashSet<KeyHash> = HashSet::new();
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let event = request.event();
            let follows = match event.is_some_and(|event| refused.contains(event)) {
                true => FollowsWrite::Refused,
                false => FollowsWrite::Granted,
            };
            let answer = self.reserve(request, lease, follows)?;
            if !matches!(answer, Reserved::Granted(_)) {
                refused.extend(event);
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    fn reserve(
        &mut self,
        request: &HashedRequest,
        lease: i64,
        follows: FollowsWrite,
    ) -> Result<Reserved, Error> {
        let asked = &request.hold;
        let mut rows = SmallVec::<[_; 4]>::new();
        for key in asked.names() {
            rows.push(self.hold(key)?);
        }
        if let Some(outcome) = self.recalled(asked, &rows)? {
            return Ok(Reserved::Remembered(outcome));
        }
        if let Some(obstacle) = self.obstacle(asked, &rows) {
            return Ok(obstacle);
        }
        let held = self.full_quotas_of(asked)?;
        let full_quotas = match held {
            Some(full_quotas) => full_quotas,
            None => match self.room(asked)? {
                Ok(full_quotas) => full_quotas,
                Err(throttled) => return Ok(throttled),
            },
        };
        let step = match self.check_step(request, follows)? {
            Ok(step) => step,
            Err(conflict) => return Ok(conflict),
        };
        let new_names = rows.iter().filter(|row| row.is_none()).count();
        let new_names = i64::try_from(new_names).unwrap_or(i64::MAX);
        if !self.fits(asked, new_names + step.rows(), held)? {
            return Ok(Reserved::Full);
        }
        let Some(step) = self.take_step(step, asked.token)? else {
            return Ok(Reserved::Full);
        };
        self.take_names(asked, lease)?;
        self.added(Swept::Holds, new_names);
        let until = self.now.saturating_add(lease);
        match held {
            Some(_) => self.prolong_places(asked, until)?,
            None => self.take_places(asked, full_quotas, until)?,
        }
        Ok(Reserved::Granted(Grant { full_quotas, step }))
    }

    /// True if there is room for all that a reservation adds.
    fn fits(
        &mut self,
        asked: &HashedReservation,
        new_names: i64,
        held: Option<u64>,
    ) -> Result<bool, Error> {
        let places = match held {
            Some(_) => 0,
            None => self.rows_of_places(asked)?,
        };
        let rows = new_names + places;
        Ok(rows == 0 || self.has_room(rows)?)
    }

    /// Extends the names of a reservation and its places. False if a name was lost.
    pub(super) fn renew(&mut self, held: &HashedReservation, lease: i64) -> Result<bool, Error> {
        let until = self.now.saturating_add(lease);
        let prolong = "UPDATE holds SET until = ?1 WHERE k = ?2 AND token = ?3 AND until > ?4";
        let mut prolong = self.connection.prepare_cached(prolong)?;
        let mut all = true;
        for key in held.names() {
            all &= prolong.execute((until, key, held.token, self.now))? == 1;
        }
        self.prolong_places(held, until)?;
        Ok(all)
    }

    /// Takes a place under a limit, if there is one. `None` if the key is new and there is no room for it.
    pub(super) fn limit(&mut self, limit: &HashedQuota) -> Result<Option<LimitAnswer>, Error> {
        let HashedQuota {
            key,
            max_count,
            window,
            ..
        } = *limit;
        let now = self.now;
        let cached = self.counts(&key, window)?;
        let is_new = !cached.is_stored();
        let wait = cached.counts.wait(max_count, window, 1, now);
        if is_new && !self.has_room_for_counts(1)? {
            return Ok(None);
        }
        if wait.is_none() {
            self.count(&key, window, quota_slot(max_count, window))?;
        }
        let counts = &self.counts(&key, window)?.counts;
        let taken = u32::try_from(counts.total()).unwrap_or(u32::MAX);
        let last = counts
            .last()
            .map_or(now, |last| last.saturating_add(window));
        Ok(Some(LimitAnswer {
            limit: max_count,
            remaining: max_count.saturating_sub(taken),
            reset: duration_of(last.saturating_sub(now)),
            retry_after: wait.map(duration_of),
        }))
    }

    /// The remembered outcome, if it is the answer. What was granted before stays granted.
    fn recalled(
        &self,
        asked: &HashedReservation,
        rows: &[Option<HoldRow>],
    ) -> Result<Option<Box<ActionOutcome>>, Error> {
        let is_granted = |row: &HoldRow| row.is_held_by(asked.token) && self.now < row.until;
        match &asked.recall {
            Some(key) if !rows.iter().flatten().any(is_granted) => self.recall(key),
            Some(_) | None => Ok(None),
        }
    }

    /// The answer if another hold or a delivery has a name.
    fn obstacle(&self, asked: &HashedReservation, rows: &[Option<HoldRow>]) -> Option<Reserved> {
        let in_force = |row: &HoldRow| self.now < row.until && !row.is_held_by(asked.token);
        let rows = rows.iter().enumerate();
        let mut taken = rows.filter_map(|(at, row)| Some((at, row.filter(in_force)?)));
        let (name, row) = taken.next()?;
        Some(match row.token {
            Some(_) => Reserved::Busy {
                name,
                expires_in: row.until.saturating_sub(self.now),
            },
            None => Reserved::Duplicate {
                claim: name - usize::from(asked.lease.is_some()),
            },
        })
    }

    /// The full quotas as bits of a grant, or the wait until no quota refuses.
    fn room(&mut self, asked: &HashedReservation) -> Result<Result<u64, Reserved>, Error> {
        let now = self.now;
        let mut full = 0;
        let mut refused = None;
        for (at, quota) in asked.quotas.iter().enumerate() {
            // The same key twice in one reservation takes two places.
            let before = asked.quotas.iter().take(at);
            let before = before.filter(|other| other.key == quota.key).count();
            let counts = &self.counts(&quota.key, quota.window)?.counts;
            let wanted = before as u64 + 1;
            let Some(wait) = counts.wait(quota.max_count, quota.window, wanted, now) else {
                continue;
            };
            if quota.when_full == WhenFull::Continue && at < QUOTAS_MAX {
                full |= 1 << at;
            } else {
                let (first, longest) = refused.unwrap_or((at, wait));
                refused = Some((first, longest.max(wait)));
            }
        }
        Ok(match refused {
            None => Ok(full),
            Some((quota, wait)) => Err(Reserved::Throttled { quota, wait }),
        })
    }

    fn take_names(&self, asked: &HashedReservation, lease: i64) -> Result<(), Error> {
        let take = "INSERT INTO holds (k, token, until) VALUES (?1, ?2, ?3) \
                    ON CONFLICT (k) DO UPDATE SET token = excluded.token, until = excluded.until";
        let mut take = self.connection.prepare_cached(take)?;
        let until = self.now.saturating_add(lease);
        for key in asked.names() {
            take.execute((key, asked.token, until))?;
        }
        Ok(())
    }

    /// The full quotas of a hold that has its places already.
    fn full_quotas_of(&self, asked: &HashedReservation) -> Result<Option<u64>, Error> {
        if asked.quotas.is_empty() {
            return Ok(None);
        }
        let read = "SELECT full FROM places WHERE token = ?1 AND until > ?2";
        let mut read = self.connection.prepare_cached(read)?;
        let full = read.query_row((asked.token, self.now), |row| row.get::<_, i64>(0));
        Ok(full.optional()?.map(i64::cast_unsigned))
    }

    /// How many rows the places of a reservation may add.
    fn rows_of_places(&mut self, asked: &HashedReservation) -> Result<i64, Error> {
        let mut rows = i64::from(!asked.quotas.is_empty());
        for quota in &asked.quotas {
            let cached = self.counts(&quota.key, quota.window)?;
            rows += i64::from(!cached.is_stored());
        }
        Ok(rows)
    }

    /// Takes the places, and keeps them until the hold has expired and they have left their windows.
    fn take_places(
        &mut self,
        asked: &HashedReservation,
        full_quotas: u64,
        until: i64,
    ) -> Result<(), Error> {
        let windows = asked.quotas.iter().map(|quota| quota.window);
        let Some(longest) = windows.max() else {
            return Ok(());
        };
        for quota in charged(asked, full_quotas) {
            let width = quota_slot(quota.max_count, quota.window);
            self.count(&quota.key, quota.window, width)?;
        }
        let until = until.max(self.now.saturating_add(longest));
        let keep = "INSERT INTO places (token, until, taken_at, full) VALUES (?1, ?2, ?3, ?4) \
                    ON CONFLICT (token) DO UPDATE SET until = excluded.until, taken_at = excluded.taken_at, \
                    full = excluded.full";
        let mut keep = self.connection.prepare_cached(keep)?;
        keep.execute((asked.token, until, self.now, full_quotas.cast_signed()))?;
        self.added(Swept::Places, 1);
        Ok(())
    }

    fn prolong_places(&self, held: &HashedReservation, until: i64) -> Result<(), Error> {
        if held.quotas.is_empty() {
            return Ok(());
        }
        let prolong = "UPDATE places SET until = max(until, ?1) WHERE token = ?2 AND until > ?3";
        let mut prolong = self.connection.prepare_cached(prolong)?;
        prolong.execute((until, held.token, self.now))?;
        Ok(())
    }
}

/// The quotas that took a place.
pub(super) fn charged(
    asked: &HashedReservation,
    full_quotas: u64,
) -> impl Iterator<Item = &HashedQuota> {
    let grant = Grant {
        full_quotas,
        step: None,
    };
    let quotas = asked.quotas.iter().enumerate();
    let charged = quotas.filter(move |(at, _)| !grant.was_full(*at));
    charged.map(|(_, quota)| quota)
}
