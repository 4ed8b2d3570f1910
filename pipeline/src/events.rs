//! What the pipeline logs and counts: the line and the counter move together.

use acteon_core::audit::AuditError;
use acteon_core::health::BreakerState;
use acteon_core::{Delay, Refusal, SinkError, StateError};
use metrics::counter;

pub(crate) fn overflowed(provider: &str) {
    counter!("acteon_provider_overflows_total", "provider" => provider.to_owned()).increment(1);
    tracing::debug!(provider, "the provider's queue is full");
}

/// An action went by the delayed path of its source.
pub(crate) fn delayed(delay: Delay, provider: &str) {
    counter!("acteon_delayed_total", "reason" => delay.as_str(), "provider" => provider.to_owned())
        .increment(1);
}

pub(crate) fn task_panicked(task: &str) {
    counter!("acteon_task_panics_total", "task" => task.to_owned()).increment(1);
    tracing::error!(task, "a task panicked and is started anew");
}

pub(crate) fn dead_letters_full(count: usize) {
    if count > 0 {
        counter!("acteon_dead_letters_refused_total").increment(count as u64);
        tracing::warn!(
            count,
            "there is no room for dead letters: their sources wait"
        );
    }
}

pub(crate) fn attempt_failed(provider: &str, action_id: &str, error: &SinkError) {
    counter!("acteon_attempt_failures_total", "provider" => provider.to_owned(), "code" => error.code.as_str())
        .increment(1);
    tracing::debug!(
        provider,
        action_id,
        code = error.code.as_str(),
        message = %error.message,
        source = error.source.as_deref().map(tracing::field::display),
        "an attempt failed"
    );
}

pub(crate) fn breaker_moved(provider: &str, to: BreakerState) {
    let state = match to {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
    };
    counter!("acteon_breaker_transitions_total", "provider" => provider.to_owned(), "to" => state)
        .increment(1);
    tracing::warn!(provider, state, "the breaker moved");
}

pub(crate) fn leases_lost(count: usize) {
    if count > 0 {
        counter!("acteon_leases_lost_total").increment(count as u64);
        tracing::warn!(count, "leases were lost before they were settled");
    }
}

pub(crate) fn renewal_failed(error: &StateError) {
    counter!("acteon_state_errors_total", "call" => "renew").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "leases could not be renewed"
    );
}

pub(crate) fn state_unavailable(error: &StateError, actions: usize) {
    counter!("acteon_state_errors_total", "call" => "reserve").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        actions,
        "nothing could be reserved"
    );
}

pub(crate) fn not_gathered(error: &StateError, actions: usize) {
    counter!("acteon_state_errors_total", "call" => "gather").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        actions,
        "nothing could be gathered for the rules"
    );
}

pub(crate) fn state_full() {
    counter!("acteon_state_full_total").increment(1);
    tracing::debug!("the state backend is full");
}

pub(crate) fn returned(refusal: Refusal) {
    counter!("acteon_returned_total", "reason" => refusal.as_str()).increment(1);
}

pub(crate) fn settling_failed(error: &StateError, actions: usize) {
    counter!("acteon_state_errors_total", "call" => "settle").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        actions,
        "nothing could be settled"
    );
}

pub(crate) fn unconfirmed(error: &StateError, delivered: usize, unstored: usize) {
    counter!("acteon_unconfirmed_total").increment(delivered as u64);
    tracing::error!(
        error = error as &dyn std::error::Error,
        delivered,
        unstored,
        "the state stayed away: keys fall free when their lease ends, dead letters are tried again"
    );
}

pub(crate) fn left_to_expire(error: &StateError, leases: usize) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        leases,
        "leases are left to expire"
    );
}

pub(crate) fn dead_lettered(code: &str, what: &str) {
    counter!("acteon_dead_letters_total", "code" => code.to_owned()).increment(1);
    tracing::debug!(code, what, "a dead letter");
}

pub(crate) fn records_lost(records: usize) {
    if records > 0 {
        counter!("acteon_audit_records_lost_total").increment(records as u64);
        tracing::error!(records, "the end of the process cut records off");
    }
}

pub(crate) fn audit_unavailable(error: &AuditError, records: usize) {
    counter!("acteon_audit_errors_total", "call" => "append").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        records,
        "records wait to be written"
    );
}

pub(crate) fn purge_failed(error: &AuditError) {
    counter!("acteon_audit_errors_total", "call" => "purge").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "expired records could not be deleted"
    );
}
