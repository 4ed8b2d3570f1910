//! What the life of the process logs.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use acteon_core::DeadLetterKind;
use acteon_core::state::{Capabilities, FillLevel};
use metrics::{
    Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tokio::time::Instant;

const STATE_CALL: &str = "acteon_state_call_duration_seconds";
const AUDIT_CALL: &str = "acteon_audit_call_duration_seconds";
const CLOSED_FOR_ROOM: &str = "acteon_http_connections_closed_for_room_total";

/// Describes the server's own metrics and registers those whose labels are known.
#[rustfmt::skip]
pub(crate) fn describe() {
    describe_counter!("acteon_dispatched_total", "Actions that have come to their end, however they ended.");
    describe_counter!("acteon_actions_total", "Actions by how they ended. Each counts once.");
    describe_counter!("acteon_dry_runs_total", "Actions of which only was asked what would happen.");
    describe_counter!("acteon_replayed_total", "Actions that were answered again from memory by their id.");
    describe_counter!("acteon_rule_errors_total", "Rules that could not be evaluated for an action.");
    describe_counter!("acteon_deliveries_total", "Calls of a provider that it accepted.");
    describe_counter!("acteon_delivery_failures_total", "Calls of a provider that failed.");
    describe_counter!(CLOSED_FOR_ROOM, "Idle connections that were closed because there were as many as there may be.");
    describe_gauge!("acteon_in_flight_actions", "Actions that are admitted and not yet settled.");
    describe_gauge!("acteon_in_flight_bytes", "Bytes of actions that are admitted and not yet settled.");
    describe_gauge!("acteon_reserved_bytes", "Bytes set aside for what the clients of brokers fetch ahead.");
    describe_gauge!("acteon_provider_queued", "Actions that wait in the queue of a provider.");
    describe_gauge!("acteon_provider_in_flight", "Calls of a provider that run.");
    describe_gauge!("acteon_provider_redelivering", "Actions that wait to be redelivered, as far as this process knows.");
    describe_gauge!("acteon_breaker_state", "1 for the state that the breaker of a provider is in, else 0.");
    describe_gauge!("acteon_dead_letters_kept", "Dead letters there are.");
    describe_gauge!("acteon_dead_letters_full", "1 while there is no room for one more dead letter of a kind, else 0.");
    describe_gauge!("acteon_build_info", "1, with the version of the server.");
    gauge!("acteon_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    counter!(CLOSED_FOR_ROOM).increment(0);
    for kind in DeadLetterKind::ALL {
        dead_letters_kept(kind, &FillLevel::default());
    }
}

/// How long one kind of call takes.
pub(crate) struct Call(Histogram);

impl Call {
    /// Times `call`.
    pub(crate) async fn time<T>(&self, call: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let result = call.await;
        self.0.record(began.elapsed());
        result
    }
}

/// The calls of a state backend.
pub(crate) struct StateCalls {
    pub(crate) ping: Call,
    pub(crate) gather: Call,
    pub(crate) reserve: Call,
    pub(crate) settle: Call,
    pub(crate) renew: Call,
    pub(crate) track: Call,
    pub(crate) dead_letters: Call,
    pub(crate) rule_toggles: Call,
}

impl StateCalls {
    pub(crate) fn new() -> Self {
        describe_histogram!(STATE_CALL, "How long calls of the state backend took.");
        let of = |call| Call(histogram!(STATE_CALL, "call" => call));
        Self {
            ping: of("ping"),
            gather: of("gather"),
            reserve: of("reserve"),
            settle: of("settle"),
            renew: of("renew"),
            track: of("track"),
            dead_letters: of("dead_letters"),
            rule_toggles: of("rule_toggles"),
        }
    }
}

/// The calls of an audit backend.
pub(crate) struct AuditCalls {
    pub(crate) ping: Call,
    pub(crate) append: Call,
    pub(crate) query: Call,
    pub(crate) purge: Call,
}

impl AuditCalls {
    pub(crate) fn new() -> Self {
        describe_histogram!(AUDIT_CALL, "How long calls of the audit backend took.");
        let of = |call| Call(histogram!(AUDIT_CALL, "call" => call));
        Self {
            ping: of("ping"),
            append: of("append"),
            query: of("query"),
            purge: of("purge"),
        }
    }
}

/// The server has started. The addresses are those of the API and the admin API.
pub(crate) fn started(
    [address, admin_address]: [&str; 2],
    state: &str,
    Capabilities { durable, shared }: Capabilities,
) {
    tracing::info!(address, admin_address, state, durable, shared, "started");
    if !durable {
        tracing::warn!(
            state,
            "dedup records and dead letters do not outlive the process"
        );
    }
}

/// The server listens beyond loopback without authentication.
pub(crate) fn open_to_others(address: &SocketAddr) {
    tracing::warn!(
        %address,
        "listening beyond loopback without authentication: anyone who can reach the address has full access"
    );
}

pub(crate) fn dead_letters_kept(kind: DeadLetterKind, level: &FillLevel) {
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
    counter!(CLOSED_FOR_ROOM).increment(1);
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
