//! Follows the files and the toggles of all nodes. The files are read at each look: times and sizes do not show every
//! edit. They are put in force once they have stopped changing.

use std::time::Duration;

use acteon_core::rules::RulesError;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{Rules, events, files};

/// How often the files are looked at, and the toggles read.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the files must stay the same before they are put in force.
const SETTLE: Duration = Duration::from_millis(200);
/// Files that never are the same twice are put in force after so many looks all the same.
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
        let mut reading = files::read(&directory).await;
        if Some(reading.digest) == loading.digest {
            return;
        }
        for _ in 0..LOOKS_MAX {
            sleep(SETTLE).await;
            let again = files::read(&directory).await;
            let has_settled = again.digest == reading.digest;
            reading = again;
            if has_settled {
                break;
            }
        }
        // What was tried and refused is not tried again before it changes.
        if let Err(error) = self.take(directory, reading, &mut loading) {
            self.refused(&error);
        }
    }
}
