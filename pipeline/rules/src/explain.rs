//! Explains a decision rule by rule, for the playground. Payloads are redacted.

use acteon_core::rules::{EvaluateOptions, Evaluation, RuleResult, RuleTrace};
use acteon_core::{Action, Payload, Redactor};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::answers::{StateAnswers, StateRead};
use crate::budget::Budget;
use crate::condition::why_not;
use crate::decide::{AfterRule, Decision, DecisionBuilder};
use crate::facts::{EnvironmentAccess, FactContext, Facts};
use crate::moment::Moment;
use crate::rule::Rule;
use crate::set::RuleSet;

/// An action to explain.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct ExplainRequest<'c> {
    pub action: &'c Action,
    /// The time of the decision.
    pub now: Timestamp,
    /// The answers to the reads from [`RuleSet::ask_to_explain`].
    pub answers: &'c StateAnswers,
}

/// Returns the microseconds since it was created; rules themselves have no clock.
pub type Stopwatch<'w> = &'w dyn Fn() -> u64;

impl RuleSet {
    /// The reads of the rules that take part in an explanation.
    pub fn ask_to_explain(
        &self,
        action: &Action,
        now: Timestamp,
        options: &EvaluateOptions,
    ) -> Vec<StateRead> {
        let all = self.rules();
        let taking_part = all.filter(|(_, enabled)| *enabled || options.include_disabled);
        let rules = taking_part.map(|(rule, _)| rule);
        let nothing = StateAnswers::default();
        let payload = &action.payload;
        self.ask_for(
            rules,
            &mut Facts::new(action, payload, self.fact_context(now, &nothing)),
        )
    }

    /// Decides about an action and explains why. Durations are zero.
    pub fn explain(
        &self,
        request: ExplainRequest<'_>,
        options: &EvaluateOptions,
        redactor: &Redactor,
    ) -> Evaluation {
        self.explain_timed(request, options, redactor, &|| 0)
    }

    /// Like [`RuleSet::explain`], with durations from `stopwatch`.
    pub fn explain_timed(
        &self,
        request: ExplainRequest<'_>,
        options: &EvaluateOptions,
        redactor: &Redactor,
        stopwatch: Stopwatch<'_>,
    ) -> Evaluation {
        let began = stopwatch();
        let mut explanation = self.explanation(request, options, redactor);
        while explanation.next_rule(stopwatch) {}
        explanation.finish(stopwatch().saturating_sub(began))
    }

    /// Starts an explanation that the caller advances rule by rule, because one rule may take long.
    pub fn explanation<'e>(
        &'e self,
        request: ExplainRequest<'e>,
        options: &'e EvaluateOptions,
        redactor: &'e Redactor,
    ) -> Explanation<'e> {
        Explanation {
            set: self,
            request,
            options,
            trace: TraceBuilder::new(self, request, redactor),
        }
    }

    /// The decision that an explanation arrives at.
    #[cfg(test)]
    pub(crate) fn decide_by_explaining(&self, request: ExplainRequest<'_>) -> Decision {
        let redactor = Redactor::default();
        let mut trace = TraceBuilder::new(self, request, &redactor);
        for (rule, enabled) in self.rules() {
            if enabled && !trace.is_decided {
                trace.rule(rule);
            }
        }
        trace.builder.into_decision()
    }

    fn context(&self, request: ExplainRequest<'_>, redactor: &Redactor) -> Value {
        let now = request.now;
        let zone = self.default_zone();
        json!({
            "now": now.as_second(),
            "timezone": zone.iana_name().unwrap_or("UTC"),
            "time": Moment::new(now, zone).to_json(),
            "state": self.state_json(request, redactor),
        })
    }

    /// The answers of the state, under redacted names.
    fn state_json(&self, request: ExplainRequest<'_>, redactor: &Redactor) -> Value {
        let redacted = redactor.payload(&request.action.payload);
        let context = FactContext {
            environment: EnvironmentAccess::Hidden,
            ..self.fact_context(request.now, request.answers)
        };
        let mut shown = Facts::new(request.action, &redacted, context);
        let rules = self.rules().map(|(rule, _)| rule);
        request.answers.to_json(&self.ask_for(rules, &mut shown))
    }
}

/// An explanation in progress.
pub struct Explanation<'e> {
    set: &'e RuleSet,
    request: ExplainRequest<'e>,
    options: &'e EvaluateOptions,
    trace: TraceBuilder<'e>,
}

impl Explanation<'_> {
    /// Explains the next rule; false when there is none.
    pub fn next_rule(&mut self, stopwatch: Stopwatch<'_>) -> bool {
        let trace = &mut self.trace;
        let Some((rule, enabled)) = self.set.rules().nth(trace.rules.len()) else {
            return false;
        };
        let started = stopwatch();
        let (result, why) = if !enabled && !self.options.include_disabled {
            (RuleResult::Skipped, Some("the rule is disabled".to_owned()))
        } else if trace.is_decided && !self.options.evaluate_all {
            let reason = "an earlier rule has decided".to_owned();
            (RuleResult::Skipped, Some(reason))
        } else {
            trace.rule(rule)
        };
        let mut rule_trace = RuleTrace {
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
            RuleResult::Skipped => &mut rule_trace.skip_reason,
            RuleResult::Error => &mut rule_trace.error,
            RuleResult::Matched | RuleResult::NotMatched => &mut rule_trace.reason,
        } = why;
        trace.rules.push(rule_trace);
        true
    }

    /// The explanation so far, with its duration.
    pub fn finish(self, duration_us: u64) -> Evaluation {
        let context = self.set.context(self.request, self.trace.redactor);
        self.trace.into_evaluation(context, duration_us)
    }
}

/// Collects the trace of an explanation.
struct TraceBuilder<'t> {
    action: &'t Action,
    context: FactContext<'t>,
    redactor: &'t Redactor,
    builder: DecisionBuilder,
    is_decided: bool,
    /// The working copy, redacted.
    shown: Payload,
    rules: Vec<RuleTrace>,
}

impl<'t> TraceBuilder<'t> {
    fn new(set: &'t RuleSet, request: ExplainRequest<'t>, redactor: &'t Redactor) -> Self {
        let action = request.action;
        Self {
            action,
            context: set.fact_context(request.now, request.answers),
            redactor,
            builder: DecisionBuilder::default(),
            is_decided: false,
            shown: redactor.payload(&action.payload),
            rules: Vec::new(),
        }
    }

    /// Tests a rule and, unless the action is decided, applies it.
    fn rule(&mut self, rule: &Rule) -> (RuleResult, Option<String>) {
        let payload = self.builder.plan.payload.clone();
        let payload = payload.as_ref().unwrap_or(&self.action.payload);
        let mut facts = Facts::new(self.action, payload, self.context);
        let holds = rule.condition.holds(&mut facts);
        if let Ok(false) = holds {
            let mut shown = Facts::new(self.action, &self.shown, self.context);
            facts.budget = Budget::default();
            let reason = why_not(&rule.condition, &mut facts, &mut shown);
            self.builder.record_tallies(&facts);
            return (RuleResult::NotMatched, reason);
        }
        let reason = rule.action.reason().map(str::to_owned);
        if self.is_decided {
            return match holds {
                Ok(_) => (RuleResult::Matched, reason),
                Err(fault) => (RuleResult::Error, Some(fault.to_string())),
            };
        }
        let step = holds.and_then(|_| self.builder.try_take(rule, &mut facts));
        self.builder.record_tallies(&facts);
        let (step, result) = match step {
            Ok(step) => (step, (RuleResult::Matched, reason)),
            Err(fault) => {
                let reason = fault.to_string();
                (
                    self.builder.fault(rule, &fault),
                    (RuleResult::Error, Some(reason)),
                )
            }
        };
        self.is_decided = step == AfterRule::End;
        if let (AfterRule::Modified, Some(changed)) = (step, &self.builder.plan.payload) {
            self.shown = self.redactor.payload(changed);
        }
        result
    }

    fn into_evaluation(self, context: Value, evaluation_duration_us: u64) -> Evaluation {
        let skipped = |trace: &&RuleTrace| trace.result == RuleResult::Skipped;
        let is_error = |trace: &RuleTrace| trace.result == RuleResult::Error;
        let total_rules_skipped = self.rules.iter().filter(skipped).count();
        let modified = self.builder.plan.payload.as_ref();
        let modified_payload = modified.map(|payload| self.redactor.payload(payload));
        let Decision {
            verdict,
            matched_rule,
            ..
        } = self.builder.into_decision();
        Evaluation {
            verdict,
            matched_rule,
            silenced_by: None,
            has_errors: self.rules.iter().any(is_error),
            total_rules_evaluated: self.rules.len() - total_rules_skipped,
            total_rules_skipped,
            evaluation_duration_us,
            trace: self.rules,
            context,
            modified_payload,
        }
    }
}
