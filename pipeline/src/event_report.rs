//! Reports of events: decides what a report does to its event, and writes it as a step of the action's reservation.
//! The machine decides; a conflict with another writer is decided again with the record that the answer brought.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::{
    ActiveEventQuestion, Answer, Carrying, EventEnd, EventId, EventPhase, EventRecord, EventValue,
    EventWrite, GRACE_MAX, Question, Step, StoredEvent,
};
use acteon_core::{Action, ActionOutcome, History};
use acteon_machines::{EventChange, EventReport, Lifecycle, Machine, Notice};
use acteon_rules::{Gates, ReportPlan, StateAnswers};
use compact_str::CompactString;
use hashbrown::HashMap;
use jiff::{SignedDuration, Timestamp};

use crate::event_body::{EventBody, KeptReport};
use crate::job::Job;
use crate::machines::{added_labels, targets};
use crate::silence_end::findable;

/// How long an ended event is kept after a timer that is still due.
const AFTER_TIMER: Duration = Duration::from_secs(60);

/// A report on its way: the event, and what it does to it.
pub(crate) struct JobReport {
    pub(crate) machine: Arc<Machine>,
    pub(crate) event: EventId,
    pub(crate) values: Vec<EventValue>,
    /// When it arrived, by the state's clock.
    pub(crate) at: Timestamp,
    /// The provider of its notices.
    pub(crate) provider: CompactString,
    /// The silence that matches it.
    pub(crate) silence: Option<CompactString>,
    pub(crate) change: StateChange,
    /// The providers that still have to deliver its notice, after the present one.
    pub(crate) further: Vec<CompactString>,
    /// One that has failed.
    pub(crate) failed: Option<FailedTarget>,
    /// The ones that had accepted it before.
    pub(crate) accepted_by: Vec<CompactString>,
    /// The labels that the notice adds.
    pub(crate) labels: Vec<(CompactString, CompactString)>,
}

/// A provider at which a notice has failed.
pub(crate) struct FailedTarget {
    pub(crate) provider: CompactString,
    pub(crate) outcome: ActionOutcome,
}

/// What happened to the state of an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateChange {
    pub(crate) from: CompactString,
    pub(crate) to: CompactString,
    /// The silence that withholds its notice.
    pub(crate) silenced_by: Option<CompactString>,
}

impl StateChange {
    /// The state stays.
    pub(crate) fn none(state: &CompactString) -> Self {
        Self {
            from: state.clone(),
            to: state.clone(),
            silenced_by: None,
        }
    }
}

impl JobReport {
    /// The outcome of its action.
    pub(crate) fn outcome(&self, notify: NoticeState) -> ActionOutcome {
        ActionOutcome::StateChanged {
            fingerprint: self.event.fingerprint.clone(),
            previous_state: self.change.from.clone(),
            new_state: self.change.to.clone(),
            notify: notify == NoticeState::Delivered,
            silenced_by: self.change.silenced_by.clone(),
        }
    }
}

/// Whether a change had a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoticeState {
    None,
    Delivered,
}

/// The events of a batch as its earlier reports leave them.
#[derive(Default)]
pub(crate) struct BatchEvents {
    known: HashMap<EventId, KnownEvent>,
    /// What was active before an earlier report of the batch.
    before: Vec<(EventId, EventRecord)>,
}

/// An event, and the version that its next write expects.
#[derive(Clone)]
pub(crate) struct KnownEvent {
    version: u64,
    body: EventBody,
    record: EventRecord,
    /// Whether the state has it, or only this batch.
    origin: KnownFrom,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum KnownFrom {
    State,
    Batch,
}

impl KnownEvent {
    fn of(stored: &StoredEvent) -> Self {
        Self {
            version: stored.version,
            body: EventBody::of(stored),
            record: stored.record.clone(),
            origin: KnownFrom::State,
        }
    }
}

impl KnownEvent {
    /// The providers that have the notice of this change already: an earlier one of the same state failed at others.
    fn accepted_by(&self, change: &StateChange) -> Vec<CompactString> {
        let lifecycle = &self.body.lifecycle;
        match lifecycle.is_untold && lifecycle.state == change.to {
            true => self.body.accepted_by.clone(),
            false => Vec::new(),
        }
    }
}

/// What is left to do for a report.
pub(crate) enum Reported {
    /// To deliver its notice.
    Notice,
    /// Nothing: this is its outcome.
    End(ActionOutcome),
}

impl BatchEvents {
    /// Adds what earlier reports of the batch have changed to the answers of the state.
    pub(crate) fn add_to(&self, answers: &mut StateAnswers) {
        if !self.known.is_empty() {
            answers.replace(|question| self.newer(question));
        }
    }

    /// True if an event that made one of these answers true has ended in the batch. Only the state knows whether others
    /// still do.
    pub(crate) fn outdates(&self, answers: &StateAnswers) -> bool {
        let is_outdated = |(question, answer): (&Question, &Answer)| match (question, answer) {
            (Question::ActiveEvent(asked), Answer::ActiveEvent(true)) => {
                let mut before = self.before.iter();
                let counted = before.any(|(id, record)| counts(asked, id, record));
                counted && asked.grace.is_zero() && self.newer(question).is_none()
            }
            _ => false,
        };
        !self.before.is_empty() && answers.iter().any(is_outdated)
    }

    fn newer(&self, question: &Question) -> Option<Answer> {
        let mut records = self.known.iter().map(|(id, known)| (id, &known.record));
        match question {
            Question::EventState(asked) => {
                let (_, record) = records.find(|(id, _)| id.key() == asked.event)?;
                let state = record.state_at(record.updated_at, asked.grace);
                Some(Answer::EventState(Some(state.clone())))
            }
            Question::ActiveEvent(asked) => {
                let is_active = records.any(|(id, record)| counts(asked, id, record));
                is_active.then_some(Answer::ActiveEvent(true))
            }
            Question::Event(_) | Question::Tally(_) => None,
        }
    }

    /// True if the report announces the end of an event whose beginning was announced.
    pub(crate) fn announces_end(
        &self,
        report: &JobReport,
        action: &Action,
        present: Option<&StoredEvent>,
    ) -> bool {
        let known = self.known.get(&report.event).cloned();
        let known = known.or_else(|| present.map(KnownEvent::of));
        let notice = report.step(action, known.as_ref()).notice;
        notice.is_some_and(|notice| notice.is_unconditional)
    }

    /// Applies the job's report to its event, as earlier reports of the batch left it, else as it is stored. Puts the
    /// write into the gates.
    pub(crate) fn apply(
        &mut self,
        job: &mut Job,
        present: Option<&StoredEvent>,
        gates: &mut Gates,
    ) -> Option<Reported> {
        let action = &job.delivery.action;
        let report = job.report.as_deref_mut()?;
        let known = self.known.remove(&report.event);
        let known = known.or_else(|| present.map(KnownEvent::of));
        let before = known.as_ref().map(|known| &known.record);
        let before = before.filter(|record| record.phase == EventPhase::Active);
        let before = before.cloned();
        let step = report.step(action, known.as_ref());
        report.change = step.change;
        let accepted_by = known
            .as_ref()
            .map(|known| known.accepted_by(&report.change));
        report.accepted_by = accepted_by.unwrap_or_default();
        if report.change.silenced_by.is_some() {
            take_nothing(gates);
        }
        report.labels = step.notice.as_ref().map(added_labels).unwrap_or_default();
        let targets = step
            .notice
            .as_ref()
            .map(|notice| targets(notice, &report.provider));
        gates.reservation.step = (step.write.clone()).map(|write| Step::Write(write.into()));
        let after = match step.write {
            Some(write) => Some(KnownEvent {
                version: write.expected + 1,
                body: step.body,
                record: write.record,
                origin: KnownFrom::Batch,
            }),
            None => known,
        };
        if let Some(before) = before {
            self.before.push((report.event.clone(), before));
        }
        self.known
            .extend(after.map(|after| (report.event.clone(), after)));
        let mut targets = targets.unwrap_or_default();
        forget_accepted(&mut targets, job.delivery.history.as_deref());
        targets.retain(|target| !report.accepted_by.contains(target));
        let mut targets = targets.into_iter();
        let first = targets.next();
        report.further = targets.collect();
        Some(match first {
            None => Reported::End(report.outcome(NoticeState::None)),
            Some(first) => {
                job.redirect(first);
                Reported::Notice
            }
        })
    }
}

/// Takes neither dedup keys nor throttle places for a notice that is withheld.
fn take_nothing(gates: &mut Gates) {
    gates.reservation.claims.clear();
    gates.reservation.quotas.clear();
    gates.claim_rules.clear();
    gates.quota_rules.clear();
}

/// Whether this event makes the answer true.
fn counts(asked: &ActiveEventQuestion, id: &EventId, record: &EventRecord) -> bool {
    let carries = match &asked.carrying {
        Carrying::Anything => true,
        Carrying::Value(value) => record.values.iter().any(|found| found.value == *value),
        Carrying::Named(named) => record.has_value(&named.name, &named.value),
    };
    record.phase == EventPhase::Active && carries && record.type_key(id) == asked.event_type
}

/// Leaves out the providers that have accepted the notice.
pub(crate) fn forget_accepted(targets: &mut Vec<CompactString>, history: Option<&History>) {
    let attempts = || history.into_iter().flat_map(|history| &history.last);
    let has_accepted = |target: &CompactString| {
        attempts().any(|attempt| attempt.provider == *target && attempt.code.is_none())
    };
    targets.retain(|target| !has_accepted(target));
}

/// The step that a report makes.
struct ReportStep {
    body: EventBody,
    change: StateChange,
    notice: Option<Notice>,
    write: Option<EventWrite>,
}

impl JobReport {
    pub(crate) fn new(
        machine: Arc<Machine>,
        plan: &ReportPlan,
        action: &Action,
        at: Timestamp,
    ) -> Self {
        let provider = plan.plan.provider.as_ref().unwrap_or(&action.provider);
        Self {
            machine,
            event: plan.event.clone(),
            values: plan.values.clone(),
            at,
            provider: provider.clone(),
            silence: None,
            change: StateChange::default(),
            further: Vec::new(),
            failed: None,
            accepted_by: Vec::new(),
            labels: Vec::new(),
        }
    }

    fn step(&self, action: &Action, known: Option<&KnownEvent>) -> ReportStep {
        let now = self.at;
        let report = EventReport {
            id: &action.id,
            status: action.status.as_deref(),
            starts_at: action.starts_at.map(|time| time.timestamp()),
            ends_at: action.ends_at.map(|time| time.timestamp()),
            at: now,
            silence: self.silence.as_deref(),
        };
        let before = known.map(|known| &known.body.lifecycle);
        let step = self.machine.report(before.cloned(), &report);
        // An event goes over to the machine of the rule that reports it.
        let is_moved = known.is_some_and(|known| known.body.machine != self.machine.name());
        let has_changed = before != Some(&step.event) || is_moved;
        // What an earlier report of the batch will write may meet a conflict. Then this one must meet it, too.
        let is_unsure = known.is_some_and(|known| known.origin == KnownFrom::Batch);
        let before = known.map(|known| &known.body);
        let mut body = EventBody::following(before, self.machine.name(), step.event);
        let earlier = known.and_then(|known| known.body.report.clone());
        body.report = match &step.change {
            // What does not count leaves the labels and the payload of notices as they are.
            EventChange::Ignored(_) if earlier.is_some() => earlier,
            EventChange::Entered { .. }
            | EventChange::Reminded(_)
            | EventChange::Refreshed
            | EventChange::Ignored(_) => Some(KeptReport::of(action, &self.provider)),
        };
        let write = (has_changed || is_unsure).then(|| {
            let expected = known.map_or(0, |known| known.version);
            let own = EventParts {
                event: &self.event,
                event_type: &action.action_type,
                values: &self.values,
            };
            let parts = match (&step.change, known) {
                (EventChange::Ignored(_), Some(known)) => EventParts {
                    event: &self.event,
                    event_type: &known.record.event_type,
                    values: &known.record.values,
                },
                _ => own,
            };
            write_of(&self.machine, &body, parts, expected, now)
        });
        let lifecycle = &body.lifecycle;
        let (change, notice) = match step.change {
            EventChange::Entered { from, to, notice } => {
                let silenced_by = lifecycle.withheld_by.clone();
                let change = StateChange {
                    from,
                    to,
                    silenced_by: silenced_by.filter(|_| notice.is_none()),
                };
                (change, notice)
            }
            EventChange::Reminded(_) | EventChange::Refreshed | EventChange::Ignored(_) => {
                (StateChange::none(&lifecycle.state), None)
            }
        };
        ReportStep {
            body,
            change,
            notice,
            write,
        }
    }
}

/// What finds an event.
#[derive(Clone, Copy)]
pub(crate) struct EventParts<'a> {
    pub(crate) event: &'a EventId,
    pub(crate) event_type: &'a CompactString,
    pub(crate) values: &'a [EventValue],
}

impl<'a> From<&'a StoredEvent> for EventParts<'a> {
    fn from(stored: &'a StoredEvent) -> Self {
        Self {
            event: &stored.event,
            event_type: &stored.record.event_type,
            values: &stored.record.values,
        }
    }
}

/// The write of a body. Its timer is the earliest one of the machine and the notices that wait.
pub(crate) fn write_of(
    machine: &Machine,
    body: &EventBody,
    parts: EventParts<'_>,
    expected: u64,
    now: Timestamp,
) -> EventWrite {
    let lifecycle = &body.lifecycle;
    let due = machine.due(lifecycle).map(|due| wait_until(due, now));
    let notices = body
        .unsent
        .iter()
        .map(|notice| wait_until(notice.next_at, now));
    let due_in = due.into_iter().chain(notices).min();
    let kept = Duration::try_from(machine.retention()).unwrap_or_default();
    let kept = kept
        .max(GRACE_MAX)
        .max(due_in.unwrap_or_default() + AFTER_TIMER);
    let phase = match machine.is_terminal(&lifecycle.state) {
        Some(true) => EventPhase::Ended(kept),
        Some(false) | None => EventPhase::Active,
    };
    EventWrite {
        event: parts.event.clone(),
        expected,
        record: EventRecord {
            event_type: parts.event_type.clone(),
            state: lifecycle.state.clone(),
            phase,
            values: findable(parts.values, lifecycle.withheld_by.as_ref()),
            ended: ended(machine, lifecycle),
            updated_at: now,
            body: body.encoded().into(),
        },
        due_in,
    }
}

/// When and from which state an ended event has ended.
fn ended(machine: &Machine, lifecycle: &Lifecycle) -> Option<EventEnd> {
    let end = machine.end(lifecycle)?;
    Some(EventEnd {
        at: end.at,
        from: end.from.clone(),
    })
}

fn wait_until(due: Timestamp, now: Timestamp) -> Duration {
    let wait: SignedDuration = due.duration_since(now);
    Duration::try_from(wait).unwrap_or_default()
}
