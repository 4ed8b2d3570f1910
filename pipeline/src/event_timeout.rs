//! Lets machines step the events whose timers are due, writes the result, and delivers the notices.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::event_admin::TIMEOUTS_SOURCE;
use acteon_core::state::{
    EventPhase, EventWrite, Reservation, ReservationAnswer, Step, StoredEvent, Token,
};
use acteon_core::{Caller, StateError};
use acteon_machines::{EventChange, Lifecycle, Machine, Notice};
use compact_str::{CompactString, format_compact};
use jiff::Timestamp;

use crate::event_body::{EventBody, FirstDelivery, UnsentNotice, later};
use crate::event_notice::{GiveUpReason, NoticeWork, PendingNotice};
use crate::event_report::{StateChange, write_of};
use crate::events;
use crate::process::Pipeline;
use crate::silence_end::findable;
use crate::silences::SilenceView;

/// How long an event whose machine is not configured any more stays active after its last report, and is kept after that.
const ORPHAN_KEPT: Duration = Duration::from_secs(86_400);
/// How often a write is repeated because another one came first.
pub(crate) const WRITES_MAX: usize = 16;

/// A due event after its step.
struct DueStep {
    write: EventWrite,
    notices: Vec<PendingNotice>,
}

impl Pipeline {
    /// Steps events that were taken because they are due.
    pub(crate) async fn time_out(
        self: &Arc<Self>,
        due: Vec<Arc<StoredEvent>>,
        now: Timestamp,
    ) -> Result<(), StateError> {
        if due.is_empty() {
            return Ok(());
        }
        let silences = self.parts.rules.silences().current().await?;
        let steps: Vec<_> = due
            .iter()
            .map(|stored| self.due_step(stored, now, &silences))
            .collect();
        let writes: Vec<_> = steps.iter().map(|step| writing(&step.write)).collect();
        let lease = self.parts.options.lease;
        let answers = self.parts.state.reserve(&writes, lease).await?;
        let written = steps.into_iter().zip(answers).filter_map(|(step, answer)| {
            // After a conflict, the write that came first has set the timer.
            matches!(answer, ReservationAnswer::Granted(_)).then_some(step.notices)
        });
        let notices = written.flatten().collect();
        self.deliver_notices(notices).await;
        Ok(())
    }

    /// What is due of an event: its machine's timeout, the state that an ended silence withheld, and notices that were
    /// not delivered yet.
    fn due_step(&self, stored: &StoredEvent, now: Timestamp, silences: &SilenceView) -> DueStep {
        let mut body = EventBody::of(stored);
        let Some(machine) = self.parts.machines.get(&body.machine).cloned() else {
            return orphaned(stored, now);
        };
        let lease_end = later(now, self.parts.options.lease);
        let mut notices = Vec::new();
        let is_running = |id: &CompactString| self.notices.is_running(&stored.event, id);
        let silence = body.silence(&stored.event, &stored.record.event_type, silences);
        let present = silence.clone();
        if let Some((change, notice)) = due_change(&machine, &mut body.lifecycle, now, silence) {
            let id = notice_id(stored, now);
            let delivery = FirstDelivery {
                source: TIMEOUTS_SOURCE,
                lease_end,
            };
            notices.push(body.add_notice(id, change, notice.as_ref(), delivery));
        }
        notices.extend(body.leave_out(&machine, present.as_ref(), |notice| {
            notice.next_at <= now && !is_running(&notice.id)
        }));
        let given_up = body.give_up_oldest(is_running, lease_end);
        let waiting = body.unsent.iter_mut();
        for notice in waiting.filter(|notice| notice.next_at <= now) {
            notice.next_at = lease_end;
            if !is_running(&notice.id) {
                notice.deliveries += 1;
                notices.push(notice.clone());
            }
        }
        let notices = notices.into_iter().map(|notice| {
            let work = NoticeWork::Deliver(machine.clone());
            pending(&body, notice, stored, work, now)
        });
        let given_up = given_up.into_iter().map(|notice| {
            let work = NoticeWork::GiveUp(GiveUpReason::TooManyWait);
            pending(&body, notice, stored, work, now)
        });
        DueStep {
            notices: notices.chain(given_up).collect(),
            write: write_of(&machine, &body, stored.into(), stored.version, now),
        }
    }
}

/// The change that is due: that of a timeout, else the present state that no silence withholds any more.
fn due_change(
    machine: &Machine,
    event: &mut Lifecycle,
    now: Timestamp,
    silence: Option<CompactString>,
) -> Option<(StateChange, Option<Notice>)> {
    if let Some(step) = machine.time_out(event.clone(), now, silence.as_deref()) {
        *event = step.event;
        return match step.change {
            EventChange::Entered { from, to, notice } => {
                let silenced_by = event.withheld_by.clone();
                let change = StateChange {
                    from,
                    to,
                    silenced_by,
                };
                Some((change, notice))
            }
            EventChange::Reminded(notice) => {
                let change = StateChange {
                    silenced_by: silence.filter(|_| notice.is_none()),
                    ..StateChange::none(&event.state)
                };
                Some((change, notice))
            }
            EventChange::Refreshed | EventChange::Ignored(_) => None,
        };
    }
    if let Some(silence) = silence {
        // Another silence may have taken the place of the one that has ended.
        if event.withheld_by.is_some() {
            event.withheld_by = Some(silence);
        }
        return None;
    }
    let told = machine.tell(event)?;
    let change = StateChange {
        from: told.from,
        to: told.to,
        silenced_by: None,
    };
    Some((change, Some(told.notice)))
}

/// A notice of an event, with its action.
fn pending(
    body: &EventBody,
    notice: UnsentNotice,
    stored: &StoredEvent,
    work: NoticeWork,
    now: Timestamp,
) -> PendingNotice {
    let caller = Caller::source(notice.source.as_str().into());
    PendingNotice {
        action: body.notice_action(&notice, &stored.event, &stored.record.event_type, now),
        notice,
        event: stored.event.clone(),
        work,
        caller,
    }
}

/// An event whose machine is not configured any more. A report may bring it to another machine for a day, then it ends.
/// Its notices that wait become dead letters, and the next report gives the one that a silence withheld.
fn orphaned(stored: &StoredEvent, now: Timestamp) -> DueStep {
    let mut body = EventBody::of(stored);
    let reported_at = body.lifecycle.last_report_at;
    let left = later(reported_at, ORPHAN_KEPT).duration_since(now);
    let left = Duration::try_from(left).ok().filter(|left| !left.is_zero());
    if left.is_none() {
        events::machine_unknown(&stored.event.fingerprint);
    }
    if body.lifecycle.withheld_by.take().is_some() {
        body.lifecycle.is_untold = true;
    }
    let unsent = std::mem::take(&mut body.unsent);
    let notices = unsent.into_iter().map(|notice| {
        let work = NoticeWork::GiveUp(GiveUpReason::MachineUnknown);
        pending(&body, notice, stored, work, now)
    });
    let notices = notices.collect();
    let mut record = stored.record.clone();
    record.body = body.encoded().into();
    if left.is_none() {
        record.phase = EventPhase::Ended(ORPHAN_KEPT);
    }
    record.values = findable(&record.values, None);
    DueStep {
        write: EventWrite {
            event: stored.event.clone(),
            expected: stored.version,
            record,
            due_in: left,
        },
        notices,
    }
}

/// The id of the notice of an event's next version. Versions begin again when an event was forgotten, the time does not.
pub(crate) fn notice_id(stored: &StoredEvent, now: Timestamp) -> CompactString {
    let fingerprint = &stored.event.fingerprint;
    let version = stored.version + 1;
    format_compact!("{fingerprint}-{version}-{}", now.as_millisecond())
}

/// A reservation of nothing but this write.
pub(crate) fn writing(write: &EventWrite) -> Reservation {
    Reservation {
        token: Token::random(),
        step: Some(Step::Write(write.clone().into())),
        ..Reservation::default()
    }
}
