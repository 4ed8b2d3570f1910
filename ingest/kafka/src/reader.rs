//! Takes records up: decodes them into the pending batch, and lends the batch out when there is room for it.

use std::hash::{BuildHasher, RandomState};

use acteon_core::{Permit, Returned};
use acteon_ingest_kit::{Copies, Decoded, Decoder, Lane, OrderingKey, Pending, Place};
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use rdkafka::consumer::MessageStream;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::time::Instant;

use crate::assignment::Assignment;
use crate::context::Context;
use crate::delayed::Delayed;
use crate::loans::Loans;
use crate::member::Member;
use crate::record::{Known, decode};
use crate::source::Shared;

/// A record that is read and decoded.
struct Fresh {
    place: Place,
    decoded: Decoded,
    lane: Option<Lane>,
    /// It comes from the retry topic and is to wait until then.
    due: Option<Instant>,
}

/// Reads records into batches.
pub(crate) struct Reader<'a> {
    shared: &'a Shared,
    decoder: Decoder,
    copies: Copies,
    pending: Pending<Fresh>,
    /// Set while keys go one after another.
    order: Option<Order>,
}

/// How records find their lanes.
struct Order {
    hasher: RandomState,
    key: OrderingKey,
}

impl Order {
    /// The lane of the record's key, else that of what its action names; the others share their partition's. Poison has
    /// none: it waits for nobody.
    fn lane(&self, place: Place, key: Option<&[u8]>, decoded: &Decoded) -> Option<Lane> {
        let envelope = decoded.as_ref().ok()?;
        let named = || self.key.hash(&envelope.action, &self.hasher);
        let key = key.map(|key| self.hasher.hash_one(key)).or_else(named);
        Some(Lane::new(place.epoch, key.unwrap_or(0)))
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            decoder: shared.decoder.clone(),
            copies: Copies::default(),
            pending: Pending::new(shared.context.max_batch),
            order: shared.options.ordered.then(|| Order {
                hasher: RandomState::new(),
                key: shared.ordering_key.clone(),
            }),
        }
    }

    /// Takes up `first` and what else is there, as far as there is room.
    ///
    /// # Errors
    /// When the client cannot go on. Other errors are in the log, and the client mends them.
    pub(crate) fn read(
        &mut self,
        first: KafkaResult<BorrowedMessage<'_>>,
        records: &mut MessageStream<'_, Context>,
        assignment: &mut Assignment,
    ) -> Result<(), KafkaError> {
        let begun = self.pending.begin(self.shared.context.clock);
        let in_flight = assignment.unsettled();
        let room = self.shared.in_flight_max.saturating_sub(in_flight).max(1);
        let limit = self.pending.len() + room;
        let mut next = Some(first);
        while let Some(record) = next {
            match record {
                Ok(record) => self.take_up(&record, assignment, begun),
                Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(error),
                Err(_) => {}
            }
            next = match self.pending.is_full() || self.pending.len() >= limit {
                true => None,
                false => records.next().now_or_never().flatten(),
            };
        }
        self.pending.end_reading();
        Ok(())
    }

    fn take_up(
        &mut self,
        record: &BorrowedMessage<'_>,
        assignment: &mut Assignment,
        (begun_at, now): (Instant, Timestamp),
    ) {
        let Some(partition) = assignment.find(record.topic(), record.partition()) else {
            return;
        };
        let Some(place) = partition.begin(record.offset()) else {
            return;
        };
        let position = partition.position(place.offset);
        let mut known = Known::of(record);
        if self.shared.member != Member::OfRetries {
            known = known.only_trace();
        }
        let raw = self.copies.of(record.payload().unwrap_or_default());
        let bytes = raw.len() as u64;
        let decoded = decode(&self.decoder, record, raw, &known, position, now);
        let order = self.order.as_ref();
        let fresh = Fresh {
            place,
            lane: order.and_then(|order| order.lane(place, record.key(), &decoded)),
            decoded,
            due: known.wait(now).map(|wait| begun_at + wait),
        };
        self.pending.push(fresh, bytes);
    }

    /// True while the pending batch is not full and does not wait for room.
    pub(crate) fn takes_more(&self) -> bool {
        self.pending.takes_more()
    }

    /// True while a few more may be read that come although partitions are paused.
    pub(crate) fn takes_some_more(&self) -> bool {
        self.pending.len() < 2 * self.shared.context.max_batch
    }

    /// When the pending batch has waited long enough for more. While others are being handed in, it waits for them.
    pub(crate) fn linger_end(&self, loans: &Loans) -> Option<Instant> {
        self.pending.linger_end().filter(|_| loans.are_idle())
    }

    /// Asks for room for what is pending, when it is time to hand it in.
    pub(crate) fn admit(&mut self, now: Instant, loans: &Loans) -> Option<Permit> {
        let has_lingered = self.linger_end(loans).is_some_and(|end| end <= now);
        let is_ripe = loans.are_handed_in() && (self.pending.is_full() || has_lingered);
        match is_ripe {
            true => self.pending.admit(&self.shared.context.admission),
            false => None,
        }
    }

    /// The permit that was waited for. Pending while none is.
    pub(crate) async fn permit(&mut self) -> Permit {
        self.pending.permit().await
    }

    /// Lends out what is pending, each with its share of `permit`.
    pub(crate) fn lend(
        &mut self,
        permit: Permit,
        assignment: &mut Assignment,
        loans: &mut Loans,
        delayed: &mut Delayed<'_>,
    ) {
        loans.reserve(self.pending.len());
        for (fresh, permit) in self.pending.drain(permit) {
            let Fresh {
                place,
                decoded,
                lane,
                due,
            } = fresh;
            let Some(partition) = assignment.of(place).filter(|p| !p.revoking) else {
                continue;
            };
            match (due, lane) {
                (Some(due), _) => {
                    partition.undue += 1;
                    delayed.keep_until(due, place, returned(decoded), permit);
                }
                (None, Some(lane)) => loans.enter(lane, (place, decoded, permit), partition),
                (None, None) => loans.lend(place, decoded, permit, partition),
            }
        }
        assignment.begin_batch();
        self.decoder.begin_batch();
    }

    /// Drops what is pending: it comes back from the broker.
    pub(crate) fn close(&mut self) {
        self.pending.clear();
    }
}

fn returned(decoded: Decoded) -> Returned {
    match decoded {
        Ok(envelope) => Returned::Action(envelope),
        Err(poison) => Returned::Poison(poison),
    }
}
