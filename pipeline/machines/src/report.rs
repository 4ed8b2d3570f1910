//! Reports: what a report of an event does to its state.

use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};

use crate::lifecycle::{Lifecycle, TransitionCause, TransitionRecord};
use crate::machine::{Machine, STALE};
use crate::transition::{EventChange, IgnoreReason, MachineStep, Notice};

/// How far ahead a report's start may be. One further ahead counts as beginning now.
const AHEAD_MAX: SignedDuration = SignedDuration::from_secs(300);
/// The end of the year 1. Producers write a time of that year for "not set".
const YEAR_1_END: i64 = -62_104_060_800;

/// A report of an event.
#[derive(Clone, Copy, Debug)]
pub struct EventReport<'a> {
    /// Identifies it. A report that arrives again has the same effect again, without another transition.
    pub id: &'a str,
    /// The state it asks for.
    pub status: Option<&'a str>,
    /// When the event began, according to the report.
    pub starts_at: Option<Timestamp>,
    /// When the event ended, according to the report.
    pub ends_at: Option<Timestamp>,
    /// The arrival.
    pub at: Timestamp,
    /// The silence in force, if one matches the event.
    pub silence: Option<&'a str>,
}

impl EventReport<'_> {
    fn cause(&self) -> TransitionCause {
        TransitionCause::Report(self.id.into())
    }

    fn starts_at(&self) -> Option<Timestamp> {
        let given = self.starts_at.filter(|time| is_set(*time))?;
        match given.duration_since(self.at) > AHEAD_MAX {
            true => Some(self.at),
            false => Some(given),
        }
    }

    /// Whether it says that the event ends later than now.
    fn ends_later(&self) -> bool {
        self.ends_at
            .is_some_and(|time| is_set(time) && time > self.at)
    }
}

fn is_set(time: Timestamp) -> bool {
    time.as_second() >= YEAR_1_END
}

impl Machine {
    /// Applies a report to an event, or to none yet.
    ///
    /// - The first report enters the initial state, then the reported one if the machine allows that transition.
    /// - A report of the present state refreshes the event.
    /// - A report of a time before the event's own changes nothing.
    /// - A report that has made a transition and arrives again reports the same transition, with its notice.
    /// - A report leaves a terminal state only if it tells of a later start, or if the event became stale. It then takes
    ///   the machine's transition, or begins the event again as a first report would.
    pub fn report(&self, event: Option<Lifecycle>, report: &EventReport<'_>) -> MachineStep {
        let Some(event) = event else {
            return self.begin(report);
        };
        let Some(row) = self.row(&event.state) else {
            return event.ignored(IgnoreReason::StateUnknown);
        };
        if event.is_untold && report.status.is_none_or(|status| status == event.state) {
            return self.report_untold(event, report);
        }
        if let Some(change) = self.repeated(&event, report) {
            return MachineStep { event, change };
        }
        if is_before(report.starts_at(), event.starts_at) {
            return event.ignored(IgnoreReason::Older);
        }
        match row.is_terminal {
            true => self.report_ended(event, report),
            false => self.report_active(event, report),
        }
    }

    /// A report of a state whose notice has failed: gives the notice again.
    fn report_untold(&self, mut event: Lifecycle, report: &EventReport<'_>) -> MachineStep {
        event.note_report(report);
        event.is_untold = false;
        event.withheld_by = Some(report.silence.unwrap_or_default().into());
        if report.silence.is_some() {
            return event.refreshed();
        }
        match self.tell(&mut event) {
            None => event.refreshed(),
            Some(told) => MachineStep {
                event,
                change: EventChange::Entered {
                    from: told.from,
                    to: told.to,
                    notice: Some(told.notice),
                },
            },
        }
    }

    /// The transition that this report has made before, if any.
    fn repeated(&self, event: &Lifecycle, report: &EventReport<'_>) -> Option<EventChange> {
        let is_same = |record: &&TransitionRecord| {
            matches!(&record.by, TransitionCause::Report(id) if id == report.id)
                && report.status == Some(&record.to)
        };
        let record = event.history.iter().rev().find(is_same)?;
        let declared = self.row(&record.from)?.transition(&record.to);
        // A notice that was withheld at first is not the report's own, and one of a state that was left is outdated.
        let is_present = event.history.back() == Some(record);
        let was_own = record.notified && record.silenced_by.is_none() && is_present;
        let notice = declared.filter(|_| was_own).map(|row| Notice {
            to: row.on_transition.clone(),
            is_unconditional: self.is_terminal(&record.to) == Some(true),
        });
        Some(EventChange::Entered {
            from: record.from.clone(),
            to: record.to.clone(),
            notice,
        })
    }

    fn begin(&self, report: &EventReport<'_>) -> MachineStep {
        let event = Lifecycle {
            state: self.initial.clone(),
            entered_at: report.at,
            last_report_at: report.at,
            starts_at: report.starts_at(),
            reminders: 0,
            reminded_at: None,
            was_notified: false,
            withheld_by: None,
            is_untold: false,
            history: [].into(),
        };
        let step = self.report_active(event, report);
        match step.change {
            EventChange::Entered { .. } => step,
            EventChange::Refreshed | EventChange::Ignored(_) | EventChange::Reminded(_) => {
                MachineStep {
                    change: entered(&self.initial, &self.initial),
                    event: step.event,
                }
            }
        }
    }

    fn report_active(&self, mut event: Lifecycle, report: &EventReport<'_>) -> MachineStep {
        let Some(to) = self.asked(&event, report) else {
            event.note_report(report);
            return event.refreshed();
        };
        let row = self.row(&event.state);
        let Some(transition) = row.and_then(|row| row.transition(to)) else {
            return event.ignored(IgnoreReason::NotAllowed);
        };
        event.note_report(report);
        let record = event.transition(to, report.at, report.cause());
        let to = transition.on_transition.clone();
        self.enter(event, record, to, report.silence)
    }

    /// The other state that a report asks for. An end that is still ahead is none.
    fn asked<'a>(&self, event: &Lifecycle, report: &EventReport<'a>) -> Option<&'a str> {
        let to = report.status.filter(|to| event.state != *to)?;
        let is_early_end = report.ends_later() && self.is_terminal(to) == Some(true);
        (!is_early_end).then_some(to)
    }

    fn report_ended(&self, mut event: Lifecycle, report: &EventReport<'_>) -> MachineStep {
        if report.status == Some(&event.state) {
            event.note_report(report);
            return event.refreshed();
        }
        // A report proves that an event which became stale goes on.
        let goes_on = event.state == STALE && !is_before(report.starts_at(), event.starts_at);
        if !goes_on && !begins_again(&event, report) {
            return event.ignored(IgnoreReason::Older);
        }
        event.was_notified = false;
        let row = self.row(&event.state);
        let has_transition = |to| row.is_some_and(|row| row.transition(to).is_some());
        if report.status.is_some_and(has_transition) {
            return self.report_active(event, report);
        }
        let from = event.state.clone();
        let record = event.transition(&self.initial, report.at, report.cause());
        event.enter(record);
        event.note_report(report);
        match self.report_active(event, report) {
            MachineStep {
                event,
                change: EventChange::Entered { to, notice, .. },
            } => MachineStep {
                event,
                change: EventChange::Entered { from, to, notice },
            },
            step => MachineStep {
                change: entered(&from, &self.initial),
                event: step.event,
            },
        }
    }
}

impl Lifecycle {
    fn note_report(&mut self, report: &EventReport<'_>) {
        self.last_report_at = self.last_report_at.max(report.at);
        self.starts_at = self.starts_at.max(report.starts_at());
    }
}

fn is_before(reported: Option<Timestamp>, own: Option<Timestamp>) -> bool {
    matches!((reported, own), (Some(reported), Some(own)) if reported < own)
}

/// Whether a report tells of a later start than that of an ended event. One that does not say when it began is about
/// its arrival.
fn begins_again(event: &Lifecycle, report: &EventReport<'_>) -> bool {
    match (report.starts_at(), event.starts_at) {
        (Some(reported), Some(own)) => reported > own,
        (Some(reported), None) => reported > event.entered_at,
        (None, _) => true,
    }
}

fn entered(from: &CompactString, to: &CompactString) -> EventChange {
    EventChange::Entered {
        from: from.clone(),
        to: to.clone(),
        notice: None,
    }
}
