//! The same decision with every step told: what the playground shows. No payload content leaves unredacted.

use acteon_core::rules::{EvaluateOptions, Evaluation, RuleResult, RuleTrace};
use acteon_core::{Action, Payload, Redactor};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::condition::why_not;
use crate::decide::{Decision, Progress, Step};
use crate::facts::Facts;
use crate::moment::Moment;
use crate::rule::Rule;
use crate::set::RuleSet;

/// Tells how many microseconds have passed since it was made; rules themselves have no clock.
pub type Stopwatch<'w> = &'w dyn Fn() -> u64;

impl RuleSet {
    /// Decides about an action as of `now` (or the time in `options`) and tells why. Durations are left at zero.
    pub fn explain(
        &self,
        action: &Action,
        now: Timestamp,
        options: &EvaluateOptions,
        redactor: &Redactor,
    ) -> Evaluation {
        self.explain_timed(action, now, options, redactor, &|| 0)
    }

    /// As [`RuleSet::explain`], with the durations that `stopwatch` shows.
    pub fn explain_timed(
        &self,
        action: &Action,
        now: Timestamp,
        options: &EvaluateOptions,
        redactor: &Redactor,
        stopwatch: Stopwatch<'_>,
    ) -> Evaluation {
        let began = stopwatch();
        let now = options.evaluate_at.unwrap_or(now);
        let mut told = Told::new(self, action, now, redactor);
        for (rule, enabled) in self.rules() {
            let started = stopwatch();
            let (result, reason) = if !enabled && !options.include_disabled {
                (RuleResult::Skipped, Some("the rule is disabled".to_owned()))
            } else if told.is_decided && !options.evaluate_all {
                let reason = "an earlier rule has decided".to_owned();
                (RuleResult::Skipped, Some(reason))
            } else {
                told.rule(rule)
            };
            told.trace.push(RuleTrace {
                rule: rule.name.clone(),
                priority: rule.priority,
                enabled,
                result,
                reason,
                action_type: rule.action.verdict().as_str(),
                duration_us: stopwatch().saturating_sub(started),
                metadata: rule.metadata.clone(),
            });
        }
        let context = self.context(now);
        let duration_us = stopwatch().saturating_sub(began);
        told.into_evaluation(context, duration_us)
    }

    /// What [`RuleSet::decide`] would answer, by the steps that explaining takes.
    #[cfg(test)]
    pub(crate) fn decide_by_explaining(&self, action: &Action, now: Timestamp) -> Decision {
        let redactor = Redactor::default();
        let mut told = Told::new(self, action, now, &redactor);
        for (rule, enabled) in self.rules() {
            if enabled && !told.is_decided {
                told.rule(rule);
            }
        }
        told.progress.into_decision()
    }

    fn context(&self, now: Timestamp) -> Value {
        let zone = self.default_zone();
        json!({
            "now": now.as_second(),
            "timezone": zone.iana_name().unwrap_or("UTC"),
            "time": Moment::new(now, zone).to_json(),
        })
    }
}

/// An evaluation on its way.
struct Told<'t> {
    set: &'t RuleSet,
    action: &'t Action,
    now: Timestamp,
    redactor: &'t Redactor,
    progress: Progress,
    is_decided: bool,
    has_errors: bool,
    /// The working copy, redacted.
    shown: Payload,
    trace: Vec<RuleTrace>,
}

impl<'t> Told<'t> {
    fn new(set: &'t RuleSet, action: &'t Action, now: Timestamp, redactor: &'t Redactor) -> Self {
        Self {
            set,
            action,
            now,
            redactor,
            progress: Progress::default(),
            is_decided: false,
            has_errors: false,
            shown: redactor.payload(&action.payload),
            trace: Vec::new(),
        }
    }

    /// Tests a rule and, unless it is decided, does what it says.
    fn rule(&mut self, rule: &Rule) -> (RuleResult, Option<String>) {
        let payload = self.progress.plan.payload.clone();
        let json = payload.as_ref().unwrap_or(&self.action.payload).as_bytes();
        let mut facts = Facts::new(self.action, json, self.now, self.set.zones());
        if !rule.condition.holds(&mut facts) {
            let json = self.shown.as_bytes();
            let mut shown = Facts::new(self.action, json, self.now, self.set.zones());
            let reason = why_not(&rule.condition, &mut facts, &mut shown);
            return (RuleResult::NotMatched, reason);
        }
        let reason = rule.action.reason().map(str::to_owned);
        if self.is_decided {
            return (RuleResult::Matched, reason);
        }
        let (step, told) = match self.progress.try_take(rule, &mut facts) {
            Ok(step) => (step, (RuleResult::Matched, reason)),
            Err(fault) => {
                self.has_errors = true;
                let reason = fault.to_string();
                (
                    self.progress.fault(rule, &fault),
                    (RuleResult::Error, Some(reason)),
                )
            }
        };
        self.is_decided = step == Step::End;
        if let (Step::Modified, Some(changed)) = (step, &self.progress.plan.payload) {
            self.shown = self.redactor.payload(changed);
        }
        told
    }

    fn into_evaluation(self, context: Value, evaluation_duration_us: u64) -> Evaluation {
        let skipped = |trace: &&RuleTrace| trace.result == RuleResult::Skipped;
        let total_rules_skipped = self.trace.iter().filter(skipped).count();
        let modified_payload = self.progress.plan.payload.as_ref().and_then(|payload| {
            let mut value = payload.parse::<Value>().ok()?;
            self.redactor.value(&mut value);
            Some(value)
        });
        let Decision {
            verdict,
            matched_rule,
            ..
        } = self.progress.into_decision();
        Evaluation {
            verdict,
            matched_rule,
            has_errors: self.has_errors,
            total_rules_evaluated: self.trace.len() - total_rules_skipped,
            total_rules_skipped,
            evaluation_duration_us,
            trace: self.trace,
            context,
            modified_payload,
        }
    }
}
