//! From the tree of a file to its rules.

use std::collections::BTreeMap;

use compact_str::CompactString;
use jiff::tz::TimeZone;

use super::action::ActionReader;
use super::{AfterMatch, NAME_BYTES_MAX, OnError, Rule};
use crate::condition::ConditionReader;
use crate::fields::Fields;
use crate::load::LoadTables;
use crate::problems::{FileProblems, LineColumn, quoted};
use crate::settings::CompileSettings;
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

/// Reads the rules of a set, file by file.
pub(crate) struct RuleReader<'s> {
    pub(crate) tables: LoadTables,
    settings: &'s CompileSettings,
    /// The file and place of each name.
    names: BTreeMap<CompactString, (String, LineColumn)>,
}

impl<'s> RuleReader<'s> {
    pub(crate) fn new(tables: LoadTables, settings: &'s CompileSettings) -> Self {
        Self {
            tables,
            settings,
            names: BTreeMap::new(),
        }
    }

    /// The valid rules of a file; the problems list what is wrong with the others.
    pub(crate) fn file(&mut self, text: &str, problems: &mut FileProblems) -> Vec<Rule> {
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

    fn rule(&mut self, node: &Node, problems: &mut FileProblems) -> Option<Rule> {
        let fields = Fields::of(node, "a rule (a mapping)", problems)?;
        fields.only("key", &KEYS, problems);
        let name = self.name(&fields, problems);
        let zone = self.zone(&fields, problems);
        let condition = fields.required("condition", problems).and_then(|node| {
            let tables = &mut self.tables;
            ConditionReader {
                tables,
                zone,
                problems,
            }
            .read(node)
        });
        let action = fields.required("action", problems).and_then(|node| {
            ActionReader {
                tables: &mut self.tables,
                settings: self.settings,
                zone,
                problems,
            }
            .read(node)
        });
        let reads = self.tables.reads.take_of_rule();
        let flag = |name, default, problems: &mut FileProblems| {
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

    fn name(&mut self, fields: &Fields<'_>, problems: &mut FileProblems) -> Option<CompactString> {
        let node = fields.required("name", problems)?;
        let name = node.text("a string", problems)?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let message =
                format!("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters");
            problems.at(node.place, message);
            return None;
        }
        if let Some((file, place)) = self.names.get(name) {
            let name = quoted(name);
            let line = place.line;
            problems.at(
                node.place,
                format!("the name {name} is taken by the rule at {file}:{line}"),
            );
            return None;
        }
        let name: CompactString = name.into();
        self.names
            .insert(name.clone(), (problems.file().to_owned(), node.place));
        Some(name)
    }

    /// The number of the rule's zone; of the default zone if the rule names none or an unknown one.
    fn zone(&mut self, fields: &Fields<'_>, problems: &mut FileProblems) -> u32 {
        let named = fields.get("timezone").and_then(|node| {
            let name = node.text("an IANA time zone name, such as `Europe/Berlin`", problems)?;
            let zone = TimeZone::get(name).ok();
            if zone.is_none() {
                problems.at(node.place, unknown_zone(name));
            }
            zone
        });
        self.tables
            .paths
            .zone(named.as_ref().unwrap_or(&self.settings.default_timezone))
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

fn on_error(fields: &Fields<'_>, problems: &mut FileProblems) -> OnError {
    let node = fields.get("on_error");
    node.and_then(|node| node.word("value of `on_error`", &ON_ERROR, problems))
        .unwrap_or(OnError::Skip)
}

fn metadata(fields: &Fields<'_>, problems: &mut FileProblems) -> BTreeMap<String, String> {
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
