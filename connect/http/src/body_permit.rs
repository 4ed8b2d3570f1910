//! Takes the memory for a request body from the limit on everything in flight, while the body arrives.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Admission, Permit};

use crate::body::MemoryBudget;
use crate::error::ApiError;

/// How long a refused client must wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A permit that grows while the body arrives.
pub struct BodyPermit {
    admission: Arc<Admission>,
    timeout: Duration,
    permit: Option<Permit>,
}

impl BodyPermit {
    /// A permit for nothing yet. `timeout` is how long the body waits each time that it needs more.
    pub fn new(admission: Arc<Admission>, timeout: Duration) -> Self {
        Self {
            admission,
            timeout,
            permit: None,
        }
    }

    fn bytes(&self) -> u64 {
        self.permit.as_ref().map_or(0, Permit::bytes)
    }

    /// Extends the permit to this many actions of this many bytes in total.
    ///
    /// # Errors
    /// `OVERLOADED` if there is no room in time.
    pub async fn admit(mut self, actions: usize, bytes: u64) -> Result<Permit, ApiError> {
        let actions = u32::try_from(actions).unwrap_or(u32::MAX);
        let missing = self.missing(bytes.saturating_sub(self.bytes()));
        self.extend(actions, missing).await?;
        self.permit.ok_or_else(|| ApiError::overloaded(RETRY_AFTER))
    }

    /// Limits `bytes` to the size of the admission. So a larger request takes all of it and runs alone.
    fn missing(&self, bytes: u64) -> u64 {
        let most = u64::from(self.admission.bytes_max());
        bytes.min(most.saturating_sub(self.bytes()))
    }

    async fn extend(&mut self, actions: u32, bytes: u64) -> Result<(), ApiError> {
        let admitted = self.admission.admit_within(actions, bytes, self.timeout);
        let more = admitted.await;
        let more = more.ok_or_else(|| ApiError::overloaded(RETRY_AFTER))?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

impl MemoryBudget for BodyPermit {
    async fn reserve(&mut self, bytes: u64) -> Result<(), ApiError> {
        self.extend(0, self.missing(bytes)).await
    }

    fn release(&mut self) {
        self.permit = None;
    }
}
