//! What is on loan and not yet handed in: queued behind its key, ready, or in the batch that is being handed in.
//!
//! Batches are handed in one after another, which keeps the order of records. The session polls that in its own task:
//! what it has just read is near there, and whenever the pipeline waits for something, the session reads on.

use std::panic::AssertUnwindSafe;

use acteon_core::{Delivery, Loan, Permit, Poison, Receipt};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::assignment::{Assignment, Partition};
use crate::inbox::Place;
use crate::lanes::{Lane, Lanes, Queued};
use crate::record::Decoded;
use crate::source::Shared;

/// Makes loans of records and hands them in.
pub(crate) struct Loans<'a> {
    shared: &'a Shared,
    /// Set while keys go one after another.
    lanes: Option<Lanes>,
    deliveries: Vec<Delivery>,
    poison: Vec<Loan<Poison>>,
    /// Dropped, it gives back what the pipeline has not settled.
    handing: Option<BoxFuture<'static, ()>>,
}

impl<'a> Loans<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            lanes: shared.options.ordered.then(Lanes::default),
            deliveries: Vec::new(),
            poison: Vec::new(),
            handing: None,
        }
    }

    /// Makes room for so many deliveries at once.
    pub(crate) fn reserve(&mut self, deliveries: usize) {
        self.deliveries.reserve(deliveries);
    }

    /// Makes a loan of a record, to be handed in next.
    pub(crate) fn lend(
        &mut self,
        place: Place,
        decoded: Decoded,
        permit: Permit,
        partition: &mut Partition,
    ) {
        partition.on_loan += 1;
        let receipt = Receipt::new(partition.lender.clone(), place.offset);
        match decoded {
            Ok(envelope) => self.deliveries.push(Loan::of(envelope, receipt, permit)),
            Err(poison) => self.poison.push(Loan::of(poison, receipt, permit)),
        }
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
    pub(crate) fn is_handed_in(&self) -> bool {
        self.deliveries.is_empty() && self.poison.is_empty()
    }

    /// True when, besides, nothing is being handed in.
    pub(crate) fn are_idle(&self) -> bool {
        self.handing.is_none() && self.is_handed_in()
    }

    /// Begins to hand in what is ready, once the batch before it is through. Nothing happens before it is polled.
    pub(crate) fn hand_in(&mut self) {
        if self.handing.is_some() || self.is_handed_in() {
            return;
        }
        let (deliveries, poison) = self.take(self.shared.context.max_batch);
        let (intake, events) = (
            self.shared.context.intake.clone(),
            self.shared.events.clone(),
        );
        let feed = self.shared.feed.clone();
        events.consumed(deliveries.len() + poison.len(), poison.len());
        let handing = async move {
            if !poison.is_empty() {
                intake.bury(poison).await;
            }
            if !deliveries.is_empty() {
                intake.submit(deliveries, &feed).await;
            }
        };
        self.handing = Some(Box::pin(async move {
            if AssertUnwindSafe(handing).catch_unwind().await.is_err() {
                events.intake_panicked();
            }
        }));
    }

    /// Takes out at most `max` deliveries, and the poison.
    fn take(&mut self, max: usize) -> (Vec<Delivery>, Vec<Loan<Poison>>) {
        let rest = match self.deliveries.len() > max {
            true => self.deliveries.split_off(max),
            false => Vec::new(),
        };
        let deliveries = std::mem::replace(&mut self.deliveries, rest);
        (deliveries, std::mem::take(&mut self.poison))
    }

    /// Waits until the batch that is being handed in is through. Pending while there is none.
    pub(crate) async fn handed_in(&mut self) {
        match &mut self.handing {
            Some(handing) => {
                handing.await;
                self.handing = None;
            }
            None => std::future::pending().await,
        }
    }

    /// Forgets the lanes of assignments that are not kept.
    pub(crate) fn retain(&mut self, kept: &[u32]) {
        if let Some(lanes) = &mut self.lanes {
            lanes.retain(|epoch| kept.contains(&epoch));
        }
    }

    /// Drops what is not handed in yet: it comes back from the broker.
    pub(crate) fn close(&mut self) {
        self.deliveries.clear();
        self.poison.clear();
        self.lanes = self.lanes.as_ref().map(|_| Lanes::default());
    }
}
