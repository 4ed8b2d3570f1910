//! Plain dead letters, audit records and silences for tests, distinguished by a number.

use acteon_core::audit::{AuditDecision, AuditRecord, AuditSubject, AuditedOutcome};
use acteon_core::ids::id_from;
use acteon_core::rules::RulesHash;
use acteon_core::silence::{MatchOp, Silence, SilenceMatcher};
use acteon_core::{
    Caller, DeadLetter, DeadLetterAction, Labels, Parked, Payload, ResponseStatus, Verdict,
};
use bytes::Bytes;
use compact_str::format_compact;
use jiff::SignedDuration;
use uuid::Uuid;

use crate::actions::epoch;

/// An exhausted dead letter of `ns`/`t1`. A greater number makes a newer one with a greater id.
pub fn dead_letter(number: u32) -> DeadLetter {
    let created_at = epoch() + SignedDuration::from_secs(number.into());
    DeadLetter {
        id: id_from(created_at, [7; 10]),
        action: Some(DeadLetterAction {
            id: format_compact!("action-{number}"),
            namespace: "ns".into(),
            tenant: "t1".into(),
            provider: "log".into(),
            action_type: "test".into(),
            progress: None,
        }),
        code: "EXECUTION_FAILED".into(),
        message: "the test said so".into(),
        history: Vec::new(),
        attempts: 4,
        source: format_compact!("kafka:orders/0@{number}"),
        raw: Parked::new(Bytes::from_static(br#"{"id":"x"}"#)),
        created_at,
    }
}

/// The same for poison.
pub fn poison_letter(number: u32) -> DeadLetter {
    DeadLetter {
        action: None,
        ..dead_letter(number)
    }
}

/// A record of an executed action of `ns`/`t1`. A greater number makes a newer one with a greater id.
pub fn audit_record(number: u32) -> AuditRecord {
    let dispatched_at = epoch() + SignedDuration::from_secs(number.into());
    AuditRecord {
        id: Uuid::from_u128(0x019b_0000_0000_7000_8000_0000_0000_0000 + u128::from(number)),
        subject: AuditSubject {
            action_id: format_compact!("action-{number}"),
            namespace: "ns".into(),
            tenant: "t1".into(),
            provider: "log".into(),
            action_type: "test".into(),
            trace_id: None,
        },
        decision: AuditDecision {
            verdict: Verdict::Allow,
            matched_rule: None,
            details: None,
            rules_generation: 1,
            rules_hash: RulesHash::default(),
        },
        outcome: AuditedOutcome::Executed {
            status: ResponseStatus::Success,
        },
        payload: Some(Payload::from_value(&serde_json::json!({"n": number})).unwrap()),
        metadata: Labels::default(),
        dispatched_at,
        completed_at: dispatched_at + SignedDuration::from_millis(5),
        expires_at: None,
        caller: Caller::anonymous(),
        source: "http".into(),
        attempts: Vec::new(),
    }
}

/// A silence of `ns`/`t1` for an hour. A greater number makes a newer one with a greater id.
pub fn silence(number: u32) -> Silence {
    let created_at = epoch() + SignedDuration::from_secs(number.into());
    Silence {
        id: id_from(created_at, [7; 10]),
        namespace: "ns".into(),
        tenant: "t1".into(),
        matchers: vec![SilenceMatcher {
            name: "cluster".into(),
            op: MatchOp::Equal,
            value: "eu-1".into(),
        }],
        starts_at: created_at,
        ends_at: created_at + SignedDuration::from_hours(1),
        comment: format_compact!("silence {number}"),
        created_by: "key:ops".into(),
        created_at,
        updated_at: created_at,
        is_finished: false,
    }
}
