//! Finds the rules that could match an action by its namespace, tenant, provider and action type, so that an action
//! costs as much as it has candidates, not as rules are loaded. Rules are listed under the hash of the values that
//! their conditions require, in one table per combination of fields; an action looks up each table once. A candidate's
//! whole condition is tested, so hash collisions do no harm.

use std::hash::BuildHasher;

use acteon_core::Action;
use hashbrown::{DefaultHashBuilder, HashMap};
use smallvec::SmallVec;

use crate::condition::{Condition, Literal, Operator, Test};
use crate::path::{ActionField, PathTarget};

/// The indexed fields.
const FIELDS: [ActionField; 4] = [
    ActionField::Namespace,
    ActionField::Tenant,
    ActionField::Provider,
    ActionField::ActionType,
];
/// Under how many combinations of values one rule is listed at most, if it can do with fewer fields.
const COMBINATIONS_MAX: usize = 256;

/// Rules by the values they test for equality. Rules are numbered in the order of evaluation.
#[derive(Debug, Default)]
pub(crate) struct Index {
    hasher: DefaultHashBuilder,
    /// One table per combination of fields that occurs.
    tables: Vec<Table>,
}

/// The rules that test the same fields; bit `i` is `FIELDS[i]`.
#[derive(Debug)]
struct Table {
    fields: u8,
    rules: HashMap<u64, Vec<u32>>,
}

/// The values that a condition can hold for; `None` means any value.
type Values<'c> = Option<Vec<&'c str>>;

impl Index {
    /// Lists the conditions, in ascending order of their numbers.
    pub(crate) fn new<'c>(conditions: impl Iterator<Item = (u32, &'c Condition)>) -> Self {
        let mut index = Self::default();
        for (number, condition) in conditions {
            index.list(number, condition);
        }
        index.tables.sort_by_key(|table| table.fields);
        index
    }

    /// Lists all rules so that every action finds them.
    #[cfg(test)]
    pub(crate) fn unused(numbers: impl Iterator<Item = u32>) -> Self {
        let mut index = Self::default();
        for number in numbers {
            index.put(0, 0, number);
        }
        index
    }

    /// The numbers of the rules that could match, ascending.
    pub(crate) fn candidates(&self, action: &Action) -> Candidates<'_> {
        let mut lists = SmallVec::new();
        let mut hashes = [None; FIELDS.len()];
        for table in &self.tables {
            let hash = combined(table.fields, |at| {
                *hashes[at].get_or_insert_with(|| self.hasher.hash_one(value(action, at)))
            });
            if let Some(rules) = table.rules.get(&hash) {
                lists.push(rules.as_slice());
            }
        }
        Candidates { lists }
    }

    fn list(&mut self, number: u32, condition: &Condition) {
        let mut constrained: Vec<(usize, Vec<&str>)> = Vec::new();
        for (at, field) in FIELDS.into_iter().enumerate() {
            constrained.extend(values(condition, field).map(|values| (at, values)));
        }
        constrained.sort_by_key(|(_, values)| values.len());
        let mut fields = 0u8;
        let mut hashes = vec![[0u64; FIELDS.len()]];
        for (at, values) in constrained {
            if fields != 0 && hashes.len() * values.len() > COMBINATIONS_MAX {
                break;
            }
            fields |= 1 << at;
            let hash = |value: &&str| self.hasher.hash_one(value);
            let values: Vec<u64> = values.iter().map(hash).collect();
            let with = |base: &[u64; 4]| {
                let base = *base;
                values.clone().into_iter().map(move |value| {
                    let mut all = base;
                    all[at] = value;
                    all
                })
            };
            hashes = hashes.iter().flat_map(with).collect();
        }
        for each in hashes {
            self.put(fields, combined(fields, |at| each[at]), number);
        }
    }

    fn put(&mut self, fields: u8, hash: u64, number: u32) {
        let known = self.tables.iter().position(|table| table.fields == fields);
        let at = known.unwrap_or_else(|| {
            let rules = HashMap::new();
            self.tables.push(Table { fields, rules });
            self.tables.len() - 1
        });
        let list = self.tables[at].rules.entry(hash).or_default();
        if list.last() != Some(&number) {
            list.push(number);
        }
    }
}

fn value(action: &Action, at: usize) -> &str {
    match FIELDS[at] {
        ActionField::Namespace => &action.namespace,
        ActionField::Tenant => &action.tenant,
        ActionField::Provider => &action.provider,
        _ => &action.action_type,
    }
}

/// Combines the hashes of the fields in `fields`.
fn combined(fields: u8, mut hash: impl FnMut(usize) -> u64) -> u64 {
    (0..FIELDS.len())
        .filter(|at| fields & (1 << at) != 0)
        .fold(0, |all: u64, at| {
            all.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hash(at)
        })
}

/// The values of `field` for which the condition could hold, or could reach a part with effects: the effects happen
/// whatever the parts after it say.
fn values(condition: &Condition, field: ActionField) -> Values<'_> {
    match condition {
        Condition::Test(test) => tested(test, field),
        Condition::Not(_) | Condition::State(_) => None,
        Condition::Strict(_) | Condition::Has(_) | Condition::Cel(_) => None,
        Condition::All(parts) => {
            let first_effect = parts.iter().position(Condition::has_effects);
            let up_to_it = first_effect.map_or(parts.len(), |at| at + 1);
            let each = parts.iter().take(up_to_it);
            let each = each.filter_map(|part| values(part, field));
            each.min_by_key(Vec::len)
        }
        Condition::Any(parts) => {
            let mut all: Vec<&str> = Vec::new();
            for part in parts {
                all.extend(values(part, field)?);
            }
            all.sort_unstable();
            all.dedup();
            Some(all)
        }
    }
}

fn tested(test: &Test, field: ActionField) -> Values<'_> {
    if !matches!(test.path.target, PathTarget::Field(tested) if tested == field) {
        return None;
    }
    match &test.operator {
        Operator::Eq(Literal::Text(text)) => Some(vec![text]),
        Operator::In(literals) => Some(literals.texts.iter().map(AsRef::as_ref).collect()),
        _ => None,
    }
}

/// Merges the ascending lists that an action found.
pub(crate) struct Candidates<'i> {
    lists: SmallVec<[&'i [u32]; 4]>,
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let heads = self.lists.iter_mut().filter(|list| !list.is_empty());
        let list = heads.min_by_key(|list| list[0])?;
        let (first, rest) = list.split_first()?;
        *list = rest;
        Some(*first)
    }
}
