//! Replays of dead letters.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::audit::AuditedOutcome;
use acteon_core::state::{GROUP_NOTIFICATION, SUMMARY_STREAM};
use acteon_core::{
    ActionOutcome, Admission, DeliveryProgress, Failure, FailureCode, Parked, Policy,
    ProviderResponse, Refusal,
};
use acteon_testkit::{End, FakeIntake, Reach};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::World;
use super::samples::{exhausted, letter_id, poison};

fn executed() -> ActionOutcome {
    ActionOutcome::Executed(ProviderResponse::success(&json!({"logged": true})).unwrap())
}

fn over(intake: Arc<FakeIntake>) -> World {
    World::with(|ports| ports.intake = intake)
}

fn path(number: u32) -> String {
    format!("/v1/dead-letters/{}/replay", letter_id(number))
}

async fn left(world: &World) -> Value {
    world.get("/v1/dead-letters").await.json()["total"].clone()
}

#[tokio::test(start_paused = true)]
async fn what_is_delivered_goes_under_its_original_id_and_its_letter_is_deleted() {
    let intake = FakeIntake::settling(|_| End::Done(executed()));
    let world = over(intake.clone());
    world.keep_letters([exhausted(1)]).await;
    let answer = world.ask("POST", &path(1), &[], "").await;
    insta::assert_snapshot!(answer.shown());
    assert_eq!(left(&world).await, 0);
    let envelope = intake.submitted().remove(0);
    assert_eq!(
        (envelope.action.id.as_str(), envelope.id_given),
        ("a-1", true)
    );
    assert_eq!(envelope.policy, Policy::Replay);
    assert_eq!(envelope.position.to_string(), "replay:kafka:orders/3@1");
    assert_eq!(envelope.caller.auth_method, "anonymous");
    assert_eq!(envelope.raw, *exhausted(1).raw);
    let record = world.trail.records().remove(0);
    assert_eq!(record.subject.action_type, "acteon.dead_letters.replay");
    assert_eq!(
        (
            record.subject.namespace.as_str(),
            record.subject.tenant.as_str()
        ),
        ("ns", "t1")
    );
    let AuditedOutcome::Other(name, details) = &record.outcome else {
        panic!("expected the record of an administrative change")
    };
    let expected =
        json!({"dead_letter_id": letter_id(1), "action_id": "a-1", "outcome": "executed"});
    assert_eq!(
        (name.as_str(), details.get()),
        ("replayed", expected.to_string().as_str())
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_source_had_put_in_is_put_in_again() {
    let intake = FakeIntake::done();
    let world = over(intake.clone());
    let mut bare = exhausted(1);
    bare.raw = Parked::new(br#"{"payload":{"n":1}}"#.as_slice().into());
    world.keep_letters([bare]).await;
    let answer = world.ask("POST", &path(1), &[], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    let envelope = intake.submitted().remove(0);
    assert!(
        !envelope.id_given,
        "the key of the first attempts was the generated id"
    );
    let action = envelope.action;
    assert_eq!(
        (action.id.as_str(), action.namespace.as_str()),
        ("a-1", "ns")
    );
    assert_eq!(
        (action.tenant.as_str(), action.provider.as_str()),
        ("t1", "log")
    );
}

#[tokio::test(start_paused = true)]
async fn the_summary_of_a_group_keeps_the_key_of_its_first_attempts() {
    let intake = FakeIntake::done();
    let world = over(intake.clone());
    let mut summary = exhausted(1);
    summary.source = format!("{SUMMARY_STREAM}a-1").into();
    if let Some(action) = &mut summary.action {
        action.action_type = GROUP_NOTIFICATION.into();
    }
    world.keep_letters([summary]).await;
    world.ask("POST", &path(1), &[], "").await;
    assert!(!intake.submitted().remove(0).id_given);
}

#[tokio::test(start_paused = true)]
async fn a_letter_stays_only_when_its_action_has_not_come_to_its_end() {
    let failed = Failure {
        code: FailureCode::Timeout,
        message: "no answer within 30s".into(),
        retryable: true,
        attempts: 4,
    };
    let table = [
        (executed(), true),
        (ActionOutcome::Deduplicated(()), true),
        (
            ActionOutcome::Suppressed {
                rule: "mute".into(),
            },
            true,
        ),
        (ActionOutcome::Failed(failed), false),
        (
            ActionOutcome::Throttled {
                retry_after: Duration::from_secs(3),
            },
            false,
        ),
        (
            ActionOutcome::CircuitOpen {
                provider: "log".into(),
                fallback_chain: vec![],
            },
            false,
        ),
    ];
    for (outcome, deleted) in table {
        let name = outcome.name();
        let world = over(FakeIntake::settling(move |_| End::Done(outcome.clone())));
        world.keep_letters([exhausted(1)]).await;
        let answer = world.ask("POST", &path(1), &[], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        assert_eq!(answer.json()["deleted"], deleted, "{name}");
        assert_eq!(left(&world).await, u8::from(!deleted), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_replayed_says_why_and_its_letter_stays() {
    let mut seen = Vec::new();
    let world = World::new();
    world
        .keep_letters([poison(1, b"{oops"), poison(2, br#"{"payload":1}"#)])
        .await;
    seen.push(world.ask("POST", &path(1), &[], "").await.shown());
    seen.push(world.ask("POST", &path(2), &[], "").await.shown());
    seen.push(world.ask("POST", &path(3), &[], "").await.shown());
    assert_eq!(left(&world).await, 2);
    let names: Vec<_> = world
        .trail
        .records()
        .iter()
        .map(|r| r.outcome.name().to_owned())
        .collect();
    assert_eq!(names, ["failed", "failed"]);
    for refusal in [
        Refusal::Overloaded,
        Refusal::Busy,
        Refusal::StateUnavailable,
        Refusal::ShuttingDown,
        Refusal::Abandoned,
    ] {
        let after = Duration::from_secs(2);
        let world = over(FakeIntake::settling(move |_| End::Retry(after, refusal)));
        world.keep_letters([exhausted(1)]).await;
        let answer = world.ask("POST", &path(1), &[], "").await;
        seen.push(format!("{refusal:?}: {}", answer.shown()));
        assert_eq!(left(&world).await, 1);
    }
    insta::assert_snapshot!(seen.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_replay_waits_for_room_and_not_for_long() {
    let admission = Admission::new(1, 1 << 20);
    let world = World::with(|ports| ports.admission = admission.clone());
    world.keep_letters([exhausted(1)]).await;
    let taken = admission.admit(1, 1).await;
    let full = world.ask("POST", &path(1), &[], "").await;
    assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        (full.json()["code"].clone(), &full.headers["retry-after"]),
        (json!("OVERLOADED"), &"1".parse().unwrap())
    );
    drop(taken);
    assert_eq!(
        world.ask("POST", &path(1), &[], "").await.status,
        StatusCode::OK
    );
    assert_eq!(admission.actions_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_replay_goes_to_its_end_when_the_client_hangs_up() {
    let intake = FakeIntake::holding();
    let world = over(intake.clone());
    world.keep_letters([exhausted(1)]).await;
    let path = path(1);
    tokio::select! {
        _ = world.ask("POST", &path, &[], "") => panic!("nothing was settled"),
        () = intake.wait_for_submitted(1) => {}
    }
    for delivery in intake.take_held() {
        delivery.done(executed());
    }
    world.api.drain().await;
    assert_eq!(left(&world).await, 0);
    assert_eq!(world.trail.records()[0].outcome.name(), "replayed");
}

#[tokio::test(start_paused = true)]
async fn a_state_that_fails_after_the_delivery_takes_nothing_from_the_answer() {
    let intake = FakeIntake::holding();
    let world = over(intake.clone());
    world.keep_letters([exhausted(1)]).await;
    let path = path(1);
    let settle = async {
        intake.wait_for_submitted(1).await;
        world.state.set_reach(Reach::CutOff);
        intake
            .take_held()
            .into_iter()
            .for_each(|delivery| delivery.done(executed()));
    };
    let (answer, ()) = tokio::join!(world.ask("POST", &path, &[], ""), settle);
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["deleted"], false);
}

#[tokio::test(start_paused = true)]
async fn a_replay_continues_from_the_progress_of_the_letter() {
    let intake = FakeIntake::done();
    let world = over(intake.clone());
    let progress = DeliveryProgress {
        has_accepted: true,
        state: "a".into(),
    };
    let mut letter = exhausted(1);
    letter.action.as_mut().unwrap().progress = Some(Box::new(progress.clone()));
    world.keep_letters([letter]).await;
    world.ask("POST", &path(1), &[], "").await;
    assert_eq!(intake.submitted()[0].progress(), Some(&progress));
}

/// Otherwise the next replay would deliver the accepted parts again.
#[tokio::test(start_paused = true)]
async fn a_replay_that_fails_in_part_leaves_its_progress_in_the_letter() {
    let progress = |state: &str| DeliveryProgress {
        has_accepted: true,
        state: state.into(),
    };
    let intake = FakeIntake::settling(move |envelope| {
        let before = envelope.progress().map_or("", |progress| &progress.state);
        let failure = Failure {
            code: FailureCode::ExecutionFailed,
            message: "deferred 1 of 3 recipients".into(),
            retryable: false,
            attempts: 1,
        };
        End::Partly(
            ActionOutcome::Failed(failure),
            progress(&format!("{before}a")),
        )
    });
    let world = over(intake.clone());
    world.keep_letters([exhausted(1)]).await;
    for _ in 0..3 {
        let answer = world.ask("POST", &path(1), &[], "").await;
        assert_eq!(answer.json()["deleted"], false);
    }
    let submitted = intake.submitted();
    let states: Vec<_> = submitted
        .iter()
        .map(|one| one.progress().cloned())
        .collect();
    assert_eq!(states, [None, Some(progress("a")), Some(progress("aa"))]);
}

#[tokio::test(start_paused = true)]
async fn a_notice_goes_to_the_provider_that_has_not_accepted_it() {
    let intake = FakeIntake::settling(|_| End::Done(executed()));
    let world = over(intake.clone());
    let mut letter = exhausted(1);
    letter.source = "timeouts".into();
    if let Some(action) = &mut letter.action {
        action.provider = "hook".into();
    }
    world.keep_letters([letter]).await;
    world.ask("POST", &path(1), &[], "").await;
    assert_eq!(intake.submitted()[0].action.provider, "hook");
}
