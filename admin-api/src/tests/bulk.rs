//! Bulk changes of dead letters, and breakers set by hand.

use acteon_core::ActionOutcome;
use acteon_core::outcome::ProviderResponse;
use acteon_core::{Failure, FailureCode};
use acteon_testkit::{End, FakeIntake};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::World;
use super::samples::{exhausted, poison};

async fn ask(world: &World, path: &str, body: Value) -> Value {
    let answer = world.send("POST", path, &body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.shown());
    answer.json()
}

async fn left(world: &World) -> Value {
    world.get("/v1/dead-letters").await.json()["total"].clone()
}

#[tokio::test(start_paused = true)]
async fn letters_are_deleted_by_filter_and_a_preview_deletes_none() {
    let world = World::new();
    world.keep_letters((1..=7).map(exhausted)).await;
    world.keep_letters([poison(8, b"{oops")]).await;
    let body = json!({"filter": {"kind": "exhausted", "code": "TIMEOUT"}, "limit": 5});
    let path = "/v1/dead-letters/delete";
    let preview = ask(&world, &format!("{path}?preview=true"), body.clone()).await;
    let nothing = json!({"matched": 7, "done": 0, "failed": 0, "next_cursor": null});
    assert_eq!((preview, left(&world).await), (nothing, 8.into()));
    let first = ask(&world, path, body.clone()).await;
    assert_eq!(
        (&first["matched"], &first["done"], &first["failed"]),
        (&7.into(), &5.into(), &0.into())
    );
    assert!(first["next_cursor"].is_string());
    let rest = ask(&world, path, body).await;
    let expected = json!({"matched": 2, "done": 2, "failed": 0, "next_cursor": null});
    assert_eq!((rest, left(&world).await), (expected, 1.into()));
    let records = world.trail.records();
    assert_eq!(records.len(), 7, "each has its record");
}

#[tokio::test(start_paused = true)]
async fn letters_are_replayed_by_filter_and_those_that_fail_stay_behind_the_cursor() {
    let failed = Failure {
        code: FailureCode::Timeout,
        message: "no answer within 30s".into(),
        retryable: true,
        attempts: 4,
    };
    let intake = FakeIntake::settling(move |envelope| {
        End::Done(match envelope.action.id.as_str() {
            "a-2" | "a-5" => ActionOutcome::Failed(failed.clone()),
            _ => ActionOutcome::Executed(ProviderResponse::success(&json!({})).unwrap()),
        })
    });
    let world = World::with(|ports| ports.intake = intake);
    world.keep_letters((1..=5).map(exhausted)).await;
    let (mut done, mut failed, mut cursor) = (0, 0, Value::Null);
    loop {
        let body = json!({"filter": {}, "limit": 2, "cursor": cursor});
        let answer = ask(&world, "/v1/dead-letters/replay", body).await;
        done += answer["done"].as_u64().unwrap();
        failed += answer["failed"].as_u64().unwrap();
        cursor = answer["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!((done, failed, left(&world).await), (3, 2, 2.into()));
}

#[tokio::test(start_paused = true)]
async fn a_bulk_request_that_makes_no_sense_changes_nothing() {
    let world = World::new();
    world.keep_letters([exhausted(1)]).await;
    for body in [
        json!({}),
        json!({"filter": []}),
        json!({"filter": {"tennant": "t1"}}),
        json!({"filter": {"kind": "dead"}}),
        json!({"filter": {"kind": null}}),
        json!({"filter": {"kind": {"poison": null}}}),
        json!({"filter": {"namespace": null}}),
        json!({"filter": {"tenant": ""}}),
        json!({"filter": {"provider": ""}}),
        json!({"filter": {"action_type": null}}),
        json!({"filter": {"code": ""}}),
        json!({"filter": {"from": null}}),
        json!({"filter": {"to": ""}}),
        json!({"filter": null}),
        json!({"filter": {}, "limit": 0}),
        json!({"filter": {}, "limit": 1001}),
        json!({"filter": {}, "cursor": "AAAA"}),
    ] {
        for path in ["/v1/dead-letters/delete", "/v1/dead-letters/replay"] {
            let answer = world.send("POST", path, &body.to_string()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
            assert_eq!(answer.json()["code"], "INVALID_JSON", "{body}");
        }
    }
    let empty = r#"{"filter": {"provider": ""}}"#;
    let answer = world.send("POST", "/v1/dead-letters/delete", empty).await;
    let message = "`filter.provider`: must not be empty at line 1 column 27";
    assert_eq!(answer.json()["message"], message);
    assert_eq!(left(&world).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_test_message_is_sent_once_and_its_result_is_recorded() {
    let world = World::new();
    let accepted = ask(&world, "/v1/providers/hook/test", json!({})).await;
    assert_eq!(
        (&accepted["delivered"], &accepted["error"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(accepted["response"]["test"], true);
    let own = json!({"payload": {"to": "me@example.com"}});
    let accepted = ask(&world, "/v1/providers/hook/test", own.clone()).await;
    assert_eq!(accepted["response"], own["payload"]);
    let refused = ask(&world, "/v1/providers/email/test", json!({})).await;
    assert_eq!(
        (&refused["delivered"], &refused["response"]),
        (&false.into(), &Value::Null)
    );
    let error = json!({"code": "CONFIGURATION", "message": "no recipient", "retryable": false});
    assert_eq!(refused["error"], error);
    let records = world.trail.records();
    assert_eq!(records.len(), 3);
    assert_eq!(records[0].outcome.name(), "tested");
    assert_eq!(records[0].subject.action_type, "acteon.providers.test");
    let unknown = world.send("POST", "/v1/providers/x/test", "{}").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_is_set_by_hand_and_that_is_recorded() {
    let world = World::new();
    let path = "/v1/providers/hook/breaker";
    let opened = ask(&world, path, json!({"state": "open"})).await;
    assert_eq!(
        (
            &opened["provider"],
            &opened["circuit_breaker_state"],
            &opened["healthy"]
        ),
        (&"hook".into(), &"open".into(), &false.into())
    );
    let closed = ask(&world, path, json!({"state": "closed"})).await;
    assert_eq!(closed["circuit_breaker_state"], "closed");
    let records = world.trail.records();
    let names: Vec<_> = records.iter().map(|record| record.outcome.name()).collect();
    assert_eq!(names, ["opened", "closed"]);
    assert_eq!(records[0].subject.action_type, "acteon.providers.breaker");
    let unknown = world
        .send("POST", "/v1/providers/x/breaker", r#"{"state":"open"}"#)
        .await;
    assert_eq!(
        (unknown.status, unknown.json()["code"].clone()),
        (StatusCode::NOT_FOUND, "NOT_FOUND".into())
    );
    for body in [r#"{"state":"half_open"}"#, r#"{"state":{"open":null}}"#] {
        let refused = world.send("POST", path, body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
    }
}
