//! Keeps the configuration as it was written beside the settings made from it, so that an error found later, when the
//! parts are built, is reported with the place of the value.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use crate::document::Document;
use crate::errors::Problem;
use crate::tree::{Body, Node, Origin, Path, Step, spell};

/// Texts shorter than this are struck out of messages only inside quotes.
const SHORT: usize = 4;

/// All layers in one tree, secrets resolved.
pub(crate) struct Whole {
    pub(crate) root: Node,
    pub(crate) document: Document,
    /// Where the secrets are.
    pub(crate) secrets: Vec<Path>,
}

/// A part of the configuration as it was written.
#[derive(Clone)]
pub struct Section {
    whole: Arc<Whole>,
    path: Path,
}

impl Section {
    pub(crate) fn new(whole: &Arc<Whole>, path: &[Step]) -> Self {
        Self {
            whole: whole.clone(),
            path: path.to_vec(),
        }
    }

    /// What is wrong with the value at `key`, such as `port` or `headers.X-Key`, in this section. A key that was not given
    /// is placed where its section was. Secrets are struck out of `message`.
    pub fn problem(&self, key: &str, message: &str) -> Problem {
        let root = &self.whole.root;
        let (inside, absent) = self.whole.find(&self.path, key);
        let path = [self.path.as_slice(), inside.as_slice()].concat();
        let place = self.whole.document.place(self.whole.origin(&path));
        let spelled = spell(root, &path);
        let key = match (spelled.is_empty(), absent.is_empty()) {
            (_, true) => spelled,
            (true, false) => absent.to_owned(),
            (false, false) => format!("{spelled}.{absent}"),
        };
        Problem::new(place, key, &self.whole.without_secrets(message))
    }
}

impl fmt::Debug for Section {
    /// Shows nothing of what is written there: it may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = spell(&self.whole.root, &self.path);
        f.debug_tuple("Section").field(&path).finish()
    }
}

impl Whole {
    /// Where the innermost part of `path` was said that was said at all.
    fn origin(&self, path: &[Step]) -> &Origin {
        let nodes = (1..=path.len()).rev();
        let mut nodes = nodes.filter_map(|depth| self.root.at(&path[..depth]));
        let said = nodes.find(|node| node.origin != Origin::Default);
        said.map_or(&Origin::Default, |node| &node.origin)
    }

    /// Follows a path as serde writes it, such as `headers.x-key` or `codes[2].from`, as far as it leads, and gives what is
    /// left of it.
    pub(crate) fn find<'a>(&self, path: &[Step], written: &'a str) -> (Path, &'a str) {
        let mut found = Path::new();
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

    /// Libraries like to quote what they refuse: secrets, and addresses that may hold one, are struck out.
    pub(crate) fn without_secrets(&self, message: &str) -> String {
        let secrets = self.secrets.iter();
        let mut texts: Vec<_> = secrets.filter_map(|p| self.root.at(p)?.text()).collect();
        collect_addresses(&self.root, &mut texts);
        texts.sort_by_key(|text| Reverse(text.len()));
        texts.iter().fold(message.to_owned(), |message, text| {
            let message = message.replace(&format!("{text:?}"), "(not shown)");
            if text.len() < SHORT {
                message
            } else {
                message.replace(text, "(not shown)")
            }
        })
    }
}

/// The step with which `written` begins, and what follows. A key may itself hold dots: the longest wins.
fn next_step<'a>(node: &Node, written: &'a str) -> Option<(Step, &'a str)> {
    match &node.body {
        Body::Table(table) => {
            let ends = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
            let fits = |key: &&String| written.strip_prefix(key.as_str()).is_some_and(ends);
            let key = table.keys().filter(fits).max_by_key(|key| key.len())?;
            let rest = &written[key.len()..];
            Some((
                Step::Key(key.clone()),
                rest.strip_prefix('.').unwrap_or(rest),
            ))
        }
        Body::List(_) => {
            let (index, rest) = written.strip_prefix('[')?.split_once(']')?;
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            Some((Step::Item(index.parse().ok()?), rest))
        }
        _ => None,
    }
}

fn collect_addresses<'a>(node: &'a Node, texts: &mut Vec<&'a str>) {
    match &node.body {
        Body::Text(text) if text.contains("://") || text.contains('@') => texts.push(text),
        Body::List(items) => items.iter().for_each(|item| collect_addresses(item, texts)),
        Body::Table(table) => {
            let nodes = table.values().map(|entry| &entry.node);
            nodes.for_each(|node| collect_addresses(node, texts));
        }
        _ => {}
    }
}
