//! A count that tests can wait for, so that no test has to sleep until something arrives.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// How long a test waits before it fails. Generous, because paused time runs ahead.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// A count that only grows.
#[derive(Debug)]
pub(crate) struct Tally(watch::Sender<usize>);

impl Default for Tally {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Tally {
    pub(crate) fn add(&self, more: usize) {
        self.0.send_modify(|count| *count += more);
    }

    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until the total reaches `wanted`. Panics if it does not.
    pub(crate) async fn reach(&self, wanted: usize, what: &str) {
        let mut seen = self.0.subscribe();
        let reached = timeout(WAIT_MAX, seen.wait_for(|count| *count >= wanted)).await;
        assert!(
            reached.is_ok(),
            "waited for {wanted} {what}, but only {} came",
            self.count()
        );
    }
}
