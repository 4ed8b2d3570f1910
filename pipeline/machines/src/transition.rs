//! The result of a step, and transitions that operators make.

use compact_str::CompactString;
use jiff::Timestamp;
use thiserror::Error;

use crate::lifecycle::{Lifecycle, TransitionCause, TransitionRecord};
use crate::machine::Machine;
use crate::options::OnTransition;

/// The result of a report, a timeout or an operator's move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineStep {
    /// The event after it.
    pub event: Lifecycle,
    /// The difference.
    pub change: EventChange,
}

/// The difference that a step made to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventChange {
    /// It entered a state. At a first report `from` is the initial state.
    Entered {
        /// The state it left.
        from: CompactString,
        /// The state it entered.
        to: CompactString,
        /// The notice to deliver, if any.
        notice: Option<Notice>,
    },
    /// It stayed in its state, and a reminder is due. `None`: a silence withholds it.
    Reminded(Option<Notice>),
    /// It stayed in its state, and the report counts.
    Refreshed,
    /// It stayed in its state, and the report does not count.
    Ignored(IgnoreReason),
}

/// A notice to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whom to notify.
    pub to: OnTransition,
    /// Whether it goes out despite silences and inhibition: the end of an event whose beginning was announced.
    pub is_unconditional: bool,
}

/// A state whose notice was withheld by a silence, and is due now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The state before it.
    pub from: CompactString,
    /// The present state.
    pub to: CompactString,
    /// The notice to deliver.
    pub notice: Notice,
}

/// Why a report changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreReason {
    /// The machine has no such transition.
    NotAllowed,
    /// The report is about an earlier time than the event.
    Older,
    /// The machine no longer has the event's state. An operator must move it.
    StateUnknown,
}

/// A transition that an operator asks for.
#[derive(Clone, Copy, Debug)]
pub struct ManualMove<'a> {
    /// The state to enter.
    pub to: &'a str,
    /// The state that the operator believes the event is in.
    pub from: Option<&'a str>,
    /// The operator.
    pub by: &'a str,
    /// A remark for the history.
    pub note: Option<&'a str>,
    /// The present time.
    pub at: Timestamp,
    /// The silence in force, if one matches the event.
    pub silence: Option<&'a str>,
}

/// Why an operator's transition was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ManualError {
    /// The event is in another state than the operator believes.
    #[error("the event is in state \"{state}\", not \"{expected}\"")]
    Moved {
        /// The present state.
        state: CompactString,
        /// The expected one.
        expected: CompactString,
    },
    /// The machine has no such transition.
    #[error("the machine allows no transition from \"{from}\" to \"{to}\"")]
    NotAllowed {
        /// The present state.
        from: CompactString,
        /// The requested one.
        to: CompactString,
    },
}

impl Machine {
    /// Makes the transition that an operator asks for. An event in a state that the machine no longer has may be moved
    /// to any state.
    ///
    /// # Errors
    /// The event has moved meanwhile, or the machine does not allow the transition.
    pub fn move_manually(
        &self,
        event: Lifecycle,
        asked: &ManualMove<'_>,
    ) -> Result<MachineStep, ManualError> {
        if let Some(expected) = asked.from
            && event.state != expected
        {
            return Err(ManualError::Moved {
                state: event.state,
                expected: expected.into(),
            });
        }
        let row = self.row(&event.state);
        let transition = row.and_then(|row| row.transition(asked.to));
        if transition.is_none() && asked.to == event.state {
            return Ok(event.refreshed());
        }
        let is_lost = row.is_none() && self.row(asked.to).is_some();
        if transition.is_none() && !is_lost {
            return Err(ManualError::NotAllowed {
                from: event.state,
                to: asked.to.into(),
            });
        }
        let on_transition = transition.map(|row| row.on_transition.clone());
        let by = TransitionCause::Operator(asked.by.into());
        let record = TransitionRecord {
            note: asked.note.map(Into::into),
            ..event.transition(asked.to, asked.at, by)
        };
        let to = on_transition.unwrap_or_default();
        Ok(self.enter(event, record, to, asked.silence))
    }

    pub(crate) fn enter(
        &self,
        mut event: Lifecycle,
        mut record: TransitionRecord,
        to: OnTransition,
        silence: Option<&str>,
    ) -> MachineStep {
        let is_end = self.is_terminal(&record.to) == Some(true);
        if self.is_terminal(&record.from) == Some(true) {
            event.was_notified = false;
        }
        // The end is announced in spite of a silence if the event was, and never if it was not.
        let is_due = to.notifies() && (!is_end || event.was_notified);
        record.silenced_by = silence.filter(|_| is_due && !is_end).map(Into::into);
        record.notified = is_due && record.silenced_by.is_none();
        event.was_notified |= record.notified;
        let withheld_by = record.silenced_by.clone();
        let change = EventChange::Entered {
            from: record.from.clone(),
            to: record.to.clone(),
            notice: record.notified.then_some(Notice {
                to,
                is_unconditional: is_end,
            }),
        };
        event.enter(record);
        event.withheld_by = withheld_by;
        MachineStep { event, change }
    }

    /// The notice of the present state has failed and is not delivered again. The next report of the state gives it.
    pub fn untell(&self, event: &mut Lifecycle) {
        let is_over = |record: &TransitionRecord| self.is_terminal(&record.to) == Some(true);
        let Some((last, earlier)) = event.history.make_contiguous().split_last_mut() else {
            return;
        };
        last.notified = false;
        let mut earlier = earlier.iter().rev().take_while(|record| !is_over(record));
        event.was_notified = earlier.any(|record| record.notified);
        event.is_untold = true;
    }

    /// The notice of the present state, which was not delivered yet, is withheld by this silence.
    pub fn withhold(&self, event: &mut Lifecycle, silence: &CompactString) {
        self.untell(event);
        event.is_untold = false;
        event.withheld_by = Some(silence.clone());
        if let Some(last) = event.history.back_mut() {
            last.silenced_by = Some(silence.clone());
        }
    }

    /// Announces the present state after the silence that withheld its notice has ended. `None`: no notice was withheld,
    /// or the machine gives none any more. Then nothing is withheld from now on.
    pub fn tell(&self, event: &mut Lifecycle) -> Option<Announcement> {
        event.withheld_by.take()?;
        let record = event.history.back_mut()?;
        let declared = self.row(&record.from)?.transition(&record.to)?;
        let is_end = self.is_terminal(&record.to) == Some(true);
        if !declared.on_transition.notifies() || (is_end && !event.was_notified) {
            return None;
        }
        record.notified = true;
        event.was_notified = true;
        Some(Announcement {
            from: record.from.clone(),
            to: record.to.clone(),
            notice: Notice {
                to: declared.on_transition.clone(),
                is_unconditional: is_end,
            },
        })
    }
}

impl Lifecycle {
    pub(crate) fn transition(
        &self,
        to: &str,
        at: Timestamp,
        by: TransitionCause,
    ) -> TransitionRecord {
        TransitionRecord {
            at,
            from: self.state.clone(),
            to: to.into(),
            by,
            notified: false,
            silenced_by: None,
            note: None,
        }
    }

    pub(crate) fn refreshed(self) -> MachineStep {
        MachineStep {
            event: self,
            change: EventChange::Refreshed,
        }
    }

    pub(crate) fn ignored(self, reason: IgnoreReason) -> MachineStep {
        MachineStep {
            event: self,
            change: EventChange::Ignored(reason),
        }
    }
}
