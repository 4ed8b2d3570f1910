//! Lends records: at once, or when the previous record of the same key is settled.

use acteon_core::{Envelope, Failure, Permit, Receipt};
use acteon_ingest_kit::{Decoded, Lane, Lanes, Place, Queued, Submitter};

use crate::assignment::{Assignment, Partition};
use crate::source::Shared;

/// The loans that are not handed in yet.
pub(crate) struct Loans {
    /// Set if the actions of one key are delivered one after another.
    lanes: Option<Lanes>,
    submitter: Submitter,
}

impl Loans {
    pub(crate) fn new(shared: &Shared) -> Self {
        let context = &shared.context;
        let (intake, events) = (context.intake.clone(), shared.events.of_source.clone());
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
        place: Place,
        decoded: Decoded,
        permit: Permit,
        partition: &mut Partition,
    ) {
        let receipt = partition.lend(place);
        self.submitter.lend(decoded, receipt, permit);
    }

    /// Lends a record that already counts as on loan, so that it becomes a dead letter.
    pub(crate) fn give_up(
        &mut self,
        (place, envelope, permit): (Place, Box<Envelope>, Permit),
        why: Failure,
        partition: &Partition,
    ) {
        let receipt = Receipt::new(partition.lender.clone(), place.offset);
        self.submitter.give_up((envelope, receipt, permit), why);
    }

    /// Lends a record when its lane is free. Poison does not wait.
    pub(crate) fn enter(
        &mut self,
        lane: Lane,
        (place, decoded, permit): (Place, Decoded, Permit),
        partition: &mut Partition,
    ) {
        match (decoded, &mut self.lanes) {
            (Ok(envelope), Some(lanes)) => {
                let queued = Queued {
                    place,
                    envelope,
                    permit,
                };
                if let Some(free) = lanes.enter(lane, queued) {
                    self.lend(free.place, Ok(free.envelope), free.permit, partition);
                }
            }
            (decoded, _) => self.lend(place, decoded, permit, partition),
        }
    }

    /// The record at `place` is settled: lends the next one of its lane.
    pub(crate) fn leave(&mut self, place: Place, assignment: &mut Assignment) {
        let Some(next) = self.lanes.as_mut().and_then(|lanes| lanes.leave(place)) else {
            return;
        };
        if let Some(partition) = assignment.of(next.place) {
            self.lend(next.place, Ok(next.envelope), next.permit, partition);
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
            lanes.drop_from(partition.lender.epoch, partition.lent_end());
        }
    }

    /// Drops the lanes of partitions that are gone.
    pub(crate) fn forget_gone(&mut self, assignment: &Assignment) {
        if let Some(lanes) = &mut self.lanes {
            lanes.retain(|epoch| assignment.iter().any(|p| p.lender.epoch == epoch));
        }
    }
}
