#![doc = include_str!("../README.md")]

mod assignment;
mod client_report;
mod committer;
mod config;
mod context;
mod declare;
mod delayed;
mod events;
mod fingerprint;
mod flow;
mod health;
mod loan_queue;
mod member;
mod member_context;
mod own_topics;
mod publish;
mod ranges;
mod reader;
mod rebalance;
mod record;
mod seen;
mod session;
mod source;
mod start_point;
mod starts;
mod undue;

use std::sync::Arc;

use acteon_core::source::SourceContext;
use acteon_core::{BuildError, Factory, Source, Sources, Uses};
use async_trait::async_trait;

pub use config::{KafkaConfig, Start};
pub use source::KafkaSource;

/// Builds sources of `type = "kafka"`.
pub struct Kafka;

#[async_trait]
impl Factory<Sources> for Kafka {
    const KIND: &'static str = "kafka";
    type Config = KafkaConfig;

    fn uses(&self, name: &str, config: &KafkaConfig) -> Uses {
        let at_brokers = |topic: &str| config.connection.resources(topic);
        let own = config.own_topics(name);
        Uses {
            reads: config.topics.iter().flat_map(|t| at_brokers(t)).collect(),
            writes: own.iter().flat_map(|(_, t)| at_brokers(t)).collect(),
        }
    }

    async fn build(
        &self,
        config: KafkaConfig,
        context: SourceContext,
    ) -> Result<Arc<dyn Source>, BuildError> {
        Ok(Arc::new(KafkaSource::new(config, context)?))
    }
}

#[cfg(test)]
mod tests;
