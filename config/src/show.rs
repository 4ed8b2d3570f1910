//! Prints the effective configuration as TOML: every key with its value and origin. Secrets are hidden; references to
//! them are shown.

use std::fmt::Write as _;

use serde_json::Value;

use crate::document::Document;
use crate::secrets::is_reference;
use crate::shape::Shape;
use crate::tree::{Entry, NodeValue, PathStep, TreeNode, TreePath, ValueOrigin, push_key};

/// Replaces a secret.
const HIDDEN: &str = "\"(hidden)\"";
/// The maximum column of comments. Comments are aligned, except after longer lines.
const COMMENT_COLUMN_MAX: usize = 48;

/// Shows `root`, which must match `schema`, and hides the `secrets`.
pub(crate) fn show(
    mut root: TreeNode,
    secrets: &[TreePath],
    schema: &Value,
    document: &Document,
) -> String {
    fill_in(&mut root, schema);
    let mut show = Show {
        secrets,
        document,
        path: TreePath::new(),
        text: String::new(),
    };
    show.table("", Some(&root), Shape::new(schema));
    show.text
}

/// Gives providers the missing values of `[executor]`, with their origin.
fn fill_in(root: &mut TreeNode, schema: &Value) {
    let known = &schema["properties"]["providers"]["items"]["properties"];
    let executor = root.get("executor").and_then(TreeNode::as_table).cloned();
    let shared: Vec<(String, Entry)> = executor
        .into_iter()
        .flatten()
        .filter(|(key, _)| known.get(key).is_some())
        .collect();
    let NodeValue::Table(sections) = &mut root.body else {
        return;
    };
    let providers = sections.get_mut("providers").map(|entry| &mut entry.node);
    let Some(NodeValue::List(providers)) = providers.map(|node| &mut node.body) else {
        return;
    };
    for provider in providers {
        if let NodeValue::Table(keys) = &mut provider.body {
            for (key, entry) in &shared {
                keys.entry(key.clone()).or_insert_with(|| entry.clone());
            }
        }
    }
}

struct Show<'a> {
    secrets: &'a [TreePath],
    document: &'a Document,
    path: TreePath,
    text: String,
}

/// A line with its comment.
struct ShownLine {
    text: String,
    comment: String,
}

impl Show<'_> {
    /// Writes the keys of a table under its header, then the tables inside it.
    fn table(&mut self, header: &str, node: Option<&TreeNode>, shape: Shape<'_>) {
        let (mut lines, mut inner): (Vec<ShownLine>, Vec<String>) = Default::default();
        for key in keys(node, shape) {
            self.path.push(PathStep::Key(key.clone()));
            let value = node.and_then(|node| node.get(&key));
            let default = default(shape, node, &key);
            match value {
                Some(value) if !holds_tables(value) => lines.push(self.given(&key, value)),
                None if !is_section(shape, node, &key) => lines.push(missing(&key, default)),
                _ => inner.push(key),
            }
            self.path.pop();
        }
        if !header.is_empty() && (!lines.is_empty() || (inner.is_empty() && node.is_some())) {
            self.header(header);
        }
        self.write(&lines);
        for key in inner {
            self.path.push(PathStep::Key(key.clone()));
            let mut header = header.trim_matches(['[', ']']).to_owned();
            push_key(&mut header, &key);
            let inside = shape.named(node, &key);
            let inside = inside.unwrap_or_else(|| free(shape, node));
            self.inner(&header, node.and_then(|node| node.get(&key)), inside);
            self.path.pop();
        }
    }

    fn inner(&mut self, header: &str, node: Option<&TreeNode>, shape: Shape<'_>) {
        let Some(list) = node.filter(|node| matches!(node.body, NodeValue::List(_))) else {
            return self.table(&format!("[{header}]"), node, shape);
        };
        let layers = shape.layers(node);
        let items = layers.iter().find_map(|layer| layer.items());
        let items = items.unwrap_or_else(|| shape.anything());
        for (index, item) in list.items().iter().enumerate() {
            self.path.push(PathStep::Item(index));
            self.table(&format!("[[{header}]]"), Some(item), items);
            self.path.pop();
        }
    }

    fn header(&mut self, header: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{gap}{header}");
    }

    fn given(&mut self, key: &str, value: &TreeNode) -> ShownLine {
        let mut line = String::new();
        push_key(&mut line, key);
        line.push_str(" = ");
        self.value(value, &mut line);
        let comment = match &value.origin {
            ValueOrigin::Default => "default".to_owned(),
            origin => self.document.location(origin).to_string(),
        };
        ShownLine {
            text: line,
            comment,
        }
    }

    fn value(&mut self, node: &TreeNode, line: &mut String) {
        match &node.body {
            NodeValue::Text(text) if self.is_hidden(text) => line.push_str(HIDDEN),
            NodeValue::List(items) => {
                line.push('[');
                for (index, item) in items.iter().enumerate() {
                    line.push_str(if index > 0 { ", " } else { "" });
                    self.path.push(PathStep::Item(index));
                    self.value(item, line);
                    self.path.pop();
                }
                line.push(']');
            }
            _ => line.push_str(&to_toml(&node.to_json())),
        }
    }

    /// True for secrets, and for addresses that contain a user.
    fn is_hidden(&self, text: &str) -> bool {
        let is_secret = self.secrets.contains(&self.path) && !is_reference(text);
        is_secret || (text.contains("://") && text.contains('@'))
    }

    fn write(&mut self, lines: &[ShownLine]) {
        let lengths = lines.iter().map(|line| line.text.chars().count());
        let short = lengths.filter(|length| *length <= COMMENT_COLUMN_MAX);
        let column = short.max().unwrap_or(0);
        for ShownLine { text, comment } in lines {
            let _ = match comment.as_str() {
                "" => writeln!(self.text, "{text}"),
                comment => writeln!(self.text, "{text:column$}  # {comment}"),
            };
        }
    }
}

/// All keys that a table may have or has.
fn keys(node: Option<&TreeNode>, shape: Shape<'_>) -> Vec<String> {
    let layers = shape.layers(node);
    let named = layers
        .iter()
        .filter_map(|layer| layer.get("properties")?.as_object());
    let named = named.flat_map(|properties| properties.keys());
    let present = node
        .and_then(TreeNode::as_table)
        .into_iter()
        .flat_map(|table| table.keys());
    let mut keys: Vec<String> = Vec::new();
    for key in named.chain(present) {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    keys
}

fn default<'a>(shape: Shape<'a>, node: Option<&TreeNode>, key: &str) -> Option<&'a Value> {
    let layers = shape.layers(node);
    let mut properties = layers.iter().filter_map(|layer| layer.property(key));
    properties.find_map(|property| property.get("default").filter(|value| !value.is_null()))
}

/// True for a table that exists with its defaults if it is not given.
fn is_section(shape: Shape<'_>, node: Option<&TreeNode>, key: &str) -> bool {
    let named = shape.named(node, key);
    let layers = named.map(|shape| shape.layers(None)).unwrap_or_default();
    layers.iter().any(|layer| layer.get("properties").is_some())
}

fn free<'a>(shape: Shape<'a>, node: Option<&TreeNode>) -> Shape<'a> {
    let layers = shape.layers(node);
    let free = layers
        .iter()
        .filter(|layer| layer.has_rule_for_free_values());
    let mut free = free.filter_map(|layer| layer.free_values());
    free.next().unwrap_or_else(|| shape.anything())
}

fn missing(key: &str, default: Option<&Value>) -> ShownLine {
    let mut name = String::new();
    push_key(&mut name, key);
    match default {
        Some(default) => ShownLine {
            text: format!("{name} = {}", to_toml(default)),
            comment: "default".to_owned(),
        },
        None => ShownLine {
            text: format!("# {name} is not set"),
            comment: String::new(),
        },
    }
}

/// True for values that are shown under their own header.
fn holds_tables(node: &TreeNode) -> bool {
    match &node.body {
        NodeValue::Table(_) => true,
        NodeValue::List(items) => items
            .iter()
            .any(|item| matches!(item.body, NodeValue::Table(_))),
        _ => false,
    }
}

/// A value as TOML.
fn to_toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(to_toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                let mut name = String::new();
                push_key(&mut name, key);
                format!("{name} = {}", to_toml(value))
            };
            let fields: Vec<_> = fields.iter().map(field).collect();
            match fields.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", fields.join(", ")),
            }
        }
        // Strings, numbers and booleans are written as in JSON.
        value => value.to_string(),
    }
}
