//! Attempts, retries, breakers and fallbacks of one provider.

use std::time::Duration;

use acteon_core::health::{BreakerState, ProviderAdmin as _};
use acteon_core::{ActionOutcome, FailureCode, Settled};
use acteon_testkit::{Answer, RecordingSink, action};
use tokio::time::{Instant, advance};

use super::bench::{name, record};
use super::{Bench, Provider};
use crate::PipelineOptions;

const NO_RULES: &str = "rules: []";

#[tokio::test(start_paused = true)]
async fn transient_failures_are_tried_again_under_the_same_key() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Transient(None), Answer::Transient(None)]);
    let bench = Bench::with_rules(NO_RULES, &sink).await;
    assert_eq!(bench.finish([action("a")]).await, ["a: executed"]);
    let attempts = sink.attempts();
    assert_eq!(
        attempts.iter().map(|seen| seen.number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!(
        attempts
            .iter()
            .all(|seen| seen.idempotency_key == attempts[0].idempotency_key)
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Transient(Some(Duration::from_secs(7)))]);
    let bench = Bench::with_rules(NO_RULES, &sink).await;
    let start = Instant::now();
    bench.finish([action("a")]).await;
    assert!(
        start.elapsed() >= Duration::from_secs(7),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn exhausted_attempts_fail_over_http() {
    let sink = RecordingSink::answering(|_| Answer::Transient(None));
    let bench = Bench::with_rules(NO_RULES, &sink).await;
    assert_eq!(bench.finish([action("a")]).await, ["a: failed"]);
    let ended = bench.lender.take_ended();
    let [(_, Settled::Done(ActionOutcome::Failed(failure)))] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!(
        (failure.code, failure.attempts),
        (FailureCode::Connection, 4)
    );
    assert!(failure.retryable);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_not_tried_again() {
    let sink = RecordingSink::answering(|_| Answer::Permanent);
    let bench = Bench::with_rules(NO_RULES, &sink).await;
    assert_eq!(bench.finish([action("a")]).await, ["a: failed"]);
    assert_eq!(sink.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_does_not_answer_in_time_has_failed() {
    let sink = RecordingSink::answering(|_| Answer::Hang);
    let slow = Provider::new("log", &sink)
        .timeout(Duration::from_secs(5))
        .retries(1);
    let bench = Bench::new(NO_RULES, [slow], PipelineOptions::default()).await;
    bench.finish([action("a")]).await;
    let ended = bench.lender.take_ended();
    let [(_, Settled::Done(ActionOutcome::Failed(failure)))] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!((failure.code, failure.attempts), (FailureCode::Timeout, 2));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_retry_holds_no_worker() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Transient(Some(Duration::from_secs(20)))]);
    let single = Provider::new("log", &sink).bounds(1, 10);
    let bench = Bench::new(NO_RULES, [single], PipelineOptions::default()).await;
    bench.submit([action("late")]).await;
    let start = Instant::now();
    bench.submit([action("b"), action("c")]).await;
    bench.lender.wait_for_ended(2).await;
    assert!(start.elapsed() < Duration::from_secs(1));
    bench.lender.wait_for_ended(3).await;
    assert_eq!(bench.lender.ends().last().unwrap(), "late: executed");
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_run_side_by_side_than_allowed() {
    let sink = RecordingSink::answering(|_| Answer::SucceedAfter(Duration::from_millis(10)));
    let narrow = Provider::new("log", &sink).bounds(3, 1000);
    let bench = Bench::new(NO_RULES, [narrow], PipelineOptions::default()).await;
    let ends = bench
        .finish((0..100).map(|number| action(&name(number))))
        .await;
    assert!(ends.iter().all(|end| end.ends_with("executed")));
    assert_eq!(sink.in_flight_max(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_answers_at_once_until_probes_succeed() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Transient(None), Answer::Transient(None)]);
    let provider = Provider::new("log", &sink).retries(0).breaker(2);
    let bench = Bench::new(NO_RULES, [provider], PipelineOptions::default()).await;
    assert_eq!(bench.finish([action("a")]).await, ["a: failed"]);
    assert_eq!(bench.finish([action("b")]).await, ["b: failed"]);
    assert_eq!(bench.finish([action("c")]).await, ["c: circuit_open"]);
    assert_eq!(
        bench.pipeline.parts.providers.health()[0].breaker,
        BreakerState::Open
    );
    advance(Duration::from_secs(61)).await;
    assert_eq!(bench.finish([action("d")]).await, ["d: executed"]);
    assert_eq!(bench.finish([action("e")]).await, ["e: executed"]);
    assert_eq!(
        bench.pipeline.parts.providers.health()[0].breaker,
        BreakerState::Closed
    );
    assert_eq!(sink.attempts().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_comes_due_at_an_open_breaker_waits_for_no_probe() {
    let sink = RecordingSink::answering(|_| Answer::Transient(None));
    let provider = Provider::new("log", &sink).breaker(5);
    let bench = Bench::new(NO_RULES, [provider], PipelineOptions::default()).await;
    let start = Instant::now();
    let ends = bench
        .finish((0..12).map(|number| action(&name(number))))
        .await;
    assert!(start.elapsed() < Duration::from_secs(1), "{ends:?}");
    assert!(
        ends.iter()
            .all(|end| end.ends_with("circuit_open") || end.ends_with("failed")),
        "{ends:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_fallback_delivers_while_the_breaker_is_open() {
    let (sink, spare) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    sink.script([Answer::Transient(None)]);
    let providers = [
        Provider::new("log", &sink)
            .retries(0)
            .breaker(1)
            .fallback("spare"),
        Provider::new("spare", &spare),
    ];
    let bench = Bench::new(NO_RULES, providers, PipelineOptions::default()).await;
    bench.finish([action("a")]).await;
    assert_eq!(bench.finish([action("b")]).await, ["b: rerouted"]);
    assert_eq!(spare.attempted_ids(), ["b"]);
    assert_eq!(bench.trail.records()[1].subject.provider, "spare");
}

#[tokio::test(start_paused = true)]
async fn a_fallback_chain_that_bites_its_tail_ends() {
    let (one, two) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    one.script([Answer::Transient(None)]);
    two.script([Answer::Transient(None)]);
    let providers = [
        Provider::new("log", &one)
            .retries(0)
            .breaker(1)
            .fallback("two"),
        Provider::new("two", &two)
            .retries(0)
            .breaker(1)
            .fallback("log"),
    ];
    let bench = Bench::new(NO_RULES, providers, PipelineOptions::default()).await;
    bench.finish([action("a")]).await;
    bench.finish([action("b").provider("two")]).await;
    assert_eq!(bench.finish([action("c")]).await, ["c: circuit_open"]);
    let ended = bench.lender.take_ended();
    let Some((
        _,
        Settled::Done(ActionOutcome::CircuitOpen {
            provider,
            fallback_chain,
        }),
    )) = ended.last()
    else {
        panic!("{ended:?}");
    };
    assert_eq!(
        (provider.as_str(), &fallback_chain[..]),
        ("log", &["two".into()][..])
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_provider_is_a_failure_that_names_it() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(NO_RULES, &sink).await;
    bench.finish([action("a").provider("nobody")]).await;
    let ended = bench.lender.take_ended();
    let [(_, Settled::Done(ActionOutcome::Failed(failure)))] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!(failure.code, FailureCode::ProviderNotFound);
    assert_eq!(failure.message, "no provider is named \"nobody\"");
}

#[tokio::test(start_paused = true)]
async fn suppress_reroute_and_modify_do_what_they_say() {
    let rules = r#"
rules:
  - { name: mute, condition: { field: action.action_type, eq: noise }, action: { type: suppress } }
  - { name: mark, continue: true, condition: { all: [] }, action: { type: modify, changes: { mark: "{{ action.tenant }}" } } }
  - { name: move, condition: { field: action.action_type, eq: moved }, action: { type: reroute, target_provider: spare } }
"#;
    let (sink, spare) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let providers = [Provider::new("log", &sink), Provider::new("spare", &spare)];
    let bench = Bench::new(rules, providers, PipelineOptions::default()).await;
    let batch = [
        action("a").action_type("noise"),
        action("b").action_type("moved"),
        action("c"),
    ];
    let ends = super::bench::sorted(bench.finish(batch).await);
    assert_eq!(ends, ["a: suppressed", "b: rerouted", "c: executed"]);
    let payload: serde_json::Value = spare.attempts()[0].action.payload.parse().unwrap();
    assert_eq!(payload, serde_json::json!({"mark": "t1"}));
}

#[tokio::test(start_paused = true)]
async fn an_id_of_two_tenants_has_two_idempotency_keys() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(NO_RULES, &sink).await;
    bench
        .finish([action("same"), action("same").tenant("other")])
        .await;
    let attempts = sink.attempts();
    assert_eq!(attempts.len(), 2);
    assert_ne!(attempts[0].idempotency_key, attempts[1].idempotency_key);
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_to_its_source_goes_back_as_it_came() {
    let rules = r#"
rules:
  - { name: mark, continue: true, condition: { all: [] }, action: { type: modify, changes: { marked: true } } }
  - { name: calm, condition: { all: [] }, action: { type: throttle, max_count: 1, window_seconds: 60 } }
"#;
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(rules, &sink).await;
    bench.finish([record("a"), record("b")]).await;
    let ended = bench.lender.take_ended();
    let returned = ended.into_iter().find_map(|(_, settled)| match settled {
        Settled::Later { envelope, .. } => Some(envelope),
        _ => None,
    });
    let payload: serde_json::Value = returned.unwrap().action.payload.parse().unwrap();
    assert_eq!(
        payload,
        serde_json::json!({}),
        "the rules will see it again"
    );
}
