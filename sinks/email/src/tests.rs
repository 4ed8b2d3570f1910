use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::{Defaults, decode};
use acteon_core::sink::SinkContext;
use acteon_core::{
    Action, Attempt, BuildError, DeliveryProgress, ProviderResponse, Registry, Sink, SinkError,
    Sinks,
};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::Email;

mod connections;
mod dialogue;
mod lines;
mod mails;
mod options;
mod peer;
mod recipients;
mod server;

const KEY: &str = "0198c0de-0000-7000-8000-00000000000a";
const PASSWORD: &str = "s3cret-in-the-tests";
/// More than any attempt here needs.
const LONG: Duration = Duration::from_secs(30);

fn action(payload: &Value) -> Action {
    let json = json!({
        "id": "order 7", "namespace": "ns", "tenant": "t", "provider": "mail", "action_type": "paid",
        "payload": payload,
    });
    read_action(&json.to_string())
}

fn read_action(json: &str) -> Action {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let draft = decode(&Bytes::from(json.to_owned())).unwrap();
    draft
        .complete(&Defaults::default(), || "made".into(), now)
        .unwrap()
}

/// A payload for these recipients.
fn to(recipients: &[&str]) -> Value {
    json!({"to": recipients, "subject": "Paid", "body": "Order 7 is paid."})
}

fn context(timeout: Duration) -> SinkContext {
    SinkContext {
        name: "mail".into(),
        timeout,
        max_concurrent: 4,
        redactor: acteon_core::Redactor::default(),
    }
}

async fn build_within(timeout: Duration, options: Value) -> Result<Arc<dyn Sink>, BuildError> {
    let mut registry = Registry::<Sinks>::default();
    registry.register(Email::default());
    let plan = registry.plan("email", options).unwrap();
    plan.build(context(timeout)).await
}

async fn build(options: Value) -> Result<Arc<dyn Sink>, BuildError> {
    build_within(LONG, options).await
}

/// Options for a server on this machine, without encryption.
fn plain(port: u16) -> Value {
    json!({
        "from_address": "Acteon <alerts@example.com>", "smtp_host": "127.0.0.1", "smtp_port": port,
        "tls": "none", "hello_name": "acteon.example.com", "allow_cidrs": ["127.0.0.0/8"],
    })
}

/// `options` with `more`.
fn with(mut options: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        panic!("options are an object");
    };
    options.as_object_mut().unwrap().extend(more);
    options
}

async fn attempt(
    sink: &dyn Sink,
    action: &Action,
    progress: Option<&DeliveryProgress>,
) -> Result<ProviderResponse, SinkError> {
    sink.deliver(Attempt {
        action,
        idempotency_key: KEY,
        number: 1,
        progress,
    })
    .await
}

async fn deliver(sink: &dyn Sink, payload: &Value) -> Result<ProviderResponse, SinkError> {
    attempt(sink, &action(payload), None).await
}

/// What an answer says of each recipient.
fn body(response: &ProviderResponse) -> Value {
    serde_json::from_str(response.body.get()).unwrap()
}

/// What a failed attempt says of each recipient.
fn refusal(error: &SinkError) -> Value {
    serde_json::from_slice(&error.refusal.as_ref().unwrap().body).unwrap()
}
