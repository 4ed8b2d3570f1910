//! Hands batches in, one after another, which keeps the order of records. The session polls it in its own task: what
//! it has just read is near there, and whenever the pipeline waits for something, the session reads on.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::ready::Ready;
use crate::source::Shared;

/// A batch that is being handed in. Dropped, it gives back what the pipeline has not settled.
pub(crate) type Handing = BoxFuture<'static, ()>;

/// Begins to hand in `batch`; nothing happens before it is polled.
pub(crate) fn begin(shared: &Shared, batch: Ready) -> Handing {
    let (intake, events) = (shared.context.intake.clone(), shared.events.clone());
    let feed = shared.feed.clone();
    let Ready { deliveries, poison } = batch;
    events.consumed(deliveries.len() + poison.len(), poison.len());
    let handing = async move {
        if !poison.is_empty() {
            intake.bury(poison).await;
        }
        if !deliveries.is_empty() {
            intake.submit(deliveries, &feed).await;
        }
    };
    Box::pin(async move {
        if AssertUnwindSafe(handing).catch_unwind().await.is_err() {
            events.intake_panicked();
        }
    })
}
