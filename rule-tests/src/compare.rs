//! Holds what is expected against what was found.

use acteon_core::rules::{Evaluation, RuleResult};
use acteon_core::{ActionOutcome, AuditRecord, Payload};
use acteon_rules::reading::Place;
use serde_json::Value;

use crate::case::{At, Calls, Content, Expected};
use crate::diff::{Reach, differences};
use crate::report::count;
use crate::span::{shown, whole_seconds};

/// Something that is not as it was expected to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The line in the test file.
    pub line: usize,
    /// What, such as `outcome` or `payload.order`.
    pub what: String,
    /// As the test wants it.
    pub expected: String,
    /// As it was.
    pub found: String,
}

impl Mismatch {
    fn new(
        place: Place,
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

/// What became of one dispatched action.
pub(crate) struct Found<'f> {
    /// Or why there is none.
    pub(crate) outcome: Result<&'f ActionOutcome, &'f str>,
    /// None when it was answered again by its id, or has not come to an end.
    pub(crate) record: Option<&'f AuditRecord>,
    /// What the rules said, where it was asked.
    pub(crate) evaluation: Option<&'f Evaluation>,
    pub(crate) rule_errors: u64,
}

/// All that is not as expected of an action.
pub(crate) fn action(expected: &Expected, found: &Found<'_>) -> Vec<Mismatch> {
    let mut wrong = Vec::new();
    if let Some(At { place, value }) = &expected.outcome
        && !found
            .outcome
            .is_ok_and(|outcome| variant(outcome) == *value)
    {
        wrong.push(Mismatch::new(
            *place,
            "outcome",
            *value,
            found.outcome_told(),
        ));
    }
    if let Some(At { place, value }) = &expected.code {
        let code = match found.outcome {
            Ok(ActionOutcome::Failed(failure)) => failure.code.as_str(),
            _ => "",
        };
        if code != *value {
            wrong.push(Mismatch::new(*place, "code", *value, found.outcome_told()));
        }
    }
    if let Some(At { place, value }) = &expected.rule
        && found.rule() != value.as_deref()
    {
        let (wanted, seen) = (value.as_deref(), found.rule());
        let seen = format!("{}{}", rule_told(seen), found.why_not(wanted));
        wrong.push(Mismatch::new(*place, "rule", rule_told(wanted), seen));
    }
    if let Some(At { place, value }) = &expected.provider
        && found.provider() != Some(value.as_str())
    {
        let seen = found.provider().unwrap_or(NOT_DELIVERED);
        wrong.push(Mismatch::new(*place, "provider", value.as_str(), seen));
    }
    wrong.extend(content("payload", &expected.content, found.payload()));
    if let Some(At { place, value }) = &expected.retry_after {
        let seen = match found.outcome {
            Ok(ActionOutcome::Throttled { retry_after }) => Some(*retry_after),
            _ => None,
        };
        if seen.map(whole_seconds) != Some(whole_seconds(*value)) {
            let seen = seen.map_or_else(|| found.outcome_told(), shown);
            wrong.push(Mismatch::new(*place, "retry_after", shown(*value), seen));
        }
    }
    if let Some(At { place, value }) = &expected.rule_errors
        && found.rule_errors != *value
    {
        let (value, seen) = (value.to_string(), found.rule_errors.to_string());
        wrong.push(Mismatch::new(*place, "rule_errors", value, seen));
    }
    wrong
}

/// All that is not as expected of the calls a provider has received.
pub(crate) fn calls(expected: &Calls, found: &[Payload]) -> Vec<Mismatch> {
    let mut wrong = Vec::new();
    if let Some(At { place, value }) = &expected.calls
        && found.len() as u64 != *value
    {
        let what = format!("{}: calls", expected.provider);
        let (value, seen) = (value.to_string(), found.len().to_string());
        wrong.push(Mismatch::new(*place, &what, value, seen));
    }
    let name = format!("{}: payload", expected.provider);
    wrong.extend(content(&name, &expected.content, found.last()));
    wrong
}

const NOT_DELIVERED: &str = "nothing was delivered";

fn content(name: &str, expected: &Content, found: Option<&Payload>) -> Vec<Mismatch> {
    let parts = [
        (&expected.whole, Reach::Whole),
        (&expected.has, Reach::Parts),
    ];
    let mut wrong = Vec::new();
    for (wanted, reach) in parts {
        let Some(At { place, value }) = wanted else {
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
        for difference in differences(value, &found, reach) {
            let what = match difference.path.as_str() {
                "" => name.to_owned(),
                path => format!("{name}.{path}"),
            };
            let (expected, found) = (difference.expected, difference.found);
            wrong.push(Mismatch::new(*place, &what, expected, found));
        }
    }
    wrong
}

impl Found<'_> {
    fn outcome_told(&self) -> String {
        self.outcome.map_or_else(|why| format!("none: {why}"), told)
    }

    /// The rule that decided. The trail names none for a rule that allows, so the rules are asked.
    fn rule(&self) -> Option<&str> {
        let record = self.record?;
        let evaluated = || self.evaluation?.matched_rule.as_deref();
        record.decision.matched_rule.as_deref().or_else(evaluated)
    }

    /// Why the rule that was expected did not decide, as far as it is known.
    fn why_not(&self, wanted: Option<&str>) -> String {
        if self.record.is_none() {
            return match self.outcome {
                Ok(_) => "; it was answered again by its id".to_owned(),
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
            RuleResult::Matched => "matched, too",
            RuleResult::NotMatched => "did not match",
            RuleResult::Skipped => "was not tried",
            RuleResult::Error => "could not be applied",
        };
        match trace.why() {
            Some(reason) if trace.result != RuleResult::Matched => {
                format!("; {} {did}: {reason}", trace.rule_name)
            }
            _ => format!("; {} {did}", trace.rule_name),
        }
    }

    /// The record, if a provider was asked.
    fn asked(&self) -> Option<&AuditRecord> {
        let asked = match self.outcome.ok()? {
            ActionOutcome::Failed(failure) => failure.attempts > 0,
            outcome => outcome.is_delivered(),
        };
        self.record.filter(|_| asked)
    }

    fn provider(&self) -> Option<&str> {
        self.asked().map(|record| record.subject.provider.as_str())
    }

    fn payload(&self) -> Option<&Payload> {
        self.asked()?.payload.as_ref()
    }
}

fn rule_told(rule: Option<&str>) -> String {
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

/// An outcome with what tells it from others of its kind.
fn told(outcome: &ActionOutcome) -> String {
    let name = variant(outcome);
    match outcome {
        ActionOutcome::Suppressed { rule } => format!("{name} by {rule}"),
        ActionOutcome::Rerouted { new_provider, .. } => format!("{name} to {new_provider}"),
        ActionOutcome::Throttled { retry_after } => format!("{name} for {}", shown(*retry_after)),
        ActionOutcome::Failed(failure) => {
            let (code, message) = (failure.code.as_str(), &failure.message);
            let attempts = count(failure.attempts as usize, "attempt");
            format!("{name} with {code} after {attempts}: {message}")
        }
        ActionOutcome::CircuitOpen { provider, .. } => format!("{name} at {provider}"),
        _ => name.to_owned(),
    }
}
