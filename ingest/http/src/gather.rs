//! Turns the actions of many requests into micro-batches: takes what is waiting, never waits for more.
//!
//! Tasks that hand in exist only while there is something to hand in. They belong to the source, not to a request:
//! an action that is in line is handed in, whether its client waits or has gone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use acteon_core::{Delivery, Intake};
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events;

/// How many micro-batches are handed in side by side: a slow state backend does not hold up those that come after.
const SUBMITTERS_MAX: usize = 8;

/// The line in which single actions wait. Its length is bounded by admission: whatever waits holds a permit.
pub(crate) struct Gather {
    intake: Arc<dyn Intake>,
    max_batch: usize,
    work: TaskTracker,
    abandoned: CancellationToken,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    waiting: Vec<Delivery>,
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
            max_batch: max_batch.max(1),
            work,
            abandoned,
            line: Mutex::default(),
        })
    }

    /// Puts one action in line.
    pub(crate) fn push(self: &Arc<Self>, delivery: Delivery) {
        let mut line = self.line.lock();
        line.waiting.push(delivery);
        self.call_submitter(&mut line);
    }

    /// Hands in the actions of one request, one micro-batch after the other so that they are decided in order.
    pub(crate) fn push_in_order(self: &Arc<Self>, deliveries: Vec<Delivery>) {
        let this = self.clone();
        self.work.spawn(async move {
            if deliveries.len() <= this.max_batch {
                return this.submit(deliveries).await;
            }
            let mut rest = deliveries.into_iter();
            while rest.len() > 0 {
                let batch = rest.by_ref().take(this.max_batch).collect();
                this.submit(batch).await;
            }
        });
    }

    fn call_submitter(self: &Arc<Self>, line: &mut Line) {
        if line.called || line.waiting.is_empty() || line.submitters == SUBMITTERS_MAX {
            return;
        }
        line.called = true;
        line.submitters += 1;
        self.work.spawn(self.clone().submit_waiting());
    }

    async fn submit_waiting(self: Arc<Self>) {
        loop {
            // Lets every request that can go on now get in line first.
            yield_now().await;
            let batch = self.take();
            self.submit(batch).await;
            let mut line = self.line.lock();
            if line.called || line.waiting.is_empty() {
                line.submitters -= 1;
                return;
            }
            line.called = true;
        }
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
        events::submitted(actions);
        let submit = AssertUnwindSafe(self.intake.submit(batch)).catch_unwind();
        // Dropped deliveries answer for themselves; the submitter goes on.
        if let Some(Err(_)) = self.abandoned.run_until_cancelled(submit).await {
            events::submit_panicked(actions);
        }
    }
}
