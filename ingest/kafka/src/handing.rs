//! Hands batches in on a task of its own, so that the next one is read and decoded meanwhile. They go one after
//! another, which keeps the order of records. The session learns from its inbox when one is through.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use acteon_core::Intake;
use futures_util::FutureExt;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use crate::events::Events;
use crate::inbox::Inbox;
use crate::ready::Ready;
use crate::source::Shared;

/// One batch is being handed in, and one waits behind it, so that no time passes between the two.
const UNDER_WAY_MAX: usize = 2;

/// The session's end of it. The task ends with it.
pub(crate) struct Handing {
    task: JoinSet<()>,
    batches: Sender<Ready>,
    /// Passed on, and not through.
    under_way: usize,
}

impl Handing {
    pub(crate) fn new(shared: &Shared, inbox: Arc<Inbox>) -> Self {
        let (batches, to_do) = channel(UNDER_WAY_MAX);
        let hands = Hands {
            intake: shared.context.intake.clone(),
            events: shared.events.clone(),
            inbox,
        };
        let mut task = JoinSet::new();
        task.spawn(hands.run(to_do));
        Self {
            task,
            batches,
            under_way: 0,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    pub(crate) fn has_room(&self) -> bool {
        self.under_way < UNDER_WAY_MAX
    }

    /// Passes on a batch, for which there [is room](Self::has_room).
    pub(crate) fn begin(&mut self, batch: Ready) {
        // Without a task the batch is dropped here, which gives it back to be offered again.
        self.under_way += usize::from(self.batches.try_send(batch).is_ok());
    }

    /// So many more are through.
    pub(crate) fn ended(&mut self, batches: usize) {
        self.under_way -= batches;
    }

    /// Gives back what is not handed in, and waits until the task is gone.
    pub(crate) async fn stop(&mut self) {
        self.task.shutdown().await;
    }
}

/// What the task works with.
struct Hands {
    intake: Arc<dyn Intake>,
    events: Arc<Events>,
    inbox: Arc<Inbox>,
}

impl Hands {
    async fn run(self, mut to_do: Receiver<Ready>) {
        while let Some(batch) = to_do.recv().await {
            let through = AssertUnwindSafe(self.hand_in(batch)).catch_unwind().await;
            if through.is_err() {
                self.events.intake_panicked();
            }
            self.inbox.handed_in();
            step_aside().await;
        }
    }

    async fn hand_in(&self, batch: Ready) {
        let Ready { deliveries, poison } = batch;
        if !poison.is_empty() {
            self.intake.bury(poison).await;
        }
        if !deliveries.is_empty() {
            self.intake.submit(deliveries).await;
        }
    }
}

/// Leaves this thread to the task that was just woken, and goes on where a thread is free. The runtime keeps a
/// woken task for the thread that woke it, so without this the two would take turns on one thread. (The runtime's
/// own `yield_now` would hold both on this thread until the woken one pauses.)
pub(crate) async fn step_aside() {
    let mut aside = false;
    poll_fn(|context| {
        if std::mem::replace(&mut aside, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
