//! Many actions per request.

use acteon_core::{ActionOutcome, Refusal};
use acteon_testkit::{End, FakeIntake};

use super::*;

/// Answers ids that begin with `old` from the memory for ids.
fn with_memory() -> Api {
    api(FakeIntake::settling(|envelope| {
        let outcome = ActionOutcome::Deduplicated(());
        match envelope.action.id.starts_with("old") {
            true => End::Remembered(outcome),
            false => End::Done(outcome),
        }
    }))
}

#[tokio::test]
async fn repeated_answers_are_marked_and_no_others() {
    let api = with_memory();
    let header = |response: &Response, name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let items = |ids: [&str; 4]| format!("[{}]", ids.map(wire).join(","));
    for (path, body, expected) in [
        (ONE, wire("old"), (Some("true"), None)),
        (ONE, wire("new"), (None, None)),
        (
            MANY,
            items(["old-1", "new", "", "old-2"]),
            (None, Some("0,3")),
        ),
        (MANY, items(["a", "b", "c", "d"]), (None, None)),
    ] {
        let response = api.send(posting(path, body)).await;
        let single = header(&response, "idempotent-replayed");
        let items = header(&response, "idempotent-replayed-items");
        assert_eq!((single.as_deref(), items.as_deref()), expected, "{path}");
        let (status, answer) = read(response).await;
        assert_eq!(status, 200);
        assert!(answer.contains(r#"{"Deduplicated":null}"#), "{answer}");
    }
}

fn array(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

/// Answers each action with its own id, as the name of a rule.
fn echo() -> Arc<FakeIntake> {
    FakeIntake::settling(|envelope| {
        let rule = envelope.action.id.as_str().into();
        End::Done(ActionOutcome::Suppressed { rule })
    })
}

#[tokio::test]
async fn a_batch_of_1000_is_answered_in_the_order_of_the_input() {
    let intake = echo();
    let ids: Vec<String> = (0..1000).map(|n| format!("a-{n}")).collect();
    let body = array(ids.iter().map(|id| wire(id)));
    let (status, answer) = api(intake.clone()).post(MANY, body).await;
    assert_eq!(status, 200);
    let expected = array(
        ids.iter()
            .map(|id| format!("{{\"Suppressed\":{{\"rule\":\"{id}\"}}}}")),
    );
    assert_eq!(answer, expected);
    assert_eq!(intake.batch_sizes(), [256, 256, 256, 232]);
    assert_eq!(intake.submitted_ids(), ids, "submitted in order");
}

#[tokio::test]
async fn an_invalid_item_does_not_affect_the_others() {
    let intake = FakeIntake::settling(|envelope| match envelope.action.id.as_str() {
        "full" => End::Retry(Duration::from_secs(9), Refusal::Overloaded),
        "state" => End::Retry(Duration::ZERO, Refusal::StateUnavailable),
        "busy" => End::Retry(Duration::ZERO, Refusal::Busy),
        "stop" => End::Retry(Duration::ZERO, Refusal::ShuttingDown),
        "lost" => End::Retry(Duration::ZERO, Refusal::Abandoned),
        _ => End::Done(ActionOutcome::Deduplicated(())),
    });
    let items = ["fine", "full", "state", "busy", "stop", "lost", "fine"].map(wire);
    let bad = [
        "7".to_owned(),
        wire("no-tenant").replace("\"tenant\"", "\"t\""),
        "{\"id\": [1]}".to_owned(),
        wire(&"long".repeat(65)),
    ];
    let body = array(items.into_iter().chain(bad).chain([wire("fine")]));
    let (status, answer) = api(intake.clone()).post(MANY, body).await;
    assert_eq!(status, 200);
    let answer = answer.replace("},{", "},\n{");
    insta::assert_snapshot!("batch_with_bad_items", answer);
    assert_eq!(
        intake.batch_sizes(),
        [8],
        "the invalid ones were not submitted"
    );
}

#[tokio::test]
async fn a_batch_without_valid_items_submits_nothing() {
    let intake = FakeIntake::done();
    let api = api(intake.clone());
    assert_eq!(api.post(MANY, "[]").await, (200, "[]".to_owned()));
    let (status, answer) = api.post(MANY, "[null]").await;
    assert_eq!(status, 200);
    assert!(
        answer.starts_with("[{\"error\":{\"code\":\"INVALID_ACTION\""),
        "{answer}"
    );
    assert!(intake.batch_sizes().is_empty());
}

#[tokio::test]
async fn a_batch_counts_each_of_its_actions_and_their_bytes_as_in_flight() {
    let intake = FakeIntake::holding();
    let api = api(intake.clone());
    let admission = api.source.context.admission.clone();
    let body = array(["a", "b", "c"].map(wire));
    let settle = async {
        intake.wait_for_submitted(3).await;
        assert_eq!(admission.actions_in_flight(), 3);
        let payload = u32::try_from("{}".len()).unwrap();
        assert_eq!(admission.bytes_in_flight(), 3 * payload);
        let mut held = intake.take_held();
        held.remove(1).done(ActionOutcome::Deduplicated(()));
        assert_eq!(admission.actions_in_flight(), 2);
        drop(held);
    };
    let ((status, answer), ()) = tokio::join!(api.post(MANY, body), settle);
    assert_eq!(status, 200);
    assert_eq!(
        answer.matches("INTERNAL").count(),
        2,
        "dropped unsettled: {answer}"
    );
    assert_eq!(
        (admission.actions_in_flight(), admission.bytes_in_flight()),
        (0, 0)
    );
}

#[tokio::test]
async fn a_batch_larger_than_all_the_room_there_is_goes_through_alone() {
    let intake = echo();
    let api = api_with(intake.clone(), |context| {
        context.admission = Admission::new(4, 100);
        context.max_batch = 3;
    });
    let body = array((0..10).map(|n| wire(&n.to_string())));
    let (status, _) = api.post(MANY, body).await;
    assert_eq!(status, 200);
    assert_eq!(intake.batch_sizes(), [3, 3, 3, 1]);
    assert_eq!(api.source.context.admission.actions_in_flight(), 0);
}

#[tokio::test]
async fn a_dry_run_of_a_batch_answers_for_each_item() {
    let intake = FakeIntake::done();
    let api = api(intake.clone());
    let body = array([wire("a"), "{}".to_owned(), wire("b")]);
    let (status, answer) = api.post("/v1/dispatch/batch?dry_run=true", body).await;
    assert_eq!(status, 200);
    let kinds: Vec<&str> = answer
        .match_indices("[{")
        .chain(answer.match_indices(",{"))
        .map(|(at, _)| &answer[at + 2..at + 9])
        .collect();
    assert_eq!(kinds, ["\"DryRun", "\"error\"", "\"DryRun"]);
    assert_eq!(api.source.context.counters.snapshot().dry_run, 2);
    assert_eq!(
        *api.rulebook.dry_runs.lock(),
        [["a", "b"]],
        "asked once for all"
    );
    assert!(intake.batch_sizes().is_empty());
}

#[tokio::test]
async fn work_on_a_batch_goes_on_when_the_client_hangs_up() {
    let intake = FakeIntake::done();
    intake.close();
    let api = api_with(intake.clone(), |context| context.max_batch = 2);
    {
        let body = array((0..5).map(|n| wire(&n.to_string())));
        let mut request = std::pin::pin!(api.post(MANY, body));
        assert!(futures_util::poll!(request.as_mut()).is_pending());
    }
    intake.open();
    intake.wait_for_submitted(5).await;
    assert_eq!(intake.batch_sizes(), [2, 2, 1]);
}
