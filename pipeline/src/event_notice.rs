//! Notices that no report carries: of timeouts and of operators' transitions. Each is an action on loan from this
//! pipeline, so it is delivered, redelivered, recorded and dead-lettered like any other.

use std::sync::{Arc, Weak};
use std::time::Duration;

use acteon_core::delivery::Position;
use acteon_core::disposition::ThrottledPolicy;
use acteon_core::state::EventId;
use acteon_core::verdict::Verdict;
use acteon_core::{
    Action, Caller, Delivery, Envelope, History, Memory, Origin, Policy, Receipt, Returned, Settled,
};
use acteon_machines::Machine;
use bytes::Bytes;
use compact_str::CompactString;

use crate::event_body::UnsentNotice;
use crate::event_report::{JobReport, NoticeState, StateChange};
use crate::job::Job;
use crate::process::Pipeline;

/// A notice to deliver, with its action.
pub(crate) struct PendingNotice {
    pub(crate) notice: UnsentNotice,
    pub(crate) action: Action,
    pub(crate) event: EventId,
    pub(crate) machine: Arc<Machine>,
    pub(crate) caller: Caller,
}

/// A notice whose delivery has ended for now.
pub(crate) struct EndedNotice {
    pub(crate) id: CompactString,
    pub(crate) event: EventId,
    pub(crate) machine: Arc<Machine>,
    /// Whether its event keeps it until it is delivered.
    pub(crate) is_kept: bool,
    /// How it goes on. `None`: it is finished.
    pub(crate) later: Option<LaterDelivery>,
}

/// Another delivery.
pub(crate) struct LaterDelivery {
    pub(crate) after: Duration,
    pub(crate) targets: Vec<CompactString>,
    pub(crate) history: Option<Box<History>>,
}

/// Receives the end of one notice.
struct NoticeOrigin {
    pipeline: Weak<Pipeline>,
    id: CompactString,
    event: EventId,
    machine: Arc<Machine>,
    targets: Vec<CompactString>,
}

impl Origin for NoticeOrigin {
    fn settled(&self, _: u64, settled: Settled) {
        let Some(pipeline) = self.pipeline.upgrade() else {
            return;
        };
        let again = |after, history| LaterDelivery {
            after,
            history,
            targets: self.targets.clone(),
        };
        let later = match settled {
            Settled::Done(_) | Settled::Remembered(_) | Settled::DeadLettered(_) => None,
            Settled::Retry {
                returned: Returned::Action(envelope),
                after,
                ..
            } => Some(again(after, envelope.history)),
            Settled::Retry { after, .. } => Some(again(after, None)),
            Settled::Later {
                envelope, after, ..
            } => Some(again(after, envelope.history)),
        };
        pipeline.timers.ended(EndedNotice {
            id: self.id.clone(),
            event: self.event.clone(),
            machine: self.machine.clone(),
            is_kept: !self.targets.is_empty(),
            later,
        });
    }
}

impl Pipeline {
    /// Delivers notices. A change without a notice is only recorded.
    pub(crate) async fn deliver_pending(self: &Arc<Self>, pending: Vec<PendingNotice>) {
        let stamp = self.parts.rules.generation().stamp;
        let mut jobs = Vec::new();
        let mut ended = Vec::new();
        for pending in pending {
            let targets = pending.notice.targets.clone();
            let report = report_of(&pending);
            let Some(delivery) = self.lend(pending) else {
                continue;
            };
            self.parts.providers.redeliveries.remove(&delivery);
            let mut job = Job::new(delivery, stamp);
            job.ruling.verdict = Verdict::StateMachine;
            match targets.is_empty() {
                true => ended.push(job.ended(report.outcome(NoticeState::None))),
                false => {
                    job.add_labels(&report.labels);
                    job.report = Some(Box::new(report));
                    jobs.push(job);
                }
            }
        }
        let ended = self.deliver(jobs, ended, None).await;
        self.settle(ended).await;
    }

    /// `None`: as many are in delivery as can be counted. It falls due again.
    fn lend(self: &Arc<Self>, pending: PendingNotice) -> Option<Delivery> {
        let permit = self.notices.try_admit(1, 0)?;
        let PendingNotice {
            notice,
            action,
            event,
            machine,
            caller,
        } = pending;
        let origin = NoticeOrigin {
            pipeline: Arc::downgrade(self),
            id: notice.id,
            event,
            machine,
            targets: notice.targets,
        };
        let envelope = Envelope {
            action,
            id_given: false,
            position: Position::from("timeouts"),
            caller,
            received_at: self.parts.clock.now(),
            raw: Bytes::new(),
            key: None,
            memory: Memory::Own,
            history: notice.history,
            policy: Policy::Broker {
                throttled: ThrottledPolicy::Retry,
            },
        };
        let receipt = Receipt::new(Arc::new(origin), 0);
        Some(Delivery::new(envelope, receipt, permit))
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
        change: StateChange {
            from: notice.from.clone(),
            to: notice.to.clone(),
        },
        further: notice.targets.iter().skip(1).cloned().collect(),
        labels: notice.labels.clone(),
    }
}
