//! A set of rules: compiled as a whole or not at all, then immutable.

use std::collections::BTreeSet;
use std::sync::Arc;

use acteon_core::rules::{RuleProblem, RuleSummary};
use compact_str::CompactString;
use hashbrown::HashMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::answers::{StateAnswers, StateRead};
use crate::facts::{EnvironmentAccess, FactContext, Facts};
use crate::hash::lower_hex;
use crate::index::Index;
use crate::load::LoadTables;
use crate::problems::{FileProblems, LineColumn};
use crate::reads::ReadTable;
use crate::rule::{GroupRule, Rule, RuleAction, RuleReader};
use crate::settings::{CompileSettings, RuleFile};

/// How many rules a set may contain.
pub const RULES_MAX: usize = 100_000;

/// The rules of all files, in the order of evaluation.
#[derive(Debug)]
pub struct RuleSet {
    loaded: Arc<Loaded>,
    /// Whether each rule takes part.
    enabled: Vec<bool>,
    /// Over the rules that take part.
    pub(crate) index: Index,
}

/// The part of a set that toggles do not change.
#[derive(Debug)]
struct Loaded {
    rules: Vec<Rule>,
    zones: Vec<TimeZone>,
    default_zone: TimeZone,
    reads: ReadTable,
    content_hash: String,
}

impl RuleSet {
    /// A set without rules: everything is allowed.
    pub fn empty() -> Self {
        Self::over(Loaded {
            rules: Vec::new(),
            zones: Vec::new(),
            default_zone: TimeZone::UTC,
            reads: ReadTable::default(),
            content_hash: content_hash(&[]),
        })
    }

    /// Compiles the files in the order of their names.
    ///
    /// # Errors
    /// All problems of all files, by file, line and column.
    pub fn compile(
        files: &[RuleFile],
        settings: &CompileSettings,
    ) -> Result<Self, Vec<RuleProblem>> {
        let mut files: Vec<&RuleFile> = files.iter().collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let tables = LoadTables::new(&settings.environment);
        let zone = settings.default_timezone.clone();
        let mut reader = RuleReader::new(tables, settings);
        let mut rules = Vec::new();
        let mut problems = Vec::new();
        for file in &files {
            let mut found = FileProblems::of(&file.name);
            if file.text.len() > RuleFile::BYTES_MAX {
                let message = format!("a rule file may be {} bytes long", RuleFile::BYTES_MAX);
                found.at(LineColumn { line: 1, column: 1 }, message);
            } else {
                rules.extend(reader.file(&file.text, &mut found));
            }
            problems.extend(found.into_list());
        }
        if rules.len() > RULES_MAX {
            let last = files
                .last()
                .map(|file| file.name.as_str())
                .unwrap_or_default();
            let mut found = FileProblems::of(last);
            found.at(
                LineColumn { line: 1, column: 1 },
                format!("more than {RULES_MAX} rules in all files"),
            );
            problems.extend(found.into_list());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        rules.sort_by_key(|rule: &Rule| rule.priority);
        Ok(Self::over(Loaded {
            rules,
            zones: reader.tables.paths.zones,
            reads: reader.tables.reads.into(),
            default_zone: zone,
            content_hash: content_hash(&files),
        }))
    }

    /// The same rules with some enabled or disabled, whatever their files say. Names without a rule are ignored.
    pub fn with_toggles(&self, toggles: &[(CompactString, bool)]) -> Self {
        let toggles: HashMap<&str, bool> =
            toggles.iter().map(|(n, on)| (n.as_str(), *on)).collect();
        let enabled = |rule: &Rule| *toggles.get(rule.name.as_str()).unwrap_or(&rule.enabled);
        let enabled = self.loaded.rules.iter().map(enabled).collect();
        Self::with(self.loaded.clone(), enabled)
    }

    /// SHA-256 over the names and texts of the files, in hex.
    pub fn content_hash(&self) -> &str {
        &self.loaded.content_hash
    }

    /// How many rules there are, disabled ones included.
    pub fn len(&self) -> usize {
        self.loaded.rules.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.loaded.rules.is_empty()
    }

    /// True when a rule has this name.
    pub fn contains(&self, name: &str) -> bool {
        self.loaded
            .rules
            .iter()
            .any(|rule| rule.name.as_str() == name)
    }

    /// The providers that rules deliver to in place of the action's own.
    pub fn providers(&self) -> BTreeSet<&CompactString> {
        let rules = self.loaded.rules.iter();
        rules.flat_map(|rule| rule.action.providers()).collect()
    }

    /// The rules in the order of evaluation.
    pub fn summaries(&self) -> Vec<RuleSummary> {
        self.rules()
            .map(|(rule, enabled)| rule.summary(enabled))
            .collect()
    }

    /// The rules, and whether they take part.
    pub(crate) fn rules(&self) -> impl ExactSizeIterator<Item = (&Rule, bool)> {
        self.loaded.rules.iter().zip(self.enabled.iter().copied())
    }

    /// The group rule of this name.
    pub(crate) fn group_rule(&self, name: &str) -> Option<&GroupRule> {
        let mut rules = self.loaded.rules.iter();
        match &rules.find(|rule| rule.name == name)?.action {
            RuleAction::Group(group) => Some(group),
            _ => None,
        }
    }

    pub(crate) fn rule(&self, number: u32) -> Option<&Rule> {
        self.loaded.rules.get(number as usize)
    }

    /// What rules see besides the action.
    pub(crate) fn fact_context<'a>(
        &'a self,
        now: Timestamp,
        answers: &'a StateAnswers,
    ) -> FactContext<'a> {
        let zones = &self.loaded.zones;
        FactContext {
            now,
            zones,
            answers,
            environment: EnvironmentAccess::Shown,
        }
    }

    pub(crate) fn reads(&self) -> &ReadTable {
        &self.loaded.reads
    }

    /// The reads of these rules.
    pub(crate) fn ask_for<'r>(
        &self,
        rules: impl Iterator<Item = &'r Rule>,
        facts: &mut Facts<'_>,
    ) -> Vec<StateRead> {
        let numbers = rules.flat_map(|rule| rule.reads.iter().copied());
        self.reads().render(numbers, facts)
    }

    pub(crate) fn default_zone(&self) -> &TimeZone {
        &self.loaded.default_zone
    }

    fn over(loaded: Loaded) -> Self {
        let enabled = loaded.rules.iter().map(|rule| rule.enabled).collect();
        Self::with(Arc::new(loaded), enabled)
    }

    fn with(loaded: Arc<Loaded>, enabled: Vec<bool>) -> Self {
        let numbered = (0u32..).zip(loaded.rules.iter().zip(&enabled));
        let taking_part = numbered.filter(|(_, (_, enabled))| **enabled);
        let index = Index::new(taking_part.map(|(number, (rule, _))| (number, &rule.condition)));
        Self {
            loaded,
            enabled,
            index,
        }
    }

    /// The same rules, all tested for every action.
    #[cfg(test)]
    pub(crate) fn without_index(&self) -> Self {
        let numbered = (0u32..).zip(&self.enabled);
        let numbers = numbered.filter_map(|(number, enabled)| enabled.then_some(number));
        Self {
            loaded: self.loaded.clone(),
            enabled: self.enabled.clone(),
            index: Index::unused(numbers),
        }
    }
}

fn content_hash(files: &[&RuleFile]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        for part in [&file.name, &file.text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    lower_hex(&hash.finalize())
}
