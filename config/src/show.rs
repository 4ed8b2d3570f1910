//! Prints the effective configuration as TOML: every key, and behind each value where it comes from. Secrets are hidden;
//! references to them are shown.

use std::fmt::Write as _;

use serde_json::Value;

use crate::document::Document;
use crate::secrets::is_reference;
use crate::shape::Shape;
use crate::tree::{Body, Entry, Node, Origin, Path, Step, push_key};

/// What is shown in the place of a secret.
const HIDDEN: &str = "\"(hidden)\"";
/// Comments begin in the same column, unless a line is longer.
const COMMENT_COLUMN_MAX: usize = 48;

/// Shows `root`, in which nothing is wrong by `schema`, with the `secrets` hidden.
pub(crate) fn show(
    mut root: Node,
    secrets: &[Path],
    schema: &Value,
    document: &Document,
) -> String {
    fill_in(&mut root, schema);
    let mut show = Show {
        secrets,
        document,
        path: Path::new(),
        text: String::new(),
    };
    show.table("", Some(&root), Shape::new(schema));
    show.text
}

/// What a provider does not say is as in `[executor]`, and was said there.
fn fill_in(root: &mut Node, schema: &Value) {
    let known = &schema["properties"]["providers"]["items"]["properties"];
    let executor = root.get("executor").and_then(Node::as_table).cloned();
    let shared: Vec<(String, Entry)> = executor
        .into_iter()
        .flatten()
        .filter(|(key, _)| known.get(key).is_some())
        .collect();
    let Body::Table(sections) = &mut root.body else {
        return;
    };
    let providers = sections.get_mut("providers").map(|entry| &mut entry.node);
    let Some(Body::List(providers)) = providers.map(|node| &mut node.body) else {
        return;
    };
    for provider in providers {
        if let Body::Table(keys) = &mut provider.body {
            for (key, entry) in &shared {
                keys.entry(key.clone()).or_insert_with(|| entry.clone());
            }
        }
    }
}

struct Show<'a> {
    secrets: &'a [Path],
    document: &'a Document,
    path: Path,
    text: String,
}

/// One line, and what is said behind it.
type Line = (String, String);

impl Show<'_> {
    /// The keys of a table under its header, and then the tables inside it.
    fn table(&mut self, header: &str, node: Option<&Node>, shape: Shape<'_>) {
        let (mut lines, mut inner): (Vec<Line>, Vec<String>) = Default::default();
        for key in keys(node, shape) {
            self.path.push(Step::Key(key.clone()));
            let value = node.and_then(|node| node.get(&key));
            let default = default(shape, node, &key);
            match value {
                Some(value) if !holds_tables(value) => lines.push(self.said(&key, value)),
                None if !is_section(shape, node, &key) => lines.push(unsaid(&key, default)),
                _ => inner.push(key),
            }
            self.path.pop();
        }
        if !header.is_empty() && (!lines.is_empty() || (inner.is_empty() && node.is_some())) {
            self.header(header);
        }
        self.write(&lines);
        for key in inner {
            self.path.push(Step::Key(key.clone()));
            let mut header = header.trim_matches(['[', ']']).to_owned();
            push_key(&mut header, &key);
            let inside = shape.named(node, &key);
            let inside = inside.unwrap_or_else(|| free(shape, node));
            self.inner(&header, node.and_then(|node| node.get(&key)), inside);
            self.path.pop();
        }
    }

    fn inner(&mut self, header: &str, node: Option<&Node>, shape: Shape<'_>) {
        let Some(list) = node.filter(|node| matches!(node.body, Body::List(_))) else {
            return self.table(&format!("[{header}]"), node, shape);
        };
        let layers = shape.layers(node);
        let items = layers.iter().find_map(|layer| layer.items());
        let items = items.unwrap_or_else(|| shape.anything());
        for (index, item) in list.items().iter().enumerate() {
            self.path.push(Step::Item(index));
            self.table(&format!("[[{header}]]"), Some(item), items);
            self.path.pop();
        }
    }

    fn header(&mut self, header: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{gap}{header}");
    }

    fn said(&mut self, key: &str, value: &Node) -> Line {
        let mut line = String::new();
        push_key(&mut line, key);
        line.push_str(" = ");
        self.value(value, &mut line);
        let place = match &value.origin {
            Origin::Default => "default".to_owned(),
            origin => self.document.place(origin).to_string(),
        };
        (line, place)
    }

    fn value(&mut self, node: &Node, line: &mut String) {
        match &node.body {
            Body::Text(text) if self.is_hidden(text) => line.push_str(HIDDEN),
            Body::List(items) => {
                line.push('[');
                for (index, item) in items.iter().enumerate() {
                    line.push_str(if index > 0 { ", " } else { "" });
                    self.path.push(Step::Item(index));
                    self.value(item, line);
                    self.path.pop();
                }
                line.push(']');
            }
            _ => line.push_str(&written(&node.to_json())),
        }
    }

    /// True for secrets, and for addresses with a user in them.
    fn is_hidden(&self, text: &str) -> bool {
        let is_secret = self.secrets.contains(&self.path) && !is_reference(text);
        is_secret || (text.contains("://") && text.contains('@'))
    }

    fn write(&mut self, lines: &[Line]) {
        let lengths = lines.iter().map(|(line, _)| line.chars().count());
        let short = lengths.filter(|length| *length <= COMMENT_COLUMN_MAX);
        let column = short.max().unwrap_or(0);
        for (line, place) in lines {
            let _ = match place.as_str() {
                "" => writeln!(self.text, "{line}"),
                place => writeln!(self.text, "{line:column$}  # {place}"),
            };
        }
    }
}

/// The keys that a table may have, and those it has.
fn keys(node: Option<&Node>, shape: Shape<'_>) -> Vec<String> {
    let layers = shape.layers(node);
    let named = layers
        .iter()
        .filter_map(|layer| layer.get("properties")?.as_object());
    let named = named.flat_map(|properties| properties.keys());
    let present = node
        .and_then(Node::as_table)
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

fn default<'a>(shape: Shape<'a>, node: Option<&Node>, key: &str) -> Option<&'a Value> {
    let layers = shape.layers(node);
    let mut properties = layers.iter().filter_map(|layer| layer.property(key));
    properties.find_map(|property| property.get("default").filter(|value| !value.is_null()))
}

/// True for a table that is there with its defaults when it is not given.
fn is_section(shape: Shape<'_>, node: Option<&Node>, key: &str) -> bool {
    let named = shape.named(node, key);
    let layers = named.map(|shape| shape.layers(None)).unwrap_or_default();
    layers.iter().any(|layer| layer.get("properties").is_some())
}

fn free<'a>(shape: Shape<'a>, node: Option<&Node>) -> Shape<'a> {
    let layers = shape.layers(node);
    let free = layers.iter().filter(|layer| layer.speaks_of_free_values());
    let mut free = free.filter_map(|layer| layer.free_values());
    free.next().unwrap_or_else(|| shape.anything())
}

fn unsaid(key: &str, default: Option<&Value>) -> Line {
    let mut line = String::new();
    push_key(&mut line, key);
    match default {
        Some(default) => (
            format!("{line} = {}", written(default)),
            "default".to_owned(),
        ),
        None => (format!("# {line} is not set"), String::new()),
    }
}

/// True for what is shown under a header of its own.
fn holds_tables(node: &Node) -> bool {
    match &node.body {
        Body::Table(_) => true,
        Body::List(items) => items.iter().any(|item| matches!(item.body, Body::Table(_))),
        _ => false,
    }
}

/// A value as TOML writes it.
fn written(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(written).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                let mut name = String::new();
                push_key(&mut name, key);
                format!("{name} = {}", written(value))
            };
            let fields: Vec<_> = fields.iter().map(field).collect();
            match fields.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", fields.join(", ")),
            }
        }
        // Strings, numbers and truth values are written as in JSON.
        value => value.to_string(),
    }
}
