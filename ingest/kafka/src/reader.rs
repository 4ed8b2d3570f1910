//! Reads records: decodes them into the pending batch, and lends the batch out when there is room.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use acteon_core::parked::SHARING_BYTES_MAX;
use acteon_core::{Permit, Returned};
use acteon_ingest_kit::delayed::Known;
use acteon_ingest_kit::{Copies, Decoded, Decoder, Lane, OrderingKey, Pending, Place};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use rdkafka::consumer::MessageStream;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::time::Instant;

use crate::assignment::{Assignment, Partition, Taken};
use crate::context::Context;
use crate::delayed::{Delayed, Due};
use crate::loans::Loans;
use crate::member::Member;
use crate::record::{decode, known};
use crate::seen::ReadFrom;
use crate::source::Shared;

/// A read stops after it has set aside this many bytes of records that are not due yet.
const ASIDE_BYTES: u64 = 256 << 10;

/// A record that was read and decoded.
struct Fresh {
    place: Place,
    decoded: Decoded,
    lane: Option<Lane>,
}

/// The records of one read that did not become pending: passed over, or kept until they are due.
#[derive(Default)]
struct Aside {
    passed: usize,
    kept: usize,
    bytes: u64,
}

/// Whether records were settled without being offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    None,
    Some,
}

/// Reads records into batches.
pub(crate) struct Reader<'a> {
    shared: &'a Shared,
    decoder: Decoder,
    copies: Copies,
    pending: Pending<Fresh>,
    /// Set if the actions of one key are delivered one after another.
    order: Option<Order>,
    renewed: Vec<(String, i32, ReadFrom)>,
    /// Some records read were settled before a restart.
    has_skipped: bool,
}

/// Assigns records to lanes.
struct Order {
    hasher: RandomState,
    key: OrderingKey,
}

impl Order {
    /// The lane of the record's key, or else of the key its action names. Records without either share one lane per
    /// partition. Poison has no lane and does not wait.
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
            renewed: Vec::new(),
            has_skipped: false,
        }
    }

    /// Takes `first` and the records that are ready behind it, as far as there is room.
    ///
    /// # Errors
    /// When the client cannot continue. Other errors are logged, and the client recovers from them.
    pub(crate) fn read(
        &mut self,
        first: KafkaResult<BorrowedMessage<'_>>,
        records: &mut MessageStream<'_, Context>,
        assignment: &mut Assignment,
        delayed: &mut Delayed<'_>,
    ) -> Result<Passed, KafkaError> {
        let begun = self.pending.begin(self.shared.context.clock);
        let in_flight = assignment.in_work();
        let room = self.shared.in_flight_max.saturating_sub(in_flight).max(1);
        let limit = self.pending.len() + room;
        let (mut next, mut aside) = (Some(first), Aside::default());
        while let Some(record) = next {
            match record {
                Ok(record) if self.is_of_another(&record) => {
                    self.pass_over(&record, assignment);
                    aside.passed += 1;
                }
                Ok(record) => {
                    if let Some((due, place, decoded)) = self.take_up(&record, assignment, begun) {
                        aside.kept += 1;
                        aside.bytes += record.payload_len() as u64;
                        delayed.keep_until(due, place, decoded);
                    }
                }
                Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(error),
                Err(_) => {}
            }
            let taken = self.pending.len() + aside.passed + aside.kept;
            let is_enough = taken >= limit || aside.bytes >= ASIDE_BYTES;
            // The client must seek to the head of a recreated topic before it reads on.
            let goes_on = !self.pending.is_full() && !is_enough && self.renewed.is_empty();
            next = match goes_on {
                true => records.next().now_or_never().flatten(),
                false => None,
            };
        }
        self.pending.end_reading();
        if aside.passed > 0 {
            self.shared.events.passed_over(aside.passed);
        }
        match std::mem::take(&mut self.has_skipped) || aside.passed > 0 {
            true => Ok(Passed::Some),
            false => Ok(Passed::None),
        }
    }

    /// True for a record of the delayed path that belongs to another source or group.
    fn is_of_another(&self, record: &BorrowedMessage<'_>) -> bool {
        match self.shared.member {
            Member::OfTopics(_) => false,
            Member::OfRetries => !known(record).is_of(&self.shared.own_topics.owner),
        }
    }

    /// Settles a record without offering it.
    fn pass_over(&mut self, record: &BorrowedMessage<'_>, assignment: &mut Assignment) {
        let place = self.place(record, assignment).map(|(_, place)| place);
        if let Some(place) = place
            && let Some(partition) = assignment.of(place)
        {
            partition.settle(place.offset);
        }
    }

    /// Adds a record to the pending batch, or returns it if it must wait first.
    fn take_up(
        &mut self,
        record: &BorrowedMessage<'_>,
        assignment: &mut Assignment,
        (begun_at, now): (Instant, Timestamp),
    ) -> Option<(Due, Place, Decoded)> {
        let (partition, place) = self.place(record, assignment)?;
        let position = partition.position(place.offset);
        let mut known = known(record);
        if self.shared.member != Member::OfRetries {
            known = known.only_trace();
        }
        let raw = self.copies.of(record.payload().unwrap_or_default());
        let key = record
            .key()
            .map(|key| match raw.len() <= SHARING_BYTES_MAX {
                true => self.copies.of(key),
                false => Bytes::copy_from_slice(key),
            });
        let bytes = raw.len() as u64 + record.key_len() as u64;
        let decoded = decode(&self.decoder, record, (raw, key), &known, position, now);
        if let Some(due) = self.due(record, &known, (begun_at, now)) {
            let partition = assignment.of(place)?;
            partition.undue.add(record.payload_len() as u64);
            return Some((due, place, decoded));
        }
        let order = self.order.as_ref();
        let fresh = Fresh {
            place,
            lane: order.and_then(|order| order.lane(place, record.key(), &decoded)),
            decoded,
        };
        self.pending.push(fresh, bytes);
        None
    }

    /// Adds a record that has become due to the pending batch.
    pub(crate) fn push(&mut self, place: Place, returned: Returned) {
        let (decoded, bytes) = match returned {
            Returned::Action(envelope) => {
                let key = envelope.key.as_ref().map_or(0, Bytes::len);
                let bytes = envelope.raw.len() + key;
                (Ok(envelope), bytes)
            }
            Returned::Poison(poison) => {
                let bytes = poison.raw.len();
                (Err(poison), bytes)
            }
        };
        self.pending.begin(self.shared.context.clock);
        let fresh = Fresh {
            place,
            decoded,
            lane: None,
        };
        self.pending.push(fresh, bytes as u64);
    }

    /// Where a record belongs, if it must be processed.
    fn place<'p>(
        &mut self,
        record: &BorrowedMessage<'_>,
        assignment: &'p mut Assignment,
    ) -> Option<(&'p Partition, Place)> {
        let (topic, number) = (record.topic(), record.partition());
        let mut taken = assignment.find(topic, number)?.take_up(record);
        if let Taken::Recreated(read_from) = taken {
            let position = match read_from {
                ReadFrom::Here => u64::try_from(record.offset()).unwrap_or(0),
                ReadFrom::Head => 0,
            };
            let settled = assignment.renew(topic, number, position)?;
            self.shared.events.recreated(topic, number, settled);
            self.renewed.push((topic.to_owned(), number, read_from));
            taken = match read_from {
                ReadFrom::Here => assignment.find(topic, number)?.take_up(record),
                ReadFrom::Head => Taken::Known,
            };
        }
        match taken {
            Taken::Fresh(place) => Some((assignment.of(place)?, place)),
            Taken::Settled => {
                self.has_skipped = true;
                None
            }
            Taken::Known | Taken::Recreated(_) => None,
        }
    }

    /// Takes the partitions found to be recreated since the last call.
    pub(crate) fn take_renewed(&mut self) -> Vec<(String, i32, ReadFrom)> {
        std::mem::take(&mut self.renewed)
    }

    /// When a record that carries a wait must be offered.
    fn due(
        &self,
        record: &BorrowedMessage<'_>,
        known: &Known<'_>,
        (begun_at, now): (Instant, Timestamp),
    ) -> Option<Due> {
        let wait = known.wait(now)?;
        let retry = self.shared.own_topics.retry.as_ref()?;
        let tier = retry.tier_of(record.topic())?.length();
        // A small excess over the tier's length is inaccuracy, not a longer wait.
        if wait <= tier + tier / 10 {
            return Some(Due::At(begun_at + wait));
        }
        let published = record.timestamp().to_millis();
        let published = published.and_then(|millis| Timestamp::from_millisecond(millis).ok());
        let age = now.duration_since(published.unwrap_or(now));
        let left = tier.saturating_sub(Duration::try_from(age).unwrap_or_default());
        let not_before = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        Some(Due::PassOn(begun_at + left, not_before))
    }

    /// True while the pending batch has space and is not waiting for admission.
    pub(crate) fn takes_more(&self) -> bool {
        self.pending.takes_more()
    }

    /// True while a few more records may be read that arrive although partitions are paused.
    pub(crate) fn takes_some_more(&self) -> bool {
        self.pending.len() < 2 * self.shared.context.max_batch
    }

    /// When the pending batch has waited long enough for more records. It also waits while another batch is being
    /// handed in.
    pub(crate) fn linger_end(&self, loans: &Loans) -> Option<Instant> {
        self.pending.linger_end().filter(|_| loans.are_idle())
    }

    /// Asks for room for the pending batch when it is time to hand it in.
    pub(crate) fn admit(&mut self, now: Instant, loans: &Loans) -> Option<Permit> {
        let has_lingered = self.linger_end(loans).is_some_and(|end| end <= now);
        let is_ripe = loans.are_handed_in() && (self.pending.is_full() || has_lingered);
        match is_ripe {
            true => self.pending.admit(&self.shared.context.admission),
            false => None,
        }
    }

    /// The permit that [`admit`](Self::admit) waits for. Pending if there is none.
    pub(crate) async fn permit(&mut self) -> Permit {
        self.pending.permit().await
    }

    /// Lends out the pending records, each with its share of `permit`.
    pub(crate) fn lend(&mut self, permit: Permit, assignment: &mut Assignment, loans: &mut Loans) {
        loans.reserve(self.pending.len());
        for (fresh, permit) in self.pending.drain(permit) {
            let Fresh {
                place,
                decoded,
                lane,
            } = fresh;
            let Some(partition) = assignment.of(place).filter(|p| !p.revoking) else {
                continue;
            };
            match lane {
                Some(lane) => loans.enter(lane, (place, decoded, permit), partition),
                None => loans.lend(place, decoded, permit, partition),
            }
        }
        assignment.begin_batch();
        self.decoder.begin_batch();
    }

    /// Drops the pending records: the broker delivers them again.
    pub(crate) fn close(&mut self) {
        self.pending.clear();
    }
}
