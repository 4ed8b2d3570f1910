//! The layers above the file: environment variables and flags, written into the tree where the schema says they
//! belong, as the kind of value it wants there.

use std::sync::Arc;

use serde_json::Value;

use crate::document::parse_value;
use crate::envelope;
use crate::errors::{Complaint, hint};
use crate::shape::Shape;
use crate::tree::{Body, Entry, Node, Origin, Path, Step};

/// What all our variables begin with.
const PREFIX: &str = "ACTEON_";
/// What stands between the parts of a key in a variable's name.
const SEPARATOR: &str = "__";
/// The keys that decide which other keys there are, so they are written first.
const DECIDING: [&str; 2] = ["type", "backend"];

/// Writes `ACTEON_<SECTION>__<KEY>` variables into `root`. Others are left alone, unless they name a key but for an
/// underscore.
pub(crate) fn environment(
    root: &mut Node,
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
        origin: Origin::Variable(name.as_str().into()),
    });
    let mut complaints = write_all(root, schema, settings.collect());
    let known = (Shape::new(schema), Some(&*root));
    complaints.extend(others.into_iter().filter_map(|(key, name, text)| {
        let meant = meant(known, &fold(key))?;
        if is_link(text) || !meant.contains(SEPARATOR) {
            return None;
        }
        let message = format!(
            "the parts of a key are separated by two underscores: did you mean `{PREFIX}{meant}`?"
        );
        Some(Complaint::new(
            &[],
            &Origin::Variable(name.as_str().into()),
            message,
        ))
    }));
    complaints
}

/// What Kubernetes and Docker put into the environment for a service that is called like us, such as
/// `ACTEON_SERVER_PORT=tcp://10.0.0.1:8080`.
fn is_link(text: &str) -> bool {
    ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
}

/// The end of the variable's name for the key below `shape` that `folded` spells with one underscore between its parts.
fn meant((shape, node): (Shape<'_>, Option<&Node>), folded: &str) -> Option<String> {
    let inside = |name: &str, shape: Shape<'_>, node: Option<&Node>| {
        let rest = folded.strip_prefix(&fold(name))?;
        let upper = fold(name).to_uppercase();
        match rest.strip_prefix('_') {
            None => rest.is_empty().then_some(upper),
            Some(rest) => Some(format!("{upper}{SEPARATOR}{}", meant((shape, node), rest)?)),
        }
    };
    if let Some(items) = list_items(shape, node) {
        let mut named = node.map_or(&[][..], Node::items).iter();
        return named.find_map(|item| inside(item.get("name")?.text()?, items, Some(item)));
    }
    let mut names = shape.names(node).into_iter();
    names.find_map(|name| {
        let node = node.and_then(|node| node.get(name));
        inside(name, shape.named(node, name)?, node)
    })
}

/// Writes flags, given as dotted keys, into `root`.
pub(crate) fn flags(root: &mut Node, schema: &Value, flags: &[(String, String)]) -> Vec<Complaint> {
    let settings = flags.iter().map(|(key, text)| Setting {
        segments: key.split('.').map(str::to_owned).collect(),
        text,
        origin: Origin::Flag(Arc::from(key.as_str())),
    });
    write_all(root, schema, settings.collect())
}

/// One value from outside the file.
struct Setting<'a> {
    segments: Vec<String>,
    text: &'a str,
    origin: Origin,
}

fn write_all(root: &mut Node, schema: &Value, mut settings: Vec<Setting<'_>>) -> Vec<Complaint> {
    settings.sort_by_cached_key(|setting| {
        let last = setting.segments.last().map_or("", String::as_str);
        (!DECIDING.contains(&last), setting.origin.clone())
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

/// Finds the place that a setting means, and what the schema says of it.
fn locate<'a>(
    root: &Node,
    mut shape: Shape<'a>,
    setting: &Setting<'_>,
) -> Result<(Path, Shape<'a>), Complaint> {
    let mut path = Path::new();
    let mut node = Some(root);
    for segment in &setting.segments {
        let next = match list_items(shape, node) {
            Some(items) => item(node, segment).map(|index| (Step::Item(index), items)),
            None => key(shape, node, segment),
        };
        match next {
            Ok((step, inside)) => {
                path.push(step);
                shape = inside;
                node = root.at(&path);
            }
            Err(message) => {
                path.push(Step::Key(segment.clone()));
                return Err(Complaint::new(&path, &setting.origin, message));
            }
        }
    }
    Ok((path, shape))
}

/// The shape of the items, where a list of tables stands.
fn list_items<'a>(shape: Shape<'a>, node: Option<&Node>) -> Option<Shape<'a>> {
    let layers = shape.layers(node);
    let items = layers.iter().find_map(|layer| layer.items())?;
    items.kinds(None).contains(&"object").then_some(items)
}

/// The item of this name in a list of tables.
fn item(list: Option<&Node>, segment: &str) -> Result<usize, String> {
    let names = list.map_or(&[][..], Node::items).iter();
    let names = names.map(|item| item.get("name").and_then(Node::text).unwrap_or_default());
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
    node: Option<&Node>,
    segment: &str,
) -> Result<(Step, Shape<'a>), String> {
    let names = shape.names(node);
    if let Some(name) = names.iter().find(|name| fold(name) == fold(segment)) {
        let inside = shape.named(node, name).unwrap_or_else(|| shape.anything());
        return Ok((Step::Key((*name).to_owned()), inside));
    }
    let layers = shape.layers(node);
    let is_table = shape.kinds(node).contains(&"object");
    let free = layers.iter().filter(|layer| layer.speaks_of_free_values());
    match free.filter_map(|layer| layer.free_values()).next() {
        Some(inside) if is_table && !segment.is_empty() => {
            let present = node
                .and_then(Node::as_table)
                .into_iter()
                .flat_map(|table| table.keys());
            let spelled = present.into_iter().find(|key| fold(key) == fold(segment));
            let key = spelled.cloned().unwrap_or_else(|| segment.to_owned());
            Ok((Step::Key(key), inside))
        }
        _ => Err(format!("unknown key{}", hint(segment, names))),
    }
}

/// Names as the environment can spell them.
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

/// Reads `text` as the kind of value the schema wants. What cannot be read so stays text, for the check to refuse.
fn typed(text: &str, shape: Shape<'_>, origin: &Origin) -> Body {
    let kinds = shape.kinds(None);
    let wants = |kind: &str| kinds.contains(&kind);
    let trimmed = text.trim();
    let opens = |bracket| trimmed.starts_with(bracket);
    let read = match trimmed {
        "true" if wants("boolean") => Some(Body::Bool(true)),
        "false" if wants("boolean") => Some(Body::Bool(false)),
        _ if wants("array") && opens('[') || wants("object") && opens('{') => {
            parse_value(trimmed, origin)
        }
        _ => number(trimmed, &kinds),
    };
    match read {
        Some(body) => body,
        None if wants("array") && !wants("string") => list(trimmed, shape, origin),
        None => Body::Text(text.to_owned()),
    }
}

fn number(text: &str, kinds: &[&str]) -> Option<Body> {
    let (whole, broken) = (kinds.contains(&"integer"), kinds.contains(&"number"));
    let is_whole = || {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let huge = || is_whole().then(|| Body::Huge(text.to_owned()));
    let integer = || text.parse().ok().map(Body::Integer).or_else(huge);
    let float = || {
        text.parse()
            .ok()
            .filter(|n: &f64| n.is_finite())
            .map(Body::Float)
    };
    (whole || broken)
        .then(integer)
        .flatten()
        .or_else(|| broken.then(float).flatten())
}

/// Reads `a, b` as a list.
fn list(text: &str, shape: Shape<'_>, origin: &Origin) -> Body {
    let items = shape.layers(None).iter().find_map(|layer| layer.items());
    let items = items.unwrap_or_else(|| shape.anything());
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let nodes = parts.map(|part| Node {
        origin: origin.clone(),
        body: typed(part, items, origin),
    });
    Body::List(nodes.collect())
}

/// Puts a value at `path`, with the tables on the way. Where something else than a table stands in the way,
/// nothing is written: the check complains about that.
fn write(root: &mut Node, path: &[Step], body: Body, origin: &Origin) {
    let mut node = root;
    for step in path {
        let inside = match (step, &mut node.body) {
            (Step::Key(key), Body::Table(table)) => {
                let entry = table.entry(key.clone()).or_insert_with(|| Entry {
                    key: origin.clone(),
                    node: Node::table(origin.clone()),
                });
                Some(&mut entry.node)
            }
            (Step::Item(index), Body::List(items)) => items.get_mut(*index),
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
