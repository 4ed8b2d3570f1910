//! The contract of sinks that publish to a broker. The broker is real, and of the harness alone: a clause may stop it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::sink::{SinkContext, SinkErrorClass};
use acteon_core::{
    Action, Attempt, Factory, ProviderResponse, Redactor, Registry, Sink, SinkError, Sinks,
};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::action;

/// Supplied by an adapter to run the contract.
#[async_trait(?Send)]
pub trait BrokerHarness {
    /// A sink with the options for the broker, and `more`. Its attempts may take `limit`.
    async fn sink_within(&self, more: Value, limit: Duration) -> Arc<dyn Sink>;

    /// A sink whose attempts take as long as they need.
    async fn sink(&self, more: Value) -> Arc<dyn Sink> {
        self.sink_within(more, TIMEOUT).await
    }

    /// What the protocol's binding of CloudEvents puts before the names of attributes in headers.
    fn attribute_prefix(&self) -> &'static str;

    /// The size of a payload that the broker refuses.
    fn too_large_bytes(&self) -> usize;

    /// The first `count` messages at the destination, in the order in which the broker has them.
    async fn messages(&self, count: usize) -> Vec<Published>;

    /// Kills the broker. It keeps what it has confirmed.
    async fn stop(&self);

    /// Starts it again at the same address.
    async fn restart(&self);
}

/// A message at its destination.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its body.
    pub body: Bytes,
    /// Its headers, the content type included, by their names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Published {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// One test per clause. `$shared` and `$own` are async functions that return a harness with an empty destination. The
/// broker of `$own` is not shared with other tests.
#[macro_export]
macro_rules! broker_contract {
    ($shared:expr, $own:expr) => {
        $crate::broker_contract!($own;
            without_a_broker_attempts_fail_as_transient_until_it_is_back
        );
        $crate::broker_contract!($shared;
            an_action_becomes_a_message_that_names_it
            the_payload_alone_has_the_configured_headers
            a_cloud_event_is_a_document_or_has_its_attributes_in_headers
            empty_payloads_are_published
            ten_thousand_actions_at_once_each_have_their_own_result
            an_action_too_large_for_the_broker_fails_for_good_and_alone
        );
    };
    ($start:expr; $($clause:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $clause() {
            let harness = $start().await;
            $crate::contract::broker::$clause(&harness).await;
        })*
    };
}

/// How long a clause waits for something that must happen.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The time limit of attempts at a broker that has just started.
const SHORT_TIMEOUT: Duration = Duration::from_secs(10);
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The context of a sink whose attempts may take `timeout`.
pub fn context(timeout: Duration) -> SinkContext {
    SinkContext {
        name: "bus".into(),
        timeout,
        max_concurrent: 100,
        redactor: Redactor::default(),
    }
}

/// Builds a sink whose attempts may take `timeout`.
///
/// # Errors
/// The text of the error.
pub async fn build<F: Factory<Sinks>>(
    factory: F,
    options: Value,
    timeout: Duration,
) -> Result<Arc<dyn Sink>, String> {
    let mut registry = Registry::<Sinks>::default();
    registry.register(factory);
    let plan = registry.plan(F::KIND, options);
    let plan = plan.map_err(|error| error.to_string())?;
    let sink = plan.build(context(timeout)).await;
    sink.map_err(|error| {
        let all: Vec<_> = error.each().map(ToString::to_string).collect();
        all.join("; ")
    })
}

/// `options` with those of `more` added or replaced.
pub fn with(mut options: Value, more: &Value) -> Value {
    let more = more.as_object().unwrap().clone();
    options.as_object_mut().unwrap().extend(more);
    options
}

/// An action with this id and payload.
pub fn carrying(id: &str, payload: &Value) -> Action {
    action(id).payload(payload).envelope().action
}

/// The idempotency key under which [`deliver`] delivers an action.
pub fn key_of(id: &str) -> String {
    format!("key-of-{id}")
}

/// Makes one attempt.
///
/// # Errors
/// That of the sink.
pub async fn deliver(sink: &Arc<dyn Sink>, action: &Action) -> Result<ProviderResponse, SinkError> {
    let attempt = Attempt {
        action,
        idempotency_key: &key_of(&action.id),
        number: 1,
        progress: None,
    };
    sink.deliver(attempt).await
}

/// Delivers all actions at once. The results are in the order of the actions.
pub async fn deliver_all(
    sink: &Arc<dyn Sink>,
    actions: impl IntoIterator<Item = Action>,
) -> Vec<Result<ProviderResponse, SinkError>> {
    let mut running = JoinSet::new();
    for (at, action) in actions.into_iter().enumerate() {
        let sink = sink.clone();
        running.spawn(async move { (at, deliver(&sink, &action).await) });
    }
    let mut results = running.join_all().await;
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The action as it is, or one of its parts, with what identifies it in headers.
pub async fn an_action_becomes_a_message_that_names_it(harness: &dyn BrokerHarness) {
    let sink = harness.sink(json!({})).await;
    let mut action = carrying("order 7/ä", &json!({"order": 7}));
    action.trace_context.insert("traceparent", TRACE);
    action.trace_context.insert("tracestate", "a=1,b=2");
    deliver(&sink, &action).await.unwrap();
    let message = harness.messages(1).await.remove(0);
    assert_eq!(message.json(), serde_json::to_value(&action).unwrap());
    for (name, value) in [
        ("content-type", "application/json"),
        ("traceparent", TRACE),
        ("tracestate", "a=1,b=2"),
    ] {
        assert_eq!(message.header(name), Some(value), "{name}");
    }
    let key = message.header("idempotency-key").unwrap();
    assert!(key.starts_with("key-of-order"), "{key}");
    let id = message.header("acteon-action-id").unwrap();
    // As it is, or percent-encoded where headers are ASCII.
    assert!(["order 7/ä", "order%207/%C3%A4"].contains(&id), "{id}");
}

/// What receives the message need not know Acteon.
pub async fn the_payload_alone_has_the_configured_headers(harness: &dyn BrokerHarness) {
    let more = json!({"body": "payload", "headers": {"env": "prod", "team": "a b"}});
    let sink = harness.sink(more).await;
    deliver(&sink, &carrying("a", &json!({"customer": "ann"})))
        .await
        .unwrap();
    let message = harness.messages(1).await.remove(0);
    assert_eq!(message.body, r#"{"customer":"ann"}"#);
    assert_eq!(message.header("env"), Some("prod"));
    assert_eq!(message.header("team"), Some("a b"));
}

/// In both modes.
pub async fn a_cloud_event_is_a_document_or_has_its_attributes_in_headers(
    harness: &dyn BrokerHarness,
) {
    let mut actions = ["a-1", "a-2"].map(|id| carrying(id, &json!({"order": 7})));
    for (action, body) in actions
        .iter_mut()
        .zip(["cloudevents", "cloudevents_binary"])
    {
        action.labels.insert("subject", "two\nlines");
        let sink = harness.sink(json!({"body": body})).await;
        deliver(&sink, action).await.unwrap();
    }
    let messages = harness.messages(2).await;
    let document = messages[0].json();
    assert_eq!(document["id"], "a-1");
    assert_eq!(document["data"], json!({"order": 7}));
    assert_eq!(
        messages[0].header("content-type"),
        Some("application/cloudevents+json")
    );
    assert_eq!(messages[1].body, r#"{"order":7}"#);
    let attribute = |name: &str| {
        let name = format!("{}{name}", harness.attribute_prefix());
        messages[1].header(&name.to_lowercase())
    };
    for (name, value) in [
        ("id", "a-2"),
        ("specversion", "1.0"),
        ("type", actions[1].action_type.as_str()),
        ("acteonnamespace", actions[1].namespace.as_str()),
    ] {
        assert_eq!(attribute(name), Some(value), "{name}");
    }
    let subject = attribute("subject").unwrap();
    assert!(["two\nlines", "two%0Alines"].contains(&subject));
    assert_eq!(messages[1].header("content-type"), Some("application/json"));
}

/// A value may be small, but is never nothing.
pub async fn empty_payloads_are_published(harness: &dyn BrokerHarness) {
    let sink = harness.sink(json!({"body": "payload"})).await;
    let payloads = [json!({}), json!(null), json!(""), json!([])];
    for (n, payload) in payloads.iter().enumerate() {
        deliver(&sink, &carrying(&n.to_string(), payload))
            .await
            .unwrap();
    }
    let messages = harness.messages(payloads.len()).await;
    let found: Vec<_> = messages.iter().map(Published::json).collect();
    assert_eq!(found, payloads);
}

/// However many are unconfirmed at a time.
pub async fn ten_thousand_actions_at_once_each_have_their_own_result(harness: &dyn BrokerHarness) {
    const COUNT: usize = 10_000;
    let sink = harness.sink(json!({"body": "payload"})).await;
    let actions = (0..COUNT).map(|n| carrying(&n.to_string(), &json!(n)));
    let results = deliver_all(&sink, actions).await;
    let mut places: Vec<_> = results
        .into_iter()
        .map(|result| result.unwrap().body.get().to_owned())
        .collect();
    let messages = harness.messages(COUNT).await;
    let mut numbers: Vec<_> = messages.iter().map(|one| one.json().as_u64()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), COUNT, "each is there once");
    places.sort_unstable();
    assert_eq!(places.len(), COUNT);
}

/// The actions beside it are delivered.
pub async fn an_action_too_large_for_the_broker_fails_for_good_and_alone(
    harness: &dyn BrokerHarness,
) {
    let sink = harness.sink(json!({"body": "payload"})).await;
    let large = carrying("large", &json!("x".repeat(harness.too_large_bytes())));
    let small = (0..50).map(|n| carrying(&n.to_string(), &json!(n)));
    let mut actions: Vec<_> = small.collect();
    actions.insert(25, large);
    let mut results = deliver_all(&sink, actions).await;
    let error = results.remove(25).unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Permanent, "{error}");
    assert!(error.is_too_large, "{error}");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// Nothing else is needed for that.
pub async fn without_a_broker_attempts_fail_as_transient_until_it_is_back(
    harness: &dyn BrokerHarness,
) {
    let sink = harness
        .sink_within(json!({"body": "payload"}), SHORT_TIMEOUT)
        .await;
    deliver(&sink, &carrying("before", &json!("before")))
        .await
        .unwrap();
    harness.stop().await;
    let results = deliver_all(&sink, (0..20).map(|n| carrying(&n.to_string(), &json!(n))));
    for result in results.await {
        let error = result.unwrap_err();
        assert!(
            matches!(error.class, SinkErrorClass::Transient { .. }),
            "{error:?}"
        );
    }
    harness.restart().await;
    let after = carrying("after", &json!("after"));
    until_ok(async || deliver(&sink, &after).await).await;
    let messages = harness.messages(2).await;
    let found: Vec<_> = messages.iter().map(Published::json).collect();
    assert!(found.contains(&json!("before")), "{found:?}");
}

/// Makes attempts until one succeeds, as the pipeline does.
async fn until_ok<T: Debug>(attempt: impl AsyncFn() -> Result<T, SinkError>) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match attempt().await {
            Ok(_) => return,
            Err(error) => {
                assert!(
                    matches!(error.class, SinkErrorClass::Transient { .. }),
                    "{error:?}"
                );
                assert!(Instant::now() < deadline, "{error:?}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
