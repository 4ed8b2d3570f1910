//! Reads typed values from the tree of a file, and reports what was expected where there is something else.

use crate::number::Number;
use crate::problems::{FileProblems, LineColumn, one_of, unknown};
use crate::yaml::{Data, MappingKey, Node};

/// A mapping with known keys.
#[derive(Clone, Copy)]
pub struct Fields<'n> {
    /// Where the mapping begins.
    pub place: LineColumn,
    entries: &'n [(MappingKey, Node)],
}

impl<'n> Fields<'n> {
    /// The mapping of a node; `what` describes the mapping if the node is something else.
    pub fn of(node: &'n Node, what: &str, problems: &mut FileProblems) -> Option<Self> {
        match &node.data {
            Data::Map(entries) => Some(Self {
                place: node.place,
                entries,
            }),
            _ => expected(node, what, problems),
        }
    }

    /// Reports each key that is not among `known`.
    pub fn only(&self, what: &str, known: &[&str], problems: &mut FileProblems) {
        for (key, _) in self.entries {
            if !known.contains(&key.text.as_str()) {
                problems.at(key.place, unknown(what, &key.text, known));
            }
        }
    }

    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        let mut entries = self.entries.iter();
        entries.find_map(|(key, node)| (key.text == name).then_some(node))
    }

    /// The value of a key that must be there.
    pub fn required(&self, name: &str, problems: &mut FileProblems) -> Option<&'n Node> {
        let found = self.get(name);
        if found.is_none() {
            problems.at(self.place, format!("the key `{name}` is missing"));
        }
        found
    }

    /// All keys with their values, as written.
    pub fn iter(&self) -> impl Iterator<Item = (&'n MappingKey, &'n Node)> {
        self.entries.iter().map(|(key, node)| (key, node))
    }
}

impl Node {
    /// A string.
    pub fn text(&self, what: &str, problems: &mut FileProblems) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => expected(self, what, problems),
        }
    }

    /// A boolean.
    pub fn flag(&self, problems: &mut FileProblems) -> Option<bool> {
        match self.data {
            Data::Bool(flag) => Some(flag),
            _ => expected(self, "`true` or `false`", problems),
        }
    }

    /// A list.
    pub fn list(&self, what: &str, problems: &mut FileProblems) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => expected(self, what, problems),
        }
    }

    /// An integer between `least` and `most`.
    pub fn integer(&self, least: i64, most: i64, problems: &mut FileProblems) -> Option<i64> {
        let number = match &self.data {
            Data::Number(number) => Some(number.get()),
            _ => None,
        };
        let value = match number {
            Some(Number::Signed(value)) => Some(value),
            Some(Number::Unsigned(value)) => i64::try_from(value).ok(),
            _ => None,
        };
        let value = value.filter(|value| (least..=most).contains(value));
        if value.is_none() {
            let what = match (least, most) {
                (i64::MIN, _) => "an integer".to_owned(),
                _ => format!("an integer from {least} to {most}"),
            };
            return expected(self, &what, problems);
        }
        value
    }

    /// One of a closed set of words.
    pub fn word<T: Copy>(
        &self,
        what: &str,
        words: &[(&str, T)],
        problems: &mut FileProblems,
    ) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let text = self.text(&one_of(&names), problems)?;
        let found = words.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            problems.at(self.place, unknown(what, text, &names));
        }
        found.map(|(_, value)| *value)
    }
}

/// Reports that `what` was expected here.
pub fn expected<T>(node: &Node, what: &str, problems: &mut FileProblems) -> Option<T> {
    let message = format!("expected {what}, found {}", node.describe());
    problems.at(node.place, message);
    None
}
