//! Delivers events from other tasks to the session: settled loans and the client's reports. Adding one takes a few
//! instructions; the session empties the inbox once per turn.

use std::sync::Arc;

use acteon_core::{Origin, Settled};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A message held by this session: the epoch that lent it, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochOffset {
    /// Counts partition assignments or channel openings, so that one that was lost and regained is not confused with
    /// its predecessor.
    pub epoch: u32,
    /// The offset, the sequence in the stream, or the delivery tag.
    pub offset: u64,
}

/// The received events; `R` is a client report. Bounded by the loans and reports outstanding.
#[derive(Debug)]
pub struct InboxContents<R> {
    /// Settled messages, in order of settlement.
    pub done: Vec<EpochOffset>,
    /// Loans that ended in another way, and need further handling.
    pub settled: Vec<(EpochOffset, Settled)>,
    /// The client's reports.
    pub reports: Vec<R>,
}

impl<R> Default for InboxContents<R> {
    fn default() -> Self {
        Self {
            done: Vec::new(),
            settled: Vec::new(),
            reports: Vec::new(),
        }
    }
}

impl<R> InboxContents<R> {
    fn is_empty(&self) -> bool {
        self.done.is_empty() && self.settled.is_empty() && self.reports.is_empty()
    }
}

/// The events received and not taken yet.
#[derive(Debug)]
pub struct Inbox<R> {
    contents: Mutex<InboxContents<R>>,
    wake: Notify,
}

impl<R> Default for Inbox<R> {
    fn default() -> Self {
        Self {
            contents: Mutex::default(),
            wake: Notify::new(),
        }
    }
}

impl<R> Inbox<R> {
    /// Waits for the first event since the last [`take`](Self::take).
    async fn arrived(&self) {
        self.wake.notified().await;
    }

    /// Swaps out everything received, reusing the allocation of `emptied`.
    fn take(&self, emptied: &mut InboxContents<R>) {
        debug_assert!(emptied.is_empty(), "the contents taken before are handled");
        std::mem::swap(&mut *self.contents.lock(), emptied);
    }

    /// Adds a report from the client.
    pub fn report(&self, report: R) {
        self.add(|contents| contents.reports.push(report));
    }

    /// Wakes the session only for the first event: it takes the others along.
    fn add(&self, put: impl FnOnce(&mut InboxContents<R>)) {
        let mut contents = self.contents.lock();
        let first = contents.is_empty();
        put(&mut contents);
        drop(contents);
        if first {
            self.wake.notify_one();
        }
    }
}

/// The session's end of an inbox.
#[derive(Debug)]
pub struct InboxReader<R> {
    inbox: Arc<Inbox<R>>,
    /// Empty; its allocation is reused.
    spare: InboxContents<R>,
}

impl<R> InboxReader<R> {
    /// Reads `inbox`.
    pub fn new(inbox: Arc<Inbox<R>>) -> Self {
        Self {
            inbox,
            spare: InboxContents::default(),
        }
    }

    /// Waits for the first event since the last [`take`](Self::take).
    pub async fn arrived(&self) {
        self.inbox.arrived().await;
    }

    /// Takes everything received.
    pub fn take(&mut self) -> InboxContents<R> {
        let mut contents = std::mem::take(&mut self.spare);
        self.inbox.take(&mut contents);
        contents
    }

    /// Takes the contents back after they were drained, to reuse their allocation.
    pub fn recycle(&mut self, drained: InboxContents<R>) {
        self.spare = drained;
    }
}

/// The origin of one epoch's loans. Tokens are offsets.
#[derive(Debug)]
pub struct EpochOrigin<R> {
    /// The epoch that lends them.
    pub epoch: u32,
    /// Receives the ends of the loans.
    pub inbox: Arc<Inbox<R>>,
}

impl<R: Send> Origin for EpochOrigin<R> {
    fn settled(&self, token: u64, settled: Settled) {
        let at = EpochOffset {
            epoch: self.epoch,
            offset: token,
        };
        self.inbox.add(|contents| match settled {
            Settled::Done(_) | Settled::Remembered(_) | Settled::Partly { .. } => {
                contents.done.push(at);
            }
            other => contents.settled.push((at, other)),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use acteon_core::{ActionOutcome, Refusal};
    use acteon_testkit::action;

    use super::*;

    #[tokio::test]
    async fn what_is_left_wakes_the_session_and_is_taken_out_together() {
        let inbox = Arc::new(Inbox::default());
        let origin = EpochOrigin {
            epoch: 3,
            inbox: inbox.clone(),
        };
        origin.settled(7, Settled::Done(ActionOutcome::Deduplicated(())));
        let retry = Settled::Retry {
            returned: Box::new(action("a").envelope()).into(),
            after: Duration::ZERO,
            refusal: Refusal::Busy,
        };
        origin.settled(8, retry);
        inbox.report("lag");
        let mut reader = InboxReader::new(inbox.clone());
        reader.arrived().await;
        let contents = reader.take();
        let at = |offset| EpochOffset { epoch: 3, offset };
        assert_eq!(contents.done, [at(7)]);
        assert_eq!(contents.settled[0].0, at(8));
        assert_eq!(contents.reports, ["lag"]);
        assert!(inbox.contents.lock().is_empty());
    }
}
