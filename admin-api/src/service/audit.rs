//! The audit trail: pages of records, and the newest record of an action.

use std::sync::Arc;

use acteon_core::audit::{AuditPage, AuditQuery};
use acteon_core::{Audit, AuditRecord};

use super::{Access, AdminApi, AdminError};

/// How many records one page holds at most.
pub const AUDIT_LIMIT_MAX: usize = 1000;
/// How many records may be left out by number; beyond it pages go by cursor.
pub const AUDIT_OFFSET_MAX: u64 = 10_000;

impl AdminApi {
    /// Records inside the query's scope, newest first.
    ///
    /// # Errors
    /// When there is no audit trail, or it cannot be asked.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, AdminError> {
        Ok(self.trail()?.query(query).await?)
    }

    /// The newest record of an action.
    ///
    /// # Errors
    /// When there is none inside the scope, there is no audit trail, or it cannot be asked.
    pub async fn audit_record(
        &self,
        access: &Access,
        action_id: &str,
    ) -> Result<Arc<AuditRecord>, AdminError> {
        let newest = self.trail()?.newest_of(&access.scope, action_id).await?;
        newest.ok_or_else(|| AdminError::AuditRecordNotFound(action_id.into()))
    }

    fn trail(&self) -> Result<&dyn Audit, AdminError> {
        self.ports.audit.as_deref().ok_or(AdminError::AuditDisabled)
    }
}
