//! Rules that read the state: their questions, the counts, and the behaviour without an answer.

use std::time::Duration;

use acteon_core::disposition::ThrottledPolicy;
use acteon_core::rules::{EvaluateError, EvaluateOptions, Rulebook};
use acteon_core::state::{Answer as Told, EventPhase, Holds, Question, StateKey, Tally};
use acteon_core::verdict::{RuleFailure, VerdictDetails};
use acteon_core::{Action, Policy, StateError};
use acteon_testkit::{
    ActionBuilder, Answer, Event, Reach, RecordingSink, StateCalls, action, write_events,
};
use serde_json::json;
use tokio::time::advance;

use super::bench::{broker, name, record, sorted};
use super::{Bench, Provider};
use crate::{OnStateError, PipelineOptions};

/// Escalates from the third page of a host within a minute.
const ESCALATE: &str = "
rules:
  - name: escalate
    condition:
      all:
        - { field: action.action_type, eq: page }
        - { state_counter: 'pages of {{ action.payload.host }}', gte: 2, within_seconds: 60 }
    action: { type: reroute, target_provider: phone }
";

async fn escalating(options: PipelineOptions) -> Bench {
    let sink = RecordingSink::succeeding();
    let providers = ["log", "phone"].map(|name| Provider::new(name, &sink));
    Bench::new(ESCALATE, providers, options).await
}

fn page(id: &str) -> ActionBuilder {
    record(id)
        .action_type("page")
        .payload(&json!({"host": "h"}))
}

/// The count under a key of `t1` within a minute.
async fn counted(bench: &Bench, key: &str) -> u64 {
    let key = StateKey::new("ns", "t1", "", &format!("60:{key}"));
    let within = Duration::from_secs(60);
    let question = Question::Tally(Tally { key, within });
    let answers = bench.state.gather(&[question]).await.unwrap().answers;
    match answers[0] {
        Told::Tally(tallied) => tallied.count,
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_when_no_rule_that_could_match_reads_state() {
    let rules = "rules: [{ name: a, condition: { field: action.tenant, eq: t1 }, action: { type: allow } }]";
    let bench = Bench::with_rules(rules, &RecordingSink::succeeding()).await;
    bench.finish([record("a"), record("b")]).await;
    assert_eq!(bench.state.take_calls(), StateCalls::default());
    let bench = escalating(PipelineOptions::default()).await;
    bench.finish([record("a"), record("b")]).await;
    assert_eq!(bench.state.take_calls(), StateCalls::default());
}

#[tokio::test(start_paused = true)]
async fn a_batch_asks_once_however_many_actions_and_rules_there_are() {
    let rule = |n| {
        format!(
            "  - {{ name: r{n}, continue: true, condition: {{ any: [{{ state_counter: 'k{n} {{{{ action.id }}}}', gte: 5 }}, {{ call: has_active_event, args: [e{n}] }}] }}, action: {{ type: allow }} }}\n"
        )
    };
    let rules: String = (0..10).map(rule).collect();
    let bench = Bench::with_rules(&format!("rules:\n{rules}"), &RecordingSink::succeeding()).await;
    let batch = (0..100).map(|n| record(&name(n)));
    bench.finish(batch).await;
    let calls = bench.state.take_calls();
    let expected = StateCalls {
        gather: 1,
        settle: 1,
        ..StateCalls::default()
    };
    assert_eq!(calls, expected);
}

#[tokio::test(start_paused = true)]
async fn the_third_escalates_inside_a_batch() {
    let bench = escalating(PipelineOptions::default()).await;
    let ends = bench.finish(["a", "b", "c", "d"].map(page)).await;
    let expected = ["a: executed", "b: executed", "c: rerouted", "d: rerouted"];
    assert_eq!(ends, expected);
}

#[tokio::test(start_paused = true)]
async fn the_third_escalates_across_batches() {
    let bench = escalating(PipelineOptions::default()).await;
    let first = [page("a"), page("b").payload(&json!({"host": "other"}))];
    assert_eq!(bench.finish(first).await, ["a: executed", "b: executed"]);
    let second = [page("c"), page("d"), page("e").tenant("t2")];
    let expected = ["c: executed", "d: rerouted", "e: executed"];
    assert_eq!(sorted(bench.finish(second).await), expected);
    assert_eq!(counted(&bench, "pages of h").await, 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_is_forgotten_when_its_window_has_passed() {
    let bench = escalating(PipelineOptions::default()).await;
    bench.finish(["a", "b"].map(page)).await;
    advance(Duration::from_secs(50)).await;
    assert_eq!(bench.finish([page("c")]).await, ["c: rerouted"]);
    advance(Duration::from_secs(64)).await;
    assert_eq!(bench.finish([page("d")]).await, ["d: executed"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_is_known_inside_its_window() {
    let rules = "
rules:
  - { name: again, condition: { state_seen: 'from {{ action.payload.ip }}', within_seconds: 60 }, action: { type: suppress } }";
    let bench = Bench::with_rules(rules, &RecordingSink::succeeding()).await;
    let from = |id, ip: &str| record(id).payload(&json!({ "ip": ip }));
    let ends = bench
        .finish([from("a", "x"), from("b", "y"), from("c", "x")])
        .await;
    assert_eq!(
        sorted(ends),
        ["a: executed", "b: executed", "c: suppressed"]
    );
    advance(Duration::from_secs(59)).await;
    assert_eq!(bench.finish([from("d", "x")]).await, ["d: suppressed"]);
    advance(Duration::from_secs(60)).await;
    assert_eq!(bench.finish([from("e", "x")]).await, ["e: executed"]);
}

#[tokio::test(start_paused = true)]
async fn an_action_in_flight_elsewhere_is_counted_when_it_ends() {
    let sink = RecordingSink::answering(|_| Answer::Hang);
    let bench = Bench::with_rules(ESCALATE, &sink).await;
    bench.submit([page("a")]).await;
    sink.wait_for_attempts(1).await;
    assert_eq!(counted(&bench, "pages of h").await, 0);
    sink.release();
    bench.lender.wait_for_ended(1).await;
    assert_eq!(counted(&bench, "pages of h").await, 1);
}

#[tokio::test(start_paused = true)]
async fn events_are_read_from_the_state_of_their_tenant() {
    let rules = "
rules:
  - { name: down, condition: { call: has_active_event, args: [cluster_down, action.metadata.cluster] }, action: { type: suppress } }
  - { name: known, condition: { call: get_event_state, args: [action.payload.of], eq: firing }, action: { type: suppress } }";
    let bench = Bench::with_rules(rules, &RecordingSink::succeeding()).await;
    let event = Event {
        namespace: "ns".into(),
        tenant: "t1".into(),
        fingerprint: "f".into(),
        event_type: "cluster_down".into(),
        state: "firing".into(),
        phase: EventPhase::Active,
        values: vec!["eu-1".into()],
    };
    write_events(&*bench.state, &[event]).await.unwrap();
    let of = |id, print: &str| record(id).payload(&json!({ "of": print }));
    let batch = [
        record("a").label("cluster", "eu-1"),
        record("b").label("cluster", "eu-2"),
        of("c", "f"),
        of("d", "g"),
        of("e", "f").label("cluster", "eu-1").tenant("t2"),
    ];
    let expected = [
        "a: suppressed",
        "b: executed",
        "c: suppressed",
        "d: executed",
        "e: executed",
    ];
    assert_eq!(sorted(bench.finish(batch).await), expected);
}

/// Counts everything and allows one per minute.
const COUNT_AND_CALM: &str = "
rules:
  - { name: count, continue: true, condition: { state_counter: all, gte: 1000, within_seconds: 60 }, action: { type: allow } }
  - { name: mute, condition: { field: action.action_type, eq: noise }, action: { type: suppress } }
  - { name: calm, condition: { field: action.action_type, eq: page }, action: { type: throttle, max_count: 1, window_seconds: 10 } }
";

#[tokio::test(start_paused = true)]
async fn what_goes_back_to_its_source_is_counted_when_it_ends_and_once() {
    let bench = Bench::with_rules(COUNT_AND_CALM, &RecordingSink::succeeding()).await;
    let ends = bench.finish([page("a"), page("b")]).await;
    assert_eq!(sorted(ends), ["a: executed", "b: later Throttled"]);
    assert_eq!(bench.finish([page("b")]).await, ["b: later Throttled"]);
    assert_eq!(counted(&bench, "all").await, 1);
    advance(Duration::from_secs(11)).await;
    assert_eq!(bench.finish([page("b")]).await, ["b: executed"]);
    assert_eq!(counted(&bench, "all").await, 2);
}

#[tokio::test(start_paused = true)]
async fn every_end_is_counted_whatever_it_is() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(COUNT_AND_CALM, &sink).await;
    let dropping = page("c").policy(broker(ThrottledPolicy::Drop));
    let answered = [action("f"), action("g").action_type("noise")];
    let batch = [
        page("a"),
        record("b").action_type("noise"),
        dropping,
        record("d").provider("nobody"),
    ];
    let ends = bench.finish(batch.into_iter().chain(answered)).await;
    let expected = [
        "a: executed",
        "b: suppressed",
        "c: throttled",
        "d: dead_lettered PROVIDER_NOT_FOUND",
        "f: executed",
        "g: suppressed",
    ];
    assert_eq!(sorted(ends), expected);
    assert_eq!(counted(&bench, "all").await, 6);
    assert_eq!(
        bench.finish([action("f")]).await,
        ["f: remembered executed"]
    );
    assert_eq!(bench.counters.snapshot().replayed, 1);
    assert_eq!(
        counted(&bench, "all").await,
        6,
        "an answer given again is no new action"
    );
}

#[tokio::test(start_paused = true)]
async fn trying_counts_nothing_and_sees_what_is_counted() {
    let bench = escalating(PipelineOptions::default()).await;
    let rules = &bench.pipeline.parts.rules;
    let (page_of_h, other) = (page("x").build(), record("y").build());
    let tried = || async {
        let would_be = rules
            .dry_run(&[&page_of_h, &other, &page_of_h])
            .await
            .unwrap();
        let told = rules
            .evaluate(&page_of_h, &EvaluateOptions::default())
            .await;
        (serde_json::to_value(would_be).unwrap(), told.unwrap())
    };
    let (would_be, told) = tried().await;
    assert_eq!(would_be[2]["DryRun"]["would_be_provider"], "log");
    assert_eq!(told.matched_rule, None);
    assert_eq!(counted(&bench, "pages of h").await, 0);
    bench.finish(["a", "b"].map(page)).await;
    bench.state.take_calls();
    let (would_be, told) = tried().await;
    let expected = StateCalls {
        gather: 2,
        ..StateCalls::default()
    };
    assert_eq!(bench.state.take_calls(), expected);
    assert_eq!(would_be[0]["DryRun"]["would_be_provider"], "phone");
    assert_eq!(would_be[1]["DryRun"]["would_be_provider"], "log");
    assert_eq!(told.matched_rule.as_deref(), Some("escalate"));
    assert_eq!(told.context["state"][0]["key"], "pages of h");
    assert_eq!(told.context["state"][0]["count"], 2);
    assert_eq!(counted(&bench, "pages of h").await, 2);
}

#[tokio::test(start_paused = true)]
async fn made_up_state_takes_the_place_of_the_state() {
    let bench = escalating(PipelineOptions::default()).await;
    bench.state.set_reach(Reach::CutOff);
    let rules = &bench.pipeline.parts.rules;
    let page = page("x").build();
    let evaluate = async |mock| {
        let options = EvaluateOptions {
            mock_state: Some(mock),
            ..EvaluateOptions::default()
        };
        rules.evaluate(&page, &options).await
    };
    let told = evaluate(json!({"pages of h": 2})).await.unwrap();
    assert_eq!(told.matched_rule.as_deref(), Some("escalate"));
    assert_eq!(evaluate(json!({})).await.unwrap().matched_rule, None);
    assert_eq!(bench.state.take_calls(), StateCalls::default());
    let wrong = evaluate(json!({"pages of h": "many"})).await.unwrap_err();
    let EvaluateError::Mock(message) = wrong else {
        panic!("{wrong:?}");
    };
    assert_eq!(
        message,
        "`mock_state`: `pages of h` takes a count, or `true`"
    );
}

#[tokio::test(start_paused = true)]
async fn trying_without_state_is_refused_only_where_rules_read_it() {
    let bench = escalating(PipelineOptions::default()).await;
    bench.state.set_reach(Reach::CutOff);
    let rules = &bench.pipeline.parts.rules;
    let options = EvaluateOptions::default();
    let page = page("x").build();
    let refused = rules.dry_run(&[&page]).await;
    assert!(matches!(refused, Err(StateError::Unavailable(_))));
    let refused = rules.evaluate(&page, &options).await;
    assert!(matches!(refused, Err(EvaluateError::State(_))));
    assert!(rules.dry_run(&[&record("y").build()]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_evaluation_asks_for_the_keys_of_its_time() {
    let rules = "
rules:
  - { name: hourly, condition: { all: [{ field: time.hour, eq: 9 }, { state_counter: 'at {{ time.hour }}', gte: 3 }] }, action: { type: deny } }";
    let bench = Bench::with_rules(rules, &RecordingSink::succeeding()).await;
    let action: Action = record("x").build();
    let options = EvaluateOptions {
        evaluate_at: Some("2026-01-01T09:30:00Z".parse().unwrap()),
        mock_state: Some(json!({"at 9": 3})),
        ..EvaluateOptions::default()
    };
    let rules = &bench.pipeline.parts.rules;
    let told = rules.evaluate(&action, &options).await.unwrap();
    assert_eq!(told.matched_rule.as_deref(), Some("hourly"));
    assert_eq!(told.context["now"], 1_767_259_800);
    assert_eq!(told.context["state"][0]["key"], "at 9");
}

#[tokio::test(start_paused = true)]
async fn without_state_only_those_that_ask_go_back() {
    let bench = escalating(PipelineOptions::default()).await;
    bench.state.set_reach(Reach::CutOff);
    let ends = bench.finish([page("a"), record("free"), page("b")]).await;
    let expected = [
        "a: retry StateUnavailable",
        "b: retry StateUnavailable",
        "free: executed",
    ];
    assert_eq!(sorted(ends), expected);
    assert_eq!(bench.trail.records().len(), 1);
    bench.state.set_reach(Reach::Whole);
    assert_eq!(counted(&bench, "pages of h").await, 0);
    bench.finish(["a", "b"].map(page)).await;
    assert_eq!(counted(&bench, "pages of h").await, 2);
}

#[tokio::test(start_paused = true)]
async fn accepted_by_deliver_all_the_same_rules_go_by_their_on_error() {
    let rule = |on_error: &str| {
        format!(
            "  - {{ name: {on_error}, on_error: {on_error}, condition: {{ all: [{{ field: action.action_type, eq: {on_error} }}, {{ state_counter: k, gte: 1 }}] }}, action: {{ type: suppress }} }}\n"
        )
    };
    let rules: String = ["skip", "deny", "fail"].into_iter().map(rule).collect();
    let sink = RecordingSink::succeeding();
    let options = PipelineOptions {
        on_state_error: OnStateError::Deliver,
        ..PipelineOptions::default()
    };
    let log = Provider::new("log", &sink);
    let bench = Bench::new(&format!("rules:\n{rules}"), [log], options).await;
    bench.state.set_reach(Reach::CutOff);
    let of = |id: &str, kind: &str| record(id).policy(Policy::Answer).action_type(kind);
    let batch = [
        of("a", "skip"),
        of("b", "deny"),
        of("c", "fail"),
        of("d", "free"),
        of("e", "skip"),
    ];
    let expected = [
        "a: executed",
        "b: suppressed",
        "c: failed",
        "d: executed",
        "e: executed",
    ];
    assert_eq!(sorted(bench.finish(batch).await), expected);
    assert_eq!(
        sink.attempted_ids(),
        ["a", "d", "e"],
        "in the order they came"
    );
    assert_eq!(bench.counters.snapshot().rule_errors, 4);
}

#[tokio::test(start_paused = true)]
async fn a_record_says_how_its_verdict_came_about_when_there_is_more_to_say() {
    let rules = "
rules:
  - { name: mark, continue: true, condition: { field: action.metadata.mark, exists: true }, action: { type: modify, changes: { marked: true } } }
  - { name: pages, condition: { all: [{ field: action.action_type, eq: page }, { state_counter: k, gte: 1 }] }, action: { type: deny } }
  - { name: night, condition: { field: action.action_type, eq: noise }, action: { type: deny, reason: muted for the night } }
  - { name: fine, condition: { field: action.metadata.mark, eq: fine }, action: { type: allow } }";
    let options = PipelineOptions {
        on_state_error: OnStateError::Deliver,
        ..PipelineOptions::default()
    };
    let log = Provider::new("log", &RecordingSink::succeeding());
    let bench = Bench::new(rules, [log], options).await;
    bench.state.set_reach(Reach::CutOff);
    let batch = [
        record("plain"),
        record("one match").label("mark", "x"),
        record("two").label("mark", "fine"),
        record("reason").action_type("noise"),
        record("error").action_type("page"),
    ];
    bench.finish(batch).await;
    let records = bench.trail.records();
    let details = |id: &str| {
        let record = records.iter().find(|record| record.subject.action_id == id);
        record.unwrap().decision.details.as_deref().cloned()
    };
    assert_eq!(details("plain"), None);
    assert_eq!(details("one match"), None);
    let expected = VerdictDetails {
        matched: vec!["mark".into(), "fine".into()],
        ..VerdictDetails::default()
    };
    assert_eq!(details("two"), Some(expected));
    let expected = VerdictDetails {
        reason: Some("muted for the night".into()),
        ..VerdictDetails::default()
    };
    assert_eq!(details("reason"), Some(expected));
    let failure = RuleFailure {
        rule: "pages".into(),
        message: "the state that it reads is unknown".into(),
    };
    let expected = VerdictDetails {
        errors: vec![failure],
        ..VerdictDetails::default()
    };
    assert_eq!(details("error"), Some(expected));
}
