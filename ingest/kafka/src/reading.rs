//! From records to loans: what is there is gathered, admitted with one permit, and lent out one by one.

use std::time::Duration;

use acteon_core::{Permit, Receipt, Returned};
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use rdkafka::consumer::MessageStream;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::time::Instant;

use crate::context::Context;
use crate::held::{Again, Held};
use crate::inbox::Place;
use crate::lanes::{Lane, Queued};
use crate::member::Member;
use crate::record::{Decoded, Known, decode};
use crate::session::{Phase, Session};

/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_millis(1);
/// A batch is full at so many bytes, too.
const BATCH_BYTES: u64 = 1 << 20;

/// A record that is read and decoded.
struct Fresh {
    place: Place,
    decoded: Decoded,
    lane: Option<Lane>,
    /// It comes from the retry topic and is to wait until then.
    due: Option<Instant>,
}

impl Fresh {
    fn bytes(&self) -> u64 {
        let raw = match &self.decoded {
            Ok(envelope) => &envelope.raw,
            Err(poison) => &poison.raw,
        };
        raw.len() as u64
    }
}

/// The batch that is being gathered.
#[derive(Default)]
pub(crate) struct Gathered {
    fresh: Vec<Fresh>,
    bytes: u64,
    /// When it was begun, on the clock of timers and on that of the wall.
    since: Option<(Instant, Timestamp)>,
}

impl Session<'_> {
    /// True when the client is to be polled: for records where there is room; for its reports in any case, once
    /// partitions are paused and no records come.
    pub(crate) fn may_read(&self) -> bool {
        let some = self.gathered.fresh.len() < 2 * self.shared.context.max_batch;
        self.has_room() || (self.held_back && some)
    }

    pub(crate) fn has_room(&self) -> bool {
        self.phase == Phase::Running
            && self.admitting.is_none()
            && self.ready.is_empty()
            && !self.is_full()
            && !self.waiting.is_over_the_bound()
            && self.assignment.unsettled() < self.shared.in_flight_max
    }

    fn is_full(&self) -> bool {
        let (count, bytes) = (self.gathered.fresh.len(), self.gathered.bytes);
        count >= self.shared.context.max_batch || bytes >= BATCH_BYTES
    }

    /// Takes up `first` and what else is there, as far as there is room.
    ///
    /// # Errors
    /// When the client cannot go on. Other errors are in the log, and the client mends them.
    pub(crate) fn read(
        &mut self,
        first: KafkaResult<BorrowedMessage<'_>>,
        records: &mut MessageStream<'_, Context>,
    ) -> Result<(), KafkaError> {
        let clock = self.shared.context.clock;
        let begun = || (Instant::now(), clock.now());
        let (begun_at, now) = *self.gathered.since.get_or_insert_with(begun);
        let in_flight = self.assignment.unsettled();
        let room = self.shared.in_flight_max.saturating_sub(in_flight).max(1);
        let limit = self.gathered.fresh.len() + room;
        let mut next = Some(first);
        while let Some(record) = next {
            match record {
                Ok(record) => self.take_up(&record, begun_at, now),
                Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(error),
                Err(_) => {}
            }
            next = match self.is_full() || self.gathered.fresh.len() >= limit {
                true => None,
                false => records.next().now_or_never().flatten(),
            };
        }
        if self.gathered.fresh.is_empty() {
            self.gathered.since = None;
        }
        Ok(())
    }

    fn take_up(&mut self, record: &BorrowedMessage<'_>, begun_at: Instant, now: Timestamp) {
        let Some(partition) = self.assignment.find(record.topic(), record.partition()) else {
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
        let fresh = Fresh {
            place,
            decoded: decode(&self.decoder, record, raw, &known, position, now),
            lane: self
                .lanes
                .as_ref()
                .map(|lanes| lanes.of(place, record.key())),
            due: known.wait(now).map(|wait| begun_at + wait),
        };
        self.gathered.bytes += fresh.bytes();
        self.gathered.fresh.push(fresh);
    }

    /// When the batch that is being gathered has waited long enough for more. While others are being handed
    /// in, it waits for them.
    pub(crate) fn linger_end(&self) -> Option<Instant> {
        let (since, _) = self.gathered.since?;
        let is_next = self.admitting.is_none() && self.ready.is_empty() && self.handing.is_none();
        is_next.then(|| since + LINGER)
    }

    /// Asks for room for what is gathered, when it is time to hand it in.
    pub(crate) fn admit(&mut self, now: Instant) {
        let lingered = self.linger_end().is_some_and(|end| end <= now);
        let is_ripe = self.ready.is_empty() && (self.is_full() || lingered);
        if self.admitting.is_some() || self.gathered.fresh.is_empty() || !is_ripe {
            return;
        }
        let admission = self.shared.context.admission.clone();
        let actions = u32::try_from(self.gathered.fresh.len()).unwrap_or(u32::MAX);
        let bytes = self.gathered.bytes;
        match admission.try_admit(actions, bytes) {
            Some(permit) => self.admitted(permit),
            None => {
                let admit = async move { admission.admit(actions, bytes).await };
                self.admitting = Some(Box::pin(admit));
            }
        }
    }

    /// Lends out what is gathered, each with its share of `permit`.
    pub(crate) fn admitted(&mut self, mut permit: Permit) {
        self.admitting = None;
        let mut gathered = std::mem::take(&mut self.gathered);
        self.ready.reserve(gathered.fresh.len());
        for fresh in gathered.fresh.drain(..) {
            let share = permit.split_one(fresh.bytes());
            self.lend_or_keep(fresh, share);
        }
        self.assignment.begin_batch();
        self.decoder.begin_batch();
        // Its room is used again.
        self.gathered.fresh = gathered.fresh;
    }

    fn lend_or_keep(&mut self, fresh: Fresh, permit: Permit) {
        let Some(partition) = self.assignment.of(fresh.place) else {
            return;
        };
        if partition.revoking {
            return;
        }
        if let Some(due) = fresh.due {
            partition.undue += 1;
            self.waiting.push(Held {
                due,
                place: fresh.place,
                again: Again::HandIn(returned(fresh.decoded)),
                permit: Some(permit),
                undue: true,
            });
            return;
        }
        match (fresh.decoded, fresh.lane) {
            (Ok(envelope), Some(lane)) => {
                let queued = Queued {
                    place: fresh.place,
                    envelope,
                    permit,
                };
                let free = self
                    .lanes
                    .as_mut()
                    .and_then(|lanes| lanes.enter(lane, queued));
                if let Some(queued) = free {
                    self.lend(queued.place, Ok(queued.envelope), queued.permit);
                }
            }
            (decoded, _) => self.lend(fresh.place, decoded, permit),
        }
    }

    /// Makes a loan of a record, to be handed in next.
    pub(crate) fn lend(&mut self, place: Place, decoded: Decoded, permit: Permit) {
        let Some(partition) = self.assignment.of(place) else {
            return;
        };
        partition.on_loan += 1;
        let receipt = Receipt::new(partition.lender.clone(), place.offset);
        self.ready.push(decoded, receipt, permit);
    }
}

fn returned(decoded: Decoded) -> Returned {
    match decoded {
        Ok(envelope) => Returned::Action(envelope),
        Err(poison) => Returned::Poison(poison),
    }
}
