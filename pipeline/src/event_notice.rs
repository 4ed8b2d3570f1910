//! Notices that no report carries: of timeouts and of operators' transitions. Each is an action on loan from this
//! pipeline, so it is delivered, redelivered, recorded and dead-lettered like any other. How the state hears of its end
//! is in `event_delivery.rs`.

use std::sync::Arc;

use acteon_core::delivery::Position;
use acteon_core::disposition::ThrottledPolicy;
use acteon_core::state::EventId;
use acteon_core::verdict::Verdict;
use acteon_core::{
    Action, ActionOutcome, Caller, Delivery, Envelope, Failure, FailureCode, Memory, Origin,
    Permit, Policy, Receipt,
};
use acteon_machines::Machine;

use crate::event_body::UnsentNotice;
use crate::event_report::{JobReport, NoticeState, StateChange};
use crate::job::Job;
use crate::process::Pipeline;

/// What is done with a notice.
pub(crate) enum NoticeWork {
    /// It is delivered, or only recorded if it has no providers.
    Deliver(Arc<Machine>),
    /// It becomes a dead letter.
    GiveUp(GiveUpReason),
}

/// Why a notice that waits is given up.
#[derive(Clone, Copy)]
pub(crate) enum GiveUpReason {
    TooManyWait,
    MachineUnknown,
}

impl GiveUpReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::TooManyWait => "newer notices of the event wait, and no more may",
            Self::MachineUnknown => "the state machine of the event is not configured any more",
        }
    }
}

/// A notice, with its action.
pub(crate) struct PendingNotice {
    pub(crate) notice: UnsentNotice,
    pub(crate) action: Action,
    pub(crate) event: EventId,
    pub(crate) work: NoticeWork,
    pub(crate) caller: Caller,
}

impl PendingNotice {
    /// True if it is delivered to a provider.
    pub(crate) fn is_sent(&self) -> bool {
        matches!(self.work, NoticeWork::Deliver(_)) && !self.notice.targets.is_empty()
    }
}

impl Pipeline {
    /// Delivers notices, or gives them up. A change without a notice is only recorded.
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
            let is_sent = pending.is_sent();
            let first = pending.notice.targets.first().cloned();
            let delivery = self.lend(pending, permit);
            self.parts.providers.redeliveries.remove(&delivery);
            let mut job = Job::new(delivery, stamp);
            job.ruling.verdict = Verdict::StateMachine;
            if let Some(first) = first {
                job.redirect(first);
            }
            match report {
                Err(reason) => {
                    let failure = given_up(reason, job.attempts());
                    ended.push(job.ended(ActionOutcome::Failed(failure)));
                }
                Ok(report) if is_sent => {
                    job.add_labels(&report.labels);
                    job.report = Some(Box::new(report));
                    jobs.push(job);
                }
                Ok(report) => ended.push(job.ended(report.outcome(NoticeState::None))),
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
            ..
        } = pending;
        let position = Position::from(notice.source.as_str());
        // For its dead letter, which is replayed without the rules.
        let raw = serde_json::to_vec(&action).unwrap_or_default();
        let history = notice.history.clone();
        let origin: Arc<dyn Origin> = self.notices.clone();
        let token = self.notices.begin(event, notice);
        let envelope = Envelope {
            action,
            // Names of other tenants may be the same.
            id_given: true,
            position,
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

fn given_up(reason: GiveUpReason, attempts: u32) -> Failure {
    Failure {
        code: FailureCode::ExecutionFailed,
        message: reason.as_str().into(),
        retryable: false,
        attempts,
    }
}

/// The report of a notice that is delivered, else why it is given up.
fn report_of(pending: &PendingNotice) -> Result<JobReport, GiveUpReason> {
    let machine = match &pending.work {
        NoticeWork::Deliver(machine) => machine.clone(),
        NoticeWork::GiveUp(reason) => return Err(*reason),
    };
    let notice = &pending.notice;
    Ok(JobReport {
        machine,
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
        failed: None,
        accepted_by: Vec::new(),
        labels: notice.labels.clone(),
    })
}
