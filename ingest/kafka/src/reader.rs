//! Takes records up: decodes them into the pending batch, and lends the batch out when there is room for it.

use std::hash::{BuildHasher, RandomState};

use acteon_core::{Permit, Returned};
use acteon_ingest_kit::{Copies, Decoded, Decoder, Lane, Pending, Place};
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use rdkafka::consumer::MessageStream;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::time::Instant;

use crate::assignment::{Assignment, Partition, Taken};
use crate::context::Context;
use crate::delayed::Delayed;
use crate::loans::Loans;
use crate::member::Member;
use crate::record::{Known, decode};
use crate::seen::ReadFrom;
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
    order: Option<RandomState>,
    renewed: Vec<(String, i32, ReadFrom)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            decoder: shared.decoder.clone(),
            copies: Copies::default(),
            pending: Pending::new(shared.context.max_batch),
            order: shared.options.ordered.then(RandomState::new),
            renewed: Vec::new(),
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
            // The client is to be sent back before it goes on.
            let has_enough = self.pending.is_full() || self.pending.len() >= limit;
            next = match has_enough || !self.renewed.is_empty() {
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
        let Some((partition, place)) = self.place(record, assignment) else {
            return;
        };
        let position = partition.position(place.offset);
        let mut known = Known::of(record);
        if self.shared.member != Member::OfRetries {
            known = known.only_trace();
        }
        let raw = self.copies.of(record.payload().unwrap_or_default());
        let bytes = raw.len() as u64;
        let fresh = Fresh {
            place,
            decoded: decode(&self.decoder, record, raw, &known, position, now),
            lane: self.lane(place, record.key()),
            due: known.wait(now).map(|wait| begun_at + wait),
        };
        self.pending.push(fresh, bytes);
    }

    /// Where a record is to be taken up; `None` where it is not.
    fn place<'p>(
        &mut self,
        record: &BorrowedMessage<'_>,
        assignment: &'p mut Assignment,
    ) -> Option<(&'p Partition, Place)> {
        let (topic, number) = (record.topic(), record.partition());
        let mut taken = assignment.find(topic, number)?.take_up(record);
        if let Taken::Anew(read_from) = taken {
            let position = match read_from {
                ReadFrom::Here => u64::try_from(record.offset()).unwrap_or(0),
                ReadFrom::Head => 0,
            };
            let settled = assignment.renew(topic, number, position)?;
            self.shared.events.made_anew(topic, number, settled);
            self.renewed.push((topic.to_owned(), number, read_from));
            taken = match read_from {
                ReadFrom::Here => assignment.find(topic, number)?.take_up(record),
                ReadFrom::Head => Taken::Known,
            };
        }
        match taken {
            Taken::Fresh(place) => Some((assignment.of(place)?, place)),
            Taken::Known | Taken::Anew(_) => None,
        }
    }

    /// Partitions that turned out to be made anew since this was asked last.
    pub(crate) fn take_renewed(&mut self) -> Vec<(String, i32, ReadFrom)> {
        std::mem::take(&mut self.renewed)
    }

    /// The lane of a record: that of its key; records without a key share their partition's.
    fn lane(&self, place: Place, key: Option<&[u8]>) -> Option<Lane> {
        let hasher = self.order.as_ref()?;
        let key = key.map_or(0, |key| hasher.hash_one(key));
        Some(Lane::new(place.epoch, key))
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
