//! Notices that no report carries: of timeouts and of operators' transitions. Each is an action on loan from this
//! pipeline, so it is delivered, redelivered, recorded and dead-lettered like any other. How the state hears of its end
//! is in `event_delivery.rs`.

use std::sync::Arc;

use acteon_core::delivery::Position;
use acteon_core::disposition::ThrottledPolicy;
use acteon_core::state::EventId;
use acteon_core::verdict::Verdict;
use acteon_core::{Action, Caller, Delivery, Envelope, Memory, Origin, Permit, Policy, Receipt};
use acteon_machines::Machine;

use crate::event_body::UnsentNotice;
use crate::event_report::{JobReport, NoticeState, StateChange};
use crate::job::Job;
use crate::process::Pipeline;

/// Where the notices of timeouts come from.
pub(crate) const TIMEOUTS_SOURCE: &str = "timeouts";
/// Where the notices of operators' transitions come from.
pub(crate) const OPERATORS_SOURCE: &str = "admin";

/// A notice to deliver, with its action.
pub(crate) struct PendingNotice {
    pub(crate) notice: UnsentNotice,
    pub(crate) action: Action,
    pub(crate) event: EventId,
    pub(crate) machine: Arc<Machine>,
    pub(crate) caller: Caller,
    /// Where it comes from, for the trail.
    pub(crate) source: &'static str,
}

impl Pipeline {
    /// Delivers notices. A change without a notice is only recorded.
    pub(crate) async fn deliver_notices(&self, pending: Vec<PendingNotice>) {
        let stamp = self.parts.rules.generation().stamp;
        let mut jobs = Vec::new();
        let mut ended = Vec::new();
        for pending in pending {
            let Some(permit) = self.uncounted.try_admit(1, 0) else {
                // As many are running as can be counted. It falls due again.
                continue;
            };
            let report = report_of(&pending);
            let is_sent = !pending.notice.targets.is_empty();
            let delivery = self.lend(pending, permit);
            self.parts.providers.redeliveries.remove(&delivery);
            let mut job = Job::new(delivery, stamp);
            job.ruling.verdict = Verdict::StateMachine;
            if is_sent {
                job.add_labels(&report.labels);
                job.report = Some(Box::new(report));
                jobs.push(job);
            } else {
                ended.push(job.ended(report.outcome(NoticeState::None)));
            }
        }
        let ended = self.deliver(jobs, ended, None).await;
        self.settle(ended).await;
    }

    fn lend(&self, pending: PendingNotice, permit: Permit) -> Delivery {
        let PendingNotice {
            notice,
            action,
            event,
            caller,
            source,
            ..
        } = pending;
        // For its dead letter, which is replayed without the rules.
        let raw = serde_json::to_vec(&action).unwrap_or_default();
        let history = notice.history.clone();
        let origin: Arc<dyn Origin> = self.notices.clone();
        let token = self.notices.begin(event, notice);
        let envelope = Envelope {
            action,
            // Names of other tenants may be the same.
            id_given: true,
            position: Position::from(source),
            caller,
            received_at: self.parts.clock.now(),
            raw: raw.into(),
            key: None,
            memory: Memory::Own,
            history,
            policy: Policy::Broker {
                throttled: ThrottledPolicy::Retry,
            },
        };
        Delivery::new(envelope, Receipt::new(origin, token), permit)
    }
}

fn report_of(pending: &PendingNotice) -> JobReport {
    let notice = &pending.notice;
    JobReport {
        machine: pending.machine.clone(),
        event: pending.event.clone(),
        values: Vec::new(),
        at: pending.action.created_at.timestamp(),
        provider: pending.action.provider.clone(),
        silence: None,
        change: StateChange {
            from: notice.from.clone(),
            to: notice.to.clone(),
            silenced_by: notice.silenced_by.clone(),
        },
        further: notice.targets.iter().skip(1).cloned().collect(),
        labels: notice.labels.clone(),
    }
}
