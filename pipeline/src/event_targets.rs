//! The providers of one notice. Each gets it, whatever happens at the others; the notice then ends as at the one that
//! failed. The history says which have accepted it, so that a redelivery leaves them out.

use acteon_core::{ActionOutcome, AttemptRecord};
use jiff::Timestamp;

use crate::event_report::FailedTarget;
use crate::job::{EndedJob, Job, JobEnd};

impl EndedJob {
    /// True if its notice goes to another provider now.
    pub(crate) fn goes_on(&self) -> bool {
        let report = self.job.report.as_deref();
        let has_next = report.is_some_and(|report| !report.further.is_empty());
        has_next
            && match &self.end {
                JobEnd::Outcome(outcome) => {
                    is_delivered(outcome) || was_asked_in_vain(&self.job, outcome)
                }
                JobEnd::Refused { .. } => false,
            }
    }

    /// The same job for the next provider of its notice.
    pub(crate) fn into_next_target(self, now: Timestamp) -> Box<Job> {
        let Self { mut job, end } = self;
        match end {
            JobEnd::Outcome(outcome) if is_delivered(&outcome) => record_accepted(&mut job, now),
            JobEnd::Outcome(outcome) => keep_failure(&mut job, outcome, now),
            JobEnd::Refused { .. } => {}
        }
        let report = job.report.as_deref_mut();
        if let Some(report) = report.filter(|report| !report.further.is_empty()) {
            let next = report.further.remove(0);
            job.redirect(next);
        }
        job
    }

    /// The end at all providers of its notice: that at one that failed, if there is one. A failure after which it is
    /// redelivered comes first.
    pub(crate) fn at_all_targets(mut self) -> Self {
        let JobEnd::Outcome(own) = &self.end else {
            return self;
        };
        let report = self.job.report.as_deref_mut();
        let failed = report.and_then(|report| report.failed.take());
        match failed {
            Some(failed) if may_succeed(&failed.outcome) || !may_succeed(own) => {
                self.job.redirect(failed.provider);
                self.job.ended(failed.outcome)
            }
            _ => self,
        }
    }
}

fn is_delivered(outcome: &ActionOutcome) -> bool {
    matches!(outcome, ActionOutcome::StateChanged { notify: true, .. })
}

/// True if the provider has failed, or its breaker is open.
fn was_asked_in_vain(job: &Job, outcome: &ActionOutcome) -> bool {
    let is_open = matches!(outcome, ActionOutcome::CircuitOpen { .. });
    outcome.has_failed() && (is_open || job.route.attempts_at_target > 0)
}

fn may_succeed(outcome: &ActionOutcome) -> bool {
    let is_final = matches!(outcome, ActionOutcome::Failed(failure) if !failure.retryable);
    outcome.has_failed() && !is_final
}

/// An attempt that is not in a history was answered at once, and there is none yet.
fn record_accepted(job: &mut Job, now: Timestamp) {
    if job.delivery.history.is_none() {
        job.add_attempt(AttemptRecord {
            at: now,
            provider: job.route.target.clone(),
            status: None,
            code: None,
            duration_ms: 0,
            excerpt: None,
        });
    }
}

/// From now on each attempt is recorded, so that the provider that accepts the notice is known.
fn keep_failure(job: &mut Job, outcome: ActionOutcome, now: Timestamp) {
    job.history(now);
    let provider = job.route.target.clone();
    let Some(report) = job.report.as_deref_mut() else {
        return;
    };
    let keeps = |failed: &FailedTarget| may_succeed(&failed.outcome) || !may_succeed(&outcome);
    if !report.failed.as_ref().is_some_and(keeps) {
        report.failed = Some(FailedTarget { provider, outcome });
    }
}
