//! Ends the turn of a job in its sequence as soon as its end is known, which is before it is settled: the next one goes
//! on, unless the job comes back later. Then it keeps its place, and the jobs behind it come back after it.

use acteon_core::{Disposition, FailureCode, Refusal, TimeLeft};
use tokio::time::Instant;

use crate::job::{EndedJob, Job, JobEnd, PlannedReturn};
use crate::process::Pipeline;

impl Pipeline {
    /// Adds a job that has ended at its provider, and ends its turn.
    pub(crate) fn end(&self, mut done: EndedJob, ended: &mut Vec<EndedJob>) {
        self.end_turn(&mut done);
        ended.push(done);
    }

    /// Ends the turn of a job in its sequence, if it has one.
    pub(crate) fn end_turn(&self, done: &mut EndedJob) {
        let Some(place) = done.job.route.sequence.take() else {
            return;
        };
        let until = match &done.end {
            JobEnd::Refused { refusal, after } => {
                let returns = !done.job.is_answered() && *refusal != Refusal::ShuttingDown;
                returns.then(|| Instant::now() + *after)
            }
            JobEnd::Outcome(outcome) => {
                let policy = done.job.delivery.policy;
                match Disposition::of(outcome, policy, TimeLeft::Some) {
                    Disposition::Redeliver => self.plan_return(&mut done.job),
                    Disposition::Ack | Disposition::Throttled { .. } | Disposition::DeadLetter => {
                        None
                    }
                }
            }
        };
        match until {
            Some(until) => place.leave(until),
            None => drop(place),
        }
    }

    /// Plans the redelivery of a job. `None` if its time is over.
    fn plan_return(&self, job: &mut Job) -> Option<Instant> {
        let now = self.parts.clock.now();
        job.history(now);
        if self.time_left(job, now) == TimeLeft::None {
            return None;
        }
        let wait = self.redelivery_wait(job);
        job.route.returns = Some(PlannedReturn::OnSchedule(wait));
        Some(Instant::now() + wait)
    }

    /// Ends a job that would have to wait too long behind others of its sequence. A waiting caller gets a refusal, as at a
    /// full queue; other actions come back at this time.
    pub(crate) fn leave_behind(
        &self,
        mut job: Box<Job>,
        until: Instant,
        ended: &mut Vec<EndedJob>,
    ) {
        let wait = until.saturating_duration_since(Instant::now());
        let place = job.route.sequence.take();
        if job.is_answered() {
            return ended.push(job.refused(wait, Refusal::Overloaded));
        }
        place.into_iter().for_each(|place| place.leave(until));
        job.route.returns = Some(PlannedReturn::Behind(wait));
        let message = "earlier actions with the same ordering key are not delivered yet";
        ended.push(job.failed(FailureCode::ExecutionFailed, message.into()));
    }
}
