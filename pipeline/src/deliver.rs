//! Passes jobs to providers. A sink that answers without waiting is called inline; everything else is queued at its
//! provider.
//!
//! Waiting for one provider never delays the others. Only a reader that feeds a single provider waits while that
//! provider's queue is full. This wait is its backpressure.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{FailureCode, Feed, Parked, Refusal};
use tokio::time::Instant;

use crate::fallback::overflow;
use crate::job::{EndedJob, Job, ParkedJob};
use crate::process::Pipeline;
use crate::provider::{
    InlineSlots, InlineStart, MOMENT, NextStep, Provider, QueuedJob, WhenOpen, Work,
};

/// A job whose provider's queue is full.
struct Blocked {
    job: ParkedJob,
    provider: Arc<Provider>,
}

impl Pipeline {
    /// Delivers these jobs. Returns `ended` with the newly ended jobs added.
    pub(crate) async fn deliver(
        &self,
        jobs: Vec<Box<Job>>,
        mut ended: Vec<EndedJob>,
        feed: Option<&Feed>,
    ) -> Vec<EndedJob> {
        let mut rest = jobs.into_iter();
        while let Some(blocked) = self.begin(&mut rest, &mut ended, feed).await {
            // The jobs behind the blocked one wait with it. The ended ones are settled first.
            let behind: Vec<ParkedJob> = rest.map(Parked::new).collect();
            self.settle(std::mem::take(&mut ended)).await;
            self.wait_for_place(blocked, &mut ended, feed).await;
            let behind: Vec<_> = behind.into_iter().map(Parked::into_inner).collect();
            rest = behind.into_iter();
        }
        ended
    }

    /// Starts one job after another, until one has to wait for a full queue.
    async fn begin(
        &self,
        jobs: &mut impl Iterator<Item = Box<Job>>,
        ended: &mut Vec<EndedJob>,
        feed: Option<&Feed>,
    ) -> Option<Blocked> {
        let mut inline = InlineSlots::default();
        for job in jobs {
            let Some(provider) = self.parts.providers.get(&job.route.target) else {
                ended.push(without_provider(job));
                continue;
            };
            if let Some(feed) = feed {
                feed.add(provider.number);
            }
            let slot = inline.at(provider);
            let later = match slot.begin(job).await {
                InlineStart::Finished(finished) => {
                    match slot.finished(finished) {
                        NextStep::End(done) => self.end(done, ended),
                        NextStep::Retry(queued, wait) => {
                            let at = Instant::now() + wait;
                            self.hand(provider, Work::Retry(queued, at), ended);
                        }
                        NextStep::Divert(job, failure) => self.divert(job, Some(failure), ended),
                    }
                    continue;
                }
                InlineStart::Running(attempt) => {
                    self.hand(provider, Work::Running(attempt), ended);
                    continue;
                }
                InlineStart::Later(job) => job,
                InlineStart::Refused(job) if waits(&job, provider, feed) => job,
                InlineStart::Refused(job) => {
                    self.divert(job, None, ended);
                    continue;
                }
            };
            if let Some(blocked) = self.enqueue(provider, later, ended, feed) {
                return Some(blocked);
            }
        }
        None
    }

    /// Queues a job if there is a place. Returns it if it must wait for one.
    fn enqueue(
        &self,
        provider: &Arc<Provider>,
        mut job: Box<Job>,
        ended: &mut Vec<EndedJob>,
        feed: Option<&Feed>,
    ) -> Option<Blocked> {
        if let Some(place) = provider.queue.try_enter(job.bytes()) {
            job.enter_sequence();
            let when_open = match waits(&job, provider, feed) {
                true => WhenOpen::Wait,
                false => WhenOpen::Leave,
            };
            self.queue(provider, QueuedJob::new(job, place, when_open), ended);
            return None;
        }
        if job.is_answered() || feed.is_none() {
            self.end(overflow(job), ended);
            return None;
        }
        Some(Blocked {
            job: Parked::new(job),
            provider: provider.clone(),
        })
    }

    /// Waits for a place: indefinitely if the reader feeds only this provider, otherwise for at most [`MOMENT`].
    async fn wait_for_place(
        &self,
        Blocked { job, provider }: Blocked,
        ended: &mut Vec<EndedJob>,
        feed: Option<&Feed>,
    ) {
        let is_alone = feed.is_some_and(|feed| !feed.is_mixed());
        let limit: Option<Duration> = (!is_alone).then_some(MOMENT);
        let place = tokio::select! {
            place = provider.queue.enter(job.bytes(), limit) => place,
            () = self.closing.cancelled() => {
                self.end(Self::shutting_down(job.into_inner()), ended);
                return;
            }
        };
        match place {
            Some(place) => {
                let when_open = match waits(&job, &provider, feed) {
                    true => WhenOpen::Wait,
                    false => WhenOpen::Leave,
                };
                let mut job = job.into_inner();
                job.enter_sequence();
                let queued = QueuedJob::new(job, place, when_open);
                self.queue(&provider, queued, ended);
            }
            None => {
                provider.events.overflowed();
                self.end(overflow(job.into_inner()), ended);
            }
        }
    }

    /// Passes a job with a place to its provider's worker.
    pub(crate) fn queue(&self, provider: &Provider, queued: QueuedJob, ended: &mut Vec<EndedJob>) {
        self.hand(provider, Work::Job(queued), ended);
    }

    /// Passes work to a provider's worker. The worker refuses it after it has ended, because the process is stopping,
    /// and if more inline attempts failed than its inbox can hold.
    fn hand(&self, provider: &Provider, work: Work, ended: &mut Vec<EndedJob>) {
        match provider.hand(work) {
            Ok(()) => {}
            Err(Work::Job(queued) | Work::Retry(queued, _)) => {
                let job = queued.job.into_inner();
                let done = match provider.has_ended() {
                    true => Self::shutting_down(job),
                    false => overflow(job),
                };
                self.end(done, ended);
            }
            // Dropping the attempt returns its action to the source.
            Err(Work::Running(_)) => {}
        }
    }

    /// Ends a job that is unfinished when the process stops.
    pub(crate) fn shutting_down(job: Box<Job>) -> EndedJob {
        job.refused(Duration::ZERO, Refusal::ShuttingDown)
    }
}

/// Whether a job waits while its provider's breaker is open. It does if no caller waits for the answer, the provider
/// has no fallback, and the reader feeds only this provider, so that all its other actions would meet the same open
/// breaker.
fn waits(job: &Job, provider: &Provider, feed: Option<&Feed>) -> bool {
    !job.is_answered()
        && provider.options.fallback.is_none()
        && feed.is_some_and(|feed| !feed.is_mixed())
}

fn without_provider(job: Box<Job>) -> EndedJob {
    let message = format!("no provider is named \"{}\"", job.route.target);
    job.failed(FailureCode::ProviderNotFound, message.into())
}
