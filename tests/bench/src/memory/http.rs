//! Batches over HTTP from impatient callers: after a refusal they send the next one, and they hang up when they get no
//! answer within a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{MIB, Outcome, PATH, Setting, batch, next};
use crate::child::counters;
use crate::connection::Connection;
use crate::far_end::FarEnd;
use crate::receiver::Behaviour;

/// Together their bodies exceed the bound.
const CALLERS: usize = 64;
const BATCH_BYTES_MAX: usize = 2_090_000;
const BATCH_ACTIONS_MAX: usize = 100;
const HANGS_UP_AFTER: Duration = Duration::from_secs(1);
/// How long the work for callers who have hung up continues after the trouble.
const GOES_ON: Duration = Duration::from_secs(2);

/// The results that the callers saw.
#[derive(Default)]
struct Seen {
    /// The numbers of actions that were answered `Executed`.
    executed: Vec<u64>,
    answered: u64,
    refused: u64,
    hung_up: u64,
}

pub(super) async fn run(setting: &Setting, bytes: u64) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let left = Arc::new(AtomicU64::new(bytes));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let caller = Caller {
            port: setting.server.port(),
            far_end: setting.far_end.clone(),
            left: left.clone(),
            seen: Seen::default(),
        };
        callers.spawn(caller.call());
    }
    let mut seen = Seen::default();
    while let Some(caller) = callers.join_next().await {
        let one = caller??;
        seen.executed.extend(one.executed);
        seen.answered += one.answered;
        seen.refused += one.refused;
        seen.hung_up += one.hung_up;
    }
    let seconds = start.elapsed().as_secs_f64();
    setting.troubled.behave(Behaviour::Well);
    sleep(GOES_ON).await;
    let arrived = |number: &&u64| setting.far_end.has_arrived(**number);
    let here = seen.executed.iter().filter(arrived).count();
    let counters = counters(setting.server.port()).await?;
    Ok(Outcome {
        figures: vec![
            ("offered MiB", bytes as f64 / MIB),
            ("after s", seconds),
            ("batches answered", seen.answered as f64),
            ("refused", seen.refused as f64),
            ("hung up", seen.hung_up as f64),
            ("executed", seen.executed.len() as f64),
        ],
        lost: (seen.executed.len() - here) as u64,
        dead_lettered: counters["dead_lettered"].as_u64().unwrap_or_default(),
    })
}

struct Caller {
    port: u16,
    far_end: Arc<FarEnd>,
    /// How many bytes all callers together still have to offer.
    left: Arc<AtomicU64>,
    seen: Seen,
}

impl Caller {
    async fn call(mut self) -> anyhow::Result<Seen> {
        let mut connection = Connection::open(self.port).await?;
        let mut spare = None;
        loop {
            let (numbers, body) = self.next_batch(&mut spare);
            let length = body.len() as u64;
            let take = |left: u64| left.checked_sub(length);
            if self.left.fetch_update(Relaxed, Relaxed, take).is_err() {
                return Ok(self.seen);
            }
            match timeout(HANGS_UP_AFTER, connection.post(PATH, body)).await {
                Ok(Ok((StatusCode::OK, answer))) => {
                    self.seen.answered += 1;
                    self.note(&numbers, &answer)?;
                    continue;
                }
                Ok(Ok((StatusCode::SERVICE_UNAVAILABLE, _))) => self.seen.refused += 1,
                Ok(Ok((status, _))) => anyhow::bail!("answered {status}"),
                // A server that refuses need not read the whole body; the connection may then break.
                Ok(Err(_)) => self.seen.refused += 1,
                Err(_) => self.seen.hung_up += 1,
            }
            connection = Connection::open(self.port).await?;
        }
    }

    /// Enough actions for one batch; `spare` is the one that did not fit into the last batch.
    fn next_batch(&self, spare: &mut Option<(u64, Vec<u8>)>) -> (Vec<u64>, Bytes) {
        let mut numbers = Vec::new();
        let mut actions = Vec::new();
        let mut length = 2;
        while actions.len() < BATCH_ACTIONS_MAX {
            let (number, action) = spare.take().unwrap_or_else(|| next(&self.far_end));
            length += action.len() + 1;
            if length > BATCH_BYTES_MAX {
                *spare = Some((number, action));
                break;
            }
            numbers.push(number);
            actions.push(action);
        }
        (numbers, batch(actions.into_iter()))
    }

    fn note(&mut self, numbers: &[u64], answer: &[u8]) -> anyhow::Result<()> {
        let outcomes: Vec<Value> = serde_json::from_slice(answer)?;
        let executed = numbers
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| outcome.get("Executed").is_some())
            .map(|(number, _)| *number);
        self.seen.executed.extend(executed);
        Ok(())
    }
}
