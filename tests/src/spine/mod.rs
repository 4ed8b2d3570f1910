//! End to end: actions from Kafka and HTTP, through rules, to sinks and the audit trail.

mod amqp_provider;
mod cli;
mod config;
mod contract;
mod cookbook;
mod demo;
mod dist;
mod document;
mod email;
mod eval;
mod events;
mod foreign;
mod generated;
mod groups;
mod http;
mod isolation;
mod kafka;
mod kafka_provider;
mod kept_events;
mod keys;
mod life;
mod logs;
mod metrics;
mod mixed_load;
mod nats_provider;
mod outage;
mod pagerduty;
mod peers;
mod presets;
mod readme;
mod reload;
mod slack;
mod sqlite;
mod templates;
mod webhook;

use serde_json::{Value, json};

/// Action number `number`, without an id and with a unique dedup key.
fn action(number: u64, provider: &str) -> Value {
    json!({
        "namespace": "shop",
        "tenant": "acme",
        "provider": provider,
        "action_type": "order_shipped",
        "dedup_key": format!("order-{number}"),
        "payload": {"order": number, "to": "customer@example.com"},
    })
}

/// Ten rules. The last one matches all actions and delivers each dedup key once.
const TEN_RULES: &str = r#"
rules:
  - { name: mute-tests, priority: 1, condition: { field: action.metadata.env, eq: test }, action: { type: suppress } }
  - { name: mute-drafts, priority: 2, condition: { field: action.payload.draft, eq: true }, action: { type: suppress } }
  - { name: no-refunds, priority: 3, condition: { field: action.action_type, eq: refund }, action: { type: deny } }
  - { name: no-spam, priority: 4, condition: { field: action.payload.subject, contains: SPAM }, action: { type: deny } }
  - { name: no-giants, priority: 5, condition: { field: action.payload.order, gt: 1000000000 }, action: { type: deny } }
  - { name: other-shops, priority: 6, condition: { field: action.namespace, ne: shop }, action: { type: suppress } }
  - { name: no-guests, priority: 7, condition: { field: action.payload.to, starts_with: guest }, action: { type: suppress } }
  - { name: no-locals, priority: 8, condition: { field: action.payload.to, ends_with: .local }, action: { type: suppress } }
  - { name: no-numbers, priority: 9, condition: { field: action.payload.to, matches: "^[0-9]+$" }, action: { type: suppress } }
  - { name: once, priority: 10, condition: { all: [] }, action: { type: deduplicate, ttl_seconds: 3600 } }
"#;
