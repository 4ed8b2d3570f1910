//! A million events with armed timers: what a timer costs beyond its event, and the CPU of a pipeline that waits for the
//! first one to fall due.

use std::sync::Arc;
use std::time::Duration;

use acteon_backends_memory::{MemoryState, StateConfig};
use acteon_core::state::{
    EventId, EventPhase, EventRecord, EventWrite, Holds, Reservation, ReservationAnswer,
    StateContext, Step, Token,
};
use acteon_core::{Attempt, Clock, ProviderResponse, Sink, SinkError};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::child::{cpu_seconds_of, status_mib_of};
use crate::groups::pipeline;
use crate::report::Report;

const EVENTS: usize = 1_000_000;
const BATCH: usize = 1000;
/// Later than the bench lasts.
const DUE_IN: Duration = Duration::from_secs(3600);
const WAIT: Duration = Duration::from_secs(10);

pub(crate) fn run() -> anyhow::Result<Report> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> anyhow::Result<Report> {
    let clock = Clock::system();
    let before = resident_bytes()?;
    let unarmed = filled(clock, None).await?;
    let between = resident_bytes()?;
    let armed = filled(clock, Some(DUE_IN)).await?;
    let after = resident_bytes()?;
    let of_event = (between - before) / EVENTS as f64;
    let of_armed = (after - between) / EVENTS as f64;
    drop(unarmed);
    let cpu = cpu_while_waiting(armed, clock).await?;
    let mut report = Report::new("timers");
    report.row(
        "1,000,000 events",
        &[("B without a timer", of_event), ("B with one", of_armed)],
    );
    let wait = WAIT.as_secs_f64();
    report.row("a pipeline waits", &[("s", wait), ("CPU s", cpu)]);
    report.at_most("B per timer", of_armed - of_event, 200.0);
    report.at_most("CPU s per second", cpu / wait, 0.01);
    Ok(report)
}

fn resident_bytes() -> anyhow::Result<f64> {
    Ok(status_mib_of(std::process::id(), "VmRSS:")? * 1024.0 * 1024.0)
}

/// A state with this many events, each with a timer or without.
async fn filled(clock: Clock, due_in: Option<Duration>) -> anyhow::Result<Arc<MemoryState>> {
    let config = StateConfig {
        max_keys: (8 * EVENTS).try_into().context("not zero")?,
        ..StateConfig::default()
    };
    let context = StateContext {
        clock,
        ..StateContext::default()
    };
    let state = Arc::new(MemoryState::new(&config, &context));
    let numbers: Vec<_> = (0..EVENTS).collect();
    for batch in numbers.chunks(BATCH) {
        let writes: Vec<_> = (batch.iter())
            .map(|number| written(*number, due_in, clock))
            .collect();
        let answers = state.reserve(&writes, Duration::from_secs(30)).await?;
        let granted = |answer: &ReservationAnswer| matches!(answer, ReservationAnswer::Granted(_));
        ensure!(answers.iter().all(granted), "an event was refused");
    }
    Ok(state)
}

fn written(number: usize, due_in: Option<Duration>, clock: Clock) -> Reservation {
    let write = EventWrite {
        event: EventId {
            namespace: "ops".into(),
            tenant: "acme".into(),
            fingerprint: format!("{number:064x}").into(),
        },
        expected: 0,
        record: EventRecord {
            event_type: "alert".into(),
            state: "firing".into(),
            phase: EventPhase::Active,
            values: Vec::new(),
            ended: None,
            updated_at: clock.now(),
            body: Bytes::new(),
        },
        due_in,
    };
    Reservation {
        token: Token::random(),
        step: Some(Step::Write(write.into())),
        ..Reservation::default()
    }
}

/// The CPU seconds of this process while a pipeline over this state waits.
async fn cpu_while_waiting(state: Arc<MemoryState>, clock: Clock) -> anyhow::Result<f64> {
    let pipeline = pipeline(state, clock, Arc::new(Nobody))?;
    let closing = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(pipeline.run(closing.clone()));
    // Its first look at the state is not part of waiting.
    sleep(Duration::from_secs(1)).await;
    let own = std::process::id();
    let before = cpu_seconds_of(own)?;
    sleep(WAIT).await;
    let used = cpu_seconds_of(own)? - before;
    closing.cancel();
    while tasks.join_next().await.is_some() {}
    Ok(used)
}

/// Nothing is delivered before the bench ends.
struct Nobody;

#[async_trait]
impl Sink for Nobody {
    async fn deliver(&self, _: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let message = "a timer fell due too early";
        Err(SinkError::permanent(
            acteon_core::FailureCode::ExecutionFailed,
            message,
        ))
    }
}
