//! Compares expectations with actual results.

use acteon_core::rules::{Evaluation, RuleResult};
use acteon_core::{ActionOutcome, AuditRecord, Payload};
use acteon_rules::reading::LineColumn;
use serde_json::Value;

use crate::case::{Expectations, ExpectedCalls, ExpectedPayload, Located};
use crate::diff::{PayloadMatch, differences};
use crate::duration::{shown, whole_seconds};

/// A difference between an expectation and the actual result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The line in the test file.
    pub line: usize,
    /// What differs, such as `outcome` or `payload.order`.
    pub what: String,
    /// The expected value.
    pub expected: String,
    /// The actual value.
    pub found: String,
}

impl Mismatch {
    fn new(
        place: LineColumn,
        what: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            line: place.line,
            what: what.to_owned(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// The result of one dispatched action.
pub(crate) struct ActualResult<'f> {
    /// The outcome, or why there is none.
    pub(crate) outcome: Result<&'f ActionOutcome, &'f str>,
    /// None if the action was answered from the memory for ids, or has not finished.
    pub(crate) record: Option<&'f AuditRecord>,
    /// The evaluation by the rules, if it was requested.
    pub(crate) evaluation: Option<&'f Evaluation>,
    pub(crate) rule_errors: u64,
}

/// The mismatches of an action.
pub(crate) fn action(expected: &Expectations, found: &ActualResult<'_>) -> Vec<Mismatch> {
    let mut wrong = Vec::new();
    if let Some(Located { place, value }) = &expected.outcome
        && !found
            .outcome
            .is_ok_and(|outcome| variant(outcome) == *value)
    {
        wrong.push(Mismatch::new(
            *place,
            "outcome",
            *value,
            found.outcome_text(),
        ));
    }
    wrong.extend(change(expected, found));
    if let Some(Located { place, value }) = &expected.code {
        let code = match found.outcome {
            Ok(ActionOutcome::Failed(failure)) => failure.code.as_str(),
            _ => "",
        };
        if code != *value {
            wrong.push(Mismatch::new(*place, "code", *value, found.outcome_text()));
        }
    }
    if let Some(Located { place, value }) = &expected.rule
        && found.rule() != value.as_deref()
    {
        let wanted = value.as_deref();
        let actual = format!("{}{}", rule_text(found.rule()), found.why_not(wanted));
        wrong.push(Mismatch::new(*place, "rule", rule_text(wanted), actual));
    }
    if let Some(Located { place, value }) = &expected.provider
        && found.provider() != Some(value.as_str())
    {
        let actual = found.provider().unwrap_or(NOT_DELIVERED);
        wrong.push(Mismatch::new(*place, "provider", value.as_str(), actual));
    }
    wrong.extend(content("payload", &expected.content, found.payload()));
    if let Some(Located { place, value }) = &expected.retry_after {
        let actual = match found.outcome {
            Ok(ActionOutcome::Throttled { retry_after }) => Some(*retry_after),
            _ => None,
        };
        if actual.map(whole_seconds) != Some(whole_seconds(*value)) {
            let actual = actual.map_or_else(|| found.outcome_text(), shown);
            wrong.push(Mismatch::new(*place, "retry_after", shown(*value), actual));
        }
    }
    if let Some(Located { place, value }) = &expected.rule_errors
        && found.rule_errors != *value
    {
        let value = value.to_string();
        let actual = found.rule_errors.to_string();
        wrong.push(Mismatch::new(*place, "rule_errors", value, actual));
    }
    wrong
}

/// The mismatches of a change of state.
fn change(expected: &Expectations, found: &ActualResult<'_>) -> Vec<Mismatch> {
    let mut wrong = Vec::new();
    if let Some(Located { place, value }) = &expected.state {
        let state = match found.outcome {
            Ok(ActionOutcome::StateChanged { new_state, .. }) => new_state.as_str(),
            _ => "",
        };
        if state != value {
            let actual = found.outcome_text();
            wrong.push(Mismatch::new(*place, "state", value.as_str(), actual));
        }
    }
    if let Some(Located { place, value }) = &expected.silenced_by {
        let silence = match found.outcome {
            Ok(ActionOutcome::StateChanged { silenced_by, .. }) => silenced_by.as_deref(),
            _ => None,
        };
        if silence != value.as_deref() {
            let named = |id: Option<&str>| id.unwrap_or("no silence").to_owned();
            let wanted = named(value.as_deref());
            wrong.push(Mismatch::new(*place, "silenced_by", wanted, named(silence)));
        }
    }
    wrong
}

/// The mismatches of the calls a provider has received.
pub(crate) fn calls(expected: &ExpectedCalls, found: &[Payload]) -> Vec<Mismatch> {
    let mut wrong = Vec::new();
    if let Some(Located { place, value }) = &expected.calls
        && found.len() as u64 != *value
    {
        let what = format!("{}: calls", expected.provider);
        let value = value.to_string();
        let actual = found.len().to_string();
        wrong.push(Mismatch::new(*place, &what, value, actual));
    }
    let name = format!("{}: payload", expected.provider);
    wrong.extend(content(&name, &expected.content, found.last()));
    wrong
}

const NOT_DELIVERED: &str = "nothing was delivered";

fn content(name: &str, expected: &ExpectedPayload, found: Option<&Payload>) -> Vec<Mismatch> {
    let parts = [
        (&expected.whole, PayloadMatch::Exact),
        (&expected.has, PayloadMatch::Subset),
    ];
    let mut wrong = Vec::new();
    for (wanted, mode) in parts {
        let Some(Located { place, value }) = wanted else {
            continue;
        };
        let Some(found) = found.and_then(|payload| payload.parse::<Value>().ok()) else {
            wrong.push(Mismatch::new(
                *place,
                name,
                value.to_string(),
                NOT_DELIVERED,
            ));
            continue;
        };
        for difference in differences(value, &found, mode) {
            let what = match difference.path.as_str() {
                "" => name.to_owned(),
                path => format!("{name}.{path}"),
            };
            wrong.push(Mismatch::new(
                *place,
                &what,
                difference.expected,
                difference.found,
            ));
        }
    }
    wrong
}

impl ActualResult<'_> {
    fn outcome_text(&self) -> String {
        self.outcome
            .map_or_else(|why| format!("none: {why}"), outcome_text)
    }

    /// The rule that decided. The audit trail does not name a rule that allows, so the evaluation is used too.
    fn rule(&self) -> Option<&str> {
        let record = self.record?;
        let evaluated = || self.evaluation?.matched_rule.as_deref();
        record.decision.matched_rule.as_deref().or_else(evaluated)
    }

    /// Why the expected rule did not decide, as far as is known.
    fn why_not(&self, wanted: Option<&str>) -> String {
        if self.record.is_none() {
            return match self.outcome {
                Ok(_) => "; it was answered from the memory for ids".to_owned(),
                Err(why) => format!("; {why}"),
            };
        }
        let trace = wanted.and_then(|wanted| {
            let mut traces = self.evaluation?.trace.iter();
            traces.find(|trace| *trace.rule_name == *wanted)
        });
        let Some(trace) = trace else {
            return String::new();
        };
        let did = match trace.result {
            RuleResult::Matched => "matched too",
            RuleResult::NotMatched => "did not match",
            RuleResult::Skipped => "was not evaluated",
            RuleResult::Error => "could not be applied",
        };
        match trace.why() {
            Some(reason) if trace.result != RuleResult::Matched => {
                format!("; {} {did}: {reason}", trace.rule_name)
            }
            _ => format!("; {} {did}", trace.rule_name),
        }
    }

    /// The record, if a provider was asked to deliver.
    fn delivered(&self) -> Option<&AuditRecord> {
        let asked = match self.outcome.ok()? {
            ActionOutcome::Failed(failure) => failure.attempts > 0,
            outcome => outcome.is_delivered(),
        };
        self.record.filter(|_| asked)
    }

    fn provider(&self) -> Option<&str> {
        self.delivered()
            .map(|record| record.subject.provider.as_str())
    }

    fn payload(&self) -> Option<&Payload> {
        self.delivered()?.payload.as_ref()
    }
}

fn rule_text(rule: Option<&str>) -> String {
    rule.unwrap_or("none").to_owned()
}

/// The variant's name on the wire.
fn variant(outcome: &ActionOutcome) -> &'static str {
    match outcome {
        ActionOutcome::Executed(_) => "Executed",
        ActionOutcome::Deduplicated(()) => "Deduplicated",
        ActionOutcome::Suppressed { .. } => "Suppressed",
        ActionOutcome::Rerouted { .. } => "Rerouted",
        ActionOutcome::Throttled { .. } => "Throttled",
        ActionOutcome::Failed(_) => "Failed",
        ActionOutcome::Grouped { .. } => "Grouped",
        ActionOutcome::StateChanged { .. } => "StateChanged",
        ActionOutcome::CircuitOpen { .. } => "CircuitOpen",
        ActionOutcome::DryRun { .. } => "DryRun",
    }
}

/// An outcome with its details.
fn outcome_text(outcome: &ActionOutcome) -> String {
    let name = variant(outcome);
    match outcome {
        ActionOutcome::Suppressed { rule } => format!("{name} by {rule}"),
        ActionOutcome::Rerouted { new_provider, .. } => format!("{name} to {new_provider}"),
        ActionOutcome::Throttled { retry_after } => format!("{name} for {}", shown(*retry_after)),
        ActionOutcome::Failed(failure) => {
            let code = failure.code.as_str();
            let message = &failure.message;
            let attempts = count(failure.attempts as usize, "attempt");
            format!("{name} with {code} after {attempts}: {message}")
        }
        ActionOutcome::StateChanged {
            previous_state,
            new_state,
            ..
        } => format!("{name} from {previous_state} to {new_state}"),
        ActionOutcome::CircuitOpen { provider, .. } => format!("{name} at {provider}"),
        _ => name.to_owned(),
    }
}

/// "1 test", "2 tests".
pub(crate) fn count(number: usize, what: &str) -> String {
    let ending = match (number, what.ends_with("ch")) {
        (1, _) => "",
        (_, true) => "es",
        _ => "s",
    };
    format!("{number} {what}{ending}")
}
