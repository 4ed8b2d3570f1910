//! Idle connections, kept for the next attempt. An attempt takes one or opens one, so there are at most as many
//! connections as concurrent attempts, which the pipeline limits.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::connection::SmtpConnection;

/// Shorter than the minute after which strict servers close idle connections.
const IDLE_MAX: Duration = Duration::from_secs(50);

/// The idle connections. The most recently used one is last.
pub(crate) struct IdleConnections {
    idle: Mutex<Vec<IdleConnection>>,
    max: usize,
}

struct IdleConnection {
    connection: SmtpConnection,
    since: Instant,
}

impl IdleConnections {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            idle: Mutex::default(),
            max,
        }
    }

    /// Closes connections that have been idle for too long, and takes the most recently used one.
    pub(crate) fn take(&self, now: Instant) -> Option<SmtpConnection> {
        let mut idle = self.idle.lock();
        idle.retain(|one| now.duration_since(one.since) < IDLE_MAX);
        idle.pop().map(|one| one.connection)
    }

    /// Keeps a connection for the next attempt.
    pub(crate) fn keep(&self, connection: SmtpConnection, now: Instant) {
        let mut idle = self.idle.lock();
        if idle.len() < self.max {
            idle.push(IdleConnection {
                connection,
                since: now,
            });
        }
    }
}
