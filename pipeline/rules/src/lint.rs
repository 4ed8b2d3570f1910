//! Warns of valid rules that are probably mistakes: rules that can never match, unknown providers, fields that no
//! example has, regular expressions with a simpler equivalent, questions about events that any label answers. Checks a set that has loaded, and warns only if it is
//! certain. Rules that are disabled in their files are skipped.

mod assertions;
mod earlier;
mod examples;
mod pattern;
mod rule_text;
mod search;
mod unreachable;

use std::collections::BTreeMap;

use acteon_core::rules::RuleProblem;
use hashbrown::HashMap;

use crate::problems::{FileProblems, LineColumn};
use crate::rule::Rule;
use crate::set::RuleSet;
use crate::settings::{CompileSettings, RuleFile};
use crate::yaml::{Data, Node, read};

/// Warnings about the files that `set` was compiled from, by file, line and column. `examples` are files of rule tests;
/// the actions they dispatch show which fields exist.
pub fn lint(
    set: &RuleSet,
    files: &[RuleFile],
    settings: &CompileSettings,
    examples: &[RuleFile],
) -> Vec<RuleProblem> {
    let trees: Vec<_> = files.iter().filter_map(tree).collect();
    let examples: Vec<_> = examples.iter().filter_map(tree).collect();
    let places = Places::of(&trees);
    let mut warnings = Warnings::default();
    unreachable::warn(set, &places, &mut warnings);
    let enabled = set.rules().map(|(rule, _)| rule).filter(|r| r.enabled);
    let enabled: Vec<_> = enabled
        .filter_map(|rule| Some((rule, places.of_rule(rule)?)))
        .collect();
    rule_text::warn(&enabled, set.reads(), settings, &mut warnings);
    let every_rule = places.rules.values().map(|text| text.node);
    let pool = examples::Pool::new(examples.iter().map(|(_, node)| node), every_rule);
    examples::warn(&enabled, &pool, settings, &mut warnings);
    warnings.into_list()
}

/// None if the file is not YAML, which compiling it reports.
fn tree(file: &RuleFile) -> Option<(&str, Node)> {
    let root = read(&file.text, "", &mut FileProblems::of(&file.name))?;
    Some((&file.name, root))
}

/// The places of the rules.
struct Places<'n> {
    rules: HashMap<&'n str, RuleText<'n>>,
}

/// A rule as written: its file and its tree.
#[derive(Clone, Copy)]
struct RuleText<'n> {
    file: &'n str,
    node: &'n Node,
}

impl<'n> Places<'n> {
    fn of(trees: &'n [(&'n str, Node)]) -> Self {
        let lists = trees
            .iter()
            .filter_map(|(file, root)| Some((*file, get(root, "rules")?)));
        let rules = lists.flat_map(|(file, list)| {
            let rules = items(list).iter();
            rules.map(move |node| RuleText { file, node })
        });
        let named = rules.filter_map(|rule| Some((text(get(rule.node, "name")?)?, rule)));
        Self {
            rules: named.collect(),
        }
    }

    fn of_rule(&self, rule: &Rule) -> Option<RuleText<'n>> {
        self.rules.get(rule.name.as_str()).copied()
    }
}

/// The warnings of all files.
#[derive(Default)]
struct Warnings {
    files: BTreeMap<String, FileProblems>,
}

impl Warnings {
    fn at(&mut self, file: &str, place: LineColumn, message: impl Into<String>) {
        let problems = self.files.entry(file.to_owned());
        problems
            .or_insert_with(|| FileProblems::of(file))
            .at(place, message);
    }

    fn into_list(self) -> Vec<RuleProblem> {
        self.files
            .into_values()
            .flat_map(FileProblems::into_list)
            .collect()
    }
}

fn entries(node: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let entries = match &node.data {
        Data::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    entries
        .iter()
        .map(|(key, value)| (key.text.as_str(), value))
}

fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    entries(node).find_map(|(known, value)| (known == key).then_some(value))
}

/// The conditions of a rule: its own, and the one that a group asks again.
fn conditions(rule: &Node) -> impl Iterator<Item = &Node> {
    let unless = get(rule, "action").and_then(|action| get(action, "unless"));
    get(rule, "condition").into_iter().chain(unless)
}

fn items(node: &Node) -> &[Node] {
    match &node.data {
        Data::List(items) => items,
        _ => &[],
    }
}

fn text(node: &Node) -> Option<&str> {
    match &node.data {
        Data::Text(text) => Some(text),
        _ => None,
    }
}
