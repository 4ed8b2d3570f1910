//! One action per request.

use std::pin::pin;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use acteon_core::decode::decode;
use acteon_core::{ActionOutcome, Caller, Delivery, Failure, Feed, Intake, Loan, Poison, Policy};
use acteon_testkit::{End, FakeIntake, epoch};
use futures_util::future::join_all;
use futures_util::poll;
use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn an_action_is_submitted_unchanged_and_its_outcome_is_the_answer() {
    let intake = FakeIntake::done();
    let (status, answer) = api(intake.clone()).post(ONE, wire("a-1")).await;
    assert_eq!((status, answer.as_str()), (200, r#"{"Deduplicated":null}"#));
    let [envelope] = &intake.submitted()[..] else {
        panic!("one action came");
    };
    assert_eq!(envelope.action, acteon_testkit::action("a-1").build());
    assert!(envelope.id_given);
    assert_eq!(envelope.position.to_string(), "http");
    assert_eq!(envelope.caller, Caller::anonymous());
    assert_eq!(envelope.policy, Policy::Answer);
    assert_eq!(envelope.received_at.as_second(), epoch().as_second());
    assert_eq!(envelope.raw, wire("a-1"));
}

#[tokio::test]
async fn an_action_without_an_id_gets_one_that_needs_no_lease() {
    let intake = FakeIntake::done();
    let body = wire("a-1").replace("\"a-1\"", "null");
    api(intake.clone()).post(ONE, body).await;
    let envelope = &intake.submitted()[0];
    assert_eq!(envelope.action.id.len(), 36);
    assert!(!envelope.id_given);
}

#[tokio::test]
async fn a_payload_of_64_kib_is_not_copied() {
    let intake = FakeIntake::done();
    let payload = format!("{{\"text\":\"{}\"}}", "x".repeat(64 << 10));
    let body = wire_with("a-1", &payload);
    let (status, _) = api(intake.clone()).post(ONE, body).await;
    assert_eq!(status, 200);
    let envelope = &intake.submitted()[0];
    let payload = envelope.action.payload.as_bytes();
    assert_eq!(payload.len(), (64 << 10) + 11);
    assert!(envelope.raw.as_ptr_range().contains(&payload.as_ptr()));
}

#[tokio::test]
async fn trace_headers_speak_for_actions_that_say_nothing_themselves() {
    let traced = |body: String| {
        let mut request = posting(ONE, body);
        let headers = request.headers_mut();
        headers.insert("traceparent", "00-aa-bb-01".parse().unwrap());
        headers.insert("tracestate", "vendor=1".parse().unwrap());
        request
    };
    let own = r#""trace_context":{"traceparent":"own"}"#;
    let own = wire("b").replace("\"trace_context\":{}", own);
    let intake = FakeIntake::done();
    let api = api(intake.clone());
    api.send(traced(wire("a"))).await;
    api.send(traced(own)).await;
    let mut orphan = traced(wire("c"));
    orphan.headers_mut().remove("traceparent");
    api.send(orphan).await;
    let contexts: Vec<String> = intake
        .submitted()
        .iter()
        .map(|e| serde_json::to_string(&e.action.trace_context).unwrap())
        .collect();
    let from_headers = r#"{"traceparent":"00-aa-bb-01","tracestate":"vendor=1"}"#;
    assert_eq!(contexts, [from_headers, r#"{"traceparent":"own"}"#, "{}"]);
}

#[tokio::test]
async fn an_action_that_needs_no_waiting_is_answered_in_the_same_poll() {
    let api = api(FakeIntake::done());
    assert!(matches!(
        poll!(pin!(api.post(ONE, wire("a")))),
        Poll::Ready((200, _))
    ));
    assert!(api.source.work.is_empty());
}

#[tokio::test]
async fn requests_that_arrive_while_others_wait_are_submitted_together() {
    let intake = FakeIntake::done();
    intake.close();
    let api = api_with(intake.clone(), |context| context.max_batch = 24);
    api.post(ONE, wire("first")).await;
    let ids: Vec<String> = (0..64).map(|n| format!("a-{n}")).collect();
    let answers = join_all(ids.iter().map(|id| api.post(ONE, wire(id)))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    assert_eq!(intake.batch_sizes(), [1, 24, 24, 16]);
    assert_eq!(intake.submitted_ids()[1..], ids);
}

#[tokio::test]
async fn a_slow_submit_does_not_delay_later_ones() {
    let intake = FakeIntake::done();
    intake.close();
    let api = api(intake.clone());
    for id in ["a", "b", "c"] {
        assert_eq!(api.post(ONE, wire(id)).await.0, 200, "{id}");
    }
    assert_eq!(intake.batch_sizes(), [1, 1, 1]);
    assert_eq!(
        api.source.work.len(),
        3,
        "each submitter stays to submit more"
    );
    intake.open();
    api.source.work.close();
    api.source.work.wait().await;
}

#[tokio::test]
async fn when_every_submitter_is_busy_actions_are_queued_and_submitted_together() {
    let intake = FakeIntake::done();
    intake.close();
    let api = api(intake.clone());
    for n in 0..8 {
        api.post(ONE, wire(&format!("busy-{n}"))).await;
    }
    let mut waiting = pin!(join_all((0..5).map(|_| api.post(ONE, wire("late")))));
    assert!(poll!(waiting.as_mut()).is_pending());
    intake.open();
    waiting.await;
    assert_eq!(intake.batch_sizes(), [1, 1, 1, 1, 1, 1, 1, 1, 5]);
}

#[tokio::test]
async fn work_goes_on_when_the_client_hangs_up() {
    let intake = FakeIntake::holding();
    intake.close();
    let api = api(intake.clone());
    {
        let mut first = pin!(api.post(ONE, wire("a-1")));
        assert!(poll!(first.as_mut()).is_pending());
        let mut second = pin!(api.post(ONE, wire("a-2")));
        assert!(poll!(second.as_mut()).is_pending());
        let submitted = intake.submitted_ids();
        assert_eq!(submitted, ["a-1"], "the other is queued");
    }
    intake.open();
    intake.wait_for_submitted(2).await;
    assert_eq!(api.source.context.admission.actions_in_flight(), 2);
    for delivery in intake.take_held() {
        delivery.done(ActionOutcome::Deduplicated(()));
    }
    assert_eq!(api.source.context.admission.actions_in_flight(), 0);
}

#[tokio::test]
async fn the_same_id_twice_at_once_is_answered_twice() {
    let intake = FakeIntake::done();
    let api = api(intake.clone());
    let answers = join_all([api.post(ONE, wire("same")), api.post(ONE, wire("same"))]).await;
    assert!(answers.iter().all(|answer| answer.0 == 200));
    assert_eq!(answers[0], answers[1]);
    assert_eq!(intake.submitted_ids(), ["same", "same"]);
}

#[tokio::test]
async fn a_dry_run_asks_the_rules_and_changes_nothing() {
    let intake = FakeIntake::done();
    let api = api(intake.clone());
    let (status, answer) = api.post("/v1/dispatch?dry_run=true", wire("a-1")).await;
    assert_eq!(status, 200);
    let expected =
        r#"{"DryRun":{"verdict":"allow","matched_rule":null,"would_be_provider":"log"}}"#;
    assert_eq!(answer, expected);
    assert_eq!(api.source.context.counters.snapshot().dry_run, 1);
    assert_eq!(*api.rulebook.dry_runs.lock(), [["a-1"]]);
    api.post("/v1/dispatch?dry_run=false", wire("a-2")).await;
    assert_eq!(intake.submitted_ids(), ["a-2"]);
}

#[tokio::test]
async fn a_dry_run_whose_state_backend_is_unreachable_is_retryable() {
    let api = api(FakeIntake::done());
    api.rulebook.without_state.store(true, Relaxed);
    for (path, body) in [(ONE, wire("a")), (MANY, format!("[{}]", wire("a")))] {
        let (status, answer) = api.post(&format!("{path}?dry_run=true"), body).await;
        assert_eq!(status, 503);
        for part in [
            r#""code":"STATE_UNAVAILABLE""#,
            r#""retryable":true"#,
            "retry_after",
        ] {
            assert!(answer.contains(part), "{answer}");
        }
    }
    assert_eq!(api.source.context.counters.snapshot().dry_run, 0);
}

/// Accepts the first batches only when nine have arrived at once, each on another thread.
struct Crowd {
    gate: Barrier,
    came: AtomicUsize,
    intake: Arc<FakeIntake>,
}

const CROWD: usize = 9;

#[async_trait]
impl Intake for Crowd {
    async fn submit(&self, batch: Vec<Delivery>, feed: &Feed) {
        if self.came.fetch_add(1, Ordering::Relaxed) < CROWD {
            self.gate.wait();
        }
        self.intake.submit(batch, feed).await;
    }

    async fn dead_letter(&self, _: Vec<Loan<Poison>>) {}

    async fn give_up(&self, _: Delivery, _: Failure) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 9)]
async fn requests_that_start_at_once_spawn_no_additional_submitters() {
    let intake = FakeIntake::done();
    intake.close();
    let api = Arc::new(api(Arc::new(Crowd {
        gate: Barrier::new(CROWD),
        came: AtomicUsize::new(0),
        intake: intake.clone(),
    })));
    let mut crowd = JoinSet::new();
    for n in 0..CROWD {
        let api = api.clone();
        crowd.spawn(async move { api.post(ONE, wire(&format!("first-{n}"))).await });
    }
    crowd.join_all().await;
    let mut late = pin!(api.post(ONE, wire("late")));
    assert!(poll!(late.as_mut()).is_pending());
    let requests = 1;
    assert_eq!(api.source.work.len(), CROWD + requests);
    intake.open();
    assert_eq!(late.await.0, 200);
}

/// Panics at the first batch and settles the following ones.
#[derive(Default)]
struct PanicsOnce(AtomicUsize);

#[async_trait]
impl Intake for PanicsOnce {
    async fn submit(&self, batch: Vec<Delivery>, _: &Feed) {
        assert_ne!(
            self.0.fetch_add(1, Ordering::Relaxed),
            0,
            "the test wants this"
        );
        for delivery in batch {
            delivery.done(ActionOutcome::Deduplicated(()));
        }
    }

    async fn dead_letter(&self, _: Vec<Loan<Poison>>) {}

    async fn give_up(&self, _: Delivery, _: Failure) {}
}

#[tokio::test]
async fn a_panic_below_is_an_internal_error_and_the_next_request_works() {
    let api = api(Arc::new(PanicsOnce::default()));
    let (status, answer) = api.post(ONE, wire("a")).await;
    assert_eq!(status, 500);
    assert!(
        answer.contains("INTERNAL") && answer.contains("r-1"),
        "{answer}"
    );
    assert_eq!(api.post(ONE, wire("b")).await.0, 200);
}

#[tokio::test]
async fn a_dead_letter_is_answered_as_a_failure() {
    let api = api(FakeIntake::settling(|_| End::DeadLetter));
    let (status, answer) = api.post(ONE, wire("a")).await;
    let expected = r#"{"Failed":{"code":"EXECUTION_FAILED","message":"the test said so","retryable":false,"attempts":1}}"#;
    assert_eq!((status, answer.as_str()), (200, expected));
}

#[tokio::test]
async fn the_answer_is_ready_in_the_poll_after_the_settling() {
    let intake = FakeIntake::holding();
    let api = api(intake.clone());
    let mut request = pin!(api.post(ONE, wire("a")));
    assert!(poll!(request.as_mut()).is_pending());
    intake.wait_for_submitted(1).await;
    for delivery in intake.take_held() {
        assert_eq!(decode(&delivery.raw).unwrap().has_id(), delivery.id_given);
        delivery.done(ActionOutcome::Deduplicated(()));
    }
    assert!(matches!(poll!(request.as_mut()), Poll::Ready((200, _))));
}
