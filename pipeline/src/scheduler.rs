//! What becomes due without an action: one task sleeps until the earliest timer of the state, takes what is due, lets
//! the machines step their events, writes the result, and delivers the notices. No task and no timer per event.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::{
    Answer, EventWrite, Question, Reservation, ReservationAnswer, Step, StoredEvent, Token,
};
use acteon_core::{Caller, StateError};
use acteon_machines::EventChange;
use compact_str::{CompactString, format_compact};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::event_body::{EventBody, NOTICE_LEASE, later};
use crate::event_notice::{EndedNotice, PendingNotice};
use crate::event_report::{StateChange, write_of};
use crate::events;
use crate::process::Pipeline;

/// How many events one call takes.
const SLICE_MAX: usize = 256;
/// How long what was taken is left to this process.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// How soon a state that did not answer is asked again, and a shared one for the timers of others.
const LOOK: Duration = Duration::from_secs(1);
/// How long an event is kept whose machine is not configured any more, from its next timer.
const ORPHAN_KEPT: Duration = Duration::from_secs(86_400);
/// How often a write is repeated because another one came first.
pub(crate) const WRITES_MAX: usize = 16;

/// What the scheduler's task waits for.
#[derive(Default)]
pub(crate) struct TimerTask {
    /// When the task looks next. `None`: when it is woken.
    next_look: Mutex<Option<Instant>>,
    changed: Notify,
    /// Notices that this process delivers.
    in_delivery: Mutex<BTreeSet<CompactString>>,
    ended: Mutex<Vec<EndedNotice>>,
}

impl TimerTask {
    /// A timer was set. Wakes the task if it would sleep longer.
    pub(crate) fn set(&self, due_in: Option<Duration>) {
        let Some(due) = due_in.and_then(|due_in| Instant::now().checked_add(due_in)) else {
            return;
        };
        let mut next = self.next_look.lock();
        if next.is_none_or(|look| due < look) {
            *next = Some(due);
            self.changed.notify_one();
        }
    }

    /// A notice was delivered, or goes on later.
    pub(crate) fn ended(&self, notice: EndedNotice) {
        self.ended.lock().push(notice);
        self.changed.notify_one();
    }

    fn begin(&self, id: &CompactString) -> bool {
        self.in_delivery.lock().insert(id.clone())
    }

    fn is_in_delivery(&self, id: &str) -> bool {
        self.in_delivery.lock().contains(id)
    }

    fn take_ended(&self) -> Vec<EndedNotice> {
        let ended = std::mem::take(&mut *self.ended.lock());
        let mut in_delivery = self.in_delivery.lock();
        for notice in &ended {
            in_delivery.remove(&notice.id);
        }
        ended
    }
}

/// A due event after its step.
struct DueStep {
    write: EventWrite,
    notices: Vec<PendingNotice>,
}

impl Pipeline {
    /// Runs the timers. Never returns.
    pub(crate) async fn run_timers(self: &Arc<Self>) {
        loop {
            for ended in self.timers.take_ended() {
                self.end_notice(&ended).await;
            }
            let look = match self.time_out_due().await {
                Ok(next) => next,
                Err(error) => {
                    events::timers_unknown(&error);
                    Some(LOOK)
                }
            };
            self.sleep_until_due(look).await;
        }
    }

    async fn sleep_until_due(&self, look: Option<Duration>) {
        let is_shared = self.parts.state.capabilities().shared;
        let look = match is_shared {
            true => Some(look.map_or(LOOK, |look| look.min(LOOK))),
            false => look,
        };
        let at = look.and_then(|look| Instant::now().checked_add(look));
        *self.timers.next_look.lock() = at;
        loop {
            let at = *self.timers.next_look.lock();
            let changed = self.timers.changed.notified();
            if !self.timers.ended.lock().is_empty() {
                return;
            }
            match at {
                None => changed.await,
                Some(at) => {
                    tokio::select! {
                        () = sleep_until(at) => return,
                        () = changed => {}
                    }
                }
            }
        }
    }

    /// Steps all events that are due. Returns the time until the next one.
    async fn time_out_due(self: &Arc<Self>) -> Result<Option<Duration>, StateError> {
        loop {
            match self.parts.state.next_due().await? {
                Some(Duration::ZERO) => {}
                later => return Ok(later),
            }
            let work = self.parts.state.take_due(SLICE_MAX, LEASE).await?;
            if work.events.is_empty() {
                return Ok(Some(LOOK));
            }
            let steps = work.events.iter();
            let steps: Vec<_> = steps
                .map(|stored| self.due_step(stored, work.now))
                .collect();
            let writes: Vec<_> = steps.iter().map(|step| writing(&step.write)).collect();
            let answers = self.parts.state.reserve(&writes, LEASE).await?;
            for (step, answer) in steps.into_iter().zip(answers) {
                // After a conflict, the write that came first has set the timer.
                if let ReservationAnswer::Granted(_) = answer {
                    self.deliver_notices(step.notices).await;
                }
            }
        }
    }

    /// What is due of an event: its machine's timeout, and notices that were not delivered yet.
    fn due_step(&self, stored: &StoredEvent, now: Timestamp) -> DueStep {
        let mut body = EventBody::of(stored);
        let Some(machine) = self.parts.machines.get(&body.machine).cloned() else {
            return orphaned(stored);
        };
        let mut notices = Vec::new();
        if let Some(step) = machine.time_out(body.lifecycle.clone(), now) {
            body.lifecycle = step.event;
            let change = match step.change {
                EventChange::Entered { from, to, notice } => Some((from, to, notice)),
                EventChange::Reminded(notice) => {
                    let state = body.lifecycle.state.clone();
                    Some((state.clone(), state, Some(notice)))
                }
                EventChange::Refreshed | EventChange::Ignored(_) => None,
            };
            if let Some((from, to, notice)) = change {
                let id = notice_id(stored);
                let change = StateChange { from, to };
                notices.push(body.add_notice(id, change, notice.as_ref(), now));
            }
        }
        let waiting = body
            .unsent
            .iter_mut()
            .filter(|notice| notice.next_at <= now);
        for notice in waiting {
            notice.next_at = later(now, NOTICE_LEASE);
            if !self.timers.is_in_delivery(&notice.id) {
                notices.push(notice.clone());
            }
        }
        let notices = notices.into_iter().map(|notice| {
            let action = body.notice_action(&notice, &stored.event, &stored.record.event_type, now);
            PendingNotice {
                notice,
                action,
                event: stored.event.clone(),
                machine: machine.clone(),
                caller: Caller::source("timeouts".into()),
            }
        });
        DueStep {
            notices: notices.collect(),
            write: write_of(&machine, &body, stored.into(), stored.version, now),
        }
    }

    pub(crate) async fn deliver_notices(self: &Arc<Self>, notices: Vec<PendingNotice>) {
        let begun = notices
            .into_iter()
            .filter(|pending| self.timers.begin(&pending.notice.id));
        let begun: Vec<_> = begun.collect();
        self.deliver_pending(begun).await;
    }

    /// Removes a notice that was delivered from its event, or keeps when it goes on.
    async fn end_notice(&self, ended: &EndedNotice) {
        if !ended.is_kept {
            return;
        }
        for _ in 0..WRITES_MAX {
            match self.try_end_notice(ended).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => return events::timers_unknown(&error),
            }
        }
    }

    /// False if another write came first.
    async fn try_end_notice(&self, ended: &EndedNotice) -> Result<bool, StateError> {
        let question = Question::Event(ended.event.key());
        let gathered = self.parts.state.gather(&[question]).await?;
        let Some(Answer::Event(Some(stored))) = gathered.answers.into_iter().next() else {
            return Ok(true);
        };
        let mut body = EventBody::of(&stored);
        let Some(at) = body.unsent.iter().position(|notice| notice.id == ended.id) else {
            return Ok(true);
        };
        let now = gathered.now;
        match &ended.later {
            None => {
                body.unsent.remove(at);
            }
            Some(later_delivery) => {
                let notice = &mut body.unsent[at];
                notice.history = later_delivery.history.clone();
                notice.targets = later_delivery.targets.clone();
                let after = SignedDuration::try_from(later_delivery.after);
                notice.next_at = later(now, after.unwrap_or(NOTICE_LEASE));
            }
        }
        let write = write_of(
            &ended.machine,
            &body,
            (&*stored).into(),
            stored.version,
            now,
        );
        let answers = self.parts.state.reserve(&[writing(&write)], LEASE).await?;
        Ok(matches!(answers[..], [ReservationAnswer::Granted(_)]))
    }
}

/// An event whose machine is not configured any more. It ends.
fn orphaned(stored: &StoredEvent) -> DueStep {
    events::machine_unknown(&stored.event.fingerprint);
    let mut record = stored.record.clone();
    record.phase = acteon_core::state::EventPhase::Ended(ORPHAN_KEPT);
    DueStep {
        write: EventWrite {
            event: stored.event.clone(),
            expected: stored.version,
            record,
            due_in: None,
        },
        notices: Vec::new(),
    }
}

/// The id of the notice of an event's next version.
pub(crate) fn notice_id(stored: &StoredEvent) -> CompactString {
    format_compact!("{}-{}", stored.event.fingerprint, stored.version + 1)
}

pub(crate) fn writing(write: &EventWrite) -> Reservation {
    Reservation {
        token: Token::random(),
        step: Some(Step::Write(write.clone())),
        ..Reservation::default()
    }
}
