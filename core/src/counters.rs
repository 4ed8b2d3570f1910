//! Counts actions by outcome since the start of the process. Shown by `/health` and `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;
use utoipa::ToSchema;

use crate::outcome::ActionOutcome;

macro_rules! counters {
    ($($name:ident: $what:literal),+ $(,)?) => {
        /// One counter per outcome, and some others.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(#[doc = $what] pub $name: AtomicU64,)+
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
        pub struct CountersSnapshot {
            $(#[doc = $what] pub $name: u64,)+
        }

        impl Counters {
            /// Reads all of them.
            pub fn snapshot(&self) -> CountersSnapshot {
                CountersSnapshot { $($name: self.$name.load(Relaxed),)+ }
            }

            /// Adds the counts of a batch in one step, because all threads share these counters.
            pub fn add(&self, batch: &CountersSnapshot) {
                $(if batch.$name > 0 {
                    self.$name.fetch_add(batch.$name, Relaxed);
                })+
            }
        }

        impl CountersSnapshot {
            /// Names and values, in the order of the wire contract.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),+].into_iter()
            }
        }
    };
}

counters! {
    dispatched: "Accepted actions; retries of their source are not counted again.",
    executed: "Actions that their provider accepted.",
    deduplicated: "Actions whose key was delivered within the window.",
    suppressed: "Actions that a suppress or deny rule ended.",
    rerouted: "Actions that another provider than the requested one delivered.",
    throttled: "Actions over a limit.",
    failed: "Actions that ended without delivery.",
    grouped: "Actions that joined a group.",
    state_changed: "Actions that a state machine rule handled.",
    circuit_open: "Actions that ended at an open breaker.",
    dry_run: "Dry runs.",
    replayed: "Actions whose outcome was repeated from the memory for ids.",
    rule_errors: "Rules that could not be evaluated for an action.",
    dead_lettered: "Actions and messages that became dead letters.",
}

impl CountersSnapshot {
    /// The counters of the outcomes. Each action is in exactly one: the sum is `dispatched`.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("executed", self.executed),
            ("deduplicated", self.deduplicated),
            ("suppressed", self.suppressed),
            ("rerouted", self.rerouted),
            ("throttled", self.throttled),
            ("failed", self.failed),
            ("grouped", self.grouped),
            ("state_changed", self.state_changed),
            ("circuit_open", self.circuit_open),
        ]
        .into_iter()
    }

    /// Counts `outcome`.
    pub fn count(&mut self, outcome: &ActionOutcome) {
        let counter = match outcome {
            ActionOutcome::Executed(_) => &mut self.executed,
            ActionOutcome::Deduplicated(()) => &mut self.deduplicated,
            ActionOutcome::Suppressed { .. } => &mut self.suppressed,
            ActionOutcome::Rerouted { .. } => &mut self.rerouted,
            ActionOutcome::Throttled { .. } => &mut self.throttled,
            ActionOutcome::Failed(_) => &mut self.failed,
            ActionOutcome::Grouped { .. } => &mut self.grouped,
            ActionOutcome::StateChanged { .. } => &mut self.state_changed,
            ActionOutcome::CircuitOpen { .. } => &mut self.circuit_open,
            ActionOutcome::DryRun { .. } => &mut self.dry_run,
        };
        *counter += 1;
    }
}
