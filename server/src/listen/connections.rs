//! The connections of one listener, as many as it may have. When there is no place for another, the one that has been
//! idle for longest is closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::life::{Life, Phase};
use crate::events;

pub(super) struct Connections {
    began: Instant,
    places: Arc<Semaphore>,
    /// True while one waits for a place: the next that becomes idle makes room.
    crowded: AtomicBool,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last: u64,
    lives: HashMap<u64, Arc<Life>>,
}

impl Connections {
    pub(super) fn at_most(max: usize) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            places: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            crowded: AtomicBool::new(false),
            open: Mutex::default(),
        })
    }

    /// A place for one more, as soon as there is one.
    pub(super) async fn enter(self: &Arc<Self>) -> Entered {
        let place = match self.places.clone().try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => {
                self.make_room();
                let place = self.places.clone().acquire_owned().await;
                self.crowded.store(false, SeqCst);
                // It is never closed.
                place.ok()
            }
        };
        let life = Arc::new(Life::new(self.now_ms()));
        let mut open = self.open.lock();
        open.last += 1;
        let number = open.last;
        open.lives.insert(number, life.clone());
        Entered {
            connections: self.clone(),
            number,
            life,
            _place: place,
        }
    }

    /// Answers every request under way now, and says how many those are.
    pub(super) fn cut_off(&self) -> usize {
        let open = self.open.lock();
        let busy = open.lives.values().filter(|life| life.cut_off());
        busy.count()
    }

    /// Milliseconds since the listener began.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn make_room(&self) {
        self.crowded.store(true, SeqCst);
        loop {
            let oldest = {
                let open = self.open.lock();
                let idle = open.lives.values().filter_map(|life| {
                    let seen = life.now();
                    (seen.phase() == Phase::Idle).then(|| (life.idle_since_ms(), seen, life))
                });
                let oldest = idle.min_by_key(|(since, _, _)| *since);
                oldest.map(|(_, seen, life)| (seen, life.clone()))
            };
            // Without an idle one, the next that becomes idle goes.
            let Some((seen, life)) = oldest else { return };
            // Else it has just got a request.
            if life.close(seen) {
                self.crowded.store(false, SeqCst);
                events::closed_for_room();
                return;
            }
        }
    }
}

/// A connection with its place.
pub(super) struct Entered {
    connections: Arc<Connections>,
    number: u64,
    life: Arc<Life>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Entered {
    pub(super) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    pub(super) fn idling(&self) -> Idling {
        Idling(self.connections.clone())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.connections.open.lock().lives.remove(&self.number);
    }
}

/// Whom a connection tells that it is idle.
pub(super) struct Idling(Arc<Connections>);

impl Idling {
    /// Notes since when it is idle, or closes it where another one waits for its place.
    pub(super) fn begin(&self, life: &Life) {
        life.set_idle_since_ms(self.0.now_ms());
        let crowded = self.0.crowded.load(SeqCst) && self.0.crowded.swap(false, SeqCst);
        if crowded && life.close(life.now()) {
            events::closed_for_room();
        }
    }
}
