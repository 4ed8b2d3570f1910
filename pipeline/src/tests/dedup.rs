//! A dedup key is a lease until its delivery is settled, and a record after that.

use std::time::Duration;

use acteon_core::verdict::Verdict;
use acteon_testkit::{Answer, RecordingSink, action};
use tokio::time::advance;

use super::bench::{record, sorted};
use super::{Bench, Provider};
use crate::PipelineOptions;

const ONCE: &str = "
rules:
  - name: once
    condition: { all: [] }
    action: { type: deduplicate, ttl_seconds: 60 }
";

#[tokio::test(start_paused = true)]
async fn the_same_key_twice_in_a_batch_is_delivered_once() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(ONCE, &sink).await;
    let ends = bench
        .finish([record("a").dedup_key("k"), record("b").dedup_key("k")])
        .await;
    assert_eq!(ends, ["a: executed", "b: deduplicated"]);
    assert_eq!(sink.attempted_ids(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_action_waits_for_the_first_and_takes_its_place_when_it_fails() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Permanent]);
    let bench = Bench::with_rules(ONCE, &sink).await;
    let ends = bench
        .finish([record("a").dedup_key("k"), record("b").dedup_key("k")])
        .await;
    assert_eq!(ends, ["a: dead_lettered EXECUTION_FAILED", "b: executed"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_free_again_after_its_window_which_duplicates_do_not_prolong() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(ONCE, &sink).await;
    assert_eq!(
        bench.finish([record("a").dedup_key("k")]).await,
        ["a: executed"]
    );
    advance(Duration::from_secs(40)).await;
    assert_eq!(
        bench.finish([record("b").dedup_key("k")]).await,
        ["b: deduplicated"]
    );
    advance(Duration::from_secs(21)).await;
    assert_eq!(
        bench.finish([record("c").dedup_key("k")]).await,
        ["c: executed"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_costs_one_reserve_and_one_settle_however_many_actions_it_holds() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(ONCE, &sink).await;
    let batch = (0..256).map(|number| record(&format!("a{number}")));
    bench.finish(batch).await;
    let calls = bench.state.take_calls();
    assert_eq!((calls.reserve, calls.settle), (1, 1));
    assert_eq!(bench.trail.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_rules_and_ids_no_call_to_the_state_is_made() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules("rules: []", &sink).await;
    bench.finish([record("a"), record("b")]).await;
    let calls = bench.state.take_calls();
    assert_eq!((calls.reserve, calls.settle), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_longer_than_the_lease_wait_goes_back_to_its_source() {
    let sink = RecordingSink::answering(|_| Answer::Hang);
    let slow = Provider::new("log", &sink).timeout(Duration::from_secs(600));
    let bench = Bench::new(ONCE, [slow], PipelineOptions::default()).await;
    bench
        .submit([record("a").dedup_key("k"), record("b").dedup_key("k")])
        .await;
    bench.lender.wait_for_ended(1).await;
    assert_eq!(bench.lender.ends(), ["b: retry Busy"]);
    sink.release();
    bench.lender.wait_for_ended(2).await;
    assert_eq!(
        sorted(bench.lender.ends()),
        ["a: executed", "b: retry Busy"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_rule_that_found_the_duplicate_stands_in_the_record() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(ONCE, &sink).await;
    bench.finish([action("a").dedup_key("k")]).await;
    bench.finish([action("b").dedup_key("k")]).await;
    let records = bench.trail.records();
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].decision.verdict, Verdict::Deduplicate);
    assert_eq!(records[1].decision.matched_rule.as_deref(), Some("once"));
    assert_eq!(records[1].outcome.name(), "deduplicated");
}
