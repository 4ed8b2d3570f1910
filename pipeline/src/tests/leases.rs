//! Only one instance at a time processes an id given by a producer.

use std::time::Duration;

use acteon_core::{ActionOutcome, Settled};
use acteon_testkit::{Answer, RecordingSink, action};
use tokio::time::advance;

use super::bench::record;
use super::{Bench, Provider};
use crate::PipelineOptions;

#[tokio::test(start_paused = true)]
async fn the_same_id_is_delivered_once_and_answered_again_as_it_was() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules("rules: []", &sink).await;
    assert_eq!(bench.finish([action("a")]).await, ["a: executed"]);
    assert_eq!(
        bench.finish([action("a")]).await,
        ["a: remembered executed"]
    );
    assert_eq!(sink.attempts().len(), 1);
    let counters = bench.counters.snapshot();
    assert_eq!(
        (counters.dispatched, counters.executed, counters.replayed),
        (1, 1, 1)
    );
    assert_eq!(bench.trail.records().len(), 1);
    advance(Duration::from_secs(301)).await;
    bench.finish([action("a")]).await;
    assert_eq!(sink.attempts().len(), 2, "forgotten after its time");
}

#[tokio::test(start_paused = true)]
async fn the_same_id_twice_at_once_is_delivered_once() {
    let sink = RecordingSink::answering(|_| Answer::SucceedAfter(Duration::from_secs(2)));
    let bench = Bench::with_rules("rules: []", &sink).await;
    let ends = bench.finish([action("a"), action("a")]).await;
    assert_eq!(ends, ["a: executed", "a: remembered executed"]);
    assert_eq!(sink.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_rules_ended_is_answered_again_without_a_second_record() {
    let mute = "rules: [{ name: mute, condition: { all: [] }, action: { type: suppress } }]";
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(mute, &sink).await;
    assert_eq!(bench.finish([action("a")]).await, ["a: suppressed"]);
    assert_eq!(
        bench.finish([action("a")]).await,
        ["a: remembered suppressed"]
    );
    assert_eq!(bench.trail.records().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_is_not_held_against_the_next_try() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Transient(None)]);
    let once = Provider::new("log", &sink).retries(0);
    let bench = Bench::new("rules: []", [once], PipelineOptions::default()).await;
    assert_eq!(bench.finish([action("a")]).await, ["a: failed"]);
    assert_eq!(bench.finish([action("a")]).await, ["a: executed"]);
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_of_a_broker_is_not_remembered_by_its_id() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules("rules: []", &sink).await;
    let given = || record("x").policy(super::bench::broker(Default::default()));
    bench.finish([given()]).await;
    bench.finish([given()]).await;
    assert_eq!(sink.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_while_the_delivery_lasts() {
    let sink = RecordingSink::answering(|_| Answer::SucceedAfter(Duration::from_secs(100)));
    let slow = Provider::new("log", &sink).timeout(Duration::from_secs(600));
    let options = PipelineOptions {
        lease_wait: Duration::from_secs(300),
        ..PipelineOptions::default()
    };
    let bench = Bench::new("rules: []", [slow], options).await;
    let ends = bench.finish([action("a"), action("a")]).await;
    assert_eq!(ends, ["a: executed", "a: remembered executed"]);
    assert_eq!(
        sink.attempts().len(),
        1,
        "30 s of lease were made to last 100 s"
    );
    let renewals = bench.state.calls().renew;
    assert!((5..=12).contains(&renewals), "{renewals} renewals");
}

#[tokio::test(start_paused = true)]
async fn without_exclusive_an_id_is_not_leased_but_its_answer_is_remembered() {
    let sink = RecordingSink::succeeding();
    let options = PipelineOptions {
        exclusive: false,
        ..PipelineOptions::default()
    };
    let bench = Bench::new("rules: []", [Provider::new("log", &sink)], options).await;
    let ends = bench.finish([action("a"), action("a")]).await;
    assert_eq!(ends, ["a: executed", "a: executed"], "at once");
    let ends = bench.finish([action("a")]).await;
    assert_eq!(ends, ["a: remembered executed"]);
    assert_eq!(sink.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_answer_again_is_the_very_same() {
    let sink = RecordingSink::answering(|_| Answer::Permanent);
    let bench = Bench::with_rules("rules: []", &sink).await;
    bench.finish([action("a")]).await;
    bench.finish([action("a")]).await;
    let texts: Vec<_> = bench
        .lender
        .take_ended()
        .into_iter()
        .map(|(_, settled)| match settled {
            Settled::Done(outcome @ ActionOutcome::Failed(_))
            | Settled::Remembered(outcome @ ActionOutcome::Failed(_)) => {
                serde_json::to_string(&outcome).unwrap()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test(start_paused = true)]
async fn an_id_is_one_action_only_with_its_type_and_provider() {
    let sink = RecordingSink::succeeding();
    let providers = [Provider::new("log", &sink), Provider::new("other", &sink)];
    let bench = Bench::new("rules: []", providers, PipelineOptions::default()).await;
    let same = || action("same");
    bench
        .finish([
            same(),
            same().action_type("other"),
            same().provider("other"),
        ])
        .await;
    let attempts = sink.attempts();
    assert_eq!(attempts.len(), 3);
    let mut keys: Vec<_> = attempts
        .iter()
        .map(|seen| seen.idempotency_key.clone())
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3, "their sinks know them apart");
}

#[tokio::test(start_paused = true)]
async fn only_a_caller_is_answered_from_memory() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules("rules: []", &sink).await;
    bench.finish([action("a")]).await;
    let of_broker = action("a").policy(super::bench::broker(Default::default()));
    assert_eq!(bench.finish([of_broker]).await, ["a: executed"]);
    let replayed = action("a").policy(acteon_core::Policy::Replay);
    assert_eq!(bench.finish([replayed]).await, ["a: executed"]);
    assert_eq!(sink.attempts().len(), 3);
    bench.finish([action("a")]).await;
    assert_eq!(sink.attempts().len(), 3, "the caller is");
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_answered_again_like_any_other() {
    const ONCE: &str = "rules: [{ name: once, condition: { all: [] }, action: { type: deduplicate, key: [payload], ttl_seconds: 10 } }]";
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(ONCE, &sink).await;
    let ends = bench.finish([action("a"), action("b")]).await;
    assert_eq!(ends, ["a: executed", "b: deduplicated"]);
    advance(Duration::from_secs(20)).await;
    assert_eq!(
        bench.finish([action("b")]).await,
        ["b: remembered deduplicated"]
    );
    assert_eq!(sink.attempts().len(), 1, "though the key is free by now");
}
