//! Whether a source makes progress: it is connected, was heard from recently, and settles the waiting messages of each
//! stream.

use std::time::Duration;

use acteon_core::health::Part;
use compact_str::{CompactString, format_compact};
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a source may be silent before it counts as stuck.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long messages of a stream may wait without any of them being settled.
const STANDSTILL_MAX: Duration = Duration::from_secs(60);

/// A source's progress as it knows it. Cheap to update from any task.
#[derive(Debug)]
pub struct Progress {
    name: CompactString,
    state: Mutex<State>,
}

/// The progress of one stream (a partition, a subject, a queue).
#[derive(Clone, Copy, Debug)]
pub struct StreamProgress<'a> {
    /// Its name, such as `kafka:orders/3`.
    pub stream: &'a str,
    /// How many of its messages wait to be settled. Offsets without a message and messages not yet due do not count.
    pub waiting: u64,
    /// Changes whenever a message of the stream has been settled since the last report.
    pub moves: u64,
}

#[derive(Debug)]
struct State {
    /// Why the source cannot read at present.
    trouble: Option<String>,
    heard_at: Instant,
    streams: HashMap<CompactString, Stream>,
}

#[derive(Debug)]
struct Stream {
    waiting: u64,
    moves: u64,
    /// When nothing was waiting, or a message was last settled.
    moved_at: Instant,
}

impl Progress {
    /// The progress of the source `name`, which has not connected yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: format_compact!("source:{name}"),
            state: Mutex::new(State {
                trouble: Some("has not connected yet".to_owned()),
                heard_at: Instant::now(),
                streams: HashMap::new(),
            }),
        }
    }

    /// The source cannot read now, for this reason. Must contain no secrets.
    pub fn not_ready(&self, detail: impl Into<String>) {
        self.state.lock().trouble = Some(detail.into());
    }

    /// The source can read and is in contact. Clears any trouble.
    pub fn connected(&self, now: Instant) {
        self.state.lock().connected(now);
    }

    /// The source can read, is in contact, and these are all its streams. Clears any trouble.
    pub fn heard<'a>(&self, now: Instant, streams: impl IntoIterator<Item = StreamProgress<'a>>) {
        let mut state = self.state.lock();
        state.connected(now);
        let mut before = std::mem::take(&mut state.streams);
        for progress in streams {
            let (name, mut stream) = before.remove_entry(progress.stream).unwrap_or_else(|| {
                let stream = Stream {
                    waiting: 0,
                    moves: progress.moves,
                    moved_at: now,
                };
                (progress.stream.into(), stream)
            });
            if stream.waiting == 0 || progress.waiting == 0 || stream.moves != progress.moves {
                stream.moved_at = now;
            }
            stream.waiting = progress.waiting;
            stream.moves = progress.moves;
            state.streams.insert(name, stream);
        }
    }

    /// The health at `now`.
    pub fn part(&self, now: Instant) -> Part {
        let state = self.state.lock();
        if let Some(trouble) = &state.trouble {
            return Part::unready(self.name.clone(), trouble.clone());
        }
        let silence = now.duration_since(state.heard_at);
        if silence > SILENCE_MAX {
            let detail = format!("no contact for {} s", silence.as_secs());
            return Part::unready(self.name.clone(), detail);
        }
        match state.standstill(now) {
            Some(detail) => Part::unready(self.name.clone(), detail),
            None => Part::ready(self.name.clone()),
        }
    }
}

impl State {
    /// Nothing could be settled during the trouble, so the time to do so starts over.
    fn connected(&mut self, now: Instant) {
        self.heard_at = now;
        if self.trouble.take().is_some() {
            for stream in self.streams.values_mut() {
                stream.moved_at = now;
            }
        }
    }

    /// Names the stream without progress for the longest time, and counts the others.
    fn standstill(&self, now: Instant) -> Option<String> {
        let still = self.streams.iter().filter(|(_, stream)| {
            stream.waiting > 0 && now.duration_since(stream.moved_at) > STANDSTILL_MAX
        });
        let others = still.clone().count().saturating_sub(1);
        let (name, stream) = still.min_by_key(|(name, stream)| (stream.moved_at, *name))?;
        let waiting = stream.waiting;
        let seconds = now.duration_since(stream.moved_at).as_secs();
        let detail =
            format!("{name}: {waiting} messages wait and none was settled for {seconds} s");
        Some(match others {
            0 => detail,
            others => format!("{detail}; {others} more streams are stuck"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(stream: &str, waiting: u64, moves: u64) -> StreamProgress<'_> {
        StreamProgress {
            stream,
            waiting,
            moves,
        }
    }

    /// A source, and the instant a number of seconds after its creation.
    fn progress() -> (Progress, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let at = move |seconds| start + Duration::from_secs(seconds);
        (Progress::new("orders"), at)
    }

    #[test]
    fn a_source_is_ready_while_it_is_heard_of() {
        let (progress, at) = progress();
        let before = progress.part(at(0));
        assert_eq!(
            (before.name.as_str(), before.ready),
            ("source:orders", false)
        );
        progress.connected(at(0));
        assert!(progress.part(at(29)).ready);
        assert!(!progress.part(at(31)).ready);
        progress.heard(at(31), []);
        assert!(progress.part(at(32)).ready);
        progress.not_ready("no broker answers");
        let after = progress.part(at(32));
        assert_eq!(after.detail.as_deref(), Some("no broker answers"));
    }

    #[test]
    fn an_idle_source_is_ready_and_one_that_settles_no_waiting_message_is_not() {
        let (progress, at) = progress();
        progress.heard(at(100), [stream("a", 0, 7)]);
        assert!(progress.part(at(110)).ready, "nothing waits");
        progress.heard(at(120), [stream("a", 5, 7)]);
        progress.heard(at(179), [stream("a", 5, 7)]);
        assert!(progress.part(at(180)).ready, "they wait for a minute only");
        progress.heard(at(190), [stream("a", 5, 7)]);
        assert!(!progress.part(at(190)).ready);
        progress.heard(at(191), [stream("a", 4, 8)]);
        assert!(progress.part(at(191)).ready);
    }

    #[test]
    fn a_stuck_stream_is_named_although_others_move() {
        let (progress, at) = progress();
        for seconds in 0..=70 {
            let stuck = stream("kafka:orders/3", 17, 4);
            let moving = stream("kafka:orders/4", 9, seconds);
            progress.heard(at(seconds), [moving, stuck]);
        }
        let part = progress.part(at(70));
        let detail = "kafka:orders/3: 17 messages wait and none was settled for 70 s";
        assert_eq!((part.ready, part.detail.as_deref()), (false, Some(detail)));
    }

    #[test]
    fn of_many_stuck_streams_one_is_named_and_the_others_are_counted() {
        let (progress, at) = progress();
        for seconds in [0, 70] {
            let streams = ["c", "b", "a"].map(|name| stream(name, 1, 0));
            progress.heard(at(seconds), streams);
        }
        let detail = progress.part(at(70)).detail.unwrap();
        assert!(
            detail.starts_with("a: 1 ") && detail.ends_with("; 2 more streams are stuck"),
            "{detail}"
        );
    }

    #[test]
    fn a_stream_that_disappeared_starts_over_when_it_returns() {
        let (progress, at) = progress();
        progress.heard(at(0), [stream("a", 1, 0)]);
        progress.heard(at(70), []);
        assert!(progress.part(at(70)).ready);
        progress.heard(at(80), [stream("a", 1, 0)]);
        assert!(progress.part(at(80)).ready);
    }

    #[test]
    fn after_trouble_the_time_to_settle_starts_over() {
        let (progress, at) = progress();
        progress.heard(at(0), [stream("a", 1, 0)]);
        progress.not_ready("no broker answers");
        progress.heard(at(100), [stream("a", 1, 0)]);
        assert!(progress.part(at(120)).ready);
        progress.heard(at(161), [stream("a", 1, 0)]);
        assert!(!progress.part(at(161)).ready);
    }
}
