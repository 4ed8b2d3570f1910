//! All sources behind one registry: this is the one place that lists them.
//!
//! HTTP is not a broker: it is always there, on the server's listener, and is built by hand.

use acteon_core::{Registry, Sources};

pub use acteon_ingest_http as http;
pub use acteon_ingest_kafka as kafka;

/// Adds every source that a `[[sources]]` can be.
pub fn register(sources: &mut Registry<Sources>) {
    sources.register(kafka::Kafka);
}
