//! An action that could not be delivered returns later, and becomes a dead letter only after the time to give up.

use std::time::Duration;

use acteon_core::health::{BreakerOverride, ProviderAdmin as _};
use acteon_core::redelivery::{PendingRedelivery, RedeliveryQuery};
use acteon_core::{Delay, Envelope, Failure, FailureCode, History, Intake, Scope, Settled};
use acteon_testkit::{Answer, Lender, RecordingSink, action};
use jiff::SignedDuration;
use tokio::time::{Instant, advance};

use super::bench::{name, record};
use super::{Bench, Provider};
use crate::{PipelineOptions, RedeliveryOptions};

const ONCE: &str = "rules: [{ name: once, condition: { field: action.dedup_key, exists: true }, action: { type: deduplicate } }]";

async fn failing(answer: Answer) -> (Bench, std::sync::Arc<RecordingSink>) {
    let sink = RecordingSink::answering(move |_| answer.clone());
    let provider = Provider::new("log", &sink).retries(1);
    (
        Bench::new(ONCE, [provider], PipelineOptions::default()).await,
        sink,
    )
}

/// The only action that was delayed, and its delay.
fn went(lender: &Lender) -> (Box<Envelope>, Duration) {
    match lender.take_ended().pop() {
        Some((
            _,
            Settled::Later {
                envelope,
                after,
                delay: Delay::Redelivery,
            },
        )) => (envelope, after),
        other => panic!("{other:?}"),
    }
}

/// All listed redeliveries, soonest first.
fn listed(bench: &Bench) -> Vec<std::sync::Arc<PendingRedelivery>> {
    let page = bench.pipeline.redeliveries().list(&RedeliveryQuery {
        scope: Scope::everything(),
        namespace: None,
        tenant: None,
        provider: None,
        action_type: None,
        after: None,
        limit: 10,
    });
    page.redeliveries
}

#[tokio::test(start_paused = true)]
async fn a_broker_gets_an_action_back_whose_attempts_are_used_up() {
    let (bench, _) = failing(Answer::Transient(None)).await;
    bench.finish([record("a")]).await;
    let (envelope, after) = went(&bench.lender);
    let history = envelope.history.unwrap();
    assert_eq!((history.attempts, history.redeliveries), (2, 1));
    assert_eq!(history.last.len(), 2);
    let range = Duration::from_secs(5)..=Duration::from_secs(6);
    assert!(range.contains(&after), "{after:?}");
    assert_eq!(bench.trail.records().len(), 0, "it has not come to its end");
}

#[tokio::test(start_paused = true)]
async fn the_waits_follow_the_schedule_of_the_provider() {
    let (bench, _) = failing(Answer::Transient(None)).await;
    let mut history = History::beginning(acteon_testkit::epoch());
    history.redeliveries = 2;
    bench.finish([record("a").history(history)]).await;
    let (_, after) = went(&bench.lender);
    assert!((120..=144).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn it_is_a_dead_letter_with_its_history_when_its_time_is_over() {
    let (bench, _) = failing(Answer::Transient(None)).await;
    let began = acteon_testkit::epoch() - SignedDuration::from_hours(24);
    let ends = bench
        .finish([record("a").history(History::beginning(began))])
        .await;
    assert_eq!(ends, ["a: dead_lettered CONNECTION"]);
    let ended = bench.lender.take_ended();
    let [(_, Settled::DeadLettered(letter))] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!((letter.attempts, letter.history.len()), (2, 2));
    assert_eq!(*letter.raw, record("a").json());
    let records = bench.trail.records();
    assert_eq!(records[0].attempts.len(), 2, "the audit trail has it, too");
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_makes_no_dead_letters() {
    let sink = RecordingSink::answering(|_| Answer::Transient(None));
    let well = RecordingSink::succeeding();
    let providers = [
        Provider::new("log", &sink).retries(0).breaker(1),
        Provider::new("well", &well),
    ];
    let bench = Bench::new(ONCE, providers, PipelineOptions::default()).await;
    bench.finish([record("first").provider("well")]).await;
    bench.finish([record("opens")]).await;
    let batch = (0..500).map(|number| record(&name(number)));
    let ends = bench.finish(batch).await;
    let later = ends.iter().filter(|end| end.ends_with("later Redelivery"));
    assert_eq!(later.count(), 500);
    assert_eq!(sink.attempts().len(), 1);
    let (_, after) = went(&bench.lender);
    assert!(
        after >= Duration::from_secs(59),
        "not before the probe: {after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_goes_away_gives_its_dedup_key_back() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Transient(None), Answer::Transient(None)]);
    let provider = Provider::new("log", &sink).retries(1);
    let bench = Bench::new(ONCE, [provider], PipelineOptions::default()).await;
    let ends = bench.finish([record("a").dedup_key("k")]).await;
    assert_eq!(ends, ["a: later Redelivery"]);
    assert_eq!(
        bench.finish([record("b").dedup_key("k")]).await,
        ["b: executed"]
    );
    let again = record("a").dedup_key("k");
    assert_eq!(bench.finish([again]).await, ["a: deduplicated"]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_at_fault_is_asked_once_and_then_by_probes_only() {
    let sink = RecordingSink::answering(|_| Answer::ProviderFault);
    let providers = [
        Provider::new("log", &sink).breaker(5),
        Provider::new("well", &RecordingSink::succeeding()),
    ];
    let bench = Bench::new(ONCE, providers, PipelineOptions::default()).await;
    bench.finish([record("first").provider("well")]).await;
    let batch = (0..200).map(|number| record(&name(number)));
    let ends = bench.finish(batch).await;
    assert!(
        ends.iter().all(|end| end.ends_with("later Redelivery")),
        "{ends:?}"
    );
    assert_eq!(sink.attempts().len(), 1);
    assert_eq!(bench.finish([action("h")]).await, ["h: circuit_open"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_told_at_once_of_a_provider_at_fault() {
    let (bench, sink) = failing(Answer::ProviderFault).await;
    assert_eq!(bench.finish([action("a")]).await, ["a: failed"]);
    assert_eq!(sink.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_for_the_process_goes_by_the_delayed_path() {
    let minutes = Duration::from_secs(600);
    let (bench, sink) = failing(Answer::Transient(Some(minutes))).await;
    bench.finish([record("a")]).await;
    let (_, after) = went(&bench.lender);
    assert!(after >= minutes, "{after:?}");
    assert_eq!(sink.attempts().len(), 1);
    let (bench, _) = failing(Answer::Transient(Some(Duration::from_secs(100_000)))).await;
    bench.finish([record("a")]).await;
    let (_, after) = went(&bench.lender);
    assert!(
        after <= Duration::from_secs(3600 * 6 / 5),
        "an hour at most: {after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_asks_for_less_is_left_alone_by_all() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::RateLimited(Duration::from_secs(7))]);
    let bench = Bench::new(
        ONCE,
        [Provider::new("log", &sink)],
        PipelineOptions::default(),
    )
    .await;
    let start = Instant::now();
    let ends = bench.finish([record("a"), record("b"), record("c")]).await;
    assert!(ends.iter().all(|end| end.ends_with("executed")), "{ends:?}");
    let early = sink
        .attempts()
        .iter()
        .skip(1)
        .any(|seen| seen.at.duration_since(start) < Duration::from_secs(7));
    assert!(!early);
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_one_destination_delays_only_its_own_action() {
    let sink = RecordingSink::succeeding();
    let limited = || Answer::DestinationLimited(Duration::from_secs(7));
    sink.script((0..8).map(|_| limited()));
    let bench = Bench::new(
        ONCE,
        [Provider::new("log", &sink)],
        PipelineOptions::default(),
    )
    .await;
    let start = Instant::now();
    let actions = (0..10).map(|number| record(&number.to_string()));
    let ends = bench.finish(actions).await;
    assert!(ends.iter().all(|end| end.ends_with("executed")), "{ends:?}");
    let at_once = sink
        .attempts()
        .iter()
        .filter(|seen| seen.at.duration_since(start) < Duration::from_secs(7))
        .count();
    assert_eq!(
        at_once, 10,
        "neither a pause nor the breaker holds up others"
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_while_a_provider_is_left_alone_for_a_moment() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::RateLimited(Duration::from_secs(7))]);
    let bench = Bench::with_rules(ONCE, &sink).await;
    bench.submit([action("a")]).await;
    let start = Instant::now();
    bench.submit([action("b")]).await;
    bench.lender.wait_for_ended(2).await;
    assert!(start.elapsed() >= Duration::from_secs(7));
    assert_eq!(bench.lender.ends(), ["a: executed", "b: executed"]);
}

#[tokio::test(start_paused = true)]
async fn an_absurd_pause_ends_after_an_hour_and_is_shown() {
    for asked in [Duration::from_secs(1_795_952_430), Duration::MAX] {
        let sink = RecordingSink::succeeding();
        sink.script([Answer::RateLimited(asked)]);
        let bench = Bench::with_rules(ONCE, &sink).await;
        bench.finish([action("a")]).await;
        let health = || bench.pipeline.parts.providers.health().remove(0);
        let error = health().last_error.unwrap().message;
        assert!(error.contains("no calls for another 36"), "{error}");
        assert_eq!(bench.finish([action("b")]).await, ["b: failed"]);
        advance(Duration::from_secs(3601)).await;
        assert_eq!(bench.finish([action("c")]).await, ["c: executed"]);
        let error = health().last_error.unwrap().message;
        assert!(!error.contains("no calls"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn closing_the_breaker_by_hand_ends_a_pause() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::RateLimited(Duration::from_secs(20))]);
    let bench = Bench::with_rules(ONCE, &sink).await;
    bench.submit([action("a")]).await;
    bench.submit([action("b")]).await;
    let start = Instant::now();
    advance(Duration::from_secs(1)).await;
    let closed = bench
        .pipeline
        .parts
        .providers
        .set_breaker("log", BreakerOverride::Closed);
    assert!(closed.is_some());
    bench.submit([action("c")]).await;
    bench.lender.wait_for_ended(2).await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_that_stays_away_sends_actions_by_the_delayed_path() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(ONCE, &sink).await;
    bench.state.set_reach(acteon_testkit::Reach::CutOff);
    let asking = || record("a").dedup_key("k");
    assert_eq!(
        bench.finish([asking()]).await,
        ["a: retry StateUnavailable"]
    );
    advance(Duration::from_secs(30)).await;
    assert_eq!(bench.finish([asking()]).await, ["a: later Redelivery"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_listed_until_it_comes_back() {
    let (bench, _) = failing(Answer::Transient(None)).await;
    bench.finish([record("a")]).await;
    let (envelope, after) = went(&bench.lender);
    let waiting = listed(&bench);
    assert_eq!(waiting.len(), 1);
    let one = &waiting[0];
    assert_eq!((one.action_id.as_str(), one.history.attempts), ("a", 2));
    advance(after).await;
    let history = *envelope.history.unwrap();
    bench
        .submit([record("a").history(history).provider("nobody")])
        .await;
    assert_eq!(listed(&bench).len(), 0);
    bench.finish([record("a")]).await;
    let (envelope, _) = went(&bench.lender);
    assert_eq!(listed(&bench).len(), 1);
    let given_up = bench.lender.lend("a", *envelope);
    let why = Failure {
        code: FailureCode::Serialization,
        message: "too large to be copied".into(),
        retryable: true,
        attempts: 2,
    };
    bench.pipeline.give_up(given_up, why).await;
    assert_eq!(listed(&bench).len(), 0, "given up by its source");
}

#[tokio::test(start_paused = true)]
async fn what_waits_stays_listed_beside_what_waits_much_longer() {
    let sink = RecordingSink::answering(|_| Answer::Transient(None));
    let days = RedeliveryOptions {
        schedule: [Duration::from_secs(2 * 86_400)].into(),
        give_up_after: Duration::from_secs(7 * 86_400),
    };
    let providers = [
        Provider::new("log", &sink).retries(0),
        Provider::new("days", &sink).retries(0).redelivery(days),
    ];
    let bench = Bench::new(ONCE, providers, PipelineOptions::default()).await;
    bench.finish([record("soon")]).await;
    bench.finish([record("late").provider("days")]).await;
    let waiting = listed(&bench);
    let ids: Vec<_> = waiting.iter().map(|one| one.action_id.as_str()).collect();
    assert_eq!(ids, ["soon", "late"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_due_an_hour_ago_went_to_another_process() {
    let (bench, _) = failing(Answer::Transient(None)).await;
    bench.finish([record("gone")]).await;
    advance(Duration::from_secs(3700)).await;
    bench.finish([record("new")]).await;
    let waiting = listed(&bench);
    let ids: Vec<_> = waiting.iter().map(|one| one.action_id.as_str()).collect();
    assert_eq!(ids, ["new"]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_may_have_a_schedule_of_its_own() {
    let sink = RecordingSink::answering(|_| Answer::Transient(None));
    let provider = Provider::new("log", &sink)
        .retries(0)
        .redelivery(RedeliveryOptions {
            schedule: [Duration::from_secs(1000)].into(),
            give_up_after: Duration::from_secs(2000),
        });
    let bench = Bench::new(ONCE, [provider], PipelineOptions::default()).await;
    bench.finish([record("a")]).await;
    let (_, after) = went(&bench.lender);
    assert!(after >= Duration::from_secs(1000), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn dead_letters_that_find_no_room_wait_with_their_actions_and_hold_up_no_others() {
    let max = std::num::NonZeroUsize::new(1).unwrap();
    let bound = acteon_core::dead_letter::DeadLetterBound {
        max,
        ..Default::default()
    };
    let bounds = acteon_core::DeadLetterBounds {
        exhausted: bound,
        ..Default::default()
    };
    let state = std::sync::Arc::new(acteon_backends_memory::MemoryState::new(
        &Default::default(),
        &acteon_core::state::StateContext {
            dead_letters: bounds,
            ..Default::default()
        },
    ));
    let sink = RecordingSink::answering(|seen| match seen.action.action_type.as_str() {
        "bad" => Answer::Permanent,
        _ => Answer::Succeed,
    });
    let providers = [Provider::new("log", &sink)];
    let bench = Bench::over(state.clone(), ONCE, providers, PipelineOptions::default()).await;
    let bad = |id: &str| record(id).action_type("bad");
    bench
        .submit([bad("a"), bad("b"), record("c"), bad("d")])
        .await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    let mut ends = bench.lender.ends();
    ends.sort();
    assert_eq!(ends, ["a: dead_lettered EXECUTION_FAILED", "c: executed"]);
    assert_eq!(sink.attempts().len(), 4, "nobody is asked again");
    let page = bench.letters().await;
    bench.delete_letter(&page[0]).await;
    bench.lender.wait_for_ended(3).await;
    let ends = bench.lender.ends();
    assert_eq!(
        ends.iter()
            .filter(|end| end.contains("dead_lettered"))
            .count(),
        2
    );
}
