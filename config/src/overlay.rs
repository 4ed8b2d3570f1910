//! The layers above the file: writes environment variables and flags into the tree, at the key and as the type that the
//! schema defines.

use std::sync::Arc;

use serde_json::Value;

use crate::document::parse_value;
use crate::envelope;
use crate::errors::{Complaint, hint, intended_name};
use crate::shape::Shape;
use crate::tree::{Entry, NodeValue, PathStep, TreeNode, TreePath, ValueOrigin};

/// The prefix of all variables of Acteon.
const PREFIX: &str = "ACTEON_";
/// Separates the parts of a key in a variable's name.
const SEPARATOR: &str = "__";
/// The keys that determine which other keys exist. They are written first.
const TAGS: [&str; 2] = ["type", "backend"];

/// Writes `ACTEON_<SECTION>__<KEY>` variables into `root`. Reports a variable that names a whole section, that names a key
/// with one underscore too few, or that is not in capitals. Ignores all others.
pub(crate) fn environment(
    root: &mut TreeNode,
    schema: &Value,
    variables: &[(String, String)],
) -> Vec<Complaint> {
    let ours = variables
        .iter()
        .filter(|(name, _)| !name.starts_with(envelope::KEY_VARIABLE));
    let ours = ours.filter_map(|(name, text)| Some((name.strip_prefix(PREFIX)?, name, text)));
    let (settings, others): (Vec<_>, Vec<_>) = ours.partition(|(key, ..)| key.contains(SEPARATOR));
    let settings = settings.into_iter().map(|(key, name, text)| Setting {
        segments: key
            .to_lowercase()
            .split(SEPARATOR)
            .map(str::to_owned)
            .collect(),
        text,
        origin: ValueOrigin::Variable(name.as_str().into()),
    });
    let mut complaints = write_all(root, schema, settings.collect());
    complaints.extend(others.into_iter().filter_map(|(key, name, text)| {
        let is_setting = !is_link(text);
        let message = is_setting.then(|| mistake(Shape::new(schema), root, &fold(key)))??;
        Some(complaint(name, message))
    }));
    let names = variables.iter().map(|(name, _)| name.as_str());
    complaints.extend(names.filter_map(|name| {
        let capitals = name.to_ascii_uppercase();
        let is_ours = capitals.starts_with(PREFIX) && !capitals.starts_with(envelope::KEY_VARIABLE);
        let is_mistake = is_ours && !name.starts_with(PREFIX) && name.contains(SEPARATOR);
        let message =
            || format!("the names of variables are in capitals: did you mean `{capitals}`?");
        is_mistake.then(|| complaint(name, message()))
    }));
    complaints
}

fn complaint(variable: &str, message: String) -> Complaint {
    Complaint::new(&[], &ValueOrigin::Variable(variable.into()), message)
}

/// Why a variable without two underscores sets nothing, if it was probably intended as a setting. `folded` is its name
/// after the prefix.
fn mistake(shape: Shape<'_>, root: &TreeNode, folded: &str) -> Option<String> {
    let intended = intended(shape, Some(root), folded);
    if let Some(intended) = intended.filter(|name| name.contains(SEPARATOR)) {
        let message = format!(
            "the parts of a key are separated by two underscores: did you mean `{PREFIX}{intended}`?"
        );
        return Some(message);
    }
    let mut sections = shape.names(Some(root)).into_iter();
    sections.find_map(|section| {
        let rest = folded.strip_prefix(&fold(section))?;
        let inside = shape.named(Some(root), section)?;
        let node = root.get(section);
        let is_list = list_items(inside, node).is_some();
        let variable = format!("{PREFIX}{}{SEPARATOR}", fold(section).to_uppercase());
        if rest.is_empty() {
            let key = if is_list { "<NAME>__<KEY>" } else { "<KEY>" };
            return Some(format!(
                "a variable sets one key and not a whole section: did you mean `{variable}{key}`?"
            ));
        }
        let key = rest.strip_prefix('_').filter(|_| !is_list)?;
        let known = intended_name(key, inside.names(node))?.to_uppercase();
        Some(format!("unknown key; did you mean `{variable}{known}`?"))
    })
}

/// True for variables that Kubernetes and Docker set for a service named `acteon`, such as
/// `ACTEON_SERVER_PORT=tcp://10.0.0.1:8080`.
fn is_link(text: &str) -> bool {
    ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
}

/// The correct end of the name of a variable. `folded` spells a key below `shape` with one underscore between its parts.
fn intended(shape: Shape<'_>, node: Option<&TreeNode>, folded: &str) -> Option<String> {
    let inside = |name: &str, shape: Shape<'_>, node: Option<&TreeNode>| {
        let rest = folded.strip_prefix(&fold(name))?;
        let upper = fold(name).to_uppercase();
        match rest.strip_prefix('_') {
            None => rest.is_empty().then_some(upper),
            Some(rest) => Some(format!(
                "{upper}{SEPARATOR}{}",
                intended(shape, node, rest)?
            )),
        }
    };
    if let Some(items) = list_items(shape, node) {
        let mut named = node.map_or(&[][..], TreeNode::items).iter();
        return named.find_map(|item| inside(item.get("name")?.text()?, items, Some(item)));
    }
    let mut names = shape.names(node).into_iter();
    names.find_map(|name| {
        let node = node.and_then(|node| node.get(name));
        inside(name, shape.named(node, name)?, node)
    })
}

/// Writes flags, given as dotted keys, into `root`.
pub(crate) fn flags(
    root: &mut TreeNode,
    schema: &Value,
    flags: &[(String, String)],
) -> Vec<Complaint> {
    let settings = flags.iter().map(|(key, text)| Setting {
        segments: key.split('.').map(str::to_owned).collect(),
        text,
        origin: ValueOrigin::Flag(Arc::from(key.as_str())),
    });
    write_all(root, schema, settings.collect())
}

/// A value from outside the file.
struct Setting<'a> {
    segments: Vec<String>,
    text: &'a str,
    origin: ValueOrigin,
}

fn write_all(
    root: &mut TreeNode,
    schema: &Value,
    mut settings: Vec<Setting<'_>>,
) -> Vec<Complaint> {
    settings.sort_by_cached_key(|setting| {
        let last = setting.segments.last().map_or("", String::as_str);
        (!TAGS.contains(&last), setting.origin.clone())
    });
    let mut complaints = Vec::new();
    for setting in settings {
        match locate(root, Shape::new(schema), &setting) {
            Ok((path, shape)) => {
                let body = typed(setting.text, shape, &setting.origin);
                write(root, &path, body, &setting.origin);
            }
            Err(complaint) => complaints.push(complaint),
        }
    }
    complaints
}

/// The path of a setting, and its schema.
fn locate<'a>(
    root: &TreeNode,
    mut shape: Shape<'a>,
    setting: &Setting<'_>,
) -> Result<(TreePath, Shape<'a>), Complaint> {
    let mut path = TreePath::new();
    let mut node = Some(root);
    for segment in &setting.segments {
        let next = match list_items(shape, node) {
            Some(items) => item(node, segment).map(|index| (PathStep::Item(index), items)),
            None => key(shape, node, segment),
        };
        match next {
            Ok((step, inside)) => {
                path.push(step);
                shape = inside;
                node = root.at(&path);
            }
            Err(message) => {
                path.push(PathStep::Key(segment.clone()));
                return Err(Complaint::new(&path, &setting.origin, message));
            }
        }
    }
    Ok((path, shape))
}

/// The schema of the items, if this is a list of tables.
fn list_items<'a>(shape: Shape<'a>, node: Option<&TreeNode>) -> Option<Shape<'a>> {
    let layers = shape.layers(node);
    let items = layers.iter().find_map(|layer| layer.items())?;
    items.kinds(None).contains(&"object").then_some(items)
}

/// The index of the named item in a list of tables.
fn item(list: Option<&TreeNode>, segment: &str) -> Result<usize, String> {
    let names = list.map_or(&[][..], TreeNode::items).iter();
    let names = names.map(|item| {
        item.get("name")
            .and_then(TreeNode::text)
            .unwrap_or_default()
    });
    let names: Vec<_> = names.collect();
    let exact = names.iter().position(|name| *name == segment);
    let mut alike = (0..names.len()).filter(|index| fold(names[*index]) == fold(segment));
    match (exact, alike.next(), alike.next()) {
        (Some(index), _, _) | (None, Some(index), None) => Ok(index),
        (None, Some(_), Some(_)) => Err("more than one entry has a name like this".into()),
        (None, None, _) => Err(format!("no entry has this name{}", hint(segment, names))),
    }
}

fn key<'a>(
    shape: Shape<'a>,
    node: Option<&TreeNode>,
    segment: &str,
) -> Result<(PathStep, Shape<'a>), String> {
    let names = shape.names(node);
    if let Some(name) = names.iter().find(|name| fold(name) == fold(segment)) {
        let inside = shape.named(node, name).unwrap_or_else(|| shape.anything());
        return Ok((PathStep::Key((*name).to_owned()), inside));
    }
    let layers = shape.layers(node);
    let is_table = shape.kinds(node).contains(&"object");
    let free = layers
        .iter()
        .filter(|layer| layer.has_rule_for_free_values());
    match free.filter_map(|layer| layer.free_values()).next() {
        Some(inside) if is_table && !segment.is_empty() => {
            let present = node
                .and_then(TreeNode::as_table)
                .into_iter()
                .flat_map(|table| table.keys());
            let spelled = present.into_iter().find(|key| fold(key) == fold(segment));
            let key = spelled.cloned().unwrap_or_else(|| segment.to_owned());
            Ok((PathStep::Key(key), inside))
        }
        _ => Err(format!("unknown key{}", hint(segment, names))),
    }
}

/// Spells a name as the environment can.
fn fold(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    name.chars().map(plain).collect()
}

/// Parses `text` as the type that the schema defines. Text that cannot be parsed stays text, and the check reports it.
fn typed(text: &str, shape: Shape<'_>, origin: &ValueOrigin) -> NodeValue {
    let kinds = shape.kinds(None);
    let wants = |kind: &str| kinds.contains(&kind);
    let trimmed = text.trim();
    let opens = |bracket| trimmed.starts_with(bracket);
    let read = match trimmed {
        "true" if wants("boolean") => Some(NodeValue::Bool(true)),
        "false" if wants("boolean") => Some(NodeValue::Bool(false)),
        _ if wants("array") && opens('[') || wants("object") && opens('{') => {
            parse_value(trimmed, origin)
        }
        _ => number(trimmed, &kinds),
    };
    match read {
        Some(body) => body,
        None if wants("array") && !wants("string") => list(trimmed, shape, origin),
        None => NodeValue::Text(text.to_owned()),
    }
}

fn number(text: &str, kinds: &[&str]) -> Option<NodeValue> {
    let wants_integer = kinds.contains(&"integer");
    let wants_number = kinds.contains(&"number");
    let is_integer = || {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let huge = || is_integer().then(|| NodeValue::Huge(text.to_owned()));
    let integer = || text.parse().ok().map(NodeValue::Integer).or_else(huge);
    let float = || {
        text.parse()
            .ok()
            .filter(|n: &f64| n.is_finite())
            .map(NodeValue::Float)
    };
    (wants_integer || wants_number)
        .then(integer)
        .flatten()
        .or_else(|| wants_number.then(float).flatten())
}

/// Reads `a, b` as a list.
fn list(text: &str, shape: Shape<'_>, origin: &ValueOrigin) -> NodeValue {
    let items = shape.layers(None).iter().find_map(|layer| layer.items());
    let items = items.unwrap_or_else(|| shape.anything());
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let nodes = parts.map(|part| TreeNode {
        origin: origin.clone(),
        body: typed(part, items, origin),
    });
    NodeValue::List(nodes.collect())
}

/// Writes a value at `path`, and creates missing tables. If another value is in the way, nothing is written, and the
/// check reports that value.
fn write(root: &mut TreeNode, path: &[PathStep], body: NodeValue, origin: &ValueOrigin) {
    let mut node = root;
    for step in path {
        let inside = match (step, &mut node.body) {
            (PathStep::Key(key), NodeValue::Table(table)) => {
                let entry = table.entry(key.clone()).or_insert_with(|| Entry {
                    key: origin.clone(),
                    node: TreeNode::table(origin.clone()),
                });
                Some(&mut entry.node)
            }
            (PathStep::Item(index), NodeValue::List(items)) => items.get_mut(*index),
            _ => None,
        };
        match inside {
            Some(inside) => node = inside,
            None => return,
        }
    }
    node.body = body;
    node.origin = origin.clone();
}
