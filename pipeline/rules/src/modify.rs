//! Changes of a payload: a merge patch (RFC 7396) whose strings may be templates. What a template brings in is data:
//! it is set as it is, a null or an object in it is no instruction of the patch. The payload is not read into a tree:
//! what the patch does not name is copied byte for byte, so that no number loses a digit.

use std::borrow::Cow;

use acteon_core::Payload;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::facts::Facts;
use crate::fault::Fault;
use crate::json;
use crate::path::Known;
use crate::problems::Problems;
use crate::template::Template;
use crate::yaml::{Data, Node};

/// How many bytes the templates of one rule may write, and by how much all rules together may lengthen a payload.
pub(crate) const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// How deep the changes may be nested.
const DEPTH_MAX: usize = 32;

/// A merge patch.
#[derive(Debug)]
pub(crate) enum Patch {
    /// Null removes a member.
    Literal(Value),
    Text(Template),
    List(Box<[Patch]>),
    Object(Box<[(Box<str>, Patch)]>),
}

/// Reads the patches of one rule.
pub(crate) struct PatchReader<'r> {
    pub(crate) known: &'r mut Known,
    pub(crate) zone: u32,
    pub(crate) problems: &'r mut Problems,
}

impl PatchReader<'_> {
    /// None when anything was wrong; what it was is among the problems.
    pub(crate) fn read(&mut self, node: &Node) -> Option<Patch> {
        self.nested(node, 1)
    }

    fn nested(&mut self, node: &Node, depth: usize) -> Option<Patch> {
        if depth > DEPTH_MAX {
            let message = format!("changes are nested deeper than {DEPTH_MAX} levels");
            self.problems.at(node.place, message);
            return None;
        }
        match &node.data {
            Data::Null => Some(Patch::Literal(Value::Null)),
            Data::Bool(flag) => Some(Patch::Literal((*flag).into())),
            Data::Number(number) => Some(Patch::Literal(number.to_json())),
            Data::Text(text) => match Template::read(text, self.known, self.zone) {
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

impl Patch {
    /// The changed payload.
    pub(crate) fn apply(&self, facts: &mut Facts<'_>) -> Result<Payload, Fault> {
        let payload = facts.payload();
        let mut writer = Writer {
            facts,
            room: OUTPUT_BYTES_MAX,
            out: Vec::with_capacity(payload.len()),
        };
        writer.merged(Some(payload), self)?;
        let Writer { facts, out, .. } = writer;
        if json::depth(&out) > Payload::DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
        if out.len() > facts.action().payload.len() + OUTPUT_BYTES_MAX {
            return Err(Fault::TooLong);
        }
        let raw: &RawValue = serde_json::from_slice(&out).map_err(Fault::Unreadable)?;
        Payload::from_value(&raw).map_err(Fault::Unreadable)
    }
}

/// Writes the changed payload.
struct Writer<'w, 'a> {
    facts: &'w mut Facts<'a>,
    /// How many bytes templates may still bring in.
    room: usize,
    out: Vec<u8>,
}

impl Writer<'_, '_> {
    /// `target` with the patch merged into it.
    fn merged(&mut self, target: Option<&[u8]>, patch: &Patch) -> Result<(), Fault> {
        let Patch::Object(changes) = patch else {
            return self.value(patch);
        };
        let mut members: Vec<_> = match target {
            Some(object @ [b'{', ..]) => json::members(object).collect(),
            _ => Vec::new(),
        };
        keep_last(&mut members);
        self.out.push(b'{');
        for (key, value) in &members {
            match changes
                .iter()
                .find(|(name, _)| name.as_bytes() == key.as_ref())
            {
                None => {
                    self.key(key);
                    self.out.extend_from_slice(value);
                }
                Some((_, Patch::Literal(Value::Null))) => {}
                Some((_, change)) => {
                    self.key(key);
                    self.merged(Some(value), change)?;
                }
            }
        }
        for (name, change) in changes {
            let is_removal = matches!(change, Patch::Literal(Value::Null));
            let is_known = members
                .iter()
                .any(|(key, _)| key.as_ref() == name.as_bytes());
            if !is_removal && !is_known {
                self.key(name.as_bytes());
                self.merged(None, change)?;
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The value itself, as inside of a list, where nothing is merged.
    fn value(&mut self, patch: &Patch) -> Result<(), Fault> {
        match patch {
            Patch::Literal(value) => self.out.extend_from_slice(value.to_string().as_bytes()),
            Patch::Text(template) => {
                template.write(self.facts, &mut self.room, &mut self.out)?;
            }
            Patch::List(items) => {
                self.out.push(b'[');
                for item in items {
                    self.comma(b'[');
                    self.value(item)?;
                }
                self.out.push(b']');
            }
            Patch::Object(members) => {
                self.out.push(b'{');
                for (key, item) in members {
                    self.key(key.as_bytes());
                    self.value(item)?;
                }
                self.out.push(b'}');
            }
        }
        Ok(())
    }

    fn key(&mut self, key: &[u8]) {
        self.comma(b'{');
        json::write_text(key, &mut self.out);
        self.out.push(b':');
    }

    /// A comma, unless the list or object has just been opened.
    fn comma(&mut self, opening: u8) {
        if self.out.last() != Some(&opening) {
            self.out.push(b',');
        }
    }
}

/// Of members with equal keys only the last, where the first stood.
fn keep_last(members: &mut Vec<(Cow<'_, [u8]>, &[u8])>) {
    let mut last: HashMap<Vec<u8>, usize> = HashMap::with_capacity(members.len());
    let mut kept = 0;
    for at in 0..members.len() {
        match last.entry_ref(members[at].0.as_ref()) {
            EntryRef::Occupied(first) => members[*first.get()].1 = members[at].1,
            EntryRef::Vacant(new) => {
                new.insert(kept);
                members.swap(kept, at);
                kept += 1;
            }
        }
    }
    members.truncate(kept);
}
