//! All sinks behind one registry. Each sink is documented in its crate; only the lines below list them.

use acteon_core::{Registry, Sinks};

/// Registers every sink.
pub fn register(registry: &mut Registry<Sinks>) {
    registry.register(acteon_sinks_amqp::AmqpSinkFactory);
    registry.register(acteon_sinks_email::Email::default());
    registry.register(acteon_sinks_http::Http::default());
    registry.register(acteon_sinks_kafka::KafkaSinkFactory);
    registry.register(acteon_sinks_log::Log);
    registry.register(acteon_sinks_nats::NatsSinkFactory);
    registry.register(acteon_sinks_pagerduty::PagerDuty::default());
    registry.register(acteon_sinks_slack::Slack::default());
    registry.register(acteon_sinks_webhook::Webhook::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sink_is_found_by_its_kind_and_describes_its_options() {
        let mut registry = Registry::default();
        register(&mut registry);
        let kinds: Vec<_> = registry.kinds().collect();
        assert_eq!(
            kinds,
            [
                "amqp",
                "email",
                "http",
                "kafka",
                "log",
                "nats",
                "pagerduty",
                "slack",
                "webhook"
            ]
        );
        for kind in kinds {
            let schema = registry.schema(kind).unwrap();
            assert_eq!(
                schema.get("additionalProperties"),
                Some(&false.into()),
                "{kind}"
            );
        }
    }
}
