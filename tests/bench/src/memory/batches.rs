//! Batches of 1.8 MB, each with one small action for a provider that hangs. The other actions are delivered, so almost
//! the whole batch is finished; the small action must not keep it in memory.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{MIB, Outcome, PATH, Setting, TROUBLED, WELL, batch};
use crate::actions::action_for;
use crate::connection::Connection;
use crate::far_end::FarEnd;
use crate::receiver::Behaviour;

pub(super) const BOUND_MIB: u64 = 16;
const BATCHES: u64 = 200;
const ACTIONS: u64 = 20;
const ACTION_BYTES: usize = 90_000;
/// How many callers send at the same time. More of them wait for their answer.
const SENDERS: usize = 8;
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long a caller waits after a refusal.
const REFUSED_FOR: Duration = Duration::from_millis(100);
/// How long the callers try to get all batches accepted.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Outcome> {
    setting.troubled.behave(Behaviour::Hung);
    let start = Instant::now();
    let turns = Arc::new(Semaphore::new(SENDERS));
    let taken = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..BATCHES {
        let caller = Caller {
            port: setting.server.port(),
            far_end: setting.far_end.clone(),
            turns: turns.clone(),
            taken: taken.clone(),
        };
        callers.spawn(caller.call());
    }
    while taken.load(Relaxed) < BATCHES && start.elapsed() < TIMEOUT {
        while let Some(ended) = callers.try_join_next() {
            ended??;
        }
        sleep(ASK_EVERY).await;
    }
    let taken = taken.load(Relaxed) as f64;
    let figures = vec![
        ("batches taken", taken),
        (
            "MiB",
            taken * (ACTIONS as usize * ACTION_BYTES) as f64 / MIB,
        ),
        ("after s", start.elapsed().as_secs_f64()),
        ("held at last MiB", setting.server.process().resident_mib()?),
    ];
    Ok(Outcome {
        figures,
        lost: 0,
        dead_lettered: 0,
    })
}

struct Caller {
    port: u16,
    far_end: Arc<FarEnd>,
    turns: Arc<Semaphore>,
    /// How many batches have been delivered except for their action for the hung provider.
    taken: Arc<AtomicU64>,
}

impl Caller {
    async fn call(self) -> anyhow::Result<()> {
        let turn = self.turns.acquire().await?;
        let hung = action_for(TROUBLED, self.far_end.offer(TROUBLED), 1024);
        let numbers: Vec<_> = (1..ACTIONS).map(|_| self.far_end.offer(WELL)).collect();
        let well = numbers
            .iter()
            .map(|number| action_for(WELL, *number, ACTION_BYTES));
        let body = batch(std::iter::once(hung).chain(well));
        let mut answered = pin!(self.send(&numbers, body));
        tokio::select! {
            answered = &mut answered => {
                self.taken.fetch_add(1, Relaxed);
                answered
            }
            () = self.until_delivered(&numbers) => {
                self.taken.fetch_add(1, Relaxed);
                drop(turn);
                answered.await
            }
        }
    }

    /// Sends the batch, repeats it while it is refused, and waits for its answer.
    async fn send(&self, numbers: &[u64], body: Bytes) -> anyhow::Result<()> {
        loop {
            let mut connection = Connection::open(self.port).await?;
            // A server that refuses need not read the whole body; the connection may then break.
            if let Ok((status, _)) = connection.post(PATH, body.clone()).await {
                let refused = status == StatusCode::SERVICE_UNAVAILABLE;
                ensure!(refused || status.is_success(), "answered {status}");
            }
            if self.are_delivered(numbers) {
                return Ok(());
            }
            sleep(REFUSED_FOR).await;
        }
    }

    async fn until_delivered(&self, numbers: &[u64]) {
        while !self.are_delivered(numbers) {
            sleep(ASK_EVERY).await;
        }
    }

    fn are_delivered(&self, numbers: &[u64]) -> bool {
        let mut numbers = numbers.iter();
        numbers.all(|number| self.far_end.has_arrived(*number))
    }
}
