//! Silences: withheld deliveries and notices, and notices after the end of a silence.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::audit::AuditedOutcome;
use acteon_core::event_admin::TransitionRequest;
use acteon_core::rules::{EvaluateOptions, Rulebook};
use acteon_core::silence::{MatchOp, SilenceMatcher};
use acteon_core::silence_admin::{NewSilence, SilenceAdmin, SilenceChange, SilenceError};
use acteon_core::state::EventId;
use acteon_core::{ActionOutcome, Caller, Scope};
use acteon_testkit::{ActionBuilder, Reach, RecordingSink, UnreachableState, epoch};
use compact_str::CompactString;
use jiff::SignedDuration;
use tokio::time::sleep;

use super::bench::{empty_state, hook, record};
use super::{Bench, Provider};
use crate::PipelineOptions;

const RULES: &str = "
rules:
  - name: alerts
    priority: 2
    condition: { field: action.metadata.alert, exists: true }
    action: { type: state_machine, state_machine: alert, fingerprint_fields: [metadata.alert] }
  - name: once
    priority: 1
    condition: { field: action.action_type, eq: keyed }
    action: { type: deduplicate, ttl_seconds: 3600, key: [metadata.key] }
    continue: true
  - name: seldom
    priority: 1
    condition: { field: action.action_type, eq: keyed }
    action: { type: throttle, max_count: 1, window_seconds: 3600, key: [metadata.key] }
  - name: by-cluster
    priority: 3
    condition: { field: action.action_type, eq: grouped }
    action: { type: group, group_by: [metadata.cluster], group_wait_seconds: 30 }
";

struct World {
    bench: Bench,
    sink: Arc<RecordingSink>,
    admin: Arc<dyn SilenceAdmin>,
}

impl World {
    async fn new() -> Self {
        Self::over(empty_state()).await
    }

    async fn over(state: Arc<acteon_backends_memory::MemoryState>) -> Self {
        Self::with(state, PipelineOptions::default()).await
    }

    async fn with(
        state: Arc<acteon_backends_memory::MemoryState>,
        options: PipelineOptions,
    ) -> Self {
        let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
        let providers = [Provider::new("log", &sink), Provider::new(&hook(), &hooked)];
        let bench = Bench::over(state, RULES, providers, options).await;
        let admin = bench.pipeline.silence_admin();
        Self { bench, sink, admin }
    }

    /// Silences a label for so many seconds from now. Returns the id.
    async fn silence(&self, name: &str, value: &str, seconds: i64) -> CompactString {
        let asked = self.asked(name, value, seconds).await;
        let created = self.admin.create(&Scope::everything(), &asked, "amy").await;
        created.unwrap().silence.id.clone()
    }

    async fn asked(&self, name: &str, value: &str, seconds: i64) -> NewSilence {
        let now = self.admin.now().await.unwrap();
        let sample = record("sample").build();
        NewSilence {
            namespace: sample.namespace,
            tenant: sample.tenant,
            matchers: vec![SilenceMatcher {
                name: name.into(),
                op: MatchOp::Equal,
                value: value.into(),
            }],
            starts_at: None,
            ends_at: now + SignedDuration::from_secs(seconds),
            comment: "upgrade".into(),
        }
    }

    async fn end(&self, id: &str) {
        self.admin.end(&Scope::everything(), id).await.unwrap();
    }

    /// The statuses of the notices that the provider received, in their order.
    fn told(&self) -> Vec<String> {
        let attempts = self.sink.attempts();
        let statuses = attempts.iter().map(|seen| seen.action.status.clone());
        statuses
            .map(|status| status.unwrap_or_default().into())
            .collect()
    }

    /// The changes of state in the trail: from, to, notified, silenced.
    fn changes(&self) -> Vec<String> {
        let records = self.bench.trail.records();
        let change = |outcome: &AuditedOutcome| match outcome {
            AuditedOutcome::StateChanged {
                previous_state,
                new_state,
                notify,
                silenced_by,
                ..
            } => {
                let silenced = silenced_by.as_ref().map_or("", |_| " silenced");
                Some(format!("{previous_state} {new_state} {notify}{silenced}"))
            }
            _ => None,
        };
        records
            .iter()
            .filter_map(|record| change(&record.outcome))
            .collect()
    }
}

fn report(id: &str, status: &str) -> ActionBuilder {
    record(id)
        .label("alert", "a")
        .status(status)
        .fingerprint("f")
}

fn keyed(id: &str) -> ActionBuilder {
    record(id)
        .action_type("keyed")
        .label("key", "k")
        .label("env", "prod")
}

#[tokio::test(start_paused = true)]
async fn a_silenced_action_is_suppressed_and_takes_no_key_and_no_place() {
    let world = World::new().await;
    let id = world.silence("env", "prod", 60).await;
    assert_eq!(world.bench.finish([keyed("1")]).await, ["1: suppressed"]);
    let records = world.bench.trail.records();
    let expected = format!("silence:{id}");
    assert_eq!(
        records[0].decision.matched_rule.as_deref(),
        Some(expected.as_str())
    );
    assert!(world.sink.attempts().is_empty());
    world.end(&id).await;
    let ends = world.bench.finish([keyed("2"), keyed("3")]).await;
    assert_eq!(ends, ["2: executed", "3: deduplicated"]);
}

#[tokio::test(start_paused = true)]
async fn a_silence_counts_from_its_start_to_its_end() {
    let world = World::new().await;
    let asked = world.asked("env", "prod", 200).await;
    let starts_at = Some(asked.ends_at - SignedDuration::from_secs(100));
    let asked = NewSilence { starts_at, ..asked };
    let everything = Scope::everything();
    world
        .admin
        .create(&everything, &asked, "amy")
        .await
        .unwrap();
    let mut ends = Vec::new();
    for (number, wait) in [(1, 0), (2, 100), (3, 99), (4, 1)] {
        sleep(Duration::from_secs(wait)).await;
        let action = record(&number.to_string()).label("env", "prod");
        ends.extend(world.bench.finish([action]).await);
    }
    assert_eq!(
        ends,
        [
            "1: executed",
            "2: suppressed",
            "3: suppressed",
            "4: executed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_withheld_state_is_told_once_within_a_minute_of_the_end_of_the_silence() {
    let world = World::new().await;
    world.silence("alert", "a", 300).await;
    world.bench.finish([report("1", "firing")]).await;
    assert_eq!(world.changes(), ["open firing false silenced"]);
    sleep(Duration::from_secs(299)).await;
    assert!(world.told().is_empty());
    sleep(Duration::from_secs(61)).await;
    assert_eq!(world.told(), ["firing"]);
    assert_eq!(world.changes()[1..], ["open firing true"]);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.told(), ["firing"]);
    world.bench.finish([report("2", "resolved")]).await;
    assert_eq!(world.told(), ["firing", "resolved"]);
}

#[tokio::test(start_paused = true)]
async fn a_silence_that_is_ended_by_hand_tells_what_it_withheld() {
    let world = World::new().await;
    let id = world.silence("alert", "a", 86_400).await;
    world.bench.finish([report("1", "firing")]).await;
    world.end(&id).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.told(), ["firing"]);
    let ended = world.admin.end(&Scope::everything(), &id).await;
    assert!(ended.is_ok(), "an ended silence is left as it is");
    let change = SilenceChange::default();
    let refused = world.admin.change(&Scope::everything(), &id, &change).await;
    assert!(matches!(refused, Err(SilenceError::Ended)));
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_extended_without_a_gap_and_tells_after_its_new_end() {
    let world = World::new().await;
    let id = world.silence("alert", "a", 100).await;
    world.bench.finish([report("1", "firing")]).await;
    sleep(Duration::from_secs(90)).await;
    let ends_at = world.admin.now().await.unwrap() + SignedDuration::from_secs(500);
    let change = SilenceChange {
        ends_at: Some(ends_at),
        comment: Some("longer".into()),
    };
    let everything = Scope::everything();
    let changed = world.admin.change(&everything, &id, &change).await.unwrap();
    assert_eq!((changed.silence.ends_at, changed.version), (ends_at, 2));
    sleep(Duration::from_secs(400)).await;
    let ends = world
        .bench
        .finish([report("2", "firing").fingerprint("g")])
        .await;
    assert_eq!(ends, ["2: state_changed"]);
    assert!(world.told().is_empty());
    sleep(Duration::from_secs(160)).await;
    assert_eq!(world.told().len(), 2, "both events are told");
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_in_spite_of_a_silence_if_the_beginning_was() {
    let world = World::new().await;
    world.bench.finish([report("1", "firing")]).await;
    world.silence("alert", "a", 300).await;
    world.bench.finish([report("2", "resolved")]).await;
    assert_eq!(world.told(), ["firing", "resolved"]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_comes_before_its_beginning_was_told_tells_nobody() {
    let world = World::new().await;
    let id = world.silence("alert", "a", 300).await;
    world.bench.finish([report("1", "firing")]).await;
    world.bench.finish([report("2", "resolved")]).await;
    world.end(&id).await;
    sleep(Duration::from_secs(120)).await;
    assert!(world.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn timeouts_go_on_under_a_silence_and_the_last_state_is_told() {
    let world = World::new().await;
    world.silence("alert", "a", 1000).await;
    world
        .bench
        .finish([report("1", "firing"), report("2", "acknowledged")])
        .await;
    sleep(Duration::from_secs(700)).await;
    let expected = [
        "open firing false silenced",
        "firing acknowledged false",
        "acknowledged firing false silenced",
    ];
    assert_eq!(world.changes(), expected);
    assert!(world.told().is_empty());
    sleep(Duration::from_secs(360)).await;
    assert_eq!(world.told(), ["firing"]);
}

#[tokio::test(start_paused = true)]
async fn reminders_are_withheld_and_not_told_afterwards() {
    let world = World::new().await;
    world.bench.finish([report("1", "firing")]).await;
    world.silence("alert", "a", 4000).await;
    sleep(Duration::from_secs(4100)).await;
    assert_eq!(world.told(), ["firing"]);
    let expected = ["open firing true", "firing firing false silenced"];
    assert_eq!(world.changes(), expected);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.told(), ["firing", "firing"], "the second reminder");
}

#[tokio::test(start_paused = true)]
async fn operators_move_silenced_events_and_nobody_else_is_told() {
    let world = World::new().await;
    world.silence("alert", "a", 300).await;
    world
        .bench
        .finish([report("1", "firing"), report("2", "acknowledged")])
        .await;
    let sample = record("sample").build();
    let asked = TransitionRequest {
        event: EventId {
            namespace: sample.namespace,
            tenant: sample.tenant,
            fingerprint: "f".into(),
        },
        to: "firing".into(),
        from: None,
        by: "ops".into(),
        note: None,
    };
    let events = world.bench.pipeline.event_admin();
    let made = events
        .transition(&Scope::everything(), &asked, Caller::anonymous())
        .await;
    assert!(!made.unwrap().notify);
    sleep(Duration::from_secs(1)).await;
    assert!(world.told().is_empty());
    assert_eq!(world.changes()[2..], ["acknowledged firing false silenced"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_silence_takes_over_what_the_first_withheld() {
    let world = World::new().await;
    world.silence("alert", "a", 100).await;
    world.bench.finish([report("1", "firing")]).await;
    world.silence("alert", "a", 500).await;
    sleep(Duration::from_secs(400)).await;
    assert!(world.told().is_empty());
    sleep(Duration::from_secs(160)).await;
    assert_eq!(world.told(), ["firing"]);
}

#[tokio::test(start_paused = true)]
async fn a_flush_leaves_out_silenced_members_and_tells_the_others() {
    let world = World::new().await;
    let grouped = |id: &str, env: &str| {
        record(id)
            .action_type("grouped")
            .label("cluster", "c")
            .label("env", env)
    };
    world
        .bench
        .finish([grouped("1", "prod"), grouped("2", "test")])
        .await;
    let id = world.silence("env", "test", 60).await;
    sleep(Duration::from_secs(31)).await;
    let attempts = world.sink.attempts();
    assert_eq!(attempts.len(), 1);
    let payload: serde_json::Value = attempts[0].action.payload.parse().unwrap();
    assert_eq!(payload["event_count"], 1);
    let records = world.bench.trail.records();
    let rule = format!("silence:{id}");
    let left_out: Vec<_> = records
        .iter()
        .filter(|record| matches!(&record.outcome, AuditedOutcome::Suppressed { rule: by } if *by == rule))
        .map(|record| record.subject.action_id.as_str())
        .collect();
    assert_eq!(left_out, ["2"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_nodes_one_tells() {
    let state = empty_state();
    let one = World::over(state.clone()).await;
    let other = World::over(state).await;
    one.silence("alert", "a", 100).await;
    other.bench.pipeline.read_silences().await.unwrap();
    one.bench.finish([report("1", "firing")]).await;
    sleep(Duration::from_secs(200)).await;
    let told: Vec<_> = one.told().into_iter().chain(other.told()).collect();
    assert_eq!(told, ["firing"]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_and_the_trace_name_the_silence() {
    let world = World::new().await;
    let id = world.silence("env", "prod", 60).await;
    let silenced = keyed("1").build();
    let heard = record("2").build();
    let rules = &world.bench.pipeline.parts.rules;
    let outcomes = rules.dry_run(&[&silenced, &heard]).await.unwrap();
    let rule = |outcome: &ActionOutcome| match outcome {
        ActionOutcome::DryRun { matched_rule, .. } => matched_rule.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(rule(&outcomes[0]), Some(format!("silence:{id}").into()));
    assert_eq!(rule(&outcomes[1]), None);
    let reported = report("3", "firing").label("env", "prod").build();
    let member = record("4").action_type("grouped").label("env", "prod");
    let member = member.label("cluster", "eu").build();
    for outcome in rules.dry_run(&[&reported, &member]).await.unwrap() {
        let ActionOutcome::DryRun { silenced_by, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(silenced_by.as_ref(), Some(&id));
    }
    let evaluated = rules
        .evaluate(&silenced, &EvaluateOptions::default())
        .await
        .unwrap();
    assert_eq!(evaluated.silenced_by, Some(id));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_delivered_before_the_silences_are_known() {
    let state = UnreachableState::before(empty_state());
    state.set_reach(Reach::CutOff);
    let sink = RecordingSink::succeeding();
    let providers = [Provider::new("log", &sink)];
    let rules = "rules: [{ name: never, condition: { any: [] }, action: { type: suppress } }]";
    let bench = Bench::behind(state, rules, providers, PipelineOptions::default()).await;
    let ends = bench.finish([record("1")]).await;
    assert_eq!(ends, ["1: retry StateUnavailable"]);
    bench.state.set_reach(Reach::Whole);
    assert_eq!(bench.finish([record("1")]).await, ["1: executed"]);
    bench.state.set_reach(Reach::CutOff);
    assert_eq!(
        bench.finish([record("2")]).await,
        ["2: executed"],
        "they are known now"
    );
}

#[tokio::test(start_paused = true)]
async fn an_ended_silence_takes_no_place_of_another() {
    let mut options = PipelineOptions::default();
    options.silences.live_max = 1;
    let world = World::with(empty_state(), options).await;
    let id = world.silence("env", "prod", 60).await;
    let asked = world.asked("env", "test", 60).await;
    let refused = world
        .admin
        .create(&Scope::everything(), &asked, "amy")
        .await;
    assert!(matches!(refused, Err(SilenceError::Full(1))));
    world.end(&id).await;
    world.silence("env", "test", 60).await;
    assert_eq!(
        world.bench.finish([record("1").label("env", "prod")]).await,
        ["1: executed"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_silences_only_what_their_grants_cover() {
    let world = World::new().await;
    let asked = world.asked("env", "prod", 60).await;
    let limited = Scope::new([acteon_core::scope::ScopeGrant {
        tenants: vec![asked.tenant.as_str().into()],
        namespaces: vec!["*".into()],
        action_types: vec!["*".into()],
    }]);
    let everywhere = NewSilence {
        tenant: "*".into(),
        ..asked.clone()
    };
    let refused = world.admin.create(&limited, &everywhere, "amy").await;
    assert!(matches!(refused, Err(SilenceError::Forbidden)));
    let created = world.admin.create(&limited, &asked, "amy").await.unwrap();
    assert_eq!(created.silence.created_by, "amy");
    assert_eq!(created.silence.starts_at, epoch());
    let nobody = Scope::new([]);
    let hidden = world.admin.end(&nobody, &created.silence.id).await;
    assert!(matches!(hidden, Err(SilenceError::NotFound)));
    let all = world
        .admin
        .create(&Scope::everything(), &everywhere, "amy")
        .await
        .unwrap();
    let refused = world.admin.end(&limited, &all.silence.id).await;
    assert!(matches!(refused, Err(SilenceError::Forbidden)));
}
