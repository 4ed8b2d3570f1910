//! Watches the files, and the toggles of all nodes. Reads the files each time, because times and sizes do not show every
//! edit. Puts them in force once they have stopped changing.

use std::time::Duration;

use acteon_core::rules::RulesError;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{Rules, events, files};

/// How often the files and the toggles are read.
const READ_INTERVAL: Duration = Duration::from_secs(1);
/// How long the files must stay the same before they are put in force.
const SETTLE: Duration = Duration::from_millis(200);
/// Files that keep changing are put in force after this many reads.
const READS_MAX: usize = 4;

/// What to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The toggles of all nodes.
    Toggles,
    /// The toggles and the files.
    TogglesAndFiles,
}

impl Rules {
    /// Watches for changes until `stop`.
    pub async fn watch(&self, follow: Follow, stop: CancellationToken) {
        let mut ticks = interval(READ_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.read_changes(follow).await,
                () = stop.cancelled() => return,
            }
        }
    }

    async fn read_changes(&self, follow: Follow) {
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
        for _ in 0..READS_MAX {
            sleep(SETTLE).await;
            let again = files::read(&directory).await;
            let has_settled = again.digest == reading.digest;
            reading = again;
            if has_settled {
                break;
            }
        }
        // Refused files are not tried again before they change.
        if let Err(error) = self.take(directory, reading, &mut loading) {
            self.refused(&error);
        }
    }
}
