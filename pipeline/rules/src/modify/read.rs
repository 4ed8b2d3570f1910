//! From the tree of a file to a [`Patch`].

use serde_json::value::RawValue;

use super::Patch;
use crate::path::PathTable;
use crate::problems::FileProblems;
use crate::template::Template;
use crate::yaml::{Data, Node};

/// How deep the changes may nest.
const DEPTH_MAX: usize = 32;

/// Reads the patch of one rule.
pub(crate) struct PatchReader<'r> {
    pub(crate) paths: &'r mut PathTable,
    pub(crate) zone: u32,
    pub(crate) problems: &'r mut FileProblems,
}

impl PatchReader<'_> {
    /// None if anything is wrong; the problems say what.
    pub(crate) fn read(&mut self, node: &Node) -> Option<Patch> {
        self.nested(node, 1)
    }

    /// A number in the digits of the file. YAML has forms that JSON has not, such as leading zeros.
    fn number(&mut self, node: &Node, text: &str) -> Option<Patch> {
        if serde_json::from_str::<&RawValue>(text).is_err() {
            self.problems.at(node.place, "write this number as in JSON");
            return None;
        }
        Some(Patch::Literal(text.into()))
    }

    fn nested(&mut self, node: &Node, depth: usize) -> Option<Patch> {
        if depth > DEPTH_MAX {
            let message = format!("changes are nested deeper than {DEPTH_MAX} levels");
            self.problems.at(node.place, message);
            return None;
        }
        match &node.data {
            Data::Null => Some(Patch::Removal),
            Data::Bool(flag) => Some(Patch::Literal(flag.to_string().into())),
            Data::Number(number) => self.number(node, &number.to_string()),
            Data::Text(text) => match Template::read(text, self.paths, self.zone) {
                Ok(template) => Some(Patch::Text(template)),
                Err(message) => {
                    self.problems.at(node.place, message);
                    None
                }
            },
            Data::List(items) => {
                let read: Vec<_> = items.iter().map(|i| self.nested(i, depth + 1)).collect();
                read.into_iter().collect::<Option<_>>().map(Patch::List)
            }
            Data::Map(entries) => {
                let mut member = |text: &str, node| {
                    let patch = self.nested(node, depth + 1)?;
                    Some((Box::from(text), patch))
                };
                let read: Vec<_> = entries.iter().map(|(k, n)| member(&k.text, n)).collect();
                read.into_iter().collect::<Option<_>>().map(Patch::Object)
            }
        }
    }
}
