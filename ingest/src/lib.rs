//! Registers all sources. No other place lists them.
//!
//! HTTP is not registered: it is always available on the server's listener, and the server builds it directly.

use acteon_core::{Registry, Sources};

pub use acteon_ingest_http as http;
pub use acteon_ingest_kafka as kafka;

/// Adds every source that `[[sources]]` can configure.
pub fn register(sources: &mut Registry<Sources>) {
    sources.register(kafka::Kafka);
}
