//! Clauses about single records: stored unchanged, once, and until they expire.

use std::sync::Arc;

use acteon_core::audit::{AuditDecision, AuditRecord, AuditSubject, AuditedOutcome};
use acteon_core::outcome::FailureCode;
use acteon_core::rules::RulesHash;
use acteon_core::scope::{Pattern, Scope, ScopeGrant};
use acteon_core::verdict::{RuleFailure, VerdictDetails};
use acteon_core::{Audit, Caller, Labels, Payload, ResponseStatus, Verdict};
use jiff::SignedDuration;
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::task::JoinSet;

use super::AuditHarness;
use super::subject::*;
use crate::actions::epoch;
use crate::records::audit_record;

/// The name and details of an outcome, in whatever form the backend holds it.
fn outcome_of(record: &AuditRecord) -> (String, serde_json::Value) {
    let details = match &record.outcome {
        AuditedOutcome::Other(_, details) => serde_json::from_str(details.get()),
        outcome => serde_json::to_value(outcome),
    };
    (record.outcome.name().to_owned(), details.unwrap())
}

fn assert_same(found: &AuditRecord, stored: &AuditRecord) {
    assert_eq!(outcome_of(found), outcome_of(stored));
    let payload = |record: &AuditRecord| {
        record
            .payload
            .as_ref()
            .map(|payload| payload.parse::<serde_json::Value>().unwrap())
    };
    assert_eq!(payload(found), payload(stored));
    let rest = |record: &AuditRecord| {
        let plain = AuditRecord {
            outcome: AuditedOutcome::Deduplicated {},
            payload: None,
            ..record.clone()
        };
        format!("{plain:#?}")
    };
    assert_eq!(rest(found), rest(stored));
}

/// Every field, with the optional ones set and unset.
pub async fn a_record_comes_back_as_it_was<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let full = AuditRecord {
        subject: AuditSubject {
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            ..audit_record(1).subject
        },
        decision: AuditDecision {
            verdict: Verdict::Throttle,
            matched_rule: Some("limit \"é\"".into()),
            details: Some(Box::new(VerdictDetails {
                matched: vec!["mark".into(), "limit \"é\"".into()],
                reason: Some("too many".into()),
                errors: vec![RuleFailure {
                    rule: "broken".into(),
                    message: "why".into(),
                }],
            })),
            rules_generation: 7_000_000_000,
            rules_hash: RulesHash::of("ffeeddccbbaa9988"),
        },
        outcome: AuditedOutcome::Throttled {
            retry_after_secs: 1.5,
        },
        payload: Some(Payload::from_value(&json!({"a": [1, null, "\u{1F600}\n"]})).unwrap()),
        metadata: Labels::from_iter([("__dedup_key", "k"), ("é", "'; DROP TABLE x; --")]),
        expires_at: Some(epoch() + SignedDuration::from_hours(720)),
        caller: Caller {
            id: Some("alice".into()),
            auth_method: "api_key",
        },
        source: "kafka:orders/3@1042".into(),
        ..audit_record(1)
    };
    let bare = AuditRecord {
        subject: AuditSubject {
            namespace: "".into(),
            tenant: "".into(),
            ..audit_record(2).subject
        },
        payload: None,
        ..audit_record(2)
    };
    let records = shared([full, bare]);
    subject.append(&records).await;
    let page = subject.page(&everything(10)).await;
    assert_eq!(page.records.len(), 2);
    assert_same(&page.records[1], &records[0]);
    assert_same(&page.records[0], &records[1]);
    subject.audit.ping().await.expect("an answer");
}

fn outcomes() -> Vec<AuditedOutcome> {
    let details = to_raw_value(&json!({"loaded": 3})).unwrap();
    vec![
        AuditedOutcome::Executed {
            status: ResponseStatus::Partial,
        },
        AuditedOutcome::Failed {
            code: FailureCode::Timeout,
            message: "no answer within 30s".into(),
            retryable: true,
            attempts: 4,
        },
        AuditedOutcome::Suppressed {
            rule: "mute".into(),
        },
        AuditedOutcome::Rerouted {
            original_provider: "a".into(),
            new_provider: "b".into(),
        },
        AuditedOutcome::Throttled {
            retry_after_secs: 0.25,
        },
        AuditedOutcome::Grouped {
            group_id: "g".into(),
            group_size: 3,
            notify_at: epoch(),
        },
        AuditedOutcome::StateChanged {
            fingerprint: "f".into(),
            previous_state: "firing".into(),
            new_state: "firing".into(),
            notify: false,
            silenced_by: None,
        },
        AuditedOutcome::CircuitOpen {
            provider: "a".into(),
            fallback_chain: vec!["b".into(), "c".into()],
        },
        AuditedOutcome::Deduplicated {},
        AuditedOutcome::Other("rules_reloaded".into(), details.into()),
    ]
}

/// Including those of administrative changes.
pub async fn every_kind_of_outcome_keeps_its_name_and_its_details<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let records = shared((0..).zip(outcomes()).map(|(n, outcome)| AuditRecord {
        outcome,
        ..audit_record(n)
    }));
    subject.append(&records).await;
    let page = subject.page(&everything(100)).await;
    assert_eq!(page.records.len(), records.len());
    for (found, stored) in page.records.iter().rev().zip(&records) {
        assert_same(found, stored);
    }
}

/// In the same batch or later, whatever its other fields.
pub async fn appending_an_id_again_changes_nothing<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let first = audit_record(1);
    let mut again = audit_record(1);
    again.subject.tenant = "t2".into();
    let later = AuditRecord {
        id: first.id,
        ..audit_record(9)
    };
    subject
        .append(&shared([first.clone(), again.clone(), audit_record(2)]))
        .await;
    subject.append(&shared([again, later, first.clone()])).await;
    subject.append(&[]).await;
    let page = subject.page(&everything(10)).await;
    assert_eq!((page.records.len(), page.total), (2, 2));
    assert_same(&page.records[1], &first);
}

/// By the time of dispatch, inside the scope.
pub async fn the_newest_record_of_an_action_is_found<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let of = |number, tenant: &str| {
        let mut record = audit_record(number);
        record.subject.action_id = "same".into();
        record.subject.tenant = tenant.into();
        record
    };
    subject
        .append(&shared([
            of(2, "t1"),
            of(3, "t2"),
            of(1, "t1"),
            audit_record(4),
        ]))
        .await;
    let t1 = Scope::new([ScopeGrant {
        tenants: vec![Pattern::from("t1")],
        namespaces: vec![Pattern::Any],
        action_types: vec![Pattern::Any],
    }]);
    let found = subject.newest_of(&Scope::everything(), "same").await;
    assert_eq!(found.map(|record| record.id), Some(of(3, "t2").id));
    let found = subject.newest_of(&t1, "same").await;
    assert_eq!(found.map(|record| record.id), Some(of(2, "t1").id));
    assert!(
        subject
            .newest_of(&Scope::everything(), "other")
            .await
            .is_none()
    );
    assert!(subject.newest_of(&Scope::new([]), "same").await.is_none());
}

/// Slice by slice. Records without an expiry stay.
pub async fn only_what_has_expired_is_purged_and_never_more_than_asked<H: AuditHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let now = epoch() + SignedDuration::from_hours(1);
    let expiring = |number, seconds: Option<i64>| AuditRecord {
        expires_at: seconds.map(|seconds| now + SignedDuration::from_secs(seconds)),
        ..audit_record(number)
    };
    let records = shared([
        expiring(1, Some(-1)),
        expiring(2, Some(1)),
        expiring(3, Some(-1000)),
        expiring(4, None),
        expiring(5, Some(-2)),
    ]);
    subject.append(&records).await;
    for expected in [2, 1, 0] {
        assert_eq!(subject.audit.purge(now, 2).await.expect("purged"), expected);
        subject.settle().await;
    }
    let page = subject.page(&everything(10)).await;
    assert_eq!(
        ids(&page.records),
        [records[3].id.as_u128(), records[1].id.as_u128()]
    );
    assert_eq!(page.total, 2);
}

/// Each record is stored once.
pub async fn tasks_that_append_at_once_lose_nothing<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let audit: Arc<dyn Audit> = subject.audit.clone();
        tasks.spawn(async move {
            for batch in 0..5 {
                let first = task * 100 + batch * 20;
                let records = shared((first..first + 20).map(audit_record));
                audit.append(&records).await.expect("stored");
            }
        });
    }
    tasks.join_all().await;
    subject.settle().await;
    assert_eq!(subject.page(&everything(1)).await.total, 1600);
}
