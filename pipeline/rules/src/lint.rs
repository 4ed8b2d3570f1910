//! What is allowed and yet hardly meant: rules that can never match, providers that nobody has, fields that no example
//! has, regular expressions that say less than they seem to. Said of a set that has loaded, and only where it is sure.
//! Rules that their files disable are left alone.

mod claims;
mod earlier;
mod examples;
mod pattern;
mod reach;
mod search;
mod written;

use std::collections::BTreeMap;

use acteon_core::rules::RuleProblem;
use hashbrown::HashMap;

use crate::problems::{Place, Problems};
use crate::rule::Rule;
use crate::set::RuleSet;
use crate::settings::{RuleFile, Settings};
use crate::yaml::{Data, Node, read};

/// What looks wrong in the files that `set` was compiled from, by file, line and column. `examples` are files of rule
/// tests: the actions that they dispatch show which fields there are.
pub fn lint(
    set: &RuleSet,
    files: &[RuleFile],
    settings: &Settings,
    examples: &[RuleFile],
) -> Vec<RuleProblem> {
    let trees: Vec<_> = files.iter().filter_map(tree).collect();
    let examples: Vec<_> = examples.iter().filter_map(tree).collect();
    let places = Places::of(&trees);
    let mut warnings = Warnings::default();
    reach::warn(set, &places, &mut warnings);
    let enabled = set.rules().map(|(rule, _)| rule).filter(|r| r.enabled);
    let enabled: Vec<_> = enabled
        .filter_map(|rule| Some((rule, places.of_rule(rule)?)))
        .collect();
    written::warn(&enabled, settings, &mut warnings);
    let every_rule = places.rules.values().map(|(_, node)| *node);
    let pool = examples::Pool::new(examples.iter().map(|(_, node)| node), every_rule);
    examples::warn(&enabled, &pool, settings, &mut warnings);
    warnings.into_list()
}

/// A file that is no YAML is reported by those who read it in earnest.
fn tree(file: &RuleFile) -> Option<(&str, Node)> {
    let root = read(&file.text, "", &mut Problems::of(&file.name))?;
    Some((&file.name, root))
}

/// Where the rules stand.
struct Places<'n> {
    rules: HashMap<&'n str, Written<'n>>,
}

/// The file and the tree of a rule.
type Written<'n> = (&'n str, &'n Node);

impl<'n> Places<'n> {
    fn of(trees: &'n [(&'n str, Node)]) -> Self {
        let lists = trees
            .iter()
            .filter_map(|(file, root)| Some((*file, get(root, "rules")?)));
        let rules = lists.flat_map(|(file, list)| items(list).iter().map(move |rule| (file, rule)));
        let named =
            rules.filter_map(|(file, rule)| Some((text(get(rule, "name")?)?, (file, rule))));
        Self {
            rules: named.collect(),
        }
    }

    fn of_rule(&self, rule: &Rule) -> Option<Written<'n>> {
        self.rules.get(rule.name.as_str()).copied()
    }
}

/// The warnings of all files.
#[derive(Default)]
struct Warnings {
    files: BTreeMap<String, Problems>,
}

impl Warnings {
    fn at(&mut self, file: &str, place: Place, message: impl Into<String>) {
        let problems = self.files.entry(file.to_owned());
        problems
            .or_insert_with(|| Problems::of(file))
            .at(place, message);
    }

    fn into_list(self) -> Vec<RuleProblem> {
        self.files
            .into_values()
            .flat_map(Problems::into_list)
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
