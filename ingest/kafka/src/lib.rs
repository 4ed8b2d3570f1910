//! The Kafka source
