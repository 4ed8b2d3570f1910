//! What comes back: published to be offered later, held in this process until it is due, or copied to the dead letter
//! topic before it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{DeadLetter, Permit, Returned, Settled};
use acteon_ingest_kit::{Again, Backoff, Held, Place, Publishing, Waiting};
use hashbrown::HashMap;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::assignment::Assignment;
use crate::loans::Loans;
use crate::publish::{Producer, Publication};
use crate::source::Shared;

/// How soon room is asked for again.
const ROOM_INTERVAL: Duration = Duration::from_millis(50);

/// How a publication ended.
pub(crate) type Published = acteon_ingest_kit::Published<Producer>;

/// What is to be done with a record whose loan has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It has come to its end.
    Acknowledge,
    /// Nothing yet.
    Wait,
}

/// Holds and publishes what has not come to its end.
pub(crate) struct Delayed<'a> {
    shared: &'a Shared,
    held: Waiting<Publication>,
    /// How often a record was offered again.
    tries: HashMap<Place, u32>,
    backoff: Backoff,
    publishing: Publishing<Producer>,
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
            publishing: Publishing::new(Producer::new(producer)),
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
            Settled::DeadLettered(letter) => self.dead_lettered(place, &letter, assignment),
            Settled::Retry {
                returned,
                after,
                refusal,
            } => {
                self.shared.events.retried(refusal.as_str());
                let again = Again::HandIn(returned);
                self.hold((place, again), after, assignment, now)
            }
            Settled::Later {
                envelope,
                after,
                delay,
            } => match self.shared.retry_topic.clone() {
                Some(topic) => {
                    let not_before = later(self.shared.context.clock.now(), after);
                    let retry = Publication::retry(&topic, &envelope, not_before);
                    self.publish(place, retry, assignment)
                }
                None => {
                    self.shared.events.retried(delay.as_str());
                    let again = Again::HandIn(Returned::Action(envelope));
                    self.hold((place, again), after, assignment, now)
                }
            },
        }
    }

    fn dead_lettered(
        &mut self,
        place: Place,
        letter: &DeadLetter,
        assignment: &mut Assignment,
    ) -> Next {
        match &self.shared.dead_letter_topic {
            Some(topic) => {
                let copy = Publication::dead_letter(&Arc::clone(topic), letter);
                self.publish(place, copy, assignment)
            }
            None => Next::Acknowledge,
        }
    }

    /// Publishes what is still counted as on loan.
    fn publish(
        &mut self,
        place: Place,
        publication: Publication,
        assignment: &mut Assignment,
    ) -> Next {
        match assignment.of(place) {
            Some(_) => self.publishing.begin(place, Box::new(publication)),
            None => self.shared.events.fenced(place.offset),
        }
        Next::Wait
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
        let Published {
            place,
            publication,
            result,
        } = published;
        match result {
            Ok(()) => {
                self.shared.events.published(publication.kind);
                Next::Acknowledge
            }
            Err(error) => {
                self.shared.events.publish_failed(publication.kind, &error);
                let again = Again::Publish(publication);
                self.hold((place, again), Duration::ZERO, assignment, now)
            }
        }
    }

    /// Keeps what has come back until it is time to try again. When its partition goes, or we do, it is dropped:
    /// its offset is unsettled, and the broker brings it again.
    fn hold(
        &mut self,
        (place, again): (Place, Again<Publication>),
        after: Duration,
        assignment: &mut Assignment,
        now: Instant,
    ) -> Next {
        let Some(partition) = assignment.of(place) else {
            self.shared.events.fenced(place.offset);
            return Next::Wait;
        };
        partition.on_loan -= 1;
        if partition.revoking || self.closed {
            return Next::Wait;
        }
        let tries = self.tries.entry(place).or_default();
        let wait = self.backoff.wait_of(*tries, rand::random());
        *tries += 1;
        let mut held = Held {
            due: now + after.max(wait),
            place,
            again,
            permit: None,
            undue: false,
        };
        held.permit = self.shared.context.admission.try_admit(1, held.bytes());
        self.held.push(held);
        Next::Wait
    }

    /// Keeps a record of the retry topic until it is due.
    pub(crate) fn keep_until(
        &mut self,
        due: Instant,
        place: Place,
        returned: Returned,
        permit: Permit,
    ) {
        self.held.push(Held {
            due,
            place,
            again: Again::HandIn(returned),
            permit: Some(permit),
            undue: true,
        });
    }

    /// Tries again what has waited long enough.
    pub(crate) fn offer(&mut self, now: Instant, assignment: &mut Assignment, loans: &mut Loans) {
        let admission = &self.shared.context.admission;
        while let Some(mut held) = self.held.due(now) {
            let bytes = held.bytes();
            let Some(permit) = held.permit.take().or_else(|| admission.try_admit(1, bytes)) else {
                held.due = now + ROOM_INTERVAL;
                self.held.push(held);
                continue;
            };
            let Some(partition) = assignment.of(held.place) else {
                continue;
            };
            partition.undue -= usize::from(held.undue);
            match held.again {
                Again::HandIn(Returned::Action(envelope)) => {
                    loans.lend(held.place, Ok(envelope), permit, partition);
                }
                Again::HandIn(Returned::Poison(poison)) => {
                    loans.lend(held.place, Err(poison), permit, partition);
                }
                Again::Publish(publication) => {
                    partition.on_loan += 1;
                    self.publishing.begin(held.place, publication);
                }
            }
        }
    }

    /// When the first of what is held is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.held.next_due()
    }

    /// True when something is held that has no room of its own.
    pub(crate) fn is_over_the_bound(&self) -> bool {
        self.held.is_over_the_bound()
    }

    /// The record has come to its end.
    pub(crate) fn forget(&mut self, place: Place) {
        if !self.tries.is_empty() {
            self.tries.remove(&place);
        }
    }

    /// Drops what belongs to assignments that are not kept: the broker brings it again.
    pub(crate) fn retain(&mut self, kept: &[u32]) {
        self.held.retain(|place| kept.contains(&place.epoch));
        self.tries.retain(|place, _| kept.contains(&place.epoch));
    }

    /// Drops what is held, and holds nothing from now on.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.held.retain(|_| false);
    }
}

fn later(now: Timestamp, after: Duration) -> Timestamp {
    now.saturating_add(after).unwrap_or(Timestamp::MAX)
}
