//! Pages of redeliveries.

use axum::http::StatusCode;

use super::samples::redelivering;
use super::{Answer, World};

fn ids(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let waiting = json["redeliveries"].as_array().unwrap();
    waiting
        .iter()
        .map(|one| one["action_id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_page_shows_what_is_due_soonest_first_with_its_attempts() {
    let world = World::new();
    let mut untried = redelivering(2, 5);
    untried.history.last.clear();
    untried.history.attempts = 0;
    *world.redeliveries.0.lock() = vec![redelivering(1, 30), untried];
    insta::assert_snapshot!(world.get("/v1/redeliveries").await.shown());
}

#[tokio::test(start_paused = true)]
async fn filters_hold_and_a_walk_by_cursor_sees_each_action_once() {
    let world = World::new();
    // Pairs are due at the same time: the place in the source distinguishes them.
    let mut waiting: Vec<_> = (0..10_u32)
        .map(|number| redelivering(number, i64::from(number / 2)))
        .collect();
    let mut other = redelivering(11, 0);
    other.namespace = "ns2".into();
    other.tenant = "t2".into();
    other.provider = "email".into();
    other.action_type = "other".into();
    waiting.push(other);
    *world.redeliveries.0.lock() = waiting;
    for (filters, count) in [
        ("", 11),
        ("namespace=ns2", 1),
        ("tenant=t1", 10),
        ("provider=email", 1),
        ("action_type=test", 10),
        ("namespace=ns2&tenant=t1", 0),
    ] {
        let answer = world.get(&format!("/v1/redeliveries?{filters}")).await;
        assert_eq!(ids(&answer).len(), count, "{filters}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = world
            .get(&format!("/v1/redeliveries?tenant=t1&limit=3{cursor}"))
            .await;
        seen.extend(ids(&answer));
        match answer.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..10).map(|number| format!("a-{number}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_makes_no_sense_names_the_parameter() {
    let world = World::new();
    let mut seen = String::new();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=many",
        "cursor=AAAA",
        "cursor=",
        "offset=1",
        "kind=exhausted",
    ] {
        let answer = world.get(&format!("/v1/redeliveries?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        seen += &format!("{query}\n  {}\n", String::from_utf8_lossy(&answer.body));
    }
    insta::assert_snapshot!(seen);
}
