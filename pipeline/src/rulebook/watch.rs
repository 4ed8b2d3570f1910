//! Follows the files and the toggles of all nodes. A look is cheap; files are read only when they have changed, and
//! only once they have stopped changing.

use std::time::Duration;

use acteon_core::rules::RulesError;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{Rules, events, files};

/// How often the files are looked at, and the toggles read.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the files must look the same before they are read.
const SETTLE: Duration = Duration::from_millis(200);
/// Files that never look the same twice are read after so many looks all the same.
const LOOKS_MAX: usize = 4;

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The toggles, which hold on every node.
    Toggles,
    /// The toggles and the files.
    TogglesAndFiles,
}

impl Rules {
    /// Follows changes until `stop`.
    pub async fn watch(&self, follow: Follow, stop: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.look(follow).await,
                () = stop.cancelled() => return,
            }
        }
    }

    async fn look(&self, follow: Follow) {
        if follow == Follow::TogglesAndFiles {
            self.follow_files().await;
        }
        let mut loading = self.loading.lock().await;
        if let Err(RulesError::State(error)) = self.follow_toggles(&mut loading).await {
            events::toggles_unknown(&error);
        }
    }

    async fn follow_files(&self) {
        let mut loading = self.loading.lock().await;
        let Some(directory) = loading.directory.clone() else {
            return;
        };
        let mut seen = files::stamp(&directory).await;
        if seen == loading.stamp {
            return;
        }
        for _ in 0..LOOKS_MAX {
            sleep(SETTLE).await;
            let now = files::stamp(&directory).await;
            if now == seen {
                break;
            }
            seen = now;
        }
        let result = self.load_from(directory, &mut loading).await;
        if let Err(error) = result {
            // What was tried and refused is not tried again before it changes.
            loading.stamp = seen;
            self.refused(&error);
        }
    }
}
