//! The only source of wall-clock time, so that tests can control it.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the wall-clock time. It is copied, never shared behind a lock. The default is the machine's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(Kind);

#[derive(Clone, Copy, Debug, Default)]
enum Kind {
    #[default]
    System,
    Virtual {
        epoch: Timestamp,
        started: Instant,
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that starts at `epoch` and moves with tokio's time, which tests can pause and advance.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self(Kind::Virtual {
            epoch,
            started: Instant::now(),
        })
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self.0 {
            Kind::System => system_now(),
            Kind::Virtual { epoch, started } => {
                let passed = SignedDuration::try_from(started.elapsed()).unwrap_or_default();
                epoch.saturating_add(passed).unwrap_or(Timestamp::MAX)
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only place that may read the clock"
)]
fn system_now() -> Timestamp {
    Timestamp::now()
}
