//! Makes loans of records: at once, or when the one before it under the same key has come to its end.

use acteon_core::{Envelope, Failure, Permit, Receipt};
use acteon_ingest_kit::{Decoded, Lane, Lanes, Place, Queued, Submitter};

use crate::assignment::{Assignment, Partition};
use crate::source::Shared;

/// What is on loan and not yet handed in.
pub(crate) struct Loans {
    /// Set while keys go one after another.
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

    /// Makes room for so many deliveries at once.
    pub(crate) fn reserve(&mut self, deliveries: usize) {
        self.submitter.reserve(deliveries);
    }

    /// Makes a loan of a record, to be handed in next.
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

    /// Makes a loan of a record that is counted as on loan already, to become a dead letter.
    pub(crate) fn give_up(
        &mut self,
        (place, envelope, permit): (Place, Box<Envelope>, Permit),
        why: Failure,
        partition: &Partition,
    ) {
        let receipt = Receipt::new(partition.lender.clone(), place.offset);
        self.submitter.give_up((envelope, receipt, permit), why);
    }

    /// Makes a loan of a record when its lane is free. Poison waits for nobody.
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

    /// The record at `place` has come to its end: the next of its lane goes.
    pub(crate) fn leave(&mut self, place: Place, assignment: &mut Assignment) {
        let Some(next) = self.lanes.as_mut().and_then(|lanes| lanes.leave(place)) else {
            return;
        };
        if let Some(partition) = assignment.of(next.place) {
            self.lend(next.place, Ok(next.envelope), next.permit, partition);
        }
    }

    /// True when nothing waits to be handed in.
    pub(crate) fn are_handed_in(&self) -> bool {
        self.submitter.is_empty()
    }

    /// True when, besides, nothing is being handed in.
    pub(crate) fn are_idle(&self) -> bool {
        self.submitter.is_idle()
    }

    /// Begins to hand in what is ready.
    pub(crate) fn hand_in(&mut self) {
        self.submitter.begin();
    }

    /// Waits until the batch that is being handed in is through. Pending while there is none.
    pub(crate) async fn handed_in(&mut self) {
        self.submitter.submitted().await;
    }

    /// Of what waits behind its key, keeps in these partitions only what is to be drained: what lies above all that was
    /// lent out comes back from the broker.
    pub(crate) fn drain<'p>(&mut self, partitions: impl Iterator<Item = &'p Partition>) {
        let Some(lanes) = &mut self.lanes else {
            return;
        };
        for partition in partitions {
            lanes.drop_from(partition.lender.epoch, partition.lent_end());
        }
    }

    /// Forgets the lanes of partitions that are gone.
    pub(crate) fn forget_gone(&mut self, assignment: &Assignment) {
        if let Some(lanes) = &mut self.lanes {
            lanes.retain(|epoch| assignment.iter().any(|p| p.lender.epoch == epoch));
        }
    }
}
