//! The vocabulary and the ports of Acteon.
//!
//! This crate knows no other crate of the workspace and does no I/O. It defines the vocabulary ([`Action`] and its
//! possible outcomes) and the ports that the families of adapters implement: [`Sink`], [`Source`], [`State`] and
//! [`Audit`]. A type belongs here only if two families need it.
#![deny(missing_docs)]
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

pub mod action;
pub mod action_path;
pub mod admission;
pub mod attempt;
pub mod audit;
pub mod backoff;
pub mod clock;
pub mod counters;
pub mod dead_letter;
pub mod decode;
pub mod delivery;
pub mod disposition;
pub mod encoding;
pub mod event_admin;
pub mod grouping;
pub mod health;
pub mod ids;
pub mod intake;
pub mod outcome;
pub mod parked;
pub mod redact;
pub mod redelivery;
pub mod registry;
pub mod reply;
pub mod rules;
pub mod scope;
pub mod seconds;
pub mod secret;
pub mod silence;
pub mod silence_admin;
pub mod sink;
pub mod source;
pub mod state;
pub mod time;
mod trace;
pub mod verdict;
pub mod written;

pub use action::{Action, Labels, Payload};
pub use admission::{Admission, Permit};
pub use attempt::{AttemptRecord, DeliveryProgress, History};
pub use audit::{Audit, AuditRecord, Trail};
pub use backoff::Backoff;
pub use clock::Clock;
pub use counters::Counters;
pub use dead_letter::{
    DeadLetter, DeadLetterAction, DeadLetterBound, DeadLetterBounds, DeadLetterKind, FullPolicy,
    LetterFilter,
};
pub use delivery::{
    Caller, Delivery, Envelope, Loan, Memory, Origin, Poison, Receipt, Returned, Settled,
};
pub use disposition::{Delay, Disposition, Policy, Refusal, ThrottledPolicy, TimeLeft};
pub use intake::{Feed, Intake};
pub use outcome::{ActionOutcome, Failure, FailureCode, ProviderResponse, ResponseStatus};
pub use parked::{Detach, Parked};
pub use redact::Redactor;
pub use registry::{BuildError, Embedded, Factory, Family, Faults, Plan, Registry, Uses};
pub use scope::Scope;
pub use secret::Secret;
pub use sink::{Attempt, OrderedSink, Sink, SinkError, Sinks};
pub use source::{Shutdown, Source, Sources};
pub use state::{State, StateError};
pub use time::Time;
pub use verdict::Verdict;
pub use written::{RecordWait, WrittenRecords};
