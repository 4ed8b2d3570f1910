//! Each query is served by an index that has the order of the listing, so that a page of a long trail costs what a page
//! of a short one does.

use acteon_core::audit::{AuditCursor, AuditFilter, AuditQuery, PageStart};
use acteon_core::scope::{Pattern, Scope, ScopeGrant};
use acteon_testkit::audit_record;
use compact_str::CompactString;
use rusqlite::{Connection, params_from_iter};

use super::{Sqlite, large_record};
use crate::audit::query::{RecordSelection, newest_of};
use crate::conditions::Statement;

/// How SQLite finds the records, one step a line.
pub(super) fn plan(connection: &Connection, statement: &Statement) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let mut explain = connection.prepare(&explain).unwrap();
    let steps = explain.query_map(params_from_iter(&statement.values), |row| row.get("detail"));
    steps.unwrap().map(Result::unwrap).collect()
}

fn everything(change: impl FnOnce(&mut AuditFilter)) -> AuditQuery {
    let mut query = AuditQuery::newest(Scope::everything(), 50);
    change(&mut query.filter);
    query
}

/// After the first page.
fn middle() -> PageStart {
    PageStart::After(AuditCursor::of(&audit_record(5)))
}

async fn opened() -> (Sqlite, Connection) {
    let sqlite = Sqlite::default();
    sqlite.open_audit().await;
    let connection = Connection::open(sqlite.path()).unwrap();
    (sqlite, connection)
}

#[tokio::test]
async fn every_filter_is_served_by_its_index_in_the_order_of_the_listing() {
    let (_sqlite, connection) = opened().await;
    let x = || Some(CompactString::from("x"));
    let filters = [
        ("namespace", everything(|filter| filter.namespace = x())),
        ("tenant", everything(|filter| filter.tenant = x())),
        ("provider", everything(|filter| filter.provider = x())),
        ("action_type", everything(|filter| filter.action_type = x())),
        ("outcome", everything(|filter| filter.outcome = x())),
        ("verdict", everything(|filter| filter.verdict = x())),
        (
            "matched_rule",
            everything(|filter| filter.matched_rule = x()),
        ),
        ("caller_id", everything(|filter| filter.caller_id = x())),
    ];
    for (column, query) in filters {
        let selection = RecordSelection::of(&query);
        let search = format!("SEARCH audit USING INDEX audit_{column} ({column}=?");
        let page = plan(&connection, &selection.page(&middle(), 50));
        let positioned = format!("{search} AND (dispatched_at,id)<(?,?))");
        assert_eq!(page, [positioned], "{column}");
        let first = plan(&connection, &selection.page(&PageStart::Offset(100), 50));
        assert_eq!(first, [format!("{search})")], "{column}");
        let count = plan(&connection, &selection.count());
        let counted = search.replace("USING INDEX", "USING COVERING INDEX");
        assert_eq!(count, [format!("{counted})")], "{column}");
    }
}

#[tokio::test]
async fn several_filters_and_a_range_of_time_are_served_by_the_index_of_the_rarest() {
    let (_sqlite, connection) = opened().await;
    let query = everything(|filter| {
        filter.outcome = Some("failed".into());
        filter.tenant = Some("t1".into());
        filter.from = Some(audit_record(1).dispatched_at);
        filter.to = Some(audit_record(9).dispatched_at);
    });
    let plan = plan(
        &connection,
        &RecordSelection::of(&query).page(&PageStart::Offset(0), 50),
    );
    let expected =
        "SEARCH audit USING INDEX audit_tenant (tenant=? AND dispatched_at>? AND dispatched_at<?)";
    assert_eq!(plan, [expected]);
}

#[tokio::test]
async fn without_a_filter_the_trail_is_read_in_the_order_of_time() {
    let (_sqlite, connection) = opened().await;
    let selection = RecordSelection::of(&everything(|_| {}));
    assert_eq!(
        plan(&connection, &selection.page(&middle(), 50)),
        ["SEARCH audit USING INDEX audit_time ((dispatched_at,id)<(?,?))"]
    );
    assert_eq!(
        plan(&connection, &selection.page(&PageStart::Offset(0), 50)),
        ["SCAN audit USING INDEX audit_time"]
    );
}

#[tokio::test]
async fn a_scope_of_one_tenant_is_served_by_the_index_of_tenants() {
    let (_sqlite, connection) = opened().await;
    let query = AuditQuery::newest(
        Scope::new([ScopeGrant {
            tenants: vec![Pattern::from("t1")],
            namespaces: vec![Pattern::from("prod*")],
            action_types: vec![Pattern::Any],
        }]),
        50,
    );
    assert_eq!(
        plan(
            &connection,
            &RecordSelection::of(&query).page(&middle(), 50)
        ),
        ["SEARCH audit USING INDEX audit_tenant (tenant=? AND (dispatched_at,id)<(?,?))"]
    );
    assert_eq!(
        plan(&connection, &newest_of(&query.scope, "a")),
        ["SEARCH audit USING INDEX audit_action_id (action_id=?)"]
    );
}

#[tokio::test]
async fn what_has_expired_is_found_by_its_index() {
    let (_sqlite, connection) = opened().await;
    let purge = Statement {
        sql: crate::audit::PURGE.to_owned(),
        values: vec![1.into(), 1.into()],
    };
    let plan = plan(&connection, &purge);
    let search =
        "SEARCH audit USING COVERING INDEX audit_expires_at (expires_at>? AND expires_at<?)";
    assert!(
        plan.iter()
            .any(|step| step == search || step == &search.replace("expires_at>? AND ", "")),
        "{plan:?}"
    );
}

#[tokio::test]
async fn a_page_of_large_records_ends_early_and_the_next_one_continues() {
    let sqlite = Sqlite::default();
    let audit = sqlite.open_audit().await;
    let records: Vec<_> = (0..40)
        .map(|number| large_record(number, 1 << 20))
        .collect();
    audit.append(&records).await.unwrap();
    let mut query = everything(|_| {});
    let mut lengths = Vec::new();
    loop {
        let page = audit.query(&query).await.unwrap();
        lengths.push(page.records.len());
        let Some(next) = page.next else {
            break;
        };
        query.start = PageStart::After(next);
    }
    assert_eq!(lengths, [16, 16, 8]);
}
