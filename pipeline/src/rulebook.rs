//! The rules in force: a directory of files loaded as a whole or not at all, swapped atomically, watched for change,
//! and the toggles and silences that all nodes share. What rules mean is left to `acteon-rules`.

mod events;
mod files;
mod names;
mod nested;
mod reading;
mod template_files;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use acteon_core::rules::{
    EvaluateError, EvaluateOptions, Evaluation, Reloaded, RuleProblem, Rulebook, RulesError,
    RulesHash, RulesInForce,
};
use acteon_core::silence::silence_rule;
use acteon_core::{Action, ActionOutcome, Clock, Redactor, State, StateError, Verdict};
use acteon_rules::{
    CompileSettings, Decision, Effect, ExplainRequest, RuleSet, StateAnswers, StateRead,
};
use acteon_templates::TemplateSet;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::time::Instant;

pub use self::files::{
    CompiledFolder, RuleFolder, read_rule_file, read_rule_files, read_rule_test_files,
};
pub use self::watch::Follow;
use crate::gather::gather;
use crate::silences::{SilenceView, SilencesInForce};
use crate::templates::TemplatesInForce;
use crate::yielding::{LONGEST_SLICE, TimeSlice};

/// From this slowness on, rules are evaluated on a thread that may block. A single slow action may be chance, because its
/// thread may have been preempted. So it takes several.
const SLOW: u32 = 64;
const SLOW_STEP: u32 = 16;

/// A set of rules in force, and its number.
pub struct Generation {
    /// Identifies it.
    pub stamp: Stamp,
    /// The set.
    pub set: RuleSet,
    /// Grows with each action that took too long for a shared thread, and shrinks with each that did not.
    slowness: AtomicU32,
}

/// Identifies a set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Counts the sets in force in this process, from 1.
    pub number: u64,
    /// The hash of the files.
    pub hash: RulesHash,
}

impl Generation {
    fn new(number: u64, set: RuleSet) -> Self {
        let hash = RulesHash::of(set.content_hash());
        let stamp = Stamp { number, hash };
        Self {
            stamp,
            set,
            slowness: AtomicU32::new(0),
        }
    }

    /// True if these rules must be evaluated on a thread that may block.
    pub(crate) fn is_slow(&self) -> bool {
        self.slowness.load(Relaxed) >= SLOW
    }

    /// Records the time it took to decide about this many actions.
    pub(crate) fn took(&self, time: Duration, actions: u32) {
        let before = self.slowness.load(Relaxed);
        let after = match time >= LONGEST_SLICE * actions {
            true => before.saturating_add(SLOW_STEP).min(2 * SLOW),
            false => before.saturating_sub(1),
        };
        if before != after {
            self.slowness.store(after, Relaxed);
        }
    }
}

/// The source of the rules, and what they may refer to.
pub struct RulesOptions {
    /// The directory of the rule files. `None`: there are no rules.
    pub directory: Option<PathBuf>,
    /// Whether an empty set may replace one that has rules.
    pub allow_empty: bool,
    /// What rules may refer to.
    pub settings: CompileSettings,
    /// Where the templates of providers are put in force, which are loaded with the rules.
    pub templates: Arc<TemplatesInForce>,
    /// Hides fields in explanations.
    pub redactor: Redactor,
    /// The time.
    pub clock: Clock,
}

/// The rules in force.
pub struct Rules {
    options: RulesOptions,
    state: Arc<dyn State>,
    silences: SilencesInForce,
    current: ArcSwap<Generation>,
    /// The errors of the last attempt to load.
    last_errors: Mutex<Vec<RuleProblem>>,
    /// Held while a set is loaded or toggled, so that these run one after another.
    loading: tokio::sync::Mutex<Loading>,
}

struct Loading {
    /// The directory of the set in force, which is watched.
    directory: Option<PathBuf>,
    /// The digest of the directory when it was last read.
    digest: Option<files::FolderDigest>,
    toggles: Vec<(CompactString, bool)>,
}

impl Rules {
    /// Loads the configured directory. Toggles that cannot be read now are read later.
    ///
    /// # Errors
    /// If the files have errors, or cannot be read: a process does not start without its rules.
    pub async fn load(
        options: RulesOptions,
        state: Arc<dyn State>,
    ) -> Result<Arc<Self>, RulesError> {
        let (digest, compiled) = match &options.directory {
            None => {
                let nothing = CompiledFolder {
                    rules: RuleSet::empty(),
                    templates: TemplateSet::default(),
                };
                (None, nothing)
            }
            Some(directory) => {
                let reading = files::read(directory).await;
                let folder = reading.folder?;
                events::ignored_files(&folder.warnings);
                let compiled = folder.compile_all(&options.settings);
                let compiled = compiled.map_err(RulesError::Invalid)?;
                (Some(reading.digest), compiled)
            }
        };
        let toggles = match state.rule_toggles().await {
            Ok(mut toggles) => {
                toggles.sort();
                toggles
            }
            Err(error) => {
                events::toggles_unknown(&error);
                Vec::new()
            }
        };
        let loading = Loading {
            directory: options.directory.clone(),
            digest,
            toggles,
        };
        options.templates.put(compiled.templates);
        let rules = Self::beginning(&compiled.rules, loading, options, state);
        // Without an answer they are read before the first decision.
        let _ = rules.silences.read().await;
        Ok(rules)
    }

    /// Puts a compiled set in force, with the toggles of its files. For rule tests, which reuse one set.
    pub fn of(set: &RuleSet, options: RulesOptions, state: Arc<dyn State>) -> Arc<Self> {
        let loading = Loading {
            directory: None,
            digest: None,
            toggles: Vec::new(),
        };
        Self::beginning(set, loading, options, state)
    }

    fn beginning(
        set: &RuleSet,
        loading: Loading,
        options: RulesOptions,
        state: Arc<dyn State>,
    ) -> Arc<Self> {
        let first = Generation::new(1, set.with_toggles(&loading.toggles));
        events::describe();
        events::in_force(&first);
        events::loaded(options.clock.now());
        Arc::new(Self {
            loading: tokio::sync::Mutex::new(loading),
            current: ArcSwap::from_pointee(first),
            last_errors: Mutex::default(),
            silences: SilencesInForce::new(state.clone()),
            options,
            state,
        })
    }

    /// The silences of all nodes.
    pub(crate) fn silences(&self) -> &SilencesInForce {
        &self.silences
    }

    /// The set in force. A caller may continue with it after another set is loaded.
    pub fn generation(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Puts the rules of `directory` in force as they were read, or changes nothing.
    fn take(
        &self,
        directory: PathBuf,
        reading: files::FolderSnapshot,
        loading: &mut Loading,
    ) -> Result<Reloaded, RulesError> {
        loading.digest = Some(reading.digest);
        let folder = match reading.folder {
            Err(RulesError::DirectoryMissing(_)) if self.options.allow_empty => {
                RuleFolder::default()
            }
            folder => folder?,
        };
        events::ignored_files(&folder.warnings);
        let compiled = folder.compile_all(&self.options.settings);
        let CompiledFolder {
            rules: set,
            templates,
        } = compiled.map_err(RulesError::Invalid)?;
        let rules = set.len();
        let current = self.current.load();
        if set.is_empty() && !current.set.is_empty() && !self.options.allow_empty {
            return Err(RulesError::WouldBeEmpty(directory));
        }
        let has_other_templates = templates != *self.options.templates.set();
        if has_other_templates {
            self.options.templates.put(templates);
        }
        let has_other_rules = RulesHash::of(set.content_hash()) != current.stamp.hash;
        let generation = match has_other_rules || has_other_templates {
            true => self.put_in_force(&set, &loading.toggles),
            false => current.stamp.number,
        };
        loading.directory = Some(directory.clone());
        self.last_errors.lock().clear();
        events::loaded(self.options.clock.now());
        Ok(Reloaded {
            rules,
            directory,
            generation,
        })
    }

    /// Asks the state these questions. Makes no call if there are none.
    async fn read(&self, reads: Vec<StateRead>) -> Result<StateAnswers, StateError> {
        if reads.is_empty() {
            return Ok(StateAnswers::default());
        }
        let questions: Vec<_> = reads.iter().map(|read| read.question.clone()).collect();
        let answers = self.state.gather(&questions).await?.answers;
        Ok(StateAnswers::new(reads, answers))
    }

    fn put_in_force(&self, set: &RuleSet, toggles: &[(CompactString, bool)]) -> u64 {
        let number = self.current.load().stamp.number + 1;
        let next = Generation::new(number, set.with_toggles(toggles));
        events::in_force(&next);
        self.current.store(Arc::new(next));
        number
    }

    fn refused(&self, error: &RulesError) {
        events::refused(error);
        let problems = error.problems();
        if !problems.is_empty() {
            *self.last_errors.lock() = problems;
        }
    }

    /// Reads the toggles of all nodes and puts them in force if they differ.
    async fn follow_toggles(&self, loading: &mut Loading) -> Result<(), RulesError> {
        let mut toggles = self.state.rule_toggles().await?;
        toggles.sort();
        if toggles != loading.toggles {
            self.put_in_force(&self.current.load().set, &toggles);
            loading.toggles = toggles;
        }
        Ok(())
    }

    /// The canonical path of `directory`, if it is the configured one or below it.
    fn inside(&self, directory: &Path) -> Result<PathBuf, RulesError> {
        let configured = self
            .options
            .directory
            .as_deref()
            .ok_or(RulesError::NoDirectory)?;
        let outside = || RulesError::OutsideDirectory(directory.display().to_string());
        let asked = configured
            .join(directory)
            .canonicalize()
            .map_err(|_| outside())?;
        let root = configured.canonicalize().map_err(|_| outside())?;
        if asked.starts_with(root) {
            Ok(asked)
        } else {
            Err(outside())
        }
    }
}

#[async_trait]
impl Rulebook for Rules {
    fn rules(&self) -> RulesInForce {
        let generation = self.current.load();
        RulesInForce {
            generation: generation.stamp.number,
            content_hash: generation.set.content_hash().into(),
            rules: generation.set.summaries(),
            last_errors: self.last_errors.lock().clone(),
        }
    }

    async fn reload(&self, directory: Option<&Path>) -> Result<Reloaded, RulesError> {
        let directory = match directory {
            Some(directory) => self.inside(directory)?,
            None => self
                .options
                .directory
                .clone()
                .ok_or(RulesError::NoDirectory)?,
        };
        let mut loading = self.loading.lock().await;
        let reading = files::read(&directory).await;
        let result = self.take(directory, reading, &mut loading);
        result.inspect_err(|error| self.refused(error))
    }

    async fn set_enabled(&self, name: &str, enabled: bool) -> Result<(), RulesError> {
        let mut loading = self.loading.lock().await;
        if !self.current.load().set.contains(name) {
            return Err(RulesError::NotFound(name.to_owned()));
        }
        self.state.set_rule_enabled(name, enabled).await?;
        self.follow_toggles(&mut loading).await
    }

    async fn evaluate(
        &self,
        action: &Action,
        options: &EvaluateOptions,
    ) -> Result<Evaluation, EvaluateError> {
        let generation = self.generation();
        let set = &generation.set;
        let now = options
            .evaluate_at
            .unwrap_or_else(|| self.options.clock.now());
        let reads = set.ask_to_explain(action, now, options);
        let gathered = match &options.mock_state {
            Some(mock) => {
                let mocked = StateAnswers::mocked(reads, mock);
                mocked.map_err(|error| EvaluateError::Mock(error.to_string()))?
            }
            None => self.read(reads).await?,
        };
        let case = ExplainRequest {
            action,
            now,
            answers: &gathered,
        };
        let start = Instant::now();
        let stopwatch = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut explanation = set.explanation(case, options, &self.options.redactor);
        let mut slice = TimeSlice::begin();
        while explanation.next_rule(&stopwatch) {
            slice.yield_when_over().await;
        }
        let silenced_by = match &options.mock_state {
            Some(_) => None,
            None => {
                let silences = self.silences.current().await?;
                let target = target_of(set.decide(action, now, &gathered).effect, action);
                target.and_then(|target| silences.find_for(action, &target))
            }
        };
        Ok(Evaluation {
            silenced_by,
            ..explanation.finish(stopwatch())
        })
    }

    async fn dry_run(&self, actions: &[&Action]) -> Result<Vec<ActionOutcome>, StateError> {
        let generation = self.generation();
        let now = self.options.clock.now();
        let set = &generation.set;
        let gathered = gather(set, actions.iter().copied(), now, &*self.state).await?;
        let mut gathered = gathered.answers.into_iter();
        let silences = self.silences.current().await?;
        let mut slice = TimeSlice::begin();
        let mut outcomes = Vec::with_capacity(actions.len());
        for action in actions {
            let known = gathered.next().unwrap_or_default();
            outcomes.push(would_be(action, set.decide(action, now, &known), &silences));
            slice.yield_when_over().await;
        }
        Ok(outcomes)
    }
}

fn would_be(action: &Action, decision: Decision, silences: &SilenceView) -> ActionOutcome {
    let delivers = matches!(decision.effect, Effect::Deliver(_));
    let target = target_of(decision.effect, action);
    let silence = target
        .as_deref()
        .and_then(|target| silences.find_for(action, target));
    if let Some(silence) = silence.as_ref().filter(|_| delivers) {
        return ActionOutcome::DryRun {
            verdict: Verdict::Suppress,
            matched_rule: Some(silence_rule(silence)),
            would_be_provider: action.provider.clone(),
            silenced_by: Some(silence.clone()),
        };
    }
    // A silence withholds the notice of a report and a member of a summary. It changes neither the event nor the group.
    ActionOutcome::DryRun {
        verdict: decision.verdict,
        matched_rule: decision.matched_rule,
        would_be_provider: target.unwrap_or_else(|| action.provider.clone()),
        silenced_by: silence,
    }
}

/// The provider that the rules choose; `None` if nothing is delivered.
fn target_of(effect: Effect, action: &Action) -> Option<CompactString> {
    let chosen = match effect {
        Effect::Deliver(plan) => plan.provider,
        Effect::Group(group) => Some(group.settings.provider),
        Effect::Report(report) => report.plan.provider,
        Effect::Suppress { .. } | Effect::Fail(_) => return None,
    };
    Some(chosen.unwrap_or_else(|| action.provider.clone()))
}

#[cfg(test)]
mod tests;
