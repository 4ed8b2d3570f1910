//! Clauses about failures: their classes, and what is kept of the provider's answer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::sink::{ProviderRefusal, SinkErrorClass};
use acteon_core::{FailureCode, SinkError};

use super::{
    CannedResponse, ClosingReceiver, Harness, Receiver, SHORT_TIMEOUT, Stage, TIMEOUT, context,
    deliver, show, sink,
};
use crate::reply::REFUSAL_BYTES_MAX;

/// Checks the table of statuses, with the codes of the wire contract.
pub async fn every_status_has_its_class(harness: &dyn Harness) {
    let transient = [408, 425, 429, 500, 501, 502, 503, 504, 507, 599];
    let fault = [401, 403, 404, 407, 410];
    let permanent = [300, 304, 400, 402, 405, 409, 413, 415, 422, 426, 451];
    for status in transient.into_iter().chain(fault).chain(permanent) {
        let stage = Stage::set(harness, [CannedResponse::of(status)]).await;
        let error = stage.deliver(1).await.unwrap_err();
        let class = match status {
            _ if transient.contains(&status) => SinkErrorClass::Transient { retry_after: None },
            _ if fault.contains(&status) => SinkErrorClass::ProviderFault,
            _ => SinkErrorClass::Permanent,
        };
        assert_eq!(error.class, class, "{status}");
        let code = match status {
            408 => FailureCode::Timeout,
            429 => FailureCode::RateLimited,
            _ => FailureCode::ExecutionFailed,
        };
        assert_eq!(error.code, code, "{status}");
        assert!(error.message.contains(&status.to_string()), "{error}");
    }
}

/// `Retry-After` as seconds and as a date, however long: the sink does not limit it.
pub async fn the_wait_that_the_provider_asks_for_is_passed_on_in_both_forms(harness: &dyn Harness) {
    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    let later = "Thu, 01 Jan 2026 00:00:42 GMT";
    let cases = [
        (CannedResponse::of(503).header("retry-after", "7"), Some(7)),
        (CannedResponse::of(503).header("retry-after", "0"), Some(0)),
        (
            CannedResponse::of(429).header("retry-after", "604800"),
            Some(604_800),
        ),
        (
            CannedResponse::of(429)
                .header("retry-after", later)
                .header("date", date),
            Some(42),
        ),
        (CannedResponse::of(503).header("retry-after", "soon"), None),
        (CannedResponse::of(503), None),
    ];
    for (answer, secs) in cases {
        let stage = Stage::set(harness, [answer]).await;
        let error = stage.deliver(1).await.unwrap_err();
        let retry_after = secs.map(Duration::from_secs);
        assert_eq!(error.class, SinkErrorClass::Transient { retry_after });
    }
}

/// Its status and body, for every class.
pub async fn what_a_refusal_said_is_kept(harness: &dyn Harness) {
    for status in [400, 401, 503] {
        let said = r#"{"error": "not like this"}"#;
        let stage = Stage::set(harness, [CannedResponse::of(status).body(said)]).await;
        let error = stage.deliver(1).await.unwrap_err();
        let expected = ProviderRefusal {
            status: Some(status),
            body: said.into(),
        };
        assert_eq!(error.refusal.as_deref(), Some(&expected));
    }
}

/// The status decides, even if the body is incomplete. The part that arrived is kept, up to a bound.
pub async fn of_a_refusal_that_does_not_end_its_beginning_is_kept(harness: &dyn Harness) {
    let cases = [
        (CannedResponse::broken_body(400), "{\"cut\":".len()),
        (CannedResponse::hung_body(400), "{\"begun\":".len()),
        (CannedResponse::long_body(400), REFUSAL_BYTES_MAX),
    ];
    for (answer, length) in cases {
        let stage = Stage::with_timeout(harness, [answer], SHORT_TIMEOUT).await;
        let attempt = tokio::time::timeout(SHORT_TIMEOUT, stage.deliver(1)).await;
        let error = attempt.unwrap().unwrap_err();
        assert_eq!(error.class, SinkErrorClass::Permanent);
        assert_eq!(error.code, FailureCode::ExecutionFailed);
        let refused = error.refusal.unwrap();
        assert_eq!((refused.status, refused.body.len()), (Some(400), length));
    }
}

/// No server listens; it may return.
pub async fn a_refused_connection_is_transient(harness: &dyn Harness) {
    let receiver = Receiver::start([]).await;
    let url = receiver.url();
    receiver.stop().await;
    let sink = sink(harness, &url, context(TIMEOUT)).await;
    let error = deliver(&*sink, &harness.action(), 1).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Transient { retry_after: None });
    assert_eq!(error.code, FailureCode::Connection);
    assert!(error.message.contains("connection refused"), "{error}");
    assert_eq!(error.refusal, None);
}

/// Whether the provider accepted the action is unknown: it is tried again, under the same key.
pub async fn a_connection_that_breaks_before_the_answer_is_transient(harness: &dyn Harness) {
    let stage = Stage::set(harness, [CannedResponse::HangUp]).await;
    let error = stage.deliver(1).await.unwrap_err();
    assert_eq!(stage.receiver.received().len(), 1);
    assert_eq!(error.class, SinkErrorClass::Transient { retry_after: None });
    assert_eq!(error.code, FailureCode::Connection);
    assert_eq!(error.refusal, None);
}

/// The status may have arrived; the answer did not.
pub async fn a_connection_that_is_reset_in_the_middle_of_an_answer_is_transient(
    harness: &dyn Harness,
) {
    let receiver = ClosingReceiver::resetting().await;
    let sink = sink(harness, receiver.url(), context(TIMEOUT)).await;
    let error = deliver(&*sink, &harness.action(), 1).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Transient { retry_after: None });
    assert_eq!(error.code, FailureCode::Connection);
    assert_eq!(receiver.answered(), 1, "it is not sent twice");
}

/// Neither in messages, nor in `Debug`, nor in causes, nor in the kept answer of a provider that repeats the request.
pub async fn secrets_do_not_show_in_errors(harness: &dyn Harness) {
    let answers = [
        // First, because a request on a used connection is sent once more.
        CannedResponse::HangUp,
        CannedResponse::of(401),
        CannedResponse::of(503),
        CannedResponse::Echo { status: 404 },
    ];
    let count = answers.len() as u32;
    let stage = Stage::set(harness, answers).await;
    let mut shown = String::new();
    for number in 1..=count {
        add(&stage.deliver(number).await.unwrap_err(), &mut shown);
    }
    stage.receiver.stop().await;
    let sink = Arc::clone(&stage.sink);
    let error = deliver(&*sink, &stage.action, count + 1).await;
    add(&error.unwrap_err(), &mut shown);
    for secret in harness.secrets() {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("x-echo-ends"), "{shown}");
}

/// A provider that accepts the action may repeat the request, as servers for debugging do.
pub async fn secrets_that_the_provider_repeats_are_left_out_of_the_answer(harness: &dyn Harness) {
    let echo = CannedResponse::Echo { status: 200 };
    let stage = Stage::set(harness, [echo]).await;
    let mut shown = String::new();
    match stage.deliver(1).await {
        Ok(answer) => write!(shown, "{answer:?}").unwrap(),
        Err(error) => add(&error, &mut shown),
    }
    for secret in harness.secrets() {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("x-echo-ends"), "{shown}");
}

fn add(error: &SinkError, shown: &mut String) {
    show(error, shown);
    if let Some(refused) = &error.refusal {
        shown.push_str(&String::from_utf8_lossy(&refused.body));
    }
}
