//! Clauses about listings: order, filters, pages and scopes.

use std::sync::Arc;

use acteon_core::audit::{
    AuditDecision, AuditQuery, AuditRecord, AuditSubject, AuditedOutcome, PageStart,
};
use acteon_core::outcome::FailureCode;
use acteon_core::scope::{Pattern, Scope, ScopeGrant};
use acteon_core::{Caller, Verdict};
use jiff::SignedDuration;

use super::AuditHarness;
use super::subject::*;
use crate::actions::epoch;
use crate::records::audit_record;

/// The order does not depend on the order of arrival.
pub async fn records_are_listed_newest_first_and_ties_by_id<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let at_once = |number| AuditRecord {
        dispatched_at: epoch(),
        ..audit_record(number)
    };
    let records = [
        at_once(2),
        audit_record(8),
        at_once(3),
        audit_record(7),
        at_once(1),
    ];
    subject.append(&shared(records)).await;
    let page = subject.page(&everything(10)).await;
    let expected = [8, 7, 3, 2, 1].map(|number| audit_record(number).id.as_u128());
    assert_eq!(ids(&page.records), expected);
    assert!(page.next.is_none(), "there is no next page");
}

/// Records that differ in every field that can be filtered.
fn varied() -> Vec<Arc<AuditRecord>> {
    let pick = |from: &[&'static str], number: u32| from[number as usize % from.len()];
    let subject = |n| AuditSubject {
        namespace: pick(&["ns", "prod", "prod-eu"], n / 2).into(),
        tenant: pick(&["t1", "t2"], n).into(),
        provider: pick(&["log", "hook", "mail", "Log"], n).into(),
        action_type: pick(&["test", "alert", "alert.high"], n).into(),
        ..audit_record(n).subject
    };
    let decision = |n: u32| AuditDecision {
        verdict: [Verdict::Allow, Verdict::Suppress, Verdict::StateMachine][n as usize % 3],
        matched_rule: (!n.is_multiple_of(3)).then(|| pick(&["mute", "limit"], n).into()),
        ..audit_record(n).decision
    };
    shared((0..60).map(|n| AuditRecord {
        subject: subject(n),
        decision: decision(n),
        outcome: match n % 4 {
            0 => AuditedOutcome::Deduplicated {},
            1 => AuditedOutcome::Failed {
                code: FailureCode::Timeout,
                message: "late".into(),
                retryable: true,
                attempts: 2,
            },
            _ => audit_record(n).outcome,
        },
        caller: Caller {
            id: (n % 5 > 0).then(|| pick(&["alice", "bob"], n).into()),
            ..Caller::anonymous()
        },
        ..audit_record(n)
    }))
}

fn queries() -> Vec<AuditQuery> {
    let at = |seconds| Some(epoch() + SignedDuration::from_secs(seconds));
    let query = |change: &dyn Fn(&mut AuditQuery)| {
        let mut query = everything(1000);
        change(&mut query);
        query
    };
    vec![
        query(&|_| {}),
        query(&|q| q.filter.namespace = Some("prod".into())),
        query(&|q| q.filter.tenant = Some("t2".into())),
        query(&|q| q.filter.provider = Some("log".into())),
        query(&|q| q.filter.action_type = Some("alert".into())),
        query(&|q| q.filter.outcome = Some("failed".into())),
        query(&|q| q.filter.outcome = Some("executed".into())),
        query(&|q| q.filter.verdict = Some("state_machine".into())),
        query(&|q| q.filter.matched_rule = Some("mute".into())),
        query(&|q| q.filter.caller_id = Some("bob".into())),
        query(&|q| q.filter.caller_id = Some("unknown".into())),
        query(&|q| q.filter.tenant = Some("t%".into())),
        query(&|q| q.filter.from = at(20)),
        query(&|q| q.filter.to = at(20)),
        query(&|q| {
            q.filter.from = at(10);
            q.filter.to = at(50);
            q.filter.namespace = Some("prod".into());
            q.filter.outcome = Some("deduplicated".into());
            q.filter.tenant = Some("t1".into());
        }),
    ]
}

/// Each filter alone and several together, against the naive model. The page size does not change the total.
pub async fn every_filter_holds_and_totals_count_what_matches<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let records = varied();
    subject.append(&records).await;
    for query in queries() {
        let matching = records.iter().rev().filter(|record| query.matches(record));
        let expected: Vec<_> = matching.cloned().collect();
        let page = subject.page(&query).await;
        assert_eq!(ids(&page.records), ids(&expected), "{query:?}");
        assert_eq!(page.total, expected.len() as u64, "{query:?}");
        let short = subject.page(&AuditQuery { limit: 2, ..query }).await;
        assert_eq!(short.total, expected.len() as u64);
        assert_eq!(short.next.is_some(), expected.len() > 2);
    }
}

/// These two filters and no others.
pub async fn outcome_and_verdict_compare_without_regard_to_case<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.append(&varied()).await;
    let mut query = everything(1000);
    query.filter.outcome = Some("FaiLed".into());
    assert_eq!(subject.page(&query).await.total, 15);
    query.filter.outcome = None;
    query.filter.verdict = Some("STATE_machine".into());
    assert_eq!(subject.page(&query).await.total, 20);
    query.filter.verdict = None;
    query.filter.tenant = Some("T1".into());
    assert_eq!(subject.page(&query).await.total, 0);
}

/// Adjacent ranges then share no record and lose none.
pub async fn a_time_range_has_its_first_moment_and_not_its_last<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let records = shared((0..10).map(audit_record));
    subject.append(&records).await;
    let range = |from: usize, to: usize| {
        let mut query = everything(100);
        query.filter.from = Some(records[from].dispatched_at);
        query.filter.to = Some(records[to].dispatched_at);
        query
    };
    let page = subject.page(&range(3, 6)).await;
    let expected = [5, 4, 3].map(|at| records[at].id.as_u128());
    assert_eq!(ids(&page.records), expected);
    assert_eq!(subject.page(&range(3, 3)).await.total, 0);
    assert_eq!(subject.page(&range(6, 3)).await.total, 0);
}

/// Newer records that arrive during the walk are not seen, older ones are. No record is seen twice or skipped.
pub async fn a_walk_by_cursor_sees_each_record_once_although_others_come_in<H: AuditHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let at_once = |number| AuditRecord {
        dispatched_at: epoch() + SignedDuration::from_secs(30),
        ..audit_record(number)
    };
    let mut records: Vec<_> = (20..30).map(at_once).collect();
    records.extend((31..40).map(audit_record));
    subject.append(&shared(records.clone())).await;
    let mut query = everything(4);
    let mut seen = Vec::new();
    for newer in 100.. {
        let page = subject.page(&query).await;
        seen.extend(ids(&page.records));
        let Some(next) = page.next else {
            break;
        };
        query.start = PageStart::After(next);
        subject.append(&shared([audit_record(newer)])).await;
    }
    let mut expected: Vec<_> = records.iter().map(|record| record.id.as_u128()).collect();
    expected.reverse();
    assert_eq!(seen, expected);
}

/// A cursor is a position in the order, not a record.
pub async fn a_walk_by_cursor_goes_on_after_its_record_was_purged<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let expired = AuditRecord {
        expires_at: Some(epoch()),
        ..audit_record(3)
    };
    subject
        .append(&shared([
            audit_record(1),
            audit_record(2),
            expired,
            audit_record(4),
        ]))
        .await;
    let mut query = everything(2);
    let first = subject.page(&query).await;
    query.start = PageStart::After(first.next.expect("two more"));
    let now = epoch() + SignedDuration::from_hours(1);
    assert_eq!(subject.audit.purge(now, 10).await.expect("purged"), 1);
    subject.settle().await;
    let second = subject.page(&query).await;
    let expected = [2, 1].map(|number| audit_record(number).id.as_u128());
    assert_eq!(ids(&second.records), expected);
    assert!(second.next.is_none());
}

/// Beyond the end the page is empty, but the total is still returned.
pub async fn pages_by_offset_fit_together<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let records = shared((0..10).map(audit_record));
    subject.append(&records).await;
    let mut seen = Vec::new();
    for offset in [0, 4, 8] {
        let page = subject.page(&from_offset(offset, 4)).await;
        assert_eq!(page.total, 10);
        assert_eq!(page.next.is_some(), offset < 8);
        seen.extend(ids(&page.records));
    }
    seen.reverse();
    assert_eq!(seen, ids(&records));
    let beyond = subject.page(&from_offset(10, 4)).await;
    assert_eq!((beyond.records.len(), beyond.total), (0, 10));
}

/// Such a record is neither listed nor counted, whatever the filters. The grants of a scope are not mixed with each
/// other.
pub async fn nobody_sees_a_record_outside_their_scope<H: AuditHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let records = varied();
    subject.append(&records).await;
    let grant = |namespaces: &[&str], tenants: &[&str], action_types: &[&str]| {
        let patterns = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| Pattern::from(*text))
                .collect::<Vec<_>>()
        };
        ScopeGrant {
            tenants: patterns(tenants),
            namespaces: patterns(namespaces),
            action_types: patterns(action_types),
        }
    };
    let scopes = [
        Scope::new([]),
        Scope::everything(),
        Scope::new([grant(&["ns"], &["t1"], &["*"])]),
        Scope::new([grant(&["prod*"], &["*"], &["alert*"])]),
        Scope::new([grant(&["prod-*"], &["t_"], &["*"])]),
        Scope::new([grant(&["prod_eu"], &["t%"], &["*"])]),
        Scope::new([grant(&["ns", "prod-eu"], &["t2", "t1"], &["test", "alert"])]),
        Scope::new([
            grant(&["ns"], &["t1"], &["*"]),
            grant(&["prod"], &["t2"], &["test"]),
        ]),
        Scope::new([grant(&["*"], &[], &["*"])]),
    ];
    for scope in scopes {
        let mut query = AuditQuery::newest(scope, 1000);
        for tenant in [None, Some("t2".into())] {
            query.filter.tenant = tenant;
            let matching = records.iter().rev().filter(|record| query.matches(record));
            let expected: Vec<_> = matching.cloned().collect();
            let page = subject.page(&query).await;
            assert_eq!(ids(&page.records), ids(&expected), "{query:?}");
            assert_eq!(page.total, expected.len() as u64, "{query:?}");
        }
    }
}
