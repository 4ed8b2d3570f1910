//! Reads records: decodes them into the pending batch, and lends the batch out when there is room.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use acteon_core::{Permit, Returned};
use acteon_ingest_kit::headers::MessageHeaders;
use acteon_ingest_kit::{
    BatchStart, Copies, DecodeResult, Decoder, EpochOffset, Lane, LaneEntry, OrderingKey, Pending,
};
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use rdkafka::consumer::MessageStream;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::time::Instant;

use crate::assignment::{Assignment, RecordStatus};
use crate::context::Context;
use crate::delayed::{Delayed, Due};
use crate::loan_queue::LoanQueue;
use crate::member::ConsumerMember;
use crate::member_context::MemberContext;
use crate::record::{RecordBytes, decode, headers};
use crate::seen::ReadFrom;

/// A read stops after it has kept this many bytes of records that are not due yet.
const KEPT_BYTES_MAX: u64 = 256 << 10;
/// The clocks of two processes differ. A wait that exceeds the tier of its record by less than this part of the tier
/// counts as such a difference, and the record is not published once more.
const CLOCK_TOLERANCE_PART: u32 = 10;

/// A record that was read and decoded.
struct PendingRecord {
    at: EpochOffset,
    decoded: DecodeResult,
    lane: Option<Lane>,
}

/// A record of the delayed path that was read before it is due.
struct UndueRecord {
    due: Due,
    at: EpochOffset,
    decoded: DecodeResult,
}

/// Counts the records of one read that did not become pending: passed over, or kept until they are due.
#[derive(Default)]
struct NotPending {
    passed_over: usize,
    kept: usize,
    kept_bytes: u64,
}

impl NotPending {
    fn count(&self) -> usize {
        self.passed_over + self.kept
    }
}

/// Whether records were settled without being offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    None,
    Some,
}

/// Reads records into batches.
pub(crate) struct RecordReader<'a> {
    shared: &'a MemberContext,
    decoder: Decoder,
    copies: Copies,
    pending: Pending<PendingRecord>,
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
    fn lane(&self, at: EpochOffset, key: Option<&[u8]>, decoded: &DecodeResult) -> Option<Lane> {
        let envelope = decoded.as_ref().ok()?;
        let named = || self.key.hash(&envelope.action, &self.hasher);
        let key = key.map(|key| self.hasher.hash_one(key)).or_else(named);
        Some(Lane::new(at.epoch, key.unwrap_or(0)))
    }
}

impl<'a> RecordReader<'a> {
    pub(crate) fn new(shared: &'a MemberContext) -> Self {
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
    ) -> Result<Skipped, KafkaError> {
        let start = self.pending.begin(self.shared.context.clock);
        let in_flight = assignment.in_work();
        let room = self.shared.in_flight_max.saturating_sub(in_flight).max(1);
        let limit = self.pending.len() + room;
        let mut next = Some(first);
        let mut others = NotPending::default();
        while let Some(record) = next {
            match record {
                Ok(record) if self.is_of_another(&record) => {
                    self.pass_over(&record, assignment);
                    others.passed_over += 1;
                }
                Ok(record) => {
                    if let Some(undue) = self.take_up(&record, assignment, start) {
                        others.kept += 1;
                        others.kept_bytes += record.payload_len() as u64;
                        delayed.keep_until(undue.due, undue.at, undue.decoded);
                    }
                }
                Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(error),
                Err(_) => {}
            }
            let taken = self.pending.len() + others.count();
            let is_enough = taken >= limit || others.kept_bytes >= KEPT_BYTES_MAX;
            // The client must seek to the head of a recreated topic before it reads on.
            let goes_on = !self.pending.is_full() && !is_enough && self.renewed.is_empty();
            next = match goes_on {
                true => records.next().now_or_never().flatten(),
                false => None,
            };
        }
        self.pending.end_reading();
        if others.passed_over > 0 {
            self.shared.events.passed_over(others.passed_over);
        }
        match std::mem::take(&mut self.has_skipped) || others.passed_over > 0 {
            true => Ok(Skipped::Some),
            false => Ok(Skipped::None),
        }
    }

    /// True for a record of the delayed path that belongs to another source or group.
    fn is_of_another(&self, record: &BorrowedMessage<'_>) -> bool {
        match self.shared.member {
            ConsumerMember::OfTopics(_) => false,
            ConsumerMember::OfRetries => !headers(record).is_of(&self.shared.own_topics.owner),
        }
    }

    /// Settles a record without offering it.
    fn pass_over(&mut self, record: &BorrowedMessage<'_>, assignment: &mut Assignment) {
        if let Some(at) = self.locate(record, assignment)
            && let Some(partition) = assignment.of(at)
        {
            partition.settle(at.offset);
        }
    }

    /// Adds a record to the pending batch, or returns it if it must wait first.
    fn take_up(
        &mut self,
        record: &BorrowedMessage<'_>,
        assignment: &mut Assignment,
        start: BatchStart,
    ) -> Option<UndueRecord> {
        let at = self.locate(record, assignment)?;
        let partition = assignment.of(at)?;
        let position = partition.position(at.offset);
        let mut headers = headers(record);
        if self.shared.member != ConsumerMember::OfRetries {
            headers = headers.only_trace();
        }
        let bytes = RecordBytes::copy(record, &mut self.copies);
        let length = bytes.len();
        let decoded = decode(&self.decoder, record, bytes, &headers, position, start.time);
        if let Some(due) = self.due(record, &headers, start) {
            partition.undue.add(record.payload_len() as u64);
            return Some(UndueRecord { due, at, decoded });
        }
        let order = self.order.as_ref();
        let pending = PendingRecord {
            at,
            lane: order.and_then(|order| order.lane(at, record.key(), &decoded)),
            decoded,
        };
        self.pending.push(pending, length);
        None
    }

    /// Adds a record that has become due to the pending batch.
    pub(crate) fn push(&mut self, at: EpochOffset, returned: Returned) {
        let (decoded, bytes) = match returned {
            Returned::Action(envelope) => {
                let key = envelope.key.as_ref().map_or(0, |key| key.len());
                let bytes = envelope.raw.len() + key;
                (Ok(envelope), bytes)
            }
            Returned::Poison(poison) => {
                let bytes = poison.raw.len();
                (Err(poison), bytes)
            }
        };
        self.pending.begin(self.shared.context.clock);
        let pending = PendingRecord {
            at,
            decoded,
            lane: None,
        };
        self.pending.push(pending, bytes as u64);
    }

    /// Where a record belongs, if it must be processed.
    fn locate(
        &mut self,
        record: &BorrowedMessage<'_>,
        assignment: &mut Assignment,
    ) -> Option<EpochOffset> {
        let topic = record.topic();
        let number = record.partition();
        let mut status = assignment.find(topic, number)?.take_up(record);
        if let RecordStatus::Recreated(read_from) = status {
            let position = match read_from {
                ReadFrom::Here => u64::try_from(record.offset()).unwrap_or(0),
                ReadFrom::Head => 0,
            };
            let settled = assignment.renew(topic, number, position)?;
            self.shared.events.recreated(topic, number, settled);
            self.renewed.push((topic.to_owned(), number, read_from));
            status = match read_from {
                ReadFrom::Here => assignment.find(topic, number)?.take_up(record),
                ReadFrom::Head => RecordStatus::Repeated,
            };
        }
        match status {
            RecordStatus::Fresh(at) => Some(at),
            RecordStatus::Settled => {
                self.has_skipped = true;
                None
            }
            RecordStatus::Repeated | RecordStatus::Recreated(_) => None,
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
        headers: &MessageHeaders<'_>,
        start: BatchStart,
    ) -> Option<Due> {
        let now = start.time;
        let wait = headers.wait(now)?;
        let retry = self.shared.own_topics.retry.as_ref()?;
        let tier = retry.tier_of(record.topic())?.length();
        if wait <= tier + tier / CLOCK_TOLERANCE_PART {
            return Some(Due::At(start.instant + wait));
        }
        let published = record.timestamp().to_millis();
        let published = published.and_then(|millis| Timestamp::from_millisecond(millis).ok());
        let age = now.duration_since(published.unwrap_or(now));
        let left = tier.saturating_sub(Duration::try_from(age).unwrap_or_default());
        let not_before = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        Some(Due::PassOn(start.instant + left, not_before))
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
    pub(crate) fn linger_end(&self, loans: &LoanQueue) -> Option<Instant> {
        self.pending.linger_end().filter(|_| loans.are_idle())
    }

    /// Asks for room for the pending batch when it is time to hand it in.
    pub(crate) fn admit(&mut self, now: Instant, loans: &LoanQueue) -> Option<Permit> {
        let has_lingered = self.linger_end(loans).is_some_and(|end| end <= now);
        let is_due = loans.are_handed_in() && (self.pending.is_full() || has_lingered);
        match is_due {
            true => self.pending.admit(&self.shared.context.admission),
            false => None,
        }
    }

    /// The permit that [`admit`](Self::admit) waits for. Pending if there is none.
    pub(crate) async fn permit(&mut self) -> Permit {
        self.pending.permit().await
    }

    /// Lends out the pending records, each with its share of `permit`.
    pub(crate) fn lend(
        &mut self,
        permit: Permit,
        assignment: &mut Assignment,
        loans: &mut LoanQueue,
    ) {
        loans.reserve(self.pending.len());
        for (record, permit) in self.pending.drain(permit) {
            let at = record.at;
            let Some(partition) = assignment.of(at).filter(|p| !p.revoking) else {
                continue;
            };
            match (record.lane, record.decoded) {
                (Some(lane), Ok(envelope)) => {
                    let entry = LaneEntry {
                        at,
                        envelope,
                        permit,
                    };
                    loans.enter(lane, entry, partition);
                }
                (_, decoded) => loans.lend(at, decoded, permit, partition),
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
