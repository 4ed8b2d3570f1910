//! What the sink of a provider with templates receives, and what happens when a template fails.

use acteon_core::health::{BreakerState, ProviderAdmin as _};
use acteon_core::{ActionOutcome, FailureCode, Settled};
use acteon_templates::{TemplateFile, TemplateSet};
use acteon_testkit::{Answer, RecordingSink, action};
use serde_json::{Value, json};

use super::bench::record;
use super::{Bench, Provider};
use crate::{OnTemplateError, PipelineOptions};

const NO_RULES: &str = "rules: []";

fn set(templates: &[(&str, &str)]) -> TemplateSet {
    let files = templates.iter().map(|(name, text)| TemplateFile {
        name: format!("log/{name}"),
        text: (*text).to_owned(),
    });
    TemplateSet::compile(&files.collect::<Vec<_>>(), |_| true).unwrap()
}

async fn bench(sink: &std::sync::Arc<RecordingSink>, on_error: OnTemplateError) -> Bench {
    let set = set(&[
        ("subject.txt", "{{ payload.title }} of {{ action.tenant }}"),
        (
            "group_notification/subject.txt",
            "{{ payload.event_count }} alerts",
        ),
    ]);
    let provider = Provider::new("log", sink)
        .retries(1)
        .templates(set, on_error);
    Bench::new(NO_RULES, [provider], PipelineOptions::default()).await
}

fn payloads(sink: &RecordingSink) -> Vec<Value> {
    let attempts = sink.attempts();
    let payloads = attempts.iter().map(|seen| seen.action.payload.parse());
    payloads.map(Result::unwrap).collect()
}

#[tokio::test(start_paused = true)]
async fn every_attempt_receives_the_rendered_payload_and_the_audit_record_keeps_the_original() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Transient(None)]);
    let bench = bench(&sink, OnTemplateError::Fail).await;
    let original = json!({"title": "Disk", "to": "a@b"});
    bench.finish([action("a").payload(&original)]).await;
    let rendered = json!({"title": "Disk", "to": "a@b", "subject": "Disk of t1"});
    assert_eq!(payloads(&sink), [rendered.clone(), rendered]);
    let records = bench.trail.records();
    let kept: Value = records[0].payload.as_ref().unwrap().parse().unwrap();
    assert_eq!(kept, original);
}

#[tokio::test(start_paused = true)]
async fn a_template_that_fails_ends_the_action_without_an_attempt_at_the_provider() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink, OnTemplateError::Fail).await;
    let payload = json!({"titel": "s3cret"});
    let ends = bench.finish([record("b").payload(&payload)]).await;
    assert_eq!(ends, ["b: dead_lettered SERIALIZATION"]);
    assert_eq!(bench.letters().await.len(), 1);
    let ends = bench.finish([action("a").payload(&payload)]).await;
    assert_eq!(ends, ["a: failed"]);
    let ended = bench.lender.take_ended();
    let [_, (_, Settled::Done(ActionOutcome::Failed(failure)))] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!(failure.code, FailureCode::Serialization);
    let message = "a template of the provider failed: log/subject.txt:1: undefined value: `payload.title` is undefined";
    assert_eq!(failure.message, message);
    assert!(!failure.retryable);
    assert_eq!(sink.attempts().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn with_the_fallback_it_is_sent_with_a_note_in_its_outcome() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink, OnTemplateError::Fallback).await;
    bench
        .finish([action("a").payload(&json!({"titel": "Disk"}))])
        .await;
    let subject = &payloads(&sink)[0]["subject"];
    assert!(
        subject.as_str().unwrap().contains("the template failed"),
        "{subject}"
    );
    let ended = bench.lender.take_ended();
    let [(_, Settled::Done(ActionOutcome::Executed(response)))] = &ended[..] else {
        panic!("{ended:?}");
    };
    let [(name, note)] = &response.headers[..] else {
        panic!("{:?}", response.headers);
    };
    assert_eq!(name, "acteon-template-error");
    let record = bench.trail.records().remove(0);
    assert_eq!(record.attempts[0].excerpt.as_ref(), Some(note));
    assert_eq!(record.attempts[0].code, None);
    assert!(note.starts_with("log/subject.txt:1: "), "{note}");
}

#[tokio::test(start_paused = true)]
async fn a_template_that_fails_says_nothing_about_the_provider() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Transient(None), Answer::Transient(None)]);
    let set = set(&[("subject.txt", "{{ payload.title }}")]);
    let provider = Provider::new("log", &sink)
        .retries(0)
        .breaker(2)
        .templates(set, OnTemplateError::Fail);
    let bench = Bench::new(NO_RULES, [provider], PipelineOptions::default()).await;
    let good = json!({"title": "Disk"});
    bench.finish([action("a").payload(&good)]).await;
    bench.finish([action("b").payload(&json!({}))]).await;
    bench.finish([action("c").payload(&good)]).await;
    let health = bench.pipeline.parts.providers.health();
    assert_eq!(
        health[0].breaker,
        BreakerState::Open,
        "two failures in a row"
    );
}

#[tokio::test(start_paused = true)]
async fn the_templates_of_a_type_are_for_summaries_of_groups_too() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink, OnTemplateError::Fail).await;
    let summary = action("g").action_type("group_notification");
    bench
        .finish([summary.payload(&json!({"event_count": 3}))])
        .await;
    assert_eq!(payloads(&sink)[0]["subject"], "3 alerts");
}
