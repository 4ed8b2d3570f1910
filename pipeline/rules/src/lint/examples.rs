//! Labels and payload fields that a rule reads but no example has: probably a typing mistake. The examples are the
//! actions that rule tests dispatch, and the fields that rules set. Without examples there are no warnings.

use hashbrown::HashSet;

use super::rule_text::each_mapping;
use super::{RuleText, Warnings, conditions, entries, get, items, text};
use crate::path::{FactPath, PathTable, PathTarget, Segment};
use crate::problems::{LineColumn, nearest};
use crate::rule::Rule;
use crate::settings::CompileSettings;
use crate::yaml::{Data, Node};

/// The fields that actions have.
pub(super) struct Pool<'n> {
    payloads: Vec<&'n Node>,
    labels: HashSet<&'n str>,
    dispatched: usize,
}

impl<'n> Pool<'n> {
    /// `examples` are files of rule tests, `rules` all rules.
    pub(super) fn new(
        examples: impl Iterator<Item = &'n Node>,
        rules: impl Iterator<Item = &'n Node>,
    ) -> Self {
        let mut pool = Self {
            payloads: Vec::new(),
            labels: HashSet::new(),
            dispatched: 0,
        };
        examples.for_each(|example| pool.collect(example));
        let changes = rules.filter_map(|rule| get(get(rule, "action")?, "changes"));
        pool.payloads.extend(changes);
        pool
    }

    /// Collects the actions of a file of rule tests, wherever they are in it.
    fn collect(&mut self, node: &'n Node) {
        items(node).iter().for_each(|item| self.collect(item));
        for (key, value) in entries(node) {
            match key {
                "dispatch" => {
                    self.dispatched += 1;
                    self.action(value);
                }
                "defaults" => self.action(value),
                _ => self.collect(value),
            }
        }
    }

    fn action(&mut self, action: &'n Node) {
        self.payloads.extend(get(action, "payload"));
        let metadata = get(action, "metadata");
        let nested = metadata.and_then(|metadata| get(metadata, "labels"));
        for labels in [metadata, nested].into_iter().flatten() {
            self.labels.extend(entries(labels).map(|(label, _)| label));
        }
    }

    /// The names that exist where the path leads to nothing. None if the path leads somewhere.
    fn instead_of(&self, segments: &[Segment]) -> Option<Vec<&'n str>> {
        let mut level = self.payloads.clone();
        for segment in segments {
            // The value of a template is unknown.
            if level
                .iter()
                .any(|node| text(node).is_some_and(|text| text.contains("{{")))
            {
                return None;
            }
            let next: Vec<_> = level.iter().flat_map(|node| step(node, segment)).collect();
            if next.is_empty() {
                let names = level.iter().flat_map(|node| entries(node));
                return Some(names.map(|(name, _)| name).collect());
            }
            level = next;
        }
        None
    }
}

/// The values after a step; any item of a list.
fn step<'n>(node: &'n Node, segment: &Segment) -> Vec<&'n Node> {
    match &node.data {
        Data::List(items) if segment.index.is_some() => items.iter().collect(),
        _ => get(node, &segment.key).into_iter().collect(),
    }
}

pub(super) fn warn(
    rules: &[(&Rule, RuleText<'_>)],
    pool: &Pool<'_>,
    settings: &CompileSettings,
    warnings: &mut Warnings,
) {
    if pool.dispatched == 0 {
        return;
    }
    let mut table = PathTable::new(&settings.environment);
    let mut reported = HashSet::new();
    for (_, RuleText { file, node }) in rules {
        for (place, written) in paths(node) {
            let Ok(path) = table.short_path(written, 0) else {
                continue;
            };
            if let Some(message) = missing(&path, pool)
                && reported.insert(path.to_string())
            {
                warnings.at(file, place, message);
            }
        }
    }
}

/// The warning for a path that no example has.
fn missing(path: &FactPath, pool: &Pool<'_>) -> Option<String> {
    let (sought, names): (_, Vec<&str>) = match &path.target {
        PathTarget::Label(label) if !pool.labels.contains(label.key.as_str()) => {
            (label.key.as_str(), pool.labels.iter().copied().collect())
        }
        PathTarget::Payload(inner) => {
            let names = pool.instead_of(&inner.segments)?;
            (inner.segments.last()?.key.as_ref(), names)
        }
        _ => return None,
    };
    let meant = match nearest(sought, &names) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    Some(format!("no action in the rule tests has `{path}`{meant}"))
}

/// The paths that a rule reads, with their places.
fn paths(rule: &Node) -> Vec<(LineColumn, &str)> {
    let mut paths = Vec::new();
    for condition in conditions(rule) {
        each_mapping(condition, &mut |mapping| {
            for (key, value) in entries(mapping) {
                match key {
                    "field" => paths.extend(text(value).map(|path| (value.place, path))),
                    "args" => paths.extend(items(value).iter().filter_map(argument)),
                    "state_seen" | "state_counter" => templates(value, &mut paths),
                    _ => {}
                }
            }
        });
    }
    if let Some(action) = get(rule, "action") {
        let keys = ["key", "group_by", "fingerprint_fields"].into_iter();
        let key = keys.flat_map(|key| get(action, key)).flat_map(items);
        paths.extend(key.filter_map(|item| Some((item.place, text(item)?))));
        if let Some(changes) = get(action, "changes") {
            templates(changes, &mut paths);
        }
    }
    paths
}

fn argument(node: &Node) -> Option<(LineColumn, &str)> {
    let is_path = |text: &&str| text.starts_with("action.");
    Some((node.place, text(node).filter(is_path)?))
}

/// The paths in the templates of a value.
fn templates<'n>(node: &'n Node, paths: &mut Vec<(LineColumn, &'n str)>) {
    items(node).iter().for_each(|item| templates(item, paths));
    entries(node).for_each(|(_, value)| templates(value, paths));
    let parts = text(node).unwrap_or_default().split("{{").skip(1);
    let inner = parts.filter_map(|part| part.split_once("}}"));
    paths.extend(inner.map(|(path, _)| (node.place, path.trim())));
}
