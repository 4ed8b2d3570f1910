//! The log lines of the `http` sink.

/// The service refused a request and the preset knows another one.
pub(crate) fn sends_again(provider: &str, host: &str) {
    tracing::warn!(
        provider,
        host,
        "the provider refused a request; sends another one, as the preset says"
    );
}

/// The condition of an answer failed for an action, so it does not hold.
pub(crate) fn condition_failed(provider: &str, host: &str, condition: &str) {
    tracing::warn!(
        provider,
        host,
        condition,
        "a condition of the preset's answers failed"
    );
}
