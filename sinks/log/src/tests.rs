use std::io;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::{Defaults, decode};
use acteon_core::sink::SinkContext;
use acteon_core::{Action, Attempt, ProviderResponse, Redactor, Registry, Sink, Sinks};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::Log;

const PAYLOAD: &str = "{\n  \"text\": \"two\\nlines\",\r\n  \"token\": 1\n}";

fn action() -> Action {
    let json = format!(
        r#"{{"id": "a-1", "namespace": "ns", "tenant": "t1", "provider": "asked-for", "action_type": "greet",
            "payload": {PAYLOAD}}}"#
    );
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let draft = decode(&Bytes::from(json)).unwrap();
    draft
        .complete(&Defaults::default(), || "made".into(), now)
        .unwrap()
}

async fn sink(options: Value) -> Arc<dyn Sink> {
    sink_hiding(options, Redactor::default()).await
}

async fn sink_hiding(options: Value, redactor: Redactor) -> Arc<dyn Sink> {
    let mut registry = Registry::<Sinks>::default();
    registry.register(Log);
    let context = SinkContext {
        name: "console".into(),
        timeout: Duration::from_secs(1),
        max_concurrent: 1,
        redactor,
    };
    registry
        .plan("log", options)
        .unwrap()
        .build(context)
        .await
        .unwrap()
}

/// The log lines at `info` and above during a delivery, and the answer.
async fn log_of(options: Value) -> (Vec<Value>, ProviderResponse) {
    log_by(sink(options).await).await
}

async fn log_by(sink: Arc<dyn Sink>) -> (Vec<Value>, ProviderResponse) {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::INFO)
        .with_writer(written.clone())
        .finish();
    let action = action();
    let attempt = Attempt {
        action: &action,
        idempotency_key: "a-1",
        number: 2,
        progress: None,
    };
    let _guard = tracing::subscriber::set_default(subscriber);
    let answer = sink.deliver(attempt).await.unwrap();
    let text = String::from_utf8(written.0.lock().clone()).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (lines, answer)
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn an_action_is_one_line_with_its_names_and_its_payload() {
    let (lines, answer) = log_of(json!({})).await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["target"], "acteon::log_sink");
    assert_eq!(
        lines[0]["fields"],
        json!({
            "message": "action", "id": "a-1", "namespace": "ns", "tenant": "t1", "provider": "console",
            "action_type": "greet", "attempt": 2, "payload_bytes": PAYLOAD.len(),
            "payload": r#"{   "text": "two\nlines",    "token": 1 }"#,
        })
    );
    assert_eq!(answer.body.get(), r#"{"logged":true}"#);
    assert_eq!(answer.status.as_str(), "success");
}

#[tokio::test]
async fn fields_redacted_in_the_audit_trail_are_redacted_in_the_log() {
    let redactor = Redactor::new(["token".to_owned()], "[hidden]");
    let (lines, _) = log_by(sink_hiding(json!({}), redactor).await).await;
    let fields = &lines[0]["fields"];
    let expected = r#"{   "text": "two\nlines",    "token": "[hidden]" }"#;
    assert_eq!(fields["payload"], expected);
    assert_eq!(fields["payload_bytes"], PAYLOAD.len());
}

#[tokio::test]
async fn without_payload_only_its_length_is_written() {
    let (lines, _) = log_of(json!({"payload": false, "level": "warn"})).await;
    assert_eq!(lines[0]["level"], "WARN");
    assert_eq!(lines[0]["fields"]["payload_bytes"], PAYLOAD.len());
    assert_eq!(lines[0]["fields"].get("payload"), None);
}

#[tokio::test]
async fn an_action_at_a_level_that_the_log_does_not_show_succeeds() {
    let (lines, answer) = log_of(json!({"level": "debug"})).await;
    assert_eq!(lines.len(), 0);
    assert_eq!(answer.body.get(), r#"{"logged":true}"#);
}

#[tokio::test]
async fn discarding_writes_nothing_and_says_so() {
    let (lines, answer) = log_of(json!({"write": false})).await;
    assert_eq!(lines.len(), 0);
    assert_eq!(answer.body.get(), r#"{"logged":false}"#);
}

#[tokio::test]
async fn answers_share_one_body() {
    let sink = sink(json!({"write": false})).await;
    let action = action();
    let attempt = Attempt {
        action: &action,
        idempotency_key: "a-1",
        number: 1,
        progress: None,
    };
    let first = sink.deliver(attempt).await.unwrap();
    let second = sink.deliver(attempt).await.unwrap();
    assert!(Arc::ptr_eq(&first.body, &second.body));
}

#[test]
fn unknown_options_and_levels_name_the_known_ones() {
    let mut registry = Registry::<Sinks>::default();
    registry.register(Log);
    let refusal = |options| registry.plan("log", options).err().unwrap().to_string();
    assert!(
        refusal(json!({"levle": "info"})).contains("expected one of `level`, `payload`, `write`")
    );
    assert!(
        refusal(json!({"level": "loud"})).contains("`trace`, `debug`, `info`, `warn`, `error`")
    );
}
