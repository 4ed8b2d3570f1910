//! The log lines and the metrics of the source; a line and its counter move together.
//!
//! Nothing is logged above debug for a single record.

use std::time::Duration;

use compact_str::CompactString;
use metrics::{Counter, counter, gauge};
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tracing::{debug, error, info, warn};

use crate::starts::{Found, Start};

/// What one source tells about itself.
pub(crate) struct Events {
    source: CompactString,
    consumed: Counter,
    committed: Counter,
    poison: Counter,
    fenced: Counter,
    /// What the client complained of last, so that it is not repeated as long as it lasts.
    trouble: Mutex<Option<RDKafkaErrorCode>>,
}

impl Events {
    /// The metrics are registered here, so this is called when the recorder is in place.
    pub(crate) fn new(source: &CompactString) -> Self {
        let of = |name| counter!(name, "source" => source.to_string());
        Self {
            source: source.clone(),
            consumed: of("acteon_kafka_consumed_total"),
            committed: of("acteon_kafka_committed_total"),
            poison: of("acteon_kafka_poison_total"),
            fenced: of("acteon_kafka_fenced_total"),
            trouble: Mutex::default(),
        }
    }

    fn counted(&self, name: &'static str, label: &'static str, value: &'static str) {
        counter!(name, "source" => self.source.to_string(), label => value).increment(1);
    }

    pub(crate) fn connecting(&self) {
        info!(source = %self.source, "connecting");
    }

    pub(crate) fn lost(&self, error: &KafkaError, wait: Duration) {
        counter!("acteon_kafka_reconnects_total", "source" => self.source.to_string()).increment(1);
        warn!(source = %self.source, %error, ?wait, "the connection is lost and will be made again");
    }

    pub(crate) fn topic_not_declared(&self, topic: &str, error: &str) {
        warn!(source = %self.source, topic, error, "a topic could not be created; it has to exist");
    }

    pub(crate) fn assigned(&self, start: &Start) {
        let (topic, partition, position) = (&start.topic, start.number, start.settled.position);
        info!(source = %self.source, topic, partition, position, "partition assigned");
        match start.found {
            Found::AsLeft | Found::Fresh => {}
            Found::Anew { settled } => self.made_anew(topic, partition, settled),
        }
    }

    pub(crate) fn look_up_failed(&self, error: &KafkaError) {
        warn!(source = %self.source, %error, "where partitions begin could not be looked up; it is tried again");
    }

    pub(crate) fn made_anew(&self, topic: &str, partition: i32, settled: u64) {
        counter!("acteon_kafka_made_anew_total", "source" => self.source.to_string()).increment(1);
        warn!(
            source = %self.source, topic, partition, settled,
            "a topic was made anew or cut; it is read from its first record"
        );
    }

    pub(crate) fn forgotten(&self, topic: &str, partition: i32) {
        warn!(
            source = %self.source, topic, partition,
            "the broker has forgotten what was committed; the client is made anew"
        );
    }

    pub(crate) fn revoked(&self, topic: &str, partition: i32, unsettled: usize) {
        self.lag(topic, partition, 0);
        info!(source = %self.source, topic, partition, unsettled, "partition given up");
    }

    /// Tells of a call to the client library only when it failed.
    pub(crate) fn called(&self, call: &'static str, result: &KafkaResult<()>) {
        if let Err(error) = result {
            warn!(source = %self.source, call, %error, "the Kafka client refused a call");
        }
    }

    pub(crate) fn stopping(&self, in_flight: usize) {
        info!(source = %self.source, in_flight, "stopping: nothing new is read");
    }

    pub(crate) fn stopped(&self, unsettled: usize) {
        info!(source = %self.source, unsettled, "stopped; what is unsettled comes back from the broker");
    }

    pub(crate) fn consumed(&self, records: usize, poison: usize) {
        self.consumed.increment(records as u64);
        self.poison.increment(poison as u64);
    }

    pub(crate) fn committed(&self, records: u64) {
        self.committed.increment(records);
    }

    pub(crate) fn commit_failed(&self, error: &KafkaError) {
        self.counted("acteon_kafka_commit_failures_total", "during", "run");
        warn!(source = %self.source, %error, "a commit failed and will be repeated");
    }

    pub(crate) fn retried(&self, reason: &'static str) {
        self.counted("acteon_kafka_retried_total", "reason", reason);
    }

    pub(crate) fn published(&self, kind: &'static str) {
        self.counted("acteon_kafka_published_total", "kind", kind);
    }

    pub(crate) fn publish_failed(&self, kind: &'static str, error: &KafkaError) {
        self.counted("acteon_kafka_publish_failures_total", "kind", kind);
        warn!(source = %self.source, kind, %error, "a record could not be published; it is kept and tried again");
    }

    pub(crate) fn fenced(&self, offset: u64) {
        self.fenced.increment(1);
        debug!(source = %self.source, offset, "settled after its partition was given up");
    }

    pub(crate) fn held_back(&self) {
        self.counted("acteon_kafka_pauses_total", "reason", "no_room");
        debug!(source = %self.source, "paused until there is room");
    }

    pub(crate) fn partition_paused(&self, topic: &str, partition: i32) {
        self.counted("acteon_kafka_pauses_total", "reason", "partition_full");
        debug!(source = %self.source, topic, partition, "partition paused");
    }

    pub(crate) fn intake_panicked(&self) {
        self.counted("acteon_kafka_intake_panics_total", "in", "submit");
        error!(source = %self.source, "the pipeline panicked; what it held is offered again");
    }

    pub(crate) fn lag(&self, topic: &str, partition: i32, records: u64) {
        gauge!(
            "acteon_kafka_lag",
            "source" => self.source.to_string(),
            "topic" => topic.to_owned(),
            "partition" => partition.to_string(),
        )
        .set(records as f64);
    }

    pub(crate) fn client_failed(&self, error: &KafkaError, reason: &str) {
        self.counted("acteon_kafka_client_errors_total", "from", "consumer");
        let code = error.rdkafka_error_code();
        if std::mem::replace(&mut *self.trouble.lock(), code) == code {
            debug!(source = %self.source, %error, reason, "the Kafka client repeats an error");
        } else {
            warn!(source = %self.source, %error, reason, "the Kafka client reports an error");
        }
    }

    /// A broker answers.
    pub(crate) fn connected(&self) {
        if self.trouble.lock().take().is_some() {
            info!(source = %self.source, "connected again");
        }
    }

    pub(crate) fn client_said(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => {
                error!(source = %self.source, facility, message, "Kafka client");
            }
            RDKafkaLogLevel::Warning => {
                warn!(source = %self.source, facility, message, "Kafka client");
            }
            _ => debug!(source = %self.source, facility, message, "Kafka client"),
        }
    }

    pub(crate) fn stats_unreadable(&self, error: &serde_json::Error) {
        debug!(source = %self.source, %error, "the client's statistics cannot be read");
    }
}
