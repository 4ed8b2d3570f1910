//! Deciding shares its thread: between two steps of long work a slice of time is checked, and given up when it is over.
//! What one step costs is left to the rules.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;

/// How long work may keep its thread.
const LONGEST: Duration = Duration::from_millis(1);

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
        if self.began.elapsed() >= LONGEST {
            yield_now().await;
            self.began = Instant::now();
        }
    }
}
