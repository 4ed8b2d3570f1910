//! Events for operators: the machine's record, and transitions by hand.

use std::sync::Arc;

use acteon_core::event_admin::{
    EventAdmin, EventDetails, EventTransition, OPERATORS_SOURCE, PastTransition, TransitionError,
    TransitionRequest,
};
use acteon_core::state::{Answer, EventWrite, Question, ReservationAnswer, StoredEvent};
use acteon_core::{Caller, Scope, StateError};
use acteon_machines::{EventChange, ManualMove, TransitionCause, TransitionRecord};
use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::event_body::{EventBody, FirstDelivery, later};
use crate::event_notice::{GiveUpReason, NoticeWork, PendingNotice};
use crate::event_report::{StateChange, write_of};
use crate::event_timeout::{WRITES_MAX, notice_id, writing};
use crate::process::Pipeline;
use crate::silences::SilenceView;

/// The events of a pipeline.
struct PipelineEvents {
    pipeline: Arc<Pipeline>,
    /// Operators of one process change events one after the other, or they would only meet each other's writes.
    turn: Mutex<()>,
}

impl Pipeline {
    /// Its events, for operators.
    pub fn event_admin(self: &Arc<Self>) -> Arc<dyn EventAdmin> {
        Arc::new(PipelineEvents {
            pipeline: self.clone(),
            turn: Mutex::default(),
        })
    }
}

#[async_trait]
impl EventAdmin for PipelineEvents {
    fn details(&self, stored: &StoredEvent) -> EventDetails {
        let body = EventBody::of(stored);
        let machine = self.pipeline.parts.machines.get(&body.machine);
        let lifecycle = &body.lifecycle;
        EventDetails {
            next_timer: machine.and_then(|machine| machine.due(lifecycle)),
            entered_at: lifecycle.entered_at,
            last_report_at: lifecycle.last_report_at,
            starts_at: lifecycle.starts_at,
            silenced_by: lifecycle.withheld_by.clone(),
            history: lifecycle.history.iter().map(past).collect(),
            state_machine: body.machine,
        }
    }

    async fn transition(
        &self,
        scope: &Scope,
        asked: &TransitionRequest,
        caller: Caller,
    ) -> Result<EventTransition, TransitionError> {
        let _turn = self.turn.lock().await;
        for _ in 0..WRITES_MAX {
            let question = Question::Event(asked.event.key());
            let gathered = self.pipeline.parts.state.gather(&[question]).await?;
            let Some(Answer::Event(Some(stored))) = gathered.answers.into_iter().next() else {
                return Err(TransitionError::NotFound);
            };
            let id = &stored.event;
            if !scope.covers(&id.namespace, &id.tenant, &stored.record.event_type) {
                return Err(TransitionError::NotFound);
            }
            let silences = self.pipeline.parts.rules.silences().current().await?;
            let context = MoveContext {
                asked,
                caller: &caller,
                silences: &silences,
                now: gathered.now,
            };
            let planned = self.planned(&stored, &context)?;
            if let Some(made) = self.make(planned, gathered.now).await? {
                return Ok(made);
            }
        }
        let message = "the event is written by others all the time";
        Err(StateError::Unavailable(message.into()).into())
    }
}

/// A transition before it is written.
struct PlannedMove {
    write: EventWrite,
    change: StateChange,
    /// Its notice, and the one that is given up for it.
    pending: Vec<PendingNotice>,
}

/// By what a transition is planned.
struct MoveContext<'a> {
    asked: &'a TransitionRequest,
    caller: &'a Caller,
    silences: &'a SilenceView,
    now: Timestamp,
}

impl PipelineEvents {
    /// `None`: another write came first.
    async fn make(
        &self,
        planned: PlannedMove,
        now: Timestamp,
    ) -> Result<Option<EventTransition>, TransitionError> {
        let PlannedMove {
            write,
            change,
            pending,
        } = planned;
        let reservation = writing(&write);
        let lease = self.pipeline.parts.options.lease;
        let answers = self
            .pipeline
            .parts
            .state
            .reserve(&[reservation], lease)
            .await?;
        match answers.into_iter().next() {
            Some(ReservationAnswer::Granted(_)) => {}
            Some(ReservationAnswer::Conflict(_)) => return Ok(None),
            refused => {
                let message = format!("the event could not be written: {refused:?}");
                return Err(StateError::Unavailable(message.into()).into());
            }
        }
        self.pipeline.scheduler.wake_after(now, write.due_in);
        let notify = pending.iter().any(PendingNotice::is_sent);
        self.pipeline.deliver_notices(pending).await;
        Ok(Some(EventTransition {
            previous_state: change.from,
            new_state: change.to,
            notify,
            stored: Arc::new(StoredEvent {
                event: write.event,
                version: write.expected + 1,
                record: write.record,
            }),
        }))
    }

    fn planned(
        &self,
        stored: &StoredEvent,
        context: &MoveContext<'_>,
    ) -> Result<PlannedMove, TransitionError> {
        let &MoveContext {
            asked,
            caller,
            silences,
            now,
        } = context;
        let event_type = &stored.record.event_type;
        let mut body = EventBody::of(stored);
        let silence = body.silence(&stored.event, event_type, silences);
        let machine = self.pipeline.parts.machines.get(&body.machine).cloned();
        let machine = machine.ok_or_else(|| {
            let message = format!("the state machine \"{}\" is not configured", body.machine);
            TransitionError::Refused(message)
        })?;
        let manual = ManualMove {
            to: &asked.to,
            from: asked.from.as_deref(),
            by: &asked.by,
            note: asked.note.as_deref(),
            at: now,
            silence: silence.as_deref(),
        };
        let step = machine.move_manually(body.lifecycle.clone(), &manual);
        let step = step.map_err(|error| TransitionError::Refused(error.to_string()))?;
        body.lifecycle = step.event;
        let (change, notice) = match step.change {
            EventChange::Entered { from, to, notice } => {
                let change = StateChange {
                    from,
                    to,
                    silenced_by: body.lifecycle.withheld_by.clone(),
                };
                (change, notice)
            }
            EventChange::Reminded(_) | EventChange::Refreshed | EventChange::Ignored(_) => {
                (StateChange::none(&body.lifecycle.state), None)
            }
        };
        let lease_end = later(now, self.pipeline.parts.options.lease);
        let id = notice_id(stored, now);
        let delivery = FirstDelivery {
            source: OPERATORS_SOURCE,
            lease_end,
        };
        let notice = body.add_notice(id, change.clone(), notice.as_ref(), delivery);
        let is_running = |id: &CompactString| self.pipeline.notices.is_running(&stored.event, id);
        let given_up = body.give_up_oldest(is_running, lease_end);
        let given_up =
            given_up.map(|notice| (notice, NoticeWork::GiveUp(GiveUpReason::TooManyWait)));
        let notices = [(notice, NoticeWork::Deliver(machine.clone()))]
            .into_iter()
            .chain(given_up);
        let pending = notices.map(|(notice, work)| PendingNotice {
            action: body.notice_action(&notice, &stored.event, event_type, now),
            notice,
            event: stored.event.clone(),
            work,
            caller: caller.clone(),
        });
        Ok(PlannedMove {
            pending: pending.collect(),
            write: write_of(&machine, &body, stored.into(), stored.version, now),
            change,
        })
    }
}

fn past(record: &TransitionRecord) -> PastTransition {
    let (cause, by) = match &record.by {
        TransitionCause::Report(id) => ("report", Some(id.clone())),
        TransitionCause::Timeout => ("timeout", None),
        TransitionCause::Staleness => ("staleness", None),
        TransitionCause::Operator(name) => ("operator", Some(name.clone())),
    };
    PastTransition {
        at: record.at,
        from: record.from.clone(),
        to: record.to.clone(),
        cause,
        by,
        note: record.note.clone(),
        notified: record.notified,
        silenced_by: record.silenced_by.clone(),
    }
}
