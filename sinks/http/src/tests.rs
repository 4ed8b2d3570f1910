mod discord;
mod jsm;
mod mistakes;
mod opsgenie;
mod order;
mod own;
mod teams;
mod telegram;

use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::{Defaults, decode};
use acteon_core::sink::{SinkContext, SinkErrorClass};
use acteon_core::{
    Action, Attempt, BuildError, ProviderResponse, Registry, Sink, SinkError, Sinks,
};
use acteon_sinks_kit::contract::{Harness, Received};
use serde_json::{Value, json};

use crate::Http;

const TRANSIENT: SinkErrorClass = SinkErrorClass::Transient { retry_after: None };

/// An action with these fields besides the required ones.
fn action_with(fields: &Value) -> Action {
    let mut json = json!({
        "id": "order-7", "namespace": "shop", "tenant": "acme", "provider": "ops", "action_type": "order_paid",
    });
    let given = fields.as_object().unwrap().clone();
    json.as_object_mut().unwrap().extend(given);
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let draft = decode(&json.to_string().into()).unwrap();
    draft
        .complete(&Defaults::default(), || "made".into(), now)
        .unwrap()
}

fn action(payload: &Value) -> Action {
    action_with(&json!({"payload": payload}))
}

async fn build(mut options: Value) -> Result<Arc<dyn Sink>, BuildError> {
    options["allow_cidrs"] = json!(["127.0.0.0/8"]);
    let mut registry = Registry::<Sinks>::default();
    registry.register(Http::default());
    let plan = registry.plan("http", options).unwrap();
    let context = SinkContext {
        name: "ops".into(),
        timeout: Duration::from_secs(20),
        max_concurrent: 4,
        redactor: acteon_core::Redactor::default(),
    };
    plan.build(context).await
}

async fn preset(name: &str, options: Value) -> Arc<dyn Sink> {
    let built = build(json!({"preset": name, "options": options})).await;
    built.unwrap()
}

async fn deliver(sink: &dyn Sink, action: &Action) -> Result<ProviderResponse, SinkError> {
    let attempt = Attempt {
        action,
        idempotency_key: &action.id,
        number: 1,
        progress: None,
    };
    sink.deliver(attempt).await
}

async fn refused(sink: &dyn Sink, payload: &Value) -> SinkError {
    deliver(sink, &action(payload)).await.unwrap_err()
}

struct Generic;

impl Harness for Generic {
    fn register(&self, registry: &mut Registry<Sinks>) {
        registry.register(Http::default());
    }

    fn kind(&self) -> &'static str {
        "http"
    }

    fn options(&self, url: &str) -> Value {
        json!({"preset": "generic", "options": {"url": format!("{url}&key=in-the-query"), "token": "in-the-token"}})
    }

    fn action(&self) -> Action {
        action(&json!({"title": "Order 7", "message": "It is paid"}))
    }

    fn accepted(&self) -> &'static str {
        r#"{"accepted": true}"#
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["in-the-query", "hook?", "in-the-token"]
    }

    fn idempotency_key(&self, request: &Received) -> Option<String> {
        request.header("idempotency-key").map(str::to_owned)
    }
}

acteon_sinks_kit::http_sink_contract!(Generic);
