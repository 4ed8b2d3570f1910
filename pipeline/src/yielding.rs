//! Keeps long work from blocking its thread: after each step it checks a time slice, and yields when the slice is over.
//! Limiting the cost of one step is left to the rules.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;

/// How long work may keep its thread.
pub(crate) const LONGEST_SLICE: Duration = Duration::from_millis(1);

/// The time that work may take before it yields.
pub(crate) struct TimeSlice {
    began: Instant,
}

impl TimeSlice {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Yields if the slice is over, and starts the next one. Called after each step of the work.
    pub(crate) async fn yield_when_over(&mut self) {
        if self.over().is_some() {
            *self = self.next().await;
        }
    }

    /// Yields to other tasks and starts the next slice.
    pub(crate) async fn next(&self) -> Self {
        yield_now().await;
        Self::begin()
    }

    /// The length of the slice, once it is over.
    pub(crate) fn over(&self) -> Option<Duration> {
        Some(self.began.elapsed()).filter(|lasted| *lasted >= LONGEST_SLICE)
    }
}
