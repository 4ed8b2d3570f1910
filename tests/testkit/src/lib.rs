//! What tests of all crates share: doubles for the ports, and the contract every backend keeps.
//!
//! - [`action()`] builds actions, envelopes and deliveries; [`Lender`] stands where a source would.
//! - [`RecordingSink`], [`FakeIntake`] and [`RecordingTrail`] stand behind a port and remember what came.
//! - [`SilentAudit`] stands in for an audit backend that is away.
//! - [`UnreachableState`] stands before a real state backend, counts its calls and cuts it off.
//! - [`contract`] holds one list of clauses per port. A backend supplies a harness and runs them all.
//!
//! Doubles panic with a sentence when a test asks for what never comes: that is how a test fails here.
#![deny(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this crate runs in tests only: a surprise must fail the test"
)]

mod actions;
pub mod contract;
mod intake;
mod lender;
mod records;
mod silent;
mod sink;
mod tally;
mod trail;
mod unreachable;

pub use actions::{ActionBuilder, action, epoch};
pub use intake::{End, FakeIntake};
pub use lender::Lender;
pub use records::{audit_record, dead_letter};
pub use silent::SilentAudit;
pub use sink::{Answer, RecordingSink, SeenAttempt};
pub use trail::RecordingTrail;
pub use unreachable::{Reach, StateCalls, UnreachableState};

#[cfg(test)]
mod tests;
