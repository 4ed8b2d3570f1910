mod answers;
mod events;
mod options;
mod order;

use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::{Defaults, decode};
use acteon_core::sink::SinkContext;
use acteon_core::{
    Action, Attempt, BuildError, ProviderResponse, Registry, Sink, SinkError, Sinks,
};
use acteon_services::PagerDutyServer;
use acteon_sinks_kit::contract::{Harness, Received};
use serde_json::{Value, json};

use crate::PagerDuty;

const KEY: &str = "R0UT1NGK3YR0UT1NGK3YR0UT1NGK3Y01";
const OTHER_KEY: &str = "R0UT1NGK3YR0UT1NGK3YR0UT1NGK3Y02";

/// An action with these fields besides its names.
fn action_with(fields: &Value) -> Action {
    let mut json = json!({
        "id": "0198c0de-0000-7000-8000-00000000000a", "namespace": "shop", "tenant": "acme", "provider": "oncall",
        "action_type": "disk_full", "payload": null,
    });
    for (name, value) in fields.as_object().unwrap() {
        json[name] = value.clone();
    }
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let draft = decode(&json.to_string().into()).unwrap();
    draft
        .complete(&Defaults::default(), || "made".into(), now)
        .unwrap()
}

fn context() -> SinkContext {
    SinkContext {
        name: "oncall".into(),
        timeout: Duration::from_secs(20),
        max_concurrent: 4,
        redactor: acteon_core::Redactor::default(),
    }
}

async fn build(options: Value) -> Result<Arc<dyn Sink>, BuildError> {
    let mut registry = Registry::<Sinks>::default();
    registry.register(PagerDuty::default());
    let plan = registry.plan("pagerduty", options).unwrap();
    plan.build(context()).await
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

/// An account, and a sink for it with these options.
async fn account(mut options: Value) -> (PagerDutyServer, Arc<dyn Sink>) {
    let server = PagerDutyServer::start().await.unwrap();
    options["api_base_url"] = server.api_base_url().into();
    options["allow_cidrs"] = json!(["127.0.0.0/8"]);
    let sink = build(options).await.unwrap();
    (server, sink)
}

/// The event that arrives for an action.
async fn sent(action: &Action) -> Value {
    let (server, sink) = account(json!({ "routing_key": KEY })).await;
    deliver(&*sink, action).await.unwrap();
    server.events().remove(0)
}

struct Events;

impl Harness for Events {
    fn register(&self, registry: &mut Registry<Sinks>) {
        registry.register(PagerDuty::default());
    }

    fn kind(&self) -> &'static str {
        "pagerduty"
    }

    fn options(&self, url: &str) -> Value {
        json!({"api_base_url": url, "services": {"disks": KEY, "other": OTHER_KEY}, "default_service": "disks"})
    }

    fn action(&self) -> Action {
        action_with(&json!({"payload": {"summary": "The disk is full"}}))
    }

    fn accepted(&self) -> &'static str {
        r#"{"status": "success", "message": "Event processed", "dedup_key": "k"}"#
    }

    fn secrets(&self) -> &'static [&'static str] {
        &[KEY, OTHER_KEY]
    }

    fn idempotency_key(&self, request: &Received) -> Option<String> {
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        Some(event["dedup_key"].as_str().unwrap().to_owned())
    }
}

acteon_sinks_kit::http_sink_contract!(Events);
