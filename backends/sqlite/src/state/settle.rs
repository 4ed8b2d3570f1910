//! Ends reservations, counts actions, stores dead letters and outcomes.

use super::call::StateCall;
use super::keys::{HashedReservation, HashedSettlement, HashedTally, KeyHash};
use super::letters::LetterStored;
use super::reserve::charged;
use super::slots::{quota_slot, tally_slot};
use crate::error::Error;
use acteon_core::state::{ReservationEnd, SettlementAnswer};

/// What was left out or deleted to stay within the bounds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dropped {
    pub(super) counts: usize,
    pub(super) letters: usize,
}

impl StateCall<'_> {
    /// Applies a settlement, unless there is no room for its dead letter.
    pub(super) fn settle(
        &mut self,
        settlement: &HashedSettlement,
        dropped: &mut Dropped,
    ) -> Result<SettlementAnswer, Error> {
        if let Some(letter) = &settlement.dead_letter {
            match self
                .shared
                .letters
                .store(self.connection, letter, self.now)?
            {
                LetterStored::Stored { evicted } => dropped.letters += evicted,
                LetterStored::NoRoom => return Ok(SettlementAnswer::NoRoom),
            }
        }
        let remembers = match &settlement.held {
            Some(held) => self.end(held, settlement.end)?,
            None => true,
        };
        if let Some(outcome) = settlement.remember.as_ref().filter(|_| remembers) {
            self.remember(outcome)?;
        }
        for tally in &settlement.counts {
            dropped.counts += usize::from(!self.tally(tally)?);
        }
        Ok(SettlementAnswer::Applied)
    }

    /// Ends a hold. False if its lease was lost.
    fn end(&mut self, held: &HashedReservation, end: ReservationEnd) -> Result<bool, Error> {
        let has_lease = match &held.lease {
            Some(key) => self.release(key, held.token)?,
            None => true,
        };
        for claim in &held.claims {
            match end {
                ReservationEnd::Confirm => self.confirm(&claim.key, held.token, claim.ttl)?,
                ReservationEnd::Release => {
                    self.release(&claim.key, held.token)?;
                }
            }
        }
        if !held.quotas.is_empty() {
            self.end_places(held, end)?;
        }
        Ok(has_lease)
    }

    /// Deletes what the token holds under a key. False if it holds nothing there.
    fn release(&mut self, key: &KeyHash, token: KeyHash) -> Result<bool, Error> {
        let release = "DELETE FROM holds WHERE k = ?1 AND token = ?2";
        let mut release = self.connection.prepare_cached(release)?;
        let released = release.execute((key, token))?;
        self.deleted(released);
        Ok(released == 1)
    }

    fn confirm(&self, key: &KeyHash, token: KeyHash, ttl: i64) -> Result<(), Error> {
        let confirm = "UPDATE holds SET token = NULL, until = ?1 WHERE k = ?2 AND token = ?3";
        let mut confirm = self.connection.prepare_cached(confirm)?;
        confirm.execute((self.now.saturating_add(ttl), key, token))?;
        Ok(())
    }

    /// Forgets the places of a hold, and refunds them if it is released.
    fn end_places(&mut self, held: &HashedReservation, end: ReservationEnd) -> Result<(), Error> {
        let forget = "DELETE FROM places WHERE token = ?1 RETURNING taken_at, full";
        let mut forget = self.connection.prepare_cached(forget)?;
        let places = forget.query_map([held.token], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let places = places.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
        let Some((taken_at, full)) = places.first().copied() else {
            return Ok(());
        };
        self.deleted(1);
        if end == ReservationEnd::Release {
            for quota in charged(held, full.cast_unsigned()) {
                let cached = self.counts(&quota.key, quota.window)?;
                let width = quota_slot(quota.max_count, quota.window);
                cached.take_back(taken_at, quota.window, width);
            }
        }
        Ok(())
    }

    /// Counts an action. False if the key is new and there is no room for it.
    fn tally(&mut self, tally: &HashedTally) -> Result<bool, Error> {
        let HashedTally { key, window } = tally;
        let is_new = !self.counts(key, *window)?.is_stored();
        if is_new && !self.has_room_for_counts(1)? {
            return Ok(false);
        }
        self.count(key, *window, tally_slot(*window))?;
        Ok(true)
    }
}
