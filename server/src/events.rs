//! Log lines and metrics about the server as a whole.

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
    describe_counter!("acteon_dispatched_total", "Settled actions, whatever their outcome.");
    describe_counter!("acteon_actions_total", "Settled actions by outcome. Each counts once.");
    describe_counter!("acteon_dry_runs_total", "Dry runs: actions that were evaluated and not delivered.");
    describe_counter!("acteon_replayed_total", "Actions answered with the remembered outcome of an earlier action of the same id.");
    describe_counter!("acteon_rule_errors_total", "Rules that could not be evaluated for an action.");
    describe_counter!("acteon_deliveries_total", "Calls accepted by a provider.");
    describe_counter!("acteon_delivery_failures_total", "Failed calls of a provider.");
    describe_counter!(CLOSED_FOR_ROOM, "Idle connections closed to admit another one at the limit of a listener.");
    describe_gauge!("acteon_in_flight_actions", "Actions admitted and not yet settled.");
    describe_gauge!("acteon_in_flight_bytes", "Bytes of actions admitted and not yet settled.");
    describe_gauge!("acteon_reserved_bytes", "Bytes reserved for the prefetch of broker clients.");
    describe_gauge!("acteon_provider_queued", "Actions waiting in the queue of a provider.");
    describe_gauge!("acteon_provider_in_flight", "Calls of a provider in progress.");
    describe_gauge!("acteon_provider_redelivering", "Actions waiting for redelivery, as far as this process knows.");
    describe_gauge!("acteon_breaker_state", "1 for the current state of a provider's breaker, else 0.");
    describe_gauge!("acteon_dead_letters_kept", "Stored dead letters.");
    describe_gauge!("acteon_dead_letters_full", "1 while dead letters of a kind are at their limit, else 0.");
    describe_gauge!("acteon_build_info", "Always 1; the label is the version of the server.");
    gauge!("acteon_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    counter!(CLOSED_FOR_ROOM).increment(0);
    for kind in DeadLetterKind::ALL {
        dead_letters_kept(kind, &FillLevel::default());
    }
}

/// The duration of one kind of call.
pub(crate) struct Call(Histogram);

impl Call {
    /// Times `call`.
    pub(crate) async fn time<T>(&self, call: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let result = call.await;
        self.0.record(started.elapsed());
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
    pub(crate) limit: Call,
    pub(crate) events: Call,
    pub(crate) dead_letters: Call,
    pub(crate) rule_toggles: Call,
    pub(crate) groups: Call,
    pub(crate) due: Call,
    pub(crate) silences: Call,
}

impl StateCalls {
    pub(crate) fn new() -> Self {
        describe_histogram!(STATE_CALL, "Duration of calls to the state backend.");
        let of = |call| Call(histogram!(STATE_CALL, "call" => call));
        Self {
            ping: of("ping"),
            gather: of("gather"),
            reserve: of("reserve"),
            settle: of("settle"),
            renew: of("renew"),
            limit: of("limit"),
            events: of("events"),
            dead_letters: of("dead_letters"),
            rule_toggles: of("rule_toggles"),
            groups: of("groups"),
            due: of("due"),
            silences: of("silences"),
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
        describe_histogram!(AUDIT_CALL, "Duration of calls to the audit backend.");
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
pub(crate) fn started(address: &str, admin_address: &str, state: &str, capabilities: Capabilities) {
    let Capabilities {
        durable, shared, ..
    } = capabilities;
    let failover = capabilities.failover.as_str();
    let writers = capabilities.writers.as_str();
    tracing::info!(
        address,
        admin_address,
        state,
        durable,
        shared,
        failover,
        writers,
        "started"
    );
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

pub(crate) fn state_full(full: &str) {
    tracing::warn!(
        full,
        "the state backend is full: actions are refused, and sources wait"
    );
}

pub(crate) fn state_has_room() {
    tracing::info!("the state backend has room again");
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
        "dead letters are full: sources keep failed messages and wait"
    );
}

pub(crate) fn dead_letters_have_room(kind: DeadLetterKind) {
    tracing::info!(kind = kind.as_str(), "dead letters have room again");
}

/// The number of actions not yet settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// From HTTP. Their callers get a response.
    pub(crate) from_http: u32,
    /// From brokers, which deliver them again.
    pub(crate) from_brokers: u32,
}

pub(crate) fn draining(limit: Duration, in_flight: InFlight) {
    let InFlight {
        from_http,
        from_brokers,
    } = in_flight;
    tracing::info!(
        ?limit,
        from_http,
        from_brokers,
        "draining: nothing new is accepted, work in flight finishes"
    );
}

pub(crate) fn deadline_passed(in_flight: InFlight) {
    let InFlight {
        from_http,
        from_brokers,
    } = in_flight;
    tracing::warn!(
        from_http,
        from_brokers,
        "the time to drain is over: HTTP callers get SHUTTING_DOWN, brokers will redeliver"
    );
}

pub(crate) fn ended(in_flight: InFlight, records_lost: u64) {
    let InFlight {
        from_http,
        from_brokers,
    } = in_flight;
    tracing::info!(from_http, from_brokers, records_lost, "ended");
}

pub(crate) fn second_signal(in_flight: InFlight) {
    let InFlight {
        from_http,
        from_brokers,
    } = in_flight;
    tracing::warn!(from_http, from_brokers, "a second signal: ending at once");
}

/// A task does not end although it was cut off.
/// The limit of open files could not be raised.
pub(crate) fn file_limit_fixed(error: &std::io::Error) {
    tracing::warn!(error = %error, "the limit of open files cannot be raised");
}

/// Connections will be refused before `server.max_connections` is reached.
pub(crate) fn file_limit_too_low(limit: u64, needed: u64, max_connections: u64) {
    tracing::warn!(
        limit,
        needed,
        max_connections,
        "the limit of open files is too low for server.max_connections: raise it (`ulimit -Hn`, or LimitNOFILE of \
         systemd) or lower server.max_connections"
    );
}

pub(crate) fn hangs() {
    tracing::error!("a task hangs: ending without it");
}

/// Requests were refused while they were processed.
pub(crate) fn requests_cut_off(requests: usize) {
    if requests > 0 {
        tracing::warn!(requests, "requests in progress get SHUTTING_DOWN");
    }
}

/// A listener at its limit of connections closed an idle one.
pub(crate) fn closed_for_room() {
    counter!(CLOSED_FOR_ROOM).increment(1);
}

pub(crate) fn source_ended(error: &acteon_core::source::SourceError) {
    tracing::error!(error = error as &dyn std::error::Error, "a source failed");
}

pub(crate) fn listener_failed(error: &std::io::Error) {
    tracing::error!(error = error as &dyn std::error::Error, "a listener failed");
}

/// A signal reloaded the rules.
pub(crate) fn reloaded(rules: usize, generation: u64) {
    tracing::info!(rules, generation, "reloaded at SIGHUP");
}

/// A signal could not reload the rules. Mistakes in their files are logged where they are read.
pub(crate) fn not_reloaded(error: &acteon_admin_api::AdminError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "nothing was reloaded at SIGHUP"
    );
}
