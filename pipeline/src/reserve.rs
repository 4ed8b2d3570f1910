//! One call to the state for all that a batch needs, and what the answers mean for each action.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_core::state::{Grant, Held, Reservation, Reserved, StateKey};
use acteon_core::verdict::Verdict;
use acteon_core::{ActionOutcome, Refusal, StateError};
use acteon_rules::{Effect, Plan};
use compact_str::CompactString;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::events;
use crate::job::{Ended, Job};
use crate::leases::Lease;
use crate::options::{OnStateError, PipelineOptions};
use crate::process::Pipeline;

/// How long a source waits before it offers again what the state gave no answer to.
const STATE_WAIT: Duration = Duration::from_secs(1);

/// A job with what it needs before it may go on.
pub(crate) struct Asking {
    pub(crate) job: Box<Job>,
    pub(crate) reservation: Reservation,
    /// The rules of the claims, in their order.
    claim_rules: SmallVec<[Arc<str>; 1]>,
    /// The rules of the quotas, in their order, and where each sends what finds it full.
    quota_rules: SmallVec<[(Arc<str>, Option<CompactString>); 1]>,
    /// The rules ended it; it needs no provider.
    end: Option<ActionOutcome>,
    /// Until when it waits for somebody else's lease; set when it first has to.
    pub(crate) patience: Option<Instant>,
    /// How often it found the key still held.
    pub(crate) looks: u32,
}

impl Asking {
    pub(crate) fn new(job: Box<Job>, effect: Effect, options: &PipelineOptions) -> Self {
        let mut asking = Self {
            job,
            reservation: Reservation::default(),
            claim_rules: SmallVec::new(),
            quota_rules: SmallVec::new(),
            end: None,
            patience: None,
            looks: 0,
        };
        match effect {
            Effect::Deliver(plan) => asking.plan(plan),
            Effect::Suppress { rule } => asking.end = Some(ActionOutcome::Suppressed { rule }),
            Effect::Fail(failure) => asking.end = Some(ActionOutcome::Failed(failure)),
        }
        let delivery = &asking.job.delivery;
        // An answer is remembered under the lease, so whoever gets one leases even what the rules ended.
        let remembers = delivery.policy.answered || asking.end.is_none();
        if options.exclusive && delivery.id_given && remembers {
            let action = &delivery.action;
            let key = StateKey::new(&action.namespace, &action.tenant, "", &action.id);
            asking.reservation.lease = Some(key);
        }
        asking
    }

    fn plan(&mut self, plan: Plan) {
        if let Some(target) = plan.provider {
            self.job.redirect(target);
        }
        for gate in plan.claims {
            self.reservation.claims.push(gate.claim);
            self.claim_rules.push(gate.rule);
        }
        for gate in plan.quotas {
            self.reservation.quotas.push(gate.quota);
            self.quota_rules.push((gate.rule, gate.on_full));
        }
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
        asked: Vec<Asking>,
        ended: &mut Vec<Ended>,
    ) -> Vec<Box<Job>> {
        let mut granted = Vec::with_capacity(asked.len());
        if asked.iter().all(|asking| asking.reservation.is_empty()) {
            asked
                .into_iter()
                .for_each(|asking| asking.proceed(&mut granted, ended));
            return granted;
        }
        let (mut needy, mut reservations) = (Vec::with_capacity(asked.len()), Vec::new());
        for mut asking in asked {
            if asking.reservation.is_empty() {
                asking.proceed(&mut granted, ended);
            } else {
                reservations.push(std::mem::take(&mut asking.reservation));
                needy.push(asking);
            }
        }
        let answer = self
            .parts
            .state
            .reserve(&reservations, self.parts.options.lease)
            .await;
        for (asking, reservation) in needy.iter_mut().zip(reservations) {
            asking.reservation = reservation;
        }
        match answer {
            Ok(answers) => {
                for (asking, answer) in needy.into_iter().zip(answers) {
                    self.reserved(asking, answer, &mut granted, ended);
                }
            }
            Err(error) => self.without_state(needy, &error, &mut granted, ended),
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
                self.hold(&mut asking, grant);
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
                if let Some(rule) = asking.claim_rules.get(claim) {
                    asking.job.ruled(Verdict::Deduplicate, rule);
                }
                ended.push(asking.job.ended(ActionOutcome::Deduplicated(())));
            }
            Reserved::Throttled { quota, retry_after } => {
                if let Some((rule, _)) = asking.quota_rules.get(quota) {
                    asking.job.ruled(Verdict::Throttle, rule);
                }
                ended.push(asking.job.ended(ActionOutcome::Throttled { retry_after }));
            }
            Reserved::Full => {
                events::state_full();
                asking.job.retry(STATE_WAIT, Refusal::Overloaded);
            }
        }
    }

    /// Keeps what was granted with the job; a quota that was full sends it elsewhere.
    fn hold(&self, asking: &mut Asking, grant: Grant) {
        let full = (0..asking.quota_rules.len()).find(|quota| grant.noted_full >> quota & 1 == 1);
        if let Some((rule, Some(target))) = full.and_then(|quota| asking.quota_rules.get(quota)) {
            asking.job.ruled(Verdict::Throttle, rule);
            asking.job.redirect(target.clone());
        }
        let held = Held {
            reservation: Arc::new(std::mem::take(&mut asking.reservation)),
            grant,
        };
        asking.job.lease = Some(Lease::new(held, self.leases.clone()));
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
