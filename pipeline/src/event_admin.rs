//! Events for operators: the machine's record, and transitions by hand.

use std::sync::Arc;

use acteon_core::event_admin::{
    EventAdmin, EventDetails, EventTransition, PastTransition, TransitionError, TransitionRequest,
};
use acteon_core::state::{Answer, EventWrite, Question, ReservationAnswer, StoredEvent};
use acteon_core::{Caller, Scope, StateError};
use acteon_machines::{EventChange, ManualMove, TransitionCause, TransitionRecord};
use async_trait::async_trait;
use jiff::Timestamp;

use crate::event_body::{EventBody, later};
use crate::event_notice::{OPERATORS_SOURCE, PendingNotice};
use crate::event_report::{StateChange, write_of};
use crate::event_timeout::{WRITES_MAX, notice_id, writing};
use crate::process::Pipeline;
use crate::silences::SilenceView;

/// The events of a pipeline.
struct PipelineEvents(Arc<Pipeline>);

impl Pipeline {
    /// Its events, for operators.
    pub fn event_admin(self: &Arc<Self>) -> Arc<dyn EventAdmin> {
        Arc::new(PipelineEvents(self.clone()))
    }
}

#[async_trait]
impl EventAdmin for PipelineEvents {
    fn details(&self, stored: &StoredEvent) -> EventDetails {
        let body = EventBody::of(stored);
        let machine = self.0.parts.machines.get(&body.machine);
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
        for _ in 0..WRITES_MAX {
            let question = Question::Event(asked.event.key());
            let gathered = self.0.parts.state.gather(&[question]).await?;
            let Some(Answer::Event(Some(stored))) = gathered.answers.into_iter().next() else {
                return Err(TransitionError::NotFound);
            };
            let id = &stored.event;
            if !scope.covers(&id.namespace, &id.tenant, &stored.record.event_type) {
                return Err(TransitionError::NotFound);
            }
            let silences = self.0.parts.rules.silences().current().await?;
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
    pending: PendingNotice,
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
        let lease = self.0.parts.options.lease;
        let answers = self.0.parts.state.reserve(&[reservation], lease).await?;
        match answers.into_iter().next() {
            Some(ReservationAnswer::Granted(_)) => {}
            Some(ReservationAnswer::Conflict(_)) => return Ok(None),
            refused => {
                let message = format!("the event could not be written: {refused:?}");
                return Err(StateError::Unavailable(message.into()).into());
            }
        }
        self.0.scheduler.wake_after(now, write.due_in);
        let notify = !pending.notice.targets.is_empty();
        self.0.deliver_notices(vec![pending]).await;
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
        let machine = self.0.parts.machines.get(&body.machine).cloned();
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
        let lease_end = later(now, self.0.parts.options.lease);
        let id = notice_id(stored, now);
        let notice = body.add_notice(id, change.clone(), notice.as_ref(), lease_end);
        Ok(PlannedMove {
            write: write_of(&machine, &body, stored.into(), stored.version, now),
            change,
            pending: PendingNotice {
                action: body.notice_action(&notice, &stored.event, event_type, now),
                notice,
                event: stored.event.clone(),
                machine,
                caller: caller.clone(),
                source: OPERATORS_SOURCE,
            },
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
