mod answers;
mod limits;
mod messages;
mod options;
mod random;

use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::{Defaults, decode};
use acteon_core::sink::SinkContext;
use acteon_core::{
    Action, Attempt, BuildError, ProviderResponse, Registry, Sink, SinkError, Sinks,
};
use acteon_services::SlackServer;
use acteon_sinks_kit::contract::{Harness, Received};
use serde_json::{Value, json};

use crate::Slack;

fn action(payload: &Value) -> Action {
    let json = json!({
        "id": "order-7", "namespace": "shop", "tenant": "acme", "provider": "team", "action_type": "order_paid",
        "payload": payload,
    });
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let draft = decode(&json.to_string().into()).unwrap();
    draft
        .complete(&Defaults::default(), || "made".into(), now)
        .unwrap()
}

fn context() -> SinkContext {
    SinkContext {
        name: "team".into(),
        timeout: Duration::from_secs(20),
        max_concurrent: 4,
        redactor: acteon_core::Redactor::default(),
    }
}

async fn build(options: Value) -> Result<Arc<dyn Sink>, BuildError> {
    let mut registry = Registry::<Sinks>::default();
    registry.register(Slack::default());
    let plan = registry.plan("slack", options).unwrap();
    plan.build(context()).await
}

async fn deliver(sink: &dyn Sink, payload: &Value) -> Result<ProviderResponse, SinkError> {
    let action = action(payload);
    let attempt = Attempt {
        action: &action,
        idempotency_key: &action.id,
        number: 1,
        progress: None,
    };
    sink.deliver(attempt).await
}

/// A workspace, and a sink with its token and the default channel `#alerts`.
async fn workspace(mut options: Value) -> (SlackServer, Arc<dyn Sink>) {
    let slack = SlackServer::start().await.unwrap();
    options["token"] = slack.token().into();
    options["default_channel"] = "#alerts".into();
    options["api_base_url"] = slack.api_base_url().into();
    options["allow_cidrs"] = json!(["127.0.0.0/8"]);
    let sink = build(options).await.unwrap();
    (slack, sink)
}

/// The message that arrives for a payload.
async fn posted(options: Value, payload: &Value) -> Value {
    let (slack, sink) = workspace(options).await;
    deliver(&*sink, payload).await.unwrap();
    slack.messages().remove(0)
}

struct Api;

impl Harness for Api {
    fn register(&self, registry: &mut Registry<Sinks>) {
        registry.register(Slack::default());
    }

    fn kind(&self) -> &'static str {
        "slack"
    }

    fn options(&self, url: &str) -> Value {
        json!({"api_base_url": url, "token": "xoxb-in-the-token", "default_channel": "C1"})
    }

    fn action(&self) -> Action {
        action(&json!({"text": "Order 7 is paid"}))
    }

    fn accepted(&self) -> &'static str {
        r#"{"ok": true, "channel": "C1", "ts": "1503435956.000247"}"#
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["xoxb-in-the-token"]
    }

    /// Slack has no field for one.
    fn idempotency_key(&self, _: &Received) -> Option<String> {
        None
    }
}

acteon_sinks_kit::http_sink_contract!(Api);

mod incoming_webhook {
    use super::*;

    struct IncomingWebhook;

    impl Harness for IncomingWebhook {
        fn register(&self, registry: &mut Registry<Sinks>) {
            registry.register(Slack::default());
        }

        fn kind(&self) -> &'static str {
            "slack"
        }

        fn options(&self, url: &str) -> Value {
            json!({"webhook_url": format!("{url}&token=in-the-query")})
        }

        fn action(&self) -> Action {
            Api.action()
        }

        fn accepted(&self) -> &'static str {
            "ok"
        }

        fn secrets(&self) -> &'static [&'static str] {
            &["in-the-query", "hook?"]
        }

        fn idempotency_key(&self, _: &Received) -> Option<String> {
            None
        }
    }

    acteon_sinks_kit::http_sink_contract!(IncomingWebhook);
}
