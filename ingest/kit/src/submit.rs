//! Hands loans in to the pipeline, one batch after another, which keeps messages in order.
//!
//! The session polls this in its own task: the records just read are still in its cache, and whenever the pipeline
//! waits, the session reads on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use acteon_core::{Delivery, Envelope, Failure, Feed, Intake, Loan, Permit, Poison, Receipt};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::events::Events;

/// A decoded message, or one that cannot be decoded.
pub type DecodeResult = Result<Box<Envelope>, Box<Poison>>;

/// The loans that wait to be handed in, and the batch that is being handed in.
pub struct Submitter {
    intake: Arc<dyn Intake>,
    feed: Arc<Feed>,
    events: Arc<Events>,
    batch_max: usize,
    deliveries: Vec<Delivery>,
    poison: Vec<Loan<Poison>>,
    given_up: Vec<(Delivery, Failure)>,
    /// Dropping it gives back the loans that the pipeline has not settled.
    submitting: Option<BoxFuture<'static, ()>>,
}

impl Submitter {
    /// Hands in at most `batch_max` actions at once, as one reader.
    pub fn new(intake: Arc<dyn Intake>, events: Arc<Events>, batch_max: usize) -> Self {
        Self {
            intake,
            feed: Arc::default(),
            events,
            batch_max,
            deliveries: Vec::new(),
            poison: Vec::new(),
            given_up: Vec::new(),
            submitting: None,
        }
    }

    /// Reserves space for this many deliveries.
    pub fn reserve(&mut self, deliveries: usize) {
        self.deliveries.reserve(deliveries);
    }

    /// Lends a message, to be handed in next.
    pub fn lend(&mut self, decoded: DecodeResult, receipt: Receipt, permit: Permit) {
        match decoded {
            Ok(envelope) => self.deliveries.push(Loan::of(envelope, receipt, permit)),
            Err(poison) => self.poison.push(Loan::of(poison, receipt, permit)),
        }
    }

    /// Lends an action that its source cannot keep until a later delivery: it becomes a dead letter.
    pub fn give_up(
        &mut self,
        envelope: Box<Envelope>,
        receipt: Receipt,
        permit: Permit,
        why: Failure,
    ) {
        let delivery = Loan::of(envelope, receipt, permit);
        self.given_up.push((delivery, why));
    }

    /// True if nothing waits to be handed in.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.poison.is_empty() && self.given_up.is_empty()
    }

    /// True if nothing waits to be handed in and nothing is being handed in.
    pub fn is_idle(&self) -> bool {
        self.submitting.is_none() && self.is_empty()
    }

    /// Starts handing in the waiting loans, unless a batch is still on its way. Nothing happens until
    /// [`submitted`](Self::submitted) is polled.
    pub fn begin(&mut self) {
        if self.submitting.is_some() || self.is_empty() {
            return;
        }
        let (deliveries, poison) = self.take();
        let given_up = std::mem::take(&mut self.given_up);
        let intake = self.intake.clone();
        let feed = self.feed.clone();
        let events = self.events.clone();
        events.consumed(deliveries.len() + poison.len(), poison.len());
        let submitting = async move {
            if !poison.is_empty() {
                intake.dead_letter(poison).await;
            }
            for (delivery, why) in given_up {
                intake.give_up(delivery, why).await;
            }
            if !deliveries.is_empty() {
                intake.submit(deliveries, &feed).await;
            }
        };
        self.submitting = Some(Box::pin(async move {
            if AssertUnwindSafe(submitting).catch_unwind().await.is_err() {
                events.intake_panicked();
            }
        }));
    }

    /// Takes at most one batch of deliveries, and the poison.
    fn take(&mut self) -> (Vec<Delivery>, Vec<Loan<Poison>>) {
        let rest = match self.deliveries.len() > self.batch_max {
            true => self.deliveries.split_off(self.batch_max),
            false => Vec::new(),
        };
        let deliveries = std::mem::replace(&mut self.deliveries, rest);
        (deliveries, std::mem::take(&mut self.poison))
    }

    /// Waits until the batch on its way is handed in. Pending if there is none.
    pub async fn submitted(&mut self) {
        match &mut self.submitting {
            Some(submitting) => {
                submitting.await;
                self.submitting = None;
            }
            None => std::future::pending().await,
        }
    }

    /// Drops the loans that are not handed in yet.
    pub fn clear(&mut self) {
        self.deliveries.clear();
        self.poison.clear();
        self.given_up.clear();
    }
}

#[cfg(test)]
mod tests {
    use acteon_core::{Admission, Origin, Settled};
    use acteon_testkit::{FakeIntake, action};
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Tokens(Mutex<Vec<u64>>);

    impl Origin for Tokens {
        fn settled(&self, token: u64, _: Settled) {
            self.0.lock().push(token);
        }
    }

    fn submitter(intake: Arc<FakeIntake>, tokens: &Arc<Tokens>, count: u64) -> Submitter {
        let events = Arc::new(Events::new("test", "orders"));
        let mut submitter = Submitter::new(intake, events, 2);
        let mut permit = Admission::new(10, 10).try_admit(10, 10).unwrap();
        for token in 0..count {
            let receipt = Receipt::new(tokens.clone(), token);
            let envelope = Box::new(action("a").envelope());
            submitter.lend(Ok(envelope), receipt, permit.split_one(1));
        }
        submitter
    }

    #[tokio::test]
    async fn loans_are_handed_in_batch_by_batch_in_their_order() {
        let intake = FakeIntake::done();
        let tokens = Arc::<Tokens>::default();
        let mut submitter = submitter(intake.clone(), &tokens, 5);
        while !submitter.is_empty() {
            submitter.begin();
            assert!(!submitter.is_idle());
            submitter.submitted().await;
        }
        assert!(submitter.is_idle());
        assert_eq!(intake.batch_sizes(), [2, 2, 1]);
        assert_eq!(*tokens.0.lock(), [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn what_is_dropped_goes_back_to_its_origin() {
        let intake = FakeIntake::done();
        let tokens = Arc::<Tokens>::default();
        let mut submitter = submitter(intake.clone(), &tokens, 2);
        submitter.clear();
        assert!(submitter.is_idle() && intake.submitted().is_empty());
        assert_eq!(*tokens.0.lock(), [0, 1]);
    }
}
