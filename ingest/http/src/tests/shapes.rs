//! The documented schemas match the JSON that is sent.

use acteon_core::{ActionOutcome, Failure, FailureCode, ProviderResponse};
use acteon_testkit::{End, FakeIntake, epoch};
use compact_str::CompactString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::openapi;
use crate::openapi::{ActionSchema, BatchItem, OutcomeSchema};

fn outcomes() -> Vec<ActionOutcome> {
    let mut response = ProviderResponse::success(&json!({"logged": true})).unwrap();
    response.headers.push(("x-id".into(), "7".into()));
    let text = CompactString::from;
    vec![
        ActionOutcome::Executed(response.clone()),
        ActionOutcome::Deduplicated(()),
        ActionOutcome::Suppressed {
            rule: "quiet".into(),
        },
        ActionOutcome::Rerouted {
            original_provider: text("a"),
            new_provider: text("b"),
            response,
        },
        ActionOutcome::Throttled {
            retry_after: Duration::from_millis(12_500),
        },
        ActionOutcome::Failed(Failure {
            code: FailureCode::Timeout,
            message: text("no answer within 30s"),
            retryable: true,
            attempts: 4,
        }),
        ActionOutcome::Grouped {
            group_id: text("g"),
            group_size: 3,
            notify_at: epoch(),
        },
        ActionOutcome::StateChanged {
            fingerprint: text("f"),
            previous_state: text("firing"),
            new_state: text("resolved"),
            notify: false,
            silenced_by: Some(text("0198c0de")),
        },
        ActionOutcome::CircuitOpen {
            provider: text("p"),
            fallback_chain: vec![],
        },
    ]
}

/// Parsing `json` as a `T` and serializing it again loses and adds nothing.
fn assert_shape<T: DeserializeOwned + Serialize>(json: &str) {
    let shape: T = serde_json::from_str(json).unwrap();
    let expected: Value = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_value(shape).unwrap(), expected);
}

#[tokio::test]
async fn every_outcome_is_answered_with_200_and_as_documented() {
    let mut seen = Vec::new();
    for outcome in outcomes() {
        let api = api(FakeIntake::settling(move |_| End::Done(outcome.clone())));
        let (status, answer) = api.post(ONE, wire("a")).await;
        assert_eq!(status, 200, "{answer}");
        assert_shape::<OutcomeSchema>(&answer);
        let (status, answer_of_batch) = api.post(MANY, format!("[{},0]", wire("a"))).await;
        assert_eq!(status, 200);
        assert_shape::<Vec<BatchItem>>(&answer_of_batch);
        assert!(answer_of_batch.starts_with(&format!("[{answer},{{\"error\":")));
        seen.push(answer);
    }
    insta::assert_snapshot!("outcomes", seen.join("\n"));
}

#[test]
fn an_action_as_it_is_written_is_an_action_as_it_is_documented() {
    assert_shape::<ActionSchema>(&wire("a"));
}

#[test]
fn the_document_holds_both_endpoints_and_their_shapes() {
    let document = serde_json::to_value(openapi()).unwrap();
    insta::assert_json_snapshot!("openapi", document);
}
