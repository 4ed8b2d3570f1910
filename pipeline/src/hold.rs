//! The hold of a job in the state. It is renewed while the job waits. It cannot be leaked: a hold that is dropped
//! before it is settled is released by the task that renews holds, and so is one that may have been granted in an answer
//! that was lost.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::State;
use acteon_core::state::{Reservation, ReservationEnd, Settlement, Token};
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::events;

/// The maximum number of holds that one call renews or releases.
const SLICE_MAX: usize = 1000;
/// The maximum number of holds to release that may never have been granted. Further ones expire with their leases.
const UNSEEN_MAX: usize = 10_000;
/// How soon a failed renewal or release is repeated.
const AGAIN: Duration = Duration::from_secs(1);

/// The hold of one job.
pub(crate) struct Hold {
    held: Arc<Reservation>,
    /// When it was granted.
    granted_at: Instant,
    holds: Arc<HoldsHandle>,
    kept: HoldState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HoldState {
    /// Just granted. It will soon end or be renewed.
    Granted,
    /// It is being renewed.
    Renewed,
    /// Its settlement was sent to the state.
    Settled,
}

impl Hold {
    pub(crate) fn new(
        held: Arc<Reservation>,
        granted_at: Instant,
        holds: Arc<HoldsHandle>,
    ) -> Self {
        Self {
            held,
            granted_at,
            holds,
            kept: HoldState::Granted,
        }
    }

    pub(crate) fn held(&self) -> &Arc<Reservation> {
        &self.held
    }

    pub(crate) fn granted_at(&self) -> Instant {
        self.granted_at
    }

    /// Renews it from now until it is settled or dropped.
    pub(crate) fn renew(&mut self) {
        if self.kept == HoldState::Granted {
            self.holds.0.add(&self.held, self.granted_at);
            self.kept = HoldState::Renewed;
        }
    }

    /// Its settlement was sent to the state, or could not be: then it expires with its lease.
    pub(crate) fn settled(mut self) {
        if self.kept == HoldState::Renewed {
            self.holds.0.remove(&self.held);
        }
        self.kept = HoldState::Settled;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        match self.kept {
            HoldState::Settled => return,
            HoldState::Renewed => self.holds.0.remove(&self.held),
            HoldState::Granted => {}
        }
        self.holds.0.release_later(self.held.clone());
    }
}

/// Shared by the holds of one batch, so that threads do not contend for one reference count.
pub(crate) struct HoldsHandle(Arc<OpenHolds>);

impl HoldsHandle {
    /// Releases a reservation whose answer was lost. It may have been granted.
    pub(crate) fn release_unseen(&self, asked: Reservation) {
        let is_full = self.0.dropped.lock().len() >= UNSEEN_MAX;
        if !is_full {
            self.0.release_later(Arc::new(asked));
        }
    }
}

/// All renewed holds by token, and the holds to release.
#[derive(Default)]
pub(crate) struct OpenHolds {
    renewed: Mutex<HashMap<Token, Renewed>>,
    dropped: Mutex<Vec<Arc<Reservation>>>,
    changed: Notify,
}

struct Renewed {
    held: Arc<Reservation>,
    /// When it was granted or last renewed.
    since: Instant,
}

impl OpenHolds {
    /// A handle for the holds of one batch.
    pub(crate) fn handle(self: &Arc<Self>) -> Arc<HoldsHandle> {
        Arc::new(HoldsHandle(self.clone()))
    }

    fn add(&self, held: &Arc<Reservation>, granted_at: Instant) {
        let renewed = Renewed {
            held: held.clone(),
            since: granted_at,
        };
        let mut all = self.renewed.lock();
        let first = all.is_empty();
        all.insert(held.token, renewed);
        drop(all);
        if first {
            self.changed.notify_one();
        }
    }

    fn remove(&self, held: &Arc<Reservation>) {
        self.renewed.lock().remove(&held.token);
    }

    fn release_later(&self, held: Arc<Reservation>) {
        self.dropped.lock().push(held);
        self.changed.notify_one();
    }

    /// Every third of a lease, renews the holds that are due and releases dropped ones. Passes each batch of releases
    /// to `released`. Never returns.
    pub(crate) async fn keep(
        &self,
        state: &dyn State,
        lease: Duration,
        released: impl Fn(&[Settlement]),
    ) {
        let mut look = Instant::now();
        loop {
            let sleeps = self.renewed.lock().is_empty() && self.dropped.lock().is_empty();
            tokio::select! {
                () = sleep_until(look), if !sleeps => {}
                () = self.changed.notified() => {}
            }
            let freed = self.release(state, &released).await;
            let renewed = self.renew(state, lease).await;
            look = Instant::now()
                + match (freed, renewed) {
                    (Ok(()), Ok(())) => lease / 3,
                    (Err(()), _) | (_, Err(())) => AGAIN.min(lease / 3),
                };
        }
    }

    /// Releases the dropped holds. A hold that cannot be released now is kept for the next call.
    pub(crate) async fn release(
        &self,
        state: &dyn State,
        released: impl Fn(&[Settlement]),
    ) -> Result<(), ()> {
        let mut dropped = std::mem::take(&mut *self.dropped.lock());
        while !dropped.is_empty() {
            let rest = dropped.split_off(dropped.len().min(SLICE_MAX));
            let releases: Vec<_> = dropped.iter().cloned().map(release_of).collect();
            match state.settle(&releases).await {
                Ok(_) => released(&releases),
                Err(error) => {
                    events::left_to_expire(&error, dropped.len());
                    self.dropped.lock().extend(dropped.into_iter().chain(rest));
                    return Err(());
                }
            }
            dropped = rest;
        }
        Ok(())
    }

    async fn renew(&self, state: &dyn State, lease: Duration) -> Result<(), ()> {
        let began = Instant::now();
        let due = self.due(began, lease);
        let mut result = Ok(());
        for held in due.chunks(SLICE_MAX) {
            match state.renew(held, lease).await {
                Ok(kept) => {
                    events::leases_lost(kept.iter().filter(|kept| !**kept).count());
                    self.renewed_at(held, began);
                }
                Err(error) => {
                    events::renewal_failed(&error);
                    result = Err(());
                }
            }
        }
        result
    }

    /// The holds that are at least a sixth of a lease old. They would be too old by the look after the next.
    fn due(&self, now: Instant, lease: Duration) -> Vec<Arc<Reservation>> {
        let renewed = self.renewed.lock();
        let old = renewed.values().filter(|one| one.since + lease / 6 <= now);
        old.map(|one| one.held.clone()).collect()
    }

    fn renewed_at(&self, held: &[Arc<Reservation>], at: Instant) {
        let mut renewed = self.renewed.lock();
        for one in held {
            if let Some(one) = renewed.get_mut(&one.token) {
                one.since = at;
            }
        }
    }
}

fn release_of(held: Arc<Reservation>) -> Settlement {
    Settlement::of(held, ReservationEnd::Release)
}
