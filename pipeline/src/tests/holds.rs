//! The hold of an action is renewed while it waits, and released whatever the outcome.

use std::time::Duration;

use acteon_testkit::{Answer, RecordingSink, action};
use tokio::time::{advance, sleep};

use super::bench::{name, record, sorted};
use super::{Bench, Provider};
use crate::PipelineOptions;

const ONCE: &str = "
rules:
  - name: once
    continue: true
    condition: { field: action.dedup_key, exists: true }
    action: { type: deduplicate }
";
const CALM: &str = "
rules:
  - name: calm
    condition: { all: [] }
    action: { type: throttle, max_count: 5, window_seconds: 60 }
";

/// A provider whose fallback hangs and is full.
async fn with_a_full_fallback(rules: &str) -> (Bench, std::sync::Arc<RecordingSink>) {
    let sink = RecordingSink::answering(|_| Answer::Transient(None));
    let hung = RecordingSink::answering(|_| Answer::Hang);
    let providers = [
        Provider::new("log", &sink)
            .retries(0)
            .breaker(1)
            .fallback("spare"),
        Provider::new("spare", &hung)
            .bounds(1, 1)
            .timeout(Duration::from_secs(3600)),
    ];
    let bench = Bench::new(rules, providers, PipelineOptions::default()).await;
    bench.finish([action("opens").tenant("other")]).await;
    bench
        .submit([
            record("runs").provider("spare").tenant("other"),
            record("waits").provider("spare").tenant("other"),
        ])
        .await;
    (bench, hung)
}

#[tokio::test(start_paused = true)]
async fn what_is_diverted_to_a_full_fallback_keeps_no_dedup_key() {
    let (bench, hung) = with_a_full_fallback(ONCE).await;
    let ends = bench.finish([record("a").dedup_key("k")]).await;
    assert_eq!(ends, ["a: later Redelivery"]);
    let before = bench.lender.ended_count();
    bench
        .submit([record("b").dedup_key("k").provider("spare")])
        .await;
    hung.release();
    bench.lender.wait_for_ended(before + 3).await;
    let ends = sorted(bench.lender.ends().split_off(before));
    assert!(
        ends.contains(&"b: executed".to_owned())
            || ends.contains(&"b: later Redelivery".to_owned()),
        "{ends:?}"
    );
    assert!(
        !ends
            .iter()
            .any(|end| end.contains("deduplicated") || end.contains("Busy"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_diverted_to_a_full_fallback_keeps_no_throttle_place() {
    let (bench, _hung) = with_a_full_fallback(CALM).await;
    for round in 0..5 {
        let batch = (0..5).map(|number| record(&name(10 * round + number)));
        let ends = bench.finish(batch).await;
        assert!(
            ends.iter().all(|end| end.ends_with("later Redelivery")),
            "{ends:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_loan_that_is_dropped_gives_back_what_it_held() {
    let sink = RecordingSink::answering(|_| Answer::Hang);
    let provider = Provider::new("log", &sink)
        .bounds(1, 1)
        .timeout(Duration::from_secs(3600));
    let bench = Bench::new(ONCE, [provider], PipelineOptions::default()).await;
    bench.submit([record("runs"), record("waits")]).await;
    {
        let submitting = bench.submit([record("a").dedup_key("k")]);
        tokio::select! {
            () = submitting => panic!("there is no place for it"),
            () = sleep(Duration::from_secs(1)) => {}
        }
    }
    assert_eq!(bench.lender.ends(), ["a: retry Abandoned"]);
    sink.release();
    bench.lender.wait_for_ended(3).await;
    assert_eq!(
        bench.finish([record("b").dedup_key("k")]).await,
        ["b: executed"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_stands_behind_a_full_queue_is_renewed_from_the_grant_on() {
    let sink = RecordingSink::answering(|_| Answer::Hang);
    let provider = Provider::new("log", &sink)
        .bounds(1, 1)
        .timeout(Duration::from_secs(3600));
    let options = PipelineOptions {
        lease_wait: Duration::from_secs(1),
        ..PipelineOptions::default()
    };
    let bench = Bench::new(ONCE, [provider], options).await;
    let batch = (0..6).map(|number| record(&name(number)).dedup_key(&name(number)));
    let second = || {
        record("second")
            .dedup_key("a5")
            .policy(acteon_core::Policy::Answer)
    };
    tokio::select! {
        () = bench.submit(batch) => panic!("the queue does not move"),
        () = async {
            // For three leases, another action finds the key taken.
            for _ in 0..9 {
                advance(Duration::from_secs(10)).await;
                sleep(Duration::from_millis(1)).await;
                let before = bench.lender.ended_count();
                bench.other_submit([second()]).await;
                bench.lender.wait_for_ended(before + 1).await;
                assert_eq!(bench.lender.ends().pop().unwrap(), "second: retry Busy");
            }
        } => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_costs_one_settle_however_its_actions_end() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(CALM, &sink).await;
    let batch = (0..256).map(|number| record(&name(number)));
    let ends = bench.finish(batch).await;
    assert_eq!(
        ends.iter().filter(|end| end.ends_with("executed")).count(),
        5
    );
    let calls = bench.state.take_calls();
    assert_eq!((calls.reserve, calls.settle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_waited_too_long_is_asked_for_again_so_that_no_burst_follows() {
    const A_SECOND: &str = "
rules:
  - name: calm
    condition: { all: [] }
    action: { type: throttle, max_count: 5, window_seconds: 1 }
";
    let sink = RecordingSink::answering(|seen| match seen.number {
        1 if seen.action.id == "stall" => Answer::SucceedAfter(Duration::from_secs(4)),
        _ => Answer::Succeed,
    });
    let provider = Provider::new("log", &sink).bounds(1, 1000);
    let bench = Bench::new(A_SECOND, [provider], PipelineOptions::default()).await;
    bench.submit([record("stall").tenant("other")]).await;
    for second in 0..4 {
        let batch = (0..5).map(|number| record(&name(10 * second + number)));
        bench.submit(batch).await;
        advance(Duration::from_secs(1)).await;
    }
    bench.lender.wait_for_ended(21).await;
    let begun: Vec<_> = sink.attempts().iter().skip(1).map(|seen| seen.at).collect();
    for window in begun.windows(6) {
        let passed = window[5].duration_since(window[0]);
        assert!(
            passed >= Duration::from_millis(950),
            "six within {passed:?}"
        );
    }
    assert!(!begun.is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_those_who_wait_for_one_key_only_the_first_asks() {
    let sink = RecordingSink::answering(|_| Answer::Hang);
    let bench = Bench::with_rules(ONCE, &sink).await;
    bench.submit([record("first").dedup_key("k")]).await;
    bench
        .submit((0..50).map(|number| record(&name(number)).dedup_key("k")))
        .await;
    bench.state.take_calls();
    sleep(Duration::from_secs(2)).await;
    let asked = bench.state.take_calls().reserve;
    assert!(
        (15..=40).contains(&asked),
        "one each tenth of a second: {asked}"
    );
    sink.release();
    bench.lender.wait_for_ended(51).await;
    let asked = bench.state.take_calls().reserve;
    assert!(asked <= 2, "all duplicates are told by one call: {asked}");
}
