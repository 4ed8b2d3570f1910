//! A test as its file tells it: what holds at its start, and a timeline of steps. How it is read stands in `read/`.

use std::collections::BTreeSet;
use std::time::Duration;

use acteon_core::Action;
use acteon_core::state::Event;
use acteon_rules::reading::Place;
use compact_str::CompactString;
use jiff::Timestamp;
use serde_json::Value;

/// One test.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) place: Place,
    /// The time at `0s`.
    pub(crate) start: Timestamp,
    pub(crate) given: Given,
    pub(crate) timeline: Vec<Step>,
}

/// What holds from a time on.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) events: Vec<Event>,
    /// How providers answer, attempt by attempt; the last answer is repeated.
    pub(crate) providers: Vec<(CompactString, Vec<Answer>)>,
    /// Rules that are switched on or off.
    pub(crate) toggles: Vec<(String, bool)>,
}

/// How a provider answers one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Succeed,
    /// For good: no attempt mends it.
    Fail,
    /// For now: it is tried again.
    BeUnavailable,
    /// Never.
    Hang,
}

/// What happens at one time.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) place: Place,
    /// After the start.
    pub(crate) at: Duration,
    pub(crate) given: Given,
    pub(crate) task: Task,
}

/// What a step does beside changing what is given.
#[derive(Debug)]
pub(crate) enum Task {
    Nothing,
    Dispatch(Box<Dispatch>),
    Check(Vec<Calls>),
}

/// Actions handed to the pipeline one after the other, as over HTTP.
#[derive(Debug)]
pub(crate) struct Dispatch {
    /// With an id and a time that are put in later where the file gives none.
    pub(crate) action: Action,
    pub(crate) gives: Gives,
    pub(crate) times: u32,
    pub(crate) expected: Expected,
}

/// What the file gives of that which is otherwise made at the dispatch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gives {
    pub(crate) id: bool,
    pub(crate) created_at: bool,
}

/// Something in the file, with its place.
#[derive(Debug)]
pub(crate) struct At<T> {
    pub(crate) place: Place,
    pub(crate) value: T,
}

/// What is expected of each action of a dispatch.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// The variant's name.
    pub(crate) outcome: Option<At<&'static str>>,
    /// `Failed.code`.
    pub(crate) code: Option<At<&'static str>>,
    /// The rule that decided; `None`: no rule did.
    pub(crate) rule: Option<At<Option<String>>>,
    /// Who was asked to deliver.
    pub(crate) provider: Option<At<CompactString>>,
    pub(crate) content: Content,
    /// Compared to the second.
    pub(crate) retry_after: Option<At<Duration>>,
    pub(crate) rule_errors: Option<At<u64>>,
}

/// What a delivered payload is expected to be.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) whole: Option<At<Value>>,
    /// These parts of it.
    pub(crate) has: Option<At<Value>>,
}

/// What a provider is expected to have received since it was last looked at.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) provider: CompactString,
    pub(crate) calls: Option<At<u64>>,
    /// Of the last call.
    pub(crate) content: Content,
}

impl Case {
    /// Every provider that is named somewhere in it.
    pub(crate) fn providers(&self) -> BTreeSet<&CompactString> {
        let given = self.given.providers.iter().map(|(name, _)| name);
        let mut names: BTreeSet<_> = given.collect();
        for step in &self.timeline {
            names.extend(step.given.providers.iter().map(|(name, _)| name));
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

impl Content {
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_none() && self.has.is_none()
    }
}
