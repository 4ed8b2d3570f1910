//! The contents of audit records, and the trail with a slow or unreachable backend.

use acteon_core::Caller;
use acteon_core::disposition::ThrottledPolicy;
use acteon_testkit::{RecordingSink, action};
use serde_json::json;

use super::Bench;
use super::bench::broker;

const MUTE: &str = "rules: [{ name: mute, condition: { field: action.action_type, eq: noise }, action: { type: suppress } }]";

#[tokio::test(start_paused = true)]
async fn a_record_says_what_was_done_and_hides_what_must_not_show() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(MUTE, &sink).await;
    let asked = action("a")
        .payload(&json!({"to": "x", "secret": "s3cr3t"}))
        .label("env", "prod")
        .dedup_key("k")
        .status("firing")
        .position("kafka:orders/3", 1042)
        .caller(Caller::source("orders".into()))
        .trace(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
    bench.finish([asked]).await;
    let records = bench.trail.records();
    let record = &records[0];
    assert_eq!(
        (
            record.subject.action_id.as_str(),
            record.subject.provider.as_str()
        ),
        ("a", "log")
    );
    assert_eq!(record.outcome.name(), "executed");
    assert_eq!(record.source.to_string(), "kafka:orders/3@1042");
    assert_eq!(record.caller.auth_method, "source");
    assert_eq!(
        record.subject.trace_id.as_deref(),
        Some("0af7651916cd43dd8448eb211c80319c")
    );
    assert_eq!(record.decision.rules_generation, 1);
    assert_eq!(record.metadata.get("__dedup_key"), Some("k"));
    assert_eq!(record.metadata.get("__status"), Some("firing"));
    assert_eq!(record.metadata.get("env"), Some("prod"));
    let payload: serde_json::Value = record.payload.as_ref().unwrap().parse().unwrap();
    assert_eq!(payload, json!({"to": "x", "secret": "[REDACTED]"}));
    let sent: serde_json::Value = sink.attempts()[0].action.payload.parse().unwrap();
    assert_eq!(sent["secret"], "s3cr3t", "the provider gets it whole");
}

#[tokio::test(start_paused = true)]
async fn every_outcome_is_recorded_and_the_counts_add_up() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(MUTE, &sink).await;
    let broker = broker(ThrottledPolicy::Retry);
    let batch = [
        action("a"),
        action("b").action_type("noise"),
        action("c").provider("nobody"),
        action("d")
            .provider("nobody")
            .id_made()
            .position("kafka:x/0", 1)
            .policy(broker),
    ];
    bench.finish(batch).await;
    let counters = bench.counters.snapshot();
    assert_eq!(counters.dispatched, 4);
    assert_eq!(counters.executed + counters.suppressed + counters.failed, 4);
    assert_eq!(counters.dead_lettered, 1);
    assert_eq!(bench.trail.records().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_when_its_record_is_refused() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(MUTE, &sink).await;
    bench.trail.refuse();
    assert_eq!(bench.finish([action("a")]).await, ["a: retry ShuttingDown"]);
}
