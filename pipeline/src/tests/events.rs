//! Reports of events: transitions and their notices, conflicts, timeouts, operators.

use std::time::Duration;

use acteon_core::audit::AuditedOutcome;
use acteon_core::event_admin::{TransitionError, TransitionRequest};
use acteon_core::state::{EventFilter, EventId, EventPhase, EventQuery, Events, StoredEvent};
use acteon_core::{Caller, Policy, Scope};
use acteon_testkit::{ActionBuilder, Answer, RecordingSink, SeenAttempt, StateCalls};
use tokio::time::sleep;

use super::bench::{hook, record, sorted};
use super::{Bench, Provider};
use crate::PipelineOptions;

pub(super) const RULES: &str = "
rules:
  - { name: mute, priority: 1, condition: { call: has_active_event, args: [down, action.metadata.cluster] }, action: { type: suppress } }
  - { name: alerts, priority: 2, condition: { field: action.metadata.alert, exists: true }, action: { type: state_machine, state_machine: alert, fingerprint_fields: [metadata.alert] } }
";

/// A report of the alert `a`.
pub(super) fn report(id: &str, status: &str) -> ActionBuilder {
    record(id).label("alert", "a").status(status)
}

async fn bench(
    sink: &std::sync::Arc<RecordingSink>,
    hooked: &std::sync::Arc<RecordingSink>,
) -> Bench {
    let providers = [Provider::new("log", sink), Provider::new(&hook(), hooked)];
    Bench::new(RULES, providers, PipelineOptions::default()).await
}

/// The outcomes of these reports, one batch each.
async fn outcomes(bench: &Bench, reports: &[(&str, &str)]) -> Vec<String> {
    let mut ends = Vec::new();
    for (id, status) in reports {
        ends.extend(bench.finish([report(id, status)]).await);
    }
    ends
}

async fn all_events(bench: &Bench) -> Vec<std::sync::Arc<StoredEvent>> {
    let query = EventQuery {
        scope: Scope::everything(),
        filter: EventFilter::default(),
        after: None,
        limit: 100,
    };
    bench.state.events(&query).await.unwrap().events
}

async fn state(bench: &Bench) -> String {
    let events = all_events(bench).await;
    assert_eq!(events.len(), 1);
    events[0].record.state.to_string()
}

fn seen(sink: &RecordingSink) -> Vec<(String, String, String)> {
    let row = |seen: &SeenAttempt| {
        let urgency = seen.action.labels.get("urgency").unwrap_or_default();
        let status = seen.action.status.as_deref().unwrap_or_default();
        (
            seen.action.id.to_string(),
            status.to_owned(),
            urgency.to_owned(),
        )
    };
    sink.attempts().iter().map(row).collect()
}

#[tokio::test(start_paused = true)]
async fn transitions_with_notices_are_delivered_and_others_are_not() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    let reports = [
        ("1", "firing"),
        ("2", "firing"),
        ("3", "acknowledged"),
        ("4", "open"),
        ("5", "resolved"),
    ];
    let ends = outcomes(&bench, &reports).await;
    assert_eq!(
        ends,
        ["1", "2", "3", "4", "5"].map(|id| format!("{id}: state_changed"))
    );
    let row = |id: &str, status: &str, urgency: &str| {
        (id.to_owned(), status.to_owned(), urgency.to_owned())
    };
    assert_eq!(
        seen(&sink),
        [row("1", "firing", "high"), row("5", "resolved", "")]
    );
    assert_eq!(state(&bench).await, "resolved");
    let events = all_events(&bench).await;
    assert!(matches!(events[0].record.phase, EventPhase::Ended(_)));
    let records = bench.trail.records();
    let details: Vec<_> = records
        .iter()
        .map(|record| match &record.outcome {
            AuditedOutcome::StateChanged {
                previous_state,
                new_state,
                notify,
                ..
            } => format!("{previous_state} {new_state} {notify}"),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "open firing true",
        "firing firing false",
        "firing acknowledged false",
        "acknowledged acknowledged false",
        "acknowledged resolved true",
    ];
    assert_eq!(details, expected);
}

#[tokio::test(start_paused = true)]
async fn reports_of_one_batch_follow_each_other_in_one_reservation() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    bench.state.take_calls();
    let batch = ["firing", "acknowledged", "firing", "resolved"];
    let batch = (0..)
        .zip(batch)
        .map(|(id, status)| report(&format!("{id}"), status));
    bench.finish(batch).await;
    let calls = bench.state.take_calls();
    assert_eq!((calls.gather, calls.reserve, calls.settle), (1, 1, 1));
    let events = all_events(&bench).await;
    assert_eq!(
        (events[0].version, events[0].record.state.as_str()),
        (4, "resolved")
    );
    let ids: Vec<_> = seen(&sink).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(sorted(ids), ["0", "2", "3"]);
    assert_eq!(hooked.attempts().len(), 1, "the webhook of the third");
}

/// A rule changes the fingerprint after the state was asked, so every second report meets a record it does not expect.
const CONFLICTING: &str = "
rules:
  - { name: rename, continue: true, condition: { field: action.metadata.renamed, exists: true }, action: { type: modify, changes: { key: a } } }
  - { name: alerts, condition: { all: [] }, action: { type: state_machine, state_machine: alert, fingerprint_fields: [payload.key] } }
";

#[tokio::test(start_paused = true)]
async fn a_conflict_is_decided_again_with_one_more_call_for_the_conflicting_only() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(CONFLICTING, &sink).await;
    let renamed = |id: &str, status: &str| record(id).label("renamed", "yes").status(status);
    bench.finish([renamed("1", "firing")]).await;
    bench.state.take_calls();
    let batch = [
        renamed("2", "acknowledged"),
        record("3")
            .payload(&serde_json::json!({ "key": "b" }))
            .status("firing"),
        renamed("4", "resolved"),
    ];
    let ends = sorted(bench.finish(batch).await);
    assert_eq!(
        ends,
        ["2: state_changed", "3: state_changed", "4: state_changed"]
    );
    let calls = bench.state.take_calls();
    assert_eq!((calls.gather, calls.reserve, calls.settle), (1, 2, 1));
    let mut events = all_events(&bench).await;
    events.sort_by_key(|event| event.version);
    let found = events
        .iter()
        .map(|event| (event.version, event.record.state.as_str()));
    assert_eq!(found.collect::<Vec<_>>(), [(1, "firing"), (3, "resolved")]);
}

#[tokio::test(start_paused = true)]
async fn a_redelivered_report_repeats_its_notice_and_no_transition() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    sink.script(vec![Answer::Transient(None); 4]);
    let ends = outcomes(&bench, &[("1", "firing")]).await;
    assert_eq!(ends, ["1: later Redelivery"]);
    let ends = outcomes(&bench, &[("1", "firing")]).await;
    assert_eq!(ends, ["1: state_changed"]);
    assert_eq!(sink.attempts().len(), 5);
    let events = all_events(&bench).await;
    assert_eq!(events[0].version, 1, "the second report changed nothing");
    let labels = sink.attempts()[4].action.labels.clone();
    assert_eq!(labels.get("urgency"), Some("high"));
}

#[tokio::test(start_paused = true)]
async fn an_active_event_inhibits_from_its_acknowledgement_on() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    let down = |id: &str, status: &str| {
        report(id, status)
            .action_type("down")
            .label("cluster", "eu")
    };
    let pod = |id: &str| record(id).label("cluster", "eu");
    assert_eq!(bench.finish([pod("1")]).await, ["1: executed"]);
    let ends = bench.finish([down("2", "firing"), pod("3")]).await;
    assert_eq!(sorted(ends), ["2: state_changed", "3: suppressed"]);
    assert_eq!(bench.finish([pod("4")]).await, ["4: suppressed"]);
    // An event that matches its own condition suppresses its own reports, except for the end of what was announced.
    let ends = bench
        .finish([down("5", "acknowledged"), down("6", "resolved")])
        .await;
    assert_eq!(sorted(ends), ["5: suppressed", "6: state_changed"]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_fires_once_and_its_notice_goes_to_all_targets() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    outcomes(&bench, &[("1", "firing"), ("2", "acknowledged")]).await;
    sleep(Duration::from_secs(599)).await;
    assert_eq!(
        (state(&bench).await.as_str(), hooked.attempts().len()),
        ("acknowledged", 0)
    );
    sleep(Duration::from_secs(2)).await;
    assert_eq!(state(&bench).await, "firing");
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (2, 1));
    let notice = &sink.attempts()[1].action;
    assert_eq!(notice.status.as_deref(), Some("firing"));
    assert_eq!(notice.labels.get("alert"), Some("a"));
    let records = bench.trail.records();
    assert_eq!(
        records.last().unwrap().caller.id.as_deref(),
        Some("timeouts")
    );
    // Reminders follow each hour, twice.
    sleep(Duration::from_secs(5 * 3600)).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_cannot_be_delivered_is_tried_again_later() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    outcomes(&bench, &[("1", "firing"), ("2", "acknowledged")]).await;
    sink.script(vec![Answer::Transient(None); 4]);
    sleep(Duration::from_secs(700)).await;
    assert_eq!(state(&bench).await, "firing");
    assert_eq!(
        sink.attempts().len(),
        6,
        "four attempts failed, and the redelivery came through"
    );
    assert_eq!(hooked.attempts().len(), 1);
    sleep(Duration::from_secs(300)).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (6, 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_no_longer_reported_becomes_stale_and_is_forgotten() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    outcomes(&bench, &[("1", "acknowledged")]).await;
    assert_eq!(state(&bench).await, "open");
    sleep(Duration::from_secs(86_402)).await;
    assert_eq!(state(&bench).await, "stale");
    sleep(Duration::from_secs(86_402)).await;
    assert!(all_events(&bench).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_scheduler_asks_nothing_while_nothing_waits() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    sleep(Duration::from_secs(10)).await;
    bench.state.take_calls();
    sleep(Duration::from_secs(1_000_000)).await;
    assert_eq!(bench.state.take_calls(), StateCalls::default());
    bench.state.take_due_calls();
    sleep(Duration::from_secs(1_000_000)).await;
    assert_eq!(bench.state.take_due_calls(), 0);
    outcomes(&bench, &[("1", "firing")]).await;
    sleep(Duration::from_secs(3500)).await;
    let calls = bench.state.take_due_calls();
    assert!(calls <= 3500 / 60 + 1, "once a minute, if clocks are set");
}

pub(super) fn moving(to: &str, from: Option<&str>) -> TransitionRequest {
    TransitionRequest {
        event: EventId {
            namespace: "ns".into(),
            tenant: "t1".into(),
            fingerprint: "f".into(),
        },
        to: to.into(),
        from: from.map(Into::into),
        by: "ops".into(),
        note: Some("on it".into()),
    }
}

#[tokio::test(start_paused = true)]
async fn operators_make_the_transitions_that_the_machine_allows() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    let admin = bench.pipeline.event_admin();
    let everything = Scope::everything();
    let anonymous = Caller::anonymous;
    let refused = admin
        .transition(&everything, &moving("firing", None), anonymous())
        .await;
    assert!(matches!(refused, Err(TransitionError::NotFound)));
    bench.finish([report("1", "firing").fingerprint("f")]).await;
    let refused = admin
        .transition(&everything, &moving("open", None), anonymous())
        .await;
    let expected = "the machine allows no transition from \"firing\" to \"open\"";
    assert_eq!(refused.unwrap_err().to_string(), expected);
    let refused = admin
        .transition(&everything, &moving("resolved", Some("open")), anonymous())
        .await;
    let expected = "the event is in state \"firing\", not \"open\"";
    assert_eq!(refused.unwrap_err().to_string(), expected);
    let nothing = Scope::new([]);
    let refused = admin
        .transition(&nothing, &moving("resolved", None), anonymous())
        .await;
    assert!(matches!(refused, Err(TransitionError::NotFound)));
    let made = admin
        .transition(
            &everything,
            &moving("acknowledged", Some("firing")),
            anonymous(),
        )
        .await;
    let made = made.unwrap();
    assert_eq!(
        (made.new_state.as_str(), made.notify),
        ("acknowledged", false)
    );
    let details = admin.details(&made.stored);
    let last = details.history.last().unwrap();
    assert_eq!(
        (last.cause, last.by.as_deref(), last.note.as_deref()),
        ("operator", Some("ops"), Some("on it"))
    );
    assert!(details.next_timer.is_some());
    let made = admin
        .transition(&everything, &moving("firing", None), anonymous())
        .await
        .unwrap();
    assert!(made.notify);
    sink.wait_for_attempts(2).await;
    hooked.wait_for_attempts(1).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_what_was_announced_passes_inhibition_and_nothing_else_does() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    let of = |id: &str, alert: &str, status: &str| {
        let action = record(id).label("cluster", "c1").label("alert", alert);
        action.status(status)
    };
    let down = record("0").label("alert", "down").label("cluster", "c1");
    let down = down.action_type("down").status("firing");
    let ends = bench
        .finish([
            of("1", "told", "firing"),
            down,
            of("2", "untold", "firing"),
            of("3", "told", "acknowledged"),
            of("4", "untold", "resolved"),
            of("5", "told", "resolved"),
        ])
        .await;
    let expected = [
        "0: state_changed",
        "1: state_changed",
        "2: suppressed",
        "3: suppressed",
        "4: suppressed",
        "5: state_changed",
    ];
    assert_eq!(sorted(ends), expected);
    let told = seen(&sink).into_iter().map(|(id, ..)| id);
    assert_eq!(told.collect::<Vec<_>>(), ["1", "0", "5"]);
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_fails_while_a_caller_waits_is_given_again_by_the_next_report() {
    let sink = RecordingSink::answering(|seen| match seen.action.id.as_str() {
        "1" => Answer::Transient(None),
        _ => Answer::Succeed,
    });
    let hooked = RecordingSink::succeeding();
    let provider = Provider::new("log", &sink).retries(0);
    let providers = [provider, Provider::new(&hook(), &hooked)];
    let bench = Bench::new(RULES, providers, PipelineOptions::default()).await;
    let asked = |id: &str, status: &str| report(id, status).id_made().policy(Policy::Answer);
    assert_eq!(bench.finish([asked("1", "firing")]).await, ["1: failed"]);
    let ends = bench.finish([asked("2", "firing")]).await;
    assert_eq!(ends, ["2: state_changed"]);
    assert_eq!(
        bench.finish([asked("3", "firing")]).await,
        ["3: state_changed"]
    );
    bench.finish([asked("4", "resolved")]).await;
    let told = seen(&sink).into_iter().map(|(id, ..)| id);
    assert_eq!(told.collect::<Vec<_>>(), ["1", "2", "4"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_what_failed_to_be_told_is_not_told() {
    let sink = RecordingSink::answering(|_| Answer::Transient(None));
    let hooked = RecordingSink::succeeding();
    let provider = Provider::new("log", &sink).retries(0);
    let providers = [provider, Provider::new(&hook(), &hooked)];
    let bench = Bench::new(RULES, providers, PipelineOptions::default()).await;
    let asked = |id: &str, status: &str| report(id, status).id_made().policy(Policy::Answer);
    bench.finish([asked("1", "firing")]).await;
    bench.finish([asked("2", "resolved")]).await;
    assert_eq!(sink.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_does_not_count_leaves_the_labels_of_the_event() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    let labelled = |id: &str, status: &str, cluster: &str| {
        report(id, status)
            .fingerprint("f")
            .label("cluster", cluster)
    };
    bench
        .finish([labelled("1", "firing", "c1"), labelled("2", "open", "c2")])
        .await;
    let events = all_events(&bench).await;
    assert!(
        events[0].record.has_value("cluster", "c1"),
        "{:?}",
        events[0]
    );
}

#[tokio::test(start_paused = true)]
async fn the_dead_letter_of_a_notice_is_replayed_past_the_rules() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = bench(&sink, &hooked).await;
    bench.finish([report("1", "firing")]).await;
    let replayed = report("n", "firing").policy(Policy::Replay);
    let ends = bench
        .finish([replayed.position("replay:timeouts", None)])
        .await;
    assert_eq!(ends, ["n: executed"]);
    assert_eq!(sink.attempts().len(), 2);
}
