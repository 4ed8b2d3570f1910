//! The memory for request bodies.

use std::convert::Infallible;
use std::time::Duration;

use acteon_connect_http::ApiService;
use acteon_core::Admission;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::time::timeout;
use tower::ServiceExt;

use super::World;
use crate::routers;

const EVALUATE: &str = "/v1/rules/evaluate";
const ACTION: &str =
    r#"{"namespace":"n","tenant":"t","provider":"p","action_type":"a","payload":1}"#;

/// A body of 80 KiB in two pieces whose end never arrives.
fn unfinished(path: &str) -> Request<Body> {
    let piece = || Ok::<_, Infallible>(Bytes::from(vec![b' '; 40 << 10]));
    let body = Body::from_stream(stream::iter([piece(), piece()]).chain(stream::pending()));
    let request = Request::post(path).header("content-type", "application/json");
    request.body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_action_to_evaluate_takes_room_while_it_arrives_and_is_refused_without_room() {
    let admission = Admission::new(10, 1 << 20);
    let world = World::with(|ports| ports.admission = admission.clone());
    let api = ApiService::new(routers(&world.api).admin, 2 << 20);
    let arriving = api.oneshot(unfinished(EVALUATE));
    let arriving = async {
        let arriving = timeout(Duration::from_secs(1), arriving);
        assert!(arriving.await.is_err(), "the body never ends");
    };
    let look = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(admission.bytes_in_flight() >= 80 << 10);
    };
    tokio::join!(arriving, look);
    assert_eq!(admission.bytes_in_flight(), 0);
    let taken = admission.admit(0, 1 << 20).await;
    let refused = world.send("POST", EVALUATE, ACTION).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.json()["code"], "OVERLOADED");
    drop(taken);
    let answer = world.send("POST", EVALUATE, ACTION).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(admission.bytes_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_bodies_of_other_requests_are_small() {
    let world = World::new();
    for (method, path) in [
        ("POST", "/v1/rules/reload"),
        ("PUT", "/v1/rules/mute-tests/enabled"),
        ("POST", "/v1/dead-letters/delete"),
        ("POST", "/v1/dead-letters/replay"),
        ("POST", "/v1/providers/hook/breaker"),
        ("POST", "/v1/providers/hook/test"),
    ] {
        let api = ApiService::new(routers(&world.api).admin, 2 << 20);
        let mut request = unfinished(path);
        *request.method_mut() = method.parse().unwrap();
        let answer = api.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
}
