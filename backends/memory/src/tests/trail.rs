//! The behaviour of the audit trail at its bound, and how both backends are built.

use std::num::NonZeroUsize;
use std::sync::Arc;

use acteon_core::action::Payload;
use acteon_core::audit::{Audit, AuditContext, AuditQuery, AuditRecord, Audits};
use acteon_core::registry::Registry;
use acteon_core::scope::Scope;
use acteon_core::state::{StateContext, States};
use acteon_testkit::audit_record;

use crate::{AuditConfig, MemoryAudit, MemoryAudits, MemoryStates};

#[tokio::test]
async fn at_its_bound_the_audit_trail_lets_the_oldest_go() {
    let audit = MemoryAudit::new(&AuditConfig {
        max_records: NonZeroUsize::new(5).unwrap(),
        ..AuditConfig::default()
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

/// A record with a payload of about this many bytes.
fn large_record(number: u32, bytes: usize) -> Arc<AuditRecord> {
    let mut record = audit_record(number);
    record.payload = Some(Payload::from_value(&"x".repeat(bytes)).unwrap());
    Arc::new(record)
}

async fn ids(audit: &MemoryAudit) -> Vec<String> {
    let everything = AuditQuery::newest(Scope::everything(), 100);
    let page = audit.query(&everything).await.unwrap();
    let records = page.records.iter();
    records
        .map(|record| record.subject.action_id.to_string())
        .collect()
}

#[tokio::test]
async fn at_its_bound_in_bytes_the_audit_trail_evicts_the_oldest() {
    let audit = MemoryAudit::new(&AuditConfig {
        max_bytes: 1_000_000,
        ..AuditConfig::default()
    });
    for number in 0..20 {
        audit
            .append(&[large_record(number, 300_000)])
            .await
            .unwrap();
    }
    assert_eq!(ids(&audit).await, ["action-19", "action-18", "action-17"]);
    audit.append(&[large_record(20, 2_000_000)]).await.unwrap();
    assert_eq!(ids(&audit).await, ["action-20"], "the newest is kept");
    let mut short = audit_record(21);
    short.expires_at = Some(jiff::Timestamp::UNIX_EPOCH);
    audit.append(&[Arc::new(short)]).await.unwrap();
    assert_eq!(ids(&audit).await, ["action-21"]);
    assert_eq!(audit.purge(jiff::Timestamp::MAX, 10).await.unwrap(), 1);
    for number in 30..33 {
        audit
            .append(&[large_record(number, 300_000)])
            .await
            .unwrap();
    }
    assert_eq!(
        ids(&audit).await.len(),
        3,
        "a purged record frees its bytes"
    );
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
        .build(AuditContext::default())
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
