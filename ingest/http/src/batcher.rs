//! Groups the actions of many requests into micro-batches. It takes the actions that are queued and never waits for
//! more.
//!
//! A request submits its action itself as far as the pipeline does not wait. As soon as it waits, a task of the source
//! takes over, even if the client hangs up, and the actions that arrive meanwhile are queued.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use acteon_core::{Delivery, Feed, Intake, Permit};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, poll};
use parking_lot::Mutex;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events::{self, BatchSizes};

/// How many micro-batches are submitted concurrently, so that a slow state backend does not delay later ones. More than
/// this many run if more threads than this start at the same moment.
const SUBMITTERS_MAX: usize = 8;

/// Submits single actions in micro-batches. Admission limits the queue, because every queued action holds a permit.
pub(crate) struct Batcher {
    intake: Arc<dyn Intake>,
    /// Callers wait for their answers, never for a provider's queue.
    feed: Feed,
    max_batch: usize,
    work: TaskTracker,
    abandoned: CancellationToken,
    batch_sizes: BatchSizes,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    deliveries: Vec<Delivery>,
    /// The number of tasks that submit or are about to.
    submitters: usize,
    /// True while a submitter is about to take a batch. Actions that arrive until then join that batch.
    taking: bool,
}

impl Batcher {
    pub(crate) fn new(
        intake: Arc<dyn Intake>,
        max_batch: usize,
        work: TaskTracker,
        abandoned: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            intake,
            feed: Feed::default(),
            max_batch: max_batch.max(1),
            work,
            abandoned,
            batch_sizes: BatchSizes::new(),
            queue: Mutex::default(),
        })
    }

    /// Submits one action at once, or queues it behind others.
    pub(crate) async fn push(self: &Arc<Self>, delivery: Delivery) {
        if let Some(delivery) = self.enqueue(delivery) {
            let this = self.clone();
            let submit = async move { this.submit(vec![delivery]).await };
            if let Some(rest) = start(submit.boxed()).await {
                self.queue.lock().submitters += 1;
                let this = self.clone();
                self.work.spawn(async move {
                    rest.await;
                    this.submit_queued().await;
                });
            }
        }
    }

    /// Submits the actions of one request in micro-batches, one after the other, so that they are decided in order.
    /// Holds `permit` until all are submitted.
    pub(crate) async fn push_in_order(self: &Arc<Self>, deliveries: Vec<Delivery>, permit: Permit) {
        let this = self.clone();
        let submit = async move {
            let _until_submitted = permit;
            if deliveries.len() <= this.max_batch {
                return this.submit(deliveries).await;
            }
            let mut rest = deliveries.into_iter();
            while rest.len() > 0 {
                let batch = rest.by_ref().take(this.max_batch).collect();
                this.submit(batch).await;
            }
        };
        if let Some(rest) = start(submit.boxed()).await {
            self.work.spawn(rest);
        }
    }

    /// Queues the action if there is a queue, else returns it.
    fn enqueue(self: &Arc<Self>, delivery: Delivery) -> Option<Delivery> {
        let mut queue = self.queue.lock();
        if queue.submitters == 0 {
            return Some(delivery);
        }
        queue.deliveries.push(delivery);
        self.spawn_submitter(&mut queue);
        None
    }

    fn spawn_submitter(self: &Arc<Self>, queue: &mut Queue) {
        if queue.taking || queue.deliveries.is_empty() || queue.submitters >= SUBMITTERS_MAX {
            return;
        }
        queue.taking = true;
        queue.submitters += 1;
        let this = self.clone();
        self.work.spawn(async move {
            this.submit_next().await;
            this.submit_queued().await;
        });
    }

    /// Submits the actions that were queued meanwhile, until there are none or another submitter takes them.
    async fn submit_queued(self: Arc<Self>) {
        loop {
            {
                let mut queue = self.queue.lock();
                if queue.taking || queue.deliveries.is_empty() {
                    queue.submitters -= 1;
                    return;
                }
                queue.taking = true;
            }
            self.submit_next().await;
        }
    }

    async fn submit_next(self: &Arc<Self>) {
        // Lets every request that is ready queue its action first.
        yield_now().await;
        let batch = self.take();
        self.batch_sizes.record(batch.len());
        self.submit(batch).await;
    }

    fn take(self: &Arc<Self>) -> Vec<Delivery> {
        let mut queue = self.queue.lock();
        queue.taking = false;
        if queue.deliveries.len() > self.max_batch {
            let batch = queue.deliveries.drain(..self.max_batch).collect();
            self.spawn_submitter(&mut queue);
            return batch;
        }
        // The next batch will probably be as large as this one.
        let next = Vec::with_capacity(queue.deliveries.len());
        std::mem::replace(&mut queue.deliveries, next)
    }

    async fn submit(&self, batch: Vec<Delivery>) {
        let actions = batch.len();
        let submit = AssertUnwindSafe(self.intake.submit(batch, &self.feed)).catch_unwind();
        tokio::select! {
            biased;
            submitted = submit => {
                if submitted.is_err() {
                    // The dropped deliveries have answered their callers; the submitter continues.
                    events::submit_panicked(actions);
                }
            }
            () = self.abandoned.cancelled() => {}
        }
    }
}

/// Polls the work once and returns it if it is not finished.
async fn start(mut work: BoxFuture<'static, ()>) -> Option<BoxFuture<'static, ()>> {
    match poll!(&mut work) {
        Poll::Ready(()) => None,
        Poll::Pending => Some(work),
    }
}
