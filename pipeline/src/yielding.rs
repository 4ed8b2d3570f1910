//! Deciding shares its thread: between two steps of long work a slice of time is checked, and given up when it is over.
//! What one step costs is left to the rules.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;

/// How long work may keep its thread.
pub(crate) const LONGEST_SLICE: Duration = Duration::from_millis(1);

/// The time that work may take before others run.
pub(crate) struct TimeSlice {
    began: Instant,
}

impl TimeSlice {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Lets other tasks run if the slice is over, and begins the next one. Called after each step of the work.
    pub(crate) async fn yield_when_over(&mut self) {
        if self.over().is_some() {
            *self = self.next().await;
        }
    }

    /// Lets other tasks run, and begins the next slice.
    pub(crate) async fn next(&self) -> Self {
        yield_now().await;
        Self::begin()
    }

    /// How long the slice has lasted, once it is over.
    pub(crate) fn over(&self) -> Option<Duration> {
        Some(self.began.elapsed()).filter(|lasted| *lasted >= LONGEST_SLICE)
    }
}
