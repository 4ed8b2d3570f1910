//! An action that its provider accepted in part: the progress reaches every later attempt, and the dedup key is kept.

use acteon_core::{DeliveryProgress, Envelope, Settled};
use acteon_testkit::{Answer, RecordingSink, action};

use super::bench::record;
use super::{Bench, Provider};
use crate::PipelineOptions;

const ONCE: &str = "rules: [{ name: once, condition: { field: action.dedup_key, exists: true }, action: { type: deduplicate } }]";

fn progress(state: &str) -> DeliveryProgress {
    DeliveryProgress {
        has_accepted: true,
        state: state.into(),
    }
}

fn part(state: &str) -> Answer {
    Answer::TransientWith(progress(state))
}

async fn bench(sink: &std::sync::Arc<RecordingSink>, retries: u32) -> Bench {
    let provider = Provider::new("log", sink).retries(retries);
    Bench::new(ONCE, [provider], PipelineOptions::default()).await
}

/// The progress that each attempt got.
fn states(sink: &RecordingSink) -> Vec<Option<String>> {
    let attempts = sink.attempts();
    let progress = attempts.into_iter().map(|attempt| attempt.progress);
    progress
        .map(|progress| Some(progress?.state.to_string()))
        .collect()
}

/// The only action that ended, as it goes to the delayed path.
fn delayed(bench: &Bench) -> Box<Envelope> {
    match bench.lender.take_ended().pop() {
        Some((_, Settled::Later { envelope, .. })) => envelope,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_gets_the_progress_of_the_attempt_before() {
    let sink = RecordingSink::succeeding();
    sink.script([part("a"), Answer::Transient(None), part("a,b")]);
    let bench = bench(&sink, 3).await;
    assert_eq!(bench.finish([record("x")]).await, ["x: executed"]);
    let expected = [None, Some("a"), Some("a"), Some("a,b")];
    assert_eq!(
        states(&sink),
        expected.map(|state| state.map(str::to_owned))
    );
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_gets_the_progress_and_is_not_a_duplicate_of_itself() {
    let sink = RecordingSink::succeeding();
    sink.script([part("a")]);
    let bench = bench(&sink, 0).await;
    let ends = bench.finish([record("x").dedup_key("k")]).await;
    assert_eq!(ends, ["x: later Redelivery"]);
    let history = *delayed(&bench).history.unwrap();
    assert_eq!(history.progress.as_deref(), Some(&progress("a")));
    let redelivered = record("x").dedup_key("k").history(history);
    bench.submit([redelivered]).await;
    bench.lender.wait_for_ended(2).await;
    assert_eq!(bench.lender.ends(), ["x: executed"]);
    assert_eq!(states(&sink)[1].as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_gets_the_progress() {
    let first = RecordingSink::succeeding();
    first.script([part("a"), Answer::ProviderFault]);
    let second = RecordingSink::succeeding();
    let providers = [
        Provider::new("log", &first).fallback("spare"),
        Provider::new("spare", &second),
    ];
    let bench = Bench::new(ONCE, providers, PipelineOptions::default()).await;
    assert_eq!(bench.finish([record("x")]).await, ["x: rerouted"]);
    assert_eq!(states(&second), [Some("a".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_partly_delivered_action_keeps_its_dedup_key() {
    let sink = RecordingSink::succeeding();
    sink.script([part("a")]);
    let bench = bench(&sink, 0).await;
    let ends = bench.finish([record("x").dedup_key("k")]).await;
    assert_eq!(ends, ["x: later Redelivery"]);
    let ends = bench.finish([record("y").dedup_key("k")]).await;
    assert_eq!(ends, ["y: deduplicated"]);
    assert_eq!(sink.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_action_without_an_accepted_part_releases_its_dedup_key() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::TransientWith(DeliveryProgress {
        has_accepted: false,
        state: "refused: a".into(),
    })]);
    let bench = bench(&sink, 0).await;
    bench.finish([record("x").dedup_key("k")]).await;
    let ends = bench.finish([record("y").dedup_key("k")]).await;
    assert_eq!(ends, ["y: executed"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_of_a_partly_delivered_action_keeps_the_dedup_key() {
    let sink = RecordingSink::succeeding();
    sink.script([part("a"), Answer::Permanent]);
    let bench = bench(&sink, 1).await;
    let ends = bench.finish([record("x").dedup_key("k")]).await;
    assert_eq!(ends, ["x: dead_lettered EXECUTION_FAILED"]);
    let ends = bench.finish([record("y").dedup_key("k")]).await;
    assert_eq!(ends, ["y: deduplicated"]);
    let ended = bench.lender.take_ended();
    let (_, Settled::DeadLettered(letter)) = &ended[0] else {
        panic!("{ended:?}");
    };
    let action = letter.action.as_ref().unwrap();
    assert_eq!(action.progress.as_deref(), Some(&progress("a")));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_sends_a_partly_delivered_action_again_gets_the_first_answer() {
    let sink = RecordingSink::succeeding();
    sink.script([part("a")]);
    let bench = bench(&sink, 0).await;
    assert_eq!(bench.finish([action("x")]).await, ["x: failed"]);
    let ended = bench.lender.take_ended();
    let [(_, Settled::Done(acteon_core::ActionOutcome::Failed(failure)))] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert!(!failure.retryable);
    bench.finish([action("x")]).await;
    assert_eq!(sink.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_fails_returns_its_progress() {
    let sink = RecordingSink::succeeding();
    sink.script([part("a"), Answer::Permanent]);
    let bench = bench(&sink, 1).await;
    let replayed = action("x").policy(acteon_core::Policy::Replay);
    assert_eq!(bench.finish([replayed]).await, ["x: partly failed a"]);
}
