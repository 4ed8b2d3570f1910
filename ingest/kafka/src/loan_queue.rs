//! Lends records: at once, or when the previous record of the same key is settled.

use acteon_core::{Envelope, Failure, Permit, Receipt};
use acteon_ingest_kit::{DecodeResult, EpochOffset, Lane, LaneEntry, Lanes, Submitter};

use crate::assignment::{Assignment, Partition};
use crate::member_context::MemberContext;

/// The loans that are not handed in yet.
pub(crate) struct LoanQueue {
    /// Set if the actions of one key are delivered one after another.
    lanes: Option<Lanes>,
    submitter: Submitter,
}

impl LoanQueue {
    pub(crate) fn new(shared: &MemberContext) -> Self {
        let context = &shared.context;
        let intake = context.intake.clone();
        let events = shared.events.of_source.clone();
        Self {
            lanes: shared.options.ordered.then(Lanes::default),
            submitter: Submitter::new(intake, events, context.max_batch),
        }
    }

    /// Reserves space for this many deliveries.
    pub(crate) fn reserve(&mut self, deliveries: usize) {
        self.submitter.reserve(deliveries);
    }

    /// Lends a record, to be handed in next.
    pub(crate) fn lend(
        &mut self,
        at: EpochOffset,
        decoded: DecodeResult,
        permit: Permit,
        partition: &mut Partition,
    ) {
        let receipt = partition.lend(at);
        self.submitter.lend(decoded, receipt, permit);
    }

    /// Lends a record that already counts as on loan, so that it becomes a dead letter.
    pub(crate) fn give_up(
        &mut self,
        at: EpochOffset,
        envelope: Box<Envelope>,
        permit: Permit,
        why: Failure,
        partition: &Partition,
    ) {
        let receipt = Receipt::new(partition.origin.clone(), at.offset);
        self.submitter.give_up(envelope, receipt, permit, why);
    }

    /// Lends a record when its lane is free.
    pub(crate) fn enter(&mut self, lane: Lane, entry: LaneEntry, partition: &mut Partition) {
        let free = match &mut self.lanes {
            Some(lanes) => lanes.enter(lane, entry),
            None => Some(entry),
        };
        if let Some(free) = free {
            self.lend(free.at, Ok(free.envelope), free.permit, partition);
        }
    }

    /// The record is settled: lends the next one of its lane.
    pub(crate) fn leave(&mut self, at: EpochOffset, assignment: &mut Assignment) {
        let Some(next) = self.lanes.as_mut().and_then(|lanes| lanes.leave(at)) else {
            return;
        };
        if let Some(partition) = assignment.of(next.at) {
            self.lend(next.at, Ok(next.envelope), next.permit, partition);
        }
    }

    /// True if nothing waits to be handed in.
    pub(crate) fn are_handed_in(&self) -> bool {
        self.submitter.is_empty()
    }

    /// True if nothing waits to be handed in and nothing is being handed in.
    pub(crate) fn are_idle(&self) -> bool {
        self.submitter.is_idle()
    }

    /// Starts handing in the loans that are ready.
    pub(crate) fn hand_in(&mut self) {
        self.submitter.begin();
    }

    /// Waits until the batch on its way is handed in. Pending if there is none.
    pub(crate) async fn handed_in(&mut self) {
        self.submitter.submitted().await;
    }

    /// Drops the records in these partitions that wait in a lane above the last record lent out: the broker delivers
    /// them again. The others drain.
    pub(crate) fn drain<'p>(&mut self, partitions: impl Iterator<Item = &'p Partition>) {
        let Some(lanes) = &mut self.lanes else {
            return;
        };
        for partition in partitions {
            lanes.drop_from(partition.origin.epoch, partition.lent_end());
        }
    }

    /// Drops the lanes of partitions that are gone.
    pub(crate) fn forget_gone(&mut self, assignment: &Assignment) {
        if let Some(lanes) = &mut self.lanes {
            lanes.retain(|epoch| assignment.iter().any(|p| p.origin.epoch == epoch));
        }
    }
}
