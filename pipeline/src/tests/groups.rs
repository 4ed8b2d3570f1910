//! Groups through the pipeline: members join, a due group becomes one summary, and its end decides what follows.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::grouping::{FlushError, GroupAdmin, GroupView};
use acteon_core::state::{DeadLetters, GroupQuery, GroupStatus};
use acteon_core::{ActionOutcome, Caller, Scope, Settled, Verdict};
use acteon_testkit::{ActionBuilder, Answer, Reach, RecordingSink, SeenAttempt, epoch};
use serde_json::{Value, json};
use tokio::time::{Instant, advance};

use super::bench::{empty_state, record};
use super::{Bench, Provider};
use crate::{PipelineOptions, RedeliveryOptions};

const BY_CLUSTER: &str = "
rules:
  - name: by-cluster
    condition: { field: action.action_type, eq: alert }
    action:
      type: group
      group_by: [metadata.cluster]
      group_wait_seconds: 30
      group_interval_seconds: 300
      unless: { field: action.payload.pod, eq: quiet }";

fn alert(pod: &str) -> ActionBuilder {
    record(pod)
        .action_type("alert")
        .label("cluster", "prod")
        .payload(&json!({"pod": pod}))
}

async fn bench(sink: &Arc<RecordingSink>) -> Bench {
    over(BY_CLUSTER, sink).await
}

async fn over(rules: &str, sink: &Arc<RecordingSink>) -> Bench {
    let provider = Provider::new("log", sink).retries(1).redelivery(soon());
    Bench::new(rules, [provider], PipelineOptions::default()).await
}

/// Redelivers after 10 seconds, for a minute.
fn soon() -> RedeliveryOptions {
    RedeliveryOptions {
        schedule: [Duration::from_secs(10)].into(),
        give_up_after: Duration::from_secs(60),
    }
}

/// Lets time pass, and everything happen that is due.
async fn pass(seconds: u64) {
    for _ in 0..seconds * 2 {
        advance(Duration::from_millis(500)).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

fn payload(seen: &SeenAttempt) -> Value {
    seen.action.payload.parse().unwrap()
}

async fn listed(bench: &Bench) -> Vec<GroupView> {
    let query = GroupQuery {
        scope: Scope::everything(),
        namespace: None,
        tenant: None,
        after: None,
        limit: 10,
    };
    GroupAdmin::list(&*bench.pipeline, &query)
        .await
        .unwrap()
        .groups
}

#[tokio::test(start_paused = true)]
async fn an_action_that_joins_a_group_is_answered_with_its_id_size_and_due_time() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink).await;
    bench.submit([alert("a"), alert("b")]).await;
    let mut sizes = Vec::new();
    for (_, settled) in bench.lender.take_ended() {
        let Settled::Done(ActionOutcome::Grouped {
            group_id,
            group_size,
            notify_at,
        }) = settled
        else {
            panic!("{settled:?}");
        };
        assert_eq!(notify_at, epoch() + jiff::SignedDuration::from_secs(30));
        sizes.push((group_id, group_size));
    }
    assert_eq!(sizes[0].0, sizes[1].0);
    assert_eq!((sizes[0].1, sizes[1].1), (1, 2));
    let record = &bench.trail.records()[1];
    assert_eq!(record.outcome.name(), "grouped");
    assert_eq!(record.decision.verdict, Verdict::Group);
    assert!(sink.attempts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_due_group_is_one_summary_under_the_id_of_the_group() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink).await;
    bench.submit([alert("a"), alert("b")]).await;
    pass(29).await;
    assert!(sink.attempts().is_empty());
    pass(2).await;
    let attempts = sink.attempts();
    assert_eq!(attempts.len(), 1);
    let group_id = listed(&bench).await[0].group.name.id.clone();
    assert_eq!(attempts[0].idempotency_key, group_id);
    assert_eq!(attempts[0].action.action_type, "group_notification");
    assert_eq!(attempts[0].action.namespace, "ns");
    let payload = payload(&attempts[0]);
    assert_eq!(payload["group_id"], json!(group_id));
    assert_eq!(payload["rule"], "by-cluster");
    assert_eq!(payload["event_count"], 2);
    assert_eq!(payload["events"], json!([{"pod": "a"}, {"pod": "b"}]));
    assert_eq!(payload["labels"], json!({"cluster": "prod"}));
    assert_eq!(payload["first_at"], "2026-01-01T00:00:00Z");
    let record = bench.trail.records().pop().unwrap();
    assert_eq!(record.subject.action_id, group_id);
    assert_eq!(record.outcome.name(), "executed");
    assert_eq!(record.decision.matched_rule.as_deref(), Some("by-cluster"));
    assert_eq!(listed(&bench).await[0].group.status, GroupStatus::Notified);
}

#[tokio::test(start_paused = true)]
async fn members_after_a_flush_wait_for_the_interval() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink).await;
    bench.submit([alert("a")]).await;
    pass(31).await;
    bench.submit([alert("b")]).await;
    pass(290).await;
    assert_eq!(sink.attempts().len(), 1);
    pass(15).await;
    assert_eq!(
        payload(&sink.attempts()[1])["events"],
        json!([{"pod": "b"}])
    );
}

#[tokio::test(start_paused = true)]
async fn rules_do_not_see_a_summary() {
    let rules = format!(
        "{BY_CLUSTER}\n  - {{ name: all, condition: {{ all: [] }}, action: {{ type: suppress }} }}"
    );
    let sink = RecordingSink::succeeding();
    let bench = over(&rules, &sink).await;
    bench.submit([alert("a")]).await;
    pass(31).await;
    assert_eq!(sink.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn members_that_unless_matches_are_left_out_and_recorded_as_suppressed() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink).await;
    bench.submit([alert("a"), alert("quiet")]).await;
    pass(31).await;
    assert_eq!(
        payload(&sink.attempts()[0])["events"],
        json!([{"pod": "a"}])
    );
    assert_eq!(payload(&sink.attempts()[0])["event_count"], 1);
    let records = bench.trail.records();
    let suppressed: Vec<_> = records
        .iter()
        .filter(|record| record.outcome.name() == "suppressed")
        .collect();
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0].subject.action_id, "quiet");
    assert_eq!(
        suppressed[0].decision.matched_rule.as_deref(),
        Some("by-cluster")
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_of_which_no_member_is_left_sends_nothing() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink).await;
    bench.submit([alert("quiet")]).await;
    pass(31).await;
    assert!(sink.attempts().is_empty());
    assert_eq!(listed(&bench).await[0].group.status, GroupStatus::Notified);
}

#[tokio::test(start_paused = true)]
async fn a_flush_whose_attempts_are_used_up_is_tried_again_under_the_same_key() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Transient(None), Answer::Transient(None)]);
    let bench = bench(&sink).await;
    bench.submit([alert("a"), alert("quiet")]).await;
    pass(33).await;
    assert_eq!(sink.attempts().len(), 2);
    assert_eq!(
        listed(&bench).await[0].group.status,
        GroupStatus::Delivering
    );
    pass(15).await;
    let attempts = sink.attempts();
    assert_eq!(attempts.len(), 3);
    assert!(
        attempts
            .iter()
            .all(|one| one.idempotency_key == attempts[0].idempotency_key)
    );
    assert_eq!(attempts[2].number, 3, "the history goes on");
    assert_eq!(
        payload(&attempts[2])["events"],
        payload(&attempts[0])["events"]
    );
    assert_eq!(listed(&bench).await[0].group.status, GroupStatus::Notified);
    let suppressed = bench.trail.records();
    let suppressed = suppressed
        .iter()
        .filter(|one| one.outcome.name() == "suppressed");
    assert_eq!(suppressed.count(), 1, "unless is asked once");
}

#[tokio::test(start_paused = true)]
async fn a_summary_that_cannot_be_delivered_is_a_dead_letter_with_its_members() {
    let sink = RecordingSink::answering(|_| Answer::Permanent);
    let bench = bench(&sink).await;
    bench.submit([alert("a")]).await;
    pass(31).await;
    let letters = bench.letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(listed(&bench).await[0].group.status, GroupStatus::Failed);
    let scope = Scope::everything();
    let letter = bench.state.dead_letter(&scope, &letters[0]).await;
    let letter = letter.unwrap().unwrap();
    let raw: Value = serde_json::from_slice(&letter.raw).unwrap();
    assert_eq!(raw["payload"]["events"], json!([{"pod": "a"}]));
}

#[tokio::test(start_paused = true)]
async fn a_summary_that_fails_until_the_time_to_give_up_is_a_dead_letter() {
    let sink = RecordingSink::answering(|_| Answer::Transient(None));
    let bench = bench(&sink).await;
    bench.submit([alert("a")]).await;
    pass(31 + 100).await;
    assert_eq!(bench.letters().await.len(), 1);
    assert_eq!(listed(&bench).await[0].group.status, GroupStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_summary_whose_provider_is_gone_is_a_dead_letter() {
    let rules = BY_CLUSTER.replace("group_wait", "provider: gone\n      group_wait");
    let sink = RecordingSink::succeeding();
    let bench = over(&rules, &sink).await;
    bench.submit([alert("a")]).await;
    pass(31).await;
    assert_eq!(bench.letters().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_summary_too_large_for_its_sink_is_sent_once_more_with_its_first_events() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::TooLarge]);
    let bench = bench(&sink).await;
    let pods: Vec<_> = (0..12).map(|number| format!("p{number}")).collect();
    bench.submit(pods.iter().map(|pod| alert(pod))).await;
    pass(32).await;
    let attempts = sink.attempts();
    assert_eq!(attempts.len(), 2);
    let payload = payload(&attempts[1]);
    assert_eq!(payload["events"].as_array().unwrap().len(), 10);
    assert_eq!(
        (&payload["event_count"], &payload["omitted"]),
        (&json!(12), &json!(2))
    );
}

#[tokio::test(start_paused = true)]
async fn a_dedup_key_before_a_group_is_confirmed_when_the_action_joins() {
    let rules = BY_CLUSTER.replace(
        "rules:",
        "rules:\n  - { name: once, priority: -1, continue: true, condition: { all: [] }, action: { type: dedup, key: [payload.pod] } }",
    );
    let sink = RecordingSink::succeeding();
    let bench = over(&rules, &sink).await;
    let ends = bench.finish([alert("a")]).await;
    assert_eq!(ends, ["a: grouped"]);
    let ends = bench
        .finish([alert("a").position("kafka:orders/0", 77)])
        .await;
    assert_eq!(ends, ["a: deduplicated"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_answer_was_lost_is_in_the_summary_once() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink).await;
    bench.state.set_reach(Reach::AnswersLost);
    bench.submit([alert("a")]).await;
    bench.state.set_reach(Reach::Whole);
    assert_eq!(bench.finish([alert("a")]).await, ["a: grouped"]);
    pass(35).await;
    assert_eq!(
        payload(&sink.attempts()[0])["events"],
        json!([{"pod": "a"}])
    );
}

#[tokio::test(start_paused = true)]
async fn another_process_flushes_a_group_whose_flush_was_cut_off() {
    let state = empty_state();
    let hanging = RecordingSink::answering(|_| Answer::Hang);
    let first = Bench::over(
        state.clone(),
        BY_CLUSTER,
        [Provider::new("log", &hanging)],
        PipelineOptions::default(),
    )
    .await;
    first.submit([alert("a")]).await;
    pass(31).await;
    let key = hanging.attempts()[0].idempotency_key.clone();
    first.close().await;
    let sink = RecordingSink::succeeding();
    let second = Bench::over(
        state,
        BY_CLUSTER,
        [Provider::new("log", &sink)],
        PipelineOptions::default(),
    )
    .await;
    pass(60).await;
    let attempts = sink.attempts();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].idempotency_key, key);
    assert_eq!(listed(&second).await[0].group.status, GroupStatus::Notified);
}

#[tokio::test(start_paused = true)]
async fn a_flush_outlives_its_lease_while_its_sink_hangs() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::SucceedAfter(Duration::from_secs(25))]);
    let options = PipelineOptions {
        lease: Duration::from_secs(5),
        ..PipelineOptions::default()
    };
    let bench = Bench::new(BY_CLUSTER, [Provider::new("log", &sink)], options).await;
    bench.submit([alert("a")]).await;
    pass(70).await;
    assert_eq!(sink.attempts().len(), 1);
    assert_eq!(listed(&bench).await[0].group.status, GroupStatus::Notified);
}

#[tokio::test(start_paused = true)]
async fn at_shutdown_the_summaries_on_their_way_arrive_and_no_other_is_begun() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::SucceedAfter(Duration::from_secs(25))]);
    let bench = bench(&sink).await;
    bench.submit([alert("a")]).await;
    pass(20).await;
    bench.submit([alert("b").label("cluster", "test")]).await;
    pass(11).await;
    let began = Instant::now();
    bench.pipeline.finish_due_work().await;
    assert!(
        began.elapsed() >= Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    pass(60).await;
    assert_eq!(sink.attempts().len(), 1);
    let groups = listed(&bench).await;
    let count = |status| {
        groups
            .iter()
            .filter(|view| view.group.status == status)
            .count()
    };
    assert_eq!(
        (count(GroupStatus::Notified), count(GroupStatus::Pending)),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_is_flushed_by_hand_before_it_is_due() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink).await;
    bench.submit([alert("a"), alert("b")]).await;
    let view = listed(&bench).await.remove(0);
    let key = &view.group.name.key;
    assert_eq!(bench.pipeline.events(&view).await.unwrap().len(), 2);
    let flushed = bench
        .pipeline
        .flush(key, Caller::anonymous())
        .await
        .unwrap();
    assert!(flushed.notified);
    assert_eq!(flushed.event_count, 2);
    assert_eq!(sink.attempts().len(), 1);
    let again = bench.pipeline.flush(key, Caller::anonymous()).await;
    assert!(matches!(again, Err(FlushError::Absent)));
}
