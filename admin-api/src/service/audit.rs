//! The audit trail: pages of records, and the newest record of an action.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::AuditRecord;
use acteon_core::audit::{AuditPage, AuditQuery};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Access, AdminApi, AdminError, AuditPorts};

/// The most records on one page.
pub const AUDIT_LIMIT_MAX: usize = 1000;
/// The largest offset; beyond it pages need a cursor.
pub const AUDIT_OFFSET_MAX: u64 = 10_000;
/// The longest wait for a record to be written.
pub const AUDIT_WAIT_MAX: Duration = Duration::from_secs(10);
/// The time between two queries of the backend during a wait, because another instance may write the record.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

impl AdminApi {
    /// The records that match the query, newest first.
    ///
    /// # Errors
    /// The audit trail is disabled or cannot be reached.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, AdminError> {
        Ok(self.audit_ports()?.backend.query(query).await?)
    }

    /// The newest record of an action. If there is none yet, waits for one until `timeout` or until the process stops,
    /// because records are written some time after their action is answered.
    ///
    /// # Errors
    /// There is no record inside the scope, or the audit trail is disabled or cannot be reached.
    pub async fn audit_record(
        &self,
        access: &Access,
        action_id: &str,
        timeout: Duration,
    ) -> Result<Arc<AuditRecord>, AdminError> {
        let audit = self.audit_ports()?;
        let deadline = Instant::now() + timeout.min(AUDIT_WAIT_MAX);
        let wait = audit.written.wait_for(action_id);
        loop {
            let last = Instant::now() >= deadline || self.ports.stop.is_cancelled();
            if let Some(newest) = audit.backend.newest_of(&access.scope, action_id).await? {
                return Ok(newest);
            }
            if last {
                return Err(AdminError::AuditRecordNotFound(action_id.into()));
            }
            tokio::select! {
                () = wait.written() => {}
                () = sleep(POLL_INTERVAL) => {}
                () = sleep_until(deadline) => {}
                () = self.ports.stop.cancelled() => {}
            }
        }
    }

    fn audit_ports(&self) -> Result<&AuditPorts, AdminError> {
        self.ports.audit.as_ref().ok_or(AdminError::AuditDisabled)
    }
}
