//! Notices that are not delivered again: they failed while a caller waited, or became dead letters. The event forgets that
//! it was announced, and the next report of its state gives the notice once more.

use acteon_core::StateError;
use acteon_core::state::{Answer, EventId, EventWrite, Question, ReservationAnswer};
use compact_str::CompactString;

use crate::event_body::EventBody;
use crate::event_report::write_of;
use crate::event_timeout::{WRITES_MAX, writing};
use crate::events;
use crate::job::Job;
use crate::process::Pipeline;

/// A report whose notice failed.
pub(crate) struct UntoldReport {
    event: EventId,
    /// The state that the notice is about.
    state: CompactString,
    /// The providers that have accepted it nevertheless.
    accepted_by: Vec<CompactString>,
}

impl UntoldReport {
    /// `None`: there was no notice. A reminder changes nothing.
    pub(crate) fn of(job: &Job) -> Option<Self> {
        let report = job.report.as_deref()?;
        let is_reminder = report.change.from == report.change.to;
        let history = job.delivery.history.as_deref();
        let attempts = history.into_iter().flat_map(|history| &history.last);
        let accepted = attempts.filter(|attempt| attempt.code.is_none());
        let accepted = accepted.map(|attempt| &attempt.provider);
        (!is_reminder).then(|| Self {
            event: report.event.clone(),
            state: report.change.to.clone(),
            accepted_by: report.accepted_by.iter().chain(accepted).cloned().collect(),
        })
    }
}

impl Pipeline {
    /// Writes into these events that their notices failed. Ends at the first that cannot be written.
    pub(crate) async fn untell(&self, reports: Vec<UntoldReport>) {
        for report in reports {
            if let Err(error) = self.untell_one(&report).await {
                events::untold_unwritten(&report.event.fingerprint, &error);
                return;
            }
        }
    }

    async fn untell_one(&self, report: &UntoldReport) -> Result<(), StateError> {
        for _ in 0..WRITES_MAX {
            let question = Question::Event(report.event.key());
            let gathered = self.parts.state.gather(&[question]).await?;
            let answer = gathered.answers.into_iter().next();
            let Some(write) = self.untold(report, answer, gathered.now) else {
                return Ok(());
            };
            let lease = self.parts.options.lease;
            let answers = self.parts.state.reserve(&[writing(&write)], lease).await?;
            if matches!(answers[..], [ReservationAnswer::Granted(_)]) {
                return Ok(());
            }
        }
        let message = "the event is written by others all the time";
        Err(StateError::Unavailable(message.into()))
    }

    /// `None`: the event is in another state by now, or was announced otherwise.
    fn untold(
        &self,
        report: &UntoldReport,
        answer: Option<Answer>,
        now: jiff::Timestamp,
    ) -> Option<EventWrite> {
        let Some(Answer::Event(Some(stored))) = answer else {
            return None;
        };
        let mut body = EventBody::of(&stored);
        let machine = self.parts.machines.get(&body.machine)?;
        let last = body.lifecycle.history.back();
        last.filter(|last| last.to == report.state && last.notified)?;
        machine.untell(&mut body.lifecycle);
        // Whoever has heard of its beginning hears of its end.
        body.lifecycle.was_notified |= !report.accepted_by.is_empty();
        body.accepted_by.clone_from(&report.accepted_by);
        let parts = (&*stored).into();
        Some(write_of(machine, &body, parts, stored.version, now))
    }
}
