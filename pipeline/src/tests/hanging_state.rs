//! The state backend accepts calls and does not answer. Each call is given up after `state_timeout`.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::Policy;
use acteon_testkit::{Answer, Reach, RecordingSink};
use tokio::time::{Instant, sleep};

use super::bench::record;
use super::{Bench, Provider};
use crate::PipelineOptions;

const ONCE: &str = "rules: [{ name: once, condition: { field: action.dedup_key, exists: true }, action: { type: deduplicate } }]";
const SEEN: &str = "rules: [{ name: seen, condition: { state_seen: k, within_seconds: 60 }, action: { type: suppress } }]";
const TIMEOUT: Duration = Duration::from_secs(5);

/// A bench whose provider answers no attempt until it is released.
async fn delivering() -> (Bench, Arc<RecordingSink>) {
    let sink = RecordingSink::answering(|_| Answer::Hang);
    let provider = Provider::new("log", &sink).timeout(Duration::from_secs(3600));
    let bench = Bench::new(ONCE, [provider], PipelineOptions::default()).await;
    bench.submit([record("a").dedup_key("k")]).await;
    (bench, sink)
}

/// How an action ends under these rules if the state hangs from the start, and after which time.
async fn end_of_an_action(rules: &str) -> (Vec<String>, Duration) {
    let bench = Bench::with_rules(rules, &RecordingSink::succeeding()).await;
    bench.state.set_reach(Reach::Hangs);
    let begin = Instant::now();
    let ends = bench.finish([record("a").dedup_key("k")]).await;
    (ends, begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn an_action_whose_questions_are_not_answered_goes_back_to_its_source() {
    let (ends, after) = end_of_an_action(SEEN).await;
    assert_eq!(ends, ["a: retry StateUnavailable"]);
    assert_eq!(after, TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn an_action_whose_reservation_is_not_answered_goes_back_to_its_source() {
    let (ends, after) = end_of_an_action(ONCE).await;
    assert_eq!(ends, ["a: retry StateUnavailable"]);
    assert_eq!(after, TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_is_not_answered_is_repeated() {
    let (bench, sink) = delivering().await;
    bench.state.set_reach(Reach::Hangs);
    sink.release();
    sleep(TIMEOUT - Duration::from_secs(1)).await;
    bench.state.set_reach(Reach::Whole);
    let begin = Instant::now();
    bench.lender.wait_for_ended(1).await;
    assert!(begin.elapsed() < 2 * TIMEOUT, "{:?}", begin.elapsed());
    assert_eq!(bench.lender.ends(), ["a: executed"]);
    let again = bench.finish([record("b").dedup_key("k")]).await;
    assert_eq!(again, ["b: deduplicated"]);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_not_answered_is_repeated_before_the_lease_ends() {
    let (bench, _sink) = delivering().await;
    sleep(Duration::from_secs(8)).await;
    bench.state.set_reach(Reach::Hangs);
    sleep(Duration::from_secs(14)).await;
    bench.state.set_reach(Reach::Whole);
    sleep(Duration::from_secs(20)).await;
    let second = record("b").dedup_key("k").policy(Policy::Answer);
    bench.other_submit([second]).await;
    bench.lender.wait_for_ended(1).await;
    assert_eq!(bench.lender.ends(), ["b: retry Busy"]);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_granted_in_a_lost_answer_is_released_for_the_next_try() {
    let bench = Bench::with_rules(ONCE, &RecordingSink::succeeding()).await;
    bench.state.set_reach(Reach::AnswersLost);
    let try_it = || bench.finish([record("a").dedup_key("k")]);
    assert_eq!(try_it().await, ["a: retry StateUnavailable"]);
    bench.state.set_reach(Reach::Whole);
    assert_eq!(try_it().await, ["a: executed"]);
}
