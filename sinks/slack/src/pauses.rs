//! The channels that Slack asked not to post to for a while. Its limit is one message a second for each channel, so the
//! other channels go on.

use std::collections::HashMap;
use std::time::Duration;

use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The maximum number of paused channels. Beyond it, the whole provider is paused.
const CHANNELS_MAX: usize = 1000;
/// The longest pause. What Slack asks for beyond it is asked for again.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// The end of each pause.
#[derive(Default)]
pub(crate) struct Pauses {
    until: Mutex<HashMap<CompactString, Instant>>,
}

impl Pauses {
    /// How long `channel` is still paused.
    pub(crate) fn left(&self, channel: &str) -> Option<Duration> {
        let until = *self.until.lock().get(channel)?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Pauses `channel`. False if there are too many paused channels already.
    pub(crate) fn begin(&self, channel: &str, pause: Duration) -> bool {
        let now = Instant::now();
        let until = now + pause.min(PAUSE_MAX);
        let mut all = self.until.lock();
        if all.len() >= CHANNELS_MAX {
            all.retain(|_, until| *until > now);
        }
        let has_room = all.len() < CHANNELS_MAX;
        if has_room {
            all.insert(channel.into(), until);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_by_itself_and_other_channels_have_none() {
        let pauses = Pauses::default();
        assert!(pauses.begin("C1", SECOND * 5));
        assert_eq!(pauses.left("C1"), Some(SECOND * 5));
        assert_eq!(pauses.left("C2"), None);
        tokio::time::advance(SECOND * 5).await;
        assert_eq!(pauses.left("C1"), None);
        pauses.begin("C1", SECOND * 100_000);
        assert_eq!(pauses.left("C1"), Some(PAUSE_MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_paused_channels_is_bounded() {
        let pauses = Pauses::default();
        for number in 0..CHANNELS_MAX {
            assert!(pauses.begin(&number.to_string(), SECOND));
        }
        assert!(!pauses.begin("one more", SECOND));
        tokio::time::advance(SECOND).await;
        assert!(pauses.begin("one more", SECOND));
        assert_eq!(pauses.until.lock().len(), 1);
    }
}
