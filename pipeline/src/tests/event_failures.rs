//! Notices that fail: what happens to them, and to the later notices of their events.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::silence::{MatchOp, SilenceMatcher};
use acteon_core::silence_admin::NewSilence;
use acteon_core::{Caller, Policy, Scope};
use acteon_testkit::{ActionBuilder, Answer, RecordingSink};
use compact_str::format_compact;
use jiff::SignedDuration;
use tokio::time::sleep;

use super::bench::{hook, record};
use super::events::{RULES, moving, report};
use super::{Bench, Provider};
use crate::PipelineOptions;

async fn bench_of(provider: Provider) -> Bench {
    let hooked = RecordingSink::succeeding();
    let providers = [provider, Provider::new(&hook(), &hooked)];
    Bench::new(RULES, providers, PipelineOptions::default()).await
}

/// A report whose sender waits for the answer. Its id was made here.
fn asked(id: &str, status: &str) -> ActionBuilder {
    report(id, status).id_made().policy(Policy::Answer)
}

fn statuses(sink: &RecordingSink) -> Vec<String> {
    let attempts = sink.attempts().into_iter();
    let statuses = attempts.filter_map(|seen| seen.action.status.map(|status| status.to_string()));
    statuses.collect()
}

#[tokio::test(start_paused = true)]
async fn notices_that_fail_at_one_time_have_a_dead_letter_each() {
    let sink = RecordingSink::succeeding();
    let bench = bench_of(Provider::new("log", &sink)).await;
    let all = || (0..20).map(|number| format_compact!("alert{number}"));
    for status in ["firing", "acknowledged"] {
        let reports = all().map(|alert| {
            let id = format!("{}{}", &alert[5..], &status[..1]);
            record(&id).label("alert", &alert).status(status)
        });
        bench.finish(reports).await;
    }
    sink.script(vec![Answer::Permanent; 20]);
    sleep(Duration::from_secs(700)).await;
    assert_eq!(bench.letters().await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_is_refused_for_good_is_given_again_by_the_next_report() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Permanent]);
    let bench = bench_of(Provider::new("log", &sink)).await;
    let ends = bench.finish([asked("1", "firing")]).await;
    assert_eq!(ends, ["1: failed"]);
    bench.finish([asked("2", "firing")]).await;
    assert_eq!(statuses(&sink), ["firing", "firing"]);
    bench.finish([asked("3", "firing")]).await;
    assert_eq!(sink.attempts().len(), 2, "it has been told");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_what_was_refused_for_good_is_not_told() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Permanent]);
    let bench = bench_of(Provider::new("log", &sink)).await;
    bench.finish([asked("1", "firing")]).await;
    bench.finish([asked("2", "resolved")]).await;
    assert_eq!(statuses(&sink), ["firing"]);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_refused_at_a_full_queue_is_told_by_the_next_one() {
    let sink = RecordingSink::answering(|seen| match seen.action.id.as_str() {
        "slow" | "waits" => Answer::SucceedAfter(Duration::from_secs(1)),
        _ => Answer::Succeed,
    });
    let bench = bench_of(Provider::new("log", &sink).bounds(1, 1)).await;
    let batch = [record("slow"), record("waits"), asked("1", "firing")];
    bench.submit(batch).await;
    bench.lender.wait_for_ended(3).await;
    let ends = bench.lender.ends();
    assert!(ends.contains(&"1: retry Overloaded".to_owned()), "{ends:?}");
    bench.finish([asked("2", "firing")]).await;
    assert_eq!(statuses(&sink), ["firing"]);
}

#[tokio::test(start_paused = true)]
async fn the_next_report_tells_what_became_a_dead_letter() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Permanent]);
    let bench = bench_of(Provider::new("log", &sink)).await;
    let ends = bench.finish([report("1", "firing")]).await;
    assert_eq!(ends, ["1: dead_lettered EXECUTION_FAILED"]);
    bench.finish([report("2", "firing")]).await;
    bench.finish([report("3", "resolved")]).await;
    assert_eq!(statuses(&sink), ["firing", "firing", "resolved"]);
}

#[tokio::test(start_paused = true)]
async fn an_operators_notice_returns_to_its_own_place_in_its_sequence() {
    let sink = RecordingSink::ordered(|_| Answer::Succeed);
    let bench = bench_of(Provider::new("log", &sink).retries(0)).await;
    bench.finish([report("1", "firing").fingerprint("f")]).await;
    sink.script([Answer::Transient(None)]);
    let admin = bench.pipeline.event_admin();
    let moved = moving("resolved", None);
    let everything = Scope::everything();
    let made = admin.transition(&everything, &moved, Caller::anonymous());
    made.await.unwrap();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(statuses(&sink), ["firing", "resolved", "resolved"]);
    assert_eq!(bench.pipeline.parts.providers.redeliveries.of("log"), 0);
}

async fn escalated_while_down(sink: &Arc<RecordingSink>) -> Bench {
    let bench = bench_of(Provider::new("log", sink).retries(0)).await;
    bench.finish([report("1", "firing")]).await;
    bench.finish([report("2", "acknowledged")]).await;
    sink.script([Answer::Transient(None)]);
    sleep(Duration::from_secs(602)).await;
    assert_eq!(statuses(sink), ["firing", "firing"]);
    bench
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_waits_is_not_sent_after_the_end_was() {
    let sink = RecordingSink::succeeding();
    let bench = escalated_while_down(&sink).await;
    bench.finish([report("3", "resolved")]).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(statuses(&sink), ["firing", "firing", "resolved"]);
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_waits_is_withheld_by_a_silence_and_told_after_it() {
    let sink = RecordingSink::succeeding();
    let bench = escalated_while_down(&sink).await;
    let silences = bench.pipeline.silence_admin();
    let sample = record("sample").build();
    let asked = NewSilence {
        namespace: sample.namespace,
        tenant: sample.tenant,
        matchers: vec![SilenceMatcher {
            name: "alert".into(),
            op: MatchOp::Equal,
            value: "a".into(),
        }],
        starts_at: None,
        ends_at: silences.now().await.unwrap() + SignedDuration::from_secs(100),
        comment: "upgrade".into(),
    };
    let everything = Scope::everything();
    let created = silences.create(&everything, &asked, "amy");
    created.await.unwrap();
    sleep(Duration::from_secs(90)).await;
    assert_eq!(statuses(&sink), ["firing", "firing"]);
    sleep(Duration::from_secs(70)).await;
    assert_eq!(statuses(&sink), ["firing", "firing", "firing"]);
}
