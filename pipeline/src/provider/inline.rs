//! The fast path: a sink that answers without waiting is called in the task of the batch (ADR 0010). A batch takes one
//! slot per provider and records its successes together. Otherwise threads that deliver in parallel would contend for
//! the same memory on every action.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;

use super::attempt::{FinishedAttempt, RunningAttempt, attempt};
use super::breaker::Pass;
use super::stats::Permission;
use super::{InlineStart, NextStep, Provider, ProviderHandle};
use crate::job::Job;

/// The slots of one batch. It must hold none while it waits for a place in a queue.
#[derive(Default)]
pub(crate) struct InlineSlots(Vec<InlineSlot>);

impl InlineSlots {
    pub(crate) fn at(&mut self, provider: &Arc<Provider>) -> &mut InlineSlot {
        let is_there = |slot: &InlineSlot| Arc::ptr_eq(&slot.provider.0, provider);
        let found = self.0.iter().position(is_there);
        let at = found.unwrap_or_else(|| {
            self.0.push(InlineSlot::new(provider.clone()));
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

/// A slot at one provider. Dropping it releases the slot and records the successes.
pub(crate) struct InlineSlot {
    provider: Arc<ProviderHandle>,
    is_taken: bool,
    /// The last attempt, if it ended at once. The next one reuses its allocation.
    finished: Option<RunningAttempt>,
    /// The number of successes not recorded yet. Recording them together takes the lock of the statistics once.
    unrecorded: u32,
}

impl InlineSlot {
    fn new(provider: Arc<Provider>) -> Self {
        Self {
            provider: Arc::new(ProviderHandle(provider)),
            is_taken: false,
            finished: None,
            unrecorded: 0,
        }
    }

    /// Starts an attempt if one is allowed now, and returns the result of a sink that answers without waiting.
    pub(crate) async fn begin(&mut self, mut job: Box<Job>) -> InlineStart {
        if self.provider.find_sequence(&mut job).await {
            return InlineStart::Later(job);
        }
        if self.provider.is_open() {
            return InlineStart::Refused(job);
        }
        self.is_taken = self.is_taken || self.provider.take_slot();
        if !self.is_taken || self.provider.queue.waiting() > 0 {
            return InlineStart::Later(job);
        }
        let pass = match self.provider.ask() {
            Permission::Granted(pass) => pass,
            Permission::Paused { .. } => return InlineStart::Later(job),
            Permission::Open { .. } => return InlineStart::Refused(job),
        };
        // A running attempt borrows its action, so it is too late to copy shared memory when it begins to wait. The last
        // attempts predict whether it will.
        if self.provider.waits.load(Relaxed) {
            job.detach_memory();
        }
        let next = attempt(self.provider.clone(), job, None, pass);
        let mut next = match self.finished.take() {
            Some(mut finished) => {
                finished.set(next);
                finished
            }
            None => RunningAttempt::new(next),
        };
        match poll!(&mut next) {
            Poll::Pending => {
                self.is_taken = false;
                InlineStart::Running(next)
            }
            Poll::Ready(finished) => {
                self.finished = Some(next);
                InlineStart::Finished(finished)
            }
        }
    }

    /// Decides how to continue after an attempt that ended at its first poll.
    pub(crate) fn finished(&mut self, finished: FinishedAttempt) -> NextStep {
        match finished {
            FinishedAttempt {
                job,
                place: None,
                pass: Pass::Free { .. },
                took: Duration::ZERO,
                note: None,
                result: Ok(response),
            } if job.delivery.history.is_none() => {
                self.unrecorded += 1;
                NextStep::End(job.delivered(response))
            }
            finished => {
                self.record_successes();
                self.provider.finished(finished)
            }
        }
    }

    fn record_successes(&mut self) {
        let successes = std::mem::take(&mut self.unrecorded);
        if successes > 0 {
            self.provider.waits.store(false, Relaxed);
            self.provider.events.took(Duration::ZERO, successes);
            self.provider
                .observed(|stats| stats.succeeded_at_once(successes));
        }
    }
}

impl Drop for InlineSlot {
    fn drop(&mut self) {
        self.record_successes();
        if self.is_taken {
            self.provider.free_slot();
            if self.provider.queue.waiting() > 0 {
                self.provider.slot_free.notify_one();
            }
        }
    }
}
