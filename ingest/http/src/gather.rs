//! Turns the actions of many requests into micro-batches: takes what is waiting, never waits for more.
//!
//! What the pipeline does without waiting is done where the request is. As soon as it waits, a task of the source goes on
//! with it, whether the client waits or has gone, and what comes meanwhile gets in line.

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

use crate::events::{self, Gathered};

/// How many micro-batches are handed in side by side: a slow state backend does not hold up those that come after. There
/// are more when more threads than this begin at the same moment.
const SUBMITTERS_MAX: usize = 8;

/// The line in which single actions wait. Its length is bounded by admission: whatever waits holds a permit.
pub(crate) struct Gather {
    intake: Arc<dyn Intake>,
    /// Callers wait for their answers, never for a provider's queue.
    feed: Feed,
    max_batch: usize,
    work: TaskTracker,
    abandoned: CancellationToken,
    gathered: Gathered,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    waiting: Vec<Delivery>,
    /// Tasks that hand in, or wait to.
    submitters: usize,
    /// True from calling a submitter until it takes its batch: what comes meanwhile goes along.
    called: bool,
}

impl Gather {
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
            gathered: Gathered::new(),
            line: Mutex::default(),
        })
    }

    /// Hands in one action: at once, or in line behind those that wait.
    pub(crate) async fn push(self: &Arc<Self>, delivery: Delivery) {
        if let Some(delivery) = self.get_in_line(delivery) {
            let this = self.clone();
            let handing = async move { this.submit(vec![delivery]).await };
            if let Some(handing) = begin(handing.boxed()).await {
                self.line.lock().submitters += 1;
                let this = self.clone();
                self.work.spawn(async move {
                    handing.await;
                    this.go_on().await;
                });
            }
        }
    }

    /// Hands in the actions of one request, one micro-batch after the other so that they are decided in order. `room` is
    /// given back when all are handed in.
    pub(crate) async fn push_in_order(self: &Arc<Self>, deliveries: Vec<Delivery>, room: Permit) {
        let this = self.clone();
        let handing = async move {
            let _until_handed_in = room;
            if deliveries.len() <= this.max_batch {
                return this.submit(deliveries).await;
            }
            let mut rest = deliveries.into_iter();
            while rest.len() > 0 {
                let batch = rest.by_ref().take(this.max_batch).collect();
                this.submit(batch).await;
            }
        };
        if let Some(handing) = begin(handing.boxed()).await {
            self.work.spawn(handing);
        }
    }

    /// Gives the action back when there is no line.
    fn get_in_line(self: &Arc<Self>, delivery: Delivery) -> Option<Delivery> {
        let mut line = self.line.lock();
        if line.submitters == 0 {
            return Some(delivery);
        }
        line.waiting.push(delivery);
        self.call_submitter(&mut line);
        None
    }

    fn call_submitter(self: &Arc<Self>, line: &mut Line) {
        if line.called || line.waiting.is_empty() || line.submitters >= SUBMITTERS_MAX {
            return;
        }
        line.called = true;
        line.submitters += 1;
        self.work.spawn(self.clone().submit_waiting());
    }

    async fn submit_waiting(self: Arc<Self>) {
        self.submit_next().await;
        self.go_on().await;
    }

    /// Hands in what came while others were handed in.
    async fn go_on(self: Arc<Self>) {
        loop {
            {
                let mut line = self.line.lock();
                if line.called || line.waiting.is_empty() {
                    line.submitters -= 1;
                    return;
                }
                line.called = true;
            }
            self.submit_next().await;
        }
    }

    async fn submit_next(self: &Arc<Self>) {
        // Lets every request that can go on now get in line first.
        yield_now().await;
        let batch = self.take();
        self.gathered.count(batch.len());
        self.submit(batch).await;
    }

    fn take(self: &Arc<Self>) -> Vec<Delivery> {
        let mut line = self.line.lock();
        line.called = false;
        if line.waiting.len() > self.max_batch {
            let batch = line.waiting.drain(..self.max_batch).collect();
            self.call_submitter(&mut line);
            return batch;
        }
        // The next batch will be about as large as this one.
        let next = Vec::with_capacity(line.waiting.len());
        std::mem::replace(&mut line.waiting, next)
    }

    async fn submit(&self, batch: Vec<Delivery>) {
        let actions = batch.len();
        let submit = AssertUnwindSafe(self.intake.submit(batch, &self.feed)).catch_unwind();
        tokio::select! {
            biased;
            submitted = submit => {
                if submitted.is_err() {
                    // Dropped deliveries answer for themselves; the submitter goes on.
                    events::submit_panicked(actions);
                }
            }
            () = self.abandoned.cancelled() => {}
        }
    }
}

/// Does what can be done without waiting, and returns what is left.
async fn begin(mut work: BoxFuture<'static, ()>) -> Option<BoxFuture<'static, ()>> {
    match poll!(&mut work) {
        Poll::Ready(()) => None,
        Poll::Pending => Some(work),
    }
}
