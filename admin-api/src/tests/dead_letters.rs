//! Dead letters: pages, one with its bytes, and deletion.

use acteon_core::{DeadLetter, Redactor};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::samples::{exhausted, letter_id, poison};
use super::{Answer, World};

const BROKEN: &[u8] = b"{oops";

fn ids(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let letters = json["dead_letters"].as_array().unwrap();
    letters
        .iter()
        .map(|letter| letter["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_page_shows_the_newest_first_and_no_bytes() {
    let world = World::new();
    world.keep_letters([exhausted(1), poison(2, BROKEN)]).await;
    insta::assert_snapshot!(world.get("/v1/dead-letters").await.shown());
}

#[tokio::test(start_paused = true)]
async fn filters_hold_and_a_walk_by_cursor_sees_each_letter_once() {
    let world = World::new();
    world.keep_letters((1..=10).map(exhausted)).await;
    let mut other = exhausted(11);
    other.action.as_mut().unwrap().tenant = "t2".into();
    world.keep_letters([other, poison(12, BROKEN)]).await;
    for (filters, total) in [
        ("", 12),
        ("kind=poison", 1),
        ("kind=exhausted", 11),
        ("namespace=ns&tenant=t2", 1),
        ("namespace=other", 0),
    ] {
        let answer = world.get(&format!("/v1/dead-letters?{filters}")).await;
        assert_eq!(answer.json()["total"], total, "{filters}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = world
            .get(&format!("/v1/dead-letters?tenant=t1&limit=4{cursor}"))
            .await;
        seen.extend(ids(&answer));
        match answer.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = (1..=10).rev().map(letter_id).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn one_letter_shows_its_bytes_as_text_or_in_base64() {
    let world = World::new();
    world
        .keep_letters([
            exhausted(1),
            poison(2, BROKEN),
            poison(3, b"{\"a\": [1,  2]}"),
        ])
        .await;
    let delivered = world
        .get(&format!("/v1/dead-letters/{}", letter_id(1)))
        .await;
    let broken = world
        .get(&format!("/v1/dead-letters/{}", letter_id(2)))
        .await;
    insta::assert_snapshot!(delivered.shown() + "\n" + &broken.shown());
    let as_it_came = world
        .get(&format!("/v1/dead-letters/{}", letter_id(3)))
        .await
        .json();
    assert_eq!(as_it_came["raw"], "{\"a\": [1,  2]}");
}

#[tokio::test(start_paused = true)]
async fn what_is_redacted_in_the_audit_trail_is_redacted_here() {
    let world = World::with(|ports| {
        let fields = ["token", "card.number"].map(str::to_owned);
        ports.redactor = Redactor::new(fields, "[REDACTED]");
    });
    let twice = br#"{"payload":{"token":"a"},"payload":{"card":[{"number":1,"kept":2}]}}"#;
    world.keep_letters([exhausted(1), poison(2, twice)]).await;
    let raw = async |number| {
        let answer = world
            .get(&format!("/v1/dead-letters/{}", letter_id(number)))
            .await
            .json();
        serde_json::from_str::<Value>(answer["raw"].as_str().unwrap()).unwrap()
    };
    assert_eq!(
        raw(1).await["payload"],
        json!({"n": 1, "token": "[REDACTED]"})
    );
    let payload = json!({"card": [{"number": "[REDACTED]", "kept": 2}]});
    assert_eq!(raw(2).await, json!({ "payload": payload }));
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_deleted_once_and_its_end_is_recorded_where_it_belongs() {
    let world = World::new();
    world.keep_letters([exhausted(1)]).await;
    let path = format!("/v1/dead-letters/{}", letter_id(1));
    let first = world.ask("DELETE", &path, &[], "").await;
    let second = world.ask("DELETE", &path, &[], "").await;
    insta::assert_snapshot!(first.shown() + "\n" + &second.shown());
    let records = world.trail.records();
    assert_eq!(records.len(), 1, "where nothing was, nothing was changed");
    let record = &records[0];
    assert_eq!(record.subject.action_type, "acteon.dead_letters.delete");
    assert_eq!(
        (
            record.subject.namespace.as_str(),
            record.subject.tenant.as_str()
        ),
        ("ns", "t1")
    );
    assert_eq!(record.outcome.name(), "deleted");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_makes_no_sense_names_the_parameter() {
    let world = World::new();
    let mut seen = String::new();
    for query in [
        "kind=dead",
        "limit=0",
        "limit=1001",
        "cursor=AAAA",
        "cursor=",
        "offset=1",
    ] {
        let answer = world.get(&format!("/v1/dead-letters?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        seen += &format!("{query}\n  {}\n", String::from_utf8_lossy(&answer.body));
    }
    insta::assert_snapshot!(seen);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_limited_by_bytes_and_its_cursor_continues_after_the_last_letter() {
    let world = World::new();
    let large = |number| DeadLetter {
        message: "x".repeat(3 << 20).into(),
        ..exhausted(number)
    };
    world.keep_letters((1..=5).map(large)).await;
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = world
            .get(&format!("/v1/dead-letters?limit=1000{cursor}"))
            .await;
        assert_eq!(answer.json()["total"], 5);
        pages.push(ids(&answer).len());
        match answer.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, [2, 2, 1]);
}
