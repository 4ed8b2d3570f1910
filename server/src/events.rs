//! What the life of the process logs.

use std::time::Duration;

use acteon_core::DeadLetterKind;
use acteon_core::state::{Capabilities, Level};
use metrics::gauge;

pub(crate) fn started(address: &str, state: &str, capabilities: Capabilities) {
    let Capabilities { durable, shared } = capabilities;
    tracing::info!(address, state, durable, shared, "started");
    if !durable {
        tracing::info!(
            state,
            "dedup records and dead letters do not outlive the process"
        );
    }
}

pub(crate) fn dead_letters_kept(kind: DeadLetterKind, level: &Level) {
    let is_full = if level.full.is_some() { 1.0 } else { 0.0 };
    gauge!("acteon_dead_letters_kept", "kind" => kind.as_str()).set(level.kept as f64);
    gauge!("acteon_dead_letters_full", "kind" => kind.as_str()).set(is_full);
}

pub(crate) fn dead_letters_full(kind: DeadLetterKind, full: &str) {
    tracing::warn!(
        kind = kind.as_str(),
        full,
        "the dead letters are full: sources keep what would become one, and wait"
    );
}

pub(crate) fn dead_letters_have_room(kind: DeadLetterKind) {
    tracing::info!(
        kind = kind.as_str(),
        "there is room among the dead letters again"
    );
}

pub(crate) fn draining(limit: Duration, in_flight: u32) {
    tracing::info!(
        ?limit,
        in_flight,
        "draining: nothing new is taken, work in flight finishes"
    );
}

pub(crate) fn deadline_passed(in_flight: u32) {
    tracing::warn!(
        in_flight,
        "the time to drain is over; what is unfinished comes back from its source"
    );
}

pub(crate) fn ended(in_flight: u32) {
    tracing::info!(in_flight, "ended");
}

pub(crate) fn second_signal() {
    tracing::warn!("a second signal: ending at once");
}

pub(crate) fn source_ended(error: &acteon_core::source::SourceError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "a source cannot go on"
    );
}

pub(crate) fn listener_failed(error: &std::io::Error) {
    tracing::error!(error = error as &dyn std::error::Error, "a listener failed");
}
