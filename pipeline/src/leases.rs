//! Keeps what is held in the state alive while deliveries last. What ends at once is never entered here.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::State;
use acteon_core::state::Held;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::events;

/// How many leases one call renews.
const RENEW_MAX: usize = 1000;

/// What one job holds. Dropping it ends the renewal, not the lease: that is settled, or expires.
pub(crate) struct Lease {
    pub(crate) held: Held,
    /// Where it is renewed, if it is.
    kept_in: Option<Arc<Leases>>,
}

impl Lease {
    pub(crate) fn new(held: Held) -> Self {
        let kept_in = None;
        Self { held, kept_in }
    }

    /// Renews it from now on until it is dropped.
    pub(crate) fn keep(&mut self, leases: &Arc<Leases>) {
        if self.kept_in.is_none() {
            leases.add(self.held.clone());
            self.kept_in = Some(leases.clone());
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(leases) = &self.kept_in {
            leases.kept.lock().remove(&self.held.grant.fence);
        }
    }
}

/// All that is renewed, by fence.
#[derive(Default)]
pub(crate) struct Leases {
    kept: Mutex<HashMap<u64, Kept>>,
    first_came: Notify,
}

struct Kept {
    held: Held,
    seen_before: bool,
}

impl Leases {
    fn add(&self, held: Held) {
        let fence = held.grant.fence;
        let kept = Kept {
            held,
            seen_before: false,
        };
        self.kept.lock().insert(fence, kept);
        self.first_came.notify_one();
    }

    /// Renews every third of a lease what is older than that. Sleeps while there is nothing to renew. Never returns.
    pub(crate) async fn renew(&self, state: &dyn State, lease: Duration) {
        loop {
            if self.kept.lock().is_empty() {
                self.first_came.notified().await;
                continue;
            }
            sleep(lease / 3).await;
            let due = self.due();
            for held in due.chunks(RENEW_MAX) {
                match state.renew(held, lease).await {
                    Ok(kept) => events::leases_lost(kept.iter().filter(|kept| !**kept).count()),
                    Err(error) => events::renewal_failed(&error),
                }
            }
        }
    }

    /// What was already here the last time.
    fn due(&self) -> Vec<Held> {
        let mut kept = self.kept.lock();
        let old = kept.values().filter(|kept| kept.seen_before);
        let due = old.map(|kept| kept.held.clone()).collect();
        kept.values_mut().for_each(|kept| kept.seen_before = true);
        due
    }
}
