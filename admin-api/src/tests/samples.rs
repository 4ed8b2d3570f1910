//! Audit records, dead letters and redeliveries for the tests of the endpoints.

use acteon_core::audit::{AuditDecision, AuditSubject};
use acteon_core::redelivery::PendingRedelivery;
use acteon_core::rules::RulesHash;
use acteon_core::{
    AttemptRecord, AuditRecord, DeadLetter, DeadLetterAction, FailureCode, History, Labels, Parked,
};
use acteon_testkit::{action, audit_record, epoch};
use jiff::SignedDuration;
use serde_json::json;
use uuid::Uuid;

/// The record of an action that was executed `millis` after the epoch.
pub(super) fn record(number: u32, millis: i64) -> AuditRecord {
    let at = epoch() + SignedDuration::from_millis(millis);
    let plain = audit_record(number);
    AuditRecord {
        id: Uuid::from_u128(number.into()),
        subject: AuditSubject {
            action_id: format!("a-{number}").into(),
            provider: "hook".into(),
            ..plain.subject
        },
        decision: AuditDecision {
            rules_generation: 3,
            rules_hash: RulesHash::of("9f86d081884c7d65"),
            ..plain.decision
        },
        metadata: [("env", "prod")].into_iter().collect::<Labels>(),
        dispatched_at: at,
        completed_at: at + SignedDuration::from_millis(12),
        ..plain
    }
}

pub(super) fn letter_id(number: u32) -> String {
    format!("01900000-0000-7000-8000-{number:012}")
}

/// The dead letter of an action that could not be delivered.
pub(super) fn exhausted(number: u32) -> DeadLetter {
    let id = format!("a-{number}");
    let payload = json!({"n": number, "token": "t-1"});
    DeadLetter {
        history: vec![refused_attempt()],
        id: letter_id(number).into(),
        action: Some(DeadLetterAction {
            id: id.as_str().into(),
            namespace: "ns".into(),
            tenant: "t1".into(),
            provider: "log".into(),
            action_type: "test".into(),
            progress: None,
        }),
        code: "TIMEOUT".into(),
        message: "no answer within 30s".into(),
        attempts: 4,
        source: format!("kafka:orders/3@{number}").into(),
        raw: Parked::new(action(&id).payload(&payload).json()),
        created_at: epoch(),
    }
}

/// An action that was refused once and is due `seconds` after the epoch.
pub(super) fn redelivering(number: u32, seconds: i64) -> PendingRedelivery {
    let mut history = History::beginning(epoch());
    history.push(refused_attempt());
    history.redeliveries = 1;
    PendingRedelivery {
        action_id: format!("a-{number}").into(),
        namespace: "ns".into(),
        tenant: "t1".into(),
        provider: "hook".into(),
        action_type: "test".into(),
        source: format!("kafka:orders/3@{number}").into(),
        history,
        next_at: epoch() + SignedDuration::from_secs(seconds),
    }
}

/// An attempt that the provider refused.
pub(super) fn refused_attempt() -> AttemptRecord {
    AttemptRecord {
        at: epoch(),
        provider: "log".into(),
        status: Some(503),
        code: Some(FailureCode::ExecutionFailed),
        duration_ms: 7,
        excerpt: Some("busy".into()),
    }
}

/// The dead letter of a message that could not be decoded.
pub(super) fn poison(number: u32, raw: &'static [u8]) -> DeadLetter {
    DeadLetter {
        history: Vec::new(),
        id: letter_id(number).into(),
        action: None,
        code: "INVALID_JSON".into(),
        message: "invalid JSON at line 1 column 2: key must be a string".into(),
        attempts: 0,
        source: format!("kafka:orders/3@{number}").into(),
        raw: Parked::new(raw.into()),
        created_at: epoch(),
    }
}
