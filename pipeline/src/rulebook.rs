//! The rules in force: a directory of files loaded as a whole or not at all, swapped atomically, watched for change,
//! and the toggles that all nodes share. What rules mean is left to `acteon-rules`.

mod events;
mod files;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use acteon_core::rules::{
    EvaluateOptions, Evaluation, Reloaded, RuleProblem, Rulebook, RulesError, RulesInForce,
};
use acteon_core::{Action, ActionOutcome, Clock, Redactor, State};
use acteon_rules::{Effect, RuleSet, Settings};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::time::Instant;

use self::files::Stamp;
pub use self::files::read_rule_files;
pub use self::watch::Follow;

/// A set of rules in force, and its number.
pub struct Generation {
    /// Counts the sets that were in force in this process, from 1.
    pub number: u64,
    /// The set.
    pub set: RuleSet,
}

/// Where rules come from, and what they may refer to.
pub struct RulesOptions {
    /// The directory of the rule files; `None`: there are no rules.
    pub directory: Option<PathBuf>,
    /// What rules may refer to.
    pub settings: Settings,
    /// What explanations hide.
    pub redactor: Redactor,
    /// The time.
    pub clock: Clock,
}

/// The rules in force.
pub struct Rules {
    options: RulesOptions,
    state: Arc<dyn State>,
    current: ArcSwap<Generation>,
    /// What the last attempt to load found wrong.
    last_errors: Mutex<Vec<RuleProblem>>,
    /// Held while a set is loaded or toggled: one after the other.
    loading: tokio::sync::Mutex<Loading>,
}

struct Loading {
    /// Where the set in force was read, which is what is watched.
    directory: Option<PathBuf>,
    /// How the files looked when they were last read.
    stamp: Option<Stamp>,
    toggles: Vec<(CompactString, bool)>,
}

impl Rules {
    /// Loads the configured directory. Toggles that cannot be read now are read later.
    ///
    /// # Errors
    /// All that is wrong with the files: a process does not start with rules that it cannot read.
    pub async fn load(
        options: RulesOptions,
        state: Arc<dyn State>,
    ) -> Result<Arc<Self>, RulesError> {
        let (stamp, set) = match &options.directory {
            None => (None, RuleSet::empty()),
            Some(directory) => {
                let (stamp, files) = files::read(directory).await?;
                let set = RuleSet::compile(&files, &options.settings);
                (Some(stamp), set.map_err(RulesError::Invalid)?)
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
        let first = Generation {
            number: 1,
            set: set.with_toggles(&toggles),
        };
        events::in_force(&first);
        Ok(Arc::new(Self {
            loading: tokio::sync::Mutex::new(Loading {
                directory: options.directory.clone(),
                stamp,
                toggles,
            }),
            current: ArcSwap::from_pointee(first),
            last_errors: Mutex::default(),
            options,
            state,
        }))
    }

    /// The set in force. Whoever holds it goes on with it, whatever is loaded meanwhile.
    pub fn generation(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Loads `directory` and puts its rules in force, or leaves all as it is.
    async fn load_from(
        &self,
        directory: PathBuf,
        loading: &mut Loading,
    ) -> Result<Reloaded, RulesError> {
        let (stamp, files) = files::read(&directory).await?;
        loading.stamp = Some(stamp);
        let set = RuleSet::compile(&files, &self.options.settings).map_err(RulesError::Invalid)?;
        let rules = set.len();
        let generation = self.put_in_force(&set, &loading.toggles);
        loading.directory = Some(directory.clone());
        self.last_errors.lock().clear();
        Ok(Reloaded {
            rules,
            directory,
            generation,
        })
    }

    fn put_in_force(&self, set: &RuleSet, toggles: &[(CompactString, bool)]) -> u64 {
        let next = Generation {
            number: self.current.load().number + 1,
            set: set.with_toggles(toggles),
        };
        events::in_force(&next);
        let number = next.number;
        self.current.store(Arc::new(next));
        number
    }

    fn refused(&self, error: &RulesError) {
        events::refused(error);
        if let RulesError::Invalid(problems) = error {
            self.last_errors.lock().clone_from(problems);
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

    /// `directory` as it is really called, when it is the configured one or below it.
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
            generation: generation.number,
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
        let result = self.load_from(directory, &mut loading).await;
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

    fn evaluate(&self, action: &Action, options: &EvaluateOptions) -> Evaluation {
        let (start, now) = (Instant::now(), self.options.clock.now());
        let stopwatch = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (set, redactor) = (&self.current.load().set, &self.options.redactor);
        set.explain_timed(action, now, options, redactor, &stopwatch)
    }

    fn dry_run(&self, action: &Action) -> ActionOutcome {
        let decision = self
            .current
            .load()
            .set
            .decide(action, self.options.clock.now());
        let would_be_provider = match decision.effect {
            Effect::Deliver(plan) => plan.provider.or_else(|| Some(action.provider.clone())),
            Effect::Suppress { .. } | Effect::Fail(_) => None,
        };
        ActionOutcome::DryRun {
            verdict: decision.verdict,
            matched_rule: decision.matched_rule,
            would_be_provider,
        }
    }
}

#[cfg(test)]
mod tests;
