//! What every client of Kafka needs, sources and sinks alike: the options of a connection, the checks that need no
//! broker, a dial that changes nothing, and a producer that confirms each record.
#![deny(missing_docs)]

mod check;
mod client_errors;
mod dial;
mod options;
mod producer;
mod tls;

pub use client_errors::ClientErrors;
pub use dial::dial;
pub use options::{KafkaConnection, check_topic};
pub use producer::{ConfirmedProducer, ProducerRecord, RecordMetadata};
