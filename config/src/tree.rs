//! The configuration as a tree of values, each with its origin. All layers are written into one tree. The types of values
//! are left to the schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

/// A value and its origin. Has no `Debug`, because it may hold secrets.
#[derive(Clone)]
pub(crate) struct TreeNode {
    pub(crate) origin: ValueOrigin,
    pub(crate) body: NodeValue,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ValueOrigin {
    /// A default.
    Default,
    /// The file, at this byte.
    File(usize),
    /// The environment variable of this name.
    Variable(Arc<str>),
    /// A command line flag, by its dotted key.
    Flag(Arc<str>),
}

#[derive(Clone)]
pub(crate) enum NodeValue {
    Bool(bool),
    Integer(i64),
    /// The digits of an integer that does not fit.
    Huge(String),
    Float(f64),
    Text(String),
    Date(String),
    List(Vec<TreeNode>),
    Table(Table),
}

pub(crate) type Table = BTreeMap<String, Entry>;

#[derive(Clone)]
pub(crate) struct Entry {
    /// The origin of the key. That of the value may differ.
    pub(crate) key: ValueOrigin,
    pub(crate) node: TreeNode,
}

/// A step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathStep {
    Key(String),
    Item(usize),
}

pub(crate) type TreePath = Vec<PathStep>;

impl TreeNode {
    pub(crate) fn table(origin: ValueOrigin) -> Self {
        let body = NodeValue::Table(Table::new());
        Self { origin, body }
    }

    pub(crate) fn as_table(&self) -> Option<&Table> {
        match &self.body {
            NodeValue::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[TreeNode] {
        match &self.body {
            NodeValue::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.body {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&TreeNode> {
        Some(&self.as_table()?.get(key)?.node)
    }

    pub(crate) fn at(&self, path: &[PathStep]) -> Option<&TreeNode> {
        path.iter().try_fold(self, |node, step| match step {
            PathStep::Key(key) => node.get(key),
            PathStep::Item(index) => node.items().get(*index),
        })
    }

    pub(crate) fn at_mut(&mut self, path: &[PathStep]) -> Option<&mut TreeNode> {
        path.iter()
            .try_fold(self, |node, step| match (step, &mut node.body) {
                (PathStep::Key(key), NodeValue::Table(table)) => {
                    Some(&mut table.get_mut(key)?.node)
                }
                (PathStep::Item(index), NodeValue::List(items)) => items.get_mut(*index),
                _ => None,
            })
    }

    /// Describes the value, for messages. Text is not shown, because it may be a misplaced secret.
    pub(crate) fn describe(&self) -> String {
        match &self.body {
            NodeValue::Bool(value) => format!("{value}"),
            NodeValue::Integer(value) => format!("{value}"),
            NodeValue::Float(value) => format!("{value}"),
            NodeValue::Huge(digits) => digits.clone(),
            NodeValue::Text(_) => "a string".into(),
            NodeValue::Date(_) => "a date or time".into(),
            NodeValue::List(_) => "a list".into(),
            NodeValue::Table(_) => "a table".into(),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        match &self.body {
            NodeValue::Bool(value) => Value::Bool(*value),
            NodeValue::Integer(value) => Value::Number((*value).into()),
            NodeValue::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            NodeValue::Huge(_) => Value::Null,
            NodeValue::Text(text) | NodeValue::Date(text) => Value::String(text.clone()),
            NodeValue::List(items) => items.iter().map(TreeNode::to_json).collect(),
            NodeValue::Table(table) => Value::Object(to_json_map(table)),
        }
    }
}

pub(crate) fn to_json_map(table: &Table) -> Map<String, Value> {
    table
        .iter()
        .map(|(key, entry)| (key.clone(), entry.node.to_json()))
        .collect()
}

/// The path as users write it, such as `providers.hook.url`. An item of a list is identified by its `name`, if it has
/// one.
pub(crate) fn spell(root: &TreeNode, path: &[PathStep]) -> String {
    let mut spelled = String::new();
    for (depth, step) in path.iter().enumerate() {
        let named = || root.at(&path[..=depth])?.get("name")?.text();
        match (
            step,
            matches!(step, PathStep::Item(_)).then(named).flatten(),
        ) {
            (PathStep::Key(key), _) => push_key(&mut spelled, key),
            (PathStep::Item(_), Some(name)) if !name.is_empty() => push_key(&mut spelled, name),
            (PathStep::Item(index), _) => spelled.push_str(&format!("[{index}]")),
        }
    }
    spelled
}

/// Appends a key to a dotted path, quoted if necessary.
pub(crate) fn push_key(spelled: &mut String, key: &str) {
    if !spelled.is_empty() {
        spelled.push('.');
    }
    let bare = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        spelled.push_str(key);
    } else {
        spelled.push_str(&format!("{key:?}"));
    }
}
