//! The contract of HTTP sinks, as plain functions over a [`Harness`]. An adapter writes a harness and one line,
//! `acteon_sinks_kit::http_sink_contract!(MyHarness);`, which generates one test per clause.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a clause fails by panicking, as tests do"
)]

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::sink::{Attempt, SinkContext};
use acteon_core::{
    Action, BuildError, FailureCode, ProviderResponse, Registry, Sink, SinkError, Sinks,
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

mod addresses;
mod closing;
mod closing_receiver;
mod receiver;
mod refusals;

pub use addresses::*;
pub use closing::*;
pub use closing_receiver::ClosingReceiver;
pub use receiver::{CannedResponse, Received, Receiver};
pub use refusals::*;

/// Supplied by an adapter to run the contract.
pub trait Harness: Send + Sync {
    /// Registers the adapter.
    fn register(&self, registry: &mut Registry<Sinks>);

    /// Its kind.
    fn kind(&self) -> &'static str;

    /// The options with every credential it supports, so that it sends to `url`. The contract adds those of
    /// [`ConnectionOptions`](crate::ConnectionOptions).
    fn options(&self, url: &str) -> Value;

    /// An action that the sink can deliver.
    fn action(&self) -> Action;

    /// The body of a 200 by which the provider accepts the action.
    fn accepted(&self) -> &'static str;

    /// The credentials of the sink. They must never appear in messages.
    fn secrets(&self) -> &'static [&'static str];

    /// The idempotency key of a request; `None` if the provider has no field for one.
    fn idempotency_key(&self, request: &Received) -> Option<String>;
}

async fn build(
    harness: &dyn Harness,
    options: Value,
    context: SinkContext,
) -> Result<Arc<dyn Sink>, BuildError> {
    let mut registry = Registry::default();
    harness.register(&mut registry);
    let plan = registry.plan(harness.kind(), options).unwrap();
    plan.build(context).await
}

/// A sink that sends to `url` on 127.0.0.1.
async fn sink(harness: &dyn Harness, url: &str, context: SinkContext) -> Arc<dyn Sink> {
    let mut options = harness.options(url);
    options["allow_cidrs"] = json!(["127.0.0.0/8"]);
    build(harness, options, context).await.unwrap()
}

/// Generates one test per clause, each under the name of the clause.
#[macro_export]
macro_rules! http_sink_contract {
    ($harness:expr) => {
        $crate::http_sink_contract!($harness;
            an_answer_of_2xx_is_a_success_whose_body_is_an_object,
            every_status_has_its_class,
            the_wait_that_the_provider_asks_for_is_passed_on_in_both_forms,
            redirects_are_not_followed,
            only_allowed_addresses_are_connected_to,
            every_connection_option_is_read,
            an_answer_with_hundreds_of_headers_is_a_success,
            a_success_whose_body_cannot_be_read_stays_a_success,
            what_a_refusal_said_is_kept,
            of_a_refusal_that_does_not_end_its_beginning_is_kept,
            every_attempt_carries_the_same_idempotency_key,
            a_given_up_attempt_closes_its_connection,
            a_refused_connection_is_transient,
            a_connection_that_breaks_before_the_answer_is_transient,
            a_connection_that_is_reset_in_the_middle_of_an_answer_is_transient,
            attempts_run_at_the_same_time,
            attempts_one_after_another_share_a_connection,
            a_server_that_closes_after_each_answer_without_saying_so_gets_nothing_twice,
            a_request_that_breaks_on_a_connection_in_use_is_a_failed_attempt,
            secrets_do_not_show_in_errors,
            credentials_of_the_provider_are_left_out_of_the_answer,
            secrets_that_the_provider_repeats_are_left_out_of_the_answer,
        );
    };
    ($harness:expr; $($clause:ident,)+) => {
        $(
            #[tokio::test]
            async fn $clause() {
                $crate::contract::$clause(&$harness).await;
            }
        )+
    };
}

/// How long a clause waits for something that must happen.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The time limit of an attempt that is meant to exceed it.
const SHORT_TIMEOUT: Duration = Duration::from_secs(2);
const KEY: &str = "0198c0de-0000-7000-8000-00000000000a";

/// A sink under test, its receiver, and the action it delivers.
struct Stage {
    receiver: Receiver,
    sink: Arc<dyn Sink>,
    action: Action,
}

impl Stage {
    async fn set(harness: &dyn Harness, answers: impl IntoIterator<Item = CannedResponse>) -> Self {
        Self::with_timeout(harness, answers, TIMEOUT).await
    }

    async fn with_timeout(
        harness: &dyn Harness,
        answers: impl IntoIterator<Item = CannedResponse>,
        limit: Duration,
    ) -> Self {
        let receiver = Receiver::start(answers).await;
        let sink = sink(harness, &receiver.url(), context(limit)).await;
        let action = harness.action();
        Self {
            receiver,
            sink,
            action,
        }
    }

    async fn deliver(&self, number: u32) -> Result<ProviderResponse, SinkError> {
        deliver(&*self.sink, &self.action, number).await
    }
}

async fn deliver(
    sink: &dyn Sink,
    action: &Action,
    number: u32,
) -> Result<ProviderResponse, SinkError> {
    let attempt = Attempt {
        action,
        idempotency_key: KEY,
        number,
        progress: None,
    };
    timeout(TIMEOUT, sink.deliver(attempt)).await.unwrap()
}

fn context(limit: Duration) -> SinkContext {
    SinkContext {
        name: "under-test".into(),
        timeout: limit,
        max_concurrent: 4,
        redactor: acteon_core::Redactor::default(),
    }
}

fn accepted(harness: &dyn Harness) -> CannedResponse {
    CannedResponse::of(200).body(harness.accepted())
}

/// 2xx is a success, and clients see its body as an object.
pub async fn an_answer_of_2xx_is_a_success_whose_body_is_an_object(harness: &dyn Harness) {
    let stage = Stage::set(harness, [accepted(harness)]).await;
    let response = stage.deliver(1).await.unwrap();
    assert_eq!(response.status.as_str(), "success");
    assert!(response.body.get().starts_with('{'));
    assert_eq!(stage.receiver.received().len(), 1);
}

/// A redirect is a permanent failure, and no request goes to its target.
pub async fn redirects_are_not_followed(harness: &dyn Harness) {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Receiver::start([accepted(harness)]).await;
        let answer = CannedResponse::of(status).header("location", &elsewhere.url());
        let stage = Stage::set(harness, [answer]).await;
        let error = stage.deliver(1).await.unwrap_err();
        assert!(!error.is_retryable(), "{status}");
        assert_eq!(error.code, FailureCode::ExecutionFailed);
        assert_eq!(elsewhere.received().len(), 0, "{status}");
    }
}

/// The delivery happened, however much the provider says about it.
pub async fn an_answer_with_hundreds_of_headers_is_a_success(harness: &dyn Harness) {
    let mut answer = accepted(harness);
    if let CannedResponse::Reply { headers, .. } = &mut answer {
        headers.extend((0..500).map(|number| ("x-part", number.to_string())));
    }
    let stage = Stage::set(harness, [answer]).await;
    let response = stage.deliver(1).await.unwrap();
    assert_eq!(response.status.as_str(), "success");
}

/// A second delivery would be worse than a missing body.
pub async fn a_success_whose_body_cannot_be_read_stays_a_success(harness: &dyn Harness) {
    for answer in [
        CannedResponse::broken_body(200),
        CannedResponse::long_body(200),
        CannedResponse::hung_body(200),
    ] {
        let stage = Stage::with_timeout(harness, [answer], SHORT_TIMEOUT).await;
        let response = timeout(SHORT_TIMEOUT, stage.deliver(1)).await;
        let response = response
            .expect("the attempt ends before it is cut off")
            .unwrap();
        assert_eq!(response.status.as_str(), "success");
        assert!(
            response.body.get().contains("\"note\""),
            "{}",
            response.body
        );
    }
}

/// If the provider has a field for it.
pub async fn every_attempt_carries_the_same_idempotency_key(harness: &dyn Harness) {
    let stage = Stage::set(
        harness,
        [
            CannedResponse::of(503),
            CannedResponse::of(503),
            accepted(harness),
        ],
    )
    .await;
    assert!(stage.deliver(1).await.is_err());
    assert!(stage.deliver(2).await.is_err());
    assert!(stage.deliver(3).await.is_ok());
    let received = stage.receiver.received();
    let keys: Vec<_> = received
        .iter()
        .map(|r| harness.idempotency_key(r))
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| key == &keys[0]), "{keys:?}");
    if let Some(key) = &keys[0] {
        assert!(key.contains(KEY), "{key}");
    }
}

/// So the provider sees that the answer is not needed.
pub async fn a_given_up_attempt_closes_its_connection(harness: &dyn Harness) {
    let stage = Stage::set(harness, [CannedResponse::Hang]).await;
    {
        let attempt = stage.deliver(1);
        tokio::pin!(attempt);
        tokio::select! {
            _ = &mut attempt => panic!("the attempt ended although the server hangs"),
            () = stage.receiver.received_many(1) => {}
        }
    }
    let closed = timeout(TIMEOUT, stage.receiver.hung_up()).await;
    assert!(closed.is_ok(), "the connection stayed open");
}

/// No attempt waits for another one, up to the concurrency that the pipeline uses.
pub async fn attempts_run_at_the_same_time(harness: &dyn Harness) {
    let count = context(TIMEOUT).max_concurrent;
    let answers = (0..count).map(|_| CannedResponse::Hang);
    let stage = Stage::set(harness, answers).await;
    let attempts = join_all((0..count).map(|_| stage.deliver(1)));
    tokio::select! {
        _ = attempts => panic!("an attempt ended although the server hangs"),
        () = stage.receiver.received_many(count) => {}
    }
}

/// Connections are kept open, also after refusals.
pub async fn attempts_one_after_another_share_a_connection(harness: &dyn Harness) {
    let refusal = || CannedResponse::of(503).body("{\"why\": \"busy\"}");
    let answers = [refusal(), accepted(harness), refusal(), accepted(harness)];
    let stage = Stage::set(harness, answers).await;
    for number in 1..=4 {
        let _ = stage.deliver(number).await;
    }
    let received = stage.receiver.received();
    assert_eq!(received.len(), 4);
    assert!(
        received
            .iter()
            .all(|request| request.from == received[0].from)
    );
}

fn show(error: &SinkError, shown: &mut String) {
    write!(shown, "{error} {error:?}").unwrap();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(shown, "{error} {error:?}").unwrap();
        cause = error.source();
    }
}

/// They are not meant for the caller of Acteon.
pub async fn credentials_of_the_provider_are_left_out_of_the_answer(harness: &dyn Harness) {
    let answer = accepted(harness)
        .header("set-cookie", "sid=1")
        .header("authorization", "Bearer echo")
        .header("x-api-key", "echo")
        .header("x-request-id", "r-1");
    let stage = Stage::set(harness, [answer]).await;
    let headers = stage.deliver(1).await.unwrap().headers;
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"x-request-id"), "{names:?}");
    for secret in ["set-cookie", "authorization", "x-api-key"] {
        assert!(!names.contains(&secret), "{names:?}");
    }
}
