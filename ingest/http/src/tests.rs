mod batches;
mod memory;
mod overload;
mod refusals;
mod shapes;
mod shutdown;
mod singles;
mod sockets;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_connect_http::ApiService;
use acteon_core::rules::{
    EvaluateError, EvaluateOptions, Evaluation, Reloaded, Rulebook, RulesError, RulesInForce,
};
use acteon_core::verdict::Verdict;
use acteon_core::{Action, ActionOutcome, Admission, Clock, Counters, Intake, StateError};
use acteon_testkit::epoch;
use async_trait::async_trait;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{HttpContext, HttpSource};

/// A source over a test's own pipeline.
struct Api {
    source: Arc<HttpSource>,
    router: ApiService,
    rulebook: Arc<RecordingRulebook>,
}

fn api(intake: Arc<dyn Intake>) -> Api {
    api_with(intake, |_| {})
}

/// The API with a changed context.
fn api_with(intake: Arc<dyn Intake>, change: impl FnOnce(&mut HttpContext)) -> Api {
    let rulebook = Arc::new(RecordingRulebook::default());
    let mut context = HttpContext {
        intake,
        admission: Admission::new(10_000, 256 << 20),
        rulebook: rulebook.clone(),
        counters: Arc::new(Counters::default()),
        clock: Clock::starting_at(epoch()),
        body_bytes_max: 2 << 20,
        batch_actions_max: 1000,
        max_batch: 256,
        admission_timeout: Duration::from_millis(100),
        stop: CancellationToken::new(),
    };
    change(&mut context);
    let body_bytes_max = context.body_bytes_max;
    let source = HttpSource::new(context);
    let router = ApiService::new(source.routes().into(), body_bytes_max);
    Api {
        source,
        router,
        rulebook,
    }
}

impl Api {
    async fn send(&self, request: Request) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Posts JSON and reads the answer's status and text.
    async fn post(&self, path: &str, body: impl Into<Body>) -> (u16, String) {
        read(self.send(posting(path, body)).await).await
    }
}

async fn read(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

const ONE: &str = "/v1/dispatch";
const MANY: &str = "/v1/dispatch/batch";

fn posting(path: &str, body: impl Into<Body>) -> Request {
    Request::post(path)
        .header("content-type", "application/json")
        .header("x-request-id", "r-1")
        .body(body.into())
        .unwrap()
}

/// The JSON of an action with this id.
fn wire(id: &str) -> String {
    let action = acteon_testkit::action(id).build();
    serde_json::to_string(&action).unwrap()
}

/// The JSON of an action with this id and payload.
fn wire_with(id: &str, payload: &str) -> String {
    wire(id).replace("\"payload\":{}", &format!("\"payload\":{payload}"))
}

/// Allows every action unless `without_state` is set, and records the ids of each dry run.
#[derive(Default)]
struct RecordingRulebook {
    dry_runs: Mutex<Vec<Vec<String>>>,
    without_state: AtomicBool,
}

#[async_trait]
impl Rulebook for RecordingRulebook {
    fn rules(&self) -> RulesInForce {
        unreachable!("dispatching does not list rules")
    }

    async fn reload(&self, _: Option<&Path>) -> Result<Reloaded, RulesError> {
        unreachable!("dispatching does not load rules")
    }

    async fn set_enabled(&self, _: &str, _: bool) -> Result<(), RulesError> {
        unreachable!("dispatching does not change rules")
    }

    async fn evaluate(&self, _: &Action, _: &EvaluateOptions) -> Result<Evaluation, EvaluateError> {
        unreachable!("a dry run explains nothing")
    }

    async fn dry_run(&self, actions: &[&Action]) -> Result<Vec<ActionOutcome>, StateError> {
        let ids = actions.iter().map(|action| action.id.to_string());
        self.dry_runs.lock().push(ids.collect());
        if self.without_state.load(Relaxed) {
            return Err(StateError::Unavailable("the test cut it off".into()));
        }
        let allowed = |action: &&Action| ActionOutcome::DryRun {
            verdict: Verdict::Allow,
            matched_rule: None,
            would_be_provider: action.provider.clone(),
            silenced_by: None,
        };
        Ok(actions.iter().map(allowed).collect())
    }
}
