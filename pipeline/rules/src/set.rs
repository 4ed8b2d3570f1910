//! A set of rules: compiled as a whole or not at all, then never changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use acteon_core::rules::{RuleProblem, RuleSummary};
use compact_str::CompactString;
use hashbrown::HashMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::facts::{Beside, Environment, Facts};
use crate::hex::lower_hex;
use crate::index::Index;
use crate::path::Known;
use crate::problems::{Place, Problems};
use crate::reads::{Gathered, Read, Reads};
use crate::rule::{Rule, RuleReader};
use crate::settings::{RuleFile, Settings};

/// How many rules one set may hold.
pub const RULES_MAX: usize = 100_000;

/// The rules of all files, in the order of evaluation.
#[derive(Debug)]
pub struct RuleSet {
    loaded: Arc<Loaded>,
    /// For each rule whether it takes part.
    enabled: Vec<bool>,
    /// Over those that do.
    pub(crate) index: Index,
}

/// What toggles do not change.
#[derive(Debug)]
struct Loaded {
    rules: Vec<Rule>,
    zones: Vec<TimeZone>,
    default_zone: TimeZone,
    reads: Reads,
    content_hash: String,
}

impl RuleSet {
    /// A set without rules: everything is allowed.
    pub fn empty() -> Self {
        Self::over(Loaded {
            rules: Vec::new(),
            zones: Vec::new(),
            default_zone: TimeZone::UTC,
            reads: Reads::default(),
            content_hash: content_hash(&[]),
        })
    }

    /// Compiles the files in the order of their names.
    ///
    /// # Errors
    /// All problems of all files, by file, line and column.
    pub fn compile(files: &[RuleFile], settings: &Settings) -> Result<Self, Vec<RuleProblem>> {
        let mut files: Vec<&RuleFile> = files.iter().collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let known = Known::new(&settings.environment);
        let zone = settings.default_timezone.clone();
        let mut reader = RuleReader::new(known, &settings.providers, zone.clone());
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        for file in &files {
            let mut found = Problems::of(&file.name);
            if file.text.len() > RuleFile::BYTES_MAX {
                let message = format!("a rule file may hold {} bytes", RuleFile::BYTES_MAX);
                found.at(Place { line: 1, column: 1 }, message);
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
            let mut found = Problems::of(last);
            found.at(
                Place { line: 1, column: 1 },
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
            zones: reader.known.zones,
            reads: reader.known.reads,
            default_zone: zone,
            content_hash: content_hash(&files),
        }))
    }

    /// The same rules, of which those named are enabled or disabled whatever their files say. Names that no rule has
    /// are left out.
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

    pub(crate) fn rule(&self, number: u32) -> Option<&Rule> {
        self.loaded.rules.get(number as usize)
    }

    /// What rules see beside the action.
    pub(crate) fn beside<'a>(&'a self, now: Timestamp, gathered: &'a Gathered) -> Beside<'a> {
        let zones = &self.loaded.zones;
        Beside {
            now,
            zones,
            gathered,
            environment: Environment::Seen,
        }
    }

    pub(crate) fn reads(&self) -> &Reads {
        &self.loaded.reads
    }

    /// What these rules want to know of the state.
    pub(crate) fn ask_for<'r>(
        &self,
        rules: impl Iterator<Item = &'r Rule>,
        facts: &mut Facts<'_>,
    ) -> Vec<Read> {
        let numbers = rules.flat_map(|rule| rule.reads.iter().copied());
        self.reads().ask(numbers, facts)
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

    /// The same rules, each tested for every action.
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
