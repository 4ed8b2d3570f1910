//! The batch that is being read: full by count or by bytes, or ripe after a moment's wait for more; then it is admitted
//! with one permit.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Admission, Clock, Permit};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::Instant;

/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_millis(1);
/// A batch is full at so many bytes, too.
const BATCH_BYTES: u64 = 1 << 20;

/// Messages that are read and not yet admitted.
pub(crate) struct Pending<T> {
    /// Each with its bytes.
    messages: Vec<(T, u64)>,
    bytes: u64,
    /// When it was begun, on the clock of timers and on that of the wall.
    since: Option<(Instant, Timestamp)>,
    count_max: usize,
    /// Waits for room.
    admitting: Option<BoxFuture<'static, Permit>>,
}

impl<T> Pending<T> {
    /// A batch of at most `count_max` messages.
    pub(crate) fn new(count_max: usize) -> Self {
        Self {
            messages: Vec::new(),
            bytes: 0,
            since: None,
            count_max,
            admitting: None,
        }
    }

    /// When the batch was begun: now, if it is empty.
    pub(crate) fn begin(&mut self, clock: Clock) -> (Instant, Timestamp) {
        *self
            .since
            .get_or_insert_with(|| (Instant::now(), clock.now()))
    }

    pub(crate) fn push(&mut self, message: T, bytes: u64) {
        self.bytes += bytes;
        self.messages.push((message, bytes));
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.count_max || self.bytes >= BATCH_BYTES
    }

    /// True while more may be added to it in the ordinary way.
    pub(crate) fn takes_more(&self) -> bool {
        self.admitting.is_none() && !self.is_full()
    }

    /// When it has waited long enough for more.
    pub(crate) fn linger_end(&self) -> Option<Instant> {
        let (since, _) = self.since.filter(|_| self.admitting.is_none())?;
        Some(since + LINGER)
    }

    /// Asks for room for it. Answers with the permit if there is room now; else [`permit`](Self::permit) brings it.
    pub(crate) fn admit(&mut self, admission: &Arc<Admission>) -> Option<Permit> {
        if self.admitting.is_some() || self.messages.is_empty() {
            return None;
        }
        let (actions, bytes) = (u32::try_from(self.len()).unwrap_or(u32::MAX), self.bytes);
        let permit = admission.try_admit(actions, bytes);
        if permit.is_none() {
            let admission = admission.clone();
            self.admitting = Some(Box::pin(
                async move { admission.admit(actions, bytes).await },
            ));
        }
        permit
    }

    /// The permit that was asked for. Pending while none is.
    pub(crate) async fn permit(&mut self) -> Permit {
        match &mut self.admitting {
            Some(admitting) => {
                let permit = admitting.await;
                self.admitting = None;
                permit
            }
            None => std::future::pending().await,
        }
    }

    /// Takes the messages out, each with its share of `permit`.
    pub(crate) fn drain(&mut self, mut permit: Permit) -> impl Iterator<Item = (T, Permit)> {
        (self.bytes, self.since) = (0, None);
        let shares = move |(message, bytes)| (message, permit.split_one(bytes));
        // Its room is used again.
        self.messages.drain(..).map(shares)
    }

    /// Begins no batch where none of what was there was to be taken.
    pub(crate) fn end_reading(&mut self) {
        if self.messages.is_empty() {
            self.since = None;
        }
    }

    /// Drops what is there.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.count_max);
    }
}
