//! Formats an evaluation for a terminal: the verdict, then the result of each rule and its reason.

use std::fmt;

use acteon_core::rules::{Evaluation, RuleResult, RuleTrace};
use serde_json::Value;

/// An evaluation as text.
pub struct EvaluationReport<'e>(pub &'e Evaluation);

impl fmt::Display for EvaluationReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evaluation = self.0;
        match &evaluation.matched_rule {
            Some(rule) => write!(f, "{} by {rule}", evaluation.verdict.as_str())?,
            None => write!(f, "{}: no rule decided", evaluation.verdict.as_str())?,
        }
        let (later, tried): (Vec<_>, Vec<_>) = evaluation.trace.iter().partition(|t| is_later(t));
        if !tried.is_empty() {
            write!(f, "\n\n{}", Table(&tried))?;
        }
        match later.len() {
            0 => {}
            1 => write!(f, "\n1 later rule was not tried")?,
            many => write!(f, "\n{many} later rules were not tried")?,
        }
        for read in evaluation.context["state"].as_array().into_iter().flatten() {
            write!(f, "\nstate    {read}")?;
        }
        if let Some(payload) = &evaluation.modified_payload {
            write!(f, "\npayload  {}", pretty(payload))?;
        }
        Ok(())
    }
}

/// Whether the rule was skipped because an earlier one decided.
fn is_later(trace: &RuleTrace) -> bool {
    trace.result == RuleResult::Skipped && trace.enabled
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The rules, in aligned columns.
struct Table<'t>(&'t [&'t RuleTrace]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |of: fn(&RuleTrace) -> &str| {
            let widths = self.0.iter().map(|trace| of(trace).chars().count());
            widths.max().unwrap_or_default()
        };
        let name = wide(|trace| &trace.rule_name);
        let action = wide(|trace| trace.action);
        for (at, trace) in self.0.iter().enumerate() {
            let line = format!(
                "{:<11}  {:<name$}  {:<action$}  {}",
                result(trace.result),
                trace.rule_name,
                trace.action,
                trace.why().unwrap_or_default()
            );
            let end = if at > 0 { "\n" } else { "" };
            write!(f, "{end}{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn result(result: RuleResult) -> &'static str {
    match result {
        RuleResult::Matched => "matched",
        RuleResult::NotMatched => "not matched",
        RuleResult::Skipped => "skipped",
        RuleResult::Error => "error",
    }
}
