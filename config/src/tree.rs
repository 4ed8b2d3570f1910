//! The configuration as a tree in which every value knows where it was said. All layers are written into one
//! tree; what a value should look like is the schema's business.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

/// A value and where it was said. It has no `Debug`: it may hold secrets.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) body: Body,
}

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Nowhere: it is a default.
    Default,
    /// In the file, from this byte on.
    File(usize),
    /// In the environment variable of this name.
    Variable(Arc<str>),
    /// On the command line, for this dotted key.
    Flag(Arc<str>),
}

#[derive(Clone)]
pub(crate) enum Body {
    Bool(bool),
    Integer(i64),
    /// The digits of an integer that nothing can take.
    Huge(String),
    Float(f64),
    Text(String),
    Date(String),
    List(Vec<Node>),
    Table(Table),
}

pub(crate) type Table = BTreeMap<String, Entry>;

#[derive(Clone)]
pub(crate) struct Entry {
    /// Where the key stands; the value may stand elsewhere.
    pub(crate) key: Origin,
    pub(crate) node: Node,
}

/// A step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Item(usize),
}

pub(crate) type Path = Vec<Step>;

impl Node {
    pub(crate) fn table(origin: Origin) -> Self {
        let body = Body::Table(Table::new());
        Self { origin, body }
    }

    pub(crate) fn as_table(&self) -> Option<&Table> {
        match &self.body {
            Body::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.body {
            Body::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.body {
            Body::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        Some(&self.as_table()?.get(key)?.node)
    }

    pub(crate) fn at(&self, path: &[Step]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Item(index) => node.items().get(*index),
        })
    }

    pub(crate) fn at_mut(&mut self, path: &[Step]) -> Option<&mut Node> {
        path.iter()
            .try_fold(self, |node, step| match (step, &mut node.body) {
                (Step::Key(key), Body::Table(table)) => Some(&mut table.get_mut(key)?.node),
                (Step::Item(index), Body::List(items)) => items.get_mut(*index),
                _ => None,
            })
    }

    /// What a person would call this value. Text is not shown: it may be a secret in the wrong place.
    pub(crate) fn what(&self) -> String {
        match &self.body {
            Body::Bool(value) => format!("{value}"),
            Body::Integer(value) => format!("{value}"),
            Body::Float(value) => format!("{value}"),
            Body::Huge(digits) => digits.clone(),
            Body::Text(_) => "a string".into(),
            Body::Date(_) => "a date or time".into(),
            Body::List(_) => "a list".into(),
            Body::Table(_) => "a table".into(),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        match &self.body {
            Body::Bool(value) => Value::Bool(*value),
            Body::Integer(value) => Value::Number((*value).into()),
            Body::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            Body::Huge(_) => Value::Null,
            Body::Text(text) | Body::Date(text) => Value::String(text.clone()),
            Body::List(items) => items.iter().map(Node::to_json).collect(),
            Body::Table(table) => Value::Object(to_json_map(table)),
        }
    }
}

pub(crate) fn to_json_map(table: &Table) -> Map<String, Value> {
    table
        .iter()
        .map(|(key, entry)| (key.clone(), entry.node.to_json()))
        .collect()
}

/// The path as people write it, such as `providers.hook.url`: an item of a list goes by its `name` if it has one.
pub(crate) fn spell(root: &Node, path: &[Step]) -> String {
    let mut spelled = String::new();
    for (depth, step) in path.iter().enumerate() {
        let named = || root.at(&path[..=depth])?.get("name")?.text();
        match (step, matches!(step, Step::Item(_)).then(named).flatten()) {
            (Step::Key(key), _) => push_key(&mut spelled, key),
            (Step::Item(_), Some(name)) if !name.is_empty() => push_key(&mut spelled, name),
            (Step::Item(index), _) => spelled.push_str(&format!("[{index}]")),
        }
    }
    spelled
}

/// Appends a key to a dotted path, in quotes where it needs them.
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
