//! One call to the state for all that a batch needs, and what the answers mean for each action.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_core::state::{Grant, Held, Recall, Reserved, StateKey};
use acteon_core::verdict::Verdict;
use acteon_core::{ActionOutcome, Policy, Refusal, StateError};
use acteon_rules::{Effect, Gates, Plan};
use tokio::time::Instant;

use crate::events;
use crate::job::{Ended, Job};
use crate::leases::Lease;
use crate::options::{OnStateError, PipelineOptions};
use crate::process::Pipeline;

/// How long a source waits before it offers again what the state gave no answer to.
pub(crate) const STATE_WAIT: Duration = Duration::from_secs(1);

/// What a job needs before it may go on.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is made, and a box would be one allocation more for each action"
)]
pub(crate) enum Need {
    /// Nothing: it may be delivered.
    Nothing(Box<Job>),
    /// Nothing, and the rules have ended it.
    End(Ended),
    /// Something in the state.
    Reserve(Asking),
}

/// A job with what it needs from the state.
pub(crate) struct Asking {
    pub(crate) job: Box<Job>,
    gates: Gates,
    /// The rules ended it; it needs no provider.
    end: Option<ActionOutcome>,
    /// Until when it waits for somebody else's lease; set when it first has to.
    patience: Option<Instant>,
    /// How often it found the key still held.
    looks: u32,
}

impl Need {
    pub(crate) fn of(mut job: Box<Job>, effect: Effect, options: &PipelineOptions) -> Self {
        let plan = match effect {
            Effect::Deliver(plan) => Ok(plan),
            Effect::Suppress { rule } => Err(ActionOutcome::Suppressed { rule }),
            Effect::Fail(failure) => Err(ActionOutcome::Failed(failure)),
        };
        // An answer is remembered under the lease, so whoever gets one leases even what the rules ended.
        let remembers = job.delivery.policy.is_answered() || plan.is_ok();
        let leases = options.exclusive && job.delivery.id_given && remembers;
        match plan {
            Ok(plan) if !leases && plan.gates.reservation.is_empty() => {
                plan.provider
                    .into_iter()
                    .for_each(|target| job.redirect(target));
                Self::Nothing(job)
            }
            Err(outcome) if !leases => Self::End(job.ended(outcome)),
            plan => Self::Reserve(Asking::new(job, plan, leases)),
        }
    }
}

impl Asking {
    fn new(mut job: Box<Job>, plan: Result<Plan, ActionOutcome>, leases: bool) -> Self {
        let (mut gates, mut end) = (Gates::default(), None);
        match plan {
            Ok(plan) => {
                plan.provider
                    .into_iter()
                    .for_each(|target| job.redirect(target));
                gates = plan.gates;
            }
            Err(outcome) => end = Some(outcome),
        }
        if leases {
            let action = &job.delivery.action;
            let key = StateKey::new(&action.namespace, &action.tenant, "", &action.id);
            gates.reservation.lease = Some(key);
            gates.reservation.recall = match job.delivery.policy {
                Policy::Answer => Recall::Yes,
                Policy::Replay | Policy::Broker { .. } => Recall::No,
            };
        }
        Self {
            job,
            gates,
            end,
            patience: None,
            looks: 0,
        }
    }

    /// True when it has waited long enough.
    pub(crate) fn is_weary(&self, now: Instant) -> bool {
        self.patience.is_some_and(|until| until <= now)
    }

    /// How often it has been parked before this time.
    pub(crate) fn count_look(&mut self) -> u32 {
        self.looks += 1;
        self.looks - 1
    }

    /// Goes on: to its provider, or to the end the rules gave it.
    fn proceed(self, granted: &mut Vec<Box<Job>>, ended: &mut Vec<Ended>) {
        match self.end {
            None => granted.push(self.job),
            Some(outcome) => ended.push(self.job.ended(outcome)),
        }
    }
}

impl Pipeline {
    /// Asks the state for what these need. Returns those that may be delivered; the others have ended, wait for
    /// their turn, or went back to their source.
    pub(crate) async fn reserve(
        &self,
        mut asking: Vec<Asking>,
        ended: &mut Vec<Ended>,
    ) -> Vec<Box<Job>> {
        let mut granted = Vec::with_capacity(asking.len());
        if asking.is_empty() {
            return granted;
        }
        let wanted = asking
            .iter_mut()
            .map(|asking| std::mem::take(&mut asking.gates.reservation));
        let reservations: Vec<_> = wanted.collect();
        let answer = self
            .parts
            .state
            .reserve(&reservations, self.parts.options.lease)
            .await;
        for (asking, reservation) in asking.iter_mut().zip(reservations) {
            asking.gates.reservation = reservation;
        }
        match answer {
            Ok(answers) => {
                for (asking, answer) in asking.into_iter().zip(answers) {
                    self.reserved(asking, answer, &mut granted, ended);
                }
            }
            Err(error) => self.without_state(asking, &error, &mut granted, ended),
        }
        granted
    }

    fn reserved(
        &self,
        mut asking: Asking,
        answer: Reserved,
        granted: &mut Vec<Box<Job>>,
        ended: &mut Vec<Ended>,
    ) {
        match answer {
            Reserved::Granted(grant) => {
                hold(&mut asking, grant);
                asking.proceed(granted, ended);
            }
            Reserved::Remembered(outcome) => {
                self.parts.counters.replayed.fetch_add(1, Relaxed);
                asking.job.delivery.done(*outcome);
            }
            Reserved::Busy(busy) => {
                let patience = Instant::now() + self.parts.options.lease_wait;
                asking.patience.get_or_insert(patience);
                self.waiting.park(asking, busy);
            }
            Reserved::Duplicate { claim } => {
                if let Some(rule) = asking.gates.claim_rules.get(claim) {
                    asking.job.ruled(Verdict::Deduplicate, rule);
                }
                ended.push(asking.job.ended(ActionOutcome::Deduplicated(())));
            }
            Reserved::Throttled { quota, retry_after } => {
                if let Some((rule, _)) = asking.gates.quota_rules.get(quota) {
                    asking.job.ruled(Verdict::Throttle, rule);
                }
                ended.push(asking.job.ended(ActionOutcome::Throttled { retry_after }));
            }
            Reserved::Full => {
                events::state_full();
                asking.job.retry(STATE_WAIT, Refusal::StateFull);
            }
        }
    }

    fn without_state(
        &self,
        needy: Vec<Asking>,
        error: &StateError,
        granted: &mut Vec<Box<Job>>,
        ended: &mut Vec<Ended>,
    ) {
        events::state_unavailable(error, needy.len());
        for asking in needy {
            match self.parts.options.on_state_error {
                OnStateError::Deliver => asking.proceed(granted, ended),
                OnStateError::Retry => {
                    asking.job.retry(STATE_WAIT, Refusal::StateUnavailable);
                }
            }
        }
    }
}

/// Keeps what was granted with the job; a quota that was full sends it elsewhere.
fn hold(asking: &mut Asking, grant: Grant) {
    let full = (0..asking.gates.quota_rules.len()).find(|quota| grant.noted_full >> quota & 1 == 1);
    if let Some((rule, Some(target))) = full.and_then(|quota| asking.gates.quota_rules.get(quota)) {
        asking.job.ruled(Verdict::Throttle, rule);
        asking.job.redirect(target.clone());
    }
    let held = Held {
        reservation: Arc::new(std::mem::take(&mut asking.gates.reservation)),
        grant,
    };
    asking.job.lease = Some(Lease::new(held));
}
