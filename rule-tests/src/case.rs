//! A test as written in its file: the setup at its start, and a timeline of steps. `read.rs` and `read/` read it.

use std::collections::BTreeSet;
use std::time::Duration;

use acteon_core::Action;
use acteon_core::silence::SilenceMatcher;
use acteon_core::state::{EventId, EventRecord};
use acteon_rules::reading::LineColumn;
use compact_str::CompactString;
use jiff::Timestamp;
use serde_json::Value;

/// One test.
#[derive(Debug)]
pub(crate) struct TestCase {
    pub(crate) name: String,
    pub(crate) place: LineColumn,
    /// The time at `0s`.
    pub(crate) start: Timestamp,
    pub(crate) setup: Setup,
    pub(crate) timeline: Vec<TimelineStep>,
}

/// Changes to the surroundings of the rules, in effect from then on.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    pub(crate) events: Vec<(EventId, EventRecord)>,
    pub(crate) silences: Vec<GivenSilence>,
    /// The answers of providers, attempt by attempt; the last answer is repeated.
    pub(crate) providers: Vec<(CompactString, Vec<ProviderAnswer>)>,
    /// Rules that are enabled or disabled.
    pub(crate) toggles: Vec<(String, bool)>,
}

/// A silence from now on.
#[derive(Debug)]
pub(crate) struct GivenSilence {
    pub(crate) id: CompactString,
    pub(crate) namespace: CompactString,
    pub(crate) tenant: CompactString,
    pub(crate) matchers: Vec<SilenceMatcher>,
    /// How long it lasts from now on. Zero: it ends.
    pub(crate) lasts: Duration,
}

/// A provider's answer to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProviderAnswer {
    Succeed,
    /// Permanently: retrying does not help.
    Fail,
    /// Temporarily: it is retried.
    BeUnavailable,
    /// Never.
    Hang,
}

/// What happens at one point of the timeline.
#[derive(Debug)]
pub(crate) struct TimelineStep {
    pub(crate) place: LineColumn,
    /// The time since the start.
    pub(crate) at: Duration,
    pub(crate) setup: Setup,
    pub(crate) task: Task,
}

/// What a step does besides its setup.
#[derive(Debug)]
pub(crate) enum Task {
    Nothing,
    Dispatch(Box<Dispatch>),
    Check(Vec<ExpectedCalls>),
}

/// Actions submitted to the pipeline one after the other, as over HTTP.
#[derive(Debug)]
pub(crate) struct Dispatch {
    /// Its id and time are set at the dispatch if the file does not give them.
    pub(crate) action: Action,
    pub(crate) provided: ProvidedFields,
    pub(crate) times: u32,
    pub(crate) expected: Expectations,
}

/// Which of the fields that a dispatch would set are given in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProvidedFields {
    pub(crate) id: bool,
    pub(crate) created_at: bool,
}

/// A value in the file, with its place.
#[derive(Debug)]
pub(crate) struct Located<T> {
    pub(crate) place: LineColumn,
    pub(crate) value: T,
}

/// The expectations for each action of a dispatch.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    /// The variant's name.
    pub(crate) outcome: Option<Located<&'static str>>,
    /// `StateChanged.new_state`.
    pub(crate) state: Option<Located<CompactString>>,
    /// `StateChanged.silenced_by`; `None`: no silence withheld the notice.
    pub(crate) silenced_by: Option<Located<Option<CompactString>>>,
    /// `Failed.code`.
    pub(crate) code: Option<Located<&'static str>>,
    /// The rule that decided; `None` if no rule did.
    pub(crate) rule: Option<Located<Option<String>>>,
    /// The provider that was asked to deliver.
    pub(crate) provider: Option<Located<CompactString>>,
    pub(crate) content: ExpectedPayload,
    /// Compared to the second.
    pub(crate) retry_after: Option<Located<Duration>>,
    pub(crate) rule_errors: Option<Located<u64>>,
}

/// The expected payload of a delivery.
#[derive(Debug, Default)]
pub(crate) struct ExpectedPayload {
    pub(crate) whole: Option<Located<Value>>,
    /// Parts of it.
    pub(crate) has: Option<Located<Value>>,
}

/// The calls a provider is expected to have received since the last check.
#[derive(Debug)]
pub(crate) struct ExpectedCalls {
    pub(crate) provider: CompactString,
    pub(crate) calls: Option<Located<u64>>,
    /// The payload of the last call.
    pub(crate) content: ExpectedPayload,
}

impl TestCase {
    /// Every provider that the test names.
    pub(crate) fn providers(&self) -> BTreeSet<&CompactString> {
        let given = self.setup.providers.iter().map(|(name, _)| name);
        let mut names: BTreeSet<_> = given.collect();
        for step in &self.timeline {
            names.extend(step.setup.providers.iter().map(|(name, _)| name));
            match &step.task {
                Task::Nothing => {}
                Task::Check(checks) => names.extend(checks.iter().map(|check| &check.provider)),
                Task::Dispatch(dispatch) => {
                    names.insert(&dispatch.action.provider);
                    names.extend(dispatch.expected.provider.iter().map(|at| &at.value));
                }
            }
        }
        names
    }
}

impl ExpectedPayload {
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_none() && self.has.is_none()
    }
}
