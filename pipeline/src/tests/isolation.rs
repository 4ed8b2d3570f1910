//! No provider affects another, and everything is bounded.

use std::time::Duration;

use acteon_testkit::{Answer, RecordingSink, action};
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::bench::{name, record};
use super::{Bench, Provider};
use crate::PipelineOptions;

async fn beside_a_hung_one() -> (Bench, std::sync::Arc<RecordingSink>) {
    let hung = RecordingSink::answering(|_| Answer::Hang);
    let well = RecordingSink::succeeding();
    let providers = [
        Provider::new("hung", &hung)
            .bounds(2, 3)
            .timeout(Duration::from_secs(3600)),
        Provider::new("well", &well),
    ];
    (
        Bench::new("rules: []", providers, PipelineOptions::default()).await,
        hung,
    )
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_answer_is_told_at_once_that_a_queue_is_full() {
    let (bench, hung) = beside_a_hung_one().await;
    bench
        .submit((0..6).map(|number| action(&name(number)).provider("hung")))
        .await;
    assert_eq!(bench.lender.ends(), ["a5: retry Overloaded"]);
    hung.release();
    bench.lender.wait_for_ended(6).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_turn_keeps_no_memory_of_what_it_was_read_with() {
    let (bench, hung) = beside_a_hung_one().await;
    let pieces = [0, 1, 2, 3].map(|number| Bytes::from(format!("piece {number}")));
    let batch = pieces.iter().zip(0..).map(|(piece, number)| {
        let action = record(&name(number)).provider("hung");
        action.raw(piece.clone())
    });
    bench.submit(batch).await;
    let is_kept = pieces.each_ref().map(|piece| !piece.is_unique());
    assert_eq!(
        is_kept,
        [true, false, false, false],
        "that the sink waits is not known before"
    );
    hung.release();
    bench.lender.wait_for_ended(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_waits_once_for_a_queue_that_does_not_move_and_then_goes_on_with_the_others() {
    let (bench, hung) = beside_a_hung_one().await;
    let start = Instant::now();
    let batch = (0..100).map(|number| {
        let provider = if number % 2 == 0 { "hung" } else { "well" };
        record(&name(number)).provider(provider)
    });
    bench.submit(batch).await;
    assert!(
        start.elapsed() < Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
    let ends = bench.lender.ends();
    assert_eq!(
        ends.iter().filter(|end| end.ends_with("executed")).count(),
        50
    );
    assert_eq!(
        ends.iter()
            .filter(|end| end.ends_with("later Redelivery"))
            .count(),
        45
    );
    hung.release();
    bench.lender.wait_for_ended(100).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_waits_for_a_queue_that_moves() {
    let slow = RecordingSink::answering(|_| Answer::SucceedAfter(Duration::from_millis(50)));
    let provider = Provider::new("log", &slow).bounds(2, 2);
    let bench = Bench::new("rules: []", [provider], PipelineOptions::default()).await;
    let ends = bench
        .finish((0..50).map(|number| record(&name(number))))
        .await;
    assert!(ends.iter().all(|end| end.ends_with("executed")), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn closing_gives_back_what_is_unfinished() {
    let (bench, _hung) = beside_a_hung_one().await;
    bench
        .submit((0..5).map(|number| record(&name(number)).provider("hung")))
        .await;
    let lender = bench.close().await;
    assert_eq!(lender.on_loan(), 0);
    let mut ends = lender.ends();
    ends.sort();
    assert_eq!(
        ends.iter()
            .filter(|end| end.ends_with("ShuttingDown"))
            .count(),
        3
    );
    assert_eq!(
        ends.iter().filter(|end| end.ends_with("Abandoned")).count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_fails_its_action_and_nothing_else() {
    let sink = RecordingSink::answering(|seen| {
        assert!(seen.action.id != "bad", "the sink's own bug");
        Answer::Succeed
    });
    let bench = Bench::with_rules("rules: []", &sink).await;
    let ends = bench.finish([action("bad"), action("good")]).await;
    assert_eq!(
        super::bench::sorted(ends),
        ["bad: failed", "good: executed"]
    );
}

/// A provider that hangs, with room for two attempts and three waiting actions.
async fn hung_alone() -> (Bench, std::sync::Arc<RecordingSink>) {
    let hung = RecordingSink::answering(|_| Answer::Hang);
    let provider = Provider::new("log", &hung)
        .bounds(2, 3)
        .timeout(Duration::from_secs(3600));
    let bench = Bench::new("rules: []", [provider], PipelineOptions::default()).await;
    (bench, hung)
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_feeds_one_provider_waits_for_it_and_copies_nothing() {
    let (bench, hung) = hung_alone().await;
    let batch = (0..50).map(|number| record(&name(number)));
    tokio::select! {
        () = bench.submit(batch) => panic!("the queue is full"),
        () = sleep(Duration::from_secs(600)) => {}
    }
    let ends = bench.lender.ends();
    let later = ends.iter().filter(|end| end.contains("later")).count();
    assert_eq!(later, 0, "{ends:?}");
    assert_eq!(hung.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_feeds_one_provider_waits_while_its_breaker_is_open() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Transient(None)]);
    let provider = Provider::new("log", &sink).retries(0).breaker(1);
    let bench = Bench::new("rules: []", [provider], PipelineOptions::default()).await;
    bench.finish([record("opens")]).await;
    let start = Instant::now();
    let ends = bench
        .finish((0..20).map(|number| record(&name(number))))
        .await;
    assert!(ends.iter().all(|end| end.ends_with("executed")), "{ends:?}");
    assert!(
        start.elapsed() >= Duration::from_secs(60),
        "until the probe"
    );
    assert_eq!(sink.attempts().len(), 21, "and none beside it");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_is_let_go_when_the_process_stops() {
    let (bench, _hung) = hung_alone().await;
    let batch = (0..50).map(|number| record(&name(number)));
    tokio::join!(bench.submit(batch), async {
        sleep(Duration::from_secs(1)).await;
        bench.closing.cancel();
    });
    let lender = bench.close().await;
    assert_eq!(lender.on_loan(), 0, "all have gone back");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_wait_for_one_provider_are_bounded() {
    let hung = RecordingSink::answering(|_| Answer::Hang);
    let well = RecordingSink::succeeding();
    let providers = [
        Provider::new("hung", &hung)
            .timeout(Duration::from_secs(3600))
            .queue_bytes(10_000),
        Provider::new("well", &well),
    ];
    let bench = Bench::new("rules: []", providers, PipelineOptions::default()).await;
    bench.finish([record("first").provider("well")]).await;
    let large = "x".repeat(4000);
    let batch = (0..300).map(|number| {
        let payload = serde_json::json!({"text": large});
        record(&name(number)).provider("hung").payload(&payload)
    });
    bench.submit(batch).await;
    let ends = bench.lender.ends();
    let later = ends
        .iter()
        .filter(|end| end.ends_with("later Redelivery"))
        .count();
    assert!(later >= 190, "a hundred run, and two wait: {later}");
    hung.release();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_is_started_anew_and_told_of() {
    let sink = RecordingSink::answering(|_| Answer::SucceedAfter(Duration::from_millis(10)));
    let bench = Bench::with_rules("rules: []", &sink).await;
    bench.trail.panic_once();
    let ends = bench.finish([record("a")]).await;
    assert_eq!(ends, ["a: retry Abandoned"]);
    assert!(!bench.pipeline.readiness().ready);
    assert_eq!(bench.finish([record("b")]).await, ["b: executed"]);
    sleep(Duration::from_secs(61)).await;
    assert!(bench.pipeline.readiness().ready);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_fail_at_once_by_the_thousand_are_redelivered() {
    let sink = RecordingSink::answering(|_| Answer::Transient(None));
    let providers = [
        Provider::new("log", &sink).bounds(2, 10),
        Provider::new("well", &RecordingSink::succeeding()),
    ];
    let bench = Bench::new("rules: []", providers, PipelineOptions::default()).await;
    bench.finish([record("first").provider("well")]).await;
    let batch = (0..1000).map(|number| record(&name(number)));
    let ends = bench.finish(batch).await;
    let later = |end: &String| end.ends_with("later Redelivery");
    assert!(ends.iter().all(later), "{ends:?}");
}
