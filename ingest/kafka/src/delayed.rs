//! Handles records that come back: publishes them to be offered later, holds them in this process until they are due,
//! or copies them to the dead letter topic before they are acknowledged.

use std::time::Duration;

use acteon_core::{Envelope, Failure, FailureCode, Permit, Refusal, Returned, Settled};
use acteon_ingest_kit::{
    Backoff, DecodeResult, DelayQueue, DelayReason, DelayedItem, DueAction, EpochOffset,
    Publication as _, PublishResult, Publishing,
};
use hashbrown::HashMap;
use jiff::Timestamp;
use rdkafka::error::KafkaError;
use tokio::time::Instant;

use crate::assignment::Assignment;
use crate::loan_queue::LoanQueue;
use crate::member_context::MemberContext;
use crate::publish::{OutgoingContent, OutgoingRecord, Producer, is_refused};
use crate::reader::RecordReader;

/// The delay before room is asked for again.
const ROOM_INTERVAL: Duration = Duration::from_millis(50);

/// How to proceed with a record whose loan has ended.
pub(crate) enum LoanStep {
    /// It is settled.
    Acknowledge,
    /// It cannot be kept anywhere: it becomes a dead letter.
    GiveUp(Box<Envelope>, Permit, Failure),
    /// Nothing to do yet.
    Wait,
}

/// When a record of the delayed path is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    At(Instant),
    /// Not offered: it must wait longer than its tier. At the instant, it is published again to wait until the
    /// timestamp.
    PassOn(Instant, Timestamp),
}

/// Holds and publishes records that are not settled.
pub(crate) struct Delayed<'a> {
    shared: &'a MemberContext,
    queue: DelayQueue<OutgoingRecord>,
    /// How often each record was offered again.
    attempts: HashMap<EpochOffset, u32>,
    backoff: Backoff,
    publishing: Publishing<Producer>,
    /// How many publications on their way have no permit.
    unadmitted: usize,
    /// Nothing is held any more: records that come back are left to the broker.
    closed: bool,
}

impl<'a> Delayed<'a> {
    pub(crate) fn new(shared: &'a MemberContext) -> Self {
        let producer = shared.options.producer(&shared.context.name);
        Self {
            shared,
            queue: DelayQueue::default(),
            attempts: HashMap::new(),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            publishing: Publishing::new(Producer::new(producer, shared.own_topics.clone())),
            unadmitted: 0,
            closed: false,
        }
    }

    /// Handles the end of a loan.
    pub(crate) fn settled(
        &mut self,
        at: EpochOffset,
        settled: Settled,
        assignment: &mut Assignment,
        now: Instant,
    ) -> LoanStep {
        match settled {
            Settled::Done(_) | Settled::Remembered(_) | Settled::Partly { .. } => {
                LoanStep::Acknowledge
            }
            Settled::DeadLettered(letter) => match &self.shared.own_topics.dead_letter {
                Some(_) => self.publish(at, OutgoingRecord::dead_letter(letter), assignment),
                None => LoanStep::Acknowledge,
            },
            Settled::Retry {
                returned,
                after,
                refusal,
            } => {
                self.shared.events.retried(refusal.as_str());
                let action = DueAction::HandIn(returned);
                let item = DelayedItem::new(at, now + after, action, reason(refusal));
                self.hold(item, assignment, now)
            }
            Settled::Later {
                envelope,
                after,
                delay,
            } => match &self.shared.own_topics.retry {
                Some(_) => {
                    self.shared.events.delayed(delay.as_str());
                    let not_before = time_after(self.shared.context.clock.now(), after);
                    self.publish(at, OutgoingRecord::retry(envelope, not_before), assignment)
                }
                None => {
                    self.shared.events.retried(delay.as_str());
                    let action = DueAction::HandIn(Returned::Action(envelope));
                    let item = DelayedItem::new(at, now + after, action, DelayReason::Delayed);
                    self.hold(item, assignment, now)
                }
            },
        }
    }

    /// Publishes a record that still counts as on loan.
    fn publish(
        &mut self,
        at: EpochOffset,
        publication: Box<OutgoingRecord>,
        assignment: &mut Assignment,
    ) -> LoanStep {
        if assignment.of(at).is_none() {
            self.shared.events.fenced(at.offset);
            return LoanStep::Wait;
        }
        self.begin(at, publication);
        LoanStep::Wait
    }

    fn begin(&mut self, at: EpochOffset, mut publication: Box<OutgoingRecord>) {
        if publication.permit.is_none() {
            let bytes = publication.raw().len() as u64;
            publication.permit = self.shared.context.admission.try_admit(1, bytes);
        }
        self.unadmitted += usize::from(publication.permit.is_none());
        self.publishing.begin(at, publication);
    }

    /// The next publication to end. Pending if none is on its way.
    pub(crate) async fn published(&mut self) -> PublishResult<Producer> {
        self.publishing.next().await
    }

    /// Handles the end of a publication.
    pub(crate) fn sent(
        &mut self,
        published: PublishResult<Producer>,
        assignment: &mut Assignment,
        now: Instant,
    ) -> LoanStep {
        let events = &self.shared.events;
        let at = published.at;
        let record = published.publication;
        let kind = record.kind();
        self.unadmitted -= usize::from(record.permit.is_none());
        let Err(error) = published.result else {
            events.published(kind);
            return LoanStep::Acknowledge;
        };
        let is_refused = is_refused(&error);
        let OutgoingRecord { content, permit } = *record;
        match (content, permit) {
            (OutgoingContent::Retry(envelope, _), Some(permit)) if is_refused => {
                events.publish_refused(kind, &error);
                LoanStep::GiveUp(envelope.into_inner(), permit, refusal(&error))
            }
            // The dead letter is stored in any case.
            (OutgoingContent::DeadLetter(_), _) if is_refused => {
                events.publish_refused(kind, &error);
                LoanStep::Acknowledge
            }
            (content, permit) => {
                events.publish_failed(kind, &error);
                let record = OutgoingRecord {
                    content,
                    permit: None,
                };
                let action = DueAction::Publish(Box::new(record));
                let mut item = DelayedItem::new(at, now, action, DelayReason::Delayed);
                item.permit = permit;
                self.hold(item, assignment, now)
            }
        }
    }

    /// Holds a returned record until the next try. If its partition is being given up or the session is draining, a
    /// record that might wait long is dropped: its offset is unsettled, so the broker delivers it again. Records that
    /// were only refused drain.
    fn hold(
        &mut self,
        mut item: DelayedItem<OutgoingRecord>,
        assignment: &mut Assignment,
        now: Instant,
    ) -> LoanStep {
        let at = item.at;
        let Some(partition) = assignment.of(at) else {
            self.shared.events.fenced(at.offset);
            return LoanStep::Wait;
        };
        if item.reason != DelayReason::Refused {
            partition.on_loan -= 1;
            if partition.revoking || self.closed {
                return LoanStep::Wait;
            }
        }
        let attempts = self.attempts.entry(at).or_default();
        let wait = self.backoff.equal_jitter(*attempts, rand::random());
        *attempts += 1;
        item.due = item.due.max(now + wait);
        if item.permit.is_none() {
            item.permit = self.shared.context.admission.try_admit(1, item.bytes());
        }
        self.queue.push(item);
        LoanStep::Wait
    }

    /// Keeps a record of the delayed path until it is due.
    pub(crate) fn keep_until(&mut self, due: Due, at: EpochOffset, decoded: DecodeResult) {
        let (due, action) = match (due, decoded) {
            (Due::At(due), Ok(envelope)) => (due, DueAction::HandIn(envelope.into())),
            (Due::At(due) | Due::PassOn(due, _), Err(poison)) => {
                (due, DueAction::HandIn(poison.into()))
            }
            (Due::PassOn(due, not_before), Ok(envelope)) => (
                due,
                DueAction::Publish(OutgoingRecord::retry(envelope, not_before)),
            ),
        };
        self.queue
            .push(DelayedItem::new(at, due, action, DelayReason::Undue));
    }

    /// Retries everything that is due.
    pub(crate) fn offer(
        &mut self,
        now: Instant,
        assignment: &mut Assignment,
        loans: &mut LoanQueue,
        reader: &mut RecordReader<'_>,
    ) {
        while let Some(item) = self.queue.due(now) {
            match item.reason {
                DelayReason::Undue => self.offer_on_time(item, now, assignment, reader),
                DelayReason::Refused | DelayReason::Delayed => {
                    self.offer_again(item, now, assignment, loans);
                }
            }
        }
    }

    /// A due record of the delayed path joins the pending batch, like a record that was just read.
    fn offer_on_time(
        &mut self,
        item: DelayedItem<OutgoingRecord>,
        now: Instant,
        assignment: &mut Assignment,
        reader: &mut RecordReader<'_>,
    ) {
        let Some(partition) = assignment.of(item.at) else {
            return;
        };
        let bytes = item.bytes();
        let at = item.at;
        match item.action {
            DueAction::HandIn(returned) if reader.takes_more() => {
                partition.undue.remove(bytes);
                reader.push(at, returned);
            }
            DueAction::HandIn(_) => self.queue.push(DelayedItem {
                due: now + ROOM_INTERVAL,
                ..item
            }),
            DueAction::Publish(publication) => {
                partition.undue.remove(bytes);
                partition.on_loan += 1;
                self.begin(at, publication);
            }
        }
    }

    fn offer_again(
        &mut self,
        mut item: DelayedItem<OutgoingRecord>,
        now: Instant,
        assignment: &mut Assignment,
        loans: &mut LoanQueue,
    ) {
        let admission = &self.shared.context.admission;
        let bytes = item.bytes();
        let Some(permit) = item.permit.take().or_else(|| admission.try_admit(1, bytes)) else {
            item.due = now + ROOM_INTERVAL;
            self.queue.push(item);
            return;
        };
        let Some(partition) = assignment.of(item.at) else {
            return;
        };
        if item.reason == DelayReason::Refused {
            // Lending counts it again.
            partition.on_loan -= 1;
        }
        match item.action {
            DueAction::HandIn(Returned::Action(envelope)) => {
                loans.lend(item.at, Ok(envelope), permit, partition);
            }
            DueAction::HandIn(Returned::Poison(poison)) => {
                loans.lend(item.at, Err(poison), permit, partition);
            }
            DueAction::Publish(mut publication) => {
                publication.permit = Some(permit);
                partition.on_loan += 1;
                self.begin(item.at, publication);
            }
        }
    }

    /// When the first held record is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.queue.next_due()
    }

    /// True if something is held or on its way without a permit.
    pub(crate) fn is_over_the_bound(&self) -> bool {
        self.queue.is_over_the_bound() || self.unadmitted > 0
    }

    /// Clears the state of a settled record.
    pub(crate) fn forget(&mut self, at: EpochOffset) {
        if !self.attempts.is_empty() {
            self.attempts.remove(&at);
        }
    }

    /// Drops the records of assignments not in `kept`, except refused ones, which drain. The broker delivers the
    /// dropped records again.
    pub(crate) fn drain(&mut self, kept: &[u32]) {
        self.queue
            .retain(|item| item.reason == DelayReason::Refused || kept.contains(&item.at.epoch));
    }

    /// Drops the state of partitions that are gone.
    pub(crate) fn forget_gone(&mut self, assignment: &Assignment) {
        let is_there = |at: EpochOffset| assignment.iter().any(|p| p.origin.epoch == at.epoch);
        self.queue.retain(|item| is_there(item.at));
        self.attempts.retain(|at, _| is_there(*at));
    }

    /// Drops everything that does not drain, and holds nothing else from now on.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.drain(&[]);
    }
}

/// A refused record drains unless the refusal may last long.
fn reason(refusal: Refusal) -> DelayReason {
    match refusal {
        Refusal::Overloaded | Refusal::Busy | Refusal::Abandoned => DelayReason::Refused,
        Refusal::StateUnavailable
        | Refusal::StateFull
        | Refusal::DeadLettersFull
        | Refusal::ShuttingDown => DelayReason::Delayed,
    }
}

fn time_after(now: Timestamp, wait: Duration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// The failure in the dead letter of an action that cannot be kept anywhere.
fn refusal(error: &KafkaError) -> Failure {
    let reason = error.rdkafka_error_code().map(|code| code.to_string());
    let reason = reason.unwrap_or_else(|| error.to_string());
    Failure {
        code: FailureCode::ExecutionFailed,
        message: format!("the action must wait, and the broker refuses to keep it: {reason}")
            .into(),
        retryable: false,
        attempts: 0,
    }
}
