//! A dead letter is replayed by one request at a time.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{ActionOutcome, ProviderResponse, Refusal};
use acteon_testkit::{End, FakeIntake, Reach};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::World;
use super::samples::{exhausted, letter_id};

const BULK: &str = "/v1/dead-letters/replay";

fn executed() -> ActionOutcome {
    ActionOutcome::Executed(ProviderResponse::success(&json!({"logged": true})).unwrap())
}

fn over(intake: &Arc<FakeIntake>) -> World {
    let intake = intake.clone();
    World::with(|ports| ports.intake = intake)
}

fn path(number: u32) -> String {
    format!("/v1/dead-letters/{}/replay", letter_id(number))
}

fn deliver_held(intake: &FakeIntake) {
    for delivery in intake.take_held() {
        delivery.done(executed());
    }
}

async fn bulk(world: &World) -> Value {
    world.send("POST", BULK, r#"{"filter":{}}"#).await.json()
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_being_replayed_is_refused_to_others_for_as_long_as_that_takes() {
    let intake = FakeIntake::holding();
    let world = over(&intake);
    world.keep_letters([exhausted(1)]).await;
    let path = path(1);
    let others = async {
        intake.wait_for_submitted(1).await;
        for _ in 0..3 {
            sleep(Duration::from_secs(600)).await;
            let refused = world.ask("POST", &path, &[], "").await;
            assert_eq!(refused.status, StatusCode::CONFLICT);
            let error = json!({
                "code": "REPLAY_IN_PROGRESS",
                "message": format!("the dead letter \"{}\" is being replayed", letter_id(1)),
                "retryable": true,
            });
            assert_eq!(refused.json(), error);
        }
        deliver_held(&intake);
    };
    let (first, ()) = tokio::join!(world.ask("POST", &path, &[], ""), others);
    assert_eq!(first.status, StatusCode::OK);
    let after = world.ask("POST", &path, &[], "").await;
    assert_eq!(after.status, StatusCode::NOT_FOUND);
    assert_eq!(intake.submitted_ids(), ["a-1"]);
    assert_eq!(
        world.trail.records().len(),
        1,
        "only one replay changed anything"
    );
}

#[tokio::test(start_paused = true)]
async fn parallel_replays_deliver_once() {
    let intake = FakeIntake::settling(|_| End::Done(executed()));
    let world = over(&intake);
    world.keep_letters([exhausted(1)]).await;
    let path = path(1);
    let ask = || world.ask("POST", &path, &[], "");
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    let answers = [a, b, c, d];
    let delivered = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::OK);
    assert_eq!(delivered.count(), 1);
    assert_eq!(intake.submitted_ids(), ["a-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_replay_asked_for_again_delivers_no_letter_twice() {
    let intake = FakeIntake::holding();
    let world = over(&intake);
    world.keep_letters((1..=10).map(exhausted)).await;
    tokio::select! {
        _ = bulk(&world) => panic!("nothing was settled"),
        () = intake.wait_for_submitted(10) => {}
    }
    let expected = json!({"matched": 10, "done": 0, "failed": 0, "next_cursor": null});
    assert_eq!(
        bulk(&world).await,
        expected,
        "the first request replays all of them"
    );
    deliver_held(&intake);
    world.api.drain().await;
    let expected = json!({"matched": 0, "done": 0, "failed": 0, "next_cursor": null});
    assert_eq!(bulk(&world).await, expected);
    assert_eq!(intake.submitted_ids().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_fails_leaves_the_letter_to_the_next_one() {
    let after = Duration::from_secs(1);
    let intake = FakeIntake::settling(move |_| End::Retry(after, Refusal::Overloaded));
    let world = over(&intake);
    world.keep_letters([exhausted(1)]).await;
    for _ in 0..2 {
        let answer = world.ask("POST", &path(1), &[], "").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(intake.submitted_ids().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_delivered_letter_that_could_not_be_deleted_is_only_deleted_later() {
    let intake = FakeIntake::holding();
    let world = over(&intake);
    world.keep_letters([exhausted(1)]).await;
    let path = path(1);
    let settle = async {
        intake.wait_for_submitted(1).await;
        world.state.set_reach(Reach::NoDeletions);
        deliver_held(&intake);
    };
    let (first, ()) = tokio::join!(world.ask("POST", &path, &[], ""), settle);
    assert_eq!(first.json()["deleted"], false);
    world.state.set_reach(Reach::Whole);
    let again = world.ask("POST", &path, &[], "").await.json();
    assert_eq!(
        (&again["outcome"], &again["deleted"]),
        (&json!({"Deduplicated": null}), &json!(true))
    );
    assert_eq!(intake.submitted_ids(), ["a-1"]);
}
