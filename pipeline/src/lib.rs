//! The pipeline: admit, gather, decide, reserve, deliver, settle.
//!
//! [`Pipeline`] takes batches from any source, applies the rules, reserves in the shared state, passes actions to the
//! providers, and settles with state, audit trail and source. Start reading in `process.rs`. The pipeline knows only
//! ports: no broker, no database and no HTTP.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]
#![allow(
    clippy::vec_box,
    reason = "a job passes through many lists, and is moved by its box"
)]

mod dead_letters;
mod decide;
mod dedup;
mod deliver;
mod event_admin;
mod event_body;
mod event_delivery;
mod event_notice;
mod event_report;
mod event_targets;
mod event_timeout;
mod event_untold;
mod events;
mod fallback;
mod gather;
mod groups;
mod hold;
mod job;
mod machines;
mod options;
mod ordering;
mod process;
mod provider;
mod record;
mod redelivery;
mod reserve;
mod return_times;
mod rulebook;
mod running;
mod scheduler;
mod settle;
mod silence_admin;
mod silence_end;
mod silences;
mod tasks;
mod templates;
mod throttle;
mod time_limit;
mod trail;
mod yielding;

pub use machines::Machines;
pub use options::{
    AttemptLimits, BreakerOptions, BreakerOverrides, CircuitBreakerOptions, OnStateError,
    PipelineOptions, PipelineSections, ProviderLimits, ProviderOptions, RedeliveryOptions,
    RedeliveryOverrides, RedeliverySchedules, SilenceOptions,
};
pub use process::{Pipeline, PipelineParts};
pub use provider::{DuplicateProvider, Providers};
pub use rulebook::{
    CompiledFolder, Follow, Generation, RuleFolder, Rules, RulesOptions, read_rule_file,
    read_rule_files, read_rule_test_files,
};
pub use templates::{OnTemplateError, ProviderTemplates, TemplatesInForce};
pub use time_limit::TimeLimitedState;
pub use trail::{AuditTrail, TrailDelivery, TrailOptions};

#[cfg(test)]
mod tests;
