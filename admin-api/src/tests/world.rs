//! The API over memory backends and test doubles, for the tests of the endpoints. Tests send requests as a client does.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use acteon_backends_memory::{MemoryAudit, MemoryState, StateConfig};
use acteon_connect_http::ApiService;
use acteon_core::health::{
    BreakerOverride, BreakerState, LastError, Latency, Part, ProviderAdmin, ProviderHealth,
    Readiness,
};
use acteon_core::redelivery::{PendingRedelivery, Redeliveries, RedeliveryPage, RedeliveryQuery};
use acteon_core::rules::{
    EvaluateError, EvaluateOptions, Evaluation, Reloaded, RuleProblem, RuleResult, RuleSummary,
    RuleTrace, Rulebook, RulesError, RulesInForce,
};
use acteon_core::state::{Holds, Settlement, SettlementAnswer, StateContext};
use acteon_core::{
    Action, ActionOutcome, Admission, Audit, AuditRecord, Clock, Counters, DeadLetter, Failure,
    FailureCode, Payload, ProviderResponse, Redactor, StateError, Verdict, WrittenRecords,
};
use acteon_testkit::{FakeIntake, RecordingTrail, UnreachableState, epoch};
use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

use super::fake_groups::FakeGroups;
use super::fake_silences::FakeSilences;
use crate::{AdminApi, AuditPorts, Ports, StatusPorts, openapi, routers, swagger};

/// The API and all its ports.
pub(super) struct World {
    pub(super) api: AdminApi,
    pub(super) rulebook: Arc<FakeRulebook>,
    pub(super) audit: Arc<MemoryAudit>,
    pub(super) trail: Arc<RecordingTrail>,
    pub(super) written: WrittenRecords,
    pub(super) stop: CancellationToken,
    pub(super) state: Arc<UnreachableState>,
    pub(super) readiness: Arc<FakeReadiness>,
    pub(super) redeliveries: Arc<FakeRedeliveries>,
    pub(super) counters: Arc<Counters>,
    pub(super) groups: Arc<FakeGroups>,
    pub(super) router: ApiService,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A world whose ports `change` adjusts before the API is built.
    pub(super) fn with(change: impl FnOnce(&mut Ports)) -> Self {
        Self::reading(10_000, change)
    }

    /// The same, with this limit on bodies.
    pub(super) fn reading(body_bytes_max: usize, change: impl FnOnce(&mut Ports)) -> Self {
        let rulebook = Arc::new(FakeRulebook::default());
        let audit = Arc::new(MemoryAudit::default());
        let trail = RecordingTrail::new();
        let written = WrittenRecords::default();
        let stop = CancellationToken::new();
        let clock = Clock::starting_at(epoch());
        let context = StateContext {
            clock,
            ..StateContext::default()
        };
        let state = MemoryState::new(&StateConfig::default(), &context);
        let state = UnreachableState::before(Arc::new(state));
        let readiness = Arc::new(FakeReadiness::default());
        let redeliveries = Arc::new(FakeRedeliveries::default());
        let counters = Arc::new(Counters::default());
        let groups = Arc::new(FakeGroups::default());
        let mut ports = Ports {
            rulebook: rulebook.clone(),
            audit: Some(AuditPorts {
                backend: audit.clone(),
                trail: trail.clone(),
                written: written.clone(),
            }),
            state: state.clone(),
            groups: groups.clone(),
            events: Arc::new(super::events::FakeEvents(state.clone())),
            silences: Arc::new(FakeSilences::over(state.clone())),
            intake: FakeIntake::done(),
            admission: Admission::new(10, 1 << 20),
            status: StatusPorts {
                readiness: readiness.clone(),
                providers: Arc::new(FakeProviders),
                redeliveries: redeliveries.clone(),
                counters: counters.clone(),
                prometheus: Arc::new(|| "# TYPE acteon_x_total counter\nacteon_x_total 1\n".into()),
            },
            redactor: Redactor::default(),
            clock,
            stop: stop.clone(),
        };
        change(&mut ports);
        let api = AdminApi::new(ports);
        let routers = routers(&api);
        let all = routers
            .health
            .merge(routers.admin)
            .merge(swagger(openapi(OpenApi::default())));
        Self {
            router: ApiService::new(all, body_bytes_max),
            api,
            rulebook,
            audit,
            trail,
            written,
            stop,
            state,
            readiness,
            redeliveries,
            groups,
            counters,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(super) async fn send(&self, method: &str, path: &str, json: &str) -> Answer {
        self.ask(method, path, &[("content-type", "application/json")], json)
            .await
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-request-id", "r-1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            asked: format!("{method} {path}"),
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    pub(super) async fn keep_letters(&self, letters: impl IntoIterator<Item = DeadLetter>) {
        let keep = |letter| Settlement::storing(Arc::new(letter));
        let settlements: Vec<_> = letters.into_iter().map(keep).collect();
        let mut answers = self.state.settle(&settlements).await.unwrap().into_iter();
        let has_room = answers.all(|answer| answer == SettlementAnswer::Applied);
        assert!(has_room, "no room for a letter");
    }

    pub(super) async fn keep_records(&self, records: impl IntoIterator<Item = AuditRecord>) {
        let records: Vec<_> = records.into_iter().map(Arc::new).collect();
        self.audit.append(&records).await.unwrap();
    }
}

/// The answer that a client got.
pub(super) struct Answer {
    asked: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The answer as text, with the headers that not every answer has.
    pub(super) fn shown(&self) -> String {
        let mut text = format!("{}\n{}\n", self.asked, self.status);
        for name in [
            "content-type",
            "retry-after",
            "allow",
            "x-rules-generation",
            "x-rules-hash",
            "x-rules-errors",
        ] {
            if let Some(value) = self.headers.get(name) {
                writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        assert_eq!(self.headers["x-request-id"], "r-1");
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(json) => writeln!(text, "{}", serde_json::to_string_pretty(&json).unwrap()),
            Err(_) => writeln!(text, "{}", String::from_utf8_lossy(&self.body)),
        }
        .unwrap();
        text
    }
}

type Reload = dyn Fn(Option<&Path>) -> Result<Reloaded, RulesError> + Send + Sync;

/// A rulebook without rules: it returns the set that a test chose and records calls.
pub(super) struct FakeRulebook {
    pub(super) in_force: Mutex<RulesInForce>,
    pub(super) on_reload: Mutex<Box<Reload>>,
    pub(super) toggles: Mutex<Vec<(String, bool)>>,
    pub(super) evaluated: Mutex<Vec<(Action, EvaluateOptions)>>,
    /// The error of the next evaluation.
    pub(super) evaluate_error: Mutex<Option<EvaluateError>>,
}

impl Default for FakeRulebook {
    fn default() -> Self {
        let rule = |name: &str, priority| RuleSummary {
            name: name.into(),
            priority,
            enabled: true,
            description: None,
            action_type: "suppress",
            source: "10-mute.yaml".into(),
        };
        let in_force = RulesInForce {
            generation: 3,
            content_hash: "9f86d081".into(),
            rules: vec![rule("mute-tests", 1), rule("mute all", 2)],
            last_errors: vec![],
        };
        let reloaded = |directory: Option<&Path>| {
            Ok(Reloaded {
                rules: 2,
                directory: directory.unwrap_or(Path::new("/rules")).to_owned(),
                generation: 4,
            })
        };
        Self {
            in_force: Mutex::new(in_force),
            on_reload: Mutex::new(Box::new(reloaded)),
            toggles: Mutex::default(),
            evaluated: Mutex::default(),
            evaluate_error: Mutex::default(),
        }
    }
}

pub(super) fn problem(line: usize, message: &str) -> RuleProblem {
    RuleProblem {
        file: "20-routes.yaml".into(),
        line,
        column: 7,
        message: message.into(),
    }
}

#[async_trait]
impl Rulebook for FakeRulebook {
    fn rules(&self) -> RulesInForce {
        self.in_force.lock().clone()
    }

    async fn reload(&self, directory: Option<&Path>) -> Result<Reloaded, RulesError> {
        self.on_reload.lock()(directory)
    }

    async fn set_enabled(&self, name: &str, enabled: bool) -> Result<(), RulesError> {
        let known = self
            .in_force
            .lock()
            .rules
            .iter()
            .any(|rule| &*rule.name == name);
        if !known {
            return Err(RulesError::NotFound(name.into()));
        }
        self.toggles.lock().push((name.into(), enabled));
        Ok(())
    }

    async fn evaluate(
        &self,
        action: &Action,
        options: &EvaluateOptions,
    ) -> Result<Evaluation, EvaluateError> {
        self.evaluated
            .lock()
            .push((action.clone(), options.clone()));
        if let Some(error) = self.evaluate_error.lock().take() {
            return Err(error);
        }
        Ok(Evaluation {
            verdict: Verdict::Modify,
            matched_rule: Some("mute-tests".into()),
            silenced_by: None,
            has_errors: false,
            total_rules_evaluated: 2,
            total_rules_skipped: 0,
            evaluation_duration_us: 3,
            trace: vec![RuleTrace {
                rule_name: "mute-tests".into(),
                priority: 1,
                enabled: true,
                condition_display: "action.metadata.env eq: \"prod\"".into(),
                result: RuleResult::Matched,
                evaluation_duration_us: 1,
                action: "modify",
                source: "10-mute.yaml".into(),
                description: None,
                skip_reason: None,
                error: None,
                reason: None,
                metadata: [("owner".into(), "ops".into())].into(),
            }],
            context: json!({"now": 1_767_225_600}),
            modified_payload: Payload::from_value(&json!({"token": "t-1", "amount": 3})).ok(),
        })
    }

    async fn dry_run(&self, _: &[&Action]) -> Result<Vec<ActionOutcome>, StateError> {
        unreachable!("the admin API has no dry run")
    }
}

/// Reports the parts that a test chose.
#[derive(Default)]
pub(super) struct FakeReadiness(pub(super) Mutex<Vec<Part>>);

#[async_trait]
impl Readiness for FakeReadiness {
    async fn parts(&self) -> Vec<Part> {
        self.0.lock().clone()
    }
}

/// Lists the redeliveries that a test chose.
#[derive(Default)]
pub(super) struct FakeRedeliveries(pub(super) Mutex<Vec<PendingRedelivery>>);

impl Redeliveries for FakeRedeliveries {
    fn list(&self, query: &RedeliveryQuery) -> RedeliveryPage {
        let place = |one: &PendingRedelivery| (one.next_at, one.source.clone());
        let mut matching = self.0.lock().clone();
        matching.retain(|one| query.matches(one) && Some(place(one)) > query.after);
        matching.sort_by_key(place);
        let more = matching.len() > query.limit;
        matching.truncate(query.limit);
        RedeliveryPage {
            redeliveries: matching.into_iter().map(Arc::new).collect(),
            more,
        }
    }
}

struct FakeProviders;

#[async_trait]
impl ProviderAdmin for FakeProviders {
    fn health(&self) -> Vec<ProviderHealth> {
        let new = ProviderHealth {
            name: "email".into(),
            breaker: BreakerState::Closed,
            queued: 0,
            in_flight: 0,
            redelivering: 0,
            deliveries: 0,
            failures: 0,
            success_rate: None,
            latency: None,
            last_error: None,
        };
        let tried = ProviderHealth {
            name: "hook".into(),
            breaker: BreakerState::HalfOpen,
            queued: 7,
            in_flight: 1,
            redelivering: 12,
            deliveries: 90,
            failures: 10,
            success_rate: Some(0.9),
            latency: Some(Latency {
                avg_ms: 2.5,
                p50_ms: 1.5,
                p95_ms: 3.25,
                p99_ms: 30.0,
            }),
            last_error: Some(LastError {
                message: "no answer within 30s".into(),
                at: epoch(),
            }),
        };
        vec![new, tried]
    }

    fn set_breaker(&self, name: &str, to: BreakerOverride) -> Option<ProviderHealth> {
        let health = self.health().into_iter().find(|one| one.name == name)?;
        let breaker = match to {
            BreakerOverride::Open => BreakerState::Open,
            BreakerOverride::Closed => BreakerState::Closed,
        };
        Some(ProviderHealth { breaker, ..health })
    }

    /// `hook` accepts every message and answers with its payload, `email` none.
    async fn test(&self, name: &str, action: &Action) -> Option<Result<ProviderResponse, Failure>> {
        let refused = Failure {
            code: FailureCode::Configuration,
            message: "no recipient".into(),
            retryable: false,
            attempts: 1,
        };
        match name {
            "hook" => Some(Ok(ProviderResponse::success(&action.payload).unwrap())),
            "email" => Some(Err(refused)),
            _ => None,
        }
    }
}
