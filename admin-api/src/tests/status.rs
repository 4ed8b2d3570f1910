//! Health, readiness, metrics, and the health of providers.

use std::sync::atomic::Ordering::Relaxed;

use acteon_core::health::Part;
use axum::http::StatusCode;

use super::World;

#[tokio::test(start_paused = true)]
async fn health_shows_the_counters_and_asks_nobody() {
    let world = World::new();
    world.counters.executed.fetch_add(7, Relaxed);
    let answer = world.get("/health").await;
    insta::assert_snapshot!(answer.shown());
    assert_eq!(world.state.calls().ping, 0);
}

#[tokio::test(start_paused = true)]
async fn ready_has_one_entry_per_part_and_is_an_error_like_any_other_when_one_is_not() {
    let world = World::new();
    *world.readiness.0.lock() = vec![Part::ready("audit"), Part::ready("state")];
    let ready = world.get("/ready").await;
    *world.readiness.0.lock() = vec![
        Part::ready("audit"),
        Part::unready("source:orders", "no broker answers"),
        Part::unready("state", "the state backend does not answer"),
    ];
    let unready = world.get("/ready").await;
    insta::assert_snapshot!(ready.shown() + "\n" + &unready.shown());
}

#[tokio::test(start_paused = true)]
async fn metrics_are_text_for_prometheus_and_counters_for_who_asks_for_json() {
    let world = World::new();
    let text = world.get("/metrics").await;
    assert_eq!(
        text.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(
        text.body,
        b"# TYPE acteon_x_total counter\nacteon_x_total 1\n"
    );
    let json = world
        .ask("GET", "/metrics", &[("accept", "application/json")], "")
        .await;
    assert_eq!(json.status, StatusCode::OK);
    assert_eq!(json.json(), world.get("/health").await.json()["metrics"]);
}

#[tokio::test(start_paused = true)]
async fn providers_show_all_that_is_known_of_them() {
    let answer = World::new().get("/v1/providers/health").await;
    insta::assert_snapshot!(answer.shown());
}

#[tokio::test(start_paused = true)]
async fn any_query_is_ignored() {
    let world = World::new();
    for path in ["/health", "/ready", "/metrics"] {
        for query in ["", "x=1", "%ff", "%"] {
            let answer = world.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}?{query}");
        }
    }
    for path in ["/v1/rules?%ff", "/v1/audit?tenant=%ff"] {
        let answer = world.get(path).await;
        let message = "the percent-encoding of the query is not UTF-8";
        assert_eq!(answer.json()["message"], message, "{path}");
    }
}
