//! Log lines and metrics common to all sources. A line and its counter move together. Those of one technology are in
//! its adapter.
//!
//! Nothing about a single message is logged above debug.

use std::fmt::Display;
use std::time::Duration;

use acteon_core::{Delay, Refusal};
use compact_str::CompactString;
use metrics::{Counter, counter, describe_counter};
use tracing::{debug, error, info, warn};

const CONSUMED: &str = "acteon_source_consumed_total";
const POISON: &str = "acteon_source_poison_total";
const FENCED: &str = "acteon_source_fenced_total";
const RECONNECTS: &str = "acteon_source_reconnects_total";
const INTAKE_PANICS: &str = "acteon_source_intake_panics_total";
const RETRIED: &str = "acteon_source_retried_total";
const DELAYED: &str = "acteon_source_delayed_total";
const PUBLISHED: &str = "acteon_source_published_total";
const PUBLISH_FAILURES: &str = "acteon_source_publish_failures_total";
const PUBLISH_REFUSED: &str = "acteon_source_publish_refused_total";
const PAUSES: &str = "acteon_source_pauses_total";

/// The events of one source.
pub struct Events {
    source: CompactString,
    consumed: Counter,
    poison: Counter,
    fenced: Counter,
    reconnects: Counter,
    intake_panics: Counter,
    retried: ByLabel,
    delayed: ByLabel,
    published: ByLabel,
    publish_failures: ByLabel,
    publish_refused: ByLabel,
    pauses: ByLabel,
}

/// One counter for each value of a label with few values.
struct ByLabel(Vec<(&'static str, Counter)>);

impl ByLabel {
    fn count(&self, value: &str) {
        let counter = self.0.iter().find(|(known, _)| *known == value);
        debug_assert!(counter.is_some(), "`{value}` has no counter");
        if let Some((_, counter)) = counter {
            counter.increment(1);
        }
    }
}

impl Events {
    /// The events of `source`. Registers the metrics, so the recorder must be installed first.
    pub fn new(kind: &'static str, source: &str) -> Self {
        describe();
        let of = |name| counter!(name, "kind" => kind, "source" => source.to_owned());
        let by = |name, label: &'static str, values: &[&'static str]| {
            let of = |value| counter!(name, "kind" => kind, "source" => source.to_owned(), label => value);
            ByLabel(values.iter().map(|value| (*value, of(*value))).collect())
        };
        let refusals = Refusal::ALL.map(Refusal::as_str);
        let delays = Delay::ALL.map(Delay::as_str);
        let copies = ["retry", "dead_letter"];
        Self {
            source: source.into(),
            consumed: of(CONSUMED),
            poison: of(POISON),
            fenced: of(FENCED),
            reconnects: of(RECONNECTS),
            intake_panics: of(INTAKE_PANICS),
            retried: by(RETRIED, "reason", &[&refusals[..], &delays[..]].concat()),
            delayed: by(DELAYED, "reason", &delays),
            published: by(PUBLISHED, "as", &copies),
            publish_failures: by(PUBLISH_FAILURES, "as", &copies),
            publish_refused: by(PUBLISH_REFUSED, "as", &copies),
            pauses: by(PAUSES, "reason", &["no_room", "partition_full"]),
        }
    }

    /// A connection attempt starts.
    pub fn connecting(&self) {
        info!(source = %self.source, "connecting");
    }

    /// The connection broke.
    pub fn lost(&self, error: &dyn Display, wait: Duration) {
        self.reconnects.increment(1);
        warn!(source = %self.source, %error, ?wait, "connection lost; reconnecting after the wait");
    }

    /// The source starts to stop with this many messages in flight.
    pub fn stopping(&self, in_flight: usize) {
        info!(source = %self.source, in_flight, "stopping: no new messages are read");
    }

    /// The source has stopped and left this many messages unsettled.
    pub fn stopped(&self, unsettled: usize) {
        info!(source = %self.source, unsettled, "stopped; the broker delivers unsettled messages again");
    }

    /// This many messages are handed in, including the poison.
    pub fn consumed(&self, messages: usize, poison: usize) {
        self.consumed.increment(messages as u64);
        self.poison.increment(poison as u64);
    }

    /// A message will be offered again by this process.
    pub fn retried(&self, reason: &'static str) {
        self.retried.count(reason);
    }

    /// An action takes the delayed path.
    pub fn delayed(&self, reason: &'static str) {
        self.delayed.count(reason);
    }

    /// A copy was published: for `retry` or as a `dead_letter`.
    pub fn published(&self, purpose: &'static str) {
        self.published.count(purpose);
    }

    /// A copy could not be published.
    pub fn publish_failed(&self, purpose: &'static str, error: &dyn Display) {
        self.publish_failures.count(purpose);
        warn!(source = %self.source, purpose, %error, "a message could not be published; it is kept and published again later");
    }

    /// A copy can never be published.
    pub fn publish_refused(&self, purpose: &'static str, error: &dyn Display) {
        self.publish_refused.count(purpose);
        warn!(source = %self.source, purpose, %error, "the broker refused a message permanently; it is stored as a dead letter only");
    }

    /// A message was settled after it no longer belonged to this session.
    pub fn fenced(&self, offset: u64) {
        self.fenced.increment(1);
        debug!(source = %self.source, offset, "a message was settled after this session had lost it");
    }

    /// All reading is paused for lack of room.
    pub fn held_back(&self) {
        self.paused("no_room");
        debug!(source = %self.source, "paused until there is room in flight");
    }

    /// Reading is paused.
    pub fn paused(&self, reason: &'static str) {
        self.pauses.count(reason);
    }

    /// The pipeline panicked on a batch.
    pub fn intake_panicked(&self) {
        self.intake_panics.increment(1);
        error!(source = %self.source, "the pipeline panicked; its messages are offered again");
    }
}

#[rustfmt::skip]
fn describe() {
    describe_counter!(CONSUMED, "Messages read.");
    describe_counter!(POISON, "Messages that could not be decoded.");
    describe_counter!(FENCED, "Messages settled after the session had lost them.");
    describe_counter!(RECONNECTS, "Connections lost and made again.");
    describe_counter!(INTAKE_PANICS, "Panics of the pipeline while it took a batch.");
    describe_counter!(RETRIED, "Messages offered again by this process.");
    describe_counter!(DELAYED, "Actions sent to the delayed path.");
    describe_counter!(PUBLISHED, "Copies published, as delayed actions or dead letters.");
    describe_counter!(PUBLISH_FAILURES, "Copies that could not be published and are published again later.");
    describe_counter!(PUBLISH_REFUSED, "Copies that the broker refused permanently.");
    describe_counter!(PAUSES, "How often reading paused.");
}
