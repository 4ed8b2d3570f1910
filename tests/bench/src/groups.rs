//! The flush of 10,000 groups of 10 members that are due within one second: how late each summary arrives. The pipeline
//! runs in this process over the memory backend, with a sink that only takes the time.

use std::sync::Arc;
use std::time::Duration;

use acteon_backends_memory::MemoryState;
use acteon_core::decode::{Defaults, decode};
use acteon_core::delivery::Position;
use acteon_core::disposition::ThrottledPolicy;
use acteon_core::reply::Replies;
use acteon_core::{
    Admission, Attempt, Caller, Clock, Counters, Delivery, Envelope, Feed, Intake, Memory, Policy,
    ProviderResponse, Receipt, Redactor, Sink, SinkError, State,
};
use acteon_pipeline::{
    Machines, Pipeline, PipelineOptions, PipelineParts, ProviderOptions, Providers, Rules,
    RulesOptions,
};
use acteon_rules::{CompileSettings, RuleFile, RuleSet};
use anyhow::{Context, anyhow, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::report::Report;

const GROUPS: usize = 10_000;
const MEMBERS: usize = 10;
const BATCH: usize = 256;
const WAIT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(60);
const RULES: &str = "rules: [{ name: g, condition: { all: [] }, action: { type: group, group_by: [metadata.host], \
                     group_wait_seconds: 10, max_group_size: 100 } }]";

pub(crate) fn run() -> anyhow::Result<Report> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> anyhow::Result<Report> {
    let clock = Clock::system();
    let arrivals = Arc::new(Arrivals {
        clock,
        seen: Mutex::default(),
    });
    let state = Arc::new(MemoryState::default());
    let pipeline = pipeline(state, clock, arrivals.clone())?;
    let closing = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(pipeline.clone().run(closing.clone()));
    let joined = join_all(&pipeline, clock).await?;
    let deadline = Instant::now() + TIMEOUT;
    while arrivals.seen.lock().len() < GROUPS && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
    }
    closing.cancel();
    while tasks.join_next().await.is_some() {}
    let mut seen = std::mem::take(&mut *arrivals.seen.lock());
    let events: u64 = seen.iter().map(|one| one.events).sum();
    ensure!(seen.len() == GROUPS, "{} summaries of {GROUPS}", seen.len());
    ensure!(
        events == (GROUPS * MEMBERS) as u64,
        "{events} members arrived"
    );
    seen.sort_by(|a, b| a.late.total_cmp(&b.late));
    let at = |share: f64| seen[((seen.len() - 1) as f64 * share) as usize].late;
    let mut report = Report::new("groups");
    report.row(
        "100,000 members join",
        &[("s", joined), ("per s", (GROUPS * MEMBERS) as f64 / joined)],
    );
    report.row(
        "10,000 summaries, late by s",
        &[("p50", at(0.5)), ("p99", at(0.99)), ("max", at(1.0))],
    );
    report.at_most("flush lateness p99, s", at(0.99), 1.0);
    Ok(report)
}

/// A pipeline with one rule, which groups, and one provider.
pub(crate) fn pipeline(
    state: Arc<dyn State>,
    clock: Clock,
    sink: Arc<dyn Sink>,
) -> anyhow::Result<Arc<Pipeline>> {
    let file = RuleFile {
        name: "rules.yaml".to_owned(),
        text: RULES.to_owned(),
    };
    let settings = CompileSettings::default();
    let set = RuleSet::compile(&[file], &settings);
    let set = set.map_err(|problems| anyhow!("the bench's own rule is refused: {problems:?}"))?;
    let options = RulesOptions {
        directory: None,
        allow_empty: true,
        settings,
        templates: Arc::default(),
        redactor: Redactor::default(),
        clock,
    };
    let providers = [ProviderOptions::new("log", sink)];
    Ok(Pipeline::new(PipelineParts {
        machines: Machines::default(),
        options: PipelineOptions::default(),
        rules: Rules::of(&set, options, state.clone()),
        providers: Arc::new(Providers::named(providers, clock)?),
        state,
        trail: None,
        counters: Arc::new(Counters::default()),
        redactor: Redactor::default(),
        admission: Admission::new(10_000, 256 << 20),
        clock,
    }))
}

/// Submits all members. Returns the seconds it took.
async fn join_all(pipeline: &Pipeline, clock: Clock) -> anyhow::Result<f64> {
    let admission = Admission::new(u32::MAX, u64::MAX);
    let feed = Feed::default();
    let began = Instant::now();
    let numbers: Vec<_> = (0..GROUPS * MEMBERS).collect();
    for batch in numbers.chunks(BATCH) {
        let (replies, ended) = Replies::expect(batch.len());
        let mut deliveries = Vec::with_capacity(batch.len());
        for (at, number) in batch.iter().enumerate() {
            let permit = admission.admit(1, 0).await;
            let receipt = Receipt::new(replies.clone(), at as u64);
            deliveries.push(Delivery::new(envelope(*number, clock)?, receipt, permit));
        }
        pipeline.submit(deliveries, &feed).await;
        ended.await.context("the pipeline dropped a batch")?;
    }
    Ok(began.elapsed().as_secs_f64())
}

fn envelope(number: usize, clock: Clock) -> anyhow::Result<Envelope> {
    let now = clock.now();
    let action = json!({
        "id": format!("a{number}"), "namespace": "ops", "tenant": "acme", "provider": "log", "action_type": "alert",
        "metadata": {"host": format!("h{}", number % GROUPS)}, "payload": {"number": number, "text": "disk is full"},
    });
    let raw = Bytes::from(serde_json::to_vec(&action)?);
    let action = decode(&raw)?.complete(&Defaults::default(), Default::default, now)?;
    Ok(Envelope {
        action,
        id_given: false,
        position: Position {
            stream: "bench".into(),
            offset: Some(number as u64),
        },
        caller: Caller::anonymous(),
        received_at: now,
        raw,
        key: None,
        memory: Memory::Own,
        history: None,
        policy: Policy::Broker {
            throttled: ThrottledPolicy::Retry,
        },
    })
}

/// Takes the time of each summary.
struct Arrivals {
    clock: Clock,
    seen: Mutex<Vec<Arrival>>,
}

struct Arrival {
    /// Seconds after the group was due.
    late: f64,
    events: u64,
}

#[async_trait]
impl Sink for Arrivals {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let opened_at = attempt.action.created_at.timestamp();
        let open_for = self.clock.now().duration_since(opened_at).as_secs_f64();
        let payload: Option<Value> = attempt.action.payload.parse().ok();
        let events = payload.and_then(|payload| payload["event_count"].as_u64());
        self.seen.lock().push(Arrival {
            late: open_for - WAIT.as_secs_f64(),
            events: events.unwrap_or_default(),
        });
        ProviderResponse::success(&json!({})).map_err(|error| {
            SinkError::permanent(acteon_core::FailureCode::ExecutionFailed, error.to_string())
        })
    }
}
