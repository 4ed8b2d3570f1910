//! Handles records that come back: publishes them to be offered later, holds them in this process until they are due,
//! or copies them to the dead letter topic before they are acknowledged.

use std::time::Duration;

use acteon_core::{Envelope, Failure, FailureCode, Permit, Refusal, Returned, Settled};
use acteon_ingest_kit::{
    Again, Backoff, Decoded, Held, Place, Publication as _, Publishing, Reason, Waiting,
};
use hashbrown::HashMap;
use jiff::Timestamp;
use rdkafka::error::KafkaError;
use tokio::time::Instant;

use crate::assignment::Assignment;
use crate::loans::Loans;
use crate::publish::{Copied, Producer, Publication, is_refused};
use crate::reader::Reader;
use crate::source::Shared;

/// The delay before room is asked for again.
const ROOM_INTERVAL: Duration = Duration::from_millis(50);

/// The result of a publication.
pub(crate) type Published = acteon_ingest_kit::Published<Producer>;

/// How to proceed with a record whose loan has ended.
pub(crate) enum Next {
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
    shared: &'a Shared,
    held: Waiting<Publication>,
    /// How often each record was offered again.
    tries: HashMap<Place, u32>,
    backoff: Backoff,
    publishing: Publishing<Producer>,
    /// How many publications on their way have no permit.
    unadmitted: usize,
    /// Nothing is held any more: records that come back are left to the broker.
    closed: bool,
}

impl<'a> Delayed<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        let producer = shared.options.producer(&shared.context.name);
        Self {
            shared,
            held: Waiting::default(),
            tries: HashMap::new(),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            publishing: Publishing::new(Producer::new(producer, shared.own_topics.clone())),
            unadmitted: 0,
            closed: false,
        }
    }

    /// Handles the end of a loan.
    pub(crate) fn settled(
        &mut self,
        place: Place,
        settled: Settled,
        assignment: &mut Assignment,
        now: Instant,
    ) -> Next {
        match settled {
            Settled::Done(_) | Settled::Remembered(_) => Next::Acknowledge,
            Settled::DeadLettered(letter) => match &self.shared.own_topics.dead_letter {
                Some(_) => self.publish(place, Publication::dead_letter(letter), assignment),
                None => Next::Acknowledge,
            },
            Settled::Retry {
                returned,
                after,
                refusal,
            } => {
                self.shared.events.retried(refusal.as_str());
                let again = Again::HandIn(returned);
                let after = (after, reason(refusal));
                self.hold((place, again), after, assignment, now)
            }
            Settled::Later {
                envelope,
                after,
                delay,
            } => match &self.shared.own_topics.retry {
                Some(_) => {
                    self.shared.events.delayed(delay.as_str());
                    let not_before = later(self.shared.context.clock.now(), after);
                    self.publish(place, Publication::retry(envelope, not_before), assignment)
                }
                None => {
                    self.shared.events.retried(delay.as_str());
                    let again = Again::HandIn(Returned::Action(envelope));
                    self.hold((place, again), (after, Reason::Delayed), assignment, now)
                }
            },
        }
    }

    /// Publishes a record that still counts as on loan.
    fn publish(
        &mut self,
        place: Place,
        publication: Box<Publication>,
        assignment: &mut Assignment,
    ) -> Next {
        if assignment.of(place).is_none() {
            self.shared.events.fenced(place.offset);
            return Next::Wait;
        }
        self.begin(place, publication);
        Next::Wait
    }

    fn begin(&mut self, place: Place, mut publication: Box<Publication>) {
        if publication.permit.is_none() {
            let bytes = publication.raw().len() as u64;
            publication.permit = self.shared.context.admission.try_admit(1, bytes);
        }
        self.unadmitted += usize::from(publication.permit.is_none());
        self.publishing.begin(place, publication);
    }

    /// The next publication to end. Pending if none is on its way.
    pub(crate) async fn published(&mut self) -> Published {
        self.publishing.next().await
    }

    /// Handles the end of a publication.
    pub(crate) fn sent(
        &mut self,
        published: Published,
        assignment: &mut Assignment,
        now: Instant,
    ) -> Next {
        let events = &self.shared.events;
        let Published {
            place,
            publication,
            result,
        } = published;
        let kind = publication.kind();
        self.unadmitted -= usize::from(publication.permit.is_none());
        let Err(error) = result else {
            events.published(kind);
            return Next::Acknowledge;
        };
        let (Publication { copy, permit }, is_refused) = (*publication, is_refused(&error));
        match (copy, permit) {
            (Copied::Retry(envelope, _), Some(permit)) if is_refused => {
                events.publish_refused(kind, &error);
                Next::GiveUp(envelope.into_inner(), permit, refusal(&error))
            }
            // The dead letter is stored in any case.
            (Copied::DeadLetter(_), _) if is_refused => {
                events.publish_refused(kind, &error);
                Next::Acknowledge
            }
            (copy, permit) => {
                events.publish_failed(kind, &error);
                let again = Again::Publish(Box::new(Publication { copy, permit }));
                self.hold(
                    (place, again),
                    (Duration::ZERO, Reason::Delayed),
                    assignment,
                    now,
                )
            }
        }
    }

    /// Holds a returned record until the next try. If its partition is being given up or the session is draining, a
    /// record that might wait long is dropped: its offset is unsettled, so the broker delivers it again. Records that
    /// were only refused drain.
    fn hold(
        &mut self,
        (place, again): (Place, Again<Publication>),
        (after, reason): (Duration, Reason),
        assignment: &mut Assignment,
        now: Instant,
    ) -> Next {
        let Some(partition) = assignment.of(place) else {
            self.shared.events.fenced(place.offset);
            return Next::Wait;
        };
        if reason != Reason::Refused {
            partition.on_loan -= 1;
            if partition.revoking || self.closed {
                return Next::Wait;
            }
        }
        let tries = self.tries.entry(place).or_default();
        let wait = self.backoff.equal_jitter(*tries, rand::random());
        *tries += 1;
        let mut held = Held {
            due: now + after.max(wait),
            place,
            again,
            permit: None,
            reason,
        };
        held.permit = match &mut held.again {
            Again::Publish(publication) => publication.permit.take(),
            Again::HandIn(_) => None,
        };
        if held.permit.is_none() {
            held.permit = self.shared.context.admission.try_admit(1, held.bytes());
        }
        self.held.push(held);
        Next::Wait
    }

    /// Keeps a record of the delayed path until it is due.
    pub(crate) fn keep_until(&mut self, due: Due, place: Place, decoded: Decoded) {
        let (due, again) = match (due, decoded) {
            (Due::At(due), Ok(envelope)) => (due, Again::HandIn(envelope.into())),
            (Due::At(due) | Due::PassOn(due, _), Err(poison)) => {
                (due, Again::HandIn(poison.into()))
            }
            (Due::PassOn(due, not_before), Ok(envelope)) => (
                due,
                Again::Publish(Publication::retry(envelope, not_before)),
            ),
        };
        self.held.push(Held {
            due,
            place,
            again,
            permit: None,
            reason: Reason::Undue,
        });
    }

    /// Retries everything that is due.
    pub(crate) fn offer(
        &mut self,
        now: Instant,
        assignment: &mut Assignment,
        loans: &mut Loans,
        reader: &mut Reader<'_>,
    ) {
        while let Some(held) = self.held.due(now) {
            match held.reason {
                Reason::Undue => self.offer_on_time(held, now, assignment, reader),
                Reason::Refused | Reason::Delayed => {
                    self.offer_again(held, now, assignment, loans);
                }
            }
        }
    }

    /// A due record of the delayed path joins the pending batch, like a record that was just read.
    fn offer_on_time(
        &mut self,
        held: Held<Publication>,
        now: Instant,
        assignment: &mut Assignment,
        reader: &mut Reader<'_>,
    ) {
        let Some(partition) = assignment.of(held.place) else {
            return;
        };
        let (bytes, place) = (held.bytes(), held.place);
        match held.again {
            Again::HandIn(returned) if reader.takes_more() => {
                partition.undue.remove(bytes);
                reader.push(place, returned);
            }
            Again::HandIn(_) => self.held.push(Held {
                due: now + ROOM_INTERVAL,
                ..held
            }),
            Again::Publish(publication) => {
                partition.undue.remove(bytes);
                partition.on_loan += 1;
                self.begin(place, publication);
            }
        }
    }

    fn offer_again(
        &mut self,
        mut held: Held<Publication>,
        now: Instant,
        assignment: &mut Assignment,
        loans: &mut Loans,
    ) {
        let admission = &self.shared.context.admission;
        let bytes = held.bytes();
        let Some(permit) = held.permit.take().or_else(|| admission.try_admit(1, bytes)) else {
            held.due = now + ROOM_INTERVAL;
            self.held.push(held);
            return;
        };
        let Some(partition) = assignment.of(held.place) else {
            return;
        };
        if held.reason == Reason::Refused {
            // Lending counts it again.
            partition.on_loan -= 1;
        }
        match held.again {
            Again::HandIn(Returned::Action(envelope)) => {
                loans.lend(held.place, Ok(envelope), permit, partition);
            }
            Again::HandIn(Returned::Poison(poison)) => {
                loans.lend(held.place, Err(poison), permit, partition);
            }
            Again::Publish(mut publication) => {
                publication.permit = Some(permit);
                partition.on_loan += 1;
                self.begin(held.place, publication);
            }
        }
    }

    /// When the first held record is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.held.next_due()
    }

    /// True if something is held or on its way without a permit.
    pub(crate) fn is_over_the_bound(&self) -> bool {
        self.held.is_over_the_bound() || self.unadmitted > 0
    }

    /// Clears the state of a settled record.
    pub(crate) fn forget(&mut self, place: Place) {
        if !self.tries.is_empty() {
            self.tries.remove(&place);
        }
    }

    /// Drops the records of assignments not in `kept`, except refused ones, which drain. The broker delivers the
    /// dropped records again.
    pub(crate) fn drain(&mut self, kept: &[u32]) {
        self.held
            .retain(|held| held.reason == Reason::Refused || kept.contains(&held.place.epoch));
    }

    /// Drops the state of partitions that are gone.
    pub(crate) fn forget_gone(&mut self, assignment: &Assignment) {
        let is_there = |place: Place| assignment.iter().any(|p| p.lender.epoch == place.epoch);
        self.held.retain(|held| is_there(held.place));
        self.tries.retain(|place, _| is_there(*place));
    }

    /// Drops everything that does not drain, and holds nothing else from now on.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.drain(&[]);
    }
}

/// A refused record drains unless the refusal may last long.
fn reason(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::Overloaded | Refusal::Busy | Refusal::Abandoned => Reason::Refused,
        Refusal::StateUnavailable
        | Refusal::StateFull
        | Refusal::DeadLettersFull
        | Refusal::ShuttingDown => Reason::Delayed,
    }
}

fn later(now: Timestamp, after: Duration) -> Timestamp {
    now.saturating_add(after).unwrap_or(Timestamp::MAX)
}

/// The failure in the dead letter of an action that cannot be kept anywhere.
fn refusal(error: &KafkaError) -> Failure {
    let reason = error.rdkafka_error_code().map(|code| code.to_string());
    let reason = reason.unwrap_or_else(|| error.to_string());
    Failure {
        code: FailureCode::ExecutionFailed,
        message: format!("it was to be delivered later, and its broker cannot keep it: {reason}")
            .into(),
        retryable: false,
        attempts: 0,
    }
}
