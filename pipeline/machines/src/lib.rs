//! State machines of events. A machine says which states an event can be in, which transitions reports and operators
//! may make, and which timeouts make them by themselves. Everything here is a pure function of its arguments, the time
//! included; storing events and delivering notices is left to the pipeline.

mod check;
mod lifecycle;
mod machine;
mod options;
mod report;
#[cfg(test)]
mod tests;
mod timeout;
mod transition;

pub use check::{CheckedMachine, MachineProblem};
pub use lifecycle::{HISTORY_MAX, Lifecycle, TransitionCause, TransitionRecord};
pub use machine::{Machine, STALE};
pub use options::{MachineOptions, OnTransition, Since, TimeoutOptions, TransitionOptions};
pub use report::EventReport;
pub use transition::{
    Announcement, EventChange, IgnoreReason, MachineStep, ManualError, ManualMove, Notice,
};
