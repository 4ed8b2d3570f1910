//! Keeps the tree of the configuration, so that an error found later, when the parts are built, is reported with the
//! location of the value.

use std::cmp::Reverse;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::document::Document;
use crate::errors::Problem;
use crate::tree::{NodeValue, PathStep, TreeNode, TreePath, ValueOrigin, spell};

/// Shorter texts are removed from messages only inside quotes.
const UNQUOTED_BYTES_MIN: usize = 4;

/// All layers in one tree, secrets resolved.
pub(crate) struct ConfigTree {
    pub(crate) root: TreeNode,
    pub(crate) document: Document,
    /// The paths of the secrets.
    pub(crate) secrets: Vec<TreePath>,
}

/// A part of the configuration, to locate errors in.
#[derive(Clone)]
pub struct Section {
    tree: Arc<ConfigTree>,
    path: TreePath,
}

impl Section {
    pub(crate) fn new(tree: &Arc<ConfigTree>, path: &[PathStep]) -> Self {
        Self {
            tree: tree.clone(),
            path: path.to_vec(),
        }
    }

    /// The folder of the configuration file, to which paths are relative. Empty if there is no file.
    pub fn folder(&self) -> &Path {
        self.tree.document.folder()
    }

    /// A problem with the value at `key`, such as `port` or `headers.X-Key`, in this section. A missing key has the
    /// location of its section. Secrets are removed from `message`.
    pub fn problem(&self, key: &str, message: &str) -> Problem {
        let root = &self.tree.root;
        let (inside, absent) = self.tree.find(&self.path, key);
        let path = [self.path.as_slice(), inside.as_slice()].concat();
        let location = self.tree.document.location(self.tree.origin(&path));
        let spelled = spell(root, &path);
        let key = match (spelled.is_empty(), absent.is_empty()) {
            (_, true) => spelled,
            (true, false) => absent.to_owned(),
            (false, false) => format!("{spelled}.{absent}"),
        };
        Problem::new(location, key, &self.tree.without_secrets(message))
    }
}

impl fmt::Debug for Section {
    /// Shows no values, because they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = spell(&self.tree.root, &self.path);
        f.debug_tuple("Section").field(&path).finish()
    }
}

impl ConfigTree {
    /// The origin of the innermost value on `path` that is not a default.
    fn origin(&self, path: &[PathStep]) -> &ValueOrigin {
        let nodes = (1..=path.len()).rev();
        let mut nodes = nodes.filter_map(|depth| self.root.at(&path[..depth]));
        let given = nodes.find(|node| node.origin != ValueOrigin::Default);
        given.map_or(&ValueOrigin::Default, |node| &node.origin)
    }

    /// Follows a path as serde writes it, such as `headers.x-key` or `codes[2].from`, as far as the tree has it. Returns
    /// the path found, and the rest.
    pub(crate) fn find<'a>(&self, path: &[PathStep], written: &'a str) -> (TreePath, &'a str) {
        let mut found = TreePath::new();
        let mut node = self.root.at(path);
        let mut rest = written;
        while let Some(at) = node.filter(|_| !rest.is_empty()) {
            let Some((step, after)) = next_step(at, rest) else {
                break;
            };
            rest = after;
            found.push(step);
            node = self.root.at(&[path, found.as_slice()].concat());
        }
        (found, rest)
    }

    /// Removes secrets from a message, and addresses that may contain one. Libraries quote values that they refuse.
    pub(crate) fn without_secrets(&self, message: &str) -> String {
        let secrets = self.secrets.iter();
        let mut texts: Vec<_> = secrets.filter_map(|p| self.root.at(p)?.text()).collect();
        collect_addresses(&self.root, &mut texts);
        texts.sort_by_key(|text| Reverse(text.len()));
        texts.iter().fold(message.to_owned(), |message, text| {
            let message = message.replace(&format!("{text:?}"), "(not shown)");
            if text.len() < UNQUOTED_BYTES_MIN {
                message
            } else {
                message.replace(text, "(not shown)")
            }
        })
    }
}

/// The first step of `written`, and the rest. Keys may contain dots; the longest matching key wins.
fn next_step<'a>(node: &TreeNode, written: &'a str) -> Option<(PathStep, &'a str)> {
    match &node.body {
        NodeValue::Table(table) => {
            let ends = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
            let fits = |key: &&String| written.strip_prefix(key.as_str()).is_some_and(ends);
            let key = table.keys().filter(fits).max_by_key(|key| key.len())?;
            let rest = &written[key.len()..];
            Some((
                PathStep::Key(key.clone()),
                rest.strip_prefix('.').unwrap_or(rest),
            ))
        }
        NodeValue::List(_) => {
            let (index, rest) = written.strip_prefix('[')?.split_once(']')?;
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            Some((PathStep::Item(index.parse().ok()?), rest))
        }
        _ => None,
    }
}

fn collect_addresses<'a>(node: &'a TreeNode, texts: &mut Vec<&'a str>) {
    match &node.body {
        NodeValue::Text(text) if text.contains("://") || text.contains('@') => texts.push(text),
        NodeValue::List(items) => items.iter().for_each(|item| collect_addresses(item, texts)),
        NodeValue::Table(table) => {
            let nodes = table.values().map(|entry| &entry.node);
            nodes.for_each(|node| collect_addresses(node, texts));
        }
        _ => {}
    }
}
