//! Where actions wait whose id or dedup key somebody else is processing. They are asked for again when this process
//! settles that key, and now and then in case another one does.

use std::time::Duration;

use acteon_core::Refusal;
use acteon_core::state::{Busy, Settlement, StateKey};
use hashbrown::HashSet;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::job::Job;
use crate::process::Pipeline;
use crate::reserve::Asking;

/// The first and the longest time between two looks at a key that another process may hold.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(100);
/// How long a source waits before it offers again what waited in vain.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// All that wait, in the order they came. Bounded by what is admitted.
#[derive(Default)]
pub(crate) struct WaitingRoom {
    parked: Mutex<Vec<Parked>>,
    bell: Notify,
}

struct Parked {
    asking: Asking,
    key: StateKey,
    due: Instant,
}

impl WaitingRoom {
    /// Lets it wait for its turn.
    pub(crate) fn park(&self, mut asking: Asking, busy: Busy) {
        let look = FIRST_LOOK
            .saturating_mul(1 << asking.count_look().min(8))
            .min(LONGEST_LOOK);
        asking.job.detach();
        let parked = Parked {
            due: Instant::now() + look.min(busy.expires_in),
            key: busy.key,
            asking,
        };
        self.parked.lock().push(parked);
        self.bell.notify_one();
    }

    /// Calls up those who wait for something that has just been settled.
    pub(crate) fn settled(&self, settlements: &[Settlement]) {
        let mut parked = self.parked.lock();
        if parked.is_empty() {
            return;
        }
        let held = settlements.iter().filter_map(|end| end.held.as_ref());
        let free: HashSet<&StateKey> = held
            .flat_map(|held| {
                let claims = held.reservation.claims.iter().map(|claim| &claim.key);
                claims.chain(&held.reservation.lease)
            })
            .collect();
        let now = Instant::now();
        for waiting in parked
            .iter_mut()
            .filter(|waiting| free.contains(&waiting.key))
        {
            waiting.due = now;
        }
        self.bell.notify_one();
    }

    /// Sends everybody out.
    pub(crate) fn empty(&self) -> Vec<Box<Job>> {
        let parked = std::mem::take(&mut *self.parked.lock());
        parked
            .into_iter()
            .map(|waiting| waiting.asking.job)
            .collect()
    }

    /// Those whose turn it is to look, in the order they came.
    fn take_due(&self) -> Vec<Asking> {
        let now = Instant::now();
        let mut parked = self.parked.lock();
        let (due, rest) = std::mem::take(&mut *parked)
            .into_iter()
            .partition::<Vec<_>, _>(|waiting| waiting.due <= now);
        *parked = rest;
        due.into_iter().map(|waiting| waiting.asking).collect()
    }

    fn next_due(&self) -> Option<Instant> {
        self.parked.lock().iter().map(|waiting| waiting.due).min()
    }
}

impl Pipeline {
    /// Asks again for those whose turn has come. Sleeps while nobody waits. Never returns.
    pub(crate) async fn wait_turns(&self) {
        loop {
            match self.waiting.next_due() {
                None => self.waiting.bell.notified().await,
                Some(due) => {
                    tokio::select! {
                        () = sleep_until(due) => {}
                        () = self.waiting.bell.notified() => {}
                    }
                }
            }
            let due = self.waiting.take_due();
            if !due.is_empty() {
                let (patient, weary) = by_patience(due);
                for asking in weary {
                    asking.job.retry(BUSY_WAIT, Refusal::Busy);
                }
                let ended = self.reserve_and_begin(patient, Vec::new()).await;
                self.settle(ended).await;
            }
        }
    }
}

fn by_patience(due: Vec<Asking>) -> (Vec<Asking>, Vec<Asking>) {
    let now = Instant::now();
    due.into_iter().partition(|asking| !asking.is_weary(now))
}
