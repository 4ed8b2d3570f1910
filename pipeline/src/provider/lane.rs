//! The task of one provider: works off what could not be done at once, and waits out the time between attempts.
//! Nothing here waits for another provider.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::flight::{self, Tower};
use super::{Flight, Landed, Next, Provider, Work};
use crate::job::{Ended, Job};
use crate::process::Pipeline;

/// How many pieces of work are taken from the inbox at once.
const TAKEN_MAX: usize = 256;

type Settling = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Lane {
    pipeline: Arc<Pipeline>,
    provider: Arc<Provider>,
    tower: Arc<Tower>,
    inbox: mpsc::Receiver<Work>,
    queue: VecDeque<Box<Job>>,
    waiting_to_retry: BinaryHeap<Reverse<Due>>,
    flying: FuturesUnordered<Flight>,
    ended: Vec<Ended>,
    /// Settling goes on beside the deliveries; what ends meanwhile is settled together, next.
    settling: Option<Settling>,
}

/// A job and when it may be tried again.
struct Due {
    at: Instant,
    job: Box<Job>,
}

impl Lane {
    /// The lane of a provider; `None` when it has one already.
    pub(crate) fn new(pipeline: Arc<Pipeline>, provider: Arc<Provider>) -> Option<Self> {
        let inbox = provider.receiver.lock().take()?;
        let tower = Arc::new(Tower {
            provider: provider.clone(),
            leases: pipeline.leases.clone(),
        });
        Some(Self {
            pipeline,
            provider,
            tower,
            inbox,
            queue: VecDeque::new(),
            waiting_to_retry: BinaryHeap::new(),
            flying: FuturesUnordered::new(),
            ended: Vec::new(),
            settling: None,
        })
    }

    /// Works until `closing`; then settles what has ended and gives the rest back to its sources.
    pub(crate) async fn run(mut self, closing: CancellationToken) {
        let mut taken = Vec::with_capacity(TAKEN_MAX);
        loop {
            self.launch();
            self.settle_next();
            let due = self.waiting_to_retry.peek().map(|Reverse(next)| next.at);
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                Some(landed) = self.flying.next(), if !self.flying.is_empty() => self.land(landed),
                () = finish(&mut self.settling), if self.settling.is_some() => self.settling = None,
                _ = self.inbox.recv_many(&mut taken, TAKEN_MAX) => {
                    taken.drain(..).for_each(|work| self.take(work));
                }
                () = at(due), if due.is_some() => self.take_due(),
                () = self.provider.slot_free.notified() => {}
            }
        }
        self.close().await;
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Job(job) => self.queue.push_back(job),
            Work::Flight(flight) => self.flying.push(flight),
            Work::Again(job, at) => self.waiting_to_retry.push(Reverse(Due { at, job })),
        }
    }

    fn take_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse(next)) = self.waiting_to_retry.peek()
            && next.at <= now
        {
            if let Some(Reverse(due)) = self.waiting_to_retry.pop() {
                self.provider.waiting.fetch_add(1, Relaxed);
                self.queue.push_front(due.job);
            }
        }
    }

    /// Begins as many attempts as have a place.
    fn launch(&mut self) {
        while !self.queue.is_empty() && self.provider.take_slot() {
            let Some(job) = self.queue.pop_front() else {
                break;
            };
            self.provider.waiting.fetch_sub(1, Relaxed);
            self.provider.leave();
            match self.provider.ask_breaker() {
                Some(pass) => {
                    let flight = flight::fly(self.tower.clone(), job, pass);
                    self.flying.push(Flight::new(flight));
                }
                None => {
                    self.provider.free_slot();
                    self.pipeline.divert(job, &mut self.ended);
                }
            }
        }
    }

    fn land(&mut self, landed: Landed) {
        self.provider.free_slot();
        match self.provider.landed(landed) {
            Next::Ended(ended) => self.ended.push(ended),
            Next::Again(job, wait) => {
                self.provider.enter_again();
                let at = Instant::now() + wait;
                self.waiting_to_retry.push(Reverse(Due { at, job }));
            }
        }
    }

    fn settle_next(&mut self) {
        if self.settling.is_none() && !self.ended.is_empty() {
            let (pipeline, ended) = (self.pipeline.clone(), std::mem::take(&mut self.ended));
            self.settling = Some(Box::pin(async move { pipeline.settle(ended).await }));
        }
    }

    async fn close(mut self) {
        self.inbox.close();
        while let Ok(work) = self.inbox.try_recv() {
            self.take(work);
        }
        finish(&mut self.settling).await;
        self.pipeline.settle(self.ended).await;
        let retries = self
            .waiting_to_retry
            .into_iter()
            .map(|Reverse(due)| due.job);
        self.pipeline
            .give_back(self.queue.into_iter().chain(retries).collect())
            .await;
    }
}

async fn finish(settling: &mut Option<Settling>) {
    if let Some(settling) = settling {
        settling.await;
    }
}

async fn at(due: Option<Instant>) {
    if let Some(due) = due {
        sleep_until(due).await;
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}
