//! Warnings from the text of a rule: the providers it tests for, its regular expressions, questions about
//! events that any label answers.

use super::pattern::simpler;
use super::{RuleText, Warnings, conditions, entries, get, items, text};
use crate::path::{ActionField, PathTable, PathTarget};
use crate::problems::unknown;
use crate::reads::ReadTable;
use crate::rule::{Rule, RuleAction};
use crate::settings::{CompileSettings, KnownProviders};
use crate::yaml::Node;

/// The named form of a question is safer: the value of another label cannot answer it.
const NAME_THE_LABEL: &str = "`has_active_event` compares its value with every label of the event; name the label: `{cluster: action.metadata.cluster}`";

pub(super) fn warn(
    rules: &[(&Rule, RuleText<'_>)],
    reads: &ReadTable,
    settings: &CompileSettings,
    warnings: &mut Warnings,
) {
    let mut paths = PathTable::new(&settings.environment);
    for (rule, RuleText { file, node }) in rules {
        if reads.compares_any_name(&rule.reads)
            && let Some(condition) = conditions(node).next()
        {
            warnings.at(file, condition.place, NAME_THE_LABEL);
        }
        for condition in conditions(node) {
            each_mapping(condition, &mut |mapping| {
                patterns(mapping, file, warnings);
                // A rule that reroutes from a provider may name one that no longer exists.
                if let (KnownProviders::Only(providers), false) = (
                    &settings.providers,
                    matches!(rule.action, RuleAction::Reroute(_)),
                ) && let Some(path) = get(mapping, "field").and_then(text)
                    && let Ok(path) = paths.path(path, 0)
                    && let PathTarget::Field(ActionField::Provider) = path.target
                {
                    let names: Vec<_> = providers.iter().map(AsRef::as_ref).collect();
                    tested(mapping, file, &names, warnings);
                }
            });
        }
    }
}

/// Calls `see` with each mapping in a condition.
pub(super) fn each_mapping<'n>(condition: &'n Node, see: &mut impl FnMut(&'n Node)) {
    see(condition);
    for (key, value) in entries(condition) {
        match key {
            "all" | "any" => items(value).iter().for_each(|part| each_mapping(part, see)),
            "not" => each_mapping(value, see),
            _ => {}
        }
    }
}

fn patterns(mapping: &Node, file: &str, warnings: &mut Warnings) {
    for (key, value) in entries(mapping) {
        if let ("matches" | "regex", Some(pattern)) = (key, text(value))
            && let Some(simpler) = simpler(pattern)
        {
            let message = format!("`{key}: {pattern:?}` is equivalent to the simpler `{simpler}`");
            warnings.at(file, value.place, message);
        }
    }
}

fn tested(mapping: &Node, file: &str, providers: &[&str], warnings: &mut Warnings) {
    for (key, value) in entries(mapping) {
        let names = match key {
            "eq" | "ne" => std::slice::from_ref(value),
            "in" | "in_list" | "not_in" => items(value),
            _ => continue,
        };
        for name in names {
            if let Some(found) = text(name).filter(|name| !providers.contains(name)) {
                warnings.at(file, name.place, unknown("provider", found, providers));
            }
        }
    }
}
