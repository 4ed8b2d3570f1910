//! The ends of loans: acknowledged, published elsewhere first, or offered again after a while.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{DeadLetter, Returned, Settled};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::held::{Again, Held};
use crate::inbox::{Arrived, Place};
use crate::publish::{Publication, Published};
use crate::session::{Phase, Session};

/// How long what is settled waits to be committed together with more.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
/// How soon room is asked for again.
const ROOM_INTERVAL: Duration = Duration::from_millis(50);

impl Session<'_> {
    /// Deals with the loans that have ended.
    pub(crate) fn settle_all(&mut self, arrived: &mut Arrived, now: Instant) {
        for place in arrived.done.drain(..) {
            self.acknowledge(place, now);
        }
        for (place, settled) in arrived.settled.drain(..) {
            self.settle(place, settled, now);
        }
    }

    /// The record has come to its end.
    fn acknowledge(&mut self, place: Place, now: Instant) {
        let Some(partition) = self.assignment.of(place) else {
            self.shared.events.fenced(place.offset);
            return;
        };
        partition.on_loan -= 1;
        if partition.settle(place.offset) && self.commit_due.is_none() {
            self.commit_due = Some(now + COMMIT_INTERVAL);
        }
        if !self.tries.is_empty() {
            self.tries.remove(&place);
        }
        let next = self.lanes.as_mut().and_then(|lanes| lanes.leave(place));
        if let Some(next) = next {
            self.lend(next.place, Ok(next.envelope), next.permit);
        }
    }

    fn settle(&mut self, place: Place, settled: Settled, now: Instant) {
        match settled {
            Settled::Done(_) => self.acknowledge(place, now),
            Settled::DeadLettered(letter) => self.dead_lettered(place, &letter, now),
            Settled::Retry {
                returned,
                after,
                refusal,
            } => {
                self.shared.events.retried(refusal.as_str());
                self.hold(place, Again::HandIn(returned), after, now);
            }
            Settled::Later {
                envelope,
                after,
                delay,
            } => match self.shared.retry_topic.clone() {
                Some(topic) => {
                    let not_before = later(self.shared.context.clock.now(), after);
                    let retry = Publication::retry(&topic, &envelope, not_before);
                    self.publish(place, retry);
                }
                None => {
                    self.shared.events.retried(delay.as_str());
                    self.hold(place, Again::HandIn(Returned::Action(envelope)), after, now);
                }
            },
        }
    }

    fn dead_lettered(&mut self, place: Place, letter: &DeadLetter, now: Instant) {
        match &self.shared.dead_letter_topic {
            Some(topic) => {
                let copy = Publication::dead_letter(&Arc::clone(topic), letter);
                self.publish(place, copy);
            }
            None => self.acknowledge(place, now),
        }
    }

    /// Publishes what is still counted as on loan.
    fn publish(&mut self, place: Place, publication: Publication) {
        if self.assignment.of(place).is_some() {
            self.publisher.publish(place, Box::new(publication));
        } else {
            self.shared.events.fenced(place.offset);
        }
    }

    pub(crate) fn published(&mut self, published: Published, now: Instant) {
        let Published {
            place,
            publication,
            result,
        } = published;
        match result {
            Ok(()) => {
                self.shared.events.published(publication.kind);
                self.acknowledge(place, now);
            }
            Err(error) => {
                self.shared.events.publish_failed(publication.kind, &error);
                self.hold(place, Again::Publish(publication), Duration::ZERO, now);
            }
        }
    }

    /// Keeps what has come back until it is time to try again. When its partition goes, or we do, it is dropped:
    /// its offset is unsettled, and the broker brings it again.
    fn hold(&mut self, place: Place, again: Again, after: Duration, now: Instant) {
        let Some(partition) = self.assignment.of(place) else {
            self.shared.events.fenced(place.offset);
            return;
        };
        partition.on_loan -= 1;
        if partition.revoking || self.phase != Phase::Running {
            return;
        }
        let tries = self.tries.entry(place).or_default();
        let wait = self.retry_backoff.wait_of(*tries, rand::random());
        *tries += 1;
        let mut held = Held {
            due: now + after.max(wait),
            place,
            again,
            permit: None,
            undue: false,
        };
        held.permit = self.shared.context.admission.try_admit(1, held.bytes());
        self.waiting.push(held);
    }

    /// Tries again what has waited long enough.
    pub(crate) fn offer_what_is_due(&mut self, now: Instant) {
        while let Some(mut held) = self.waiting.due(now) {
            let admission = &self.shared.context.admission;
            let bytes = held.bytes();
            let Some(permit) = held.permit.take().or_else(|| admission.try_admit(1, bytes)) else {
                held.due = now + ROOM_INTERVAL;
                self.waiting.push(held);
                continue;
            };
            let Some(partition) = self.assignment.of(held.place) else {
                continue;
            };
            partition.undue -= usize::from(held.undue);
            match held.again {
                Again::HandIn(Returned::Action(envelope)) => {
                    self.lend(held.place, Ok(envelope), permit);
                }
                Again::HandIn(Returned::Poison(poison)) => {
                    self.lend(held.place, Err(poison), permit);
                }
                Again::Publish(publication) => {
                    partition.on_loan += 1;
                    self.publisher.publish(held.place, publication);
                }
            }
        }
    }
}

fn later(now: Timestamp, after: Duration) -> Timestamp {
    now.saturating_add(after).unwrap_or(Timestamp::MAX)
}
