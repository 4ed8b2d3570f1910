//! Shutdown when a part of the server does not end by itself.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::audit::{Audit, AuditContext, Audits};
use acteon_core::sink::{Sink, SinkContext, Sinks};
use acteon_core::{BuildError, Factory};
use acteon_testkit::{Answer, RecordingSink, SilentAudit};
use async_trait::async_trait;
use reqwest::Client;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::*;

const A_SECOND: &str = "shutdown_timeout_seconds = 1\n";
const SILENT: &str = "[audit]\nbackend = \"silent\"\n";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

/// The factory of a provider made by the test.
struct Made(Arc<RecordingSink>);

#[async_trait]
impl Factory<Sinks> for Made {
    const KIND: &'static str = "made";
    type Config = NoOptions;

    async fn build(&self, _: NoOptions, _: SinkContext) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(self.0.clone())
    }
}

/// The factory of an audit backend that never answers.
struct Silent;

#[async_trait]
impl Factory<Audits> for Silent {
    const KIND: &'static str = "silent";
    type Config = NoOptions;

    async fn build(&self, _: NoOptions, _: AuditContext) -> Result<Arc<dyn Audit>, BuildError> {
        Ok(Arc::new(SilentAudit))
    }
}

/// A server that runs, with a provider `made`.
struct Running {
    url: String,
    stop: CancellationToken,
    stop_at_once: CancellationToken,
    life: JoinSet<ShutdownOutcome>,
}

impl Running {
    async fn start(sink: &Arc<RecordingSink>, options: &str) -> Self {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let mut adapters = AdapterSet::built_in();
        adapters.sinks.register(Made(sink.clone()));
        adapters.audits.register(Silent);
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "[server]\nport = 0\n{options}\n\
             [[providers]]\nname = \"made\"\ntype = \"made\"\n"
        );
        std::fs::write(file.path(), text).unwrap();
        let inputs = Inputs {
            path: Some(file.path().to_owned()),
            environment: Vec::new(),
            flags: Vec::new(),
        };
        let config = adapters.load(&inputs).unwrap();
        let (metrics, _) = Metrics::detached();
        let server = Server::build(config, metrics).await.unwrap();
        let url = format!("http://{}", server.address().unwrap());
        let (stop, stop_at_once) = (CancellationToken::new(), CancellationToken::new());
        let mut life = JoinSet::new();
        let signals = Signals::from_tokens(stop.clone(), stop_at_once.clone());
        life.spawn(server.run(signals));
        Self {
            url,
            stop,
            stop_at_once,
            life,
        }
    }

    /// The response to this body, as status and JSON.
    fn post(&self, path: &str, body: &Value) -> impl Future<Output = (u16, Value)> + Send + use<> {
        let client = Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{}{path}", self.url)).json(body);
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        }
    }

    /// The outcome of the shutdown, which must come within this time.
    async fn ended_within(&mut self, limit: Duration) -> ShutdownOutcome {
        let ended = timeout(limit, self.life.join_next()).await;
        ended.expect("it ends in time").unwrap().unwrap()
    }
}

fn action(id: &str) -> Value {
    json!({
        "id": id, "namespace": "n", "tenant": "t", "provider": "made", "action_type": "a", "payload": {},
    })
}

#[tokio::test]
async fn callers_whose_provider_hangs_are_answered_at_the_deadline_and_work_is_cut_off() {
    let sink = RecordingSink::answering(|attempt| match attempt.action.id.as_str() {
        "fine" => Answer::Succeed,
        _ => Answer::Hang,
    });
    let mut server = Running::start(&sink, A_SECOND).await;
    let mut callers = JoinSet::new();
    callers.spawn(server.post("/v1/dispatch", &action("hangs")));
    let batch = json!([action("fine"), action("hangs, too")]);
    callers.spawn(server.post("/v1/dispatch/batch", &batch));
    sink.wait_for_attempts(3).await;
    let before = Instant::now();
    server.stop.cancel();
    let mut answers: Vec<_> = callers.join_all().await;
    assert!(
        before.elapsed() >= Duration::from_secs(1),
        "they had their time"
    );
    answers.sort_by_key(|(status, _)| *status);
    let [(200, items), (503, refusal)] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    assert_eq!(refusal["code"], "SHUTTING_DOWN");
    assert_eq!(items[0]["Executed"]["status"], "success");
    assert_eq!(items[1]["error"]["code"], "SHUTTING_DOWN");
    assert_eq!(
        server.ended_within(Duration::from_secs(3)).await,
        ShutdownOutcome::CutOff
    );
}

#[tokio::test]
async fn an_audit_backend_that_is_away_does_not_keep_the_server_from_ending() {
    let sink = RecordingSink::succeeding();
    let mut server = Running::start(&sink, &format!("{A_SECOND}{SILENT}")).await;
    let (status, _) = server.post("/v1/dispatch", &action("a")).await;
    assert_eq!(status, 200);
    server.stop.cancel();
    assert_eq!(
        server.ended_within(Duration::from_secs(5)).await,
        ShutdownOutcome::CutOff,
        "a record could not be written"
    );
}

#[tokio::test]
async fn callers_who_wait_for_a_durable_record_are_answered_at_the_deadline() {
    let sink = RecordingSink::succeeding();
    let config = format!("{A_SECOND}{SILENT}delivery = \"confirmed\"");
    let mut server = Running::start(&sink, &config).await;
    let mut callers = JoinSet::new();
    callers.spawn(server.post("/v1/dispatch", &action("a")));
    sink.wait_for_attempts(1).await;
    server.stop.cancel();
    let (status, refusal) = callers.join_next().await.unwrap().unwrap();
    assert_eq!((status, &refusal["code"]), (503, &json!("SHUTTING_DOWN")));
    assert_eq!(
        server.ended_within(Duration::from_secs(5)).await,
        ShutdownOutcome::CutOff
    );
}

#[tokio::test]
async fn a_second_signal_is_heard_while_records_wait_to_be_written() {
    let sink = RecordingSink::succeeding();
    let config = format!("shutdown_timeout_seconds = 3600\n{SILENT}");
    let mut server = Running::start(&sink, &config).await;
    let (status, _) = server.post("/v1/dispatch", &action("a")).await;
    assert_eq!(status, 200);
    server.stop.cancel();
    // The listener is closed, and the server only waits for the record.
    let closed = async { while Client::new().get(&server.url).send().await.is_ok() {} };
    timeout(Duration::from_secs(5), closed).await.unwrap();
    server.stop_at_once.cancel();
    assert_eq!(
        server.ended_within(Duration::from_secs(1)).await,
        ShutdownOutcome::CutOff
    );
}
