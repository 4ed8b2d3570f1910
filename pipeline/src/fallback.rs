//! Diverts an action along the chain of fallbacks if its provider's breaker is open or the provider is at fault.

use std::time::Duration;

use acteon_core::{ActionOutcome, Failure, FailureCode, Refusal};
use tokio::time::Instant;

use crate::job::{EndedJob, Job};
use crate::process::Pipeline;
use crate::provider::{LONGEST, QueuedJob, WhenOpen};

/// How long a caller must wait before it resubmits an action that met a full queue.
pub(crate) const OVERLOAD_WAIT: Duration = Duration::from_secs(1);

impl Pipeline {
    /// Moves a job to the next provider of the fallback chain. Without one it ends: with `failure` if its provider has
    /// just failed, otherwise at the open breaker.
    pub(crate) fn divert(
        &self,
        mut job: Box<Job>,
        failure: Option<Failure>,
        ended: &mut Vec<EndedJob>,
    ) {
        let target = job.route.target.clone();
        job.route.refused_by.push(target.clone());
        let refusing = self.parts.providers.get(&target);
        let next = refusing.and_then(|refusing| {
            let name = refusing.options.fallback.as_ref()?;
            let fallback = self.parts.providers.get(name)?;
            (!job.route.refused_by.contains(name)).then_some(fallback)
        });
        let Some(provider) = next else {
            let done = match failure {
                Some(failure) => job.ended(ActionOutcome::Failed(failure)),
                None => self.at_closed_provider(job),
            };
            return self.end(done, ended);
        };
        job.redirect(provider.name().clone());
        job.route.sequence = provider.sequence_place_here(&job);
        match provider.queue.try_enter(job.bytes()) {
            Some(place) => {
                job.enter_sequence();
                self.queue(provider, QueuedJob::new(job, place, WhenOpen::Leave), ended);
            }
            None => self.end(overflow(job), ended),
        }
    }

    /// Ends a job whose provider and fallbacks may not be called now.
    fn at_closed_provider(&self, job: Box<Job>) -> EndedJob {
        let first = job.route.refused_by.first();
        let provider = first.and_then(|name| self.parts.providers.get(name));
        let wait = provider.and_then(|provider| provider.paused_for(Instant::now()));
        if let Some(wait) = wait.filter(|wait| *wait > LONGEST) {
            let message = format!(
                "the provider asked for a pause of another {} s",
                wait.as_secs()
            );
            return job.failed(FailureCode::RateLimited, message.into());
        }
        let mut refused_by = job.route.refused_by.iter().cloned();
        let provider = refused_by.next().unwrap_or_default();
        let fallback_chain = refused_by.collect();
        job.ended(ActionOutcome::CircuitOpen {
            provider,
            fallback_chain,
        })
    }
}

/// Ends a job that met a full queue. A waiting caller gets a refusal; other actions are redelivered.
pub(crate) fn overflow(job: Box<Job>) -> EndedJob {
    if job.is_answered() {
        return job.refused(OVERLOAD_WAIT, Refusal::Overloaded);
    }
    let message = format!("the queue of provider `{}` is full", job.route.target);
    job.failed(FailureCode::ExecutionFailed, message.into())
}
