//! Actions of one sequence are attempted one after another, in the order in which they were decided.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::health::{BreakerOverride, ProviderAdmin as _};
use acteon_core::{Delay, Envelope, Failure, FailureCode, History, Intake as _, Policy, Settled};
use acteon_templates::{TemplateFile, TemplateSet};
use acteon_testkit::{ActionBuilder, Answer, RecordingSink, action};
use jiff::SignedDuration;
use serde_json::json;
use tokio::time::{Instant, advance, sleep};

use super::bench::{name, record, sorted};
use super::{Bench, Provider};
use crate::{OnTemplateError, PipelineOptions};

const ONCE: &str = "rules: [{ name: once, condition: { field: action.dedup_key, exists: true }, action: { type: deduplicate } }]";

/// A record of the sequence `disk`.
fn disk(id: &str) -> ActionBuilder {
    record(id).fingerprint("disk")
}

async fn bench_of(provider: Provider) -> Bench {
    Bench::new(ONCE, [provider], PipelineOptions::default()).await
}

/// A bench whose provider, without retries, answers as scripted and then succeeds.
async fn scripted(answers: impl IntoIterator<Item = Answer>) -> (Bench, Arc<RecordingSink>) {
    let sink = RecordingSink::ordered(|_| Answer::Succeed);
    sink.script(answers);
    (bench_of(Provider::new("log", &sink).retries(0)).await, sink)
}

/// The actions that were delayed lately, with their waits.
fn delayed(bench: &Bench) -> Vec<(Box<Envelope>, Duration)> {
    let ended = bench.lender.take_ended().into_iter();
    let later = ended.filter_map(|(_, settled)| match settled {
        Settled::Later {
            envelope,
            after,
            delay: Delay::Redelivery,
        } => Some((envelope, after)),
        _ => None,
    });
    later.collect()
}

/// Submits one batch after the earlier ends were taken, and returns how it ended.
async fn then(bench: &Bench, actions: impl IntoIterator<Item = ActionBuilder>) -> Vec<String> {
    let on_loan = bench.lender.on_loan() as usize;
    let before = bench.lender.ended_count();
    let actions: Vec<_> = actions.into_iter().collect();
    let count = before + on_loan + actions.len();
    bench.submit(actions).await;
    bench.lender.wait_for_ended(count).await;
    bench.lender.ends()
}

/// Hands in an action that comes back.
async fn comes_back(bench: &Bench, envelope: Box<Envelope>) {
    let name = envelope.action.id.clone();
    let delivery = bench.lender.lend(name, *envelope);
    let feed = acteon_core::Feed::default();
    bench.pipeline.submit(vec![delivery], &feed).await;
}

#[tokio::test(start_paused = true)]
async fn a_resolve_waits_for_the_retries_of_its_trigger() {
    let sink = RecordingSink::ordered(|_| Answer::Succeed);
    sink.script([Answer::Transient(None), Answer::Transient(None)]);
    let bench = Bench::with_rules(ONCE, &sink).await;
    let ends = bench.finish([disk("trigger"), disk("resolve")]).await;
    assert_eq!(ends, ["trigger: executed", "resolve: executed"]);
    let attempted = ["trigger", "trigger", "trigger", "resolve"];
    assert_eq!(sink.attempted_ids(), attempted);
}

#[tokio::test(start_paused = true)]
async fn callers_over_http_wait_for_each_other_too() {
    let sink = RecordingSink::ordered(|_| Answer::Succeed);
    sink.script([Answer::Transient(Some(Duration::from_secs(9)))]);
    let bench = Bench::with_rules(ONCE, &sink).await;
    let asks = |id| action(id).fingerprint("disk");
    bench.submit([asks("trigger")]).await;
    bench.other_submit([asks("resolve")]).await;
    bench.lender.wait_for_ended(2).await;
    assert_eq!(
        bench.lender.ends(),
        ["trigger: executed", "resolve: executed"]
    );
    assert_eq!(sink.attempted_ids(), ["trigger", "trigger", "resolve"]);
}

#[tokio::test(start_paused = true)]
async fn a_hung_action_delays_its_sequence_and_nothing_else() {
    let sink = RecordingSink::ordered(|seen| match seen.action.id.as_str() {
        "hung" => Answer::Hang,
        _ => Answer::Succeed,
    });
    let hour = Duration::from_secs(3600);
    let bench = bench_of(Provider::new("log", &sink).timeout(hour)).await;
    let others = (0..100).map(|number| record(&name(number)).fingerprint(&name(number)));
    let batch = [disk("hung"), disk("behind"), record("free")];
    let start = Instant::now();
    bench.submit(batch.into_iter().chain(others)).await;
    bench.lender.wait_for_ended(101).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    let ends = bench.lender.ends();
    assert!(
        !ends.iter().any(|end| end.starts_with("behind")),
        "{ends:?}"
    );
    sink.release();
    bench.lender.wait_for_ended(103).await;
    let ends = bench.lender.ends().split_off(101);
    assert_eq!(ends, ["hung: executed", "behind: executed"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_holds_up_in_the_state_is_not_overtaken_by_the_rest_of_its_batch() {
    let (bench, sink) = scripted([]).await;
    let batch = [disk("first"), disk("asks").dedup_key("k"), disk("last")];
    bench.finish(batch).await;
    assert_eq!(sink.attempted_ids(), ["first", "asks", "last"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_template_makes_of_an_action_decides_its_sequence() {
    let files = [TemplateFile {
        name: "log/key.txt".to_owned(),
        text: "{{ payload.host }}".to_owned(),
    }];
    let set = TemplateSet::compile(&files, |_| true).unwrap();
    let sink = RecordingSink::ordered(|_| Answer::Succeed);
    sink.script([Answer::Transient(Some(Duration::from_secs(1)))]);
    let provider = Provider::new("log", &sink).templates(set, OnTemplateError::Fail);
    let bench = bench_of(provider).await;
    let on = |id, host| record(id).payload(&json!({ "host": host }));
    bench
        .finish([on("trigger", "a"), on("resolve", "a"), on("other", "b")])
        .await;
    let attempted = ["trigger", "other", "trigger", "resolve"];
    assert_eq!(sink.attempted_ids(), attempted);
}

#[tokio::test(start_paused = true)]
async fn what_is_behind_an_action_that_leaves_leaves_too_and_comes_back_behind_it() {
    // Longer than an action waits here for one that is away.
    let asked = Some(Duration::from_secs(40));
    let answers = [Answer::Transient(asked), Answer::Transient(asked)];
    let (bench, sink) = scripted(answers).await;
    bench.finish([disk("trigger"), disk("resolve")]).await;
    bench.finish([disk("again")]).await;
    let mut away = delayed(&bench).into_iter();
    let [(trigger, wait), (resolve, behind), (again, last)] =
        [(); 3].map(|()| away.next().unwrap());
    assert_eq!(trigger.action.id, "trigger");
    assert!(
        behind >= wait && last >= wait,
        "{wait:?} {behind:?} {last:?}"
    );
    let redeliveries = |envelope: &Envelope| envelope.history.as_ref().unwrap().redeliveries;
    assert_eq!((redeliveries(&trigger), redeliveries(&resolve)), (1, 0));
    advance(wait).await;
    comes_back(&bench, again).await;
    comes_back(&bench, resolve).await;
    assert_eq!(sink.attempted_ids(), ["trigger"], "it has not come back");
    comes_back(&bench, trigger).await;
    let mut away = Vec::new();
    while away.is_empty() {
        sleep(Duration::from_millis(10)).await;
        away = delayed(&bench);
    }
    bench.lender.wait_for_ended(6).await;
    away.extend(delayed(&bench));
    let ids: Vec<_> = away.iter().map(|(one, _)| one.action.id.as_str()).collect();
    assert_eq!(ids, ["trigger", "resolve", "again"], "it failed once more");
    for (envelope, wait) in away {
        sleep(wait).await;
        comes_back(&bench, envelope).await;
    }
    bench.lender.wait_for_ended(9).await;
    let attempted = ["trigger", "trigger", "trigger", "resolve", "again"];
    assert_eq!(sink.attempted_ids(), attempted);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_would_wait_behind_a_redelivery_is_refused_with_its_time() {
    let (bench, sink) = scripted([Answer::Transient(None)]).await;
    bench.finish([disk("trigger")]).await;
    let (_, wait) = delayed(&bench).remove(0);
    let ends = then(&bench, [action("resolve").fingerprint("disk")]).await;
    assert_eq!(ends, ["resolve: retry Overloaded"]);
    let ended = bench.lender.take_ended();
    let [(_, Settled::Retry { after, .. })] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!(*after, wait);
    assert_eq!(sink.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_soon_is_waited_for() {
    let (bench, sink) = scripted([Answer::Transient(None)]).await;
    bench.finish([disk("trigger")]).await;
    let (trigger, wait) = delayed(&bench).remove(0);
    advance(wait - Duration::from_secs(1)).await;
    bench.submit([disk("record")]).await;
    bench.submit([action("caller").fingerprint("disk")]).await;
    sleep(Duration::from_secs(1)).await;
    comes_back(&bench, trigger).await;
    bench.lender.wait_for_ended(4).await;
    assert_eq!(
        bench.lender.ends(),
        ["trigger: executed", "record: executed", "caller: executed"]
    );
    let attempted = ["trigger", "trigger", "record", "caller"];
    assert_eq!(sink.attempted_ids(), attempted);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_back_in_time_is_not_waited_for() {
    let (bench, _) = scripted([Answer::Transient(None)]).await;
    bench.finish([disk("trigger")]).await;
    let (_, wait) = delayed(&bench).remove(0);
    advance(wait).await;
    let ends = then(&bench, [disk("resolve")]).await;
    assert_eq!(ends, ["resolve: later Redelivery"]);
    delayed(&bench);
    advance(Duration::from_secs(310)).await;
    assert_eq!(then(&bench, [disk("new")]).await, ["new: executed"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_lets_the_next_one_go_on() {
    let answers = [Answer::Permanent, Answer::Succeed, Answer::Transient(None)];
    let (bench, _) = scripted(answers).await;
    let ends = bench.finish([disk("bad"), disk("good")]).await;
    assert_eq!(
        sorted(ends),
        ["bad: dead_lettered EXECUTION_FAILED", "good: executed"]
    );
    let began = acteon_testkit::epoch() - SignedDuration::from_hours(24);
    let old = disk("old").history(History::beginning(began));
    let ends = bench.finish([old, disk("next")]).await;
    assert_eq!(
        sorted(ends),
        ["next: executed", "old: dead_lettered CONNECTION"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_ends_without_another_attempt_gives_its_place_up() {
    let rules = "rules: [{ name: old, condition: { field: action.status, eq: old }, action: { type: suppress } }]";
    let sink = RecordingSink::ordered(|_| Answer::Succeed);
    sink.script([Answer::Transient(None), Answer::Transient(None)]);
    let provider = Provider::new("log", &sink).retries(0);
    let bench = Bench::new(rules, [provider], PipelineOptions::default()).await;
    bench.finish([disk("given_up")]).await;
    let (envelope, _) = delayed(&bench).remove(0);
    let given_up = bench.lender.lend("given_up", *envelope);
    let why = Failure {
        code: FailureCode::Serialization,
        message: "too large to be copied".into(),
        retryable: true,
        attempts: 1,
    };
    bench.pipeline.give_up(given_up, why).await;
    bench.submit([disk("suppressed")]).await;
    bench.lender.wait_for_ended(3).await;
    let (mut envelope, _) = delayed(&bench).pop().unwrap();
    envelope.action.status = Some("old".into());
    comes_back(&bench, envelope).await;
    bench.lender.wait_for_ended(4).await;
    bench.lender.take_ended();
    assert_eq!(then(&bench, [disk("next")]).await, ["next: executed"]);
}

#[tokio::test(start_paused = true)]
async fn a_replayed_dead_letter_has_no_place() {
    let (bench, _) = scripted([Answer::Transient(None)]).await;
    bench.finish([disk("trigger")]).await;
    let replayed = disk("old").policy(Policy::Replay);
    assert_eq!(bench.finish([replayed]).await, ["old: executed"]);
}

/// A bench with a second provider, whose reader has fed both, so that it waits for none.
async fn beside_another(provider: Provider) -> Bench {
    let other = Provider::new("other", &RecordingSink::succeeding());
    let bench = Bench::new(ONCE, [provider, other], PipelineOptions::default()).await;
    bench.finish([record("elsewhere").provider("other")]).await;
    bench
}

#[tokio::test(start_paused = true)]
async fn what_met_an_open_breaker_is_not_overtaken() {
    let sink = RecordingSink::ordered(|_| Answer::Succeed);
    let bench = beside_another(Provider::new("log", &sink).breaker(5)).await;
    let providers = &bench.pipeline.parts.providers;
    providers.set_breaker("log", BreakerOverride::Open);
    let ends = bench.finish([disk("trigger")]).await;
    assert_eq!(ends, ["trigger: later Redelivery"]);
    providers.set_breaker("log", BreakerOverride::Closed);
    let ends = bench.finish([disk("resolve"), record("free")]).await;
    assert_eq!(
        sorted(ends),
        ["free: executed", "resolve: later Redelivery"]
    );
    assert_eq!(sink.attempted_ids(), ["free"]);
}

#[tokio::test(start_paused = true)]
async fn what_met_a_full_queue_is_not_overtaken() {
    let sink = RecordingSink::ordered(|seen| match seen.action.id.as_str() {
        "hung" => Answer::Hang,
        _ => Answer::Succeed,
    });
    let bench = beside_another(Provider::new("log", &sink).bounds(1, 1)).await;
    bench
        .submit([record("hung"), record("waits"), disk("trigger")])
        .await;
    sink.release();
    bench.lender.wait_for_ended(4).await;
    let ends = bench.finish([disk("resolve")]).await;
    assert_eq!(ends, ["resolve: later Redelivery"]);
    assert_eq!(sink.attempted_ids(), ["hung", "waits"]);
}

#[tokio::test(start_paused = true)]
async fn those_behind_take_no_more_room_than_the_queue_has() {
    let sink = RecordingSink::ordered(|_| Answer::Hang);
    let hour = Duration::from_secs(3600);
    let provider = Provider::new("log", &sink).bounds(2, 3).timeout(hour);
    let bench = beside_another(provider).await;
    let calls = |number| action(&name(number)).fingerprint("disk");
    bench.submit([calls(0)]).await;
    sink.wait_for_attempts(1).await;
    bench.submit((1..6).map(calls)).await;
    bench.submit([disk("record")]).await;
    bench.lender.wait_for_ended(4).await;
    assert_eq!(
        bench.lender.ends().split_off(1),
        [
            "a4: retry Overloaded",
            "a5: retry Overloaded",
            "record: later Redelivery"
        ]
    );
    assert_eq!(sink.attempted_ids(), ["a0"]);
    sink.release();
    bench.lender.wait_for_ended(7).await;
    assert_eq!(sink.attempted_ids(), ["a0", "a1", "a2", "a3"]);
}

#[tokio::test(start_paused = true)]
async fn closing_gives_back_those_behind() {
    let sink = RecordingSink::ordered(|_| Answer::Hang);
    let hour = Duration::from_secs(3600);
    let bench = bench_of(Provider::new("log", &sink).timeout(hour)).await;
    bench
        .submit([disk("hung"), disk("b"), action("c").fingerprint("disk")])
        .await;
    sink.wait_for_attempts(1).await;
    let lender = bench.close().await;
    assert_eq!(lender.on_loan(), 0);
    assert_eq!(
        sorted(lender.ends()),
        [
            "b: retry ShuttingDown",
            "c: retry ShuttingDown",
            "hung: retry Abandoned"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_fallback_keeps_the_order_as_well() {
    let (sink, spare) = (
        RecordingSink::ordered(|_| Answer::ProviderFault),
        RecordingSink::ordered(|_| Answer::Succeed),
    );
    spare.script([Answer::Transient(Some(Duration::from_secs(1)))]);
    let providers = [
        Provider::new("log", &sink).breaker(1).fallback("spare"),
        Provider::new("spare", &spare),
    ];
    let bench = Bench::new(ONCE, providers, PipelineOptions::default()).await;
    let ends = bench.finish([disk("trigger"), disk("resolve")]).await;
    assert_eq!(ends, ["trigger: rerouted", "resolve: rerouted"]);
    assert_eq!(sink.attempted_ids(), ["trigger"]);
    assert_eq!(spare.attempted_ids(), ["trigger", "trigger", "resolve"]);
}

#[tokio::test(start_paused = true)]
async fn a_sequence_of_many_waits_for_no_timer() {
    let (bench, sink) = scripted([]).await;
    let start = Instant::now();
    let batch = (0..500).map(|number| disk(&name(number)));
    bench.finish(batch).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    let expected: Vec<_> = (0..500).map(|number| name(number).to_string()).collect();
    assert_eq!(sink.attempted_ids(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_sequence_of_many_leaves_room_for_the_others() {
    let sink = RecordingSink::ordered(|seen| match seen.action.fingerprint.as_deref() {
        Some("disk") => Answer::SucceedAfter(Duration::from_secs(1)),
        _ => Answer::Succeed,
    });
    let bench = bench_of(Provider::new("log", &sink).bounds(100, 20)).await;
    let start = Instant::now();
    bench
        .submit((0..100).map(|number| disk(&name(number))))
        .await;
    let others = (0..50).map(|number| {
        let other = format!("other{number}");
        record(&other).fingerprint(&other)
    });
    bench.submit(others).await;
    sleep(Duration::from_secs(2)).await;
    assert!(start.elapsed() < Duration::from_secs(3));
    let attempted = sink.attempted_ids();
    let others = attempted.iter().filter(|id| id.starts_with("other"));
    assert_eq!(others.count(), 50);
    // The actions that left come back one second for each that is ahead of them, but never sooner than after five.
    let waits: Vec<_> = delayed(&bench).iter().map(|(_, wait)| *wait).collect();
    assert!((85..=90).contains(&waits.len()), "{waits:?}");
    assert!(waits.is_sorted(), "{waits:?}");
}
