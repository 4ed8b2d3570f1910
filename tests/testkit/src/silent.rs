//! An audit backend that never answers.

use std::future::pending;
use std::sync::Arc;

use acteon_core::audit::{Audit, AuditError, AuditPage, AuditQuery, AuditRecord};
use acteon_core::scope::Scope;
use async_trait::async_trait;
use jiff::Timestamp;

/// Accepts every call and answers none.
#[derive(Debug, Default)]
pub struct SilentAudit;

#[async_trait]
impl Audit for SilentAudit {
    async fn ping(&self) -> Result<(), AuditError> {
        pending().await
    }

    async fn append(&self, _: &[Arc<AuditRecord>]) -> Result<(), AuditError> {
        pending().await
    }

    async fn query(&self, _: &AuditQuery) -> Result<AuditPage, AuditError> {
        pending().await
    }

    async fn newest_of(&self, _: &Scope, _: &str) -> Result<Option<Arc<AuditRecord>>, AuditError> {
        pending().await
    }

    async fn purge(&self, _: Timestamp, _: usize) -> Result<usize, AuditError> {
        pending().await
    }
}
