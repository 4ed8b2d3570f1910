//! What comes back: published to be offered later, held in this process until it is due, or copied to the dead letter
//! topic before it is acknowledged.

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

/// How soon room is asked for again.
const ROOM_INTERVAL: Duration = Duration::from_millis(50);

/// How a publication ended.
pub(crate) type Published = acteon_ingest_kit::Published<Producer>;

/// What is to be done with a record whose loan has ended.
pub(crate) enum Next {
    /// It has come to its end.
    Acknowledge,
    /// It can be kept nowhere: it becomes a dead letter.
    GiveUp(Box<Envelope>, Permit, Failure),
    /// Nothing yet.
    Wait,
}

/// When a record of the delayed path is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    At(Instant),
    /// It is not: its wait is longer than its topic keeps anything, and is gone on with in another copy.
    PassOn(Instant, Timestamp),
}

/// Holds and publishes what has not come to its end.
pub(crate) struct Delayed<'a> {
    shared: &'a Shared,
    held: Waiting<Publication>,
    /// How often a record was offered again.
    tries: HashMap<Place, u32>,
    backoff: Backoff,
    publishing: Publishing<Producer>,
    /// How many of those that are on their way have no room of their own.
    unadmitted: usize,
    /// Nothing is held any more: what comes back is left to the broker.
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

    /// Deals with a loan that has ended.
    pub(crate) fn settled(
        &mut self,
        place: Place,
        settled: Settled,
        assignment: &mut Assignment,
        now: Instant,
    ) -> Next {
        match settled {
            Settled::Done(_) => Next::Acknowledge,
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

    /// Publishes what is still counted as on loan.
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

    /// The next publication to end. Pending while none is on its way.
    pub(crate) async fn published(&mut self) -> Published {
        self.publishing.next().await
    }

    /// Deals with a publication that has ended.
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
                Next::GiveUp(envelope, permit, refusal(&error))
            }
            // It is stored all the same.
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

    /// Keeps what has come back until it is time to try again. When its partition goes, or we do, what would be there for
    /// long is dropped: its offset is unsettled, and the broker brings it again. What is only refused is drained.
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
        let wait = self.backoff.wait_of(*tries, rand::random());
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

    /// Tries again what has waited long enough.
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

    /// What has come from the delayed path goes the way of what has just been read.
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
            // It goes on loan anew.
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

    /// When the first of what is held is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.held.next_due()
    }

    /// True when something is held, or on its way, that has no room of its own.
    pub(crate) fn is_over_the_bound(&self) -> bool {
        self.held.is_over_the_bound() || self.unadmitted > 0
    }

    /// The record has come to its end.
    pub(crate) fn forget(&mut self, place: Place) {
        if !self.tries.is_empty() {
            self.tries.remove(&place);
        }
    }

    /// Drops what is not drained of assignments that are not kept: the broker brings it again.
    pub(crate) fn drain(&mut self, kept: &[u32]) {
        self.held
            .retain(|held| held.reason == Reason::Refused || kept.contains(&held.place.epoch));
    }

    /// Forgets what belongs to partitions that are gone.
    pub(crate) fn forget_gone(&mut self, assignment: &Assignment) {
        let is_there = |place: Place| assignment.iter().any(|p| p.lender.epoch == place.epoch);
        self.held.retain(|held| is_there(held.place));
        self.tries.retain(|place, _| is_there(*place));
    }

    /// Drops what is not drained, and holds nothing else from now on.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.drain(&[]);
    }
}

/// Whether what is refused is to be drained: it is, unless that may take long.
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

/// What the dead letter says of an action that can be kept nowhere.
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
