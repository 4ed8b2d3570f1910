//! Counts actions by outcome since the process started. Shown by `/health` and `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;
use utoipa::ToSchema;

use crate::outcome::ActionOutcome;

macro_rules! counters {
    ($($name:ident: $what:literal),+ $(,)?) => {
        /// One counter for each outcome, and some more.
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

            /// Adds the counts of a batch together: all threads share these counters.
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
    dispatched: "Accepted actions. Repeated submissions by their source do not count again.",
    executed: "Accepted by their provider.",
    deduplicated: "Delivered before, inside the window.",
    suppressed: "Refused by a suppress or deny rule.",
    rerouted: "Delivered by another provider than the requested one.",
    throttled: "Over a limit.",
    failed: "Not delivered after all attempts.",
    grouped: "Joined a group.",
    state_changed: "Moved an event through its state machine.",
    circuit_open: "Refused by an open breaker.",
    dry_run: "Dry runs.",
    replayed: "Answered with the outcome remembered under their id.",
    rule_errors: "Rules that could not be evaluated for an action.",
    dead_lettered: "Stored as dead letters.",
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
