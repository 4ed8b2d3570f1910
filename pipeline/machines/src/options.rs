//! The options of a state machine, as the configuration file gives them.

use std::collections::BTreeMap;

use acteon_core::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

/// One `[[state_machines]]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MachineOptions {
    /// The name that rules refer to.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The state of an event at its first report.
    pub initial_state: String,
    /// The states. A state that only a transition or a timeout names is added with a warning.
    #[serde(default)]
    pub states: Vec<String>,
    /// The transitions that reports and operators may make.
    #[serde(default)]
    pub transitions: Vec<TransitionOptions>,
    /// The transitions that happen by themselves after a time.
    #[serde(default)]
    pub timeouts: Vec<TimeoutOptions>,
    /// The states in which an event has ended. By default the states that nothing leaves.
    #[serde(default)]
    pub terminal_states: Option<Vec<String>>,
    /// How long an ended event is kept.
    #[serde(default = "retention_seconds")]
    pub retention_seconds: u64,
    /// The time without a report after which an active event enters the terminal state `stale`. 0: never.
    #[serde(default = "stale_after_seconds")]
    pub stale_after_seconds: u64,
}

/// A transition that reports and operators may make.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitionOptions {
    /// The state it leaves.
    pub from: String,
    /// The state it enters.
    pub to: String,
    /// Whom it notifies.
    #[serde(default)]
    pub on_transition: OnTransition,
}

/// Whom a transition notifies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnTransition {
    /// Delivers the action to its provider.
    #[serde(default)]
    pub notify: bool,
    /// Also posts the action to this URL. Secret, because many hooks have a token in their path.
    #[serde(default)]
    pub webhook_url: Option<Secret>,
    /// Labels added to the delivered action.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

impl OnTransition {
    /// True if it notifies anyone.
    pub(crate) fn notifies(&self) -> bool {
        self.notify || self.webhook_url.is_some()
    }
}

/// A transition that happens by itself. One to its own state is a reminder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutOptions {
    /// The state it leaves.
    #[serde(default)]
    pub state: Option<String>,
    /// The same as `state`.
    #[serde(default)]
    pub in_state: Option<String>,
    /// The time after which it happens. At least 60 for a reminder.
    pub after_seconds: u64,
    /// The state it enters.
    pub transition_to: String,
    /// The start of that time. By default the last report if it leads to a terminal state, else the entry.
    #[serde(default)]
    pub since: Option<Since>,
    /// The maximum number of reminders while an event stays in the state (24). Only for reminders.
    #[serde(default)]
    pub max_repeats: Option<u32>,
}

impl TimeoutOptions {
    /// The state it leaves. Empty if none is given.
    pub(crate) fn state(&self) -> &str {
        let either = self.state.as_ref().or(self.in_state.as_ref());
        either.map(String::as_str).unwrap_or_default()
    }
}

/// The start of a timeout's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// The entry into the state.
    Entered,
    /// The last report of the event.
    LastReport,
}

fn retention_seconds() -> u64 {
    86_400
}

fn stale_after_seconds() -> u64 {
    86_400
}
