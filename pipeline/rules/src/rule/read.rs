//! From the tree of a file to its rules.

use std::collections::BTreeMap;

use compact_str::CompactString;
use jiff::tz::TimeZone;

use super::action::ActionReader;
use super::{AfterMatch, NAME_BYTES_MAX, OnError, Rule};
use crate::condition::ConditionReader;
use crate::fields::Fields;
use crate::path::Known;
use crate::problems::{Place, Problems, quoted};
use crate::settings::KnownProviders;
use crate::yaml::{Node, read};

/// The keys of a rule.
pub(crate) const KEYS: [&str; 10] = [
    "name",
    "priority",
    "description",
    "enabled",
    "condition",
    "action",
    "continue",
    "on_error",
    "timezone",
    "metadata",
];
/// The words of `on_error`.
pub(crate) const ON_ERROR: [(&str, OnError); 3] = [
    ("skip", OnError::Skip),
    ("deny", OnError::Deny),
    ("fail", OnError::Fail),
];

/// Reads the rules of all files of a set, one file after the other.
pub(crate) struct RuleReader<'s> {
    pub(crate) known: Known,
    pub(crate) providers: &'s KnownProviders,
    pub(crate) default_zone: TimeZone,
    /// Where each name stands.
    names: BTreeMap<CompactString, (String, Place)>,
}

impl<'s> RuleReader<'s> {
    pub(crate) fn new(known: Known, providers: &'s KnownProviders, default_zone: TimeZone) -> Self {
        Self {
            known,
            providers,
            default_zone,
            names: BTreeMap::new(),
        }
    }

    /// The rules of a file that are right; what is wrong with the others is among the problems.
    pub(crate) fn file(&mut self, text: &str, problems: &mut Problems) -> Vec<Rule> {
        let rules = read(text, "the key `rules`", problems).and_then(|root| {
            let what = "a mapping with the key `rules`";
            let fields = Fields::of(&root, what, problems)?;
            fields.only("key", &["rules"], problems);
            let list = fields.required("rules", problems)?;
            let items = list.list("a list of rules", problems)?;
            Some(
                items
                    .iter()
                    .filter_map(|node| self.rule(node, problems))
                    .collect(),
            )
        });
        rules.unwrap_or_default()
    }

    fn rule(&mut self, node: &Node, problems: &mut Problems) -> Option<Rule> {
        let fields = Fields::of(node, "a rule (a mapping)", problems)?;
        fields.only("key", &KEYS, problems);
        let name = self.name(&fields, problems);
        let zone = self.zone(&fields, problems);
        let condition = fields.required("condition", problems).and_then(|node| {
            let known = &mut self.known;
            ConditionReader {
                known,
                zone,
                problems,
            }
            .read(node)
        });
        let action = fields.required("action", problems).and_then(|node| {
            let (known, providers) = (&mut self.known, self.providers);
            ActionReader {
                known,
                providers,
                zone,
                problems,
            }
            .read(node)
        });
        let reads = self.known.reads.named();
        let flag = |name, default, problems: &mut Problems| {
            fields
                .get(name)
                .map_or(Some(default), |node| node.flag(problems))
        };
        let enabled = flag("enabled", true, problems);
        let after_match = match flag("continue", false, problems) {
            Some(true) => AfterMatch::Continue,
            _ => AfterMatch::Stop,
        };
        let priority = fields
            .get("priority")
            .map_or(Some(0), |node| node.integer(i64::MIN, i64::MAX, problems));
        let description = fields
            .get("description")
            .and_then(|node| node.text("a string", problems).map(str::to_owned));
        Some(Rule {
            on_error: on_error(&fields, problems),
            metadata: metadata(&fields, problems),
            source: problems.file().to_owned(),
            name: name?,
            priority: priority?,
            description,
            enabled: enabled?,
            condition: condition?,
            action: action?,
            reads,
            after_match,
        })
    }

    fn name(&mut self, fields: &Fields<'_>, problems: &mut Problems) -> Option<CompactString> {
        let node = fields.required("name", problems)?;
        let name = node.text("a string", problems)?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let message =
                format!("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters");
            problems.at(node.place, message);
            return None;
        }
        if let Some((file, place)) = self.names.get(name) {
            let (name, line) = (quoted(name), place.line);
            problems.at(
                node.place,
                format!("the name {name} is taken by the rule in {file} line {line}"),
            );
            return None;
        }
        let name: CompactString = name.into();
        self.names
            .insert(name.clone(), (problems.file().to_owned(), node.place));
        Some(name)
    }

    /// The number of the rule's zone; the default one's when the rule names none that is known.
    fn zone(&mut self, fields: &Fields<'_>, problems: &mut Problems) -> u32 {
        let named = fields.get("timezone").and_then(|node| {
            let name = node.text("an IANA time zone name, such as `Europe/Berlin`", problems)?;
            let zone = TimeZone::get(name).ok();
            if zone.is_none() {
                problems.at(node.place, unknown_zone(name));
            }
            zone
        });
        self.known
            .zone(named.as_ref().unwrap_or(&self.default_zone))
    }
}

fn unknown_zone(name: &str) -> String {
    let all: Vec<_> = jiff::tz::db().available().collect();
    let names: Vec<_> = all.iter().map(|zone| zone.as_str()).collect();
    let message = crate::problems::unknown("time zone", name, &names);
    match message.split_once("; expected") {
        Some((start, _)) => format!("{start}; expected an IANA name, such as `Europe/Berlin`"),
        None => message,
    }
}

fn on_error(fields: &Fields<'_>, problems: &mut Problems) -> OnError {
    let node = fields.get("on_error");
    node.and_then(|node| node.word("value of `on_error`", &ON_ERROR, problems))
        .unwrap_or(OnError::Skip)
}

fn metadata(fields: &Fields<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let Some(map) = fields
        .get("metadata")
        .and_then(|node| Fields::of(node, "a mapping of strings", problems))
    else {
        return BTreeMap::new();
    };
    map.iter()
        .filter_map(|(key, node)| {
            let value = node.text("a string", problems)?;
            Some((key.text.clone(), value.to_owned()))
        })
        .collect()
}
