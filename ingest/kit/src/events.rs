//! Log lines and metrics common to all sources. A line and its counter move together. Those of one technology are in
//! its adapter.
//!
//! Nothing about a single message is logged above debug.

use std::fmt::Display;
use std::time::Duration;

use compact_str::CompactString;
use metrics::{Counter, counter};
use tracing::{debug, error, info, warn};

/// The events of one source.
pub struct Events {
    /// The technology, such as `kafka`.
    kind: &'static str,
    source: CompactString,
    consumed: Counter,
    poison: Counter,
    fenced: Counter,
}

impl Events {
    /// The events of `source`. Registers the metrics, so the recorder must be installed first.
    pub fn new(kind: &'static str, source: &str) -> Self {
        let of = |name| counter!(name, "kind" => kind, "source" => source.to_owned());
        Self {
            kind,
            source: source.into(),
            consumed: of("acteon_source_consumed_total"),
            poison: of("acteon_source_poison_total"),
            fenced: of("acteon_source_fenced_total"),
        }
    }

    fn counted(&self, name: &'static str) {
        counter!(name, "kind" => self.kind, "source" => self.source.to_string()).increment(1);
    }

    fn counted_by(&self, name: &'static str, label: &'static str, value: &'static str) {
        let source = self.source.to_string();
        counter!(name, "kind" => self.kind, "source" => source, label => value).increment(1);
    }

    /// A connection attempt starts.
    pub fn connecting(&self) {
        info!(source = %self.source, "connecting");
    }

    /// The connection broke.
    pub fn lost(&self, error: &dyn Display, wait: Duration) {
        self.counted("acteon_source_reconnects_total");
        warn!(source = %self.source, %error, ?wait, "the connection is lost and will be made again");
    }

    /// The source was told to stop with this many messages in flight.
    pub fn stopping(&self, in_flight: usize) {
        info!(source = %self.source, in_flight, "stopping: nothing new is read");
    }

    /// The source has stopped and left this many messages unsettled.
    pub fn stopped(&self, unsettled: usize) {
        info!(source = %self.source, unsettled, "stopped; what is unsettled comes back from the broker");
    }

    /// This many messages are handed in, including the poison.
    pub fn consumed(&self, messages: usize, poison: usize) {
        self.consumed.increment(messages as u64);
        self.poison.increment(poison as u64);
    }

    /// A message will be offered again by this process.
    pub fn retried(&self, reason: &'static str) {
        self.counted_by("acteon_source_retried_total", "reason", reason);
    }

    /// An action takes the delayed path.
    pub fn delayed(&self, reason: &'static str) {
        self.counted_by("acteon_source_delayed_total", "reason", reason);
    }

    /// A copy was published: for `retry` or as a `dead_letter`.
    pub fn published(&self, purpose: &'static str) {
        self.counted_by("acteon_source_published_total", "as", purpose);
    }

    /// A copy could not be published.
    pub fn publish_failed(&self, purpose: &'static str, error: &dyn Display) {
        self.counted_by("acteon_source_publish_failures_total", "as", purpose);
        warn!(source = %self.source, purpose, %error, "a message could not be published; it is kept and tried again");
    }

    /// A copy can never be published.
    pub fn publish_refused(&self, purpose: &'static str, error: &dyn Display) {
        self.counted_by("acteon_source_publish_refused_total", "as", purpose);
        warn!(source = %self.source, purpose, %error, "a message was refused for good; it is kept among the dead letters only");
    }

    /// A message was settled after it no longer belonged to this session.
    pub fn fenced(&self, offset: u64) {
        self.fenced.increment(1);
        debug!(source = %self.source, offset, "settled when it was not ours any more");
    }

    /// All reading is paused for lack of room.
    pub fn held_back(&self) {
        self.paused("no_room");
        debug!(source = %self.source, "paused until there is room");
    }

    /// Reading is paused.
    pub fn paused(&self, reason: &'static str) {
        self.counted_by("acteon_source_pauses_total", "reason", reason);
    }

    /// The pipeline panicked on a batch.
    pub fn intake_panicked(&self) {
        self.counted("acteon_source_intake_panics_total");
        error!(source = %self.source, "the pipeline panicked; what it held is offered again");
    }
}
