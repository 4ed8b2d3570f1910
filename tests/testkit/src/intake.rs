//! Replaces the pipeline: receives what a source submits, and settles it as a test wants.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::delivery::position_id;
use acteon_core::{
    ActionOutcome, DeadLetter, DeadLetterAction, Delay, Delivery, DeliveryProgress, Envelope,
    Failure, Feed, Intake, Loan, Parked, Poison, Refusal,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::actions::epoch;
use crate::tally::Tally;

/// How a [`FakeIntake`] ends a delivery.
#[derive(Debug)]
pub enum End {
    /// With this outcome.
    Done(ActionOutcome),
    /// Answered from memory by this outcome.
    Remembered(ActionOutcome),
    /// With this outcome and this progress.
    Partly(ActionOutcome, DeliveryProgress),
    /// Returned for another try after this time.
    Retry(Duration, Refusal),
    /// Sent to the delayed path of its source, for this time.
    Later(Duration, Delay),
    /// Stored as a dead letter.
    DeadLetter,
    /// Kept until [`FakeIntake::take_held`].
    Hold,
}

type Choose = dyn Fn(&Envelope) -> End + Send + Sync;

/// Records everything submitted.
pub struct FakeIntake {
    choose: Box<Choose>,
    batches: Mutex<Vec<Vec<Envelope>>>,
    held: Mutex<Vec<Delivery>>,
    buried: Mutex<Vec<Poison>>,
    given_up: Mutex<Vec<Arc<DeadLetter>>>,
    submitted_tally: Tally,
    buried_tally: Tally,
    open: watch::Sender<bool>,
}

impl FakeIntake {
    /// An intake that ends each delivery at once, as `choose` returns.
    pub fn settling(choose: impl Fn(&Envelope) -> End + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            choose: Box::new(choose),
            batches: Mutex::default(),
            held: Mutex::default(),
            buried: Mutex::default(),
            given_up: Mutex::default(),
            submitted_tally: Tally::default(),
            buried_tally: Tally::default(),
            open: watch::Sender::new(true),
        })
    }

    /// An intake that ends each delivery at once as deduplicated, which is an outcome without content.
    pub fn done() -> Arc<Self> {
        Self::settling(|_| End::Done(ActionOutcome::Deduplicated(())))
    }

    /// An intake that keeps all deliveries for the test to settle.
    pub fn holding() -> Arc<Self> {
        Self::settling(|_| End::Hold)
    }

    /// Makes [`Intake::submit`] block until [`FakeIntake::open`], as backpressure. Deliveries are still accepted.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Lets callers submit more.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Waits until `count` deliveries in total were submitted.
    pub async fn wait_for_submitted(&self, count: usize) {
        self.submitted_tally.reach(count, "deliveries").await;
    }

    /// Waits until `count` poison messages in total were dead-lettered.
    pub async fn wait_for_buried(&self, count: usize) {
        self.buried_tally.reach(count, "buried messages").await;
    }

    /// The submitted envelopes, in order.
    pub fn submitted(&self) -> Vec<Envelope> {
        self.batches.lock().iter().flatten().cloned().collect()
    }

    /// The ids of the submitted actions, in order.
    pub fn submitted_ids(&self) -> Vec<String> {
        let batches = self.batches.lock();
        batches
            .iter()
            .flatten()
            .map(|envelope| envelope.action.id.to_string())
            .collect()
    }

    /// The batch size of each call, in order.
    pub fn batch_sizes(&self) -> Vec<usize> {
        self.batches.lock().iter().map(Vec::len).collect()
    }

    /// Takes the held deliveries. Dropping them is a retry.
    pub fn take_held(&self) -> Vec<Delivery> {
        std::mem::take(&mut *self.held.lock())
    }

    /// The dead letters of the actions given up, in order.
    pub fn given_up(&self) -> Vec<Arc<DeadLetter>> {
        self.given_up.lock().clone()
    }

    /// The dead-lettered poison, in order.
    pub fn buried(&self) -> Vec<Poison> {
        self.buried.lock().clone()
    }
}

#[async_trait]
impl Intake for FakeIntake {
    async fn submit(&self, batch: Vec<Delivery>, _: &Feed) {
        let envelopes: Vec<Envelope> = batch.iter().map(|delivery| (**delivery).clone()).collect();
        let count = envelopes.len();
        self.batches.lock().push(envelopes);
        for delivery in batch {
            match (self.choose)(&delivery) {
                End::Done(outcome) => delivery.done(outcome),
                End::Remembered(outcome) => delivery.remembered(outcome),
                End::Partly(outcome, progress) => delivery.partly(outcome, progress),
                End::Retry(after, refusal) => delivery.retry(after, refusal),
                End::Later(after, delay) => delivery.later(after, delay),
                End::DeadLetter => {
                    let letter = letter_of(&delivery);
                    delivery.dead_lettered(letter);
                }
                End::Hold => self.held.lock().push(delivery),
            }
        }
        self.submitted_tally.add(count);
        let mut open = self.open.subscribe();
        // The sender lives in `self`, so only opening ends this.
        let _ = open.wait_for(|open| *open).await;
    }

    async fn give_up(&self, delivery: Delivery, why: Failure) {
        let mut letter = (*letter_of(&delivery)).clone();
        letter.code = why.code.as_str().into();
        letter.message = why.message;
        let letter = Arc::new(letter);
        self.given_up.lock().push(letter.clone());
        delivery.dead_lettered(letter);
    }

    async fn dead_letter(&self, poison: Vec<Loan<Poison>>) {
        let count = poison.len();
        for loan in poison {
            self.buried.lock().push((*loan).clone());
            let letter = Arc::new(loan.dead_letter(epoch()));
            loan.dead_lettered(letter);
        }
        self.buried_tally.add(count);
    }
}

fn letter_of(envelope: &Envelope) -> Arc<DeadLetter> {
    let action = &envelope.action;
    Arc::new(DeadLetter {
        id: position_id(&envelope.position, envelope.received_at),
        action: Some(DeadLetterAction {
            id: action.id.clone(),
            namespace: action.namespace.clone(),
            tenant: action.tenant.clone(),
            provider: action.provider.clone(),
            action_type: action.action_type.clone(),
            progress: None,
        }),
        code: "EXECUTION_FAILED".into(),
        message: "the test said so".into(),
        attempts: 1,
        history: Vec::new(),
        source: envelope.position.to_string().into(),
        raw: Parked::new(envelope.raw.clone()),
        created_at: epoch(),
    })
}
