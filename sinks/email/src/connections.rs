//! The connections of one sink: at most as many as the server accepts at once. Idle ones are kept for the next attempt,
//! and are closed once they are idle for too long.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::connection::SmtpConnection;

/// Shorter than the minute after which strict servers close idle connections.
const IDLE_MAX: Duration = Duration::from_secs(50);
/// How often to look for idle connections that are old or closed by the server.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How long to use fewer connections after the server refused one.
const FEWER_FOR: Duration = Duration::from_secs(60);

/// The connections of one sink.
pub(crate) struct Connections {
    state: Mutex<ConnectionsState>,
    /// A connection is idle or gone.
    changed: Notify,
    max: usize,
}

struct ConnectionsState {
    /// The most recently used one is last.
    idle: Vec<IdleConnection>,
    /// The number of connections that attempts use or open.
    leased: usize,
    /// The number of connections that the server accepts.
    limit: usize,
    /// When to try more.
    raise_at: Instant,
    /// True while a task looks after the idle ones.
    is_swept: bool,
    /// That task. It ends with the connections.
    sweeper: JoinSet<()>,
}

struct IdleConnection {
    connection: SmtpConnection,
    since: Instant,
}

/// The place of one connection, held by one attempt.
pub(crate) struct Lease {
    connections: Arc<Connections>,
    /// An idle connection. `None` if the attempt must open one, or uses it.
    pub(crate) connection: Option<SmtpConnection>,
}

impl Connections {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(ConnectionsState {
                idle: Vec::new(),
                leased: 0,
                limit: max,
                raise_at: Instant::now(),
                is_swept: false,
                sweeper: JoinSet::new(),
            }),
            changed: Notify::new(),
            max,
        })
    }

    /// Takes the most recently used idle connection, or else the place for a new one. Waits while the server accepts no
    /// more. With `is_fresh`, takes no idle connection.
    pub(crate) async fn lease(self: &Arc<Self>, is_fresh: bool) -> Lease {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(lease) = self.try_lease(is_fresh) {
                return lease;
            }
            changed.await;
        }
    }

    fn try_lease(self: &Arc<Self>, is_fresh: bool) -> Option<Lease> {
        let mut state = self.state.lock();
        let connection = if is_fresh { None } else { state.take_idle() };
        if connection.is_none() {
            let now = Instant::now();
            if state.limit < self.max && now >= state.raise_at {
                state.limit = self.max.min(state.limit * 2);
                state.raise_at = now + FEWER_FOR;
            }
            if state.leased + state.idle.len() >= state.limit && !state.idle.is_empty() {
                state.idle.remove(0);
            }
            if state.leased + state.idle.len() >= state.limit {
                return None;
            }
        }
        state.leased += 1;
        Some(Lease {
            connections: self.clone(),
            connection,
        })
    }

    fn keep(self: &Arc<Self>, connection: SmtpConnection) {
        let mut state = self.state.lock();
        state.idle.push(IdleConnection {
            connection,
            since: Instant::now(),
        });
        if !state.is_swept {
            state.is_swept = true;
            // The one before has ended, or is about to.
            while state.sweeper.try_join_next().is_some() {}
            state.sweeper.spawn(sweep(Arc::downgrade(self)));
        }
    }
}

impl ConnectionsState {
    fn take_idle(&mut self) -> Option<SmtpConnection> {
        while let Some(mut one) = self.idle.pop() {
            if one.connection.is_quiet() {
                return Some(one.connection);
            }
        }
        None
    }

    /// Drops the connections that the server closed, and takes the ones that have been idle for too long.
    fn take_old(&mut self, now: Instant) -> Vec<SmtpConnection> {
        let mut old = Vec::new();
        for mut one in std::mem::take(&mut self.idle) {
            if !one.connection.is_quiet() {
                continue;
            }
            match now.duration_since(one.since) < IDLE_MAX {
                true => self.idle.push(one),
                false => old.push(one.connection),
            }
        }
        old
    }
}

/// Closes idle connections, until there are none.
async fn sweep(connections: Weak<Connections>) {
    loop {
        sleep(SWEEP_INTERVAL).await;
        let Some(connections) = connections.upgrade() else {
            return;
        };
        let old = connections.state.lock().take_old(Instant::now());
        for connection in old {
            connection.quit().await;
        }
        let mut state = connections.state.lock();
        if state.idle.is_empty() {
            state.is_swept = false;
            return;
        }
    }
}

impl Lease {
    /// The attempt has opened its connection, so another one may be accepted too.
    pub(crate) fn opened(&self) {
        self.connections.changed.notify_one();
    }

    /// The server refused this connection. If it has accepted others, uses no more than those and returns true.
    pub(crate) fn use_fewer(&self) -> bool {
        let mut state = self.connections.state.lock();
        let others = state.leased - 1 + state.idle.len();
        if others == 0 {
            return false;
        }
        state.limit = state.limit.min(others);
        state.raise_at = Instant::now() + FEWER_FOR;
        true
    }

    /// Keeps the connection for the next attempt.
    pub(crate) fn keep(mut self) {
        if let Some(mut connection) = self.connection.take()
            && connection.is_quiet()
        {
            self.connections.keep(connection);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.connections.state.lock();
        state.leased -= 1;
        if state.leased == 0 && state.idle.is_empty() {
            // Without a connection, nothing is known of the server.
            state.limit = self.connections.max;
        }
        drop(state);
        self.connections.changed.notify_one();
    }
}
