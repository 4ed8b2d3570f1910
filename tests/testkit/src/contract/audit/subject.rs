//! The audit backend under test, with short names for the operations that clauses use.

use std::sync::Arc;

use acteon_core::Audit;
use acteon_core::audit::{AuditPage, AuditQuery, AuditRecord, PageStart};
use acteon_core::scope::Scope;

use super::AuditHarness;

pub(super) struct Subject<'a, H> {
    harness: &'a H,
    pub(super) audit: Arc<dyn Audit>,
}

impl<'a, H: AuditHarness> Subject<'a, H> {
    pub(super) async fn of(harness: &'a H) -> Self {
        let audit = harness.audit().await;
        Self { harness, audit }
    }

    pub(super) async fn append(&self, records: &[Arc<AuditRecord>]) {
        self.audit.append(records).await.expect("stored");
        self.settle().await;
    }

    pub(super) async fn settle(&self) {
        self.harness.settle().await;
    }

    pub(super) async fn page(&self, query: &AuditQuery) -> AuditPage {
        let page = self.audit.query(query).await.expect("a page");
        assert!(page.records.len() <= query.limit, "not more than asked");
        page
    }

    pub(super) async fn newest_of(&self, scope: &Scope, id: &str) -> Option<Arc<AuditRecord>> {
        self.audit.newest_of(scope, id).await.expect("an answer")
    }
}

pub(super) fn everything(limit: usize) -> AuditQuery {
    AuditQuery::newest(Scope::everything(), limit)
}

pub(super) fn from_offset(offset: u64, limit: usize) -> AuditQuery {
    AuditQuery {
        start: PageStart::Offset(offset),
        ..everything(limit)
    }
}

pub(super) fn shared(records: impl IntoIterator<Item = AuditRecord>) -> Vec<Arc<AuditRecord>> {
    records.into_iter().map(Arc::new).collect()
}

pub(super) fn ids(records: &[Arc<AuditRecord>]) -> Vec<u128> {
    records.iter().map(|record| record.id.as_u128()).collect()
}
