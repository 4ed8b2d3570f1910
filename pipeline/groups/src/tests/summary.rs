//! The default payload of a summary.

use serde_json::json;

use super::{event, facts, json, summary};
use crate::{EVENTS_WHEN_TOO_LARGE, Summary};

#[test]
fn the_default_payload_lists_the_events_and_counts_the_omitted_ones() {
    let (payload, error) = summary(&[r#"{"pod":"a"}"#, r#"{"pod":"b"}"#], 3).payload(None);
    assert!(error.is_none());
    let expected = json!({
        "group_id": "0198", "group_key": "c38e", "rule": "by-cluster",
        "event_count": 5, "omitted": 3, "events": [{"pod": "a"}, {"pod": "b"}],
        "labels": {"cluster": "prod"},
        "first_at": "2026-01-01T00:00:00Z", "last_at": "2026-01-01T00:00:20Z",
        "flushed_at": "2026-01-01T00:00:30Z",
    });
    assert_eq!(json(&payload), expected);
}

#[test]
fn a_summary_too_large_for_its_sink_keeps_the_first_events_and_the_count() {
    let events: Vec<_> = (0..25).map(|number| event(&number.to_string())).collect();
    let summary = Summary::new(facts(), events, 5);
    let (payload, _) = summary.shortened().unwrap().payload(None);
    let payload = json(&payload);
    let listed: Vec<_> = (0..EVENTS_WHEN_TOO_LARGE).collect();
    assert_eq!(payload["events"], json!(listed));
    assert_eq!(payload["event_count"], json!(30));
    assert_eq!(payload["omitted"], json!(20));
}

#[test]
fn a_summary_of_few_events_cannot_be_shortened() {
    let few = vec!["0"; EVENTS_WHEN_TOO_LARGE];
    assert!(summary(&few, 7).shortened().is_none());
    assert!(summary(&[], 7).shortened().is_none());
}

#[test]
fn a_payload_that_is_nested_too_deeply_is_counted_and_not_listed() {
    let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let (payload, _) = summary(&[&nested(62), &nested(63), "\"[{\\\"[[\""], 0).payload(None);
    let payload = json(&payload);
    assert_eq!(payload["events"].as_array().unwrap().len(), 2);
    assert_eq!(payload["event_count"], json!(3));
    assert_eq!(payload["omitted"], json!(1));
}
