//! Places in throttle windows. A place belongs to the delivery, not to the wait before it: a job that waited longer
//! than a tenth of its window asks again before its attempt, so that no burst follows a stall.

use std::time::Duration;

use acteon_core::state::Grant;
use acteon_core::verdict::Verdict;
use acteon_core::{ActionOutcome, Policy, ThrottledPolicy};
use acteon_rules::Gates;
use tokio::time::Instant;

use crate::job::{EndedJob, Job};
use crate::process::Pipeline;
use crate::provider::QueuedJob;
use crate::reserve::{GrantedJob, ReservingJob};
use crate::return_times::ReturnTimes;

/// A place is fresh for the first attempt for its window divided by this.
const FRESH_PART: u32 = 10;

impl Job {
    /// True if its throttle places were granted too long ago for a first attempt now.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        let (Some(gates), Some(hold)) = (&self.gates, &self.hold) else {
            return false;
        };
        let waited = now.saturating_duration_since(hold.granted_at());
        self.route.attempts == 0
            && gates
                .reservation
                .quotas
                .iter()
                .any(|quota| waited > quota.window / FRESH_PART)
    }
}

impl Pipeline {
    /// Releases the holds of these jobs and requests them again. Returns those granted; the others have ended or wait.
    pub(crate) async fn ask_again(
        &self,
        stale: Vec<QueuedJob>,
        ended: &mut Vec<EndedJob>,
    ) -> Vec<QueuedJob> {
        let again = stale.into_iter().map(|queued| {
            let QueuedJob {
                job,
                place,
                when_open,
            } = queued;
            let mut job = job.into_inner();
            drop(job.hold.take());
            let gates = job.gates.take().map(|gates| *gates).unwrap_or_default();
            ReservingJob::again(job, gates, (place, when_open))
        });
        let asking = again.collect();
        self.release_dropped().await;
        let granted = self.reserve(asking, ended).await;
        let queued = granted.into_iter().filter_map(|GrantedJob { job, place }| {
            let (place, when_open) = place?;
            Some(QueuedJob::new(job, place, when_open))
        });
        queued.collect()
    }
}

/// The reservation that a job keeps to ask again, if it holds throttle places.
pub(crate) fn gates_to_ask_again(gates: &Gates, grant: &Grant) -> Option<Box<Gates>> {
    let holds_places = !gates.reservation.quotas.is_empty() && !grant.was_any_full();
    holds_places.then(|| Box::new(gates.clone()))
}

/// Ends a job that is over the limit of this quota.
pub(crate) fn throttled(
    mut job: Box<Job>,
    gates: &Gates,
    quota: usize,
    retry_after: Duration,
    return_times: &ReturnTimes,
) -> EndedJob {
    if let Some((rule, _)) = gates.quota_rules.get(quota) {
        job.record_rule(Verdict::Throttle, rule);
    }
    if let Some(quota) = gates.reservation.quotas.get(quota)
        && is_resubmitted(job.delivery.policy)
    {
        job.turn_in = Some(return_times.wait(quota, retry_after, Instant::now()));
    }
    job.ended(ActionOutcome::Throttled { retry_after })
}

/// True if the source submits the action again by itself.
fn is_resubmitted(policy: Policy) -> bool {
    match policy {
        Policy::Broker { throttled } => throttled == ThrottledPolicy::Retry,
        Policy::Answer | Policy::Replay => false,
    }
}

/// Redirects a job whose quota was full, if its rule says so.
pub(crate) fn reroute_when_full(job: &mut Job, gates: &Gates, grant: &Grant) {
    let full = (0..gates.quota_rules.len()).find(|quota| grant.was_full(*quota));
    if let Some((rule, Some(target))) = full.and_then(|quota| gates.quota_rules.get(quota)) {
        job.record_rule(Verdict::Throttle, rule);
        job.redirect(target.clone());
    }
}
