//! Whether a source gets on: connected, heard of lately, and settling what waits for it.

use std::time::Duration;

use acteon_core::health::Part;
use compact_str::{CompactString, format_compact};
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a source may be silent before it counts as stuck.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long records may wait without one of them being settled.
const STANDSTILL_MAX: Duration = Duration::from_secs(60);

/// What a source knows of its own progress. Cheap to tell, from any task.
#[derive(Debug)]
pub struct Progress {
    name: CompactString,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What is wrong, while it cannot read.
    trouble: Option<String>,
    heard_at: Instant,
    moved_at: Instant,
    backlog: u64,
}

impl Progress {
    /// The progress of the source `name`, which has not connected yet.
    pub fn new(name: &str) -> Self {
        let now = Instant::now();
        Self {
            name: format_compact!("source:{name}"),
            state: Mutex::new(State {
                trouble: Some("has not connected yet".to_owned()),
                heard_at: now,
                moved_at: now,
                backlog: 0,
            }),
        }
    }

    /// It cannot read now, and why; without secrets.
    pub fn troubled(&self, detail: impl Into<String>) {
        self.state.lock().trouble = Some(detail.into());
    }

    /// It can read, is in contact, and `backlog` messages wait for it. Ends what troubled it.
    pub fn heard(&self, now: Instant, backlog: u64) {
        let mut state = self.state.lock();
        state.heard_at = now;
        if state.trouble.take().is_some() || state.backlog == 0 || backlog == 0 {
            state.moved_at = now;
        }
        state.backlog = backlog;
    }

    /// Something was settled.
    pub fn moved(&self, now: Instant) {
        self.state.lock().moved_at = now;
    }

    /// How it is at `now`.
    pub fn part(&self, now: Instant) -> Part {
        let state = self.state.lock();
        if let Some(trouble) = &state.trouble {
            return Part::unready(self.name.clone(), trouble.clone());
        }
        let silence = now.duration_since(state.heard_at);
        if silence > SILENCE_MAX {
            let detail = format!("nothing heard for {} s", silence.as_secs());
            return Part::unready(self.name.clone(), detail);
        }
        let standstill = now.duration_since(state.moved_at);
        if state.backlog > 0 && standstill > STANDSTILL_MAX {
            let (waiting, seconds) = (state.backlog, standstill.as_secs());
            let detail = format!("{waiting} messages wait and none was settled for {seconds} s");
            return Part::unready(self.name.clone(), detail);
        }
        Part::ready(self.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_ready_while_it_is_heard_of() {
        let (progress, now) = (Progress::new("orders"), Instant::now());
        let before = progress.part(now);
        assert_eq!(
            (before.name.as_str(), before.ready),
            ("source:orders", false)
        );
        progress.heard(now, 0);
        assert!(progress.part(now + Duration::from_secs(29)).ready);
        assert!(!progress.part(now + Duration::from_secs(31)).ready);
        progress.heard(now + Duration::from_secs(31), 0);
        assert!(progress.part(now + Duration::from_secs(32)).ready);
        progress.troubled("no broker answers");
        let after = progress.part(now);
        assert_eq!(after.detail.as_deref(), Some("no broker answers"));
    }

    #[test]
    fn an_idle_source_is_ready_and_one_that_stands_still_before_waiting_messages_is_not() {
        let (progress, start) = (Progress::new("orders"), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        progress.heard(at(100), 0);
        assert!(progress.part(at(110)).ready, "nothing waits");
        progress.heard(at(120), 5);
        progress.heard(at(179), 5);
        assert!(progress.part(at(180)).ready, "they wait for a minute only");
        progress.heard(at(190), 5);
        assert!(!progress.part(at(190)).ready);
        progress.moved(at(191));
        assert!(progress.part(at(191)).ready);
    }
}
