//! The behaviour of the audit trail at its bound, and how both backends are built.

use std::num::NonZeroUsize;
use std::sync::Arc;

use acteon_core::audit::{Audit, AuditQuery, Audits};
use acteon_core::registry::Registry;
use acteon_core::scope::Scope;
use acteon_core::state::{StateContext, States};
use acteon_testkit::audit_record;

use crate::{AuditConfig, MemoryAudit, MemoryAudits, MemoryStates};

#[tokio::test]
async fn at_its_bound_the_audit_trail_lets_the_oldest_go() {
    let audit = MemoryAudit::new(&AuditConfig {
        max_records: NonZeroUsize::new(5).unwrap(),
    });
    let records: Vec<_> = [3, 9, 1, 7, 5, 8, 2, 6, 4]
        .map(|n| Arc::new(audit_record(n)))
        .into();
    audit.append(&records[..4]).await.unwrap();
    audit.append(&records[4..]).await.unwrap();
    audit.append(&records[..4]).await.unwrap();
    let page = audit
        .query(&AuditQuery::newest(Scope::everything(), 100))
        .await
        .unwrap();
    let kept: Vec<_> = page
        .records
        .iter()
        .map(|record| record.subject.action_id.clone())
        .collect();
    assert_eq!(
        kept,
        ["action-9", "action-8", "action-7", "action-6", "action-5"]
    );
    assert_eq!(page.total, 5);
}

#[tokio::test]
async fn more_records_than_one_look_takes_are_walked_to_their_end() {
    let audit = MemoryAudit::default();
    let records: Vec<_> = (0..5000).map(|n| Arc::new(audit_record(n))).collect();
    audit.append(&records).await.unwrap();
    let page = audit
        .query(&AuditQuery::newest(Scope::everything(), 4500))
        .await
        .unwrap();
    assert_eq!((page.records.len(), page.total), (4500, 5000));
    assert_eq!(
        page.next.map(|cursor| cursor.id),
        Some(audit_record(500).id)
    );
    let oldest = audit
        .newest_of(&Scope::everything(), "action-0")
        .await
        .unwrap();
    assert!(oldest.is_some());
}

#[tokio::test]
async fn both_are_built_by_their_kind_from_options_that_may_be_left_out() {
    let mut states = Registry::<States>::default();
    let mut audits = Registry::<Audits>::default();
    states.register(MemoryStates);
    audits.register(MemoryAudits);
    let state = states
        .plan("memory", serde_json::json!({"max_keys": 1}))
        .unwrap();
    let state = state.build(StateContext::default()).await.unwrap();
    assert!(!state.capabilities().durable && !state.capabilities().shared);
    let audit = audits
        .plan("memory", serde_json::json!({}))
        .unwrap()
        .build(())
        .await
        .unwrap();
    audit.ping().await.unwrap();
    for wrong in [
        serde_json::json!({"max_keys": 0}),
        serde_json::json!({"url": "x"}),
    ] {
        assert!(states.plan("memory", wrong).is_err());
    }
}
