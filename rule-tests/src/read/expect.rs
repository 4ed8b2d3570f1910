//! Reads expectations: for dispatched actions, or for the calls a provider has received.

use acteon_core::FailureCode;
use acteon_rules::reading::{Data, Fields, Node};

use super::{Reader, json};
use crate::case::{Expectations, ExpectedCalls, ExpectedPayload, Located};

const ACTION_KEYS: [&str; 10] = [
    "outcome",
    "state",
    "silenced_by",
    "code",
    "rule",
    "provider",
    "payload",
    "payload_has",
    "retry_after",
    "rule_errors",
];
const PROVIDER_KEYS: [&str; 4] = ["provider", "calls", "payload", "payload_has"];
/// The outcomes, by their names on the wire.
const OUTCOMES: [&str; 9] = [
    "Executed",
    "Deduplicated",
    "Suppressed",
    "Rerouted",
    "Throttled",
    "Failed",
    "CircuitOpen",
    "Grouped",
    "StateChanged",
];
const CODES: [FailureCode; 7] = [
    FailureCode::ProviderNotFound,
    FailureCode::ExecutionFailed,
    FailureCode::Timeout,
    FailureCode::Connection,
    FailureCode::Configuration,
    FailureCode::RateLimited,
    FailureCode::Serialization,
];

fn located<T>(node: &Node, value: Option<T>) -> Option<Located<T>> {
    let place = node.place;
    value.map(|value| Located { place, value })
}

impl Reader<'_> {
    /// The expectations for each action of a dispatch.
    pub(super) fn expected(&mut self, node: &Node) -> Option<Expectations> {
        let fields = Fields::of(node, "a mapping of expectations", self.problems)?;
        fields.only("key", &ACTION_KEYS, self.problems);
        if fields.iter().next().is_none() {
            self.problems.at(node.place, "nothing is expected here");
        }
        let outcomes = OUTCOMES.map(|name| (name, name));
        let codes = CODES.map(|code| (code.as_str(), code.as_str()));
        let mut expected = Expectations {
            content: self.content(&fields),
            ..Expectations::default()
        };
        if let Some(node) = fields.get("outcome") {
            expected.outcome = located(node, node.word("outcome", &outcomes, self.problems));
        }
        if let Some(node) = fields.get("state") {
            let state = node.text("the name of a state", self.problems);
            expected.state = located(node, state.map(Into::into));
        }
        if let Some(node) = fields.get("silenced_by") {
            let silence = match node.data {
                Data::Null => Some(None),
                _ => node
                    .text("the id of a silence", self.problems)
                    .map(|id| Some(id.into())),
            };
            expected.silenced_by = located(node, silence);
        }
        if let Some(node) = fields.get("code") {
            expected.code = located(node, node.word("code", &codes, self.problems));
        }
        if let Some(node) = fields.get("rule") {
            let rule = match node.data {
                Data::Null => Some(None),
                _ => self.rule(node).map(Some),
            };
            expected.rule = located(node, rule);
        }
        if let Some(node) = fields.get("provider") {
            let name = node.text("the name of a provider", self.problems);
            let name = name.and_then(|name| self.provider(node.place, name));
            expected.provider = located(node, name);
        }
        if let Some(node) = fields.get("retry_after") {
            expected.retry_after = located(node, self.duration(node));
        }
        if let Some(node) = fields.get("rule_errors") {
            expected.rule_errors = located(node, self.count(node));
        }
        Some(expected)
    }

    /// The expectations for one provider, or for several.
    pub(super) fn checks(&mut self, node: &Node) -> Option<Vec<ExpectedCalls>> {
        let checks: Vec<_> = match &node.data {
            Data::List(items) => items.iter().map(|item| self.calls(item)).collect(),
            _ => vec![self.calls(node)],
        };
        checks.into_iter().collect()
    }

    fn calls(&mut self, node: &Node) -> Option<ExpectedCalls> {
        let what = "a mapping of the calls that a provider is expected to have received";
        let fields = Fields::of(node, what, self.problems)?;
        fields.only("key without a dispatch", &PROVIDER_KEYS, self.problems);
        let calls = fields
            .get("calls")
            .and_then(|node| located(node, self.count(node)));
        let content = self.content(&fields);
        if fields.get("calls").is_none() && content.is_empty() {
            let message = "nothing is expected here: say `calls`, `payload` or `payload_has`";
            self.problems.at(node.place, message);
        }
        let node = fields.required("provider", self.problems)?;
        let name = node.text("the name of a provider", self.problems)?;
        Some(ExpectedCalls {
            provider: self.provider(node.place, name)?,
            calls,
            content,
        })
    }

    fn content(&mut self, fields: &Fields<'_>) -> ExpectedPayload {
        let of = |key| {
            fields
                .get(key)
                .and_then(|node| located(node, Some(json(node))))
        };
        ExpectedPayload {
            whole: of("payload"),
            has: of("payload_has"),
        }
    }

    fn count(&mut self, node: &Node) -> Option<u64> {
        let count = node.integer(0, i64::from(u32::MAX), self.problems)?;
        u64::try_from(count).ok()
    }
}
