//! What is read of groups: pages of members, and listings.

use acteon_core::scope::Scope;
use acteon_core::state::{GroupMember, GroupPage, GroupQuery, MemberPage, StoredGroup};
use compact_str::CompactString;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::group_rows::{columns, first_member, stored_of};
use super::keys::KeyHash;
use crate::conditions::{Conditions, Statement};
use crate::error::Error;
use crate::page::read_page;
use crate::values::StoredText;

/// The action type of all groups, as SQL.
const ACTION_TYPE: &str = "'group_notification'";

/// Reads listed members of a group that is not closed.
pub(super) fn members(
    connection: &Connection,
    group: (&KeyHash, &str),
    from: u32,
    limit: usize,
) -> Result<MemberPage, Error> {
    let (key, id) = group;
    let find = "SELECT groups.number FROM group_keys \
                JOIN groups ON groups.number IN (group_keys.open, group_keys.sealed) \
                WHERE group_keys.k = ?1 AND groups.id = ?2";
    let mut find = connection.prepare_cached(find)?;
    let number = find.query_row((key, id), |row| row.get::<_, i64>(0));
    let Some(number) = number.optional()? else {
        return Ok(MemberPage::default());
    };
    let read =
        "SELECT id, body FROM members WHERE number >= ?1 AND number < ?2 ORDER BY number LIMIT ?3";
    let mut read = connection.prepare_cached(read)?;
    let begin = first_member(number) + i64::from(from);
    let rows = read.query((begin, first_member(number + 1), one_more(limit)))?;
    let page = read_page(rows, limit, |row| {
        let body: Vec<u8> = row.get(1)?;
        let bytes = body.len();
        let id: CompactString = row.get(0).map(|StoredText(id)| id)?;
        let body = body.into();
        Ok((GroupMember { id, body }, bytes))
    })?;
    let read = u32::try_from(page.items.len()).unwrap_or(u32::MAX);
    Ok(MemberPage {
        members: page.items,
        next: (page.has_more && read > 0).then(|| from.saturating_add(read)),
    })
}

/// Lists groups, those with the greatest id first.
pub(super) fn list(
    connection: &Connection,
    query: &GroupQuery,
    now: i64,
) -> Result<GroupPage, Error> {
    let Statement { sql, values } = page_of(query, now);
    let mut list = connection.prepare_cached(&sql)?;
    let rows = list.query(params_from_iter(values))?;
    let page = read_page(rows, query.limit, |row| {
        let group = stored_of(row)?;
        let bytes = group.settings.len() + group.note.len();
        Ok((group, bytes))
    })?;
    Ok(GroupPage {
        groups: page.items,
        more: page.has_more,
    })
}

/// One page of groups, by the index of a filter that is set.
pub(crate) fn page_of(query: &GroupQuery, now: i64) -> Statement {
    let mut conditions = Conditions::default();
    let filters = [
        ("tenant", &query.tenant, "groups_tenant"),
        ("namespace", &query.namespace, "groups_namespace"),
    ];
    let mut index = None;
    for (column, wanted, by_column) in filters {
        if let Some(wanted) = wanted {
            conditions.equal(column, wanted);
            index.get_or_insert(by_column);
        }
    }
    if let Some(after) = &query.after {
        conditions.add("id < ?", [Value::from(after.to_string())]);
    }
    conditions.add("(until IS NULL OR until > ?)", [now.into()]);
    conditions.inside(&query.scope, ACTION_TYPE);
    let index = index.unwrap_or("groups_id");
    let Conditions { sql, mut values } = conditions;
    values.push(one_more(query.limit).into());
    let columns = columns!();
    let sql =
        format!("SELECT {columns} FROM groups INDEXED BY {index}{sql} ORDER BY id DESC LIMIT ?");
    Statement { sql, values }
}

/// The current group of each rule under a key.
pub(super) fn of_key(
    connection: &Connection,
    scope: &Scope,
    key: &str,
    now: i64,
) -> Result<Vec<StoredGroup>, Error> {
    let mut conditions = Conditions::default();
    let current = "number IN (SELECT coalesce(open, sealed, closed) FROM group_keys WHERE group_keys.key = ?)";
    conditions.add(current, [Value::from(key.to_owned())]);
    conditions.add("(until IS NULL OR until > ?)", [now.into()]);
    conditions.inside(scope, ACTION_TYPE);
    let Conditions { sql, values } = conditions;
    let columns = columns!();
    let read =
        format!("SELECT {columns} FROM groups{sql} ORDER BY namespace, tenant, rule, key, id");
    let mut read = connection.prepare_cached(&read)?;
    let found = read.query_map(params_from_iter(values), stored_of)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}
