//! Paths to the values that rules read: `action.payload.items.0`, `time.hour`, `env.REGION`. They are parsed and
//! resolved when the rules are loaded; `facts.rs` reads their values.

use std::fmt;

use compact_str::CompactString;
use hashbrown::HashMap;
use jiff::tz::TimeZone;

use crate::moment::{TIME_FIELDS, TimeField};
use crate::problems::{quoted, unknown};

pub(crate) const LENGTH_MAX: usize = 1024;
pub(crate) const HEADS: [&str; 4] = ["action", "time", "now", "env"];

pub(crate) const PAYLOAD: &str = "payload";
pub(crate) const ACTION_FIELDS: [(&str, ActionField); 13] = [
    ("id", ActionField::Id),
    ("namespace", ActionField::Namespace),
    ("tenant", ActionField::Tenant),
    ("provider", ActionField::Provider),
    ("action_type", ActionField::ActionType),
    ("metadata", ActionField::Metadata),
    ("dedup_key", ActionField::DedupKey),
    ("status", ActionField::Status),
    ("fingerprint", ActionField::Fingerprint),
    ("starts_at", ActionField::StartsAt),
    ("ends_at", ActionField::EndsAt),
    ("created_at", ActionField::CreatedAt),
    ("trace_context", ActionField::TraceContext),
];

/// A path to a value, with its text in the rule file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FactPath {
    text: Box<str>,
    pub(crate) target: PathTarget,
}

/// What a path points to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PathTarget {
    Field(ActionField),
    Label(LabelPath),
    TraceItem(CompactString),
    Payload(PayloadPath),
    /// The zone is an index into [`PathTable::zones`].
    Time(u32, TimeField),
    Now,
    Environment(CompactString),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ActionField {
    Id,
    Namespace,
    Tenant,
    Provider,
    ActionType,
    Metadata,
    DedupKey,
    Status,
    Fingerprint,
    StartsAt,
    EndsAt,
    CreatedAt,
    TraceContext,
}

/// Identifies a label or a place in the payload, so that its value is looked up once per action.
pub(crate) type PathNumber = u32;

/// A label by its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LabelPath {
    pub(crate) number: PathNumber,
    pub(crate) key: CompactString,
}

/// A place in the payload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PayloadPath {
    pub(crate) number: PathNumber,
    pub(crate) segments: Box<[Segment]>,
}

/// One step into an object or, if it is a number, into an object or a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Segment {
    pub(crate) key: Box<str>,
    pub(crate) index: Option<usize>,
}

/// Resolves and numbers the paths of a set while its files are loaded.
#[derive(Debug, Default)]
pub(crate) struct PathTable {
    environment: Vec<(CompactString, CompactString)>,
    pub(crate) zones: Vec<TimeZone>,
    /// By the segments after `action.`.
    numbers: HashMap<Box<[Segment]>, PathNumber>,
}

impl PathTable {
    pub(crate) fn new(environment: &[(CompactString, CompactString)]) -> Self {
        Self {
            environment: environment.to_vec(),
            ..Self::default()
        }
    }

    /// The number of a zone.
    pub(crate) fn zone(&mut self, zone: &TimeZone) -> u32 {
        let known = self.zones.iter().position(|known| known == zone);
        let at = known.unwrap_or_else(|| {
            self.zones.push(zone.clone());
            self.zones.len() - 1
        });
        u32::try_from(at).unwrap_or_default()
    }

    /// Reads a path that must have its head. `zone` is the rule's time zone.
    pub(crate) fn path(&mut self, text: &str, zone: u32) -> Result<FactPath, String> {
        let parts = split(text)?;
        let (head, rest) = parts.split_first().ok_or("a path is empty")?;
        let head = head.key.as_ref();
        let target = match head {
            "action" => self.action(rest)?,
            "time" => PathTarget::Time(zone, time_field(rest)?),
            "now" if rest.is_empty() => PathTarget::Now,
            "now" => return Err("`now` is a number and has no fields".into()),
            "env" => self.environment(rest)?,
            _ if is_action_field(head) => {
                let suggested = quoted(&format!("action.{text}"));
                return Err(format!(
                    "unknown path {}; did you mean {suggested}?",
                    quoted(text)
                ));
            }
            _ => return Err(unknown("path", head, &HEADS)),
        };
        Ok(FactPath {
            text: text.into(),
            target,
        })
    }

    /// Reads a path whose `action.` may be omitted.
    pub(crate) fn short_path(&mut self, text: &str, zone: u32) -> Result<FactPath, String> {
        let head = text.split('.').next().unwrap_or_default();
        if HEADS.contains(&head) {
            self.path(text, zone)
        } else {
            self.path(&format!("action.{text}"), zone)
        }
    }

    fn action(&mut self, all: &[Segment]) -> Result<PathTarget, String> {
        let Some((first, rest)) = all.split_first() else {
            return Err("`action` needs a field, such as `action.tenant`".into());
        };
        if first.key.as_ref() == PAYLOAD {
            return Ok(PathTarget::Payload(PayloadPath {
                number: self.number(all),
                segments: rest.into(),
            }));
        }
        match (action_field(&first.key)?, rest) {
            (field, []) => Ok(PathTarget::Field(field)),
            (ActionField::Metadata, [label]) => Ok(PathTarget::Label(LabelPath {
                number: self.number(all),
                key: label.key.as_ref().into(),
            })),
            (ActionField::TraceContext, [item]) => {
                Ok(PathTarget::TraceItem(item.key.as_ref().into()))
            }
            (ActionField::Metadata, _) => Err(format!(
                "a label is a string and has no fields; quote a name with dots, as in `action.metadata.\"{}\"`",
                joined(rest)
            )),
            _ => Err(format!(
                "`action.{}` is a string and has no fields",
                first.key
            )),
        }
    }

    fn number(&mut self, segments: &[Segment]) -> PathNumber {
        let next = PathNumber::try_from(self.numbers.len()).unwrap_or(PathNumber::MAX);
        *self.numbers.entry(segments.into()).or_insert(next)
    }

    fn environment(&self, rest: &[Segment]) -> Result<PathTarget, String> {
        let [name] = rest else {
            return Err("`env` needs one name, such as `env.REGION`".into());
        };
        let found = self
            .environment
            .iter()
            .find(|(known, _)| **known == *name.key);
        match found {
            Some((_, value)) => Ok(PathTarget::Environment(value.clone())),
            None => {
                let known: Vec<_> = self
                    .environment
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .collect();
                let what = "environment variable (rules see the variables that are set and listed in `[rules] environment`)";
                Err(unknown(what, &name.key, &known))
            }
        }
    }
}

impl FactPath {
    /// As in the rule file, with its head added if it was omitted.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for FactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

pub(crate) fn is_action_field(name: &str) -> bool {
    name == PAYLOAD || ACTION_FIELDS.iter().any(|(known, _)| *known == name)
}

fn action_field(name: &str) -> Result<ActionField, String> {
    if name == "labels" {
        return Err("unknown field `labels`; did you mean `metadata`?".into());
    }
    let found = ACTION_FIELDS.iter().find(|(known, _)| *known == name);
    found.map(|(_, field)| *field).ok_or_else(|| {
        let mut names = vec![PAYLOAD];
        names.extend(ACTION_FIELDS.map(|(known, _)| known));
        unknown("field", name, &names)
    })
}

fn time_field(rest: &[Segment]) -> Result<TimeField, String> {
    let names = TIME_FIELDS.map(|(name, _)| name);
    let [name] = rest else {
        return Err("`time` needs one field, such as `time.hour`".into());
    };
    TIME_FIELDS
        .iter()
        .find(|(known, _)| *known == name.key.as_ref())
        .map(|(_, field)| *field)
        .ok_or_else(|| unknown("field of `time`", &name.key, &names))
}

fn joined(segments: &[Segment]) -> String {
    let keys: Vec<_> = segments.iter().map(|s| s.key.as_ref()).collect();
    keys.join(".")
}

/// Splits at the dots outside double quotes. Inside quotes, `\"` and `\\` are a quote and a backslash.
fn split(text: &str) -> Result<Vec<Segment>, String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("a path may be {LENGTH_MAX} bytes long"));
    }
    let mut segments = Vec::new();
    let mut rest = text.trim();
    loop {
        let (segment, tail) = match rest.strip_prefix('"') {
            Some(inner) => quoted_segment(inner)
                .ok_or_else(|| format!("a quote is not closed in {}", quoted(text)))?,
            None => plain_segment(rest),
        };
        if let Some(character) = segment
            .index
            .is_none()
            .then(|| stray_character(rest, &segment))
            .flatten()
        {
            return Err(format!(
                "`{character}` in the path {}; write an index as in `items.0`, and quote other names as in `\"a b\"`",
                quoted(text)
            ));
        }
        if segment.key.is_empty() && !rest.starts_with('"') {
            return Err(format!("a name is missing in the path {}", quoted(text)));
        }
        segments.push(segment);
        match tail.strip_prefix('.') {
            Some(next) => rest = next,
            None if tail.is_empty() => return Ok(segments),
            None => {
                return Err(format!(
                    "a dot is missing after a quoted name in {}",
                    quoted(text)
                ));
            }
        }
    }
}

/// A character that is allowed in quoted names only.
fn stray_character(rest: &str, segment: &Segment) -> Option<char> {
    if rest.starts_with('"') {
        return None;
    }
    let mut signs = segment.key.chars();
    signs.find(|c| matches!(c, '"' | '[' | ']' | '{' | '}') || c.is_control())
}

fn plain_segment(rest: &str) -> (Segment, &str) {
    let (key, tail) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    let is_number = !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit());
    let segment = Segment {
        key: key.into(),
        index: is_number.then(|| key.parse().ok()).flatten(),
    };
    (segment, tail)
}

fn quoted_segment(inner: &str) -> Option<(Segment, &str)> {
    let mut key = String::new();
    let mut signs = inner.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => {
                let segment = Segment {
                    key: key.into(),
                    index: None,
                };
                return Some((segment, &inner[at + 1..]));
            }
            '\\' => key.push(signs.next()?.1),
            other => key.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FactPath, String> {
        PathTable::new(&[("REGION".into(), "eu".into())]).path(text, 0)
    }

    fn keys(text: &str) -> Vec<(String, Option<usize>)> {
        match parse(text).unwrap().target {
            PathTarget::Payload(path) => path
                .segments
                .iter()
                .map(|s| (s.key.to_string(), s.index))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn payload_paths_split_at_dots_outside_of_quotes() {
        assert_eq!(keys("action.payload"), vec![]);
        assert_eq!(
            keys(r#"action.payload.items.0."a.b"."x\"\\y"."0".first name"#),
            [
                ("items".into(), None),
                ("0".into(), Some(0)),
                ("a.b".into(), None),
                ("x\"\\y".into(), None),
                ("0".into(), None),
                ("first name".into(), None),
            ]
        );
    }

    #[test]
    fn equal_payload_paths_share_a_number() {
        let mut known = PathTable::default();
        let mut number = |text| match known.path(text, 0).unwrap().target {
            PathTarget::Payload(path) => path.number,
            other => panic!("{other:?}"),
        };
        assert_eq!(number("action.payload.a"), 0);
        assert_eq!(number("action.payload.b"), 1);
        assert_eq!(number("action.payload.a"), 0);
    }

    #[test]
    fn a_wrong_path_is_refused_with_what_was_meant() {
        let rows = [
            ("payload.amount", "did you mean `action.payload.amount`?"),
            ("acton.payload", "did you mean `action`?"),
            ("action", "`action` needs a field"),
            ("action.tenent", "did you mean `tenant`?"),
            ("action.labels.a", "did you mean `metadata`?"),
            ("action.metadata.a.b", "`action.metadata.\"a.b\"`"),
            ("action.id.x", "`action.id` is a string and has no fields"),
            ("action.payload.items[0]", "`[` in the path"),
            ("action.payload..x", "a name is missing"),
            ("action.payload.\"x", "a quote is not closed"),
            ("action.payload.\"x\"y", "a dot is missing"),
            ("time.hours", "did you mean `hour`?"),
            ("time", "`time` needs one field"),
            ("now.x", "`now` is a number"),
            ("env.REGIN", "did you mean `REGION`?"),
            ("", "a name is missing"),
        ];
        for (text, expected) in rows {
            let message = parse(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_short_path_means_the_same_with_and_without_its_head() {
        let mut known = PathTable::default();
        for text in ["metadata.cluster", "action.metadata.cluster"] {
            let path = known.short_path(text, 0).unwrap();
            assert_eq!(path.to_string(), "action.metadata.cluster");
        }
        assert!(matches!(
            known.short_path("time.hour", 0).unwrap().target,
            PathTarget::Time(..)
        ));
    }
}
