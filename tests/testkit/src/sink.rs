//! A sink that records its attempts and answers as a test defines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use acteon_core::outcome::FailureCode;
use acteon_core::{
    Action, Attempt, DeliveryProgress, OrderedSink, ProviderResponse, Sink, SinkError,
};
use async_trait::async_trait;
use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::tally::Tally;

/// How a [`RecordingSink`] answers one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Success with the body `{}`.
    Succeed,
    /// Success after this time.
    SucceedAfter(Duration),
    /// A failure that a retry may fix, with the wait named by the provider.
    Transient(Option<Duration>),
    /// A failure that a retry may fix: too many requests, for this time.
    RateLimited(Duration),
    /// The same for one destination of the provider.
    DestinationLimited(Duration),
    /// A failure that a retry may fix, with this progress.
    TransientWith(DeliveryProgress),
    /// A failure that no retry fixes.
    Permanent,
    /// A refusal of the payload as too large.
    TooLarge,
    /// A fault of the provider, such as a refused credential.
    ProviderFault,
    /// No answer until [`RecordingSink::release`]; then success.
    Hang,
}

/// One recorded attempt.
#[derive(Clone, Debug)]
pub struct SeenAttempt {
    /// The action as delivered.
    pub action: Action,
    /// The idempotency key of the attempt.
    pub idempotency_key: CompactString,
    /// Starts at 1.
    pub number: u32,
    /// The progress of the attempts before.
    pub progress: Option<DeliveryProgress>,
    /// When it began.
    pub at: Instant,
}

type Choose = dyn Fn(&SeenAttempt) -> Answer + Send + Sync;

/// Records every attempt. Gives the scripted answers in order, and then those of its closure.
pub struct RecordingSink {
    is_ordered: bool,
    choose: Box<Choose>,
    script: Mutex<VecDeque<Answer>>,
    attempts: Mutex<Vec<SeenAttempt>>,
    tally: Tally,
    released: watch::Sender<bool>,
    in_flight: AtomicUsize,
    in_flight_max: AtomicUsize,
}

impl RecordingSink {
    /// Succeeds after its script is used up.
    pub fn succeeding() -> Arc<Self> {
        Self::answering(|_| Answer::Succeed)
    }

    /// Answers as `choose` returns, after its script is used up.
    pub fn answering(choose: impl Fn(&SeenAttempt) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self::new(Box::new(choose), false))
    }

    /// The same. Actions with one fingerprint, or else with one `key` in their payloads, form a sequence.
    pub fn ordered(choose: impl Fn(&SeenAttempt) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self::new(Box::new(choose), true))
    }

    fn new(choose: Box<Choose>, is_ordered: bool) -> Self {
        Self {
            is_ordered,
            choose,
            script: Mutex::default(),
            attempts: Mutex::default(),
            tally: Tally::default(),
            released: watch::Sender::new(false),
            in_flight: AtomicUsize::new(0),
            in_flight_max: AtomicUsize::new(0),
        }
    }

    /// Sets the answers to the next attempts, in this order, for whatever action.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().extend(answers);
    }

    /// Lets all hanging attempts succeed, now and later.
    pub fn release(&self) {
        self.released.send_replace(true);
    }

    /// Waits until `count` attempts in total have begun.
    pub async fn wait_for_attempts(&self, count: usize) {
        self.tally.reach(count, "attempts").await;
    }

    /// All attempts so far.
    pub fn attempts(&self) -> Vec<SeenAttempt> {
        self.attempts.lock().clone()
    }

    /// The ids of the attempted actions, in the order of the attempts.
    pub fn attempted_ids(&self) -> Vec<String> {
        self.attempts
            .lock()
            .iter()
            .map(|seen| seen.action.id.to_string())
            .collect()
    }

    /// The number of running attempts.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(SeqCst)
    }

    /// The maximum number of concurrent attempts so far.
    pub fn in_flight_max(&self) -> usize {
        self.in_flight_max.load(SeqCst)
    }

    fn next_answer(&self, seen: &SeenAttempt) -> Answer {
        let scripted = self.script.lock().pop_front();
        scripted.unwrap_or_else(|| (self.choose)(seen))
    }

    async fn hang(&self) {
        let mut released = self.released.subscribe();
        // The sender lives in `self`, so only the release ends this.
        let _ = released.wait_for(|released| *released).await;
    }
}

#[async_trait]
impl Sink for RecordingSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let seen = SeenAttempt {
            action: attempt.action.clone(),
            idempotency_key: attempt.idempotency_key.into(),
            number: attempt.number,
            progress: attempt.progress.cloned(),
            at: Instant::now(),
        };
        let answer = self.next_answer(&seen);
        let _running = Running::begin(self);
        self.attempts.lock().push(seen);
        self.tally.add(1);
        match answer {
            Answer::Succeed => {}
            Answer::SucceedAfter(wait) => sleep(wait).await,
            Answer::Hang => self.hang().await,
            Answer::Transient(retry_after) => return Err(transient(retry_after)),
            Answer::TransientWith(progress) => {
                return Err(transient(None).with_progress(progress));
            }
            Answer::RateLimited(wait) => {
                let limited = SinkError::transient(FailureCode::RateLimited, "scripted: too many");
                return Err(limited.after(wait));
            }
            Answer::DestinationLimited(wait) => {
                let limited = SinkError::transient(FailureCode::RateLimited, "scripted: too many");
                return Err(limited.after(wait).for_destination());
            }
            Answer::ProviderFault => {
                let code = FailureCode::Configuration;
                return Err(SinkError::provider_fault(code, "scripted provider fault"));
            }
            Answer::TooLarge => {
                let code = FailureCode::ExecutionFailed;
                return Err(SinkError::permanent(code, "scripted: too large").too_large());
            }
            Answer::Permanent => {
                let code = FailureCode::ExecutionFailed;
                return Err(SinkError::permanent(code, "scripted permanent failure"));
            }
        }
        Ok(ProviderResponse::success(&serde_json::json!({})).expect("an object"))
    }

    fn as_ordered(&self) -> Option<&dyn OrderedSink> {
        self.is_ordered.then_some(self)
    }
}

impl OrderedSink for RecordingSink {
    fn ordering_key(&self, action: &Action) -> Option<CompactString> {
        let payload: Option<serde_json::Value> = action.payload.parse().ok();
        let key = || Some(payload?.get("key")?.as_str()?.into());
        action.fingerprint.clone().or_else(key)
    }
}

fn transient(retry_after: Option<Duration>) -> SinkError {
    let error = SinkError::transient(FailureCode::Connection, "scripted transient failure");
    match retry_after {
        Some(wait) => error.after(wait),
        None => error,
    }
}

/// Counts an attempt as running until it ends or is dropped.
struct Running<'a>(&'a RecordingSink);

impl<'a> Running<'a> {
    fn begin(sink: &'a RecordingSink) -> Self {
        let now = sink.in_flight.fetch_add(1, SeqCst) + 1;
        sink.in_flight_max.fetch_max(now, SeqCst);
        Self(sink)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }
}
