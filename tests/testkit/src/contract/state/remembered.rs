//! Clauses about remembered outcomes: a courtesy to waiting callers that never blocks anything else.

use acteon_core::outcome::{FailureCode, REMEMBERED_BODY_BYTES_MAX};
use acteon_core::state::{
    Recall, RememberedOutcome, Reservation, ReservationAnswer, ReservationEnd,
};
use acteon_core::{ActionOutcome, ProviderResponse};
use serde_json::{Value, json};

use super::StateHarness;
use super::subject::*;

/// The number of outcomes that a small backend remembers.
const FEW: usize = 16;

fn outcomes() -> Vec<ActionOutcome> {
    let mut response = ProviderResponse::success(&json!({"ok": true, "n": [1, 2.5, "é"]})).unwrap();
    response.headers = vec![("x-request-id".into(), "abc".into())];
    let rerouted = ActionOutcome::Rerouted {
        original_provider: "a".into(),
        new_provider: "b".into(),
        response: response.clone(),
    };
    let failed = ActionOutcome::Failed(acteon_core::Failure {
        code: FailureCode::ExecutionFailed,
        message: "no such address".into(),
        retryable: false,
        attempts: 1,
    });
    let suppressed = ActionOutcome::Suppressed {
        rule: "mute".into(),
    };
    let executed = ActionOutcome::Executed(response);
    vec![
        executed,
        rerouted,
        failed,
        suppressed,
        ActionOutcome::Deduplicated(()),
    ]
}

/// Every kind of outcome, unchanged to the byte. After its time the id is free.
pub async fn an_outcome_is_answered_again_as_it_was_and_for_its_time<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let outcomes = outcomes();
    for (at, outcome) in outcomes.iter().enumerate() {
        let held = subject.take(&id(&at.to_string())).await;
        subject
            .settle(remembered(&held, outcome, H::UNIT * TTL))
            .await;
    }
    for round in 0..2 {
        for (at, outcome) in outcomes.iter().enumerate() {
            let ReservationAnswer::Remembered(again) =
                subject.ask(&recalling(&at.to_string())).await
            else {
                panic!("{outcome:?} is remembered in round {round}");
            };
            let text = |outcome| serde_json::to_string(outcome).unwrap();
            assert_eq!(text(&*again), text(outcome));
        }
        subject.pass(f64::from(TTL) / 2.0 - 1.0).await;
    }
    subject.pass(3.0).await;
    assert_granted(&subject.ask(&recalling("0")).await);
}

/// An action that rules ended without a delivery has an outcome too.
pub async fn an_outcome_is_remembered_although_nothing_was_delivered<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let whole = all(&[id("a"), key::<H>("k")]);
    let held = subject.take(&whole).await;
    let mut settlement = remembered(&held, &outcomes()[3], H::UNIT * TTL);
    settlement.end = ReservationEnd::Release;
    subject.settle(settlement).await;
    assert_remembered(&subject.ask(&recalling("a")).await);
    assert_granted(&subject.ask(&key::<H>("k")).await);
}

/// An action refused as a duplicate has an outcome too, and holds nothing.
pub async fn an_outcome_is_remembered_although_nothing_is_held<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let held = subject.take(&recalling("other")).await;
    let mut settlement = remembered(&held, &outcomes()[3], H::UNIT * TTL);
    settlement.held = None;
    if let Some(remember) = &mut settlement.remember {
        remember.under = recalling("a").lease.unwrap();
    }
    subject.settle(settlement).await;
    assert_remembered(&subject.ask(&recalling("a")).await);
    assert_granted(&subject.ask(&id("a")).await);
}

/// Two at once are both granted, and whoever asks later gets the answer. The grant is no lease.
pub async fn an_outcome_is_remembered_without_a_lease<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let unleased = Reservation {
        recall: Recall::Under(recalling("a").lease.unwrap()),
        ..Reservation::default()
    };
    let held = subject.take(&unleased).await;
    assert_granted(&subject.ask(&unleased).await);
    let mut settlement = remembered(&held, &outcomes()[0], H::UNIT * TTL);
    settlement.remember = Some(RememberedOutcome {
        under: recalling("a").lease.unwrap(),
        outcome: outcomes()[0].clone(),
        ttl: H::UNIT * TTL,
    });
    subject.settle(settlement).await;
    assert_remembered(&subject.ask(&unleased).await);
    assert_remembered(&subject.ask(&recalling("a")).await);
    assert_granted(&subject.ask(&id("a")).await);
}

/// A broker's action with the same id is granted. Neither the grant nor its settlement changes the remembered outcome.
pub async fn an_outcome_is_not_the_answer_for_a_broker<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let held = subject.take(&recalling("a")).await;
    let settlement = remembered(&held, &outcomes()[0], H::UNIT * TTL);
    subject.settle(settlement).await;
    let of_broker = subject.take(&id("a")).await;
    subject.fail(&of_broker).await;
    let of_broker = subject.take(&id("a")).await;
    subject.deliver(&of_broker).await;
    assert_remembered(&subject.ask(&recalling("a")).await);
    assert_granted(&subject.ask(&id("a")).await);
}

/// A caller that asks again gets the answer at once, even while a broker's action holds the id.
pub async fn a_lease_does_not_hide_a_remembered_outcome<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let held = subject.take(&recalling("a")).await;
    let settlement = remembered(&held, &outcomes()[0], H::UNIT * TTL);
    subject.settle(settlement).await;
    let of_broker = subject.take(&id("a")).await;
    assert_remembered(&subject.ask(&recalling("a")).await);
    assert_busy(
        &subject.ask(&id("a")).await,
        id("a").lease.as_ref().unwrap(),
    );
    assert!(
        subject.renew(&of_broker).await,
        "the grant still holds the id"
    );
}

/// A body of 4 KiB is kept. A longer one is replaced by `{"truncated": true}`.
pub async fn a_long_body_is_answered_again_as_truncated<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let longest = REMEMBERED_BODY_BYTES_MAX - json!({"text": ""}).to_string().len();
    for (name, length) in [("kept", longest), ("truncated", longest + 1)] {
        let body = json!({"text": "x".repeat(length)});
        let mut response = ProviderResponse::success(&body).unwrap();
        response.headers = vec![("x-request-id".into(), "abc".into())];
        let held = subject.take(&recalling(name)).await;
        let outcome = ActionOutcome::Executed(response);
        let settlement = remembered(&held, &outcome, H::UNIT * TTL);
        subject.settle(settlement).await;
        let ReservationAnswer::Remembered(again) = subject.ask(&recalling(name)).await else {
            panic!("expected the remembered outcome");
        };
        let ActionOutcome::Executed(response) = *again else {
            panic!("{again:?}");
        };
        let expected = match name {
            "kept" => body,
            _ => json!({"truncated": true}),
        };
        let found: Value = serde_json::from_str(response.body.get()).unwrap();
        assert_eq!(found, expected);
        assert_eq!(response.headers.len(), 1);
    }
}

/// However many there are, each new action is granted at once, and the last outcome is remembered.
pub async fn remembered_outcomes_never_make_a_reservation_wait_or_fail<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let subject = subject.through(harness.remembering(FEW).await);
    let body = json!({"text": "x".repeat(REMEMBERED_BODY_BYTES_MAX / 2)});
    let outcome = ActionOutcome::Executed(ProviderResponse::success(&body).unwrap());
    for number in 0..20 * FEW {
        let asked = recalling(&number.to_string());
        let held = subject.take(&asked).await;
        let settlement = remembered(&held, &outcome, H::UNIT * 1000);
        subject.settle(settlement).await;
        assert_remembered(&subject.ask(&asked).await);
    }
}

/// If room is short, only remembered outcomes are forgotten.
pub async fn what_is_in_force_outlives_all_that_is_remembered<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let subject = subject.through(harness.remembering(FEW).await);
    let held = subject.take(&all(&[id("held"), key::<H>("held")])).await;
    let confirmed = subject.take(&key::<H>("confirmed")).await;
    subject.deliver(&confirmed).await;
    for number in 0..10 * FEW {
        let taken = subject.take(&recalling(&number.to_string())).await;
        let settlement = remembered(&taken, &outcomes()[0], H::UNIT * 1000);
        subject.settle(settlement).await;
    }
    assert!(
        subject.renew(&held).await,
        "the grant still holds both keys"
    );
    assert_duplicate(&subject.ask(&key::<H>("confirmed")).await, 0);
}
