//! The rules in force, reloads, toggles and the playground.

use acteon_core::audit::AuditedOutcome;
use acteon_core::rules::{EvaluateError, RulesError};
use acteon_core::{AuditRecord, Redactor, StateError};
use axum::http::StatusCode;
use serde_json::json;

use super::World;
use super::world::problem;

/// The name, outcome and details of a record.
fn noted(record: &AuditRecord) -> String {
    let AuditedOutcome::Other(outcome, details) = &record.outcome else {
        panic!("expected the record of an administrative change")
    };
    format!("{} {outcome} {details}", record.subject.action_type)
}

#[tokio::test(start_paused = true)]
async fn the_list_is_an_array_and_its_headers_say_which_set_it_is() {
    let world = World::new();
    let before = world.get("/v1/rules").await;
    world.rulebook.in_force.lock().last_errors = vec![
        problem(4, "unknown operator `start_with`"),
        problem(9, "no `action`"),
    ];
    let after = world.get("/v1/rules").await;
    assert_eq!(before.json(), after.json());
    assert_eq!(before.headers["x-rules-errors"], "0");
    let load = world.get("/v1/rules/reload").await;
    insta::assert_snapshot!(after.shown() + "\n" + &load.shown());
}

#[tokio::test(start_paused = true)]
async fn a_reload_takes_no_body_or_a_directory_and_is_recorded() {
    let world = World::new();
    let bare = world.ask("POST", "/v1/rules/reload", &[], "").await;
    let below = world
        .send(
            "POST",
            "/v1/rules/reload",
            r#"{"directory":"/rules/canary"}"#,
        )
        .await;
    let null = world
        .send("POST", "/v1/rules/reload", r#"{"directory":null}"#)
        .await;
    assert_eq!(null.body, bare.body);
    insta::assert_snapshot!(bare.shown() + "\n" + &below.shown());
    let records = world.trail.records();
    let audited: Vec<_> = records.iter().map(noted).collect();
    let expected = |directory| {
        let details = json!({"rules": 2, "directory": directory, "generation": 4});
        format!("acteon.rules.reload reloaded {details}")
    };
    assert_eq!(
        audited,
        [
            expected("/rules"),
            expected("/rules/canary"),
            expected("/rules")
        ]
    );
    let record = &records[0];
    assert_eq!(
        (record.caller.auth_method, &*record.source.stream),
        ("anonymous", "admin")
    );
    assert_eq!(record.subject.action_id, record.id.to_string());
    assert_eq!(
        (
            record.subject.namespace.as_str(),
            record.decision.rules_generation
        ),
        ("", 3)
    );
}

#[tokio::test(start_paused = true)]
async fn a_set_with_errors_is_refused_with_all_of_them_and_the_attempt_is_recorded() {
    let world = World::new();
    *world.rulebook.on_reload.lock() = Box::new(|_| {
        let problems = vec![
            problem(4, "unknown operator `start_with`"),
            problem(9, "no `action`"),
        ];
        Err(RulesError::Invalid(problems))
    });
    let invalid = world.ask("POST", "/v1/rules/reload", &[], "").await;
    *world.rulebook.on_reload.lock() =
        Box::new(|_| Err(RulesError::OutsideDirectory("/etc".into())));
    let outside = world
        .send("POST", "/v1/rules/reload", r#"{"directory":"/etc"}"#)
        .await;
    *world.rulebook.on_reload.lock() = Box::new(|_| Err(RulesError::NoDirectory));
    let nowhere = world.ask("POST", "/v1/rules/reload", &[], "").await;
    insta::assert_snapshot!([invalid, outside, nowhere].map(|a| a.shown()).join("\n"));
    let records = world.trail.records();
    assert!(
        records
            .iter()
            .all(|record| record.outcome.name() == "failed")
    );
    assert!(
        noted(&records[1]).contains("`/etc` is not below"),
        "{}",
        noted(&records[1])
    );
}

#[tokio::test(start_paused = true)]
async fn a_toggle_reaches_the_rule_of_that_name_and_is_recorded() {
    let world = World::new();
    let off = world
        .send(
            "PUT",
            "/v1/rules/mute%20all/enabled",
            r#"{"enabled":false}"#,
        )
        .await;
    let on = world
        .send("PUT", "/v1/rules/mute-tests/enabled", r#"{"enabled":true}"#)
        .await;
    let unknown = world
        .send("PUT", "/v1/rules/no%2Fsuch/enabled", r#"{"enabled":true}"#)
        .await;
    insta::assert_snapshot!([off, on, unknown].map(|a| a.shown()).join("\n"));
    let toggles = world.rulebook.toggles.lock().clone();
    assert_eq!(
        toggles,
        [("mute all".into(), false), ("mute-tests".into(), true)]
    );
    let audited: Vec<_> = world.trail.records().iter().map(noted).collect();
    let expected = [
        r#"acteon.rules.toggle disabled {"rule":"mute all"}"#,
        r#"acteon.rules.toggle enabled {"rule":"mute-tests"}"#,
    ];
    assert_eq!(audited, expected);
}

#[tokio::test(start_paused = true)]
async fn the_playground_reads_action_and_options_from_one_object_and_hides_what_is_redacted() {
    let world = World::with(|ports| {
        ports.redactor = Redactor::new(["token".to_owned()], "[REDACTED]");
    });
    let body = json!({
        "namespace": "ns", "tenant": "t1", "provider": "log", "action_type": "test",
        "payload": {"a": 1}, "metadata": {"env": "prod"},
        "include_disabled": true, "evaluate_all": null,
        "evaluate_at": "2026-01-01T10:00:00+01:00", "mock_state": {"k": 1},
    });
    let answer = world
        .send("POST", "/v1/rules/evaluate", &body.to_string())
        .await;
    insta::assert_snapshot!(answer.shown());
    let (action, options) = world.rulebook.evaluated.lock().remove(0);
    assert_eq!(action.labels.get("env"), Some("prod"));
    assert_eq!(&action.payload.as_bytes()[..], br#"{"a":1}"#);
    assert_eq!(
        (options.include_disabled, options.evaluate_all),
        (true, false)
    );
    assert_eq!(
        options.evaluate_at.unwrap().to_string(),
        "2026-01-01T09:00:00Z"
    );
    assert_eq!(options.mock_state, Some(json!({"k": 1})));
    assert!(world.trail.records().is_empty(), "nothing was changed");
}

#[tokio::test(start_paused = true)]
async fn an_evaluation_without_state_is_retryable_and_invalid_mock_state_is_not() {
    let world = World::new();
    let errors = [
        EvaluateError::State(StateError::Unavailable("no route to 10.0.0.7".into())),
        EvaluateError::Mock("`mock_state`: `pages` takes a count, or `true`".into()),
    ];
    let mut seen = String::new();
    for error in errors {
        *world.rulebook.evaluate_error.lock() = Some(error);
        let body = r#"{"namespace":"n","tenant":"t","provider":"p","action_type":"a","payload":1,"mock_state":{"pages":"x"}}"#;
        let answer = world.send("POST", "/v1/rules/evaluate", body).await;
        seen += &format!("{}\n", answer.shown());
    }
    insta::assert_snapshot!(seen);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_evaluated_says_where() {
    let world = World::new();
    let with = |extra: &str| {
        format!(
            r#"{{"namespace":"n","tenant":"t","provider":"p","action_type":"a","payload":1{extra}}}"#
        )
    };
    let cases = [
        "{".to_owned(),
        "[]".to_owned(),
        r#"{"namespace":"n"}"#.to_owned(),
        with(r#","evaluate_at":"noon""#),
        with(r#","evaluate_all":"yes""#),
        with(r#","evaluate_al":true"#),
    ];
    let mut seen = String::new();
    for body in &cases {
        let answer = world.send("POST", "/v1/rules/evaluate", body).await;
        assert!(answer.status.is_client_error());
        seen += &format!("{body}\n{}\n", answer.shown());
    }
    let text = world
        .ask(
            "POST",
            "/v1/rules/evaluate",
            &[("content-type", "text/plain")],
            "{}",
        )
        .await;
    assert_eq!(text.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = world
        .send("POST", "/v1/rules/evaluate", &"x".repeat(10_001))
        .await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    insta::assert_snapshot!(seen + &text.shown() + "\n" + &long.shown());
    assert!(world.rulebook.evaluated.lock().is_empty());
}
