//! The state backend becomes unreachable at each step of the pipeline.

use std::sync::Arc;

use acteon_testkit::{Answer, Reach, RecordingSink, action};

use super::bench::{record, sorted};
use super::{Bench, Provider};
use crate::{OnStateError, PipelineOptions};

const ONCE: &str = "rules: [{ name: once, condition: { field: action.dedup_key, exists: true }, action: { type: deduplicate } }]";

#[tokio::test(start_paused = true)]
async fn before_the_reservation_nothing_is_delivered_unchecked() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(ONCE, &sink).await;
    bench.state.set_reach(Reach::CutOff);
    let ends = bench
        .finish([record("a").dedup_key("k"), record("free")])
        .await;
    assert_eq!(
        sorted(ends),
        ["a: retry StateUnavailable", "free: executed"]
    );
    bench.state.set_reach(Reach::Whole);
    assert_eq!(
        bench.finish([record("a").dedup_key("k")]).await,
        ["a: executed"]
    );
}

#[tokio::test(start_paused = true)]
async fn it_may_be_accepted_by_deliver_all_the_same() {
    let sink = RecordingSink::succeeding();
    let options = PipelineOptions {
        on_state_error: OnStateError::Deliver,
        ..PipelineOptions::default()
    };
    let bench = Bench::new(ONCE, [Provider::new("log", &sink)], options).await;
    bench.state.set_reach(Reach::CutOff);
    assert_eq!(
        bench.finish([record("a").dedup_key("k")]).await,
        ["a: executed"]
    );
}

/// A bench whose state becomes unreachable during the first attempt.
async fn losing_state_while_delivering(answer: Answer) -> (Bench, Arc<RecordingSink>) {
    let sink = RecordingSink::answering(move |_| answer.clone());
    let bench = Bench::with_rules(ONCE, &sink).await;
    bench.submit([record("a").dedup_key("k")]).await;
    bench.state.set_reach(Reach::CutOff);
    (bench, sink)
}

#[tokio::test(start_paused = true)]
async fn a_short_absence_while_settling_is_sat_out() {
    let (bench, sink) = losing_state_while_delivering(Answer::Hang).await;
    sink.release();
    tokio::time::advance(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        bench.lender.ended_count(),
        0,
        "not acknowledged before it is settled"
    );
    bench.state.set_reach(Reach::Whole);
    bench.lender.wait_for_ended(1).await;
    assert_eq!(bench.lender.ends(), ["a: executed"]);
    assert_eq!(
        bench.finish([record("b").dedup_key("k")]).await,
        ["b: deduplicated"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_absence_does_not_turn_a_delivery_into_an_error() {
    let (bench, sink) = losing_state_while_delivering(Answer::Hang).await;
    sink.release();
    bench.lender.wait_for_ended(1).await;
    assert_eq!(bench.lender.ends(), ["a: executed"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_become_a_dead_letter_goes_back_to_its_source() {
    let sink = RecordingSink::answering(|_| Answer::Permanent);
    let bench = Bench::with_rules("rules: []", &sink).await;
    bench.state.set_reach(Reach::CutOff);
    assert_eq!(
        bench.finish([record("a")]).await,
        ["a: retry StateUnavailable"]
    );
}

#[tokio::test(start_paused = true)]
async fn poison_is_kept_or_goes_back() {
    use acteon_core::Intake;
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules("rules: []", &sink).await;
    bench
        .pipeline
        .dead_letter(vec![bench.lender.lend_poison("kafka:orders/1", b"{")])
        .await;
    bench.state.set_reach(Reach::CutOff);
    bench
        .pipeline
        .dead_letter(vec![bench.lender.lend_poison("kafka:orders/2", b"{")])
        .await;
    assert_eq!(
        bench.lender.ends(),
        [
            "kafka:orders/1: dead_lettered INVALID_ACTION",
            "kafka:orders/2: retry StateUnavailable"
        ]
    );
    assert_eq!(bench.counters.snapshot().dead_lettered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_whose_answer_is_lost_is_repeated_without_harm() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(ONCE, &sink).await;
    bench.submit([action("a").dedup_key("k")]).await;
    bench.lender.wait_for_ended(1).await;
    bench.state.set_reach(Reach::AnswersLost);
    let ends = bench.finish([record("b").dedup_key("other")]).await;
    assert_eq!(ends, ["b: retry StateUnavailable"]);
}
