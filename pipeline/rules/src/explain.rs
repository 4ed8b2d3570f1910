//! The same decision with every step told: what the playground shows. No payload content leaves unredacted.

use acteon_core::rules::{EvaluateOptions, Evaluation, RuleResult, RuleTrace};
use acteon_core::{Action, Payload, Redactor};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cel::Budget;
use crate::condition::why_not;
use crate::decide::{Decision, Progress, Step};
use crate::facts::{Beside, Environment, Facts};
use crate::moment::Moment;
use crate::reads::{self, Gathered, Read};
use crate::rule::Rule;
use crate::set::RuleSet;

/// An action to be explained.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Case<'c> {
    pub action: &'c Action,
    /// The time that rules are given.
    pub now: Timestamp,
    /// The answers to what was asked.
    pub gathered: &'c Gathered,
}

/// Tells how many microseconds have passed since it was made; rules themselves have no clock.
pub type Stopwatch<'w> = &'w dyn Fn() -> u64;

impl RuleSet {
    /// What the rules that take part in an explanation want to know of the state.
    pub fn ask_to_explain(
        &self,
        action: &Action,
        now: Timestamp,
        options: &EvaluateOptions,
    ) -> Vec<Read> {
        let all = self.rules();
        let taking_part = all.filter(|(_, enabled)| *enabled || options.include_disabled);
        let rules = taking_part.map(|(rule, _)| rule);
        let nothing = Gathered::default();
        let payload = &action.payload;
        self.ask_for(
            rules,
            &mut Facts::new(action, payload, self.beside(now, &nothing)),
        )
    }

    /// Decides about an action and tells why. Durations are left at zero.
    pub fn explain(
        &self,
        case: Case<'_>,
        options: &EvaluateOptions,
        redactor: &Redactor,
    ) -> Evaluation {
        self.explain_timed(case, options, redactor, &|| 0)
    }

    /// As [`RuleSet::explain`], with the durations that `stopwatch` shows.
    pub fn explain_timed(
        &self,
        case: Case<'_>,
        options: &EvaluateOptions,
        redactor: &Redactor,
        stopwatch: Stopwatch<'_>,
    ) -> Evaluation {
        let began = stopwatch();
        let mut explaining = self.explaining(case, options, redactor);
        while explaining.next_rule(stopwatch) {}
        explaining.finish(stopwatch().saturating_sub(began))
    }

    /// Begins an explanation that is made rule by rule: one rule may take long.
    pub fn explaining<'e>(
        &'e self,
        case: Case<'e>,
        options: &'e EvaluateOptions,
        redactor: &'e Redactor,
    ) -> Explaining<'e> {
        Explaining {
            set: self,
            case,
            options,
            told: Told::new(self, case, redactor),
        }
    }

    /// What [`RuleSet::decide`] would answer, by the steps that explaining takes.
    #[cfg(test)]
    pub(crate) fn decide_by_explaining(&self, case: Case<'_>) -> Decision {
        let redactor = Redactor::default();
        let mut told = Told::new(self, case, &redactor);
        for (rule, enabled) in self.rules() {
            if enabled && !told.is_decided {
                told.rule(rule);
            }
        }
        told.progress.into_decision()
    }

    fn context(&self, case: Case<'_>, redactor: &Redactor) -> Value {
        let (now, zone) = (case.now, self.default_zone());
        json!({
            "now": now.as_second(),
            "timezone": zone.iana_name().unwrap_or("UTC"),
            "time": Moment::new(now, zone).to_json(),
            "state": self.told_state(case, redactor),
        })
    }

    /// What was read of the state, under keys that hold nothing that is not to be shown.
    fn told_state(&self, case: Case<'_>, redactor: &Redactor) -> Value {
        let redacted = redactor.payload(&case.action.payload);
        let beside = Beside {
            environment: Environment::Hidden,
            ..self.beside(case.now, case.gathered)
        };
        let mut shown = Facts::new(case.action, &redacted, beside);
        let rules = self.rules().map(|(rule, _)| rule);
        reads::told(case.gathered, &self.ask_for(rules, &mut shown))
    }
}

/// An explanation on its way.
pub struct Explaining<'e> {
    set: &'e RuleSet,
    case: Case<'e>,
    options: &'e EvaluateOptions,
    told: Told<'e>,
}

impl Explaining<'_> {
    /// Explains the next rule; false when there is none.
    pub fn next_rule(&mut self, stopwatch: Stopwatch<'_>) -> bool {
        let told = &mut self.told;
        let Some((rule, enabled)) = self.set.rules().nth(told.trace.len()) else {
            return false;
        };
        let started = stopwatch();
        let (result, why) = if !enabled && !self.options.include_disabled {
            (RuleResult::Skipped, Some("the rule is disabled".to_owned()))
        } else if told.is_decided && !self.options.evaluate_all {
            let reason = "an earlier rule has decided".to_owned();
            (RuleResult::Skipped, Some(reason))
        } else {
            told.rule(rule)
        };
        let mut trace = RuleTrace {
            rule_name: rule.name.clone(),
            priority: rule.priority,
            enabled,
            condition_display: rule.condition.shown(),
            result,
            evaluation_duration_us: stopwatch().saturating_sub(started),
            action: rule.action.verdict().as_str(),
            source: rule.source.clone(),
            description: rule.description.clone(),
            skip_reason: None,
            error: None,
            reason: None,
            metadata: rule.metadata.clone(),
        };
        *match result {
            RuleResult::Skipped => &mut trace.skip_reason,
            RuleResult::Error => &mut trace.error,
            RuleResult::Matched | RuleResult::NotMatched => &mut trace.reason,
        } = why;
        told.trace.push(trace);
        true
    }

    /// What was explained so far, which took so long.
    pub fn finish(self, duration_us: u64) -> Evaluation {
        let context = self.set.context(self.case, self.told.redactor);
        self.told.into_evaluation(context, duration_us)
    }
}

/// What was told of it.
struct Told<'t> {
    action: &'t Action,
    beside: Beside<'t>,
    redactor: &'t Redactor,
    progress: Progress,
    is_decided: bool,
    /// The working copy, redacted.
    shown: Payload,
    trace: Vec<RuleTrace>,
}

impl<'t> Told<'t> {
    fn new(set: &'t RuleSet, case: Case<'t>, redactor: &'t Redactor) -> Self {
        let action = case.action;
        Self {
            action,
            beside: set.beside(case.now, case.gathered),
            redactor,
            progress: Progress::default(),
            is_decided: false,
            shown: redactor.payload(&action.payload),
            trace: Vec::new(),
        }
    }

    /// Tests a rule and, unless it is decided, does what it says.
    fn rule(&mut self, rule: &Rule) -> (RuleResult, Option<String>) {
        let payload = self.progress.plan.payload.clone();
        let payload = payload.as_ref().unwrap_or(&self.action.payload);
        let mut facts = Facts::new(self.action, payload, self.beside);
        let holds = rule.condition.holds(&mut facts);
        if let Ok(false) = holds {
            let mut shown = Facts::new(self.action, &self.shown, self.beside);
            facts.budget = Budget::default();
            let reason = why_not(&rule.condition, &mut facts, &mut shown);
            self.progress.note(&facts);
            return (RuleResult::NotMatched, reason);
        }
        let reason = rule.action.reason().map(str::to_owned);
        if self.is_decided {
            return match holds {
                Ok(_) => (RuleResult::Matched, reason),
                Err(fault) => (RuleResult::Error, Some(fault.to_string())),
            };
        }
        let step = holds.and_then(|_| self.progress.try_take(rule, &mut facts));
        self.progress.note(&facts);
        let (step, told) = match step {
            Ok(step) => (step, (RuleResult::Matched, reason)),
            Err(fault) => {
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
        let is_error = |trace: &RuleTrace| trace.result == RuleResult::Error;
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
            has_errors: self.trace.iter().any(is_error),
            total_rules_evaluated: self.trace.len() - total_rules_skipped,
            total_rules_skipped,
            evaluation_duration_us,
            trace: self.trace,
            context,
            modified_payload,
        }
    }
}
