//! Queries as SQL. Each names the index that serves its most selective filter: without statistics SQLite would guess.

use acteon_core::audit::{AuditFilter, AuditQuery, PageStart};
use acteon_core::scope::{Pattern, Scope, ScopeGrant};

use super::record::COLUMNS;
use crate::conditions::{Conditions, Statement};
use crate::time::nanos_of;

/// The index that has all records in the order of a listing.
const BY_TIME: &str = "audit_time";

/// The columns with an index for filters, those whose values select the fewest records first.
const INDEXED: [(&str, &str); 8] = [
    ("matched_rule", "audit_matched_rule"),
    ("caller_id", "audit_caller_id"),
    ("action_type", "audit_action_type"),
    ("tenant", "audit_tenant"),
    ("provider", "audit_provider"),
    ("namespace", "audit_namespace"),
    ("outcome", "audit_outcome"),
    ("verdict", "audit_verdict"),
];

/// The records that a query selects.
pub(crate) struct RecordSelection {
    index: &'static str,
    conditions: Conditions,
}

impl RecordSelection {
    pub(crate) fn of(query: &AuditQuery) -> Self {
        let mut conditions = Conditions::default();
        let equal = |column: &str| equal_to(query, column);
        let indexed = INDEXED.iter().find(|(column, _)| equal(column).is_some());
        for (column, _) in INDEXED {
            if let Some(value) = equal(column) {
                conditions.equal(column, value);
            }
        }
        let AuditFilter { from, to, .. } = query.filter;
        if let Some(from) = from {
            conditions.add("dispatched_at >= ?", [nanos_of(from).into()]);
        }
        if let Some(to) = to {
            conditions.add("dispatched_at < ?", [nanos_of(to).into()]);
        }
        conditions.inside(&query.scope, "action_type");
        Self {
            index: indexed.map_or(BY_TIME, |(_, index)| index),
            conditions,
        }
    }

    /// Counts all of them.
    pub(crate) fn count(&self) -> Statement {
        let Conditions { sql, values } = &self.conditions;
        let index = self.index;
        Statement {
            sql: format!("SELECT count(*) FROM audit INDEXED BY {index}{sql}"),
            values: values.clone(),
        }
    }

    /// Reads a page and, if there is one, the record after it.
    pub(crate) fn page(&self, start: &PageStart, limit: usize) -> Statement {
        let mut conditions = self.conditions.clone();
        let mut skipped = 0;
        match start {
            PageStart::Offset(offset) => skipped = i64::try_from(*offset).unwrap_or(i64::MAX),
            PageStart::After(cursor) => {
                let position = [
                    nanos_of(cursor.dispatched_at).into(),
                    cursor.id.as_bytes().to_vec().into(),
                ];
                conditions.add("(dispatched_at, id) < (?, ?)", position);
            }
        }
        let limit = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        newest_first(self.index, conditions, limit, skipped)
    }
}

/// Reads the newest record of an action.
pub(crate) fn newest_of(scope: &Scope, action_id: &str) -> Statement {
    let mut conditions = Conditions::default();
    conditions.equal("action_id", action_id);
    conditions.inside(scope, "action_type");
    newest_first("audit_action_id", conditions, 1, 0)
}

fn newest_first(index: &str, conditions: Conditions, limit: i64, skipped: i64) -> Statement {
    let Conditions { sql, mut values } = conditions;
    values.extend([limit.into(), skipped.into()]);
    Statement {
        sql: format!(
            "SELECT {COLUMNS} FROM audit INDEXED BY {index}{sql} ORDER BY dispatched_at DESC, id DESC LIMIT ? OFFSET ?"
        ),
        values,
    }
}

/// The only value of a column that the query selects: that of its filter, or the one name that its scope covers.
fn equal_to<'a>(query: &'a AuditQuery, column: &str) -> Option<&'a str> {
    let filter = &query.filter;
    let covered = |patterns: fn(&ScopeGrant) -> &[Pattern]| match query.scope.grants() {
        [grant] => match patterns(grant) {
            [Pattern::Exact(name)] => Some(name.as_str()),
            _ => None,
        },
        _ => None,
    };
    match column {
        "matched_rule" => filter.matched_rule.as_deref(),
        "caller_id" => filter.caller_id.as_deref(),
        "action_type" => {
            let of_scope = || covered(|grant| &grant.action_types);
            filter.action_type.as_deref().or_else(of_scope)
        }
        "tenant" => {
            let of_scope = || covered(|grant| &grant.tenants);
            filter.tenant.as_deref().or_else(of_scope)
        }
        "provider" => filter.provider.as_deref(),
        "namespace" => {
            let of_scope = || covered(|grant| &grant.namespaces);
            filter.namespace.as_deref().or_else(of_scope)
        }
        "outcome" => filter.outcome.as_deref(),
        "verdict" => filter.verdict.as_deref(),
        _ => None,
    }
}
