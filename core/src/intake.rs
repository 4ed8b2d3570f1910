//! The port from the sources into the pipeline.

use async_trait::async_trait;

use crate::delivery::{Delivery, Loan, Poison};

/// Takes what sources have read.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Decides and reserves these, in this order, and hands them to their providers. Returns when the caller may
    /// hand in more: a provider's full queue makes those wait who do not wait for an answer. Each delivery is
    /// settled once, in this call or later. Dropping the future gives back what was not handed on.
    async fn submit(&self, batch: Vec<Delivery>);

    /// Puts messages that cannot be decoded among the dead letters.
    async fn bury(&self, poison: Vec<Loan<Poison>>);
}
