//! Limits the connections of one listener. At the limit, the connection idle for longest is closed to admit a new one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::state::{ConnectionState, Phase};
use crate::events;

pub(super) struct OpenConnections {
    started: Instant,
    permits: Arc<Semaphore>,
    /// True while a connection waits to be admitted. The next one that becomes idle is closed.
    is_awaited: AtomicBool,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last: u64,
    states: HashMap<u64, Arc<ConnectionState>>,
}

impl OpenConnections {
    pub(super) fn at_most(max: usize) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            permits: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            is_awaited: AtomicBool::new(false),
            open: Mutex::default(),
        })
    }

    /// Admits one more connection, as soon as the limit allows.
    pub(super) async fn admit(self: &Arc<Self>) -> ConnectionPermit {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.close_idle();
                let permit = self.permits.clone().acquire_owned().await;
                self.is_awaited.store(false, SeqCst);
                // The semaphore is never closed.
                permit.ok()
            }
        };
        let state = Arc::new(ConnectionState::new(self.now_ms()));
        let mut open = self.open.lock();
        open.last += 1;
        let number = open.last;
        open.states.insert(number, state.clone());
        ConnectionPermit {
            connections: self.clone(),
            number,
            state,
            _permit: permit,
        }
    }

    /// Cuts off every request in progress, and returns their number.
    pub(super) fn cut_off(&self) -> usize {
        let open = self.open.lock();
        let busy = open.states.values().filter(|state| state.cut_off());
        busy.count()
    }

    /// Milliseconds since the listener started.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Closes the connection idle for longest. If there is none, the next one that becomes idle is closed.
    fn close_idle(&self) {
        self.is_awaited.store(true, SeqCst);
        loop {
            let oldest = {
                let open = self.open.lock();
                let idle = open.states.values().filter_map(|state| {
                    let seen = state.now();
                    (seen.phase() == Phase::Idle).then(|| (state.idle_since_ms(), seen, state))
                });
                let oldest = idle.min_by_key(|(since, _, _)| *since);
                oldest.map(|(_, seen, state)| (seen, state.clone()))
            };
            let Some((seen, state)) = oldest else { return };
            // Closing fails if a request has just arrived.
            if state.close(seen) {
                self.is_awaited.store(false, SeqCst);
                events::closed_for_room();
                return;
            }
        }
    }
}

/// Admits one connection until it is dropped.
pub(super) struct ConnectionPermit {
    connections: Arc<OpenConnections>,
    number: u64,
    state: Arc<ConnectionState>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl ConnectionPermit {
    pub(super) fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }

    pub(super) fn idle_reporter(&self) -> IdleReporter {
        IdleReporter(self.connections.clone())
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.open.lock().states.remove(&self.number);
    }
}

/// Reports that a connection is idle.
pub(super) struct IdleReporter(Arc<OpenConnections>);

impl IdleReporter {
    /// Records when the connection became idle, or closes it if another one waits to be admitted.
    pub(super) fn report(&self, state: &ConnectionState) {
        state.set_idle_since_ms(self.0.now_ms());
        let is_awaited = self.0.is_awaited.load(SeqCst) && self.0.is_awaited.swap(false, SeqCst);
        if is_awaited && state.close(state.now()) {
            events::closed_for_room();
        }
    }
}
