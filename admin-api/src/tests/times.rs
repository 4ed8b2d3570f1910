//! Every time that a client sends is read by the same rules.

use axum::http::StatusCode;
use serde_json::json;

use super::{Answer, World};

const FIRST: &str = "0001-01-01T00:00:00Z";
const LAST: &str = "9999-12-31T23:59:59Z";
const YEAR: &str = "the year must be from 0001 to 9999";
const FORMAT: &str = "must be a time of RFC 3339, such as 2026-01-01T09:00:00Z";

/// The answers to requests with this time in each place that takes one, with the name of the place.
async fn answers(world: &World, time: &str) -> Vec<(&'static str, Answer)> {
    let evaluate = json!({
        "namespace": "n", "tenant": "t", "provider": "p", "action_type": "a", "payload": 1, "evaluate_at": time,
    });
    let filter = |name: &str| json!({"filter": {name: time}}).to_string();
    let delete = "/v1/dead-letters/delete";
    vec![
        ("from", world.get(&format!("/v1/audit?from={time}")).await),
        ("to", world.get(&format!("/v1/audit?to={time}")).await),
        (
            "from",
            world.get(&format!("/v1/dead-letters?from={time}")).await,
        ),
        (
            "to",
            world.get(&format!("/v1/dead-letters?to={time}")).await,
        ),
        (
            "filter.from",
            world.send("POST", delete, &filter("from")).await,
        ),
        ("filter.to", world.send("POST", delete, &filter("to")).await),
        (
            "evaluate_at",
            world
                .send("POST", "/v1/rules/evaluate", &evaluate.to_string())
                .await,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_time_of_the_years_1_to_9999_is_accepted() {
    let world = World::new();
    for time in [FIRST, LAST] {
        for (name, answer) in answers(&world, time).await {
            assert_eq!(answer.status, StatusCode::OK, "{name} {time}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_other_time_is_refused_in_the_same_words() {
    let world = World::new();
    for (time, message) in [
        ("0000-12-31T23:59:59Z", YEAR),
        ("9999-12-31T23:59:59-01:00", FORMAT),
        ("2026-01-01", FORMAT),
        ("noon", FORMAT),
    ] {
        for (name, answer) in answers(&world, time).await {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name} {time}");
            let shown = answer.json()["message"].as_str().unwrap().to_owned();
            assert!(
                shown.starts_with(&format!("`{name}`: {message}")),
                "{shown}"
            );
        }
    }
}
