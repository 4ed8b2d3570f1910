//! Changes a payload with a merge patch (RFC 7396) whose strings may be templates. A value from a template is data: a
//! null or an object in it is not an instruction of the patch. The payload is not parsed into a tree: members that the
//! patch does not name are copied byte for byte, so that no number loses a digit. `modify/read.rs` reads patches from
//! files.

mod read;

pub(crate) use read::PatchReader;

use std::borrow::Cow;

use acteon_core::Payload;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use serde_json::value::RawValue;

use crate::facts::Facts;
use crate::fault::{Fault, OUTPUT_BYTES_MAX};
use crate::json;
use crate::template::Template;

/// A merge patch.
#[derive(Debug)]
pub(crate) enum Patch {
    /// Null: removes the member.
    Removal,
    /// JSON text.
    Literal(Box<str>),
    Text(Template),
    List(Box<[Patch]>),
    Object(Box<[(Box<str>, Patch)]>),
}

impl Patch {
    /// The changed payload.
    pub(crate) fn apply(&self, facts: &mut Facts<'_>) -> Result<Payload, Fault> {
        let payload = facts.payload();
        let mut writer = Writer {
            facts,
            template_bytes_left: OUTPUT_BYTES_MAX,
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
    /// How many bytes templates may still add.
    template_bytes_left: usize,
    out: Vec<u8>,
}

impl Writer<'_, '_> {
    /// Writes `target` with the patch merged into it.
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
                Some((_, Patch::Removal)) => {}
                Some((_, change)) => {
                    self.key(key);
                    self.merged(Some(value), change)?;
                }
            }
        }
        for (name, change) in changes {
            let is_removal = matches!(change, Patch::Removal);
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

    /// Writes a value that replaces its target, as inside a list.
    fn value(&mut self, patch: &Patch) -> Result<(), Fault> {
        match patch {
            Patch::Removal => self.out.extend_from_slice(b"null"),
            Patch::Literal(json) => self.out.extend_from_slice(json.as_bytes()),
            Patch::Text(template) => {
                template.write(self.facts, &mut self.template_bytes_left, &mut self.out)?;
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

    /// Writes a comma unless the list or object has just been opened.
    fn comma(&mut self, opening: u8) {
        if self.out.last() != Some(&opening) {
            self.out.push(b',');
        }
    }
}

/// Of members with equal keys, keeps the last value at the position of the first.
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
