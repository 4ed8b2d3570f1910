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

/// How many actions have not come to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// Those of HTTP callers, who are told.
    pub(crate) of_callers: u32,
    /// Those that come back from their source.
    pub(crate) of_brokers: u32,
}

pub(crate) fn draining(limit: Duration, in_flight: InFlight) {
    let InFlight {
        of_callers,
        of_brokers,
    } = in_flight;
    tracing::info!(
        ?limit,
        of_callers,
        of_brokers,
        "draining: nothing new is taken, work in flight finishes"
    );
}

pub(crate) fn deadline_passed(in_flight: InFlight) {
    let InFlight {
        of_callers,
        of_brokers,
    } = in_flight;
    tracing::warn!(
        of_callers,
        of_brokers,
        "the time to drain is over: HTTP callers are answered SHUTTING_DOWN, what is of brokers comes back from them"
    );
}

pub(crate) fn ended(in_flight: InFlight, records_lost: u64) {
    let InFlight {
        of_callers,
        of_brokers,
    } = in_flight;
    tracing::info!(of_callers, of_brokers, records_lost, "ended");
}

pub(crate) fn second_signal(in_flight: InFlight) {
    let InFlight {
        of_callers,
        of_brokers,
    } = in_flight;
    tracing::warn!(of_callers, of_brokers, "a second signal: ending at once");
}

/// Some part does not end although it was told to give up.
pub(crate) fn hangs() {
    tracing::error!("something hangs: it is left behind");
}

/// Requests were answered in place of those who worked on them.
pub(crate) fn requests_cut_off(requests: usize) {
    if requests > 0 {
        tracing::warn!(requests, "requests under way are answered SHUTTING_DOWN");
    }
}

/// A listener has as many connections as it may have, and one that was idle was closed.
pub(crate) fn closed_for_room() {
    metrics::counter!("acteon_http_connections_closed_for_room_total").increment(1);
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

/// The rules were read again because a signal asked for it.
pub(crate) fn reloaded(rules: usize, generation: u64) {
    tracing::info!(rules, generation, "reloaded at SIGHUP");
}

/// The rules were not read again. What is wrong with their files is told where they are read.
pub(crate) fn not_reloaded(error: &acteon_admin_api::AdminError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "nothing was reloaded at SIGHUP"
    );
}
