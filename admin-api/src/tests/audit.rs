//! Pages of the audit trail.

use std::collections::BTreeSet;
use std::sync::Arc;

use acteon_core::audit::AuditedOutcome;
use acteon_core::verdict::{RuleFailure, VerdictDetails};
use acteon_core::{AuditRecord, FailureCode, Payload, Verdict};
use axum::http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::samples::{record, refused_attempt};
use super::{Answer, World};

/// The ids of the actions on a page.
fn ids(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let records = json["records"].as_array().unwrap();
    records
        .iter()
        .map(|record| record["action_id"].as_str().unwrap().to_owned())
        .collect()
}

async fn three_kinds(world: &World) {
    let mut failed = record(2, 10);
    failed.outcome = AuditedOutcome::Failed {
        code: FailureCode::Timeout,
        message: "no answer within 30s".into(),
        retryable: true,
        attempts: 4,
    };
    failed.decision.verdict = Verdict::Throttle;
    failed.decision.matched_rule = Some("slow".into());
    failed.decision.details = Some(Box::new(VerdictDetails {
        matched: vec!["mark".into(), "slow".into()],
        reason: None,
        errors: vec![RuleFailure {
            rule: "pages".into(),
            message: "the state that it reads was not known".into(),
        }],
    }));
    failed.caller.id = Some("kafka:orders".into());
    failed.caller.auth_method = "source";
    failed.subject.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736".into());
    failed.payload = None;
    failed.attempts = vec![refused_attempt(), refused_attempt()];
    let mut change = record(3, 20);
    change.outcome = AuditedOutcome::Other(
        "reloaded".into(),
        Arc::from(RawValue::from_string(r#"{"rules":2}"#.into()).unwrap()),
    );
    change.subject.tenant = "".into();
    change.expires_at = Some(change.completed_at);
    world.keep_records([record(1, 0), failed, change]).await;
}

#[tokio::test(start_paused = true)]
async fn a_record_has_all_its_fields_with_null_for_what_is_not_there() {
    let world = World::new();
    three_kinds(&world).await;
    insta::assert_snapshot!(world.get("/v1/audit").await.shown());
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_at_once_shows_its_one_attempt() {
    let world = World::new();
    let outcome = |name: &str| {
        let details = RawValue::from_string(r#"{"status":"success"}"#.into()).unwrap();
        AuditedOutcome::Other(name.into(), details.into())
    };
    let (mut read_back, mut suppressed) = (record(2, 10), record(3, 20));
    read_back.outcome = outcome("executed");
    suppressed.outcome = outcome("suppressed");
    world
        .keep_records([record(1, 0), read_back, suppressed])
        .await;
    let page = world.get("/v1/audit").await.json();
    assert_eq!(page["records"][0]["attempts"], json!([]));
    for at in [1, 2] {
        let record = &page["records"][at];
        let expected = json!([{
            "at": record["completed_at"], "provider": "hook", "status": null, "code": null,
            "duration_ms": 0, "excerpt": null,
        }]);
        assert_eq!(record["attempts"], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn every_filter_that_is_given_holds() {
    let world = World::new();
    three_kinds(&world).await;
    let table: [(&str, &[&str]); 11] = [
        ("namespace=ns", &["a-3", "a-2", "a-1"]),
        ("namespace=other", &[]),
        ("tenant=t1", &["a-2", "a-1"]),
        ("provider=hook&action_type=test", &["a-3", "a-2", "a-1"]),
        ("outcome=FAILED", &["a-2"]),
        ("verdict=Allow", &["a-3", "a-1"]),
        ("matched_rule=slow", &["a-2"]),
        ("caller_id=kafka%3Aorders", &["a-2"]),
        ("from=2026-01-01T00:00:00.010Z", &["a-3", "a-2"]),
        (
            "from=2026-01-01T01:00:00.010%2B01:00&to=2026-01-01T00:00:00.020Z",
            &["a-2"],
        ),
        ("outcome=failed&verdict=allow", &[]),
    ];
    for (filters, expected) in table {
        let answer = world.get(&format!("/v1/audit?{filters}")).await;
        assert_eq!(ids(&answer), expected, "{filters}");
        assert_eq!(answer.json()["total"], expected.len(), "{filters}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_record_of_an_action_is_found_by_its_id() {
    let world = World::new();
    let mut again = record(9, 50);
    again.subject.action_id = "a-1".into();
    world.keep_records([record(1, 0), again]).await;
    let found = world.get("/v1/audit/a-1").await.json();
    assert_eq!(found["dispatched_at"], "2026-01-01T00:00:00.05Z");
    assert_eq!(found, world.get("/v1/audit").await.json()["records"][0]);
    let missing = world.get("/v1/audit/a%2F2").await;
    insta::assert_snapshot!(missing.shown());
}

#[tokio::test(start_paused = true)]
async fn a_walk_by_cursor_sees_each_record_once_while_newer_ones_come() {
    let world = World::new();
    // Five of a kind: the places differ by id only.
    world
        .keep_records((0..101).map(|n| record(n, i64::from(n / 5))))
        .await;
    let (mut seen, mut path, mut pages) = (Vec::new(), "/v1/audit?limit=7".to_owned(), 0);
    loop {
        let answer = world.get(&path).await;
        let json = answer.json();
        assert_eq!((&json["limit"], &json["offset"]), (&7.into(), &0.into()));
        seen.extend(ids(&answer));
        pages += 1;
        world.keep_records([record(1000 + pages, 1000)]).await;
        let Some(cursor) = json["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/audit?limit=7&cursor={cursor}");
    }
    assert_eq!((seen.len(), pages), (101, 15));
    let once: BTreeSet<_> = seen.iter().collect();
    assert_eq!(once.len(), 101);
}

#[tokio::test(start_paused = true)]
async fn an_offset_leaves_out_by_number_and_a_cursor_goes_on_where_it_ends() {
    let world = World::new();
    world
        .keep_records((0..5).map(|n| record(n, i64::from(n))))
        .await;
    let page = world.get("/v1/audit?offset=1&limit=2").await;
    assert_eq!(ids(&page), ["a-3", "a-2"]);
    let json = page.json();
    assert_eq!((&json["total"], &json["offset"]), (&5.into(), &1.into()));
    let cursor = json["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("/v1/audit?cursor={cursor}")).await;
    assert_eq!(ids(&rest), ["a-1", "a-0"]);
    assert_eq!(rest.json()["next_cursor"], Value::Null);
    let beyond = world.get("/v1/audit?offset=10000").await;
    assert_eq!((beyond.status, ids(&beyond)), (StatusCode::OK, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_makes_no_sense_names_the_parameter() {
    let world = World::new();
    let mut seen = String::new();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=many",
        "offset=10001",
        "offset=-1",
        "offset=0&cursor=AAAA",
        "cursor=AAAA",
        "cursor=",
        "from=yesterday",
        "tennant=t1",
    ] {
        let answer = world.get(&format!("/v1/audit?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        seen += &format!("{query}\n  {}\n", String::from_utf8_lossy(&answer.body));
    }
    insta::assert_snapshot!(seen);
}

#[tokio::test(start_paused = true)]
async fn without_an_audit_trail_there_is_nothing_to_ask() {
    let world = World::with(|ports| ports.audit = None);
    let page = world.get("/v1/audit").await;
    let one = world.get("/v1/audit/a-1").await;
    insta::assert_snapshot!(page.shown() + "\n" + &one.shown());
    let reload = world.ask("POST", "/v1/rules/reload", &[], "").await;
    assert_eq!(reload.status, StatusCode::OK, "changes need no audit trail");
}

#[tokio::test(start_paused = true)]
async fn a_page_is_limited_by_bytes_and_its_cursor_continues_after_the_last_record() {
    let world = World::new();
    let large = |number: u32, mib: usize| {
        let payload = Payload::from_value(&json!({"text": "x".repeat(mib << 20)}));
        AuditRecord {
            payload: Some(payload.unwrap()),
            ..record(number, number.into())
        }
    };
    let sizes = [(1, 3), (2, 9), (3, 3), (4, 3), (5, 3)];
    world
        .keep_records(sizes.map(|(number, mib)| large(number, mib)))
        .await;
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = world.get(&format!("/v1/audit?limit=1000{cursor}")).await;
        assert_eq!(answer.json()["total"], 5);
        pages.push(ids(&answer));
        match answer.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(
        pages,
        [vec!["a-5", "a-4"], vec!["a-3"], vec!["a-2"], vec!["a-1"]]
    );
}
