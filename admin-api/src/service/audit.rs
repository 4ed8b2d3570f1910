//! The audit trail: pages of records, and the newest record of an action.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::audit::{AuditPage, AuditQuery};
use acteon_core::{Audit, AuditRecord};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Access, AdminApi, AdminError};

/// How many records one page holds at most.
pub const AUDIT_LIMIT_MAX: usize = 1000;
/// How many records may be left out by number; beyond it pages go by cursor.
pub const AUDIT_OFFSET_MAX: u64 = 10_000;
/// How long a question may wait for a record to be written.
pub const AUDIT_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often the backend is asked while a question waits: another instance may have written the record.
const ASK_EVERY: Duration = Duration::from_secs(1);

impl AdminApi {
    /// Records inside the query's scope, newest first.
    ///
    /// # Errors
    /// When there is no audit trail, or it cannot be asked.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, AdminError> {
        Ok(self.trail()?.query(query).await?)
    }

    /// The newest record of an action. When there is none yet, waits for one, at most for `patience` and not after the
    /// process has begun to stop: records are written some time after their action has been answered.
    ///
    /// # Errors
    /// When there is none inside the scope, there is no audit trail, or it cannot be asked.
    pub async fn audit_record(
        &self,
        access: &Access,
        action_id: &str,
        patience: Duration,
    ) -> Result<Arc<AuditRecord>, AdminError> {
        let trail = self.trail()?;
        let deadline = Instant::now() + patience.min(AUDIT_WAIT_MAX);
        let wait = self.ports.written.wait_for(action_id);
        loop {
            let last = Instant::now() >= deadline || self.ports.stop.is_cancelled();
            if let Some(newest) = trail.newest_of(&access.scope, action_id).await? {
                return Ok(newest);
            }
            if last {
                return Err(AdminError::AuditRecordNotFound(action_id.into()));
            }
            tokio::select! {
                () = wait.written() => {}
                () = sleep(ASK_EVERY) => {}
                () = sleep_until(deadline) => {}
                () = self.ports.stop.cancelled() => {}
            }
        }
    }

    fn trail(&self) -> Result<&dyn Audit, AdminError> {
        self.ports.audit.as_deref().ok_or(AdminError::AuditDisabled)
    }
}
