mod encoding;
mod summary;
mod template;

use acteon_core::Payload;
use jiff::Timestamp;
use serde_json::Value;

use crate::{GroupFacts, Summary};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn facts() -> GroupFacts {
    GroupFacts {
        group_id: "0198".into(),
        group_key: "c38e".into(),
        rule: "by-cluster".into(),
        labels: [("cluster", "prod")].into_iter().collect(),
        first_at: at("2026-01-01T00:00:00Z"),
        last_at: at("2026-01-01T00:00:20Z"),
        flushed_at: at("2026-01-01T00:00:30Z"),
    }
}

fn event(json: &str) -> Payload {
    let value: Value = serde_json::from_str(json).unwrap();
    Payload::from_value(&value).unwrap()
}

fn summary(events: &[&str], omitted: u64) -> Summary {
    let events = events.iter().map(|json| event(json)).collect();
    Summary::new(facts(), events, omitted)
}

fn json(payload: &Payload) -> Value {
    payload.parse().unwrap()
}
