//! Shared test code: doubles for the ports, and the contract of every backend.
//!
//! - [`action()`] builds actions, envelopes and deliveries. [`Lender`] replaces a source.
//! - [`RecordingSink`], [`FakeIntake`] and [`RecordingTrail`] implement a port and record its calls.
//! - [`Event`] is an event for tests, and [`write_events`] brings events into a state.
//! - [`SilentAudit`] replaces an audit backend that never answers.
//! - [`UnreachableState`] wraps a real state backend, counts its calls and can cut it off.
//! - [`contract`] has one list of clauses per port. A backend supplies a harness and runs them all.
//!
//! A double panics with a message if a test waits for something that never arrives. This is how a test fails here.
#![deny(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this crate runs in tests only: a surprise must fail the test"
)]

mod actions;
pub mod contract;
mod events;
mod intake;
mod lender;
mod records;
mod silent;
mod sink;
mod tally;
mod trail;
mod unreachable;

pub use actions::{ActionBuilder, action, epoch};
pub use events::{Event, reserving, write_events};
pub use intake::{End, FakeIntake};
pub use lender::Lender;
pub use records::{audit_record, dead_letter, poison_letter, silence};
pub use silent::SilentAudit;
pub use sink::{Answer, RecordingSink, SeenAttempt};
pub use trail::RecordingTrail;
pub use unreachable::{Reach, StateCalls, UnreachableState};

#[cfg(test)]
mod tests;
