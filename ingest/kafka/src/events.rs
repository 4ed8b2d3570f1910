//! Log lines and metrics specific to Kafka sources. A line and its counter move together.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use acteon_connect_kafka::ClientErrors;
use compact_str::CompactString;
use metrics::{Counter, counter, describe_counter, describe_gauge, gauge};
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult};
use tracing::{debug, error, info, warn};

use crate::start_point::{StartKind, StartPoint};

const LAG: &str = "acteon_kafka_lag";
const COMMITTED: &str = "acteon_kafka_committed_total";
const PASSED_OVER: &str = "acteon_kafka_passed_over_total";
const RECREATED: &str = "acteon_kafka_recreated_total";
const COMMIT_FAILURES: &str = "acteon_kafka_commit_failures_total";
const CLIENT_ERRORS: &str = "acteon_kafka_client_errors_total";

/// The events of one source.
pub(crate) struct Events {
    /// The events common to all sources.
    pub(crate) of_source: Arc<acteon_ingest_kit::Events>,
    source: CompactString,
    committed: Counter,
    passed_over: Counter,
    recreated: Counter,
    commit_failures: Counter,
    client_errors: Counter,
    /// Keeps a lasting error from being logged again and again.
    recent_errors: Mutex<ClientErrors>,
}

impl Deref for Events {
    type Target = acteon_ingest_kit::Events;

    fn deref(&self) -> &Self::Target {
        &self.of_source
    }
}

impl Events {
    /// Registers the metrics, so the recorder must be installed first.
    pub(crate) fn new(source: &CompactString) -> Self {
        describe();
        let of = |name| counter!(name, "source" => source.to_string());
        Self {
            of_source: Arc::new(acteon_ingest_kit::Events::new("kafka", source)),
            source: source.clone(),
            committed: of(COMMITTED),
            passed_over: of(PASSED_OVER),
            recreated: of(RECREATED),
            commit_failures: of(COMMIT_FAILURES),
            client_errors: of(CLIENT_ERRORS),
            recent_errors: Mutex::default(),
        }
    }

    pub(crate) fn topic_not_declared(&self, topic: &str, error: &str) {
        warn!(source = %self.source, topic, error, "a topic could not be created; create it or allow the source to");
    }

    pub(crate) fn assigned(&self, start: &StartPoint) {
        let topic = &start.topic;
        let partition = start.number;
        let position = start.settled.position;
        info!(source = %self.source, topic, partition, position, "partition assigned");
        match start.kind {
            StartKind::AsLeft | StartKind::Fresh => {}
            StartKind::Recreated { settled } => self.recreated(topic, partition, settled),
        }
    }

    pub(crate) fn look_up_failed(&self, error: &KafkaError) {
        warn!(source = %self.source, %error, "the start of the assigned partitions could not be looked up; trying again");
    }

    pub(crate) fn recreated(&self, topic: &str, partition: i32, settled: u64) {
        self.recreated.increment(1);
        warn!(
            source = %self.source, topic, partition, settled,
            "a topic was recreated or truncated; its records are read as new"
        );
    }

    pub(crate) fn forgotten(&self, topic: &str, partition: i32) {
        warn!(
            source = %self.source, topic, partition,
            "the broker has forgotten the committed offset; recreating the client"
        );
    }

    pub(crate) fn topic_declared(&self, topic: &str) {
        info!(source = %self.source, topic, "a topic was created");
    }

    pub(crate) fn topic_is_narrow(&self, topic: &str, limit: u64, needed: u64) {
        warn!(source = %self.source, topic, limit, needed, "the record limit of a topic is smaller than that of the topics read");
    }

    pub(crate) fn topic_forgets(&self, topic: &str, kept: Duration, needed: Duration) {
        warn!(source = %self.source, topic, ?kept, ?needed, "the retention of a topic is shorter than records may wait in it");
    }

    pub(crate) fn revoked(&self, topic: &str, partition: i32, unsettled: usize) {
        self.lag(topic, partition, 0);
        info!(source = %self.source, topic, partition, unsettled, "partition revoked");
    }

    /// Logs a call to the client library if it failed.
    pub(crate) fn called(&self, call: &'static str, result: &KafkaResult<()>) {
        if let Err(error) = result {
            warn!(source = %self.source, call, %error, "a call of the Kafka client failed");
        }
    }

    pub(crate) fn committed(&self, records: u64) {
        self.committed.increment(records);
    }

    pub(crate) fn commit_failed(&self, error: &KafkaError) {
        self.commit_failures.increment(1);
        warn!(source = %self.source, %error, "a commit failed; trying again");
    }

    pub(crate) fn passed_over(&self, records: usize) {
        self.passed_over.increment(records as u64);
        debug!(source = %self.source, records, "skipped records of another source or group");
    }

    pub(crate) fn partition_paused(&self, topic: &str, partition: i32) {
        self.paused("partition_full");
        debug!(source = %self.source, topic, partition, "partition paused");
    }

    pub(crate) fn lag(&self, topic: &str, partition: i32, records: u64) {
        gauge!(
            LAG,
            "source" => self.source.to_string(),
            "topic" => topic.to_owned(),
            "partition" => partition.to_string(),
        )
        .set(records as f64);
    }

    pub(crate) fn client_failed(&self, error: &KafkaError, reason: &str) {
        self.client_errors.increment(1);
        let code = error.rdkafka_error_code();
        if self.recent_errors.lock().is_new(code, reason) {
            warn!(source = %self.source, %error, reason, "the Kafka client reported an error");
        } else {
            debug!(source = %self.source, %error, reason, "the Kafka client reported an error again");
        }
    }

    /// Why no broker answers, as far as the client reported it.
    pub(crate) fn why_unreachable(&self) -> String {
        self.recent_errors.lock().detail()
    }

    /// A broker answers.
    pub(crate) fn connected(&self) {
        if self.recent_errors.lock().is_over() {
            info!(source = %self.source, "connected again");
        }
    }

    pub(crate) fn client_said(&self, level: RDKafkaLogLevel, facility: &str, said: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => {
                error!(source = %self.source, facility, said, "Kafka client");
            }
            RDKafkaLogLevel::Warning => {
                warn!(source = %self.source, facility, said, "Kafka client");
            }
            _ => debug!(source = %self.source, facility, said, "Kafka client"),
        }
    }

    pub(crate) fn stats_unreadable(&self, error: &serde_json::Error) {
        debug!(source = %self.source, %error, "the statistics of the Kafka client cannot be read");
    }
}

#[rustfmt::skip]
fn describe() {
    describe_gauge!(LAG, "Records of a partition that are not settled.");
    describe_counter!(COMMITTED, "Records committed.");
    describe_counter!(PASSED_OVER, "Records of the delayed path that belong to another source or group.");
    describe_counter!(RECREATED, "Partitions whose topic was recreated or truncated.");
    describe_counter!(COMMIT_FAILURES, "Commits that failed and are sent again.");
    describe_counter!(CLIENT_ERRORS, "Errors reported by the Kafka client.");
}
