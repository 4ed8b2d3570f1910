//! A checked machine: its states, each with its transitions and timeouts.

use acteon_core::Secret;
use compact_str::CompactString;
use jiff::SignedDuration;

use crate::lifecycle::{Lifecycle, TransitionRecord};
use crate::options::{OnTransition, Since};

/// The terminal state of an event that is no longer reported.
pub const STALE: &str = "stale";

/// A machine that passed all checks.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(crate) name: CompactString,
    pub(crate) initial: CompactString,
    /// In the order in which the configuration names them.
    pub(crate) states: Vec<StateRow>,
    pub(crate) retention: SignedDuration,
    /// `None`: never.
    pub(crate) stale_after: Option<SignedDuration>,
}

/// A state, and all ways out of it.
#[derive(Clone, Debug)]
pub(crate) struct StateRow {
    pub(crate) name: CompactString,
    pub(crate) is_terminal: bool,
    pub(crate) transitions: Vec<TransitionRow>,
    pub(crate) timeouts: Vec<TimeoutRow>,
}

/// A transition to another state, or to the same one.
#[derive(Clone, Debug)]
pub(crate) struct TransitionRow {
    pub(crate) to: CompactString,
    pub(crate) on_transition: OnTransition,
}

/// A timeout of a state.
#[derive(Clone, Debug)]
pub(crate) struct TimeoutRow {
    pub(crate) to: CompactString,
    pub(crate) after: SignedDuration,
    pub(crate) since: Since,
    /// Of reminders.
    pub(crate) max_repeats: u32,
}

impl Machine {
    /// The name that rules refer to.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long an ended event is kept.
    pub fn retention(&self) -> SignedDuration {
        self.retention
    }

    /// The names of all states, `stale` included if events can enter it.
    pub fn states(&self) -> impl Iterator<Item = &str> {
        self.states.iter().map(|row| row.name.as_str())
    }

    /// The webhooks that its transitions notify.
    pub fn webhooks(&self) -> impl Iterator<Item = &Secret> {
        let transitions = self.states.iter().flat_map(|row| &row.transitions);
        transitions.filter_map(|row| row.on_transition.webhook_url.as_ref())
    }

    /// Whether events in this state have ended. `None` if the machine does not have the state.
    pub fn is_terminal(&self, state: &str) -> Option<bool> {
        self.row(state).map(|row| row.is_terminal)
    }

    /// The transition that ended the event; `None` while it is active.
    pub fn end<'e>(&self, event: &'e Lifecycle) -> Option<&'e TransitionRecord> {
        let is_over = |state: &str| self.is_terminal(state) == Some(true);
        let ending = |transition: &&TransitionRecord| !is_over(&transition.from);
        is_over(&event.state)
            .then(|| event.history.iter().rev().find(ending))
            .flatten()
    }

    pub(crate) fn row(&self, state: &str) -> Option<&StateRow> {
        self.states.iter().find(|row| row.name == state)
    }
}

impl StateRow {
    pub(crate) fn transition(&self, to: &str) -> Option<&TransitionRow> {
        self.transitions.iter().find(|row| row.to == to)
    }
}
