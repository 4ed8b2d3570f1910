//! Conditions on rows as SQL. Every value is a parameter, so that no text of a caller becomes a part of a statement.

use acteon_core::scope::{Pattern, Scope, ScopeGrant};
use rusqlite::types::Value;

/// A statement with the values of its parameters.
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

/// What must hold of a row, as SQL: empty, or `WHERE` and the conditions.
#[derive(Clone, Default)]
pub(crate) struct Conditions {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition with the values of its parameters.
    pub(crate) fn add(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        let word = if self.sql.is_empty() {
            " WHERE "
        } else {
            " AND "
        };
        self.sql += word;
        self.sql += condition;
        self.values.extend(values);
    }

    /// The column has this value.
    pub(crate) fn equal(&mut self, column: &str, value: &str) {
        self.add(&format!("{column} = ?"), [value.to_owned().into()]);
    }

    /// The row is inside the scope. One that covers everything is no condition. `action_type` is the row's type, as SQL.
    pub(crate) fn inside(&mut self, scope: &Scope, action_type: &str) {
        let is_any = |patterns: &[Pattern]| patterns.contains(&Pattern::Any);
        let is_everything = |grant: &ScopeGrant| {
            is_any(&grant.tenants) && is_any(&grant.namespaces) && is_any(&grant.action_types)
        };
        if scope.grants().iter().any(is_everything) {
            return;
        }
        let mut values = Vec::new();
        let mut grants = Vec::new();
        for grant in scope.grants() {
            let parts = [
                names("tenant", &grant.tenants, &mut values),
                names("namespace", &grant.namespaces, &mut values),
                names(action_type, &grant.action_types, &mut values),
            ];
            grants.push(parts.join(" AND "));
        }
        let any = match grants.is_empty() {
            true => "FALSE".to_owned(),
            false => format!("({})", grants.join(" OR ")),
        };
        self.add(&any, values);
    }
}

/// Whether a column has one of these names, as SQL.
fn names(column: &str, patterns: &[Pattern], values: &mut Vec<Value>) -> String {
    if patterns.contains(&Pattern::Any) {
        return "TRUE".to_owned();
    }
    let alternatives = patterns.iter().filter_map(|pattern| match pattern {
        Pattern::Any => None,
        Pattern::Exact(name) => {
            values.push(name.clone().into());
            Some(format!("{column} = ?"))
        }
        Pattern::Prefix(prefix) => {
            let letters = prefix.chars().count();
            values.extend([(letters as i64).into(), prefix.clone().into()]);
            Some(format!("substr({column}, 1, ?) = ?"))
        }
    });
    let alternatives: Vec<_> = alternatives.collect();
    match alternatives.is_empty() {
        true => "FALSE".to_owned(),
        false => format!("({})", alternatives.join(" OR ")),
    }
}
