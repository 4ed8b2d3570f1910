//! What the client library reports: its log, and why no broker answers.

use std::sync::Arc;

use acteon_connect_kafka::ClientErrors;
use compact_str::CompactString;
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use tracing::{debug, info, warn};

/// Writes the client's messages to the log, and keeps its errors since a broker last confirmed a record. Clones share
/// them.
#[derive(Clone)]
pub(crate) struct ClientEvents {
    provider: CompactString,
    errors: Arc<Mutex<ClientErrors>>,
}

impl ClientEvents {
    pub(crate) fn new(provider: CompactString) -> Self {
        Self {
            provider,
            errors: Arc::default(),
        }
    }

    /// Why no broker answers, as far as the client reported it.
    pub(crate) fn why_unreachable(&self) -> String {
        self.errors.lock().detail()
    }

    /// True if the brokers refuse the credentials or the certificate.
    pub(crate) fn is_refused(&self) -> bool {
        self.errors.lock().is_refused()
    }

    /// A broker has confirmed a record.
    pub(crate) fn confirmed(&self) {
        if self.errors.lock().is_over() {
            info!(provider = %self.provider, "connected again");
        }
    }
}

impl ClientContext for ClientEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, said: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                warn!(provider = %self.provider, facility, said, "Kafka client");
            }
            _ => debug!(provider = %self.provider, facility, said, "Kafka client"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if self
            .errors
            .lock()
            .is_new(error.rdkafka_error_code(), reason)
        {
            warn!(provider = %self.provider, %error, reason, "the Kafka client reported an error");
        } else {
            debug!(provider = %self.provider, %error, reason, "the Kafka client reported an error again");
        }
    }
}
